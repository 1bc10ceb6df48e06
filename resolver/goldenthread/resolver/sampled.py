"""Estimate precision and recall without the truth, from a sample of pairs that somebody labelled.

Candidate pairs and claimed pairs are put into strata by weight and by whether their records are one identity. Each stratum is
sampled systematically with chances proportional to the record pairs that a pair stands for, most where the model is least sure
(Neyman allocation). Estimates are ratios of Horvitz-Thompson totals. Intervals come from drawing what was not seen from the
posterior of each stratum, with a prior worth one label at the model's own probability: so a stratum whose labels all agree has
an interval all the same.

What blocking never made is not in the sample: recall is of the candidate and claimed pairs. Horvitz and Thompson, "A
generalization of sampling without replacement from a finite universe", 1952; Marchant and Rubinstein, "In search of an entity
resolution OASIS", 2017.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

__all__ = ["Estimate", "Interval", "LabelledPair", "SampledPair", "draw_sample", "estimate"]

Floats = NDArray[np.float64]

_EDGES = (-13.0, -10.0, -7.0, -3.0, 0.0, 3.0, 7.0, 10.0)
"""Bounds of the strata, in bits."""

_LEAST = 5
"""Pairs that each stratum gives at least."""

_PRIOR = 1.0
_DRAWS = 4_000


class SampledPair(Struct, frozen=True):
    """A pair to be labelled: its position among those given, its stratum, and how many of the stratum's draws fell on it.

    `stratum_pairs` is how many record pairs the stratum stands for, `expected` the share of them that the model holds for
    matches.
    """

    pair: int
    stratum: int
    stratum_pairs: float
    expected: float
    draws: int


class LabelledPair(Struct, frozen=True):
    """A sampled pair, whether the result that is measured holds it for one identity, and what somebody said; None: nothing."""

    stratum: int
    stratum_pairs: float
    expected: float
    draws: int
    same_identity: bool
    is_match: bool | None


class Interval(Struct, frozen=True):
    """An estimate with its interval."""

    value: float
    low: float
    high: float


class Estimate(Struct, frozen=True):
    """Estimates from labelled pairs; `confidence` is the chance meant by the intervals."""

    labelled: int
    strata: int
    confidence: float
    precision: Interval
    recall: Interval
    f1: Interval
    warnings: tuple[str, ...]


def draw_sample(
    bits: Floats, probabilities: Floats, times: Floats, same_identity: NDArray[np.bool_], size: int, seed: int = 0
) -> list[SampledPair]:
    """Choose about `size` pairs to label, by weight in bits, probability, record pairs that each stands for, and claim.

    The same input and seed choose the same pairs. In order of stratum, strongest first.
    """
    stratum_of = np.searchsorted(np.asarray(_EDGES), bits, side="right") * 2 + same_identity
    present = np.unique(stratum_of)
    totals = np.array([times[stratum_of == s].sum() for s in present])
    shares = np.array([(times * probabilities)[stratum_of == s].sum() for s in present]) / np.maximum(totals, 1e-300)
    spread = totals * np.sqrt(np.clip(shares * (1 - shares), 1e-6, None))
    sizes = np.maximum(np.floor(size * spread / max(spread.sum(), 1e-300)), _LEAST)
    # The floor of each stratum comes out of the others, so that about as many are drawn as were asked for.
    free = sizes > _LEAST
    sizes[free] = np.maximum(_LEAST, np.floor(sizes[free] * max(size - sizes[~free].sum(), 0.0) / max(sizes[free].sum(), 1.0)))
    rng = np.random.default_rng(seed)
    found: list[SampledPair] = []
    for stratum, total, share, wanted in zip(present.tolist()[::-1], totals[::-1], shares[::-1], sizes[::-1], strict=True):
        members = np.flatnonzero(stratum_of == stratum)
        members = members[np.lexsort((members, -bits[members]))]
        if total <= wanted:
            drawn = np.round(times[members]).astype(np.int64).clip(1)
        else:
            points = (rng.random() + np.arange(int(wanted))) * (total / int(wanted))
            places = np.searchsorted(np.cumsum(times[members]), points, side="right").clip(max=len(members) - 1)
            drawn = np.bincount(places, minlength=len(members))
        for place in np.flatnonzero(drawn).tolist():
            found.append(SampledPair(int(members[place]), stratum, float(total), float(share), int(drawn[place])))
    return found


def estimate(pairs: Sequence[LabelledPair], *, confidence: float = 0.95, seed: int = 0) -> Estimate:
    """Estimate precision, recall and F1 of the result that says `same_identity`, which need not be the one sampled from.

    A stratum without any label counts as the model says, with a warning. Raises: ValueError, when no pair is labelled.
    """
    labelled = sum(1 for p in pairs if p.is_match is not None)
    if not labelled:
        raise ValueError("No pair is labelled; write 1 or 0 into the column label.")
    strata = sorted({p.stratum for p in pairs})
    place = {s: i for i, s in enumerate(strata)}
    seen = np.zeros((len(strata), 4))  # claimed and true, claimed and false, true only, neither
    shown, totals, expected = np.zeros((len(strata), 2)), np.zeros(len(strata)), np.zeros(len(strata))
    for p in pairs:
        row = place[p.stratum]
        totals[row], expected[row] = p.stratum_pairs, p.expected
        shown[row, 0 if p.same_identity else 1] += p.draws
        if p.is_match is not None:
            seen[row, (0 if p.is_match else 1) if p.same_identity else (2 if p.is_match else 3)] += p.draws
    claimed = shown[:, :1] / shown.sum(axis=1, keepdims=True)
    match = expected[:, None]
    prior = _PRIOR * np.hstack([claimed * match, claimed * (1 - match), (1 - claimed) * match, (1 - claimed) * (1 - match)])
    drawn = seen.sum(axis=1)
    told = np.where(drawn[:, None] > 0, seen / np.maximum(drawn, 1.0)[:, None], prior / _PRIOR)
    point = _measures((totals[:, None] * told)[:, None, :])
    rng = np.random.default_rng(seed)
    gammas = rng.standard_gamma((seen + prior)[:, None, :], (len(strata), _DRAWS, 4))
    unseen = np.maximum(totals - drawn, 0.0)
    shares = gammas / np.maximum(gammas.sum(axis=2, keepdims=True), 1e-300)
    draws = _measures(seen[:, None, :] + unseen[:, None, None] * shares)
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=1)
    precision, recall, f1 = (
        Interval(float(v), min(float(a), float(v)), max(float(b), float(v)))
        for v, a, b in zip(point[:, 0], low, high, strict=True)
    )
    thin = sum(1 for n, total in zip(drawn, totals, strict=True) if n < min(_LEAST, total))
    warnings = (f"{thin} of {len(strata)} strata have fewer than {_LEAST} labels; label more of their pairs.",) if thin else ()
    return Estimate(labelled, len(strata), confidence, precision, recall, f1, warnings)


def _measures(cells: Floats) -> Floats:
    """Turn totals (strata, draws, cells) into precision, recall and F1; shape (3, draws)."""
    both, false, missed, _ = cells.sum(axis=0).T
    claimed, true = both + false, both + missed
    precision = np.divide(both, claimed, out=np.ones_like(both), where=claimed > 0)
    recall = np.divide(both, true, out=np.ones_like(both), where=true > 0)
    f1 = np.divide(2 * both, claimed + true, out=np.ones_like(both), where=claimed + true > 0)
    return np.stack([precision, recall, f1])
