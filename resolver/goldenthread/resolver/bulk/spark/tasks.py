"""What executors do: pure functions from a stream of Arrow batches to another, by the functions that link on one machine.

Rows are known by their number in the table, and a profile, wherever it is repeated, by the number of its first row, its point.
Nothing here needs Spark. A failure leaves with its type and place alone, because its text could quote a record, and an
executor's log would keep it.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from pathlib import PurePath
from typing import Protocol

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.graph.model import AttributeValue, SemanticType
from goldenthread.resolver.blocked import Blocker
from goldenthread.resolver.blocking import rule_keys
from goldenthread.resolver.bulk.packed import candidates_among
from goldenthread.resolver.clusters import cluster
from goldenthread.resolver.guards import Guards
from goldenthread.resolver.normalise import NORMALISER_VERSION, Profile, identifiers, profile_of
from goldenthread.resolver.scoring import MatchModel, Scorer
from goldenthread.resolver.scoring.model import library_versions

__all__ = [
    "DIFFERENT",
    "FAILED",
    "RULES_PER_WORD",
    "Batches",
    "Guarded",
    "ModelBytes",
    "Task",
    "cut_components",
    "installed",
    "make_keys",
    "make_pairs",
    "make_profiles",
    "mask_words",
    "weigh_pairs",
]

Batches = Iterator[pa.RecordBatch]
Task = Callable[[Batches], Batches]
Longs = NDArray[np.int64]

FAILED, DIFFERENT = "goldenthread task failed: ", "goldenthread versions differ: "
"""What the message of a task's error begins with, so that it can be told among what Spark says around it."""

RULES_PER_WORD = 62
_REMEMBERED = 100_000
"""Profiles that a worker keeps decoded between batches."""

_DECODER = msgspec.msgpack.Decoder(Profile)


class ModelBytes(Protocol):
    """A model on its way to executors, as a Spark broadcast holds it."""

    @property
    def value(self) -> bytes:
        """The model, encoded."""
        ...


class TaskFailed(Exception):
    """A task failed, told without what it was working on."""


class Guarded:
    """Run a task on an executor that has the versions it should, and let no value out with an error."""

    def __init__(self, task: Task, expected: Sequence[tuple[str, str]]) -> None:
        self.task, self.expected = task, tuple(expected)

    def __call__(self, batches: Batches) -> Batches:
        """Work through the batches.

        Raises:
            TaskFailed: whatever happened, named by type and place.
        """
        there = dict(installed())
        if different := [f"{name} {there[name]}, not {wanted}" for name, wanted in self.expected if there[name] != wanted]:
            raise TaskFailed(DIFFERENT + ", ".join(different))
        try:
            yield from self.task(batches)
        except Exception as error:  # noqa: BLE001  # the edge to a log that is not ours: only type and place may pass
            place = traceback.extract_tb(error.__traceback__)[-1]
            raise TaskFailed(f"{FAILED}{type(error).__name__} at {PurePath(place.filename).name}:{place.lineno}") from None


def installed() -> tuple[tuple[str, str], ...]:
    """List what the result of a task depends on, with versions."""
    return (("normaliser", str(NORMALISER_VERSION)), *library_versions())


# --- profiles ---


