"""Weigh the pairs of a part of a component, and join its groups by average linkage: always the two with the best average.

In `link_few` and `link_many` groups are slots 0…k-1 in order of rank. `sums` holds the summed weight of all pairs between
two groups, each as often as its two members count, `states` what is known between them (two may join only in state 1: linked,
and barred by nothing), `sizes` what their members count together. All are consumed. Joins come back as (slot that stays, slot
that goes, average), the smaller slot staying, so that a slot always has the rank of its group's smallest member. Of equal
averages the smallest pair of slots is joined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from goldenthread.resolver.limits import Tally

__all__ = ["Entry", "Join", "Part", "components", "link_few", "link_many"]

Join = tuple[int, int, int]
Entry = tuple[int, int, int]
"""A profile's point, how many members of a group have it (or what these count), and the smallest rank of these."""
JOINABLE, OVER_LIMIT = 1, 8
FEW = 20  # up to this many groups plain lists are faster than arrays

_UPPER = [tuple(side.astype(np.int32) for side in np.triu_indices(k, 1)) for k in range(FEW + 1)]

_NEVER = np.iinfo(np.int64).min


def components(n: int, left: NDArray[np.integer], right: NDArray[np.integer]) -> NDArray[np.int32]:
    """Label the connected components of `n` members linked by pairs, numbered by their smallest member.

    Each member points to a smaller one of its component or to itself; pairs of those pointed to are what remains (Shiloach and
    Vishkin, "An O(log n) parallel connectivity algorithm", 1982).
    """
    pointed = np.arange(n, dtype=np.int32)
    while len(left):
        low, high = np.minimum(left, right), np.maximum(left, right)
        np.minimum.at(pointed, high, low.astype(np.int32))
        while not np.array_equal(further := pointed[pointed], pointed):
            pointed = further
        left, right = pointed[low], pointed[high]
        apart = np.flatnonzero(left != right)
        left, right = left[apart], right[apart]
    number = np.cumsum(pointed == np.arange(n, dtype=np.int32), dtype=np.int32) - np.int32(1)
    return number[pointed]


