"""Number equal keys, rows and texts alike, in order of their first appearance.

Of many different ones a hash table outgrows the processor's caches, and each look-up waits for memory. So hashes are sorted
instead, each with its row in its lower bits: equal ones lie side by side, in order of rows. What has equal hashes is compared,
so that nothing hangs on their quality but time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["WIDEST", "Columns", "encoded", "factorise", "factorise_columns", "offsets_of", "pack", "united"]

Codes = NDArray[np.int32]
Keys = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Mask = NDArray[np.bool_]
Columns = Sequence[tuple[NDArray[np.integer], int]]
"""Columns of codes, each from 0 and below its size."""

Alike = Callable[[Keys, Keys], Mask]
"""Say of pairs of rows, given by number, whether they are equal."""

WIDEST = 62
"""Bits of a packed key."""

_FACTOR, _SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(29)
_WORD = 8
_LONGEST = 8 * _WORD
_CHUNK = 1 << 13
_SAMPLED, _REPEATED = 4096, 0.02
"""Texts of which at most this share repeats among the first are too many for a hash table."""


def pack(columns: Columns, rows: int) -> Keys:
    """Pack columns of codes into one integer a row, equal exactly where all codes are; up to `WIDEST` bits in their order."""
    keys, size = np.zeros(rows, np.int64), 1
    for codes, width in columns:
        if width < 2:
            continue
        if size * width >= 1 << WIDEST:
            keys, first = factorise(keys)
            size = len(first)
        keys = keys * width + codes
        size *= width
    return keys


def factorise(keys: Keys) -> tuple[Keys, Keys]:
    """Number keys by first appearance: the number of each row's, and the first row of each."""
    rows, least, most = len(keys), int(keys.min(initial=0)), int(keys.max(initial=0))
    if least >= 0 and most < 2 * rows:
        first_of = np.empty(most + 1, np.int64)
        first_of[keys[::-1]] = np.arange(rows - 1, -1, -1)
        firsts = first_of.take(keys)
        is_first = firsts == np.arange(rows)
        return (np.cumsum(is_first) - 1).take(firsts), np.flatnonzero(is_first)
    bits = _bits(rows)
    if least >= 0 and most.bit_length() + bits <= 64:
        return _numbered(*_sorted(keys.astype(np.uint64) << np.uint64(bits), lambda one, other: np.ones(len(one), np.bool_)))
    return _numbered(*_sorted(_mixed(None, keys), lambda one, other: keys[one] == keys[other]))


def factorise_columns(columns: Columns, rows: int) -> tuple[Keys, Keys]:
    """Number rows of columns of codes by first appearance: the number of each row's, and the first row of each."""
    parts: list[list[tuple[NDArray[np.integer], int]]] = [[]]
    size = 1
    for codes, width in columns:
        if size * width >= 1 << WIDEST:
            parts.append([])
            size = 1
        parts[-1].append((codes, width))
        size *= max(width, 1)
    keys = [pack(part, rows) for part in parts]
    if len(keys) == 1:
        return factorise(keys[0])
    hashes = None
    for key in keys:
        hashes = _mixed(hashes, key)
    return _numbered(*_sorted(hashes, lambda one, other: np.logical_and.reduce([key[one] == key[other] for key in keys])))  # type: ignore[arg-type]  # there are several


def united(parts: Sequence[NDArray[np.integer]]) -> Keys:
    """Unite arrays into a sorted one without repeats; sorting beats NumPy's hashing here by far."""
    every = np.concatenate([np.zeros(0, np.int64), *parts])
    every.sort()
    new = np.ones(len(every), np.bool_)
    new[1:] = every[1:] != every[:-1]
    return every.compress(new)


def encoded(texts: pa.Array) -> tuple[Codes, pa.Array]:
    """Number texts by first appearance, and list the distinct ones; there is no null."""
    if len(texts) < 2 * _SAMPLED or not _are_many(texts):
        found = texts.dictionary_encode()
        codes = np.frombuffer(found.indices.buffers()[1], np.int32)[: len(texts)] if len(texts) else np.zeros(0, np.int32)
        return codes, found.dictionary
    ends = offsets_of(texts)
    starts, lengths = ends[:-1], np.diff(ends)
    there = np.flatnonzero(lengths)
    if len(there) == len(texts):
        number, first = _numbered(*_Words(texts, starts, lengths).ordered())
        return number.astype(np.int32), texts if len(first) == len(texts) else _taken(texts, first)
    number, first = _numbered(*_Words(texts, starts[there], lengths[there]).ordered())
    first = there[first]
    empty = int(np.argmin(lengths))
    before = int(np.searchsorted(first, empty))
    codes = np.full(len(texts), before, np.int32)
    codes[there] = number + (number >= before)
    return codes, _taken(texts, np.insert(first, before, empty))


def _are_many(texts: pa.Array) -> bool:
    """Say whether texts are short and hardly repeat, but for empty ones."""
    lengths = np.diff(offsets_of(texts))
    sampled = int(np.count_nonzero(lengths[:_SAMPLED]))
    distinct = len(texts[:_SAMPLED].dictionary_encode().dictionary) - (sampled < _SAMPLED)
    return 0 < int(lengths.max()) <= _LONGEST and sampled - distinct <= _REPEATED * sampled


def _taken(texts: pa.Array, rows: Keys) -> pa.Array:
    return texts.take(pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(rows)]))