def make_profiles(
    batches: Batches, columns: Sequence[tuple[str, SemanticType]], default_country: str, blocker: Blocker | None = None
) -> Batches:
    """Normalise rows: columns `c0`, `c1`… of text as `columns` names and types them, to profiles and digests of these.

    What is blocked is left out.

    Row, source, record id and when it was observed pass through.
    """
    remembered: list[dict[str, AttributeValue]] = [{} for _ in columns]
    for batch in batches:
        texts = [batch.column(f"c{k}").to_pylist() for k in range(len(columns))]
        encoded: list[bytes] = []
        for row in range(batch.num_rows):
            attributes = []
            for (name, kind), values, known in zip(columns, texts, remembered, strict=True):
                text = values[row]
                if text:
                    attribute = known.get(text)
                    if attribute is None:
                        attribute = known[text] = AttributeValue(name, kind, text)
                    attributes.append(attribute)
            profile = profile_of(attributes, default_country)
            encoded.append((profile if blocker is None else blocker.cleaned(profile)).encode())
        for known in remembered:
            if len(known) > _REMEMBERED:
                known.clear()
        high, low = _digests(encoded)
        yield pa.RecordBatch.from_pydict(
            {
                "row": batch.column("row"),
                "high": high,
                "low": low,
                "source": batch.column("source"),
                "record_id": batch.column("record_id"),
                "observed_at": batch.column("observed_at"),
                "profile": pa.array(encoded, pa.binary()),
            }
        )


def _digests(texts: Sequence[bytes]) -> tuple[Longs, Longs]:
    """Digest each text to 128 bits, in two halves: among 10^12 texts two have equal ones with a chance below 10^-14."""
    joined = b"".join([blake2b(text, digest_size=16).digest() for text in texts])
    halves = np.frombuffer(joined, "<i8").reshape(-1, 2)
    return halves[:, 0].copy(), halves[:, 1].copy()


# --- candidate keys and pairs ---


def make_keys(batches: Batches, model: ModelBytes) -> Batches:
    """Make the candidate keys of profiles: digest, the rule's number (0 for identifiers), the point, whether it is repeated."""
    rules = _scorer(model.value).model.rules
    for batch in batches:
        profiles = [_DECODER.decode(encoded) for encoded in batch.column("profile").to_pylist()]
        places: list[int] = []
        numbers: list[int] = []
        texts: list[bytes] = []
        for place, profile in enumerate(profiles):
            found = [(0, f"0\x1f{int(i.type)}\x1f{i.text}") for i in identifiers(profile)]
            for number, rule in enumerate(rules, 1):
                found += [(number, f"{number}\x1f{text}") for text in rule_keys(rule, profile)]
            for number, text in found:
                places.append(place)
                numbers.append(number)
                texts.append(text.encode())
        high, low = _digests(texts)
        at = pa.array(places, pa.int64())
        yield pa.RecordBatch.from_pydict(
            {
                "high": high,
                "low": low,
                "rule": pa.array(numbers, pa.int32()),
                "point": batch.column("point").take(at),
                "repeated": batch.column("repeated").take(at),
            }
        )


def mask_words(rules: int) -> int:
    """Say how many integers hold one bit for each rule and for identifiers."""
    return rules // RULES_PER_WORD + 1


def make_pairs(batches: Batches, generic_limit: int, words: int) -> Batches:
    """Pair the points that share a key, given sorted by key and point; a repeated point is also paired with itself.

    A pair tells its rule as a bit of `mask0`, `mask1`… A key of more than `generic_limit` points makes no pairs but one line
    without points, from -1 to -1. However long its run, no more of it than the limit is held.
    """
    held: _Keys | None = None
    for batch in batches:
        keys = _Keys.of(batch) if held is None else held.with_more(_Keys.of(batch))
        starts = keys.starts()
        if len(starts) > 1:
            yield from _pairs_of(keys.part(0, int(starts[-1])), generic_limit, words)
        # The last run may go on in the next batch.
        last = int(starts[-1]) if len(starts) else 0
        held = keys.part(last, last + generic_limit + 1)
    if held is not None:
        yield from _pairs_of(held, generic_limit, words)


