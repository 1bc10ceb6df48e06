"""Link the records of a table into identities, with a given model or one learned from the records themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.graph.model import AttributeValue, SemanticType
from goldenthread.resolver.bulk.learn import learn
from goldenthread.resolver.bulk.pairs import KeyPairs, candidate_pairs
from goldenthread.resolver.clusters import cluster, components
from goldenthread.resolver.normalise import Profile, profile_of
from goldenthread.resolver.scoring import MatchModel, Scorer

__all__ = ["Choice", "LinkReport", "LinkResult", "Records", "RuleReport", "choose_model", "link", "link_profiles"]

Progress = Callable[[str, float], None]

_LEAST_MATCHES = 5.0
"""Expected matches below which a fit is guesswork."""


class Records(Protocol):
    """What linking needs of a table: columns of text, "" where missing."""

    @property
    def columns(self) -> dict[str, list[str]]:
        """Columns by name."""
        ...

    @property
    def rows(self) -> int:
        """How many values each column has."""
        ...

    @property
    def source_column(self) -> str:
        """The column that says a record's source."""
        ...

    @property
    def record_id_column(self) -> str:
        """The column that says a record's id at its source; empty when there is none."""
        ...


class RuleReport(Struct, frozen=True):
    """What one blocking rule did: pairs it made, pairs no other rule made, and keys too common to make any."""

    rule: str
    pairs: int
    only_here: int
    generic_keys: int


class LinkReport(Struct, frozen=True):
    """How a linking went; `expected_matches` is what learning estimates over pairs of distinct profiles, else 0."""

    records: int
    distinct_profiles: int
    identities: int
    candidate_pairs: int
    links: int
    rules: tuple[RuleReport, ...]
    expected_matches: float
    iterations: int
    learned: bool
    needs_review: int
    warnings: tuple[str, ...]


class LinkResult(Struct):
    """Who is who: for each row of the table its record id, its source and its identity's number, 0 upwards by first row."""

    record_ids: list[str]
    sources: list[str]
    identities: NDArray[np.int64]
    model: MatchModel
    report: LinkReport


class Choice(Struct, frozen=True):
    """The model to link with, what the report says about its learning, and the candidate pairs if learning made them."""

    model: MatchModel
    learned: bool = False
    expected_matches: float = 0.0
    iterations: int = 0
    warnings: tuple[str, ...] = ()
    candidates: tuple[NDArray[np.int32], NDArray[np.int32], tuple[KeyPairs, ...]] | None = None


def _silent(stage: str, share: float) -> None:
    """Report progress to nobody."""


def link(
    table: Records,
    columns: Mapping[str, SemanticType | None],
    *,
    model: MatchModel | None = None,
    default_country: str = "US",
    progress: Progress | None = None,
    seed: int = 0,
) -> LinkResult:
    """Link all rows of a table. `columns` types those to look at; others, and those typed None, are ignored.

    With a model exported from a server, the identities are those that the server would make of the same records.
    Without, one is learned from the rows; the report warns where that is doubtful.
    """
    report = progress or _silent
    report("normalise", 0.0)
    profiles = _profiles(table, columns, default_country)
    report("normalise", 1.0)
    record_ids = table.columns[table.record_id_column] if table.record_id_column else [str(i + 1) for i in range(table.rows)]
    sources = table.columns[table.source_column]
    return link_profiles(
        profiles, record_ids, sources, model=model, default_country=default_country, progress=report, seed=seed
    )


def _profiles(table: Records, columns: Mapping[str, SemanticType | None], default_country: str) -> list[Profile]:
    used = [(name, kind, table.columns[name]) for name, kind in columns.items() if kind is not None]
    remembered: list[dict[str, AttributeValue]] = [{} for _ in used]
    profiles = []
    for row in range(table.rows):
        attributes = []
        for (name, kind, values), known in zip(used, remembered, strict=True):
            text = values[row]
            if text:
                attribute = known.get(text)
                if attribute is None:
                    attribute = known[text] = AttributeValue(name, kind, text)
                attributes.append(attribute)
        profiles.append(profile_of(attributes, default_country))
    return profiles


