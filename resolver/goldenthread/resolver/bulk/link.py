"""Link the records of a table into identities, with a given model or one learned from the records themselves."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.graph.model import SemanticType
from goldenthread.resolver.bulk.cut import Guarding, component_of_rows, cut
from goldenthread.resolver.bulk.frame import Frame
from goldenthread.resolver.bulk.guarded import Apart, apart, too_large, without_blocked
from goldenthread.resolver.bulk.learn import learn, sketch_ahead
from goldenthread.resolver.bulk.normalise_columns import normalise_columns
from goldenthread.resolver.bulk.observed import observed_times
from goldenthread.resolver.bulk.packed import candidates_among
from goldenthread.resolver.bulk.pairs import Chunk, PairCounts, blocks_of, stream_pairs
from goldenthread.resolver.bulk.threads import spread
from goldenthread.resolver.bulk.weigh import ColumnScorer
from goldenthread.resolver.bulk.work import Read, Work
from goldenthread.resolver.guards import IDENTITY_SIZE, GuardRails, Guards
from goldenthread.resolver.normalise import Profile
from goldenthread.resolver.scoring import MatchModel, Scorer

__all__ = [
    "Choice",
    "LinkReport",
    "LinkResult",
    "Records",
    "RuleReport",
    "choose_model",
    "link",
    "link_read",
    "read_profiles",
    "record_ids_of",
    "silent",
    "without_collector",
]

Progress = Callable[[str, float], None]

_LEAST_MATCHES = 5.0
"""Expected matches below which a fit is guesswork."""


class Records(Protocol):
    """What linking needs of a table: columns of text, "" where missing."""

    @property
    def columns(self) -> Mapping[str, Sequence[str]]:
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
    guarded: tuple[tuple[str, int], ...] = ()
    """By guard, the pairs of records that it kept apart in one component, or the identities that it parted or marked."""


class LinkResult(Struct):
    """Who is who: for each row of the table its record id, its source and its identity's number, 0 upwards by first row."""

    record_ids: Sequence[str]
    sources: Sequence[str]
    identities: NDArray[np.int64]
    model: MatchModel
    report: LinkReport


class Choice(Struct, frozen=True):
    """The model to link with, and what the report says about its learning."""

    model: MatchModel
    learned: bool = False
    expected_matches: float = 0.0
    iterations: int = 0
    warnings: tuple[str, ...] = ()


def record_ids_of(table: Records) -> Sequence[str]:
    """List the record id of each row; rows without one are known by their number, from 1."""
    return table.columns[table.record_id_column] if table.record_id_column else [str(i + 1) for i in range(table.rows)]


def silent(stage: str, share: float) -> None:
    """Report progress to nobody."""


class _Compared(Struct):
    rules: tuple[RuleReport, ...]
    candidates: int


class _Links(Struct):
    """What comparing found: the pairs of profiles that weigh as links, and the profiles that have a key."""

    left: NDArray[np.int32]
    right: NDArray[np.int32]
    keyed: NDArray[np.bool_]
    found: _Compared


def link(
    table: Records,
    columns: Mapping[str, SemanticType | None],
    *,
    model: MatchModel | None = None,
    guard_rails: GuardRails | None = None,
    default_country: str = "US",
    progress: Progress | None = None,
    seed: int = 0,
    observed_at: str = "",
) -> LinkResult:
    """Link all rows of a table. `columns` types those to look at; others, and those typed None, are ignored.

    `observed_at` names the column that says when rows were observed, which matters to limits within a window of time; without
    one all count as observed at once.
    With a model exported from a server and its guard rails, the identities are those that the server would make of the same
    records.
    Without, one is learned from the rows; the report warns where that is doubtful.
    """
    with without_collector():
        read = read_profiles(table, columns, guard_rails or GuardRails(), default_country, progress or silent, observed_at)
        return link_read(
            read, model=model, guard_rails=guard_rails, default_country=default_country, progress=progress, seed=seed
        )


@contextmanager
def without_collector() -> Iterator[None]:
    """Leave out garbage collection: it would look again and again for cycles among millions of values that form none."""
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_collecting:
            gc.enable()


def read_profiles(
    table: Records,
    columns: Mapping[str, SemanticType | None],
    guard_rails: GuardRails,
    default_country: str,
    report: Progress,
    observed_at: str = "",
) -> Read:
    """Normalise the rows of a table into profiles, without values that guard rails block: the first stage of `link`."""
    report("normalise", 0.0)
    times = observed_times(table.columns[observed_at], observed_at) if observed_at else None
    frame = normalise_columns(table.columns, columns, default_country, table.rows, lambda share: report("normalise", share))
    point_of, distinct = without_blocked(frame, Guards.in_the_clear(guard_rails, default_country).blocker).distinct()
    report("normalise", 1.0)
    return Read(distinct, point_of, record_ids_of(table), table.columns[table.source_column], times)


