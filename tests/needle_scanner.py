"""Look for personal values in the bytes of files, in every form they could have leaked in.

    needles = Needles()
    needles.add("Ada Lovelace")
    assert needles.scan([data_folder]) == []

Every value of eight or more characters is looked for as it is, case-folded, and by its digits alone when there are ten or more;
each of them in UTF-8 and UTF-16, URL-encoded, JSON-escaped, in base64 (both alphabets, all three offsets) and in hex.
Letter case is ignored but in base64. The short strings that Neo4j packs into its records are unpacked. What is compressed or
encrypted is not looked into, and a value is not found that a store has cut in two at the border of a page.

A file is read in windows. The first eight bytes of every form are a number; the numbers at all offsets of a window are made by
NumPy and looked up together, and only where one is met the forms of its value are compared.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, quote_plus

import numpy as np
import numpy.typing as npt
from neo4j_short_strings import RECORD_BYTES, unpack_short_strings

__all__ = ["MIN_CHARACTERS", "Finding", "Needles"]

MIN_CHARACTERS = 8
MIN_DIGITS = 10
_ANCHOR = 8
_COUNTRY_CODE_DIGITS = 3
_HEX_RUN = 24
_CONTEXT = 2 * _HEX_RUN
_BITS_BESIDE = 6
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_CASES = ("other case", "second other case", "third other case")
_NEO4J_FILES = ("neostore.propertystore.db", "neostore.transaction.db")
_HEX_DIGITS = frozenset(b"0123456789abcdef-")

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Finding:
    """A value found: where, in which form, and which it is, by its number (from 0, as added) and its first two characters."""

    path: Path
    offset: int
    form: str
    needle: int
    hint: str


@dataclass(frozen=True, slots=True)
class _Form:
    """A form of a value: `lowered` is met in lowered bytes; `exact`, unless None, must be met in the bytes as they are."""

    name: str
    lowered: bytes
    exact: bytes | None = None
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class _Index:
    anchors: Words  # sorted
    owners: npt.NDArray[np.uint32]  # the needle of each anchor
    bits: int
    is_possible: npt.NDArray[np.bool_]  # by hash of an anchor, of so many bits
    longest: int


@dataclass(frozen=True, slots=True)
class _Window:
    """Bytes that begin at `offset` of their file; forms that begin from `start` until before `stop` are looked for."""

    offset: int
    content: bytes
    start: int
    stop: int


class Needles:
    """Values that must be found nowhere."""

    def __init__(self, *, window_bytes: int = 1 << 20) -> None:
        self._window_bytes = window_bytes
        self._values: dict[str, int] = {}
        self._ordered: list[str] = []
        self._index: _Index | None = None

    def __len__(self) -> int:
        return len(self._ordered)

    def __repr__(self) -> str:
        return f"Needles({len(self)} values)"

    def add(self, value: str) -> bool:
        """Add a value; say whether it is long enough to be looked for. Adding one twice counts once."""
        value = value.strip()
        if len(value) < MIN_CHARACTERS:
            return False
        if value not in self._values:
            self._values[value] = len(self._ordered)
            self._ordered.append(value)
            self._index = None
        return True

    def scan(self, paths: Iterable[Path], *, limit: int = 1000) -> list[Finding]:
        """Find values in files, and in all files below folders, sorted by place; stop after `limit` findings.

        A file below a folder that goes away meanwhile is passed over; a path that is not there raises FileNotFoundError.
        """
        findings: list[Finding] = []
        for path in paths:
            for file, window in _windows_of_all(path, self._window_bytes, self._built().longest):
                findings += self._find(file, window)
                if len(findings) >= limit:
                    return findings[:limit]
        return findings

    def scan_bytes(self, content: bytes, name: str = "bytes") -> list[Finding]:
        """Find values in bytes that are in no file, as the text of metrics."""
        return list(self._find(Path(name), _Window(0, content, 0, len(content))))

    def _built(self) -> _Index:
        if self._index is None:
            anchors = bytearray()
            owners: list[int] = []
            longest = _ANCHOR
            for number, value in enumerate(self._ordered):
                for form in _forms(value):
                    anchors += form.lowered[:_ANCHOR]
                    owners.append(number)
                    longest = max(longest, len(form.lowered))
            words = np.frombuffer(bytes(anchors), dtype="<u8").astype(np.uint64)
            order = np.argsort(words, kind="stable")
            bits = min(26, max(12, len(owners).bit_length() + _BITS_BESIDE))
            is_possible = np.zeros(1 << bits, dtype=np.bool_)
            is_possible[_hashes(words, bits)] = True
            self._index = _Index(words[order], np.array(owners, dtype=np.uint32)[order], bits, is_possible, longest)
        return self._index

    def _find(self, path: Path, window: _Window) -> Iterator[Finding]:
        """Find forms in a window, and in the strings that Neo4j has packed into it when it is of one of its files."""
        if len(window.content) < _ANCHOR or not len(self):
            return
        lowered = window.content.lower()
        for at, form, number in self._met(window, lowered, _words(lowered)):
            yield self._finding(path, window.offset + at, form.name, number)
        if path.name.startswith(_NEO4J_FILES):
            words = _words(window.content + bytes(RECORD_BYTES))
            for packed in unpack_short_strings(words, window.start, window.stop, MIN_CHARACTERS):
                lowered = packed.text.lower()
                unpacked = _Window(0, packed.text, 0, len(packed.text))
                for at, form, number in self._met(unpacked, lowered, _words(lowered)):
                    yield self._finding(path, window.offset + packed.place_of(at), f"{form.name}, packed by Neo4j", number)

    def _met(self, window: _Window, lowered: bytes, words: Words) -> Iterator[tuple[int, _Form, int]]:
        """Give (place, form, needle) of each form that begins in a window between its start and stop."""
        index = self._built()
        places = np.flatnonzero(index.is_possible[_hashes(words, index.bits)])
        met = words[places]
        first = np.searchsorted(index.anchors, met, side="left")
        last = np.searchsorted(index.anchors, met, side="right")
        is_met = (last > first) & (places >= window.start) & (places < window.stop)
        for at, low, high in zip(places[is_met].tolist(), first[is_met].tolist(), last[is_met].tolist(), strict=True):
            for number in dict.fromkeys(index.owners[low:high].tolist()):
                for form in _forms(self._ordered[number]):
                    if _is_at(form, window.content, lowered, at):
                        yield at, form, number

    def _finding(self, path: Path, offset: int, form: str, number: int) -> Finding:
        value = self._ordered[number]
        return Finding(path, offset, form, number, f"{value[:2]}…, {len(value)} characters")


def _hashes(words: Words, bits: int) -> npt.NDArray[np.intp]:
    return ((words * _MULTIPLIER) >> np.uint64(64 - bits)).astype(np.intp)


def _words(content: bytes) -> Words:
    """Read the eight bytes at every offset as one little-endian number."""
    one = np.frombuffer(content, dtype=np.uint8)
    two = one[:-1].astype(np.uint16) | (one[1:].astype(np.uint16) << np.uint16(8))
    four = two[:-2].astype(np.uint32) | (two[2:].astype(np.uint32) << np.uint32(16))
    return four[:-4].astype(np.uint64) | (four[4:].astype(np.uint64) << np.uint64(32))


def _windows_of_all(path: Path, size: int, longest: int) -> Iterator[tuple[Path, _Window]]:
    if not path.is_dir():
        for window in _windows(path, size, longest):
            yield path, window
        return
    for file in sorted(path.rglob("*")):
        if not file.is_file():
            continue
        try:
            for window in _windows(file, size, longest):
                yield file, window
        except FileNotFoundError:
            continue  # a log that its store has just removed


def _windows(file: Path, size: int, longest: int) -> Iterator[_Window]:
    """Read a file in windows that overlap so far that each place is looked at once, with all that a form there can need."""
    with file.open("rb") as handle:
        offset, start, content = 0, 0, b""
        while chunk := handle.read(size):
            content += chunk
            stop = max(start, len(content) - longest - _CONTEXT)
            yield _Window(offset, content, start, stop)
            dropped = max(0, stop - _CONTEXT)
            offset, start, content = offset + dropped, stop - dropped, content[dropped:]
        yield _Window(offset, content, start, len(content))


def _is_at(form: _Form, window: bytes, lowered: bytes, at: int) -> bool:
    if not lowered.startswith(form.lowered, at):
        return False
    if form.exact is not None and not window.startswith(form.exact, at):
        return False
    return not form.is_number or not _is_part_of_longer_number(lowered, at, at + len(form.lowered))


def _is_part_of_longer_number(content: bytes, start: int, end: int) -> bool:
    """Tell digits that merely occur in a timestamp, a hash or a UUID from a number that stands for itself.

    A number may follow up to three other digits (a country code), and no digit may follow it; a run of 24 hexadecimal digits or
    dashes around it is an id.
    """
    if content[end : end + 1].isdigit():
        return True
    before = start
    while before > 0 and content[before - 1 : before].isdigit():
        before -= 1
    if start - before > _COUNTRY_CODE_DIGITS:
        return True
    while before > 0 and start - before < _HEX_RUN and content[before - 1] in _HEX_DIGITS:
        before -= 1
    while end < len(content) and end - before < _HEX_RUN and content[end] in _HEX_DIGITS:
        end += 1
    return end - before >= _HEX_RUN


@lru_cache(maxsize=4096)
def _forms(value: str) -> tuple[_Form, ...]:
    """Give every form of a value, each with other bytes."""
    forms: dict[tuple[bytes, bytes | None], _Form] = {}

    def add(name: str, content: bytes, *, is_exact: bool = False, is_number: bool = False) -> None:
        exact = content if is_exact else None
        if len(content) >= _ANCHOR:
            forms.setdefault((content.lower(), exact), _Form(name, content.lower(), exact, is_number))

    for variant, text in _variants(value):
        utf8 = text.encode("utf-8", "surrogatepass")
        is_number = text.isascii() and text.isdigit()
        if variant not in _CASES or not text.isascii():  # the case of ASCII letters is ignored in these
            add(variant, utf8, is_number=is_number)
            add(f"{variant} UTF-16LE", text.encode("utf-16-le", "surrogatepass"))
            add(f"{variant} UTF-16BE", text.encode("utf-16-be", "surrogatepass"))
            if not (text.isascii() and text.isalnum()):
                add(f"{variant} JSON", json.dumps(text)[1:-1].encode())
                add(f"{variant} JSON", json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass"))
                add(f"{variant} URL", quote(utf8, safe="").encode())
                add(f"{variant} URL", quote(utf8).encode())
                add(f"{variant} URL", quote_plus(utf8).encode())
        add(f"{variant} hex", binascii.hexlify(utf8))
        for shift in range(3):
            encoded = _base64_inside(utf8, shift)
            add(f"{variant} base64 at {shift}", encoded, is_exact=True)
            if b"+" in encoded or b"/" in encoded:
                add(f"{variant} base64url at {shift}", encoded.replace(b"+", b"-").replace(b"/", b"_"), is_exact=True)
    return tuple(forms.values())


def _variants(value: str) -> Iterator[tuple[str, str]]:
    """Give the value in every case, each once, and its digits."""
    yield "raw", value
    cases = dict.fromkeys((value.casefold(), value.lower(), value.upper()))
    yield from zip(_CASES, (case for case in cases if case != value), strict=False)
    digits = "".join(c for c in value if c.isascii() and c.isdigit())
    if len(digits) >= MIN_DIGITS and digits != value:
        yield "digits", digits


def _base64_inside(content: bytes, shift: int) -> bytes:
    """Encode bytes that follow `shift` others (modulo 3), leaving out the characters that their neighbours have a part in."""
    encoded = base64.b64encode(bytes(shift) + content)
    return encoded[(shift * 8 + 5) // 6 : (shift + len(content)) * 8 // 6]