def link_profiles(
    profiles: Sequence[Profile],
    record_ids: Sequence[str],
    sources: Sequence[str],
    *,
    model: MatchModel | None = None,
    default_country: str = "US",
    progress: Progress | None = None,
    seed: int = 0,
) -> LinkResult:
    """Link records whose profiles are already made; see `link`."""
    report = progress or _silent
    number: dict[Profile, int] = {}
    point_of = np.fromiter((number.setdefault(p, len(number)) for p in profiles), np.int64, len(profiles))
    distinct = list(number)
    if model is None:
        choice = choose_model(distinct, np.bincount(point_of), default_country, seed, report)
    else:
        choice = Choice(model)
    model = choice.model
    if choice.candidates is not None:
        left, right, made = choice.candidates
    else:
        report("block", 0.0)
        left, right, made = candidate_pairs(model.rules, distinct, model.generic_limit)
    report("score", 0.0)
    scorer = Scorer(model)
    weights = scorer.weights(distinct, left, right)
    strong = weights >= model.link_weight
    report("score", 1.0)
    groups = _components(point_of, distinct, left[strong], right[strong], made, scorer)
    labels, reviews = _cut(groups, point_of, distinct, record_ids, sources, scorer, report)
    return LinkResult(
        record_ids=list(record_ids),
        sources=list(sources),
        identities=labels,
        model=model,
        report=LinkReport(
            records=len(profiles),
            distinct_profiles=len(distinct),
            identities=int(labels.max(initial=-1)) + 1,
            candidate_pairs=len(left),
            links=int(strong.sum()),
            rules=_rule_reports(made),
            expected_matches=choice.expected_matches,
            iterations=choice.iterations,
            learned=choice.learned,
            needs_review=reviews,
            warnings=choice.warnings,
        ),
    )


def choose_model(
    distinct: Sequence[Profile], counts: NDArray[np.int64], default_country: str, seed: int, report: Progress
) -> Choice:
    """Learn a model from distinct profiles, in order of their first row; where they are too few, take the shipped one.

    `counts` says how many rows have each profile.
    """
    if len(distinct) < 2:
        return Choice(MatchModel.shipped(), warnings=("There are fewer than two distinct records, so nothing was learned.",))
    learnt = learn(distinct, counts, default_country, seed, report, "learned")
    facts = (learnt.lesson.fit.expected_matches, learnt.lesson.fit.iterations)
    warnings = tuple(learnt.lesson.warnings)
    if learnt.lesson.fit.expected_matches >= _LEAST_MATCHES:
        return Choice(learnt.model, True, *facts, warnings, (learnt.left, learnt.right, learnt.made))
    few = "The records hold too few duplicates to learn from; the shipped person parameters were used."
    return Choice(MatchModel.shipped(), False, *facts, (*warnings, few))


def _components(
    point_of: NDArray[np.int64],
    distinct: Sequence[Profile],
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    made: Sequence[KeyPairs],
    scorer: Scorer,
) -> NDArray[np.int32]:
    """Label the component of every row.

    Equal profiles are candidates like any others: without a key that is not generic, or too poor to weigh as a link, they are
    no evidence of one person, and rows that nothing else links stay apart.
    """
    of_points = components(len(distinct), left, right)
    counts = np.bincount(point_of, minlength=len(distinct))
    tied = np.zeros(len(distinct), np.bool_)
    tied[np.concatenate([m.keyed for m in made])] = True
    repeated = np.flatnonzero((counts > 1) & tied).astype(np.int32)
    tied[:] = False
    tied[repeated] = scorer.weights(distinct, repeated, repeated) >= scorer.model.link_weight
    tied[left] = tied[right] = True
    loose = np.flatnonzero(~tied[point_of])
    groups = of_points[point_of]
    groups[loose] = len(distinct) + np.arange(len(loose))
    return groups


def _cut(
    groups: NDArray[np.int32],
    point_of: NDArray[np.int64],
    distinct: Sequence[Profile],
    record_ids: Sequence[str],
    sources: Sequence[str],
    scorer: Scorer,
    report: Progress,
) -> tuple[NDArray[np.int64], int]:
    """Cut every component into identities; label rows by identity, in order of first row, and count parts for review."""
    settings = scorer.model.cluster_settings
    labels = np.full(len(groups), -1, np.int64)
    order = np.argsort(groups, kind="stable")
    bounds = np.flatnonzero(np.diff(groups[order], prepend=-1, append=-1))
    following = 0
    reviews = 0
    for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        rows = order[start:end]
        points = point_of[rows]
        if points.min() == points.max():
            labels[rows] = following
            following += 1
            continue
        members = [distinct[p] for p in points.tolist()]
        encoded = [p.encode() for p in members]

        def weigh(i: NDArray[np.int32], j: NDArray[np.int32], members: Sequence[Profile] = members) -> NDArray[np.int64]:
            return scorer.weights(members, i, j)

        keys = [(sources[r], record_ids[r]) for r in rows.tolist()]
        cutting = cluster(keys, encoded, weigh, (), settings, explain=False)
        labels[rows] = following + np.asarray(cutting.labels)
        following += max(cutting.labels) + 1
        reviews += cutting.needs_review
        report("cluster", end / len(groups))
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse], reviews


def _rule_reports(made: Sequence[KeyPairs]) -> tuple[RuleReport, ...]:
    every, counts = np.unique(np.concatenate([m.packed for m in made]), return_counts=True)
    single = every[counts == 1]
    return tuple(
        RuleReport(m.rule, len(m.packed), int(np.isin(m.packed, single, assume_unique=True).sum()), m.generic_keys)
        for m in made
    )
