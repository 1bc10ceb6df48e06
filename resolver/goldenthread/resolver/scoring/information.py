"""Say how much a record knows of its person, from what it holds and what a model can tell by it.

A record without birth date is like father and son alike: it can't say that they are one person. So where many records speak of
one person, what each says counts by the square of what it knows, and two that contradict each other aren't outvoted by one
that couldn't.

What a comparison can tell is the divergence between one person and another explanation of a pair (Jeffreys, "An invariant form
for the prior probability in estimation problems", 1946), the expected evidence for either where it holds. Of the explanations
the hardest to tell from one person counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_INFORMATION", "Information"]

MOST_INFORMATION = 32
"""What a record that has all that is compared counts; the least is 1."""

_PARTS = 256  # of a bit: divergences are whole numbers, so that sums are the same everywhere


class Information:
    """What records count by what they know, under a model's tables: by comparison, class and level, log2 in fixed point."""

    def __init__(self, tables: Sequence[Sequence[Sequence[int]]], scale: int) -> None:
        rows = [[_divergence(table[0], other, scale) for other in table[1:]] for table in tables]
        self._divergences = np.rint(np.array(rows, np.float64).reshape(len(tables), -1) * _PARTS).astype(np.int64)
        self._most = int(self._divergences.sum(axis=0).min(initial=_NO_END)) if rows else 0

    def of(self, known: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Say what records count; `known` says which comparisons each has something for, of shape (records, comparisons)."""
        if not self._most:
            return np.ones(len(known), np.int64)
        told = (known.astype(np.int64) @ self._divergences).min(axis=1)
        counts: NDArray[np.int64] = np.maximum(1, MOST_INFORMATION * told * told // (self._most * self._most))
        return counts


_NO_END = np.iinfo(np.int64).max


def _divergence(match: Sequence[int], other: Sequence[int], scale: int) -> float:
    """Compute the divergence between two rows of log2 probabilities by level, `missing` first and left out, in bits."""
    p, q = (np.exp2(np.asarray(row[1:], np.float64) / scale) for row in (match, other))
    p, q = p / p.sum(), q / q.sum()
    return float(((p - q) * np.log2(p / q)).sum())
