"""Refine the weight of a pair beyond the latent classes: tables of levels, tables of two comparisons together, calibration.

All in integers, so that the refined weight is the same online, in bulk and on Spark, and its parts add up exactly.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

__all__ = ["CALIBRATION", "Interaction", "Refinement", "Refiner"]

CALIBRATION = "calibration"
"""The name under which calibration appears among the parts of a weight."""


class Interaction(Struct, frozen=True):
    """What two comparisons, by position, say together beyond what each says: `table[level][other level]`, in fixed point."""

    left: int
    right: int
    table: tuple[tuple[int, ...], ...]


class Refinement(Struct, frozen=True):
    """What is added to the weight of the latent classes, in fixed point; `tables[comparison][level]`, level 0 is missing.

    `calibration` are knots (weight before, weight after), rising in both; between them the line is straight, beyond them level.
    Without knots nothing is changed.
    """

    constant: int
    tables: tuple[tuple[int, ...], ...]
    interactions: tuple[Interaction, ...] = ()
    calibration: tuple[tuple[int, int], ...] = ()

    def fits(self, sizes: Sequence[int]) -> bool:
        """Say whether the tables are those of comparisons with so many levels, and the knots rise."""
        rising = all(a[0] < b[0] and a[1] <= b[1] for a, b in zip(self.calibration, self.calibration[1:], strict=False))
        return (
            rising
            and tuple(len(table) for table in self.tables) == tuple(sizes)
            and all(
                0 <= i.left < i.right < len(sizes)
                and len(i.table) == sizes[i.left]
                and all(len(row) == sizes[i.right] for row in i.table)
                for i in self.interactions
            )
        )


class Refiner:
    """Apply a refinement to one pair or to many, with equal results."""

    def __init__(self, refinement: Refinement) -> None:
        self._refinement = refinement
        self._tables = refinement.tables
        self._pairs = [(i.left, i.right, i.table) for i in refinement.interactions]
        self._before = [before for before, _ in refinement.calibration]
        self._after = [after for _, after in refinement.calibration]
        self._table_arrays = [np.asarray(table, np.int64) for table in refinement.tables]
        self._pair_arrays = [(i.left, i.right, np.asarray(i.table, np.int64)) for i in refinement.interactions]

    def refine(self, levels: Sequence[int], weight: int) -> int:
        """Refine the weight of one pair."""
        weight += self._refinement.constant
        for table, level in zip(self._tables, levels, strict=True):
            weight += table[level]
        return self.finish(levels, weight)

    def finish(self, levels: Sequence[int], weight: int) -> int:
        """Refine a weight that has constant and tables in it already."""
        for left, right, cells in self._pairs:
            weight += cells[levels[left]][levels[right]]
        return self.calibrate(weight)

    def calibrate(self, weight: int) -> int:
        """Apply the calibration alone."""
        before, after = self._before, self._after
        if not before:
            return weight
        place = bisect_right(before, weight)
        if place == 0:
            return after[0]
        if place == len(before):
            return after[-1]
        x, y = before[place - 1], after[place - 1]
        return y + (weight - x) * (after[place] - y) // (before[place] - x)

    def refine_many(self, levels: NDArray[np.int8], weights: NDArray[np.int64]) -> NDArray[np.int64]:
        """Refine the weights of pairs; levels have shape (pairs, comparisons)."""
        out: NDArray[np.int64] = weights + self._refinement.constant
        for k, table in enumerate(self._table_arrays):
            out += table[levels[:, k]]
        for left, right, cells in self._pair_arrays:
            out += cells[levels[:, left], levels[:, right]]
        if not self._before:
            return out
        before, after = np.asarray(self._before, np.int64), np.asarray(self._after, np.int64)
        if len(before) == 1:
            return np.full_like(out, after[0])
        clipped = np.clip(out, before[0], before[-1])
        place = np.clip(np.searchsorted(before, clipped, side="right"), 1, len(before) - 1)
        x, y = before[place - 1], after[place - 1]
        found: NDArray[np.int64] = y + (clipped - x) * (after[place] - y) // (before[place] - x)
        return found
