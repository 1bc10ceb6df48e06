"""Part what is too large to be weighed pair by pair: raise the link threshold until the parts fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from goldenthread.resolver.linkage import components

__all__ = ["parts_that_fit"]


def parts_that_fit(
    profiles: Sequence[int], left: NDArray[np.int64], right: NDArray[np.int64], weight: NDArray[np.int64], limit: int
) -> list[list[int]]:
    """Part atoms of so many profiles each into sets connected by links, each with the lowest threshold at which it fits.

    Links are taken from the strongest down, those of one weight at once. A set that would grow past the limit is closed
    as it was before, with all that would have joined it: so the result does not depend on the order of links.
    """
    k = len(profiles)
    parent = list(range(k))
    total = list(profiles)
    closed = [False] * k

    def root(atom: int) -> int:
        while parent[atom] != atom:
            parent[atom] = parent[parent[atom]]
            atom = parent[atom]
        return atom

    order = np.argsort(-weight, kind="stable")
    for level in np.split(order, np.flatnonzero(np.diff(weight[order])) + 1):
        pairs = {(root(a), root(b)) for a, b in zip(left[level].tolist(), right[level].tolist(), strict=True)}
        pairs = {(a, b) for a, b in pairs if a != b}
        if not pairs:
            continue
        roots = sorted({end for pair in pairs for end in pair})
        place = {end: i for i, end in enumerate(roots)}
        labels = components(len(roots), np.array([place[a] for a, _ in pairs]), np.array([place[b] for _, b in pairs]))
        together: dict[int, list[int]] = {}
        for end, label in zip(roots, labels.tolist(), strict=True):
            together.setdefault(label, []).append(end)
        for ends in together.values():
            if any(closed[end] for end in ends) or sum(total[end] for end in ends) > limit:
                for end in ends:
                    closed[end] = True
            else:
                for end in ends[1:]:
                    parent[end] = ends[0]
                    total[ends[0]] += total[end]
    parts: dict[int, list[int]] = {}
    for atom in range(k):
        parts.setdefault(root(atom), []).append(atom)
    return list(parts.values())
