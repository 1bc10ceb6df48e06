"""Estimate how probably two records of a component are one person, given the other records of it.

What a third record says depends on why the two may be different people. Strangers hardly ever both look like one third record:
who does is one person with the other. Related people do as soon as that record lacks what tells them apart, and then it belongs
to one of them at most: a father, his son of one name, and a record of that name without birth date are not one person.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from goldenthread.resolver.learning.em import ADDRESS, FAMILY, MATCH
from goldenthread.resolver.learning.groups import Group, Sample, square
from goldenthread.resolver.scoring.model import WEIGHT_SCALE
from goldenthread.resolver.scoring.scorer import totals_by_classes

__all__ = ["collective", "contests", "probabilities", "share_related", "through_others"]

Floats = NDArray[np.float64]
Weights = NDArray[np.int64]

_PATH_SHARE = 0.6
"""How far what links a pair over a third counts against what the pair says itself, where it says more for one person."""

_LARGEST_PATHS = 150
_LEAST_SHARE = 1e-12
_MOST_BITS = 40.0
_CELLS = 1 << 18
"""Cells of the matrices of components of one size that are worked on at a time."""


def probabilities(weights: Weights | Floats) -> Floats:
    out: Floats = 1.0 / (1.0 + np.exp2(np.clip(-weights / WEIGHT_SCALE, -60.0, 60.0)))
    return out


def share_related(levels: NDArray[np.int8], priors: Sequence[int], tables: Sequence[Sequence[Sequence[int]]]) -> Floats:
    """Say how probably pairs, given by their levels, are family or people at one address, should they be two people."""
    logs = np.delete(totals_by_classes(levels, priors, tables), MATCH, axis=0) / WEIGHT_SCALE
    odds = np.exp2(logs - logs.max(axis=0))
    out: Floats = (odds[FAMILY - 1] + odds[ADDRESS - 1]) / odds.sum(axis=0)
    return out


def collective(sample: Sample, weights: Weights, related: Floats, counting: NDArray[np.int64]) -> Floats:
    """Estimate how probably pairs of a component are one person, given the others.

    `related` is their share of related people among two people (see `share_related`), `counting` what each profile counts. For
    one person instead of strangers speaks the way over a third, mixed in log-odds with what the pair says itself; against one
    person instead of related people speak those to whom either belongs.
    """
    own = weights / WEIGHT_SCALE
    way = np.clip(through_others(sample, probabilities(weights)), 1e-9, 1 - 1e-9)
    over_third = np.log2(way / (1.0 - way))
    not_strangers = own - np.log2(np.maximum(1.0 - related, _LEAST_SHARE))
    mixed = _PATH_SHARE * over_third + (1.0 - _PATH_SHARE) * not_strangers
    not_strangers = np.where(over_third > not_strangers, mixed, not_strangers)
    not_related = own - np.log2(np.maximum(related, _LEAST_SHARE))
    not_related = not_related + contests(sample, own, not_related, counting)
    return probabilities(-np.logaddexp2(-not_strangers, -not_related) * WEIGHT_SCALE)


def through_others(sample: Sample, probabilities: Floats) -> Floats:
    """Give each pair of a component the probability of the best way from one to the other over one third profile."""
    out = probabilities.copy()
    for group in sample.groups:
        k = len(group.profiles)
        if not 2 < k <= _LARGEST_PATHS:
            continue
        matrix = square(probabilities[group.start : group.end], k)
        best = np.zeros((k, k))
        for third in range(k):
            np.maximum(best, matrix[third][:, None] * matrix[third], out=best)
        out[group.start : group.end] = best[np.triu_indices(k, 1)]
    return out


def contests(sample: Sample, own: Floats, not_related: Floats, counting: NDArray[np.int64]) -> Floats:
    """Say by how much third profiles lower the log-odds that pairs are one person and not related people; at most 0.

    Of three profiles all are one person, two are, or none. So where the odds are x that a third is one person with the first
    and y that it is one with the second, not related to it, those of the pair are (xy + 1) / (x + y + 1) times what they were.
    Thirds are averaged, each as often as it counts and as surely as it is one person with either; components where nobody
    looks related stay as they are. `own` and `not_related` are log-odds, to base 2, of one person instead of anything else,
    and instead of related people.
    """
    out = np.zeros(len(own))
    by_size: dict[int, list[Group]] = {}
    for group in sample.groups:
        k = len(group.profiles)
        if 2 < k <= _LARGEST_PATHS and not_related[group.start : group.end].min() < 0.0:
            by_size.setdefault(k, []).append(group)
    for k, groups in by_size.items():
        step = max(1, _CELLS // k**2)
        for at in range(0, len(groups), step):
            some = groups[at : at + step]
            pairs = np.array([group.start for group in some])[:, None] + np.arange(k * (k - 1) // 2)
            counted = counting[np.stack([group.profiles for group in some])].astype(np.float64)
            out[pairs] = _contests_of(_odds(own[pairs], k), _odds(not_related[pairs], k), counted)
    return out


def _odds(logs: Floats, k: int) -> Floats:
    """Turn log-odds of pairs of components of `k`, of shape (components, pairs), into symmetric matrices of odds."""
    return square(np.exp2(np.clip(logs, -_MOST_BITS, _MOST_BITS)), k)


def _contests_of(one: Floats, unrelated: Floats, counted: Floats) -> Floats:
    """Do what `contests` does to components of one size: odds of shape (components, k, k), what counts (components, k)."""
    k = one.shape[1]
    surely = one / (1.0 + one)
    total, counts = np.zeros(one.shape), np.full(one.shape, _LEAST_SHARE)
    for third in range(k):
        x, y = one[:, :, third, None], unrelated[:, None, third, :]
        ratio = (x * y + 1.0) / (x + y + 1.0)
        ratio = np.minimum(np.minimum(ratio, ratio.transpose(0, 2, 1)), 1.0)
        says = np.maximum(surely[:, :, third, None], surely[:, None, third, :]) * counted[:, third, None, None]
        says[:, third, :] = says[:, :, third] = 0.0
        total += says * np.log2(ratio)
        counts += says
    upper = np.triu_indices(k, 1)
    out: Floats = (total / counts)[:, upper[0], upper[1]]
    return out
