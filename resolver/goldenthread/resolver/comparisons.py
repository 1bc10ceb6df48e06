"""Compare two profiles, feature by feature, into levels.

A comparison is a small class: its name, what it looks at, the list of its levels, and how two values compare. Features hold
several values (a person has two phones); any is compared with any and the strongest level counts, so levels stand from strong
to weak.
Level 0 is always `missing`: a side is unknown, or nothing on the two sides can be compared.
Every comparison is symmetric, and its batched path gives exactly what `level` defines.

Example:
    >>> from goldenthread.resolver import comparisons
    >>> name = comparisons.Name("given_name")
    >>> name.levels[name.level(("robert",), ("bob",))]
    'nickname'
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import ClassVar, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import OSA, JaroWinkler
from rapidfuzz.process import cpdist

from goldenthread.graph.model import SemanticType
from goldenthread.resolver.normalise import Profile
from goldenthread.resolver.normalise.contacts import mailbox
from goldenthread.resolver.normalise.names import formal_names
from goldenthread.resolver.normalise.places import Place

__all__ = [
    "BINS",
    "MISSING",
    "Area",
    "BirthDate",
    "Category",
    "Comparison",
    "Email",
    "Name",
    "Number",
    "Phone",
    "Rarity",
    "Street",
    "Text",
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


_EXACT = tuple(f"exact_{b}" for b in range(BINS))


class Comparison(ABC, Generic[F]):
    """Compare one feature of two profiles; subclasses say what is looked at and how two values compare."""

    levels: tuple[str, ...]
    """Names by level: `missing`, then from strong to weak."""

    binned: tuple[str, ...] = ("exact",)
    """Levels that come in BINS frequency bins."""

    kind: str
    """The class in a model artefact."""

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


class _TextComparison(Comparison[str], ABC):
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


def _similarities(xs: Sequence[str], ys: Sequence[str], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute Jaro-Winkler similarities of the given rows."""
    return np.asarray(
        cpdist([xs[i] for i in rows], [ys[i] for i in rows], scorer=JaroWinkler.similarity, dtype=np.float64), np.float64
    )


class Name(_TextComparison):
    """Compare given, middle or family names: nicknames, initials, parts of a double name, spelling."""

    kind = "name"
    levels = ("missing", *_EXACT, "nickname", "close", "part", "similar", "different")
    CLOSE, SIMILAR = 0.92, 0.82

    def compare(self, x: str, y: str) -> int:
        """Compare two normalised names."""
        if x == y:
            return 1 + self.rarity(x)
        return self._unequal(x, y, JaroWinkler.similarity(x, y))

    def _unequal(self, x: str, y: str, similarity: float) -> int:
        if x[0] == y[0] and (len(x) == 1 or len(y) == 1):
            return BINS + 3
        if not formal_names(x).isdisjoint(formal_names(y)):
            return BINS + 1
        if similarity >= self.CLOSE:
            return BINS + 2
        if (" " in x or " " in y) and not set(x.split()).isdisjoint(y.split()):
            return BINS + 3
        return BINS + 4 if similarity >= self.SIMILAR else BINS + 5

    def compare_many(self, xs: Sequence[str], ys: Sequence[str]) -> Levels:
        """Compare pairs of normalised names."""
        found = np.zeros(len(xs), np.int8)
        unequal = []
        for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
            if x == y:
                found[i] = 1 + self.rarity(x)
            else:
                unequal.append(i)
        if unequal:
            rows = np.asarray(unequal)
            for i, similarity in zip(unequal, _similarities(xs, ys, rows).tolist(), strict=True):
                found[i] = self._unequal(xs[i], ys[i], similarity)
        return found


class Text(_TextComparison):
    """Compare free texts, organisations, occupations, places: equal, nearly equal, sharing a word, different."""

    kind = "text"
    levels = ("missing", *_EXACT, "close", "part", "different")
    CLOSE = 0.92

    def compare(self, x: str, y: str) -> int:
        """Compare two normalised texts."""
        if x == y:
            return 1 + self.rarity(x)
        return self._unequal(x, y, JaroWinkler.similarity(x, y))

    def _unequal(self, x: str, y: str, similarity: float) -> int:
        if similarity >= self.CLOSE:
            return BINS + 1
        shares = (" " in x or " " in y) and not set(x.split()).isdisjoint(y.split())
        return BINS + 2 if shares else BINS + 3

    def compare_many(self, xs: Sequence[str], ys: Sequence[str]) -> Levels:
        """Compare pairs of normalised texts."""
        found = np.zeros(len(xs), np.int8)
        similarities = _similarities(xs, ys, np.arange(len(xs)))
        for i, similarity in enumerate(similarities.tolist()):
            found[i] = 1 + self.rarity(xs[i]) if xs[i] == ys[i] else self._unequal(xs[i], ys[i], similarity)
        return found