def offsets_of(texts: pa.Array) -> Keys:
    """Answer where each text begins in the bytes of all, and where the last ends."""
    kind = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    return np.frombuffer(texts.buffers()[1], kind)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)


class _Words:
    """Texts as words of eight bytes, the last of which reaches back from the end: texts of equal length and words are equal."""

    def __init__(self, texts: pa.Array, starts: Keys, lengths: Keys) -> None:
        self.starts, self.lengths = starts, lengths
        data = np.frombuffer(texts.buffers()[2], np.uint8)
        if len(data) < _WORD:
            data = np.concatenate([data, np.zeros(_WORD, np.uint8)])
        self.last = len(data) - _WORD
        self.data: NDArray[np.void] = np.ndarray((self.last + 1,), f"V{_WORD}", data, strides=(1,))
        self.count = -(-int(lengths.max()) // _WORD)
        self.keep = np.array([(1 << 8 * n) - 1 for n in range(_WORD)], np.uint64)

    def ordered(self) -> tuple[Keys, Mask]:
        hashes = _mixed(None, self.lengths)
        for words in self._words(self.starts, self.lengths):
            hashes = _mixed(hashes, words)
        return _sorted(hashes, self.alike)

    def alike(self, one: Keys, other: Keys) -> Mask:
        same: Mask = self.lengths[one] == self.lengths[other]
        for at in range(0, len(one), _CHUNK):
            part = slice(at, at + _CHUNK)
            sides = (self._words(self.starts[rows], self.lengths[rows]) for rows in (one[part], other[part]))
            for mine, others in zip(*sides, strict=True):
                same[part] &= mine == others
        return same

    def _words(self, starts: Keys, lengths: Keys) -> Iterator[Hashes]:
        """Read the words of texts, place by place; the last one again beyond their ends."""
        final = np.minimum(np.maximum(starts + lengths - _WORD, starts), self.last)
        short = np.flatnonzero(lengths < _WORD)
        # Bytes beyond a short text are others'; near the end of all, so are those before it.
        before = (8 * np.maximum(starts[short] - self.last, 0)).astype(np.uint64)
        keep = self.keep[lengths[short]]
        for place in range(self.count):
            words = self.data[np.minimum(starts + place * _WORD, final)].view("<u8").astype(np.uint64, copy=False)
            words[short] = (words[short] >> before) & keep
            yield words


def _bits(rows: int) -> int:
    return max(rows - 1, 1).bit_length()


def _mixed(hashes: Hashes | None, keys: NDArray[np.integer]) -> Hashes:
    """Mix keys into hashes, a new array, so that every bit counts in the upper ones."""
    found: Hashes = keys.astype(np.uint64) if hashes is None else hashes ^ keys.astype(np.uint64, copy=False)
    for _ in range(2):
        found *= _FACTOR
        found ^= found >> _SHIFT
    found *= _FACTOR
    return found


def _sorted(hashes: Hashes, alike: Alike) -> tuple[Keys, Mask]:
    """Order rows so that equal ones are side by side, ascending; say of each place whether what is there is new."""
    rows = len(hashes)
    lower = np.uint64((1 << _bits(rows)) - 1)
    packed = (hashes & ~lower) | np.arange(rows, dtype=np.uint64)
    packed.sort()
    at = (packed & lower).view(np.int64)
    new = np.ones(rows, np.bool_)
    new[1:] = (packed[1:] ^ packed[:-1]) > lower
    again = np.flatnonzero(~new)
    if len(again) and not alike(at[again - 1], at[again]).all():
        _part(hashes, alike, at, new)
    return at, new


def _part(hashes: Hashes, alike: Alike, at: Keys, new: Mask) -> None:
    """Part rows whose hashes agree in the upper bits though they differ: whole hashes tell them apart, else each other."""
    again = np.flatnonzero(~new)
    run = np.cumsum(new) - 1
    odd = np.zeros(int(run[-1]) + 1, np.bool_)
    odd[run[again[~alike(at[again - 1], at[again])]]] = True
    places = np.flatnonzero(odd[run])
    for start, *rest in _runs(run[places], places):
        groups: list[list[int]] = []
        for row in at[[start, *rest]].tolist():
            for group in groups:
                if hashes[group[0]] == hashes[row] and alike(np.array([group[0]]), np.array([row]))[0]:
                    group.append(row)
                    break
            else:
                groups.append([row])
        at[[start, *rest]] = [row for group in groups for row in group]
        new[start + np.cumsum([0, *map(len, groups[:-1])])] = True


def _runs(run: Keys, places: Keys) -> list[list[int]]:
    """List the places of each run."""
    return [part.tolist() for part in np.split(places, np.flatnonzero(np.diff(run)) + 1)]


def _numbered(at: Keys, new: Mask) -> tuple[Keys, Keys]:
    """Number rows by first appearance, given their order."""
    rows = len(at)
    if new.all():
        return np.arange(rows), np.arange(rows)
    heads = np.flatnonzero(new)
    first = at.take(heads)
    is_first = np.zeros(rows, np.bool_)
    is_first[first] = True
    number = np.empty(rows, np.int64)
    number[at] = np.repeat((np.cumsum(is_first) - 1).take(first), np.diff(heads, append=rows))
    return number, np.flatnonzero(is_first)
