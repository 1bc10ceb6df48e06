"""Lay the report out as one HTML file that needs nothing else: styles, script and charts are in it, and nothing is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.resolver.bulk.guess_file import ColumnGuess
from goldenthread.resolver.bulk.link import LinkReport
from goldenthread.resolver.differences import Difference
from goldenthread.resolver.evaluate import Evaluation
from goldenthread.resolver.report import sections
from goldenthread.resolver.report.sections import Shown
from goldenthread.resolver.report.survey import Survey
from goldenthread.resolver.report.weights import weights
from goldenthread.resolver.sampled import Estimate
from goldenthread.resolver.scoring import MatchModel

__all__ = ["Findings", "render"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


class Findings(Struct):
    """What a report is about; what is None is left out.

    `names` are the files, `identities` one label a row, `truth` likewise. `shown` names a row's record, and gives its values
    only if they were asked for: nothing else in a report is personal. `errors` are differences from the truth to the result,
    `changes` from `other` to it.
    """

    names: Sequence[str]
    when: str
    identities: NDArray[np.int64]
    shown: Shown
    guess: ColumnGuess | None = None
    report: LinkReport | None = None
    model: MatchModel | None = None
    survey: Survey | None = None
    truth: Sequence[str] | None = None
    evaluation: Evaluation | None = None
    estimate: Estimate | None = None
    errors: Sequence[Difference] | None = None
    changes: Sequence[Difference] | None = None
    other: str = ""
    warnings: Sequence[str] = ()


def render(found: Findings) -> str:
    """Write the report."""
    sizes = np.unique(found.identities, return_counts=True)[1]
    parts = [sections.summary(sizes, found.report, found.survey, found.warnings)]
    if found.evaluation is not None or found.estimate is not None:
        parts.append(sections.measured(found.evaluation, found.estimate))
    if found.errors is not None:
        text = "Each group of records is listed once, with the people it mixes and the identities that hold them."
        names = ("joined wrongly", "missed", "both")
        parts.append(sections.differing("errors", "Errors", text, names, found.errors, found.shown))
    if found.changes is not None:
        text = f"Against {found.other}: what this result joins, parts and arranges otherwise."
        names = ("merged", "split", "rearranged")
        parts.append(sections.differing("changes", "Compared with another result", text, names, found.changes, found.shown))
    if found.guess is not None:
        parts.append(sections.columns(found.guess))
    if found.survey is not None:
        parts.append(sections.blocking(found.report, found.survey))
    if found.model is not None:
        parts.append(sections.comparisons(found.model))
    if found.survey is not None and found.model is not None:
        parts.append(weights(found.survey, found.model))
    true_sizes = None if found.truth is None else np.unique(np.asarray(found.truth), return_counts=True)[1]
    parts.append(sections.identities(sizes, true_sizes))
    if found.survey is not None and found.model is not None:
        parts.append(sections.pairs(found.survey, found.model, found.shown))
    if found.model is not None:
        parts.append(sections.model_card(found.model, found.report))
    return _page(found, parts)


def _page(found: Findings, parts: Sequence[tuple[str, str, str]]) -> str:
    here = files(__package__)
    style, script = (here.joinpath(f"report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    title = f"Who is who in {', '.join(found.names)}"
    links = "".join(f'<li><a href="#{anchor}">{escape(name)}</a></li>' for anchor, name, _ in parts)
    body = "\n".join(
        f'<section><h2 id="{anchor}">{escape(name)}</h2>\n{content}\n</section>' for anchor, name, content in parts
    )
    sampled = ""
    if found.survey is not None and found.survey.share < 1:
        sampled = f" Pairs were looked at in a sample of {found.survey.rows:,} records and scaled up."
    model = f" Model {found.model.version}." if found.model is not None else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<div class="page">
<header><h1>{escape(title)}</h1><div class="dim">{escape(found.when)}.{escape(model)}{escape(sampled)}</div></header>
<nav aria-label="Sections"><ol>{links}</ol></nav>
<main>
{body}
</main>
<footer>Made by goldenthread. Weights are in bits: each doubles the odds that two records are one person.</footer>
</div>
<script>
{script}</script>
</body>
</html>
"""
