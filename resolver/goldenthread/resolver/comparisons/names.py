"""Compare names of persons: their parts, the whole, and the generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import ClassVar

import numpy as np
from rapidfuzz.distance import JaroWinkler

from goldenthread.resolver.comparisons.comparison import (
    BINS,
    EXACT,
    Comparison,
    Levels,
    TextComparison,
    exact_levels,
    numbers,
    pair_codes,
    similarities,
)
from goldenthread.resolver.normalise import Profile
from goldenthread.resolver.normalise.names import PARTICLES, formal_names, spelling
from goldenthread.resolver.normalise.nicknames import NICKNAMES
from goldenthread.resolver.normalise.profile import only_name

__all__ = ["Generation", "LoneName", "Name", "WholeName"]


def _words(name: str) -> frozenset[str]:
    """Take the words of a name of several, particles aside; none of a name of one."""
    return frozenset(w for w in name.split() if w not in PARTICLES and len(w) > 1) if " " in name else frozenset()


def _is_initial(letter: str, name: str) -> bool:
    """Say whether a letter begins a name, or a formal name that it stands for (R. of Bob)."""
    return any(formal[0] == letter for formal in formal_names(name))


class Name(TextComparison):
    """Compare given, middle or family names.

    `nickname`: both stand for one formal name (Bob, Robert). `spelling`: one name written in two ways of spelling or
    transliterating it (Müller, Mueller; Yulia, Iuliia; De la Cruz, Delacruz). `close`: a typo. `part`: they share a word of a
    double name. `initial`: one is the other's first letter. `similar`: some likeness, which many strangers' names have.
    """

    kind = "name"
    levels = ("missing", *EXACT, "nickname", "spelling", "close", "part", "initial", "similar", "different")
    expected: ClassVar[Mapping[str, float]] = {
        "exact": 0.80, "nickname": 0.03, "spelling": 0.03, "close": 0.06, "part": 0.02, "initial": 0.02, "similar": 0.01,
        "different": 0.03,
    }  # fmt: skip
    CLOSE, SIMILAR = 0.92, 0.82

    def compare(self, x: str, y: str) -> int:
        """Compare two normalised names."""
        if x == y:
            return 1 + self.rarity(x)
        if len(x) == 1 or len(y) == 1:
            return BINS + 5 if (_is_initial(x, y) if len(x) == 1 else _is_initial(y, x)) else BINS + 7
        if not formal_names(x).isdisjoint(formal_names(y)):
            return BINS + 1
        if spelling(x) == spelling(y):
            return BINS + 2
        similarity = JaroWinkler.similarity(x, y)
        if similarity >= self.CLOSE:
            return BINS + 3
        if not (_words(x) or {x}).isdisjoint(_words(y) or {y}):
            return BINS + 4
        return BINS + 6 if similarity >= self.SIMILAR else BINS + 7

    def compare_many(self, xs: Sequence[str], ys: Sequence[str]) -> Levels:
        """Compare pairs of normalised names."""
        values, x, y = pair_codes(xs, ys)
        similarity = similarities(xs, ys)
        found = np.full(len(xs), BINS + 7, np.int8)
        found[similarity >= self.SIMILAR] = BINS + 6
        spaced = np.fromiter((" " in v for v in values), np.bool_, len(values))
        if spaced.any():
            words = {v: _words(v) or frozenset((v,)) for v in values}
            for i in np.flatnonzero(spaced[x] | spaced[y]).tolist():
                if not words[xs[i]].isdisjoint(words[ys[i]]):
                    found[i] = BINS + 4
        found[similarity >= self.CLOSE] = BINS + 3
        spelt = numbers([spelling(v) for v in values])
        found[spelt[x] == spelt[y]] = BINS + 2
        short = np.fromiter((v in NICKNAMES for v in values), np.bool_, len(values))
        if short.any():
            formal = [formal_names(v) for v in values]
            rows = np.flatnonzero(short[x] | short[y])
            for i, a, b in zip(rows.tolist(), x[rows].tolist(), y[rows].tolist(), strict=True):
                if not formal[a].isdisjoint(formal[b]):
                    found[i] = BINS + 1
        letter = np.fromiter((len(v) == 1 for v in values), np.bool_, len(values))
        for i in np.flatnonzero(letter[x] | letter[y]).tolist():
            found[i] = self.compare(xs[i], ys[i])
        exact_levels(self, found, values, x, y)
        return found


_Whole = tuple[str, str, str]


def _parts(value: str) -> _Whole:
    given, middle, surname = value.split("|")
    return given, middle, surname


class WholeName(Comparison[str]):
    """Say whether two names have their parts in each other's place; parts in their own place are what `Name` compares.

    `swapped`: given name and surname stand in each other's place (Anna Berg, Berg Anna), a typo allowed, or the same words are
    cut into parts otherwise. `straight`: they are not.
    """

    kind = "whole_name"
    levels = ("missing", "swapped", "straight")
    binned = ()
    expected: ClassVar[Mapping[str, float]] = {"swapped": 0.02, "straight": 0.98}
    CLOSE = 0.92
    _MOST = 4

    def values(self, profile: Profile) -> tuple[str, ...]:
        """Take every given name with every surname, and the middle names."""
        given, surname = profile.given, profile.surname
        if not given or not surname:
            return ()
        middle = " ".join(profile.middle)
        if len(given) == 1 == len(surname):
            return (f"{given[0]}|{middle}|{surname[0]}",)
        return tuple(f"{g}|{middle}|{s}" for g, s in list(product(given, surname))[: self._MOST])

    def frequency_texts(self, value: str) -> Sequence[str]:
        """List nothing: no level is binned."""
        return ()

    def compare(self, x: str, y: str) -> int:
        """Compare two normalised names."""
        return 1 if self._is_swapped(_parts(x), _parts(y)) else 2

    def _is_swapped(self, x: _Whole, y: _Whole) -> bool:
        if x[0] == y[0] or x[2] == y[2]:
            return False
        if (x[0] == y[2] and x[2] == y[0]) or _bag(x) == _bag(y):
            return True
        crossed = x[0][0] == y[2][0] and x[2][0] == y[0][0]
        return crossed and self._are_alike(x[0], y[2]) and self._are_alike(x[2], y[0])

    def _are_alike(self, a: str, b: str) -> bool:
        return len(a) > 2 and len(b) > 2 and JaroWinkler.similarity(a, b) >= self.CLOSE

    def compare_many(self, xs: Sequence[str], ys: Sequence[str]) -> Levels:
        """Compare pairs of normalised names."""
        values, x, y = pair_codes(xs, ys)
        parts = [_parts(v) for v in values]
        given, surname = numbers([p[0] for p in parts] + [p[2] for p in parts]).reshape(2, -1)
        bag = numbers([_bag(p) for p in parts])
        first, last = (np.fromiter((ord(p[k][0]) for p in parts), np.int32, len(parts)) for k in (0, 2))
        apart = (given[x] != given[y]) & (surname[x] != surname[y])
        swapped = apart & (((given[x] == surname[y]) & (surname[x] == given[y])) | (bag[x] == bag[y]))
        found = np.where(swapped, 1, 2).astype(np.int8)
        perhaps = apart & ~swapped & (first[x] == last[y]) & (last[x] == first[y])
        for i in np.flatnonzero(perhaps).tolist():
            found[i] = self.compare(xs[i], ys[i])
        return found


def _bag(name: _Whole) -> str:
    """Write the words of a whole name in order, whatever part each stands in."""
    return " ".join(sorted(" ".join(name).split()))


class LoneName(Comparison[str]):
    """Compare the only name of somebody with the surname of another: files hold surnames in the place of given names.

    Two with a surname, or two without, say nothing here. Exact agreement is graded by how common the name is in either place.
    """

    kind = "lone_name"
    levels = ("missing", *EXACT, "close", "different")
    expected: ClassVar[Mapping[str, float]] = {"exact": 0.10, "close": 0.02, "different": 0.88}
    CLOSE = 0.92

    def values(self, profile: Profile) -> tuple[str, ...]:
        """Take the surnames, after a bar; of who has none and one given name, that one, before a bar."""
        if profile.surname:
            return tuple(f"|{name}" for name in profile.surname)
        return tuple(f"{name}|" for name in only_name(profile))

    def frequency_texts(self, value: str) -> Sequence[str]:
        """List the name."""
        return (value.strip("|"),)

    def compare(self, x: str, y: str) -> int:
        """Compare two names of which one is the only one."""
        if (x[0] == "|") == (y[0] == "|"):
            return 0
        a, b = x.strip("|"), y.strip("|")
        if a == b:
            return 1 + self.rarity(a)
        alike = a[0] == b[0] and len(a) > 2 and len(b) > 2 and JaroWinkler.similarity(a, b) >= self.CLOSE
        return BINS + 1 if alike else BINS + 2


class Generation(TextComparison):
    """Compare generation suffixes (jr, sr, 2, 3): what tells a father from the son of the same name.

    `compatible`: two ways to say it (Jr is often II, and Sr is I). `different`: two generations, hence two persons.
    """

    kind = "generation"
    levels = ("missing", *EXACT, "compatible", "different")
    expected: ClassVar[Mapping[str, float]] = {"exact": 0.97, "compatible": 0.028, "different": 0.002}
    strength = 500.0
    _SAID_AS = frozenset({("2", "jr"), ("1", "sr")})

    def compare(self, x: str, y: str) -> int:
        """Compare two normalised suffixes."""
        if x == y:
            return 1 + self.rarity(x)
        return BINS + 1 if (x, y) in self._SAID_AS else BINS + 2
