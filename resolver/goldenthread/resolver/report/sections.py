"""The sections of the report, each from the values it is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import msgspec
import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from goldenthread.resolver.bulk.guess_file import ColumnGuess
from goldenthread.resolver.bulk.link import LinkReport
from goldenthread.resolver.differences import Difference
from goldenthread.resolver.evaluate import Evaluation
from goldenthread.resolver.report import charts
from goldenthread.resolver.report.charts import Bar, Step, number
from goldenthread.resolver.report.html import Cell, Id, Share, figure, note, section, table, tiles
from goldenthread.resolver.report.survey import NotedPair, Survey
from goldenthread.resolver.sampled import Estimate
from goldenthread.resolver.scoring import CLASSES, WEIGHT_SCALE, MatchModel

__all__ = [
    "Shown", "blocking", "columns", "comparisons", "differing", "identities", "measured", "model_card",
    "pairs", "summary",
]  # fmt: skip

Section = tuple[str, str, str]
Shown = Callable[[int], tuple[str, Sequence[tuple[str, str]]]]
"""Names the record of a row, and lists its values where they were asked for."""

_MATCH, _STRANGERS = CLASSES.index("match"), CLASSES.index("strangers")
_LISTED = 15
_RARE = 2e-4
"""Probability under which, for both sides, a level says nothing worth a line."""


def summary(sizes: NDArray[np.int64], report: LinkReport | None, survey: Survey | None, warnings: Sequence[str]) -> Section:
    """Say the outcome in figures, and what to beware of."""
    records, identities = int(sizes.sum()), len(sizes)
    shown = [
        ("records", number(records), ""),
        ("identities", number(identities), f"{number(int((sizes > 1).sum()))} of several records"),
        ("duplicates found", number(records - identities), f"{(records - identities) / max(records, 1):.1%} of the records"),
        ("largest identity", number(int(sizes.max(initial=0))), "records"),
    ]
    if report is not None:
        shown.append(("pairs compared", number(report.candidate_pairs), f"{number(report.links)} of them links"))
        shown.append(("for review", number(report.needs_review), "parts too large or in conflict"))
    if survey is not None and survey.true is None:
        precision, recall = _expected(survey)
        shown.append(("precision, expected", f"{precision:.1%}", "by the model's own probabilities"))
        shown.append(("recall, expected", f"{recall:.1%}", "of the pairs that were compared"))
    told = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return section(
        "summary",
        "Summary",
        tiles(shown),
        f'<ul class="warnings" aria-label="Warnings">{told}</ul>' if told else "",
        note("Linking warned of nothing.", "fine") if report is not None and not told else "",
    )


def _expected(survey: Survey) -> tuple[float, float]:
    """Expect precision and recall from posteriors."""
    mass = survey.times * survey.probabilities
    joined = float(mass[survey.same_identity].sum())
    claimed, every = float(survey.times[survey.same_identity].sum()), float(mass.sum())
    return joined / claimed if claimed else 1.0, joined / every if every else 1.0


def measured(evaluation: Evaluation | None, estimate: Estimate | None) -> Section:
    """Say precision and recall, measured or estimated."""
    parts = []
    if evaluation is not None:
        e = evaluation
        parts += [
            note(
                f"Against the truth: {e.records:,} records are {e.true_clusters:,} people and were said to be {e.clusters:,}."
            ),
            table(
                "",
                ["by", "precision", "recall", "F1"],
                [
                    ["pairs of records", Share(e.pairwise_precision), Share(e.pairwise_recall), Share(e.pairwise_f1)],
                    ["records (B-cubed)", Share(e.bcubed_precision), Share(e.bcubed_recall), Share(e.bcubed_f1)],
                    ["exact identities (cluster F1)", Share(e.exact_precision), Share(e.exact_recall), Share(e.cluster_f1)],
                ],
                sorts=False,
            ),
            note(
                f"Of {e.claimed_pairs:,} pairs that were joined, {e.claimed_pairs - e.correct_pairs:,} are wrong; "
                f"of {e.true_pairs:,} that belong together, {e.true_pairs - e.correct_pairs:,} were missed."
            ),
        ]
    if estimate is not None:
        rows: list[list[Cell]] = [
            [name, Share(found.value), f"{found.low:.1%} to {found.high:.1%}".replace("%", " %")]
            for name, found in (("precision", estimate.precision), ("recall", estimate.recall), ("F1", estimate.f1))
        ]
        said = f"Estimated from {estimate.labelled:,} labelled pairs in {estimate.strata} strata."
        caption = "Recall is of the pairs that were compared or joined: what blocking never made can't be sampled."
        parts += [note(said), table(caption, ["measure", "estimate", f"{estimate.confidence:.0%} interval"], rows, sorts=False)]
        parts += [note(warning, "fine") for warning in estimate.warnings]
    return section("measured", "Measured quality", *parts)


def columns(guess: ColumnGuess) -> Section:
    """Say what the columns were taken for."""
    rows: list[list[Cell]] = []
    for column in guess.columns:
        meaning = column.type.name.lower() if column.role == "attribute" else column.role
        rows.append([Id(column.name), meaning.replace("_", " "), Share(column.completeness), column.distinct, column.why])
    if not any(column.why for column in guess.columns):
        heads, rows = ["column", "taken for"], [row[:2] for row in rows]
    else:
        heads = ["column", "taken for", "filled", "distinct", "why"]
    text = "A column taken for something else than it is costs more than any threshold. Correct it with --columns."
    return section("columns", "What the columns were taken for", note(text), table("", heads, rows))


def blocking(report: LinkReport | None, survey: Survey) -> Section:
    """Say what each blocking rule brought and what all of them lose."""
    total = sum(rule.matches_only_here for rule in survey.rules)
    matches = float((survey.times * survey.probabilities)[survey.candidate].sum()) or 1.0
    rows: list[list[Cell]] = [
        [Id(r.rule), r.pairs, r.only_here, Share(r.matches / matches), Share(r.matches_only_here / matches), r.generic_keys]
        for r in survey.rules
    ]
    heads = ["rule", "pairs made", "only here", "matches found", "lost without it", "generic keys"]
    found = float(survey.times[survey.same_identity & ~survey.candidate].sum())
    text = (
        "Two records are compared when they share a key of some rule that not too many others have. 'Lost without it' is the "
        "share of the expected matches that no other rule finds."
    )
    loss = (
        f"All rules together miss at least an estimated {survey.lost:.1%} of the pairs that are one person. The "
        f"estimate is from how many expected matches one rule alone found ({total / matches:.1%}), and how many two. "
        f"Clustering joined {number(found)} pairs that no rule made."
    )
    if survey.true is not None and survey.true_pairs:
        made = float(survey.times[survey.candidate & survey.true].sum())
        loss += f" By the truth, the rules miss {max(0.0, 1 - made / survey.true_pairs):.1%}."
    compared = f"{report.candidate_pairs:,} pairs of distinct records were compared." if report is not None else ""
    return section("blocking", "Which pairs were compared", note(text), table(compared, heads, rows), note(loss))


def comparisons(model: MatchModel) -> Section:
    """Chart what each comparison's levels weigh, and how often each occurs."""
    groups, small, rare = [], [], 0
    for k, (spec, comparison) in enumerate(zip(model.comparisons, model.build_comparisons(), strict=True)):
        learned = model.refinement.tables[k] if model.refinement is not UNSET else (0,) * len(comparison.levels)
        steps, rows = [], []
        for level, name in enumerate(comparison.levels):
            if level:
                m, u = (2.0 ** (spec.tables[c][level] / WEIGHT_SCALE) for c in (_MATCH, _STRANGERS))
                if max(m, u) < _RARE:
                    rare += 1
                    continue
                bits = (spec.tables[_MATCH][level] - spec.tables[_STRANGERS][level] + learned[level]) / WEIGHT_SCALE
                shown = name.replace("_", " ")
                steps.append(Step(shown, bits, f"{spec.name}, {shown}: {bits:+.2f} bits, m {m:.4g}, u {u:.4g}"))
                rows.append((shown, m, u))
        groups.append((spec.name.replace("_", " "), steps))
        chart = charts.mirror(f"Level probabilities of {spec.name}", rows)
        small.append(f"<figure><figcaption>{escape(spec.name.replace('_', ' '))}</figcaption>{chart}</figure>")
    weights = figure(
        charts.levels("Match weights by comparison and level", groups),
        "Match weights: bits of evidence for one person against strangers. Each bit doubles the odds. Levels that end in a "
        "number are exact agreements by how common the value is, 0 the rarest. "
        + (f"Left out are {rare} levels that practically never occur." if rare else ""),
        tall=True,
    )
    text = (
        "How often a level occurs among records of one person (m, to the left) and among strangers (u, to the right). A "
        "comparison whose sides look alike says nothing."
    )
    return section("comparisons", "What agreement is worth", weights, note(text), f'<div class="small">{"".join(small)}</div>')