class _Keys(Struct):
    """Columns of keys, sorted."""

    high: Longs
    low: Longs
    rule: NDArray[np.int32]
    point: Longs
    repeated: NDArray[np.bool_]

    @staticmethod
    def of(batch: pa.RecordBatch) -> _Keys:
        columns = (batch.column(name).to_numpy(zero_copy_only=False) for name in ("high", "low", "rule", "point", "repeated"))
        return _Keys(*columns)

    def with_more(self, more: _Keys) -> _Keys:
        return _Keys(
            np.concatenate([self.high, more.high]),
            np.concatenate([self.low, more.low]),
            np.concatenate([self.rule, more.rule]),
            np.concatenate([self.point, more.point]),
            np.concatenate([self.repeated, more.repeated]),
        )

    def part(self, start: int, end: int) -> _Keys:
        cut = slice(start, end)
        return _Keys(self.high[cut], self.low[cut], self.rule[cut], self.point[cut], self.repeated[cut])

    def starts(self) -> Longs:
        """Find where each run of equal keys begins."""
        if not len(self.high):
            return np.zeros(0, np.int64)
        new = np.ones(len(self.high), np.bool_)
        new[1:] = (self.high[1:] != self.high[:-1]) | (self.low[1:] != self.low[:-1])
        return np.flatnonzero(new)


def _pairs_of(keys: _Keys, generic_limit: int, words: int) -> Batches:
    """Pair the points of whole runs of equal keys."""
    starts = keys.starts()
    sizes = np.diff(starts, append=len(keys.high))
    rules = keys.rule[starts]
    generic = sizes > generic_limit
    if generic.any():
        nobody = np.full(int(generic.sum()), -1, np.int64)
        yield _pair_batch(nobody, nobody, rules[generic], words)
    selves = keys.repeated & np.repeat(~generic, sizes)
    if selves.any():
        yield _pair_batch(keys.point[selves], keys.point[selves], keys.rule[selves], words)
    for size in np.unique(sizes[(sizes > 1) & ~generic]).tolist():
        chosen = sizes == size
        left, right = np.triu_indices(size, 1)
        blocks = keys.point[starts[chosen][:, None] + np.arange(size)]
        yield _pair_batch(blocks[:, left].ravel(), blocks[:, right].ravel(), np.repeat(rules[chosen], len(left)), words)


def _pair_batch(left: Longs, right: Longs, rule: NDArray[np.int32], words: int) -> pa.RecordBatch:
    word, bit = np.divmod(rule.astype(np.int64), RULES_PER_WORD)
    masks = {f"mask{w}": np.where(word == w, np.int64(1) << bit, 0) for w in range(words)}
    return pa.RecordBatch.from_pydict({"left": left, "right": right, **masks})


# --- weights ---


def weigh_pairs(batches: Batches, model: ModelBytes) -> Batches:
    """Weigh pairs of points given with their profiles."""
    scorer = _scorer(model.value)
    decoded: dict[int, Profile] = {}
    for batch in batches:
        if not batch.num_rows:
            continue
        left, right = (batch.column(name).to_numpy() for name in ("left", "right"))
        points, first, places = np.unique(np.concatenate([left, right]), return_index=True, return_inverse=True)
        texts = pa.chunked_array([batch.column("left_profile"), batch.column("right_profile")])
        profiles = _decode(points, first, texts, decoded)
        at = places.astype(np.int32)
        yield pa.RecordBatch.from_pydict(
            {"left": left, "right": right, "weight": scorer.weights(profiles, at[: len(left)], at[len(left) :])}
        )


def _decode(points: Longs, first: Longs, texts: pa.ChunkedArray, decoded: dict[int, Profile]) -> list[Profile]:
    """Decode each profile that is not known from an earlier batch: the same object again saves the scorer its features."""
    if len(decoded) > _REMEMBERED:
        decoded.clear()
    numbers = points.tolist()
    unknown = [i for i, point in enumerate(numbers) if point not in decoded]
    for i, encoded in zip(unknown, texts.take(pa.array(first[unknown])).to_pylist(), strict=True):
        decoded[numbers[i]] = _DECODER.decode(encoded)
    return [decoded[point] for point in numbers]


# --- identities ---


