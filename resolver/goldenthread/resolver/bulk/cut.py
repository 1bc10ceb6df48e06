"""Cut the components of linked profiles into identities, many at a time: exactly what `clusters.cluster` makes of each.

Most components are small, so those of one size are joined together, a component a row of arrays. Larger ones go to `cluster`
one by one, and so do those whose records a guard rail keeps apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import prod

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.resolver.bulk.frame import Frame
from goldenthread.resolver.bulk.guarded import disagreeing, over_limits
from goldenthread.resolver.bulk.numbering import WIDEST, factorise, pack, united
from goldenthread.resolver.bulk.text_column import TextColumn, integers
from goldenthread.resolver.bulk.texts import ranks
from goldenthread.resolver.bulk.threads import together
from goldenthread.resolver.clusters import Candidates, ClusterSettings, cluster, components
from goldenthread.resolver.guards import Guards
from goldenthread.resolver.limits import Weigh as WeighProfiles

__all__ = ["Guarding", "Inform", "Weigh", "component_of_rows", "cut"]

Longs = NDArray[np.int64]
Weigh = Callable[[NDArray[np.int32], NDArray[np.int32]], Longs]
"""Weigh pairs of distinct profiles by number."""

Inform = Callable[[NDArray[np.integer]], Longs]
"""Say what distinct profiles, by number, count by what they know."""

_MOST_TOGETHER = 24
"""Profiles of a component up to which those of one size are joined together."""

_BATCH = 1 << 21
"""Pairs of profiles, counted from both sides, that are joined together at a time."""

_WEIGHED = 1 << 17
"""Pairs of profiles that one of several threads weighs at a time."""

_NEVER = np.iinfo(np.int64).min


def component_of_rows(
    point_of: Longs, points: int, left: NDArray[np.int32], right: NDArray[np.int32], keyed: NDArray[np.bool_], weigh: Weigh,
    link_weight: int,
) -> NDArray[np.int64]:  # fmt: skip
    """Label the component of every row, given the linked pairs of distinct profiles and which profiles have a key.

    Equal profiles are candidates like any others: without a key that is not generic, or too poor to weigh as a link, they are
    no evidence of one person, and rows that nothing else links stay apart.
    """
    groups = components(points, left, right).astype(np.int64)[point_of]
    counts = np.bincount(point_of, minlength=points)
    repeated = np.flatnonzero((counts > 1) & keyed).astype(np.int32)
    tied = np.zeros(points, np.bool_)
    tied[repeated] = weigh(repeated, repeated) >= link_weight
    tied[left] = tied[right] = True
    loose = np.flatnonzero(~tied[point_of])
    groups[loose] = points + np.arange(len(loose))
    return groups


class Guarding(Struct):
    """Guard rails, and what it takes to hold components to them: how any profiles weigh, and when each row was observed.

    Without times, all rows count as observed at once.
    """

    guards: Guards
    weigh_profiles: WeighProfiles
    observed_at: Longs | None = None


class _Members(Struct):
    """The distinct profiles of components: which component, which profile, how many rows."""

    group: Longs
    point: Longs
    count: Longs


def cut(
    groups: Longs,
    point_of: Longs,
    frame: Frame,
    record_ids: Sequence[str],
    sources: Sequence[str],
    weigh: Weigh,
    inform: Inform,
    settings: ClusterSettings,
    report: Callable[[float], None],
    guarding: Guarding | None = None,
    candidates: Candidates | None = None,
) -> tuple[Longs, int, Counter[str]]:
    """Cut every component into identities; number them by first row, and count the parts that need a review.

    `frame` holds the distinct profiles, `point_of` the number of each row's; `candidates` pairs some of them. The last answer
    counts, by guard, the pairs of records that it kept apart, or of limits the identities that these parted.
    """
    barred = np.zeros(0, np.int64)
    if guarding is not None:
        found = (
            disagreeing(guarding.guards, groups, point_of, frame, sources),
            over_limits(guarding.guards, groups, point_of, frame),
        )
        barred = united(found)
    if guarding is None or not len(barred):
        free = _cut_free(groups, point_of, frame, record_ids, sources, weigh, inform, settings, report, candidates)
        return *free, Counter()
    rows = np.flatnonzero(np.isin(groups, barred))
    rows = rows[np.argsort(groups[rows], kind="stable")]
    alone = groups.copy()
    alone[rows] = groups.max() + 1 + np.arange(len(rows))
    labels, reviews = _cut_free(
        alone, point_of, frame, record_ids, sources, weigh, inform, settings, lambda share: report(share / 2), candidates
    )
    fired: Counter[str] = Counter()
    starts = np.flatnonzero(np.diff(groups[rows], prepend=-1))
    for done, one in enumerate(np.split(rows, starts[1:]), 1):
        first, review, counts = _cut_guarded(
            one, point_of, frame, record_ids, sources, weigh, inform, settings, guarding, candidates
        )
        labels[one] = labels[one[first]]
        reviews += review
        fired += counts
        report(0.5 + 0.5 * done / len(starts))
    return factorise(labels)[0], reviews, fired


def _cut_guarded(
    rows: Longs, point_of: Longs, frame: Frame, record_ids: Sequence[str], sources: Sequence[str], weigh: Weigh,
    inform: Inform, settings: ClusterSettings, guarding: Guarding, candidates: Candidates | None,
) -> tuple[Longs, bool, Counter[str]]:  # fmt: skip
    """Cut one component that guard rails touch; answer the place of the first row of each one's identity."""
    points = point_of[rows].astype(np.int32)
    profile_of = {point: frame.profile(point) for point in united([points]).tolist()}
    digest_of = {point: profile.encode() for point, profile in profile_of.items()}
    keys = [(sources[row], record_ids[row]) for row in rows.tolist()]
    profiles = [profile_of[point] for point in points.tolist()]
    vetoes = guarding.guards.vetoes((source, profile) for (source, _), profile in zip(keys, profiles, strict=True))
    times = [0] * len(rows) if guarding.observed_at is None else guarding.observed_at[rows].tolist()
    limits = guarding.guards.held_to(profiles, times, guarding.weigh_profiles)
    digests = [digest_of[point] for point in points.tolist()]
    cutting = cluster(
        keys, digests, lambda i, j: weigh(points[i], points[j]), (), settings, vetoes, limits,
        information=lambda i: inform(points[i]), candidates=_at(points, candidates), explain=False,
    )  # fmt: skip
    _, first, inverse = np.unique(cutting.labels, return_index=True, return_inverse=True)
    fired = cutting.limited if vetoes is None else cutting.limited + vetoes.fired()
    return first[inverse], cutting.needs_review, fired