def identities(sizes: NDArray[np.int64], true_sizes: NDArray[np.int64] | None) -> Section:
    """Chart how many records identities have."""
    edges = [1, 2, 3, 4, 5, 6, 8, 11, 16, 21, 51, 101, 501, 1 << 60]
    labels = [
        "1",
        "2",
        "3",
        "4",
        "5",
        "6 to 7",
        "8 to 10",
        "11 to 15",
        "16 to 20",
        "21 to 50",
        "51 to 100",
        "101 to 500",
        "more",
    ]
    most = max(int(sizes.max(initial=1)), int(true_sizes.max(initial=1)) if true_sizes is not None else 1)
    used = next(i for i, edge in enumerate(edges) if edge > most)
    found = np.histogram(sizes, edges)[0][:used]
    true = np.histogram(true_sizes, edges)[0][:used] if true_sizes is not None else None
    data = []
    for i, count in enumerate(found.tolist()):
        tip = f"{labels[i]} records: {number(count)} identities"
        data.append(Bar(labels[i], (("a", count),), tip + (f", {number(int(true[i]))} people" if true is not None else "")))
    parts = [
        figure(
            charts.bars("Identities by number of records", data, "records of one identity"),
            "Identities by how many records they have; heights are logarithmic. Look at the largest first.",
        )
    ]
    if true is not None:
        rows: list[list[Cell]] = [[labels[i], int(found[i]), int(true[i])] for i in range(used)]
        parts.append(
            table("As found and as the truth has it.", ["records", "identities found", "people in truth"], rows, sorts=False)
        )
    return section("identities", "Identities by size", *parts)


