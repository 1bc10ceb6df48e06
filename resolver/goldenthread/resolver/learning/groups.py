"""Group profiles as clustering will, on a sample of components, for every operating point at once.

Greedy average linkage with a lower least average goes on from where it stops with a higher one, so one run of it without any
holds the groups of all: a prefix of its joins. Only the link weight needs a run of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.resolver.linkage import FEW, Join, components, link_few, link_many

__all__ = ["Group", "Sample", "groups_at", "join_all", "sample_components", "square"]

N = TypeVar("N", np.int64, np.float64)

_MOST_PROFILES = 8_000
_MOST_PAIRS = 250_000
_LARGEST = 500
"""Profiles of the largest component that is looked at: its pairs grow with the square, and it is rarely one of people."""

_NO_LEAST = -(1 << 40)


class Group(Struct):
    """One component: its profiles, ascending, and where its pairs stand among those of the sample, upper triangle by row."""

    profiles: NDArray[np.int64]
    start: int
    end: int


class Sample(Struct):
    """Some components with all pairs within them; `chosen` says of each profile of the table whether its component is here.

    `weakest` is the weight from which links count; over weaker ones components may hang together.
    """

    groups: list[Group]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    chosen: NDArray[np.bool_]
    weakest: int


def sample_components(
    n: int,
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    is_link: Callable[[int], NDArray[np.bool_]],
    thresholds: tuple[int, ...],
    seed: int,
) -> Sample:
    """Sample the components that links make of `n` profiles, at the first threshold that keeps all of them small."""
    for threshold in thresholds:
        strong = is_link(threshold)
        label = components(n, left[strong], right[strong])
        sizes = np.bincount(label, minlength=1)
        if sizes.max() <= _LARGEST:
            break
    order = np.argsort(label, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    chosen = np.zeros(n, np.bool_)
    groups: list[Group] = []
    firsts: list[NDArray[np.int32]] = []
    seconds: list[NDArray[np.int32]] = []
    profiles, at = 0, 0
    for which in np.random.default_rng(seed).permutation(len(sizes)).tolist():
        if profiles >= _MOST_PROFILES or at >= _MOST_PAIRS:
            break
        size = int(sizes[which])
        pairs = size * (size - 1) // 2
        if size > _LARGEST or profiles + size > _MOST_PROFILES or at + pairs > _MOST_PAIRS:
            continue
        members = order[starts[which] : starts[which + 1]]
        chosen[members] = True
        profiles += size
        if size > 1:
            i, j = np.triu_indices(size, 1)
            firsts.append(members[i].astype(np.int32))
            seconds.append(members[j].astype(np.int32))
            groups.append(Group(members, at, at + pairs))
            at += pairs
    nothing = [np.zeros(0, np.int32)]
    return Sample(groups, np.concatenate(firsts or nothing), np.concatenate(seconds or nothing), chosen, threshold)


def join_all(sample: Sample, weights: NDArray[np.int64], counts: NDArray[np.int64], link_weight: int) -> list[list[Join]]:
    """Join the profiles of each component to the end; lists of joins by connected set, ends given as profiles."""
    strong = weights >= link_weight
    connected = components(len(counts), sample.left[strong], sample.right[strong])
    found: list[list[Join]] = []
    for group in sample.groups:
        own = weights[group.start : group.end]
        if own.max() < link_weight:
            continue
        k = len(group.profiles)
        if k == 2:
            found.append([(int(group.profiles[0]), int(group.profiles[1]), int(own[0]))])
            continue
        matrix = square(own, k)
        sets: dict[int, list[int]] = {}
        for place, label in enumerate(connected[group.profiles].tolist()):
            sets.setdefault(label, []).append(place)
        for places in sets.values():
            if len(places) > 1:
                names, joins = group.profiles[places], _join(matrix, places, counts[group.profiles[places]], link_weight)
                found.append([(int(names[a]), int(names[b]), average) for a, b, average in joins])
    return found


def _join(matrix: NDArray[np.int64], places: list[int], sizes: NDArray[np.int64], link_weight: int) -> list[Join]:
    """Join the members of a connected set, given by their places in a matrix of weights."""
    if len(places) < len(matrix):
        matrix = matrix[np.ix_(places, places)]
    states = (matrix >= link_weight).astype(np.uint8)
    np.fill_diagonal(states, 0)
    sums = matrix * sizes[:, None] * sizes
    if len(places) <= FEW:
        return link_few(sums.tolist(), states.tolist(), sizes.tolist(), _NO_LEAST)
    return link_many(sums, states, sizes.copy(), _NO_LEAST)


def groups_at(n: int, joins: list[list[Join]], min_average: int) -> NDArray[np.int64]:
    """Label profiles by the groups that a least average leaves."""
    parent = np.arange(n)
    for steps in joins:
        for stays, goes, average in steps:
            if average < min_average:
                break
            parent[goes] = stays
    while True:
        above = parent[parent]
        if np.array_equal(above, parent):
            return parent
        parent = above


def square(values: NDArray[N], k: int) -> NDArray[N]:
    """Fill symmetric matrices of k profiles with values of their pairs, the last axis; zero along the diagonal."""
    matrix = np.zeros((*values.shape[:-1], k, k), values.dtype)
    first, second = np.triu_indices(k, 1)
    matrix[..., first, second] = values
    matrix[..., second, first] = values
    return matrix
