"""Correct the weights of latent classes by what the data show: a table a comparison, and tables of two comparisons together.

An additive model with pairwise interactions (Lou et al., "Accurate intelligible models with pairwise interactions", 2013) over
levels, fitted as a penalised logistic regression around the weight of the latent classes: where data are few, that one stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.resolver.learning.descent import least_of
from goldenthread.resolver.scoring.model import WEIGHT_SCALE
from goldenthread.resolver.scoring.refinement import Interaction, Refinement

__all__ = ["LN2", "Correction", "fit_correction", "in_fixed_point", "log_odds"]

Floats = NDArray[np.float64]
Levels = NDArray[np.int8]

LN2 = float(np.log(2.0))
"""Natural log-odds of one bit of weight."""

_PENALTY = 2.0
_SCALE_PENALTY = 20.0
_MOST_INTERACTIONS = 10
_LEAST_GAIN = 8.0
_MAX_ITERATIONS = 120


class Correction(Struct):
    """What is added to `scale` times the weight of the latent classes: log-odds (natural) by level and by pairs of levels."""

    constant: float
    scale: float
    tables: list[Floats]
    interactions: list[tuple[int, int, Floats]]


def log_odds(correction: Correction, levels: Levels, base: Floats) -> Floats:
    """Give the corrected log-odds of pairs from their levels and the log-odds `base` of the latent classes."""
    out: Floats = correction.constant + correction.scale * base
    for k, table in enumerate(correction.tables):
        out = out + table[levels[:, k]]
    for a, b, cells in correction.interactions:
        out = out + cells[levels[:, a], levels[:, b]]
    return out


def in_fixed_point(correction: Correction) -> Refinement:
    """Turn a correction, its scale aside, into what a match model holds."""

    def fixed(values: Floats) -> tuple[int, ...]:
        return tuple(round(v) for v in (values * (WEIGHT_SCALE / LN2)).tolist())

    return Refinement(
        constant=round(correction.constant * WEIGHT_SCALE / LN2),
        tables=tuple(fixed(table) for table in correction.tables),
        interactions=tuple(Interaction(a, b, tuple(fixed(row) for row in cells)) for a, b, cells in correction.interactions),
    )


class _Design:
    """Rows of a constant, a base, and one of the cells of each comparison's levels and of each pair of comparisons'."""

    def __init__(self, levels: Levels, base: Floats, sizes: Sequence[int], pairs: Sequence[tuple[int, int]]) -> None:
        self.sizes, self.pairs, self.base = sizes, pairs, base
        cells = [(levels[:, k].astype(np.intp), size) for k, size in enumerate(sizes)]
        cells += [(cells[a][0] * sizes[b] + cells[b][0], sizes[a] * sizes[b]) for a, b in pairs]
        self.blocks: list[tuple[slice, NDArray[np.intp]]] = []
        at = 2
        for cell, size in cells:
            self.blocks.append((slice(at, at + size), cell))
            at += size
        self.width = at - 2

    def log_odds(self, x: Floats) -> Floats:
        """Give the log-odds of every row: what its constant, its base and its cells come to."""
        out: Floats = x[0] + x[1] * self.base
        for block, cell in self.blocks:
            out += x[block][cell]
        return out

    def sums(self, error: Floats) -> Floats:
        """Sum what rows are off by constant, base and cell."""
        out = np.empty(2 + self.width)
        out[:2] = error.sum(), error @ self.base
        for block, cell in self.blocks:
            out[block] = np.bincount(cell, weights=error, minlength=block.stop - block.start)
        return out

    def fit(self, yes: Floats, no: Floats, start: Floats, least: float, constant: float) -> Floats:
        penalty = np.concatenate([[constant, max(_SCALE_PENALTY, least)], np.full(self.width, least)])
        aim = np.concatenate([[0.0, 1.0], np.zeros(self.width)])
        total = yes + no

        def loss(x: Floats) -> tuple[float, Floats]:
            z = self.log_odds(x)
            value = float(total @ np.logaddexp(0.0, z) - yes @ z)
            error = total / (1.0 + np.exp(-np.clip(z, -500, 500))) - yes
            off = x - aim
            return value + 0.5 * float(penalty @ off**2), self.sums(error) + penalty * off

        return least_of(loss, start, _MAX_ITERATIONS)


def fit_correction(
    levels: Levels,
    base: Floats,
    yes: Floats,
    no: Floats,
    sizes: Sequence[int],
    *,
    most_interactions: int = _MOST_INTERACTIONS,
    penalty: float = _PENALTY,
    constant_penalty: float = 0.0,
) -> Correction:
    """Fit to patterns of levels, of which `yes` pairs are said to be one person and `no` are not; `sizes` counts levels.

    The larger the penalty, the nearer to the weight that was there; the constant has one of its own.
    """
    start = np.zeros(2 + sum(sizes))
    start[1] = 1.0
    design = _Design(levels, base, sizes, ())
    x = design.fit(yes, no, start, penalty, constant_penalty)
    pairs = _choose_interactions(design, x, levels, yes, no, most_interactions) if most_interactions else []
    if pairs:
        design = _Design(levels, base, sizes, pairs)
        x = design.fit(yes, no, np.concatenate([x, np.zeros(2 + design.width - len(x))]), penalty, constant_penalty)
    parts = np.split(x[2:], np.cumsum([*sizes, *(sizes[a] * sizes[b] for a, b in pairs)])[:-1])
    tables = parts[: len(sizes)]
    cells = [(a, b, part.reshape(sizes[a], sizes[b])) for (a, b), part in zip(pairs, parts[len(sizes) :], strict=True)]
    return Correction(float(x[0]), float(x[1]), tables, cells)


def _choose_interactions(
    design: _Design, x: Floats, levels: Levels, yes: Floats, no: Floats, most: int
) -> list[tuple[int, int]]:
    """Choose the pairs of comparisons whose cells would lower the loss most by one step of Newton's."""
    z = design.log_odds(x)
    p = 1.0 / (1.0 + np.exp(-np.clip(z, -500, 500)))
    error, bend = (yes + no) * p - yes, (yes + no) * p * (1.0 - p)
    gains = []
    for a, b in combinations(range(len(design.sizes)), 2):
        cell = levels[:, a].astype(np.int64) * design.sizes[b] + levels[:, b]
        size = design.sizes[a] * design.sizes[b]
        slope, curve = np.bincount(cell, weights=error, minlength=size), np.bincount(cell, weights=bend, minlength=size)
        gain = 0.5 * float((slope**2 / (curve + _PENALTY)).sum())
        if gain > _LEAST_GAIN:
            gains.append((-gain, a, b))
    return sorted((a, b) for _, a, b in sorted(gains)[:most])