class Category(_TextComparison):
    """Compare one of few values, as gender or a generation suffix: equal or not."""

    kind = "category"
    levels = ("missing", *_EXACT, "different")

    def compare(self, x: str, y: str) -> int:
        """Compare two normalised values."""
        return 1 + self.rarity(x) if x == y else BINS + 1


class BirthDate(_TextComparison):
    """Compare dates `YYYY-MM-DD`, 00 for unknown parts: typos, day and month swapped, parts that agree."""

    kind = "birth_date"
    levels = ("missing", *_EXACT, "partial", "typo", "swapped", "two_parts", "near", "different")

    def compare(self, x: str, y: str) -> int:
        """Compare two normalised dates."""
        if x == y:
            return 1 + self.rarity(x)
        (xy, xm, xd), (yy, ym, yd) = (x[:4], x[5:7], x[8:]), (y[:4], y[5:7], y[8:])
        if xd == "00" or yd == "00":
            if xy == yy and (xm == ym or "00" in (xm, ym)):
                return BINS + 1
        elif OSA.distance(x, y, score_cutoff=1) <= 1:
            return BINS + 2
        elif xy == yy and xm == yd and xd == ym:
            return BINS + 3
        if (xy == yy) + (xm == ym) + (xd == yd) >= 2:
            return BINS + 4
        return BINS + 5 if abs(int(xy) - int(yy)) <= 1 else BINS + 6


class Email(_TextComparison):
    """Compare email addresses: the same mailbox, the same user elsewhere, typos."""

    kind = "email"
    levels = ("missing", *_EXACT, "user", "close", "domain", "different")
    CLOSE = 0.8

    def compare(self, x: str, y: str) -> int:
        """Compare two normalised addresses."""
        (x_user, x_domain), (y_user, y_domain) = mailbox(x), mailbox(y)
        if x_user == y_user and x_domain == y_domain:
            return 1 + self.rarity(x)
        if x_user == y_user and len(x_user) > 3:
            return BINS + 1
        if OSA.normalized_similarity(x, y) >= self.CLOSE:
            return BINS + 2
        return BINS + 3 if x_domain == y_domain else BINS + 4

    def compare_many(self, xs: Sequence[str], ys: Sequence[str]) -> Levels:
        """Compare pairs of normalised addresses."""
        close = cpdist(xs, ys, scorer=OSA.normalized_similarity, dtype=np.float64) >= self.CLOSE
        found = np.where(close, BINS + 2, BINS + 4).astype(np.int8)
        boxes = {e: mailbox(e) for e in {*xs, *ys}}
        for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
            (x_user, x_domain), (y_user, y_domain) = boxes[x], boxes[y]
            if x_user == y_user or x_domain == y_domain:
                found[i] = self.compare(x, y)
        return found


class Phone(_TextComparison):
    """Compare E.164 numbers: equal, one digit off, different."""

    kind = "phone"
    levels = ("missing", *_EXACT, "close", "different")

    def compare(self, x: str, y: str) -> int:
        """Compare two normalised numbers."""
        if x == y:
            return 1 + self.rarity(x)
        # The last nine digits alone agree where one side was given the wrong country.
        return BINS + 1 if x[-9:] == y[-9:] or OSA.distance(x, y, score_cutoff=1) <= 1 else BINS + 2

    def compare_many(self, xs: Sequence[str], ys: Sequence[str]) -> Levels:
        """Compare pairs of normalised numbers."""
        far = cpdist(xs, ys, scorer=OSA.distance, score_cutoff=1, dtype=np.int32) > 1
        found = np.full(len(xs), BINS + 2, np.int8)
        for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
            if not far[i] or x[-9:] == y[-9:]:
                found[i] = self.compare(x, y)
        return found


