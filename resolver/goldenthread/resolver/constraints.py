"""Bind members that decisions or equal profiles hold together, and bar those that decisions or vetoes keep apart.

Decisions are taken from the latest revision to the earliest, each as far as the later ones leave it room: a must decision
puts a member with the first group it may join, a cannot decision bars what is not already together. Of one revision,
cannot decisions come first, because a wrong join is worse than a wrong split.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

__all__ = ["CANNOT", "VETO", "Atoms", "Ruling", "bind", "gather"]

CANNOT, VETO = 2, 4
"""Why two atoms may not join."""


class Ruling(Struct, frozen=True):
    """A decision on members by rank: `must` puts left and right together, else each of left is kept from each of right."""

    revision: int
    must: bool
    left: tuple[int, ...]
    right: tuple[int, ...]


class Atoms(Struct):
    """Groups of members that never come apart, by smallest rank; ranks ascend within each.

    `barriers` holds, by pair of atoms (smaller first), why they may not join. `joins` holds how the atoms were made:
    two groups of ranks, and whether a decision joined them. `overruled` says that a decision joined what a veto bars.
    """

    groups: list[list[int]]
    barriers: dict[tuple[int, int], int]
    joins: list[tuple[list[int], list[int], bool]]
    overruled: bool


def gather(point_of: Sequence[int], points: int) -> Atoms:
    """Gather equal profiles; `point_of` numbers the profile of each rank by first appearance."""
    groups: list[list[int]] = [[] for _ in range(points)]
    for rank, point in enumerate(point_of):
        groups[point].append(rank)
    joins = [(group[:1], group[1:], False) for group in groups if len(group) > 1]
    return Atoms(groups, {}, joins, False)


def bind(point_of: Sequence[int], rulings: Iterable[Ruling], vetoes: Iterable[tuple[int, int]]) -> Atoms:
    """Carry out rulings and vetoes on ranks, then gather equal profiles as far as they allow it."""
    forest = _Forest(len(point_of))
    for ruling in sorted(rulings, key=lambda r: (-r.revision, r.must, sorted(r.left), sorted(r.right))):
        if ruling.must:
            forest.join_all(sorted({*ruling.left, *ruling.right}), by_decision=True)
        else:
            for one in ruling.left:
                for other in ruling.right:
                    forest.bar(one, other, CANNOT)
    overruled = False
    for one, other in vetoes:
        overruled |= not forest.bar(one, other, VETO)
    equal: dict[int, list[int]] = {}
    for rank, point in enumerate(point_of):
        equal.setdefault(point, []).append(rank)
    for ranks in equal.values():
        if len(ranks) > 1:
            forest.join_all(ranks, by_decision=False)
    return forest.atoms(overruled)


class _Forest:
    """Groups of ranks, each known by its smallest, with the groups it may not join."""

    def __init__(self, n: int) -> None:
        self.group_of = list(range(n))
        self.groups = {rank: [rank] for rank in range(n)}
        self.barred: dict[int, dict[int, int]] = {}
        self.joins: list[tuple[list[int], list[int], bool]] = []

    def bar(self, one: int, other: int, why: int) -> bool:
        """Keep two ranks apart; answer False when the two are together already."""
        left, right = self.group_of[one], self.group_of[other]
        if left == right:
            return one == other
        for a, b in ((left, right), (right, left)):
            row = self.barred.setdefault(a, {})
            row[b] = row.get(b, 0) | why
        return True

    def join_all(self, ranks: Iterable[int], *, by_decision: bool) -> None:
        """Put each rank, in order, with the first group of those before that it may join."""
        homes: list[int] = []
        for rank in ranks:
            group = self.group_of[rank]
            if group in homes:
                continue
            for place, home in enumerate(homes):
                if group not in self.barred.get(home, {}):
                    homes[place] = self._join(home, group, by_decision)
                    break
            else:
                homes.append(group)

    def _join(self, one: int, other: int, by_decision: bool) -> int:
        left, right = min(one, other), max(one, other)
        gone = self.groups.pop(right)
        self.joins.append((list(self.groups[left]), gone, by_decision))
        self.groups[left] = sorted(self.groups[left] + gone)
        for rank in gone:
            self.group_of[rank] = left
        for enemy, why in self.barred.pop(right, {}).items():
            del self.barred[enemy][right]
            self.barred[enemy][left] = self.barred[enemy].get(left, 0) | why
            row = self.barred.setdefault(left, {})
            row[enemy] = row.get(enemy, 0) | why
        return left

    def atoms(self, overruled: bool) -> Atoms:
        """Number the groups by smallest rank."""
        number = {group: atom for atom, group in enumerate(sorted(self.groups))}
        barriers = {
            (number[one], number[other]): why
            for one, row in self.barred.items()
            for other, why in row.items()
            if number[one] < number[other]
        }
        return Atoms([self.groups[group] for group in number], barriers, self.joins, overruled)
