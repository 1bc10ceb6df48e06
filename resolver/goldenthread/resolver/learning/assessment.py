"""Measure a model's weights against labelled pairs: precision, recall and F1 with an interval, and calibration.

The interval is the percentile bootstrap over the labelled pairs (Efron, "Bootstrap methods: another look at the jackknife",
1979). It says how sure the labels make one; where they were not drawn at random, it says nothing of other pairs.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.resolver.learning.refine import LN2
from goldenthread.resolver.scoring.model import WEIGHT_SCALE

__all__ = ["Assessment", "assess"]

_RESAMPLES = 1000
_BINS = 10


class Assessment(Struct, frozen=True):
    """How well weights tell labelled pairs apart; a pair is linked from the link weight on. Shares are from 0 to 1.

    `f1_low` and `f1_high` hold 95 % of the resampled F1. `calibration_error` is the expected calibration error over ten equal
    bins of probability. Where nothing could be wrong, the share is 1.
    """

    labels: int
    matches: int
    linked: int
    precision: float
    recall: float
    f1: float
    f1_low: float
    f1_high: float
    log_loss: float
    calibration_error: float


def assess(weights: NDArray[np.int64], is_match: NDArray[np.bool_], link_weight: int, seed: int = 0) -> Assessment:
    """Measure weights of labelled pairs, both of shape (pairs,), at least one."""
    linked = weights >= link_weight
    hits, wrong, missed = linked & is_match, linked & ~is_match, ~linked & is_match
    outcome = np.where(hits, 0, np.where(wrong, 1, np.where(missed, 2, 3)))
    counts = np.bincount(outcome, minlength=4)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(weights), counts / len(weights), size=_RESAMPLES)
    low, high = np.quantile(_f1(drawn[:, 0], drawn[:, 1], drawn[:, 2]), [0.025, 0.975])
    z = np.clip(weights / WEIGHT_SCALE * LN2, -50.0, 50.0)
    yes = is_match.astype(np.float64)
    probable = 1.0 / (1.0 + np.exp(-z))
    place = np.minimum((probable * _BINS).astype(np.int64), _BINS - 1)
    gaps = np.bincount(place, weights=probable - yes, minlength=_BINS)
    true, claimed, right = int(is_match.sum()), int(linked.sum()), int(counts[0])
    return Assessment(
        labels=len(weights),
        matches=true,
        linked=claimed,
        precision=right / claimed if claimed else 1.0,
        recall=right / true if true else 1.0,
        f1=float(_f1(counts[0:1], counts[1:2], counts[2:3])[0]),
        f1_low=float(low),
        f1_high=float(high),
        log_loss=float((np.logaddexp(0.0, z) - yes * z).mean()),
        calibration_error=float(np.abs(gaps).sum() / len(weights)),
    )


def _f1(hits: NDArray[np.int64], wrong: NDArray[np.int64], missed: NDArray[np.int64]) -> NDArray[np.float64]:
    below = 2 * hits + wrong + missed
    f1: NDArray[np.float64] = np.where(below > 0, 2 * hits / np.maximum(below, 1), 1.0)
    return f1