class Part:
    """Some atoms of a component, with the weights of all pairs of their profiles.

    `groups` gives the entries of each atom, smallest rank first; `position_of` the member that stands for a rank. Where three
    profiles or more meet, each of the pairs counts by what its two members know, which `information` says.
    With `self_weights` equal profiles are weighed too, which only explanations need; without, of joins nothing but what they
    come to is right.
    """

    def __init__(
        self,
        groups: list[list[Entry]],
        position_of: Sequence[int],
        weigh: Callable[[NDArray[np.int32], NDArray[np.int32]], NDArray[np.int64]],
        information: Callable[[NDArray[np.int32]], NDArray[np.int64]] | None,
        link_weight: int,
        *,
        self_weights: bool,
    ) -> None:
        self.link_weight, self.in_steps = link_weight, self_weights
        self.row: dict[int, int] = {}
        members: list[int] = []
        multiple: list[int] = []
        for group in groups:
            for point, count, rank in group:
                if point not in self.row:
                    self.row[point] = len(members)
                    members.append(position_of[rank])
                elif self_weights:
                    multiple.append(self.row[point])
                if self_weights and count > 1:
                    multiple.append(self.row[point])
        k = len(members)
        self.few = k <= FEW and len(groups) <= FEW
        stand_ins = np.array(members, dtype=np.int32)
        # Between two profiles there is nothing to outvote, and the average is the same whatever each counts.
        is_asked = information is not None and (len(groups) > 2 or any(len(group) > 1 for group in groups))
        self.count_of = information(stand_ins).tolist() if information is not None and is_asked else [1] * k
        self.groups = [self.counted(group) for group in groups]
        if self.few:
            upper, lower = _UPPER[k]
        else:
            upper, lower = (side.astype(np.int32) for side in np.triu_indices(k, 1))
        if multiple:
            upper, lower = np.append(upper, np.array(multiple, np.int32)), np.append(lower, np.array(multiple, np.int32))
        weights = weigh(stand_ins[upper], stand_ins[lower]) if len(upper) else np.zeros(0, dtype=np.int64)
        if self.few:
            self.lists = [[0] * k for _ in range(k)]
            for i, j, weight in zip(upper.tolist(), lower.tolist(), weights.tolist(), strict=True):
                self.lists[i][j] = self.lists[j][i] = weight
        else:
            self.matrix = np.zeros((k, k), dtype=np.int64)
            self.matrix[upper, lower] = weights
            self.matrix[lower, upper] = weights

    def counted(self, entries: Sequence[Entry]) -> list[Entry]:
        """Turn the numbers of members of entries into what these count."""
        return [(point, count * self.count_of[self.row[point]], rank) for point, count, rank in entries]

    def join(self, barriers: Sequence[tuple[int, int, int]], min_average: int, tally: Tally | None = None) -> list[Join]:
        """Join the atoms, known by their place; a barrier is two places and a state they get beside being linked or not.

        Of groups that a `tally` counts none join that it does not let.
        """
        return self._join_few(barriers, min_average, tally) if self.few else self._join_many(barriers, min_average, tally)

    def _join_few(self, barriers: Sequence[tuple[int, int, int]], min_average: int, tally: Tally | None) -> list[Join]:
        k = len(self.groups)
        sums = [[0] * k for _ in range(k)]
        states = [[0] * k for _ in range(k)]
        sizes = [1] * k
        groups = [[(self.row[point], count) for point, count, _ in group] for group in self.groups]
        self.linked: list[tuple[int, int]] = []
        for a, group in enumerate(groups):
            sizes[a] = sum(count for _, count in group)
            for b in range(a + 1, k):
                total, state = 0, 0
                for i, count in group:
                    weights = self.lists[i]
                    for j, other in groups[b]:
                        weight = weights[j]
                        total += weight * count * other
                        if weight >= self.link_weight:
                            state = JOINABLE
                sums[a][b] = sums[b][a] = total
                if state:
                    states[a][b] = states[b][a] = state
                    self.linked.append((a, b))
        for a, b, why in barriers:
            states[a][b] |= why
            states[b][a] |= why
        return link_few(sums, states, sizes, min_average, tally) if self.linked else []

    def _join_many(self, barriers: Sequence[tuple[int, int, int]], min_average: int, tally: Tally | None) -> list[Join]:
        starts = np.cumsum([0] + [len(group) for group in self.groups[:-1]])
        rows = np.array([self.row[point] for group in self.groups for point, _, _ in group])
        counts = np.array([count for group in self.groups for _, count, _ in group], dtype=np.int64)
        sums = self.matrix[np.ix_(rows, rows)]
        states = (sums >= self.link_weight).astype(np.uint8)
        if len(rows) > len(starts):
            states = np.maximum.reduceat(np.maximum.reduceat(states, starts, axis=0), starts, axis=1)
        if counts.max() > 1:
            sums *= counts[:, None] * counts
        if len(rows) > len(starts):
            sums = np.add.reduceat(np.add.reduceat(sums, starts, axis=0), starts, axis=1)
        sizes = np.add.reduceat(counts, starts)
        np.fill_diagonal(states, 0)
        self.linked_arrays = np.nonzero(np.triu(states))
        for a, b, why in barriers:
            states[a, b] |= why
            states[b, a] |= why
        joins: list[Join] = []
        # Only groups that links connect can ever join, so each such set is joined by itself.
        connected = components(len(sizes), *np.nonzero(states == JOINABLE))
        by_set = np.argsort(connected, kind="stable")
        for places in np.split(by_set, np.flatnonzero(np.diff(connected[by_set])) + 1):
            if len(places) > 1:
                grid = np.ix_(places, places)
                own = tally.some(places.tolist()) if tally is not None else None
                if own is None and not self.in_steps and _all_join(sums[grid], states[grid], sizes[places], min_average):
                    joins += [(int(places[0]), int(place), min_average) for place in places[1:]]
                    continue
                if len(places) <= FEW:
                    few = link_few(sums[grid].tolist(), states[grid].tolist(), sizes[places].tolist(), min_average, own)
                else:
                    few = link_many(sums[grid], states[grid], sizes[places], min_average, own)
                joins += [(int(places[a]), int(places[b]), average) for a, b, average in few]
        return joins

    def linked_ends(self, end_of: Sequence[int]) -> list[tuple[int, int]]:
        """List the pairs of ends, smaller first, that a link between two of their atoms joins."""
        if self.few:
            pairs = {(end_of[a], end_of[b]) for a, b in self.linked}
        else:
            ends = np.asarray(end_of)
            a, b = self.linked_arrays
            apart = ends[a] != ends[b]
            pairs = set(zip(ends[a[apart]].tolist(), ends[b[apart]].tolist(), strict=True))
        return sorted({(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]})

    def average(self, left: Sequence[Entry], right: Sequence[Entry]) -> int:
        """Average the weights between two groups, rounded down."""
        weights = self.lists if self.few else self.matrix
        left, right = self.counted(left), self.counted(right)
        total = sum(int(weights[self.row[p]][self.row[q]]) * count * other for p, count, _ in left for q, other, _ in right)
        return total // (sum(count for _, count, _ in left) * sum(count for _, count, _ in right))

    def strongest(self, left: Sequence[Entry], right: Sequence[Entry]) -> tuple[int, int, int]:
        """Find the strongest pair between two groups: its weight and the smallest ranks that have it."""
        if self.few:
            negative, i, j = min((-self.lists[self.row[p]][self.row[q]], i, j) for p, _, i in left for q, _, j in right)
            return -negative, i, j
        weights = self.matrix[np.ix_([self.row[p] for p, _, _ in left], [self.row[q] for q, _, _ in right])]
        i, j = divmod(int(weights.argmax()), len(right))
        return int(weights[i, j]), left[i][2], right[j][2]