def _at(points: NDArray[np.int32], candidates: Candidates | None) -> Candidates | None:
    """Pair positions by the points that they have."""
    return None if candidates is None else lambda positions: candidates(points[positions])


def _cut_free(
    groups: Longs,
    point_of: Longs,
    frame: Frame,
    record_ids: Sequence[str],
    sources: Sequence[str],
    weigh: Weigh,
    inform: Inform,
    settings: ClusterSettings,
    report: Callable[[float], None],
    candidates: Candidates | None,
) -> tuple[Longs, int]:
    """Cut components whose records nothing keeps apart."""
    # An identity is known by one of its (component, profile) members until the end; rows of one member are always together.
    member_of, first = _members(groups, point_of)
    members = _Members(groups[first], point_of[first], np.bincount(member_of, minlength=len(first)))
    label = np.arange(len(first))
    sizes = np.bincount(members.group)[members.group]
    reviews = 0
    several = np.flatnonzero(sizes > 1)
    if len(several):
        order = _by_rank(several, members, member_of, groups, point_of, frame, record_ids, sources)
        in_order = sizes.take(order)
        small = in_order <= min(_MOST_TOGETHER, settings.max_component)
        done = 0
        for parts in _batches(order.compress(small), in_order.compress(small)):
            for part, weights in zip(parts, _weigh_within(members, parts, weigh), strict=True):
                label[part] = np.take_along_axis(part, _join(members, part, weights, inform, settings), axis=1)
                done += part.size
            report(done / len(several))
        for one in _components(order.compress(~small), in_order.compress(~small)):
            labels, review = _cut_large(members, one, weigh, inform, settings, candidates)
            label[one] = one[labels]
            reviews += review
            done += len(one)
            report(done / len(several))
    return factorise(label.take(member_of))[0], reviews


