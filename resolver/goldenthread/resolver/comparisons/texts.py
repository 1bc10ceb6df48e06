"""Compare what is neither a name nor a number: free texts, and one of few values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from rapidfuzz.distance import JaroWinkler

from goldenthread.resolver.comparisons.comparison import (
    BINS,
    EXACT,
    Levels,
    TextComparison,
    exact_levels,
    pair_codes,
    similarities,
)

__all__ = ["Category", "LongText", "Text"]


class Text(TextComparison):
    """Compare short texts, as occupations and places: nearly equal, sharing a word, different."""

    kind = "text"
    levels = ("missing", *EXACT, "close", "part", "different")
    expected: ClassVar[Mapping[str, float]] = {"exact": 0.80, "close": 0.08, "part": 0.04, "different": 0.08}
    CLOSE = 0.92

    def compare(self, x: str, y: str) -> int:
        """Compare two normalised texts."""
        if x == y:
            return 1 + self.rarity(x)
        if JaroWinkler.similarity(x, y) >= self.CLOSE:
            return BINS + 1
        shares = (" " in x or " " in y) and not set(x.split()).isdisjoint(y.split())
        return BINS + 2 if shares else BINS + 3

    def compare_many(self, xs: Sequence[str], ys: Sequence[str]) -> Levels:
        """Compare pairs of normalised texts."""
        values, x, y = pair_codes(xs, ys)
        found = np.full(len(xs), BINS + 3, np.int8)
        spaced = np.fromiter((" " in v for v in values), np.bool_, len(values))
        if spaced.any():
            words = [frozenset(v.split()) for v in values]
            rows = np.flatnonzero(spaced[x] | spaced[y])
            for i, a, b in zip(rows.tolist(), x[rows].tolist(), y[rows].tolist(), strict=True):
                if not words[a].isdisjoint(words[b]):
                    found[i] = BINS + 2
        found[similarities(xs, ys) >= self.CLOSE] = BINS + 1
        exact_levels(self, found, values, x, y)
        return found


class LongText(TextComparison):
    """Compare texts of many words, as notes or descriptions, by the words they share (Jaccard's share of all their words).

    `near`: from 0.8 on. `overlap`: from 0.5. `some`: from 0.25.
    """

    kind = "long_text"
    levels = ("missing", *EXACT, "near", "overlap", "some", "different")
    expected: ClassVar[Mapping[str, float]] = {"exact": 0.50, "near": 0.20, "overlap": 0.15, "some": 0.10, "different": 0.05}
    SHARES = (0.8, 0.5, 0.25)

    def compare(self, x: str, y: str) -> int:
        """Compare two normalised texts."""
        return 1 + self.rarity(x) if x == y else self._by_words(frozenset(x.split()), frozenset(y.split()))

    def _by_words(self, a: frozenset[str], b: frozenset[str]) -> int:
        shared = len(a & b)
        share = shared / (len(a) + len(b) - shared)
        return next((BINS + 1 + i for i, least in enumerate(self.SHARES) if share >= least), BINS + 4)

    def compare_many(self, xs: Sequence[str], ys: Sequence[str]) -> Levels:
        """Compare pairs of normalised texts."""
        values, x, y = pair_codes(xs, ys)
        words = [frozenset(v.split()) for v in values]
        found = np.fromiter(
            (self._by_words(words[a], words[b]) for a, b in zip(x.tolist(), y.tolist(), strict=True)), np.int8, len(xs)
        )
        exact_levels(self, found, values, x, y)
        return found


class Category(TextComparison):
    """Compare one of few values, as gender: equal or not."""

    kind = "category"
    levels = ("missing", *EXACT, "different")
    expected: ClassVar[Mapping[str, float]] = {"exact": 0.95, "different": 0.05}

    def compare(self, x: str, y: str) -> int:
        """Compare two normalised values."""
        return 1 + self.rarity(x) if x == y else BINS + 1
