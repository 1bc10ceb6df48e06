"""Distinct texts kept in Arrow, and what is worked out of all of them at once: a million are not a million Python objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from goldenthread.resolver.bulk.numbering import encoded, offsets_of
from goldenthread.resolver.bulk.text_column import integers, numbers, strings

__all__ = [
    "Joined",
    "Letters",
    "Texts",
    "aligned",
    "as_arrow",
    "codes_of",
    "filled_in",
    "is_plain_ascii",
    "mask_of",
    "ranks",
    "same_numbers",
]

Mask = NDArray[np.bool_]
Codes = NDArray[np.int32]


class Texts(Sequence[str]):
    """Texts that read like a list of them."""

    __slots__ = ("arrow", "users")

    def __init__(self, arrow: pa.Array) -> None:
        self.arrow = arrow
        self.users: pa.Array | None = None
        """Of addresses of mailboxes their users, once these were worked out."""

    def some(self, places: NDArray[np.integer]) -> list[str]:
        """List the texts at some places."""
        found: list[str] = self.arrow.take(integers(places)).to_pylist()
        return found

    def taken(self, places: NDArray[np.integer]) -> Texts:
        """Keep the texts at some places alone."""
        return Texts(self.arrow.take(integers(places)))

    def __len__(self) -> int:
        return len(self.arrow)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> Texts: ...

    def __getitem__(self, place: int | slice) -> str | Texts:
        if isinstance(place, slice):
            return Texts(self.arrow[place])
        found: str = self.arrow[place].as_py()
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrow.to_pylist())

    def __contains__(self, text: object) -> bool:
        return isinstance(text, str) and bool(mask_of(pc.equal(self.arrow, strings([text])[0])).any())


class Joined(Sequence[str]):
    """Texts joined of parts, each part known by its place among texts of its own: written out only when they are read."""

    __slots__ = ("between", "parts")

    def __init__(self, parts: Sequence[tuple[NDArray[np.integer], pa.Array]], between: str) -> None:
        self.parts, self.between = parts, between

    def some(self, places: NDArray[np.integer]) -> list[str]:
        """List the texts at some places."""
        *texts, between = aligned(
            [*(texts.take(integers(codes[places])) for codes, texts in self.parts), strings([self.between])]
        )
        found: list[str] = pc.binary_join_element_wise(*texts, between[0]).to_pylist()
        return found

    def __len__(self) -> int:
        return len(self.parts[0][0])

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> Joined: ...

    def __getitem__(self, place: int | slice) -> str | Joined:
        if isinstance(place, slice):
            return Joined([(codes[place], texts) for codes, texts in self.parts], self.between)
        return self.between.join(texts[int(codes[place])].as_py() for codes, texts in self.parts)

    def __iter__(self) -> Iterator[str]:
        return iter(self.some(np.arange(len(self))))

    def __contains__(self, text: object) -> bool:
        """Say whether a text is there; one without what stands between parts is not."""
        return isinstance(text, str) and self.between in text and text in iter(self)


def aligned(texts: Sequence[pa.Array]) -> list[pa.Array]:
    """Cast to the widest type among the arrays."""
    wide = next((t.type for t in texts if pa.types.is_large_string(t.type)), pa.string())
    return [t.cast(wide) for t in texts]


def as_arrow(texts: Sequence[str]) -> pa.Array:
    """Answer texts as an Arrow array."""
    return texts.arrow if isinstance(texts, Texts) else strings(texts)


def mask_of(found: pa.Array) -> Mask:
    """Read an Arrow array of truths; null is false."""
    known = numbers(found.cast(pa.int32())).astype(np.bool_)
    return known & mask_of(found.is_valid()) if found.null_count else known


def codes_of(texts: pa.Array, *, all_differ: bool = False) -> tuple[Codes, pa.Array]:
    """Number texts as they come, "" as 0, others from 1 up; answer the numbers, and the distinct texts but "". No null."""
    codes, words = (np.arange(len(texts), dtype=np.int32), texts) if all_differ else encoded(texts)
    codes = codes + np.int32(1)
    empty = np.flatnonzero(np.diff(offsets_of(words)) == 0) if len(words) else codes[:0]
    if not len(empty):
        return codes, words
    at = int(empty[0])
    new = np.arange(len(words) + 1, dtype=np.int32)
    new[at + 1] = 0
    new[at + 2 :] -= 1
    return new[codes], pa.concat_arrays([words[:at], words[at + 1 :]])


def same_numbers(texts: pa.Array) -> Codes:
    """Number texts so that equal ones have equal numbers, from 0 up as they come; there is no null."""
    return encoded(texts)[0]


def filled_in(found: pa.Array, sure: Mask, texts: pa.Array, write: Callable[[str], str]) -> pa.Array:
    """Answer what was found where that is sure, and elsewhere what `write` makes of the text."""
    rest = np.flatnonzero(~sure)
    if not len(rest):
        return found
    written = strings([write(text) for text in texts.take(integers(rest)).to_pylist()])
    every = pa.concat_arrays([found.cast(written.type), written])
    places = np.arange(len(found))
    places[rest] = len(found) + np.arange(len(rest))
    return every.take(integers(places))


def ranks(texts: pa.Array) -> NDArray[np.int64]:
    """Rank distinct texts as Python orders them, which is the order of their bytes; there is no null."""
    order = pc.sort_indices(texts)
    rank = np.empty(len(texts), np.int64)
    if len(texts):
        places = np.frombuffer(order.buffers()[1], np.uint64)[order.offset : order.offset + len(texts)]
        rank[places.astype(np.int64)] = np.arange(len(texts))
    return rank


def is_plain_ascii(texts: pa.Array) -> Mask:
    """Say of each text whether all its letters are ASCII."""
    return mask_of(pc.string_is_ascii(texts))


class Letters:
    """Texts as their bytes end to end: `data[starts[i]:starts[i + 1]]` are those of text `i`."""

    def __init__(self, texts: pa.Array) -> None:
        if len(texts):
            offsets, data = offsets_of(texts), texts.buffers()[2]
            whole = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
            self.starts, self.data = offsets - offsets[0], whole[offsets[0] : offsets[-1]]
        else:
            self.starts, self.data = np.zeros(1, np.int64), np.zeros(0, np.uint8)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Count the bytes of every text."""
        lengths: NDArray[np.int64] = np.diff(self.starts)
        return lengths

    def column(self, place: int) -> NDArray[np.uint8]:
        """Answer the byte at a place of every text; 0 beyond its end."""
        at = self.starts[:-1] + place
        found: NDArray[np.uint8] = np.take(self.data, at, mode="clip") if len(self.data) else np.zeros(len(at), np.uint8)
        found *= at < self.starts[1:]
        return found

    def translated(self, table: NDArray[np.uint8]) -> None:
        """Put another byte in each one's place; 0 leaves it out."""
        self._keep(table[self.data], None)

    def without_repeats(self) -> None:
        """Write bytes that follow their like in one text once."""
        kept = np.ones(len(self.data), np.bool_)
        kept[1:] = self.data[1:] != self.data[:-1]
        kept[self.starts[:-1][self.starts[:-1] < len(kept)]] = True
        self._keep(self.data, kept)

    def _keep(self, data: NDArray[np.uint8], kept: Mask | None) -> None:
        kept = data > 0 if kept is None else kept
        # Of an empty text `reduceat` answers what is at its place.
        lengths = np.add.reduceat(np.append(kept, False), self.starts[:-1], dtype=np.int64)
        lengths[self.lengths == 0] = 0
        self.data, self.starts = data[kept], np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])

    def to_arrow(self) -> pa.Array:
        """Answer the texts as an Arrow array."""
        buffers = [None, pa.py_buffer(self.starts), pa.py_buffer(np.ascontiguousarray(self.data))]
        made = pa.Array.from_buffers(pa.large_string(), len(self.starts) - 1, buffers)
        return made.cast(pa.string()) if self.starts[-1] < 1 << 31 else made