def cut_components(batches: Batches, model: ModelBytes, guards: Guards) -> Batches:
    """Cut components, their rows given sorted by component and row: each row gets the first row of its identity.

    A point's profile is with its first row alone. `review` is true on the first row of a component that a steward should see,
    where `fired` tells, by guard in the order of `guards.names`, the pairs of rows that it kept apart, or of a limit the
    identities that it parted.
    """
    scorer = _scorer(model.value)
    held: list[pa.RecordBatch] = []
    for batch in batches:
        if not batch.num_rows:
            continue
        component = batch.column("component").to_numpy()
        starts = np.flatnonzero(np.diff(component, prepend=component[0]))
        # What comes before the first change belongs to what is held; what comes after the last may go on.
        if held and held[-1].column("component")[0].as_py() != component[0]:
            yield _cut(held, scorer, guards)
            held = []
        if len(starts):
            yield _cut([*held, batch.slice(0, int(starts[-1]))], scorer, guards)
            batch = batch.slice(int(starts[-1]))
            held = []
        held.append(batch)
    if held:
        yield _cut(held, scorer, guards)


def _cut(parts: Sequence[pa.RecordBatch], scorer: Scorer, guards: Guards) -> pa.RecordBatch:
    """Cut whole components."""
    table = pa.Table.from_batches(parts)
    component, row, point = (table.column(name).to_numpy() for name in ("component", "row", "point"))
    sources, record_ids = table.column("source").to_pylist(), table.column("record_id").to_pylist()
    times: list[int] = table.column("observed_at").to_pylist()
    encoded: list[bytes | None] = table.column("profile").to_pylist()
    first_row = np.empty(len(row), np.int64)
    review = np.zeros(len(row), np.bool_)
    fired: list[list[int] | None] = [None] * len(row)
    bounds = np.flatnonzero(np.diff(component, prepend=-1, append=-1)).tolist()
    for start, end in pairwise(bounds):
        rows = range(start, end)
        profile_of_point: dict[int, tuple[bytes, Profile]] = {}
        for r in rows:
            text = encoded[r]
            if text is not None:
                profile_of_point[int(point[r])] = (text, _DECODER.decode(text))
        known = [profile_of_point[p] for p in point[start:end].tolist()]
        members = [profile for _, profile in known]

        def weigh(i: NDArray[np.int32], j: NDArray[np.int32], members: Sequence[Profile] = members) -> Longs:
            return scorer.weights(members, i, j)

        def inform(i: NDArray[np.int32], members: Sequence[Profile] = members) -> Longs:
            return scorer.information([members[at] for at in i.tolist()])

        def pair(i: NDArray[np.int32], members: Sequence[Profile] = members) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
            return candidates_among([members[at] for at in i.tolist()], scorer.model)

        vetoes = guards.vetoes((sources[r], profile) for r, profile in zip(rows, members, strict=True))
        limits = guards.held_to(members, times[start:end], scorer.weights)
        cutting = cluster(
            [(sources[r], record_ids[r]) for r in rows],
            [text for text, _ in known],
            weigh,
            (),
            scorer.model.cluster_settings,
            vetoes,
            limits,
            information=inform,
            candidates=pair,
            explain=False,
        )
        if vetoes is not None or limits is not None:
            counts = cutting.limited if vetoes is None else cutting.limited + vetoes.fired()
            fired[start] = [counts[guard] for guard in guards.names]
        first_of: dict[int, int] = {}
        for place, label in enumerate(cutting.labels, start):
            first_row[place] = first_of.setdefault(label, int(row[place]))
        review[start] = cutting.needs_review
    counts_of = pa.array(fired, pa.list_(pa.int64()))
    return pa.RecordBatch.from_pydict({"row": row, "first": first_row, "review": review, "fired": counts_of})


@lru_cache(2)
def _scorer(model: bytes) -> Scorer:
    """Build the scorer of a model once in a worker's life."""
    return Scorer(MatchModel.from_json(model))
