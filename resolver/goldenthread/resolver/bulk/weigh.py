"""Weigh pairs of profiles held in columns: their levels packed into one number, and one weight for each that occurs."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from goldenthread.resolver.bulk.frame import Frame
from goldenthread.resolver.bulk.levels import CHUNK, FrameLevels
from goldenthread.resolver.bulk.numbering import factorise, pack
from goldenthread.resolver.scoring import MatchModel, Scorer

__all__ = ["ColumnScorer"]

_MOST_PATTERNS = 1 << 22
"""Numbers of patterns up to which their weights are kept in a table."""

_UNKNOWN = np.iinfo(np.int64).min


class ColumnScorer:
    """Weigh pairs of the profiles of a frame under one model, exactly as its Scorer does."""

    def __init__(self, model: MatchModel, frame: Frame) -> None:
        self._scorer = Scorer(model)
        self._levels = FrameLevels(self._scorer.comparisons, frame)
        self._sizes = [len(c.levels) for c in self._scorer.comparisons]
        patterns = prod(self._sizes)
        self._table = np.full(patterns if patterns <= _MOST_PATTERNS else 0, _UNKNOWN, np.int64)

    def weigh(self, left: NDArray[np.int32], right: NDArray[np.int32]) -> NDArray[np.int64]:
        """Weigh pairs of rows of the frame."""
        out = np.empty(len(left), np.int64)
        for start in range(0, len(left), CHUNK):
            part = slice(start, start + CHUNK)
            out[part] = self.weigh_levels(self._levels.levels(left[part], right[part]))
        return out

    def information(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """Say what rows of the frame count by what they know of their persons, exactly as its Scorer does."""
        return self._scorer.information_of(self._levels.known(rows))

    def weigh_levels(self, levels: NDArray[np.int8]) -> NDArray[np.int64]:
        """Weigh pairs by their levels, each pattern of levels once."""
        pattern = pack([(levels[:, k], size) for k, size in enumerate(self._sizes)], len(levels))
        if not len(self._table):
            number, first = factorise(pattern)
            return self._scorer.weigh_levels(levels[first]).take(number)
        weights = self._table.take(pattern)
        unknown = np.flatnonzero(weights == _UNKNOWN)
        if len(unknown):
            fresh, first = np.unique(pattern[unknown], return_index=True)
            self._table[fresh] = self._scorer.weigh_levels(levels[unknown[first]])
            weights = self._table[pattern]
        found: NDArray[np.int64] = weights
        return found