class Number(Comparison[tuple[int, str]]):
    """Compare document or account numbers of the same type, and of the same issuer where both are known."""

    kind = "number"
    levels = ("missing", *_EXACT, "close", "different")
    TYPES: ClassVar[Mapping[str, frozenset[SemanticType]]] = {
        "government_number": frozenset(
            {SemanticType.NATIONAL_ID, SemanticType.TAX_ID, SemanticType.PASSPORT, SemanticType.DRIVERS_LICENCE}
        ),
        "account_number": frozenset({SemanticType.CUSTOMER_ACCOUNT, SemanticType.LOYALTY_ACCOUNT, SemanticType.DEVICE}),
    }

    def values(self, profile: Profile) -> tuple[tuple[int, str], ...]:
        """Take the numbers of the types that the comparison is named for."""
        types = self.TYPES[self.name]
        return tuple(d for d in profile.documents if d[0] in types)

    def frequency_texts(self, value: tuple[int, str]) -> Sequence[str]:
        """List type and number as one text."""
        return (f"{value[0]}|{value[1]}",)

    def compare(self, x: tuple[int, str], y: tuple[int, str]) -> int:
        """Compare two typed numbers."""
        if x[0] != y[0]:
            return MISSING
        if x[1] == y[1]:
            return 1 + self.rarity(f"{x[0]}|{x[1]}")
        (x_issuer, _, x_number), (y_issuer, _, y_number) = x[1].partition("|"), y[1].partition("|")
        if x_issuer and y_issuer and x_issuer != y_issuer:
            return MISSING
        if x_number == y_number:
            return 1 + self.rarity(f"{x[0]}|{x[1]}")
        return BINS + 1 if OSA.distance(x_number, y_number, score_cutoff=1) <= 1 else BINS + 2


class Street(Comparison[Place]):
    """Compare house number, street and unit of addresses."""

    kind = "street"
    levels = ("missing", *_EXACT, "unit", "close", "street", "different")

    def values(self, profile: Profile) -> tuple[Place, ...]:
        """Take the addresses that have a street."""
        return tuple(a for a in profile.addresses if a[1])

    def frequency_texts(self, value: Place) -> Sequence[str]:
        """List number and street as one text."""
        return (f"{value[0]}|{value[1]}",)

    def compare(self, x: Place, y: Place) -> int:
        """Compare two normalised addresses."""
        if x[1] == y[1]:
            if x[0] == y[0]:
                return BINS + 1 if x[2] != y[2] and x[2] and y[2] else 1 + self.rarity(f"{x[0]}|{x[1]}")
            if x[0] and y[0] and OSA.distance(x[0], y[0], score_cutoff=1) <= 1 and max(len(x[0]), len(y[0])) > 2:
                return BINS + 2
            return BINS + 3
        similarity = JaroWinkler.similarity(x[1], y[1])
        if x[0] == y[0] and x[0] and similarity >= 0.85:
            return BINS + 2
        return BINS + 3 if similarity >= 0.94 else BINS + 4


class Area(Comparison[Place]):
    """Compare postcode and city of addresses: the postcode where both have one, else the city."""

    kind = "area"
    levels = ("missing", *(f"postcode_{b}" for b in range(BINS)), *(f"city_{b}" for b in range(BINS)), "close", "different")
    binned = ("postcode", "city")

    def values(self, profile: Profile) -> tuple[Place, ...]:
        """Take the addresses that have a postcode or a city."""
        return tuple(a for a in profile.addresses if a[3] or a[5])

    def frequency_texts(self, value: Place) -> Sequence[str]:
        """List postcode and city, told apart."""
        return tuple(t for t in (f"P{value[5]}", f"C{value[3]}") if len(t) > 1)

    def compare(self, x: Place, y: Place) -> int:
        """Compare two normalised addresses."""
        if x[5] and x[5] == y[5]:
            return 1 + self.rarity(f"P{x[5]}")
        if x[3] and x[3] == y[3]:
            return 1 + BINS + self.rarity(f"C{x[3]}")
        if not ((x[5] and y[5]) or (x[3] and y[3])):
            return MISSING
        if x[5] and y[5] and OSA.distance(x[5], y[5], score_cutoff=1) <= 1:
            return 2 * BINS + 1
        if x[3] and y[3] and JaroWinkler.similarity(x[3], y[3]) >= 0.92:
            return 2 * BINS + 1
        return 2 * BINS + 2