def _batches(order: Longs, sizes: Longs) -> Iterator[list[Longs]]:
    """Part members, in order of their components, by the sizes of these: components of one size, each a row, some at a time."""
    batch: list[Longs] = []
    free = _BATCH
    for size in np.flatnonzero(np.bincount(sizes)).tolist():
        chosen = order.compress(sizes == size).reshape(-1, size)
        while len(chosen):
            fitting = max(free // (size * size), 0 if batch else 1)
            if fitting:
                batch.append(chosen[:fitting])
                chosen = chosen[fitting:]
                free -= batch[-1].size * size
            else:
                yield batch
                batch, free = [], _BATCH
    if batch:
        yield batch


def _components(order: Longs, sizes: Longs) -> Iterator[Longs]:
    """List the members of each component, given its size with each of them."""
    start = 0
    while start < len(order):
        yield order[start : start + sizes[start]]
        start += int(sizes[start])


def _weigh_within(members: _Members, parts: Sequence[Longs], weigh: Weigh) -> list[Longs]:
    """Weigh all pairs within components, those of all parts in one go; of each part, a row of pairs for each component."""
    sides = [np.triu_indices(part.shape[1], 1) for part in parts]
    points = [members.point[part].astype(np.int32) for part in parts]
    left, right = (np.concatenate([p[:, s[k]].ravel() for p, s in zip(points, sides, strict=True)]) for k in (0, 1))
    some = [slice(start, start + _WEIGHED) for start in range(0, len(left), _WEIGHED)]
    weights = np.concatenate(together(partial(weigh, left[pairs], right[pairs]) for pairs in some))
    ends = np.cumsum([len(part) * len(s[0]) for part, s in zip(parts, sides, strict=True)])
    return [w.reshape(len(part), -1) for w, part in zip(np.split(weights, ends[:-1]), parts, strict=True)]


def _members(groups: Longs, point_of: Longs) -> tuple[Longs, Longs]:
    """Number the distinct (component, profile) of the rows, and answer the first row of each."""
    width = int(point_of.max(initial=0)) + 1
    return factorise(groups * width + point_of)


def _by_rank(
    several: Longs, members: _Members, member_of: Longs, groups: Longs, point_of: Longs, frame: Frame,
    record_ids: Sequence[str], sources: Sequence[str],
) -> Longs:  # fmt: skip
    """Order the members of components of several profiles by component and smallest (source, record id, profile)."""
    wanted = np.zeros(len(members.point), np.bool_)
    wanted[several] = True
    rows = np.flatnonzero(wanted[member_of])
    source, number = _ranks(sources, rows), _ranks(record_ids, rows)
    order = _in_order([groups[rows], source, number])
    rows, source, number = rows[order], source[order], number[order]
    group = groups[rows]
    same = np.flatnonzero((group[1:] == group[:-1]) & (source[1:] == source[:-1]) & (number[1:] == number[:-1]))
    if len(same):
        # Records of one source and id that repeats: their profiles decide.
        tied = united([same, same + 1])
        keys = sorted(
            (int(group[i]), int(source[i]), int(number[i]), frame.profile(int(point_of[rows[i]])).encode(), int(rows[i]))
            for i in tied.tolist()
        )
        rows[tied] = [key[-1] for key in keys]
    _, first = factorise(member_of[rows])
    return member_of[rows[first]]


def _in_order(columns: Sequence[Longs]) -> Longs:
    """Order rows by the first column, then the next ones."""
    widths = [int(column.max(initial=0)) + 1 for column in columns]
    if prod(widths) < 1 << WIDEST:
        return np.argsort(pack(list(zip(columns, widths, strict=True)), len(columns[0])))
    return np.lexsort(columns[::-1])


def _ranks(texts: Sequence[str], rows: Longs) -> Longs:
    """Rank the texts of some rows as Python orders them."""
    column = TextColumn.of(texts)
    codes = column.codes[rows]
    rank = np.zeros(len(column.distinct_texts), np.int64)
    rank[codes] = 1
    used = np.flatnonzero(rank)
    rank[used] = ranks(column.distinct_texts.take(integers(used)))
    return rank[codes]


def _join(members: _Members, part: Longs, weights: Longs, inform: Inform, settings: ClusterSettings) -> Longs:
    """Join components of equal size by average linkage; answer the slot, by rank, of the first member each is joined to.

    `weights` are those of their pairs, of shape (components, pairs).

    The same as `linkage.link_few` on each: the two groups with the best average join, of equal averages the smallest slots.
    """
    many, k = part.shape
    upper, lower = np.triu_indices(k, 1)
    sizes = members.count[part]
    if k > 2:
        sizes *= inform(members.point[part].ravel()).reshape(many, k)
    sums = np.zeros((many, k, k), np.int64)
    sums[:, upper, lower] = weights
    linked = np.zeros((many, k, k), np.bool_)
    linked[:, upper, lower] = weights >= settings.link_weight
    sums += sums.transpose(0, 2, 1)
    linked |= linked.transpose(0, 2, 1)
    sums *= sizes[:, :, None] * sizes[:, None, :]
    stays_of = np.tile(np.arange(k), (many, 1))
    alive = np.arange(many)
    for _ in range(k - 1):
        averages = sums[alive][:, upper, lower] // (sizes[alive][:, upper] * sizes[alive][:, lower])
        averages[~linked[alive][:, upper, lower]] = _NEVER
        best = averages.argmax(axis=1)
        found = averages[np.arange(len(alive)), best]
        going = (found != _NEVER) & (found >= settings.min_average)
        alive, best = alive[going], best[going]
        if not len(alive):
            break
        a, b = upper[best], lower[best]
        sizes[alive, a] += sizes[alive, b]
        sums[alive, a] += sums[alive, b]
        sums[alive, :, a] = sums[alive, a]
        linked[alive, a] |= linked[alive, b]
        linked[alive, a, a] = False
        linked[alive, :, a] = linked[alive, a]
        linked[alive, b] = False
        linked[alive, :, b] = False
        slots = stays_of[alive]
        stays_of[alive] = np.where(slots == b[:, None], a[:, None], slots)
    return stays_of


def _cut_large(
    members: _Members, one: Longs, weigh: Weigh, inform: Inform, settings: ClusterSettings, candidates: Candidates | None
) -> tuple[Longs, bool]:
    """Cut one component, whose members are in order of rank; answer the place of the first member of each one's identity."""
    points = members.point[one].astype(np.int32)
    # Each row counts; ranks stand in for order keys, and places for profiles, which is all that cutting looks at.
    place = np.repeat(np.arange(len(one)), members.count[one])
    keys = [("", f"{i:09d}") for i in place.tolist()]
    digests = [i.to_bytes(4, "big") for i in place.tolist()]
    at = points[place]
    cutting = cluster(
        keys, digests, lambda i, j: weigh(at[i], at[j]), (), settings,
        information=lambda i: inform(at[i]), candidates=_at(at, candidates), explain=False,
    )  # fmt: skip
    labels = np.asarray(cutting.labels)
    _, first = np.unique(labels, return_index=True)
    return place[first][labels[np.searchsorted(place, np.arange(len(one)))]], cutting.needs_review
