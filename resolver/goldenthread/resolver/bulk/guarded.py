"""Find, in columns, what guard rails bar: components whose records disagree, and pairs of profiles that no person can have."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import cast

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.graph.model import SemanticType
from goldenthread.resolver.blocked import Blocker
from goldenthread.resolver.bulk.frame import Feature, Frame
from goldenthread.resolver.bulk.numbering import united
from goldenthread.resolver.bulk.text_column import TextColumn
from goldenthread.resolver.guards import GuardRails, Guards
from goldenthread.resolver.limits import held_values
from goldenthread.resolver.normalise import Profile
from goldenthread.resolver.vetoes import Claims, Subject

__all__ = ["Apart", "apart", "disagreeing", "over_limits", "too_large", "without_blocked"]

Longs = NDArray[np.int64]
_ClaimsOf = Callable[[tuple[Hashable, ...]], Claims]


class Apart(Struct):
    """Which distinct profiles only one declared source has, by its number, else -1; and which numbers bar each other."""

    only: NDArray[np.int32]
    bars: NDArray[np.bool_]

    def barred(self, left: NDArray[np.int32], right: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Say of each pair of profiles whether no two of their records may be one person, by their sources alone."""
        one, other = self.only[left], self.only[right]
        return (one >= 0) & (other >= 0) & self.bars[one, other]

    def take(self, profiles: NDArray[np.integer]) -> Apart:
        """Answer for some of the profiles."""
        return Apart(self.only[profiles], self.bars)


def apart(guards: Guards | None, point_of: Longs, sources: Sequence[str]) -> Apart | None:
    """Say which distinct profiles can't be one person because of where they are from; None when no source is declared so."""
    if guards is None or not (guards.unique or guards.apart):
        return None
    column = TextColumn.of(sources)
    words = column.words()
    names = sorted({*guards.unique, *guards.apart} & set(words))
    if not names:
        return None
    number = {name: i for i, name in enumerate(names)}
    of_word = np.fromiter((number.get(word, -1) for word in words), np.int32, len(words))
    of_row = of_word[column.codes]
    least, most = (np.full(int(point_of.max(initial=-1)) + 1, v, np.int32) for v in (len(names), -2))
    np.minimum.at(least, point_of, of_row)
    np.maximum.at(most, point_of, of_row)
    bars = np.array([[_bar(guards, a, b) for b in names] for a in names], np.bool_).reshape(len(names), len(names))
    return Apart(np.where(least == most, most, -1).astype(np.int32), bars)


def _bar(guards: Guards, one: str, other: str) -> bool:
    if one == other:
        return one in guards.unique
    return bool(guards.apart.get(one, {}).keys() & guards.apart.get(other, {}).keys())


def disagreeing(guards: Guards, groups: Longs, point_of: Longs, frame: Frame, sources: Sequence[str]) -> Longs:
    """List the components, ascending, that hold records which claim different values of one subject.

    All components of which a veto bars a pair are among them. `frame` holds the distinct profiles, `point_of` each row's.
    """
    sizes = np.bincount(groups)
    rows = np.flatnonzero(sizes[groups] > 1)
    column = TextColumn.of(sources)
    words = column.words()
    codes = column.codes[rows]
    found = [np.zeros(0, np.int64)]
    for source in guards.unique:
        mine = rows[codes == words.index(source)] if source in words else rows[:0]
        found.append(_differ(groups[mine], np.arange(len(mine))))
    for subject in sorted({subject for claims in guards.apart.values() for subject in claims}):
        named = np.array([subject in guards.apart.get(word, {}) for word in words], np.bool_)
        mine = named[codes]
        found.append(_differ(groups[rows[mine]], codes[mine]))
    verified = np.array([word in guards.verifying for word in words], np.bool_)[codes]
    for is_verified in (False, True):
        mine = rows[verified == is_verified]
        numbers = partial(guards.number_claims, is_verified=is_verified)
        found += _disagreeing_values("documents", frame, mine, groups, point_of, cast(_ClaimsOf, numbers))
    dates = cast(_ClaimsOf, guards.date_claims)
    found += _disagreeing_values("birth_dates", frame, rows[verified], groups, point_of, dates)
    return united(found)


