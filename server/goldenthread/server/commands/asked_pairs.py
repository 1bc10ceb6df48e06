"""Choose the pair of records that a steward is asked about, of an identity that a guard wants looked at.

Of an identity that is too large that is its weakest bridge: the lightest pair of the maximum spanning tree over its distinct
profiles, all pairs weighed. What a decision says is one is one already, so that each answer leads to the next bridge, and
nothing is asked when every bridge was confirmed. Where a decision overrode a veto it is the first pair that disagrees.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from goldenthread.resolver.clusters import Decision
from goldenthread.resolver.vetoes import Subject, Vetoes
from goldenthread.server.commands.prepare_record import Member

__all__ = ["disagreeing_pairs", "weakest_bridge"]

Weigh = Callable[[NDArray[np.int32], NDArray[np.int32]], NDArray[np.int64]]
"""Weigh pairs of places of a component."""

_MOST = 512
"""Distinct profiles of an identity among which the weakest bridge is looked for: the first, by order of their records."""

_BOUND = np.iinfo(np.int64).max


def weakest_bridge(
    places: Sequence[int], members: Sequence[Member], decisions: Sequence[Decision], weigh: Weigh
) -> tuple[int, int] | None:
    """Find the places of the pair at an identity's weakest bridge, given its places in the component; None if none is left.

    Of equal records alone, which have no bridge, the first two are asked about.
    """
    first: dict[bytes, int] = {}
    for place in places:
        first.setdefault(members[place].digest, place)
    musts = [{*decision.left, *decision.right} for decision in decisions if decision.must]
    points = list(first.values())[:_MOST]
    k = len(points)
    if k == 1:
        pair = (places[0], places[1])
        return None if any(must.issuperset(pair) for must in musts) else pair
    at = np.array(points, np.int32)
    upper, lower = (side.astype(np.int32) for side in np.triu_indices(k, 1))
    weights = np.zeros((k, k), np.int64)
    weights[upper, lower] = weights[lower, upper] = weigh(at[upper], at[lower])
    row = {members[place].digest: i for i, place in enumerate(points)}
    own = set(places)
    for must in musts:
        bound = sorted({row[members[place].digest] for place in must & own if members[place].digest in row})
        weights[np.ix_(bound, bound)] = _BOUND
    outside = np.ones(k, np.bool_)
    outside[0] = False
    best, partner = weights[0].copy(), np.zeros(k, np.int64)
    bridges: list[tuple[int, int, int]] = []
    for _ in range(k - 1):
        candidates = np.flatnonzero(outside)
        new = int(candidates[best[candidates].argmax()])
        ends = points[new], points[int(partner[new])]
        bridges.append((int(best[new]), min(ends), max(ends)))
        outside[new] = False
        better = weights[new] > best
        best[better], partner[better] = weights[new][better], new
    weight, one, other = min(bridges)
    return (one, other) if weight < _BOUND else None


def disagreeing_pairs(places: Sequence[int], vetoes: Vetoes) -> list[tuple[int, int]]:
    """List, for each subject of which records of an identity disagree, the places of the first two that do."""
    seen: dict[Subject, dict[frozenset[Hashable], int]] = {}
    found: dict[Subject, tuple[int, int]] = {}
    for place in places:
        for subject, values in vetoes.claims[place].items():
            before = seen.setdefault(subject, {})
            if subject not in found:
                other = next((at for claimed, at in before.items() if claimed.isdisjoint(values)), None)
                if other is not None:
                    found[subject] = (other, place)
            before.setdefault(values, place)
    return sorted(set(found.values()))
