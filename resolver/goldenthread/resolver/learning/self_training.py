"""Train on the groups that the latent classes find, and choose the operating point by what the groups would be worth.

The groups know more than a pair does: a pair that looks doubtful by itself is one person where both are linked to a third.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from msgspec import UNSET, Struct, UnsetType
from numpy.typing import NDArray

from goldenthread.resolver.learning.collective import collective, probabilities, share_related
from goldenthread.resolver.learning.em import patterns
from goldenthread.resolver.learning.groups import Sample, groups_at, join_all, sample_components
from goldenthread.resolver.learning.refine import LN2, fit_correction, in_fixed_point
from goldenthread.resolver.learning.seen import Comparable
from goldenthread.resolver.scoring.information import Information
from goldenthread.resolver.scoring.model import WEIGHT_SCALE
from goldenthread.resolver.scoring.refinement import Refinement, Refiner
from goldenthread.resolver.scoring.scorer import weigh_by_classes

__all__ = [
    "LINK_WEIGHT",
    "MIN_AVERAGE",
    "Pool",
    "SelfTrained",
    "choose_operating_point",
    "sample_pool",
    "self_train",
    "what_counts",
]

Floats = NDArray[np.float64]
Weights = NDArray[np.int64]
Tables = Sequence[tuple[tuple[int, ...], ...]]

LINK_WEIGHT, MIN_AVERAGE = WEIGHT_SCALE, -3 * WEIGHT_SCALE
"""The operating point of the latent classes alone, whose probabilities are not calibrated."""

_TRAINED_LINK_WEIGHT, _TRAINED_MIN_AVERAGE = WEIGHT_SCALE // 2, -5 * WEIGHT_SCALE // 2
"""The operating point of trained weights where nothing better can be told: F1 is best near even odds (Lipton et al., "Optimal
thresholding of classifiers to maximize F1 measure", 2014), and the members of one group may look apart."""

_COMPONENTS_AT = tuple(bits * WEIGHT_SCALE for bits in range(-1, 9))
_LINK_WEIGHTS = tuple(halves * WEIGHT_SCALE // 2 for halves in (-2, -1, 0, 1, 2, 4, 6))
_MIN_AVERAGES = tuple(halves * WEIGHT_SCALE // 2 for halves in (-16, -12, -10, -8, -7, -6, -5, -4, -3, -2, 0, 2, 4))
_ERRORS = 0.5
"""Standard errors within which an operating point is as good as the best: that is better with a probability of at most .7."""

_LEAST_MATCHES = 60.0
"""Pairs within groups below which training on them would be guesswork."""

_LEAST_AGREEMENT = 0.85
"""The least share (F1) of pairs that the groups before and after training must have in common."""

_SCALES = (0.3, 3.0)


class SelfTrained(Struct):
    """What self-training settled on; `refinement` is unset, and `classes` are as given, where its guard refused it."""

    priors: tuple[int, ...]
    tables: list[tuple[tuple[int, ...], ...]]
    refinement: Refinement | UnsetType
    link_weight: int
    min_average: int
    expected_f1: float


def refined(levels: NDArray[np.int8], priors: Sequence[int], tables: Tables, refinement: Refinement | UnsetType) -> Weights:
    """Weigh pairs by their levels, of shape (pairs, comparisons), as a scorer would."""
    weights = weigh_by_classes(levels, priors, tables)
    return weights if isinstance(refinement, UnsetType) else Refiner(refinement).refine_many(levels, weights)


class Pool(Struct):
    """Some components with all pairs within them, `own` levels, and the candidate pairs, by position, that lead out of them."""

    table: Comparable
    sample: Sample
    own: NDArray[np.int8]
    kept: NDArray[np.int64]
    outside: NDArray[np.int8]


def sample_pool(table: Comparable, levels: NDArray[np.int8], weights: Weights, seed: int) -> Pool:
    """Sample components by the weights of the candidate pairs, whose levels are given."""
    n, left, right = table.profiles, table.left, table.right
    sample = sample_components(n, left, right, lambda at: weights >= at, _COMPONENTS_AT, seed)
    # A pair to a profile outside the sample counts from one of its sides only, as often as a component is sampled.
    kept = np.flatnonzero(sample.chosen[left])
    packed = left[kept].astype(np.int64) * n + right[kept]
    within = np.sort(sample.left.astype(np.int64) * n + sample.right)
    kept = kept[np.searchsorted(within, packed, side="left") == np.searchsorted(within, packed, side="right")]
    return Pool(table, sample, table.levels(sample.left, sample.right), kept, levels[kept])


def self_train(
    table: Comparable, levels: NDArray[np.int8], weights: Weights, priors: tuple[int, ...], tables: Tables, seed: int
) -> SelfTrained:
    """Train on the groups of a sample of components and choose the operating point.

    `levels` are those of the candidates, `weights` what the latent classes make of them.

    Refuses, leaving the latent classes as they are, when there are too few matches or when training would overturn what it
    was trained on.
    """
    plain = SelfTrained(priors, list(tables), UNSET, LINK_WEIGHT, MIN_AVERAGE, 0.0)
    n = table.profiles
    pool = sample_pool(table, levels, weights, seed)
    sample, own = pool.sample, pool.own
    if not len(own):
        return plain
    own_weights = weigh_by_classes(own, priors, tables)
    before = groups_at(n, join_all(sample, own_weights, what_counts(table, tables), LINK_WEIGHT), MIN_AVERAGE)
    together = before[sample.left] == before[sample.right]
    if together.sum() < _LEAST_MATCHES:
        return plain
    every = np.concatenate([own, pool.outside])
    seen, counts, pattern_of = patterns(every)
    yes = np.bincount(pattern_of[: len(own)], weights=together.astype(np.float64), minlength=len(seen)).astype(np.float64)
    base = weigh_by_classes(seen, priors, tables) / WEIGHT_SCALE * LN2
    correction = fit_correction(seen, base, yes, counts.astype(np.float64) - yes, [len(t[0]) for t in tables])
    if not _SCALES[0] <= correction.scale <= _SCALES[1]:
        return plain
    scaled_priors = tuple(round(p * correction.scale) for p in priors)
    scaled = [tuple(tuple(round(p * correction.scale) for p in row) for row in rows) for rows in tables]
    refinement = in_fixed_point(correction)
    new = [refined(some, scaled_priors, scaled, refinement) for some in (own, pool.outside)]
    related = share_related(own, scaled_priors, scaled)
    chosen = choose_operating_point(pool, new[0], new[1], related, what_counts(table, scaled))
    link_weight, min_average, expected, after = chosen
    if _agreement(together, after[sample.left] == after[sample.right]) < _LEAST_AGREEMENT:
        return plain
    return SelfTrained(scaled_priors, scaled, refinement, link_weight, min_average, expected)


def what_counts(table: Comparable, tables: Tables) -> NDArray[np.int64]:
    """Say what the records of each profile count in averages, by what they know under the tables of the latent classes."""
    return table.counts * Information(tables, WEIGHT_SCALE).of(table.known())


def choose_operating_point(
    pool: Pool,
    own: Weights,
    outside: Weights,
    related: Floats,
    counting: NDArray[np.int64],
    stands: tuple[int, int] | None = None,
) -> tuple[int, int, float, NDArray[np.int64]]:
    """Choose the link weight and least average whose groups have the best expected F1; answer them, that F1, and the groups.

    `own` are the weights of the pairs within the components, `outside` of those that lead out of them; `related` is how
    probably the former are related people, if two; `counting` says what each profile counts in averages. A point that
    `stands` is not chosen anew, only measured.
    """
    table, sample, kept, counts = pool.table, pool.sample, pool.kept, pool.table.counts
    equal = counts[sample.chosen]
    surely = float((equal * (equal - 1) // 2).sum())
    probable = collective(sample, own, related, counting)
    records = (counts[sample.left] * counts[sample.right]).astype(np.float64)
    others = counts[table.left[kept]] * counts[table.right[kept]]
    possible = surely + float(probable @ records) + float(probabilities(outside) @ others)
    found: list[_Tried] = []
    for link_weight in _LINK_WEIGHTS if stands is None else stands[:1]:
        joins = join_all(sample, own, counting, link_weight)
        for min_average in _MIN_AVERAGES if stands is None else stands[1:]:
            groups = groups_at(table.profiles, joins, min_average)
            same = groups[sample.left] == groups[sample.right]
            right, both = surely + float(probable[same] @ records[same]), surely + float(records[same].sum()) + possible
            found.append(_Tried(2.0 * right / max(both, 1.0), max(both, 1.0), link_weight, min_average, same))
    chosen = _nearest_default(found, probable * (1.0 - probable) * records**2, is_whole=sample.weakest <= _LINK_WEIGHTS[0])
    groups = groups_at(table.profiles, join_all(sample, own, counting, chosen.link_weight), chosen.min_average)
    return chosen.link_weight, chosen.min_average, chosen.f1, groups


class _Tried(Struct):
    """An operating point, the F1 expected of it, the pairs claimed and possible together, and which pairs it puts together."""

    f1: float
    both: float
    link_weight: int
    min_average: int
    same: NDArray[np.bool_]

    @property
    def far(self) -> float:
        """How far it is from the default."""
        return abs(self.link_weight - _TRAINED_LINK_WEIGHT) + abs(self.min_average - _TRAINED_MIN_AVERAGE) / 2


def _nearest_default(found: Sequence[_Tried], variances: Floats, *, is_whole: bool) -> _Tried:
    """Choose, of the points that are as good as the best within the error of what is expected, the one nearest the default.

    Only pairs that a point and the best treat differently make one better than the other, so only the `variances` of their
    matches count. That holds of whole components alone: where weaker links were left out, the pairs that these would bring
    together are not seen, and the error of all that are seen stands for them.
    """
    best = max(found, key=lambda tried: (tried.f1, tried.far, tried.link_weight, tried.min_average))

    def error(which: NDArray[np.bool_]) -> float:
        return 2.0 * math.sqrt(float(variances[which].sum())) / best.both

    most = error(np.ones(len(variances), np.bool_))
    good = [
        tried
        for tried in found
        if tried.f1 >= best.f1 - most and (not is_whole or tried.f1 >= best.f1 - _ERRORS * error(tried.same != best.same))
    ]
    return min(good, key=lambda tried: (tried.far, -tried.f1, tried.link_weight))


def _agreement(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Compute F1 of the pairs that two groupings put together."""
    return 2.0 * float((one & other).sum()) / max(float(one.sum() + other.sum()), 1.0)