def link_read(
    read: Read,
    *,
    model: MatchModel | None = None,
    guard_rails: GuardRails | None = None,
    default_country: str = "US",
    progress: Progress | None = None,
    seed: int = 0,
    work: Work | None = None,
) -> LinkResult:
    """Link records whose profiles are made; see `link`. `work` keeps what stages find, and has those skipped that are done."""
    report = progress or silent
    guards = Guards.in_the_clear(guard_rails or GuardRails(), default_country)
    distinct, point_of = read.distinct, read.point_of
    if model is not None:
        choice = Choice(model)
    elif work is not None and work.done("model"):
        choice = work.kept("model", Choice)
    else:
        separate = apart(guards, point_of, read.sources)
        with ThreadPoolExecutor(1) as aside:
            sketching = aside.submit(sketch_ahead, distinct)
            choice = choose_model(distinct, np.bincount(point_of), default_country, seed, report, separate)
            sketching.result()
        if work is not None:
            work.keep("model", choice)
    model = choice.model
    scorer = ColumnScorer(model, distinct)
    if work is not None and work.done("links"):
        left, right, keyed = (work.array("links", name) for name in ("left", "right", "keyed"))
        links = _Links(left, right, keyed, work.kept("links", _Compared))
    else:
        links = _compare(model, distinct, scorer, report)
        if work is not None:
            work.keep("links", links.found, {"left": links.left, "right": links.right, "keyed": links.keyed})
    report("cluster", 0.0)
    groups = component_of_rows(point_of, distinct.rows, links.left, links.right, links.keyed, scorer.weigh, model.link_weight)
    labels, reviews, fired = cut(
        groups, point_of, distinct, read.record_ids, read.sources, scorer.weigh, scorer.information, model.cluster_settings,
        lambda share: report("cluster", share), Guarding(guards, Scorer(model).weights, read.observed_at),
        lambda points: candidates_among([distinct.profile(point) for point in points.tolist()], model),
    )  # fmt: skip
    large = too_large(guards.rails, labels, point_of)
    fired += Counter({IDENTITY_SIZE: large})
    report("cluster", 1.0)
    return LinkResult(
        record_ids=read.record_ids,
        sources=read.sources,
        identities=labels,
        model=model,
        report=LinkReport(
            records=len(point_of),
            distinct_profiles=distinct.rows,
            identities=int(labels.max(initial=-1)) + 1,
            candidate_pairs=links.found.candidates,
            links=len(links.left),
            rules=links.found.rules,
            expected_matches=choice.expected_matches,
            iterations=choice.iterations,
            learned=choice.learned,
            needs_review=reviews + large,
            warnings=choice.warnings,
            guarded=tuple(sorted(fired.items())),
        ),
    )


def _compare(model: MatchModel, distinct: Frame, scorer: ColumnScorer, report: Progress) -> _Links:
    """Make the candidate pairs and weigh them, some at a time; only the links among them are kept."""
    report("block", 0.0)
    blocks = blocks_of(model.rules, distinct, model.generic_limit)
    report("score", 0.0)
    made = PairCounts.zero(len(blocks))
    lefts, rights, candidates = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)], 0

    def strong(chunk: Chunk) -> tuple[Chunk, NDArray[np.int64]]:
        return chunk, np.flatnonzero(scorer.weigh(chunk.left, chunk.right) >= model.link_weight)

    for chunk, links in spread(strong, stream_pairs(blocks, distinct.rows, made)):
        lefts.append(chunk.left[links])
        rights.append(chunk.right[links])
        candidates += len(chunk.left)
        report("score", chunk.share_done)
    report("score", 1.0)
    rules = tuple(
        RuleReport(block.rule, pairs, only_here, block.generic_keys)
        for block, pairs, only_here in zip(blocks, made.pairs.tolist(), made.only_here.tolist(), strict=True)
    )
    keyed = np.logical_or.reduce([block.keyed for block in blocks])
    return _Links(np.concatenate(lefts), np.concatenate(rights), keyed, _Compared(rules, candidates))


def choose_model(
    profiles: Frame | Sequence[Profile],
    counts: NDArray[np.int64],
    default_country: str,
    seed: int,
    report: Progress,
    separate: Apart | None = None,
) -> Choice:
    """Learn a model from distinct profiles, in order of their first row; where they are too few, take the shipped one.

    `counts` says how many rows have each profile, `separate` which can't be one person because of their sources.
    """
    distinct = profiles if isinstance(profiles, Frame) else Frame.of_profiles(profiles)
    if distinct.rows < 2:
        return Choice(MatchModel.shipped(), warnings=("There are fewer than two distinct records, so nothing was learned.",))
    learnt = learn(distinct, counts, default_country, seed, report, "learned", separate=separate)
    facts = (learnt.expected_matches, learnt.lesson.fit.iterations)
    warnings = tuple(learnt.lesson.warnings)
    if learnt.lesson.fit.expected_matches >= _LEAST_MATCHES:
        return Choice(learnt.model, True, *facts, warnings)
    few = "The records hold too few duplicates to learn from; the shipped person parameters were used."
    return Choice(MatchModel.shipped(), False, *facts, (*warnings, few))
