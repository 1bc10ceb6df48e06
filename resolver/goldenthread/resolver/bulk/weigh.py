"""Weigh pairs of profiles held in columns: their levels packed into one number, and one weight for each that occurs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goldenthread.resolver.bulk.frame import Frame
from goldenthread.resolver.bulk.levels import FrameLevels
from goldenthread.resolver.scoring import MatchModel, Scorer

__all__ = ["ColumnScorer"]

_MOST_PATTERNS = 1 << 23
"""Numbers of patterns up to which their weights are kept in a table."""

_CHUNK = 1 << 20
_UNKNOWN = np.iinfo(np.int64).min


class ColumnScorer:
    """Weigh pairs of the profiles of a frame under one model, exactly as its Scorer does."""

    def __init__(self, model: MatchModel, frame: Frame) -> None:
        self._scorer = Scorer(model)
        self._levels = FrameLevels(self._scorer.comparisons, frame)
        self._sizes = [len(c.levels) for c in self._scorer.comparisons]
        self._patterns = int(np.prod(self._sizes, dtype=np.float64)) if len(self._sizes) < 64 else _MOST_PATTERNS + 1
        self._table = np.full(self._patterns if self._patterns <= _MOST_PATTERNS else 0, _UNKNOWN, np.int64)

    def weigh(self, left: NDArray[np.int32], right: NDArray[np.int32]) -> NDArray[np.int64]:
        """Weigh pairs of rows of the frame."""
        out = np.empty(len(left), np.int64)
        for start in range(0, len(left), _CHUNK):
            part = slice(start, start + _CHUNK)
            out[part] = self.weigh_levels(self._levels.levels(left[part], right[part]))
        return out

    def weigh_levels(self, levels: NDArray[np.int8]) -> NDArray[np.int64]:
        """Weigh pairs by their levels, each pattern of levels once."""
        if not len(self._table):
            # Too many patterns for a table: the distinct ones of this batch.
            seen, inverse = np.unique(levels, axis=0, return_inverse=True)
            return self._scorer.weigh_levels(seen)[inverse]
        pattern = np.zeros(len(levels), np.int32)
        for k, size in enumerate(self._sizes):
            pattern *= size
            pattern += levels[:, k]
        weights = self._table[pattern]
        if (weights == _UNKNOWN).any():
            unknown = np.unique(pattern[weights == _UNKNOWN])
            fresh = np.empty((len(unknown), len(self._sizes)), np.int8)
            rest = unknown
            for k in range(len(self._sizes) - 1, -1, -1):
                rest, fresh[:, k] = np.divmod(rest, self._sizes[k])
            self._table[unknown] = self._scorer.weigh_levels(fresh)
            weights = self._table[pattern]
        found: NDArray[np.int64] = weights
        return found
