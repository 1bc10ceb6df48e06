"""Find the evidence that holds an identity together: without it, the same cutting would take the identity apart.

Every piece of evidence is taken away in turn and the component is cut again by the resolver's own function: a match between
two records, everything one comparison says of the identity's records, and each decision that links. A match that is taken away
speaks neither for nor against one person: it weighs nothing, which is no link.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.resolver.clusters import Decision
from goldenthread.server.commands.linking import Part, cut_part, vetoes_of, weight_matrix
from goldenthread.server.commands.tenants import Tenant

__all__ = ["Bridge", "Bridges", "find_bridges"]

_MOST_RECORDS = 512
"""Records of a component beyond which nothing is taken away: cutting it once takes a second."""

_MOST_TRIES = 300
"""Matches that are taken away in turn, the lightest first."""


class Bridge(Struct, frozen=True):
    """Evidence without which an identity comes apart into `groups` of records, the largest first.

    Of a match `records` and `weight` say which; of a comparison its name and the least weight that it adds to a match of the
    identity; of a decision the revision at which it was made.
    """

    by: Literal["match", "comparison", "decision"]
    groups: Sequence[Sequence[bytes]]
    records: tuple[bytes, ...] = ()
    comparison: str = ""
    revision: int = 0
    weight: int = 0


class Bridges(Struct, frozen=True):
    """The bridges of an identity, matches first and the weakest first; `is_cut` when not everything was tried."""

    found: Sequence[Bridge]
    is_cut: bool


async def find_bridges(tenant: Tenant, part: Part, records: Sequence[bytes]) -> Bridges:
    """Find the bridges of an identity, given the component that its records are in."""
    if len(records) < 2:
        return Bridges((), is_cut=False)
    if len(part.records) > _MOST_RECORDS:
        return Bridges((), is_cut=True)
    return await asyncio.to_thread(_Search(tenant, part, records).run)


class _Search:
    """Take evidence away from one identity of a component; places are those of its records in the component."""

    def __init__(self, tenant: Tenant, part: Part, records: Sequence[bytes]) -> None:
        self.tenant, self.part = tenant, part
        own = set(records)
        self.places = [i for i, record in enumerate(part.records) if record in own]
        self.matrix, self.vetoes = weight_matrix(tenant, part), vetoes_of(tenant, part)
        equal: dict[bytes, list[int]] = defaultdict(list)
        for place in self.places:
            equal[part.members[place].digest].append(place)
        self.profiles = list(equal.values())
        """Places of the identity by profile: equal profiles are one point, which no evidence holds together."""

    def run(self) -> Bridges:
        """Try everything."""
        matches, is_cut = self._matches()
        return Bridges([*matches, *self._comparisons(), *self._decisions()], is_cut)

    def _groups(self, matrix: NDArray[np.int64], decisions: Sequence[Decision]) -> list[list[bytes]]:
        """Cut again; group the identity's records, the largest group first."""
        changed = msgspec.structs.replace(self.part, decisions=list(decisions))
        labels = cut_part(self.tenant, changed, self.vetoes, matrix, explain=False).labels
        groups: dict[int, list[bytes]] = defaultdict(list)
        for place in self.places:
            groups[labels[place]].append(self.part.records[place])
        return sorted(groups.values(), key=lambda group: -len(group))

    def _matches(self) -> tuple[list[Bridge], bool]:
        link = self.tenant.clustering.link_weight
        nothing = min(0, link - 1)
        links = sorted(
            (int(self.matrix[a[0], b[0]]), i, j)
            for i, a in enumerate(self.profiles)
            for j, b in enumerate(self.profiles[:i])
            if self.matrix[a[0], b[0]] >= link
        )
        found = []
        for weight, i, j in links[:_MOST_TRIES]:
            one, other = self.profiles[i], self.profiles[j]
            matrix = self.matrix.copy()
            matrix[np.ix_(one, other)] = matrix[np.ix_(other, one)] = nothing
            groups = self._groups(matrix, self.part.decisions)
            if len(groups) > 1:
                pair = sorted((one[0], other[0]))
                found.append(Bridge("match", groups, tuple(self.part.records[place] for place in pair), weight=weight))
        return found, len(links) > _MOST_TRIES

    def _comparisons(self) -> list[Bridge]:
        """Take away, for the pairs of the identity, all that one comparison says."""
        scorer = self.tenant.scorer
        pairs = [(a, b) for i, a in enumerate(self.profiles) for b in self.profiles[:i]]
        if not pairs or len(pairs) > _MOST_TRIES:
            return []
        members = self.part.members
        levels = np.array([scorer.levels(members[a[0]].profile, members[b[0]].profile) for a, b in pairs], dtype=np.int8)
        whole = scorer.weigh_levels(levels)
        found = []
        for k, comparison in enumerate(scorer.comparisons):
            if not levels[:, k].any():
                continue
            without = levels.copy()
            without[:, k] = 0
            weights = scorer.weigh_levels(without)
            matrix = self.matrix.copy()
            for (a, b), weight in zip(pairs, weights.tolist(), strict=True):
                matrix[np.ix_(a, b)] = matrix[np.ix_(b, a)] = weight
            groups = self._groups(matrix, self.part.decisions)
            if len(groups) > 1:
                least = int((whole - weights)[levels[:, k] > 0].min())
                found.append(Bridge("comparison", groups, comparison=comparison.name, weight=least))
        return sorted(found, key=lambda bridge: bridge.weight)

    def _decisions(self) -> list[Bridge]:
        own = set(self.places)
        found = []
        for decision in self.part.decisions:
            if decision.must and len(own & {*decision.left, *decision.right}) > 1:
                rest = [other for other in self.part.decisions if other is not decision]
                groups = self._groups(self.matrix, rest)
                if len(groups) > 1:
                    found.append(Bridge("decision", groups, revision=decision.revision))
        return found