def _all_join(sums: NDArray[np.int64], states: NDArray[np.uint8], sizes: NDArray[np.int64], min_average: int) -> bool:
    """Whether groups that links connect are sure to become one: nothing bars any two, and all averages are high enough.

    The average between two unions of groups is a mean of those between the groups, so it is high enough as well.
    """
    enough = sums >= min_average * sizes[:, None] * sizes
    np.fill_diagonal(enough, val=True)
    return bool(enough.all()) and int(states.max()) <= JOINABLE


def link_few(
    sums: list[list[int]], states: list[list[int]], sizes: list[int], min_average: int, tally: Tally | None = None
) -> list[Join]:
    """Join a few groups, in plain lists: O(k³), and much faster than arrays up to some twenty."""
    slots = list(range(len(sizes)))
    joins: list[Join] = []
    while True:
        best, left, right = min_average - 1, -1, -1
        for place, a in enumerate(slots):
            row, state, size = sums[a], states[a], sizes[a]
            for b in slots[place + 1 :]:
                if state[b] == JOINABLE:
                    average = row[b] // (size * sizes[b])
                    if average > best:
                        best, left, right = average, a, b
        if left < 0:
            return joins
        if tally is not None:
            if not tally.lets_join(left, right):
                states[left][right] = states[right][left] = OVER_LIMIT
                continue
            tally.join(left, right)
        joins.append((left, right, best))
        slots.remove(right)
        sizes[left] += sizes[right]
        row, gone, state, state_gone = sums[left], sums[right], states[left], states[right]
        for c in slots:
            if c != left:
                row[c] = sums[c][left] = row[c] + gone[c]
                state[c] = states[c][left] = state[c] | state_gone[c]


def link_many(
    sums: NDArray[np.int64], states: NDArray[np.uint8], sizes: NDArray[np.int64], min_average: int, tally: Tally | None = None
) -> list[Join]:
    """Join many groups, in arrays: each row keeps its best partner, and a join renews only the rows it touches."""
    k = len(sizes)
    names = np.arange(k)
    np.fill_diagonal(states, 0)
    best, partner = _best_partners(sums, states, sizes, names, min_average)
    alive = np.ones(k, dtype=bool)
    joins: list[Join] = []
    while True:
        a = int(best.argmax())
        if best[a] == _NEVER:
            return joins
        b = int(partner[a])
        if tally is not None:
            if not tally.lets_join(int(names[a]), int(names[b])):
                states[a, b] = states[b, a] = OVER_LIMIT
                ends = np.array([a, b])
                best[ends], partner[ends] = _best_partners(sums, states, sizes, ends, min_average)
                continue
            tally.join(int(names[a]), int(names[b]))
        joins.append((int(names[a]), int(names[b]), int(best[a])))
        alive[b] = False
        sizes[a] += sizes[b]
        sums[a] += sums[b]
        sums[:, a] = sums[a]
        states[a] |= states[b]
        states[a, a] = 0
        states[:, a] = states[a]
        states[b] = 0
        states[:, b] = 0
        best[b] = _NEVER
        stale = np.flatnonzero(((partner == a) | (partner == b)) & (best != _NEVER))
        row = np.where(states[a] == JOINABLE, sums[a] // (sizes[a] * sizes), _NEVER)
        row[row < min_average] = _NEVER
        better = (row > best) | ((row == best) & (a < partner) & (row != _NEVER))
        best[better] = row[better]
        partner[better] = a
        stale = np.append(stale[~better[stale]], a)
        best[stale], partner[stale] = _best_partners(sums, states, sizes, stale, min_average)
        if 2 * np.count_nonzero(alive) < len(names) > 64:
            kept = np.flatnonzero(alive)
            place = np.cumsum(alive) - 1
            grid = np.ix_(kept, kept)
            sums, states, sizes, names, best = sums[grid], states[grid], sizes[kept], names[kept], best[kept]
            partner = place[partner[kept]]
            alive = np.ones(len(kept), dtype=bool)


def _best_partners(
    sums: NDArray[np.int64], states: NDArray[np.uint8], sizes: NDArray[np.int64], rows: NDArray[np.int64], min_average: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the best average of some rows and the smallest slot that has it; _NEVER where none may be joined."""
    best = np.full(len(rows), _NEVER, dtype=np.int64)
    partner = np.zeros(len(rows), dtype=np.int64)
    for at in range(0, len(rows), 256):
        part = rows[at : at + 256]
        averages = sums[part] // (sizes[part][:, None] * sizes)
        averages[(states[part] != JOINABLE) | (averages < min_average)] = _NEVER
        columns = averages.argmax(axis=1)
        partner[at : at + 256] = columns
        best[at : at + 256] = averages[np.arange(len(part)), columns]
    return best, partner