def over_limits(guards: Guards, groups: Longs, point_of: Longs, frame: Frame) -> Longs:
    """List the components, ascending, that hold more identifiers of a type than an identity may.

    All components that have to be parted are among them: when records were observed is not looked at.
    """
    found = [np.zeros(0, np.int64)]
    if guards.limits:
        rows = np.flatnonzero(np.bincount(groups)[groups] > 1)
        groups, point_of = groups[rows], point_of[rows]
    for limit in guards.limits:
        held = frame.derive(partial(_held, limit.type), known_as=f"identifiers {int(limit.type)}")
        codes = held.codes[point_of]
        _, first = np.unique(groups * held.entries + codes, return_index=True)
        which, members = held.spread(codes[first])
        width = len(held.values) + 1
        pairs = united([groups[first][which] * width + members])
        counted, counts = np.unique(pairs // width, return_counts=True)
        found.append(counted[counts > limit.most])
    return united(found)


def _held(kind: SemanticType, profile: Profile) -> tuple[Hashable, ...]:
    return tuple(held_values(kind, profile))


def without_blocked(frame: Frame, blocker: Blocker | None) -> Frame:
    """Take blocked values out of profiles."""
    fields = dict(frame.fields)
    for field in blocker.fields if blocker is not None else ():
        if field in fields:
            entries = fields[field].all_entries()
            kept = [blocker.left(field, entry) for entry in entries]  # type: ignore[union-attr]  # it has fields, so it is there
            if any(left is not entry for left, entry in zip(kept, entries, strict=True)):
                fields[field] = Feature.of(kept, fields[field].codes)
    return Frame(frame.rows, fields, frame.others)


def too_large(rails: GuardRails, labels: Longs, point_of: Longs) -> int:
    """Count the identities of more records or distinct profiles than guard rails let pass without a review."""
    if not (rails.max_records or rails.max_profiles) or not len(labels):
        return 0
    _, of_row = np.unique(labels, return_inverse=True)
    width = int(point_of.max()) + 1
    profiles = np.bincount(united([of_row * width + point_of]) // width)
    records = np.bincount(of_row)
    large = (records > (rails.max_records or len(labels))) | (profiles > (rails.max_profiles or len(labels)))
    return int(np.count_nonzero(large))


def _disagreeing_values(
    field: str,
    frame: Frame,
    rows: Longs,
    groups: Longs,
    point_of: Longs,
    claims_of: _ClaimsOf,
) -> list[Longs]:
    """List, by subject, the components in which rows claim different values of it by a field of their profiles."""
    feature: Feature[Hashable] | None = frame.fields.get(field)
    if feature is None or not len(rows):
        return []
    of_row = feature.codes[point_of[rows]]
    subjects: dict[Subject, tuple[list[int], list[int]]] = {}
    number: dict[frozenset[Hashable], int] = {}
    for code in united([of_row]).tolist():
        for subject, values in claims_of(feature.entry(code)).items() if code else ():
            codes, claimed = subjects.setdefault(subject, ([], []))
            codes.append(code)
            claimed.append(number.setdefault(values, len(number)))
    found = []
    for codes, claimed in subjects.values():
        claim_of = np.full(feature.entries, -1, np.int64)
        claim_of[codes] = claimed
        mine = claim_of[of_row]
        found.append(_differ(groups[rows[mine >= 0]], mine[mine >= 0]))
    return found


def _differ(groups: Longs, claims: NDArray[np.integer]) -> Longs:
    """List the groups that have more than one claim."""
    if not len(groups):
        return np.zeros(0, np.int64)
    order = np.lexsort((claims, groups))
    group, claim = groups[order], claims[order]
    return united([group[1:][(group[1:] == group[:-1]) & (claim[1:] != claim[:-1])]])