def pairs(survey: Survey, model: MatchModel, shown: Shown) -> Section:
    """Show the pairs that are worth a look, each with its waterfall."""
    groups: tuple[tuple[str, str, Sequence[NotedPair]], ...] = (
        (
            "Weakest links",
            "Pairs that hold an identity together and are its weakest: if anything was joined wrongly, look here.",
            survey.weakest_links,
        ),
        (
            "Strongest pairs kept apart",
            "Pairs of two identities that look alike most: if anybody was missed, look here.",
            survey.kept_apart,
        ),
        (
            "Bridges",
            "Links that alone hold two groups of records together in one identity, the largest groups first.",
            survey.bridges,
        ),
    )
    parts = []
    if survey.asked:
        groups = (("Asked for", "Pairs that whoever made this report asked for.", survey.asked), *groups)
    for title, text, noted in groups:
        inside = "".join(_noted(pair, model, shown) for pair in noted) or note("There are none.", "fine")
        parts += [f"<h3>{escape(title)}</h3>", note(text), inside]
    return section("pairs", "Pairs worth a look", *parts)


def _noted(pair: NotedPair, model: MatchModel, shown: Shown) -> str:
    why = pair.explanation
    steps = [
        Step("prior", why.prior / WEIGHT_SCALE, f"before looking, against {why.against}: {why.prior / WEIGHT_SCALE:+.2f} bits")
    ]
    for c in why.contributions:
        label = (f"{c.comparison}: {c.level}" if c.level else c.comparison).replace("_", " ")
        steps.append(Step(label, c.weight / WEIGHT_SCALE, f"{label}: {c.weight / WEIGHT_SCALE:+.2f} bits"))
    total = why.weight / WEIGHT_SCALE
    (left, x), (right, y) = shown(pair.left), shown(pair.right)
    chart = charts.waterfall(f"Weight of {left} and {right}", steps, total, (model.link_weight / WEIGHT_SCALE, "link"))
    sides = f", holds {pair.sides[0]} and {pair.sides[1]} records together" if pair.sides != (1, 1) else ""
    values = ""
    if x or y:
        other = dict(y)
        rows: list[list[Cell]] = [[Id(name), text, other.get(name, "")] for name, text in x]
        rows += [[Id(name), "", text] for name, text in y if name not in dict(x)]
        values = table("", ["column", left, right], rows, sorts=False)
    head = (
        f"<code>{escape(left)}</code> and <code>{escape(right)}</code>: <b>{total:+.1f}</b> bits, "
        f"{why.probability:.1%}{escape(sides)}, if not one person, then {escape(why.against.replace('_', ' '))}"
    )
    return f"<details><summary>{head}</summary><div>{values}{chart}</div></details>"


