"""Hold many profiles in columns: each feature as its distinct values and, for each row, which of them it has.

What a comparison or a blocking part takes from a profile is worked out once for each distinct content of the fields that it
reads, and these are found by letting it read. So a million rows cost as much as their distinct values.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import pairwise
from typing import Generic, TypeVar, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from goldenthread.resolver.bulk.numbering import factorise_columns, united
from goldenthread.resolver.bulk.texts import Joined, Texts, codes_of
from goldenthread.resolver.normalise import Profile

__all__ = ["Feature", "Frame"]

F = TypeVar("F", bound=Hashable)
Codes = NDArray[np.int32]

_FIELDS = tuple(name for name in Profile.__struct_fields__ if name != "others")


class Feature(Generic[F]):
    """One feature of many rows.

    `codes` says which entry each row has: 0 where the feature is unknown, else from 1 up. Where `starts` is None, entry `e`
    is the one value `values[e - 1]`; else it is the values numbered `members[starts[e]:starts[e + 1]]`, in their order.
    Equal entries have equal codes.
    """

    __slots__ = ("codes", "members", "sketches", "starts", "values")

    def __init__(
        self, codes: Codes, values: Sequence[F], starts: NDArray[np.int64] | None = None, members: Codes | None = None
    ) -> None:
        self.codes, self.values, self.starts = codes, values, starts
        self.members = np.zeros(0, np.int32) if members is None else members
        self.sketches: dict[str, object] = {}
        """What others worked out of the values, by their own names for it."""

    @property
    def entries(self) -> int:
        """How many entries there are, the unknown one included."""
        return len(self.values) + 1 if self.starts is None else len(self.starts) - 1

    def entry(self, code: int) -> tuple[F, ...]:
        """List the values of an entry."""
        if self.starts is None:
            return (self.values[code - 1],) if code else ()
        return tuple(self.values[i] for i in self.members[self.starts[code] : self.starts[code + 1]].tolist())

    def all_entries(self) -> list[tuple[F, ...]]:
        """List the values of every entry."""
        if self.starts is None:
            return [(), *zip(self.values, strict=True)]
        taken = self.some(self.members)
        bounds = self.starts.tolist()
        return [tuple(taken[a:b]) for a, b in pairwise(bounds)]

    def some(self, numbers: NDArray[np.integer]) -> list[F]:
        """List the values of some numbers."""
        values = self.values
        if isinstance(values, Texts | Joined):
            return cast("list[F]", values.some(numbers))
        return [values[i] for i in numbers.tolist()]

    def sizes(self) -> NDArray[np.int64]:
        """Count the values of every entry."""
        if self.starts is None:
            sizes = np.ones(self.entries, np.int64)
            sizes[0] = 0
            return sizes
        return np.diff(self.starts)

    def bounds(self) -> tuple[NDArray[np.int64], Codes]:
        """Answer where the members of every entry start, and the members; both made where every entry has one."""
        if self.starts is None:
            starts = np.arange(-1, self.entries, dtype=np.int64)
            starts[0] = 0
            return starts, np.arange(len(self.values), dtype=np.int32)
        return self.starts, self.members

    def spread(self, codes: NDArray[np.integer]) -> tuple[Codes, Codes]:
        """List the values of some entries, one after the other: the place in `codes` of each one's entry, and its number."""
        if self.starts is None:
            there = np.flatnonzero(codes).astype(np.int32)
            return there, (codes[there] - 1).astype(np.int32)
        sizes = self.sizes()[codes]
        starts, members = self.bounds()
        which = np.repeat(np.arange(len(codes), dtype=np.int32), sizes)
        within = np.arange(len(which)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return which, members[starts[codes[which]] + within]

    def firsts(self) -> Codes:
        """Number the first value of every entry; -1 where there is none."""
        if self.starts is None:
            return np.arange(-1, len(self.values), dtype=np.int32)
        firsts = np.full(self.entries, -1, np.int32)
        there = self.sizes() > 0
        firsts[there] = self.members[self.starts[:-1][there]]
        return firsts

    def repeats(self) -> bool:
        """Say whether some entry has a value twice."""
        if self.starts is None:
            return False
        entries = np.repeat(np.arange(self.entries), self.sizes())
        return len(united([entries * len(self.values) + self.members])) < len(self.members)

    def without(self, value: F) -> Feature[F]:
        """Leave out a value, where every entry has one: who has it has none."""
        kept = list(self.values)
        at = kept.index(value)
        del kept[at]
        new = np.arange(self.entries, dtype=np.int32)
        new[at + 1] = 0
        new[at + 2 :] -= 1
        return Feature(new.take(self.codes), kept)

    def take(self, rows: NDArray[np.integer]) -> Feature[F]:
        """Answer the feature of some rows."""
        return Feature(self.codes[rows], self.values, self.starts, self.members)

    def only(self, rows: NDArray[np.integer]) -> Feature[F]:
        """Answer the feature of some rows, without the values that none of them has."""
        codes = self.codes[rows]
        new = np.zeros(self.entries, np.int32)
        new[codes] = 1
        new[0] = 0
        used = np.flatnonzero(new)
        new[used] = np.arange(1, len(used) + 1)
        if self.starts is None:
            values = self.values
            kept = values.taken(used - 1) if isinstance(values, Texts) else self.some(used - 1)
            return Feature(new[codes], cast("Sequence[F]", kept))
        return Feature.of([(), *(self.entry(code) for code in used.tolist())], new[codes])

    @staticmethod
    def of_texts(texts: pa.Array, codes: NDArray[np.integer], *, all_differ: bool = False) -> Feature[str]:
        """Build from single texts, "" where there is none, and the place of each row's text; unless told, some may repeat."""
        new, distinct = codes_of(texts, all_differ=all_differ)
        return Feature(new[codes] if len(new) else np.zeros(len(codes), np.int32), Texts(distinct))

    @staticmethod
    def of(entries: Sequence[Sequence[F]], codes: NDArray[np.integer]) -> Feature[F]:
        """Build from the values of entries, empty or repeated ones among them, and the place of each row's entry."""
        lengths = np.fromiter(map(len, entries), np.int64, len(entries))
        if lengths.max(initial=0) < 2:
            single = [entry[0] for entry in entries if entry]
            numbers = {value: place for place, value in enumerate(dict.fromkeys(single), 1)}
            new = np.zeros(len(entries), np.int32)
            new[lengths > 0] = np.fromiter(map(numbers.__getitem__, single), np.int32, len(single))
            return Feature(new.take(codes) if len(new) else np.zeros(len(codes), np.int32), list(numbers))
        number: dict[F, int] = {}
        known: dict[tuple[F, ...], int] = {(): 0}
        new = np.fromiter((known.setdefault(tuple(entry), len(known)) for entry in entries), np.int32, len(entries))
        sizes = np.fromiter(map(len, known), np.int64, len(known))
        starts = np.zeros(len(known) + 1, np.int64)
        np.cumsum(sizes, out=starts[1:])
        members = np.fromiter(
            (number.setdefault(value, len(number)) for entry in known for value in entry), np.int32, int(starts[-1])
        )
        return Feature(new[codes], list(number), starts, members)


class _Unread(Exception):  # not an error: it tells which field is read
    """A field of a profile was read that is not there yet."""

    def __init__(self, field: str) -> None:
        self.field = field
        super().__init__(field)


class _Partial:
    """Stand in for a profile of which only some fields are known; reading another says which."""

    def __getattr__(self, field: str) -> object:
        if field in Profile.__struct_fields__:
            raise _Unread(field)
        raise AttributeError(field)


class _Opaque:
    """Stand in for the content of a field; it can only be passed on, so who answers it has not looked at it."""

    __slots__ = ()

    def _refuse(self, *_: object) -> bool:
        raise _Looked

    __bool__ = __len__ = __iter__ = __getitem__ = __contains__ = __add__ = __eq__ = _refuse
    __hash__ = None  # type: ignore[assignment]


class _Looked(Exception):  # not an error
    """The content of a field was looked at."""


class Frame:
    """Many profiles in columns: their fields by name, and the texts of `others` by key."""

    __slots__ = ("_derived", "fields", "others", "rows")

    def __init__(self, rows: int, fields: dict[str, Feature[Hashable]], others: dict[str, Feature[str]]) -> None:
        self.rows = rows
        self.fields = {name: fields[name] for name in _FIELDS if name in fields}
        self.others = dict(sorted(others.items()))
        self._derived: dict[tuple[object, str], Feature[Hashable]] = {}

    @staticmethod
    def of_profiles(profiles: Sequence[Profile]) -> Frame:
        """Put profiles into columns."""
        rows = np.arange(len(profiles))
        fields: dict[str, Feature[Hashable]] = {
            name: Feature.of([getattr(profile, name) for profile in profiles], rows) for name in _FIELDS
        }
        keys = sorted({key for profile in profiles for key, _ in profile.others})
        others = {k: Feature.of([tuple(t for key, t in p.others if key == k) for p in profiles], rows) for k in keys}
        return Frame(len(profiles), fields, others)

    def profile(self, row: int) -> Profile:
        """Make the profile of a row."""
        fields = {name: feature.entry(int(feature.codes[row])) for name, feature in self.fields.items()}
        others = [(key, text) for key, feature in self.others.items() for text in feature.entry(int(feature.codes[row]))]
        return Profile(**fields, others=tuple(sorted(others)))  # type: ignore[arg-type]  # each field's own values

    def take(self, rows: NDArray[np.integer]) -> Frame:
        """Answer the frame of some rows."""
        return Frame(
            len(rows),
            {name: feature.take(rows) for name, feature in self.fields.items()},
            {key: feature.take(rows) for key, feature in self.others.items()},
        )

    def only(self, rows: NDArray[np.integer]) -> Frame:
        """Answer the frame of some rows, without the values that none of them has: to look at few of many rows."""
        return Frame(
            len(rows),
            {name: feature.only(rows) for name, feature in self.fields.items()},
            {key: feature.only(rows) for key, feature in self.others.items()},
        )

    def distinct(self) -> tuple[NDArray[np.int64], Frame]:
        """Number the distinct profiles by first row: the number of each row's, and the frame of the distinct ones."""
        features: list[Feature[Hashable]] = [*self.fields.values(), *cast("Iterable[Feature[Hashable]]", self.others.values())]
        point_of, first = factorise_columns([(f.codes, f.entries) for f in features], self.rows)
        return point_of, self.take(first)

    def derive(
        self,
        read: Callable[[Profile], Sequence[F]],
        key: str = "",
        known_as: str = "",
        at_once: Callable[[], Feature[F] | None] = lambda: None,
    ) -> Feature[F]:
        """Work out what a function takes from every profile, once for each distinct content of the fields it reads.

        The function sees those of `others` that have the key, and no more. Functions that are `known_as` the same for a key
        are taken for one. `at_once` works out the same for all profiles faster, or answers None where it can't.
        """
        name = (known_as or read, key)
        found = self._derived.get(name)
        if found is None:
            found = self._derived[name] = cast(Feature[Hashable], at_once() or self._derive(read, key))
        return cast(Feature[F], found)

    def forget(self, kept: Iterable[object]) -> None:
        """Forget what was derived by functions other than those kept and those known by a name: it takes memory."""
        functions = set(kept)
        self._derived = {n: f for n, f in self._derived.items() if isinstance(n[0], str) or n[0] in functions}

    def _derive(self, read: Callable[[Profile], Sequence[F]], key: str) -> Feature[F]:
        fields: list[str] = []
        while True:
            try:
                return self._read(read, key, fields)
            except _Unread as unread:
                fields.append(unread.field)

    def _field(self, name: str, key: str) -> Feature[Hashable] | None:
        return cast("Feature[Hashable] | None", self.others.get(key) if name == "others" else self.fields.get(name))

    def _read(self, read: Callable[[Profile], Sequence[F]], key: str, names: Sequence[str]) -> Feature[F]:
        partial = _Partial()
        profile = cast(Profile, partial)
        features: list[Feature[Hashable]] = []
        known: list[str] = []
        for name in names:
            feature = self._field(name, key)
            if feature is None:
                setattr(partial, name, ())
            else:
                features.append(feature)
                known.append(name)
        if not features:
            return Feature.of([read(profile)], np.zeros(self.rows, np.int64))
        if len(features) == 1:
            name, feature = known[0], features[0]
            if name != "others" and _passes_on(read, partial, name):
                return cast(Feature[F], feature)
            entries = feature.all_entries()
            answers = []
            for entry in entries:
                setattr(partial, name, tuple((key, text) for text in entry) if name == "others" else entry)
                answers.append(read(profile))
            return Feature.of(answers, feature.codes)
        combination, first = factorise_columns([(f.codes, f.entries) for f in features], self.rows)
        every = [
            _with_key(f.all_entries(), key) if n == "others" else f.all_entries() for n, f in zip(known, features, strict=True)
        ]
        columns = [f.codes[first].tolist() for f in features]
        answers = []
        for codes in zip(*columns, strict=True):
            for name, entries, code in zip(known, every, codes, strict=True):
                setattr(partial, name, entries[code])
            answers.append(read(profile))
        return Feature.of(answers, combination)


def _with_key(entries: Iterable[tuple[Hashable, ...]], key: str) -> list[tuple[Hashable, ...]]:
    return [tuple((key, text) for text in entry) for entry in entries]


def _passes_on(read: Callable[[Profile], object], partial: _Partial, name: str) -> bool:
    """Say whether a function answers a field as it is, without looking at it."""
    opaque = _Opaque()
    setattr(partial, name, opaque)
    try:
        return read(cast(Profile, partial)) is opaque
    except (_Looked, TypeError):
        return False
