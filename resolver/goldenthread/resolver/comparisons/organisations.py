"""Compare names of organisations."""

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

__all__ = ["Organisation"]


class Organisation(TextComparison):
    """Compare names of organisations, their legal forms aside.

    `order`: the same words in another order, or joined (Trans Port, Transport). `close`: a typo. `acronym`: the first letters
    of the other's words. `subset`: all words of one are in the other. `part`: half of the words. `word`: one word.
    """

    kind = "organisation"
    levels = ("missing", *EXACT, "order", "close", "acronym", "subset", "part", "word", "different")
    expected: ClassVar[Mapping[str, float]] = {
        "exact": 0.75, "order": 0.03, "close": 0.08, "acronym": 0.01, "subset": 0.04, "part": 0.03, "word": 0.02,
        "different": 0.04,
    }  # fmt: skip
    CLOSE = 0.92

    def compare(self, x: str, y: str) -> int:
        """Compare two normalised names."""
        if x == y:
            return 1 + self.rarity(x)
        return self._unequal(_Words(x), _Words(y), JaroWinkler.similarity(x, y))

    def _unequal(self, a: _Words, b: _Words, similarity: float) -> int:
        if a.ordered == b.ordered or a.joined == b.joined:
            return BINS + 1
        shared, fewer = len(a.distinct & b.distinct), min(len(a.distinct), len(b.distinct))
        if shared == fewer:
            return BINS + 4
        if similarity >= self.CLOSE:
            return BINS + 2
        if (len(a.initials) > 2 and a.initials == b.joined) or (len(b.initials) > 2 and b.initials == a.joined):
            return BINS + 3
        if not shared:
            return BINS + 7
        return BINS + 5 if 2 * shared >= max(len(a.distinct), len(b.distinct)) else BINS + 6

    def compare_many(self, xs: Sequence[str], ys: Sequence[str]) -> Levels:
        """Compare pairs of normalised names."""
        values, x, y = pair_codes(xs, ys)
        words = [_Words(v) for v in values]
        found = np.fromiter(
            (
                self._unequal(words[i], words[j], similarity)
                for i, j, similarity in zip(x.tolist(), y.tolist(), similarities(xs, ys).tolist(), strict=True)
            ),
            np.int8,
            len(xs),
        )
        exact_levels(self, found, values, x, y)
        return found


class _Words:
    """What comparing needs of a name's words, found once a name."""

    __slots__ = ("distinct", "initials", "joined", "ordered")

    def __init__(self, name: str) -> None:
        words = name.split()
        self.distinct = frozenset(words)
        self.ordered = " ".join(sorted(words))
        self.joined = "".join(words)
        self.initials = "".join(word[0] for word in words)
