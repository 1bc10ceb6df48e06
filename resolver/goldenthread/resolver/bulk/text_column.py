"""Hold a column of texts as its distinct words and, for each row, which of them it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from goldenthread.resolver.bulk.numbering import encoded

__all__ = ["TextColumn", "integers", "numbers", "strings", "truths"]


def strings(values: Sequence[str]) -> pa.Array:
    """Make an Arrow array of strings; `pa.array` would do, but imports pandas where there is one, which takes seconds."""
    raw = [value.encode() for value in values]
    offsets = np.zeros(len(raw) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, raw), np.int64, len(raw)), out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(raw))]
    made = pa.Array.from_buffers(pa.large_string(), len(raw), buffers)
    return made.cast(pa.string()) if offsets[-1] < 1 << 31 else made


def numbers(array: pa.Array) -> NDArray[np.int32]:
    """Read an Arrow array of int32 without nulls; see `strings`."""
    if not len(array):
        return np.zeros(0, np.int32)
    buffer = array.buffers()[1]
    return np.frombuffer(buffer, np.int32)[array.offset : array.offset + len(array)]


def integers(values: NDArray[np.integer]) -> pa.Array:
    """Make an Arrow array of the integers of an array, of int64 or int32, without a copy; see `strings`."""
    kind = pa.int32() if values.dtype == np.int32 else pa.int64()
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def truths(values: NDArray[np.bool_]) -> pa.Array:
    """Make an Arrow array of truths; see `strings`."""
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(np.packbits(values, bitorder="little"))])


class TextColumn(Sequence[str]):
    """A column of texts, "" where missing: reads like a list of them, and is held as codes of distinct words.

    `codes` says which of the words each row has; shape (rows,). The words are in Arrow, so that a column of a million values
    is not a million Python objects; `words` makes them on each call, reading by row keeps them.
    """

    __slots__ = ("_arrow", "_kept", "codes")

    def __init__(self, codes: NDArray[np.int32], words: pa.Array) -> None:
        self.codes = codes
        self._arrow = words
        self._kept: list[str] | None = None

    @staticmethod
    def of(values: Sequence[str]) -> TextColumn:
        """Encode texts, which are left as they are."""
        return values if isinstance(values, TextColumn) else TextColumn.encode(pa.chunked_array([strings(values)]))

    @staticmethod
    def encode(texts: pa.ChunkedArray) -> TextColumn:
        """Encode an Arrow column of strings without nulls."""
        combined = texts.combine_chunks()
        if isinstance(combined, pa.ChunkedArray):  # of more bytes than one array of strings can hold
            combined = texts.cast(pa.large_string()).combine_chunks()
        return TextColumn(*encoded(combined))

    @staticmethod
    def united(parts: Sequence[TextColumn]) -> TextColumn:
        """Put columns one below the other."""
        if len(parts) == 1:
            return parts[0]
        new, words = encoded(pa.concat_arrays([part._arrow for part in parts]))
        first = np.cumsum([0, *(len(part._arrow) for part in parts)])
        codes = [new[start + part.codes] for start, part in zip(first.tolist(), parts, strict=False)]
        return TextColumn(np.concatenate(codes), words)

    @staticmethod
    def constant(text: str, rows: int) -> TextColumn:
        """Repeat one text."""
        return TextColumn(np.zeros(rows, np.int32), strings([text]))

    def words(self) -> list[str]:
        """List the distinct words; `codes` count in this list. Some may be borne by no row."""
        found: list[str] = self._arrow.to_pylist()
        return found

    @property
    def distinct_texts(self) -> pa.Array:
        """The distinct words in Arrow; `codes` count in it."""
        return self._arrow

    def some_words(self, codes: NDArray[np.integer]) -> list[str]:
        """List the words of some codes."""
        found: list[str] = self._arrow.take(integers(codes)).to_pylist()
        return found

    def mapped(self, write: Callable[[Sequence[str]], Sequence[str]]) -> TextColumn:
        """Write every word anew; `write` is given the distinct ones and answers as many."""
        new, words = encoded(strings(write(self.words())))
        return TextColumn(new[self.codes] if len(new) else self.codes, words)

    def stripped(self) -> TextColumn:
        """Leave out white space around the words."""
        trimmed = pc.utf8_trim_whitespace(self._arrow)
        if trimmed.equals(self._arrow):
            return self
        new, words = encoded(trimmed)
        return TextColumn(new[self.codes], words)

    @property
    def distinct(self) -> int:
        """Count the distinct texts but ""."""
        there = np.zeros(len(self._arrow), np.bool_)
        there[self.codes] = True
        return int(there[self._lengths() > 0].sum())

    @property
    def filled(self) -> int:
        """Count the rows that have a text."""
        return int((self._lengths() > 0)[self.codes].sum()) if len(self.codes) else 0

    def _lengths(self) -> NDArray[np.int32]:
        return numbers(pc.binary_length(self._arrow).cast(pa.int32()))

    def to_arrow(self) -> pa.Array:
        """Answer the texts row by row as an Arrow array of strings."""
        if len(self.codes) == len(self._arrow) and np.array_equal(self.codes, np.arange(len(self.codes))):
            return self._arrow
        return self._arrow.take(integers(self.codes))

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> TextColumn: ...

    def __getitem__(self, place: int | slice) -> str | TextColumn:
        if isinstance(place, slice):
            return TextColumn(self.codes[place], self._arrow)
        if self._kept is None:
            self._kept = self.words()
        return self._kept[int(self.codes[place])]

    def __iter__(self) -> Iterator[str]:
        """Go through the texts row by row; a part of a much larger column does not write out all its words."""
        if len(self.codes) * 4 < len(self._arrow):
            return iter(self.to_arrow().to_pylist())
        words = self.words()
        return iter([words[code] for code in self.codes.tolist()])

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    def __repr__(self) -> str:
        """Say how large it is; never what it holds."""
        return f"TextColumn({len(self.codes)} rows, {len(self._arrow)} words)"

    __hash__ = None  # type: ignore[assignment]  # equal to lists, as a list is not hashable
