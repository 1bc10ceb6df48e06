"""Bind members that decisions or equal profiles hold together, and bar those that decisions or vetoes keep apart.

Decisions are taken from the latest revision to the earliest, each as far as the later ones leave it room: a must decision
puts a member with the first group it may join, a cannot decision bars what is not already together. Of one revision,
cannot decisions come first, because a wrong join is worse than a wrong split. A must decision joins what a veto keeps apart
only when it says that it overrides vetoes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.resolver.vetoes import (
    DUPLICATE_FREE,
    GroupClaims,
    Subject,
    Vetoes,
    barred_links,
    barred_pairs,
    first_disagreement,
    together,
)

__all__ = ["CANNOT", "VETO", "Atoms", "Ruling", "bind", "gather"]

CANNOT, VETO = 2, 4
"""Why two atoms may not join."""

_NOTHING: GroupClaims = {}


class Ruling(Struct, frozen=True):
    """A decision on members by rank: `must` puts left and right together, else each of left is kept from each of right."""

    revision: int
    must: bool
    left: tuple[int, ...]
    right: tuple[int, ...]
    overrides_veto: bool = False


class Atoms(Struct):
    """Groups of members that never come apart, by smallest rank; ranks ascend within each.

    `barred` holds the pairs of atoms (smaller first) that decisions keep apart, `claims` what the members of each atom claim,
    where any of them does. `joins` holds how the atoms were made: two groups of ranks, and whether a decision joined them.
    `overruled` holds the subjects of vetoes that a decision overrode.
    """

    groups: list[list[int]]
    barred: frozenset[tuple[int, int]]
    claims: Mapping[int, GroupClaims]
    joins: list[tuple[list[int], list[int], bool]]
    overruled: list[Subject]

    def barriers(self, atoms: Sequence[int]) -> tuple[list[tuple[int, int, int]], dict[tuple[int, int], Subject]]:
        """List the pairs of some atoms that may not join, by place, with why, and the subjects of the vetoes among them."""
        found: list[tuple[int, int, int]] = []
        if self.barred:
            place = {atom: slot for slot, atom in enumerate(atoms)}
            found = [(place[a], place[b], CANNOT) for a, b in self.barred if a in place and b in place]
        if not self.claims:
            return found, {}
        vetoes = barred_pairs([self.claims.get(atom, _NOTHING) for atom in atoms])
        found += [(a, b, VETO) for a, b, _ in vetoes]
        return found, {(a, b): subject for a, b, subject in vetoes}

    def are_barred(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say of each pair of atoms, smaller first, whether it may not join."""
        k = len(self.groups)
        decided = np.array([one * k + other for one, other in self.barred], dtype=np.int64)
        barred: NDArray[np.bool_] = np.isin(left * k + right, decided)
        if self.claims:
            barred |= barred_links([self.claims.get(atom, _NOTHING) for atom in range(k)], left, right)
        return barred

    def size(self, point_of: Sequence[int]) -> int:
        """Count the profiles of the atoms, one that several atoms have for each of them."""
        return sum(len({point_of[rank] for rank in ranks}) if len(ranks) > 1 else 1 for ranks in self.groups)


def gather(point_of: Sequence[int], points: int) -> Atoms:
    """Gather equal profiles; `point_of` numbers the profile of each rank by first appearance."""
    groups: list[list[int]] = [[] for _ in range(points)]
    for rank, point in enumerate(point_of):
        groups[point].append(rank)
    joins = [(group[:1], group[1:], False) for group in groups if len(group) > 1]
    return Atoms(groups, frozenset(), {}, joins, [])


def bind(point_of: Sequence[int], rulings: Iterable[Ruling], vetoes: Vetoes | None = None) -> Atoms:
    """Carry out rulings on ranks, by whose order `vetoes` are given, then gather equal profiles as far as both allow it."""
    forest = _Forest(len(point_of), vetoes)
    for ruling in sorted(rulings, key=lambda r: (-r.revision, r.must, sorted(r.left), sorted(r.right))):
        if ruling.must:
            forest.join_all(sorted({*ruling.left, *ruling.right}), by_decision=True, overrides_veto=ruling.overrides_veto)
        else:
            for one in ruling.left:
                for other in ruling.right:
                    forest.bar(one, other)
    equal: dict[int, list[int]] = {}
    for rank, point in enumerate(point_of):
        equal.setdefault(point, []).append(rank)
    for ranks in equal.values():
        if len(ranks) > 1:
            forest.join_all(ranks, by_decision=False)
    return forest.atoms()


