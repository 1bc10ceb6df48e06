"""What every comparison is, and how pairs of many features are compared at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import ClassVar, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import JaroWinkler
from rapidfuzz.process import cpdist

from goldenthread.resolver.normalise import Profile

__all__ = [
    "BINS",
    "EXACT",
    "MISSING",
    "Comparison",
    "Levels",
    "Rarity",
    "TextComparison",
    "all_rare",
    "batch_levels",
    "exact_levels",
    "numbers",
    "pair_codes",
    "similarities",
]

BINS = 5
"""Frequency bins of an exact agreement: 0 for values too rare to be listed, 4 for the commonest."""

MISSING = 0

F = TypeVar("F", bound=Hashable)
Levels = NDArray[np.int8]


class Rarity(Protocol):
    """Say how common a value is."""

    def __call__(self, text: str, /) -> int:
        """Answer the frequency bin of a value, 0 (rare) to BINS - 1."""
        ...


def all_rare(text: str, /) -> int:
    """Hold every value rare: what is known without a frequency table."""
    return 0


EXACT = tuple(f"exact_{b}" for b in range(BINS))
"""The levels of an exact agreement, the rarest values first."""


class Comparison(ABC, Generic[F]):
    """Compare one feature of two profiles; subclasses say what is looked at and how two values compare."""

    levels: tuple[str, ...]
    """Names by level: `missing`, then from strong to weak."""

    binned: tuple[str, ...] = ("exact",)
    """Levels that come in BINS frequency bins."""

    kind: str
    """The class in a model artefact."""

    expected: ClassVar[Mapping[str, float]]
    """Shares of the levels among one person's pairs, bins together, as expected before any data is seen; they add up to 1."""

    strength: float = 20.0
    """Pairs that `expected` is worth when a model is learned from data."""

    disagreements: frozenset[str] = frozenset({"different", "similar", "near", "year", "word"})
    """Levels that say that two values differ."""

    compares: tuple[str, ...] = ()
    """Names of features that a kind added by others compares, in place of the kind that learning would take for them."""

    def __init__(self, name: str, rarity: Rarity = all_rare) -> None:
        self.name = name
        self.rarity = rarity
        self._memory: dict[tuple[F, F], int] = {}

    @abstractmethod
    def values(self, profile: Profile) -> tuple[F, ...]:
        """Take the feature from a profile; empty when it is unknown."""

    @abstractmethod
    def compare(self, x: F, y: F) -> int:
        """Compare two values, x <= y; MISSING when they cannot be compared."""

    @abstractmethod
    def frequency_texts(self, value: F) -> Sequence[str]:
        """List the texts whose frequency decides a value's bin."""

    def compare_many(self, xs: Sequence[F], ys: Sequence[F]) -> Levels:
        """Compare pairs of values, each x <= y, to int8 levels; the same levels as `compare`."""
        return np.fromiter((self.compare(x, y) for x, y in zip(xs, ys, strict=True)), np.int8, len(xs))

    def level(self, a: tuple[F, ...], b: tuple[F, ...]) -> int:
        """Compare two features: the strongest level of any value with any, MISSING when a side is empty."""
        best = 127
        memory = self._memory
        for x in a:
            for y in b:
                pair = (x, y) if x <= y else (y, x)  # type: ignore[operator]  # values are str or tuples of str
                found = memory.get(pair)
                if found is None:
                    found = self.compare(*pair)
                    if len(memory) > 200_000:
                        memory.clear()
                    memory[pair] = found
                if found and found < best:
                    best = found
        return MISSING if best == 127 else best


class TextComparison(Comparison[str], ABC):
    """Hold what comparisons of plain texts share: which feature of the profile they read."""

    def __init__(self, name: str, rarity: Rarity = all_rare, *, reads: str = "") -> None:
        super().__init__(name, rarity)
        self._take = _reader(reads or name)

    def values(self, profile: Profile) -> tuple[str, ...]:
        """Take the feature from a profile."""
        return self._take(profile)

    def frequency_texts(self, value: str) -> Sequence[str]:
        """List the value itself."""
        return (value,)


_FEATURES: dict[str, Callable[[Profile], tuple[str, ...]]] = {
    "given_name": lambda p: p.given,
    "middle_name": lambda p: p.middle,
    "surname": lambda p: p.surname,
    "name_suffix": lambda p: p.suffix,
    "organisation": lambda p: p.organisations,
    "birth_date": lambda p: p.birth_dates,
    "gender": lambda p: p.genders,
    "email": lambda p: p.emails,
    "phone": lambda p: p.phones,
    "region": lambda p: tuple(sorted({a[4] for a in p.addresses if a[4]})),
}


