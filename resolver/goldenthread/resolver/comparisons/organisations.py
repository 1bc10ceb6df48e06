"""Compare names of organisations, and where both are in one column, of persons with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from rapidfuzz.distance import JaroWinkler

from goldenthread.resolver.comparisons.comparison import (
    BINS,
    EXACT,
    MISSING,
    Levels,
    TextComparison,
    exact_levels,
    pair_codes,
    similarities,
)
from goldenthread.resolver.normalise import Profile

__all__ = ["Organisation"]


class Organisation(TextComparison):
    """Compare names of organisations, their legal forms aside.

    `order`: the same words in another order, or joined (Trans Port, Transport). `close`: a typo. `acronym`: the first letters
    of the other's words. `subset`: all words of one are in the other. `part`: half of the words. `word`: one word.

    An organisation is also compared with what was taken for a person, since a name without its legal form may be either; two
    persons are not compared here.
    """

    kind = "organisation"
    levels = ("missing", *EXACT, "order", "close", "acronym", "subset", "part", "word", "different")
    expected: ClassVar[Mapping[str, float]] = {
        "exact": 0.75, "order": 0.03, "close": 0.08, "acronym": 0.01, "subset": 0.04, "part": 0.03, "word": 0.02,
        "different": 0.04,
    }  # fmt: skip
    CLOSE = 0.92

    def values(self, profile: Profile) -> tuple[str, ...]:
        """Take the organisations, or else the person's whole name, marked as such."""
        if profile.organisations or len(profile.given) > 1 or len(profile.surname) != 1:
            return profile.organisations
        return (_PERSON + " ".join((*profile.given, *profile.middle, *profile.surname)),)

    def frequency_texts(self, value: str) -> Sequence[str]:
        """List the name of an organisation."""
        return () if value.startswith(_PERSON) else (value,)

    def compare(self, x: str, y: str) -> int:
        """Compare two normalised names."""
        if y.startswith(_PERSON):
            return MISSING  # and so is x, which sorts before
        x = x.removeprefix(_PERSON)
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
        found = np.zeros(len(xs), np.int8)
        rows = np.flatnonzero(np.fromiter((not y.startswith(_PERSON) for y in ys), np.bool_, len(ys)))
        if not len(rows):
            return found
        left, right = [xs[i].removeprefix(_PERSON) for i in rows.tolist()], [ys[i] for i in rows.tolist()]
        values, x, y = pair_codes(left, right)
        words = [_Words(v) for v in values]
        levels = np.fromiter(
            (
                self._unequal(words[i], words[j], similarity)
                for i, j, similarity in zip(x.tolist(), y.tolist(), similarities(left, right).tolist(), strict=True)
            ),
            np.int8,
            len(rows),
        )
        exact_levels(self, levels, values, x, y)
        found[rows] = levels
        return found


_PERSON = "\x00"
"""What stands before the name of a person: it sorts before all letters."""


class _Words:
    """What comparing needs of a name's words, found once a name."""

    __slots__ = ("distinct", "initials", "joined", "ordered")

    def __init__(self, name: str) -> None:
        words = name.split()
        self.distinct = frozenset(words)
        self.ordered = " ".join(sorted(words))
        self.joined = "".join(words)
        self.initials = "".join(word[0] for word in words)