class _Forest:
    """Groups of ranks, each known by its smallest, with the groups that decisions keep from it and what its members claim."""

    def __init__(self, n: int, vetoes: Vetoes | None) -> None:
        self.group_of = list(range(n))
        self.groups = {rank: [rank] for rank in range(n)}
        self.barred: dict[int, set[int]] = {}
        self.claims: dict[int, GroupClaims] = {}
        self.overruled: list[Subject] = []
        self.joins: list[tuple[list[int], list[int], bool]] = []
        for rank, claims in enumerate(vetoes.claims if vetoes is not None else ()):
            if claims:
                self.claims[rank] = {subject: frozenset({values}) for subject, values in claims.items()}

    def bar(self, one: int, other: int) -> None:
        """Keep two ranks apart, unless they are together already."""
        left, right = self.group_of[one], self.group_of[other]
        if left != right:
            self.barred.setdefault(left, set()).add(right)
            self.barred.setdefault(right, set()).add(left)

    def join_all(self, ranks: Iterable[int], *, by_decision: bool, overrides_veto: bool = False) -> None:
        """Put each rank, in order, with the first group of those before that it may join."""
        homes: list[int] = []
        known: set[int] = set()
        full: dict[tuple[Subject, ...], int] = {}
        for rank in ranks:
            group = self.group_of[rank]
            if group in known:
                continue
            # What a home bars it goes on to bar: of ranks that claim of the same subjects, each a value of its own, the next
            # need not ask again where the one before was turned away.
            alike = () if overrides_veto else self._alone_of_its_kind(group)
            start = full.get(alike, 0) if alike else 0
            for place in range(start, len(homes)):
                home = homes[place]
                if group in self.barred.get(home, ()) or not (overrides_veto or self._agree(home, group)):
                    continue
                homes[place] = self._join(home, group, by_decision)
                break
            else:
                place = len(homes)
                homes.append(group)
            known.update((group, homes[place]))
            if alike:
                full[alike] = place + 1

    def _alone_of_its_kind(self, group: int) -> tuple[Subject, ...]:
        """Name the subjects of which a single rank without decisions claims what no other rank can; empty if it is no such."""
        claims = self.claims.get(group)
        if not claims or group in self.barred or len(self.groups[group]) > 1:
            return ()
        return tuple(sorted(claims)) if all(subject[0] == DUPLICATE_FREE for subject in claims) else ()

    def _agree(self, one: int, other: int) -> bool:
        left, right = self.claims.get(one), self.claims.get(other)
        return left is None or right is None or first_disagreement(left, right) is None

    def _join(self, one: int, other: int, by_decision: bool) -> int:
        left, right = min(one, other), max(one, other)
        gone = self.groups.pop(right)
        self.joins.append((list(self.groups[left]), gone, by_decision))
        self.groups[left] = sorted(self.groups[left] + gone)
        for rank in gone:
            self.group_of[rank] = left
        for enemy in self.barred.pop(right, set()):
            self.barred[enemy].discard(right)
            self.barred[enemy].add(left)
            self.barred.setdefault(left, set()).add(enemy)
        claims = self.claims.pop(right, None)
        if claims is not None:
            mine = self.claims.get(left, _NOTHING)
            if (subject := first_disagreement(mine, claims)) is not None:
                self.overruled.append(subject)
            self.claims[left] = together(mine, claims)
        return left

    def atoms(self) -> Atoms:
        """Number the groups by smallest rank."""
        number = {group: atom for atom, group in enumerate(sorted(self.groups))}
        barred = frozenset(
            (number[one], number[other]) for one, row in self.barred.items() for other in row if number[one] < number[other]
        )
        claims = {number[group]: claims for group, claims in self.claims.items()}
        return Atoms([self.groups[group] for group in number], barred, claims, self.joins, self.overruled)