def differing(
    anchor: str, title: str, text: str, names: tuple[str, str, str], found: Sequence[Difference], shown: Shown
) -> Section:
    """List where two partitions differ; `names` are of what merged, split and was rearranged."""
    kinds = dict(zip(("merged", "split", "rearranged"), names, strict=True))
    counts: list[list[Cell]] = []
    for kind, name in kinds.items():
        those = [d for d in found if d.kind == kind]
        counts.append(
            [
                name,
                len(those),
                sum(len(d.rows) for d in those),
                sum(d.new_pairs for d in those),
                sum(d.lost_pairs for d in those),
            ]
        )
    rows: list[list[Cell]] = []
    for d in found[:_LISTED]:
        members = ", ".join(shown(row)[0] for row in d.rows[:12]) + (
            f" and {len(d.rows) - 12:,} more" if len(d.rows) > 12 else ""
        )
        rows.append([kinds[d.kind], d.before, d.after, d.new_pairs, d.lost_pairs, Id(members)])
    heads = ["what", "groups", "records", "pairs joined", "pairs parted"]
    parts = [note(text), table("", heads, counts, sorts=False)]
    if rows:
        listed = ["what", "from", "into", "pairs joined", "pairs parted", "records"]
        parts.append(
            table(f"The {len(rows)} with most pairs, of {len(found):,}." if len(found) > len(rows) else "", listed, rows)
        )
    return section(anchor, title, *parts)


def model_card(model: MatchModel, report: LinkReport | None) -> Section:
    """Say which model it was, in all its settings but the long ones."""
    long = ("comparisons", "rules", "frequencies", "priors", "refinement")
    rows: list[list[Cell]] = [["version", Id(model.version)]]
    for field in model.__struct_fields__:
        value = getattr(model, field)
        if field not in long and value is not UNSET:
            shown = (
                f"{value / WEIGHT_SCALE:g} bits" if field in ("link_weight", "min_average", "review_weight") else _plain(value)
            )
            rows.append([field.replace("_", " "), Id(shown)])
    rows.append(["priors", Id(", ".join(f"{c} {p / WEIGHT_SCALE:.1f}" for c, p in zip(CLASSES, model.priors, strict=True)))])
    if model.refinement is not UNSET:
        knots, together = len(model.refinement.calibration), len(model.refinement.interactions)
        rows.append(["refinement", f"of every level, of {together} pairs of comparisons, and {knots} knots of calibration"])
    rows.append(["comparisons", Id(", ".join(spec.name for spec in model.comparisons))])
    rows.append(["rules", Id(", ".join(rule.name for rule in model.rules))])
    if report is not None and report.learned:
        said = f"from these records, in {report.iterations} rounds; {report.expected_matches:,.0f} matches expected"
        rows.insert(1, ["learned", said])
    return section("model", "Model card", table("Equal content has an equal version.", ["", "what"], rows, sorts=False))


def _plain(value: object) -> str:
    """Write a setting shortly, whatever it is."""
    built = msgspec.to_builtins(value)
    return built if isinstance(built, str) else msgspec.json.encode(built).decode()
