"""The section on weights: how they are spread, what other thresholds would bring, whether probabilities can be believed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goldenthread.resolver.report import charts
from goldenthread.resolver.report.charts import Bar, Line, number
from goldenthread.resolver.report.html import figure, key, note, section
from goldenthread.resolver.report.survey import Survey
from goldenthread.resolver.scoring import WEIGHT_SCALE, MatchModel

__all__ = ["calibration_error", "weights"]

_BINS = 10
"""Bins of probability."""


def weights(survey: Survey, model: MatchModel) -> tuple[str, str, str]:
    """Chart how weights are spread, what another threshold would bring, and whether probabilities can be believed."""
    link = model.link_weight / WEIGHT_SCALE
    bits = np.clip(survey.bits, -25.0, 35.0)
    low, high = int(np.floor(bits.min(initial=0.0))), int(np.ceil(bits.max(initial=1.0)))
    place = np.clip(np.floor(bits).astype(np.int64) - low, 0, max(high - low - 1, 0))
    joined = np.bincount(place, weights=survey.times * survey.same_identity, minlength=high - low)
    apart = np.bincount(place, weights=survey.times * ~survey.same_identity, minlength=high - low)
    data = [
        Bar(str(low + i), (("a", a), ("b", b)), f"{low + i} to {low + i + 1} bits: {number(a)} joined, {number(b)} apart")
        for i, (a, b) in enumerate(zip(joined.tolist(), apart.tolist(), strict=True))
    ]
    spread = charts.bars("Pairs by weight", data, "weight in bits", [(link - low, "link")])
    lines, text = _threshold_lines(survey, low, high)
    parts = [
        figure(
            key([("a", "one identity"), ("b", "kept apart")]) + spread,
            "Pairs by weight; heights are logarithmic, a bar is divided in proportion. Two humps far apart are easy data.",
        ),
        figure(
            charts.curves(
                "Precision, recall and F1 by threshold", lines, "pairs from this weight on, in bits", [(link, "link")]
            ),
            text,
        ),
    ]
    bins = _calibration_bins(survey)
    if bins:
        error = calibration_error(survey)
        chart = charts.calibration("Calibration of the model's probabilities", bins)
        said = f"Pairs on the diagonal are as likely one person as the model says. Expected calibration error {error:.3f}."
        parts.append(figure(chart, said))
    else:
        parts.append(note("Whether the model's probabilities can be believed shows only with the truth.", "fine"))
    return section("weights", "Weights and thresholds", *parts)


def _threshold_lines(survey: Survey, low: int, high: int) -> tuple[list[Line], str]:
    edges = np.linspace(low, high, min(4 * (high - low), 160) + 1)
    right = survey.probabilities if survey.true is None else survey.true.astype(np.float64)
    place = np.searchsorted(edges, np.clip(survey.bits, low, high), side="right") - 1
    pairs = np.bincount(place, weights=survey.times, minlength=len(edges))[::-1].cumsum()[::-1]
    good = np.bincount(place, weights=survey.times * right, minlength=len(edges))[::-1].cumsum()[::-1]
    every = float(survey.true_pairs) if survey.true_pairs is not None else float(good[0])
    precision = np.divide(good, pairs, out=np.ones_like(good), where=pairs > 0)
    recall = np.minimum(good / every, 1.0) if every else np.ones_like(good)
    f1 = np.divide(2 * precision * recall, precision + recall, out=np.zeros_like(good), where=precision + recall > 0)
    lines = [
        Line(name, style, tuple(zip(edges.tolist(), y.tolist(), strict=True)))
        for name, style, y in (("precision", "precision", precision), ("recall", "recall", recall), ("F1", "f1", f1))
    ]
    if survey.true is None:
        text = (
            "Estimated from the model's own probabilities, of the pairs that were compared: as far as the model can be "
            "believed. Single pairs are counted here; clustering looks at whole groups and usually does better."
        )
    else:
        text = (
            "Measured against the truth, for single pairs from each weight on. Clustering looks at whole groups and usually "
            "does better than any threshold."
        )
    return lines, text


def _bin_of(survey: Survey) -> NDArray[np.int64]:
    return np.minimum((survey.probabilities * _BINS).astype(np.int64), _BINS - 1)


def _calibration_bins(survey: Survey) -> list[tuple[float, float, float]]:
    """Answer probability said, share true and pairs of each bin that has any; nothing without the truth."""
    if survey.true is None:
        return []
    bins = _bin_of(survey)
    pairs = np.bincount(bins, weights=survey.times, minlength=_BINS)
    said = np.bincount(bins, weights=survey.times * survey.probabilities, minlength=_BINS)
    true = np.bincount(bins, weights=survey.times * survey.true, minlength=_BINS)
    return [(float(s / n), float(t / n), float(n)) for s, t, n in zip(said, true, pairs, strict=True) if n]


def calibration_error(survey: Survey) -> float:
    """Average how far the share that is true lies from the probability said, by ten bins of probability, each by its pairs.

    Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", 2015.
    """
    bins = _calibration_bins(survey)
    total = sum(n for _, _, n in bins)
    return sum(abs(said - true) * n for said, true, n in bins) / total if total else 0.0