def _reader(name: str) -> Callable[[Profile], tuple[str, ...]]:
    """Find how a feature is read; any name that is no feature of its own is a key of the profile's `others`."""
    return _FEATURES.get(name) or (lambda p: tuple(text for key, text in p.others if key == name))


def similarities(xs: Sequence[str], ys: Sequence[str]) -> NDArray[np.float64]:
    """Compute Jaro-Winkler similarities of pairs."""
    return np.asarray(cpdist(xs, ys, scorer=JaroWinkler.similarity, dtype=np.float64), np.float64)


def pair_codes(xs: Sequence[F], ys: Sequence[F]) -> tuple[list[F], NDArray[np.int64], NDArray[np.int64]]:
    """Number the distinct values of pairs, so that what a value needs is found once: the values, and both sides' numbers."""
    number = {value: i for i, value in enumerate(dict.fromkeys([*xs, *ys]))}
    of = number.__getitem__
    return list(number), np.fromiter(map(of, xs), np.int64, len(xs)), np.fromiter(map(of, ys), np.int64, len(ys))


def numbers(texts: Sequence[str]) -> NDArray[np.int64]:
    """Number texts, equal ones alike, from 0 up as they come."""
    known: dict[str, int] = {}
    return np.fromiter((known.setdefault(t, len(known)) for t in texts), np.int64, len(texts))


def exact_levels(
    comparison: Comparison[str], found: Levels, values: Sequence[str], x: NDArray[np.int64], y: NDArray[np.int64]
) -> None:
    """Write the level of every pair of equal values, by how common the value is."""
    for i in np.flatnonzero(x == y).tolist():
        found[i] = 1 + comparison.rarity(values[x[i]])


def _codes(features: Sequence[tuple[F, ...]]) -> tuple[list[F], NDArray[np.int64], NDArray[np.int64]]:
    """Code the values of features in sorted order: the distinct values, the codes end to end, and where each feature starts."""
    distinct = sorted({v for f in features for v in f})  # type: ignore[type-var]  # values are str or tuples of str
    code_of = {v: i for i, v in enumerate(distinct)}
    starts = np.zeros(len(features) + 1, np.int64)
    np.cumsum([len(f) for f in features], out=starts[1:])
    codes = np.fromiter((code_of[v] for f in features for v in f), np.int64, int(starts[-1]))
    return distinct, codes, starts


def batch_levels(
    comparison: Comparison[F], features: Sequence[tuple[F, ...]], left: NDArray[np.int32], right: NDArray[np.int32]
) -> Levels:
    """Compare the pairs (left[i], right[i]) of features; each distinct pair of values is compared once.

    Returns int8 levels of the shape of `left`.
    """
    distinct, codes, starts = _codes(features)
    counts = np.diff(starts)
    nl, nr = counts[left], counts[right]
    out = np.zeros(len(left), np.int8)
    known = np.flatnonzero((nl > 0) & (nr > 0))
    if not len(known):
        return out
    nl, nr = nl[known], nr[known]
    sizes = nl * nr
    first_left, first_right = starts[left[known]], starts[right[known]]
    single = bool((sizes == 1).all())
    if not single:
        offsets = np.repeat(np.cumsum(sizes) - sizes, sizes)
        within = np.arange(int(sizes.sum())) - offsets
        wide = np.repeat(nr, sizes)
        first_left = np.repeat(first_left, sizes) + within // wide
        first_right = np.repeat(first_right, sizes) + within % wide
    x, y = codes[first_left], codes[first_right]
    low, high = np.minimum(x, y), np.maximum(x, y)
    packed, inverse = np.unique(low * len(distinct) + high, return_inverse=True)
    xs = [distinct[i] for i in (packed // len(distinct)).tolist()]
    ys = [distinct[i] for i in (packed % len(distinct)).tolist()]
    found = comparison.compare_many(xs, ys)[inverse]
    if not single:
        found = np.where(found == MISSING, 127, found).astype(np.int8)
        found = np.minimum.reduceat(found, np.cumsum(sizes) - sizes)
        found = np.where(found == 127, MISSING, found).astype(np.int8)
    out[known] = found
    return out
