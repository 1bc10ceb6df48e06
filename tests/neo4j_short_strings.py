"""Read the strings that Neo4j packs into its records, which no search for their bytes finds.

Neo4j keeps a short string (up to 54 digits, 43 letters of one case, 36 of both) in the property record itself, in four to eight
bits a character behind a header of 39 bits: key (24), type (4), encoding (5), length (6); the last number is filled with zeros.
Numbers are big-endian in the property store and little-endian in the transaction log, so both are tried, at every offset.

Format: Neo4j 4.x and 5.x record storage engine, `LongerShortString`; tried on 5.26.
"""

from __future__ import annotations

import string
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["RECORD_BYTES", "PackedText", "unpack_short_strings"]

RECORD_BYTES = 32
"""A string takes at most this many bytes."""

_SHORT_STRING = 11
_HEADER_BITS = 39
_MAX_KEY = 1 << 16
_UTF8, _EUROPEAN, _LATIN1 = 0, 9, 10

_LOWER, _UPPER, _DIGITS = string.ascii_lowercase, string.ascii_uppercase, string.digits
_ALPHANUMERIC = f" {_UPPER}01234_{_LOWER}56789"
_WESTERN = "".join({0x17: ".", 0x37: "-"}.get(code, chr(0xC0 + code)) for code in range(64))
_ALPHABETS: dict[int, str] = {
    1: f"{_DIGITS} .-+,'",
    2: f"{_DIGITS} -:/+,",
    3: f" {_UPPER}_.-:/",
    4: f" {_LOWER}_.-:/",
    5: f",{_LOWER}_.-+@",
    6: f" {_LOWER}\0\0\0\0\0{_DIGITS}_.-:/+,'@|;*?&%#()$<>=",
    7: _ALPHANUMERIC,
    8: f" {_UPPER}_.-:/;{_LOWER}+,'@|",
    _EUROPEAN: _WESTERN + _ALPHANUMERIC,
    11: f"{_DIGITS}abcdef",
    12: f"{_DIGITS}ABCDEF",
}
_BYTES = "".join(map(chr, range(256)))

Places = npt.NDArray[np.intp]
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class PackedText:
    """Strings one after another in UTF-8, zeros between them, and where each begins in `text` and in what was read."""

    text: bytes
    starts: Places
    places: Places

    def place_of(self, at: int) -> int:
        """Give the place of the string that `at` of `text` is in."""
        return int(self.places[np.searchsorted(self.starts, at, side="right") - 1])


def unpack_short_strings(words: Words, start: int, stop: int, min_characters: int) -> list[PackedText]:
    """Unpack all that can be a short string at a place from `start` until before `stop`.

    `words` are the eight bytes at every offset as little-endian numbers; what reaches beyond their end is not read.
    """
    stop = min(stop, len(words) - RECORD_BYTES + 8)
    if stop <= start:
        return []
    return [text for each in (words, words.byteswap()) for text in _unpack(each, start, stop, min_characters)]


def _unpack(words: Words, start: int, stop: int, min_characters: int) -> list[PackedText]:
    heads = words[start:stop]
    lengths = (heads >> np.uint64(33)) & np.uint64(63)
    keys = heads & np.uint64((1 << 24) - 1)
    # Property keys are numbered from 0; without looking at them, one in a hundred places in random bytes would pass.
    is_text = (((heads >> np.uint64(24)) & np.uint64(15)) == _SHORT_STRING) & (lengths >= min_characters) & (keys < _MAX_KEY)
    places = np.flatnonzero(is_text) + start
    encodings = (words[places] >> np.uint64(28)) & np.uint64(31)
    texts: list[PackedText] = []
    for encoding in (_UTF8, _LATIN1, *_ALPHABETS):
        alphabet = _ALPHABETS.get(encoding, _BYTES)
        bits = (len(alphabet) - 1).bit_length()
        longest = (RECORD_BYTES * 8 - _HEADER_BITS) // bits
        chosen = places[encodings == encoding]
        counts = ((words[chosen] >> np.uint64(33)) & np.uint64(63)).astype(np.intp)
        is_whole = (counts <= longest) & _is_filled_with_zeros(words, chosen, _HEADER_BITS + bits * np.minimum(counts, longest))
        chosen, counts = chosen[is_whole], counts[is_whole]
        if not len(chosen):
            continue
        codes = _characters(words, chosen, bits, longest)
        letters = np.frombuffer(alphabet.encode("latin-1"), dtype=np.uint8)[codes]
        letters[np.arange(longest) >= counts[:, np.newaxis]] = 0
        texts.append(_as_utf8(letters, chosen) if encoding in (_EUROPEAN, _LATIN1) else _in_rows(letters, chosen))
    return texts


def _is_filled_with_zeros(words: Words, places: Places, ends: Places) -> npt.NDArray[np.bool_]:
    """Say of each place whether the number in which its string ends (a bit's number, from its place) is zero from there on."""
    last = words[places + 8 * ((ends - 1) // 64)]
    shifts = ends % 64
    rest: Words = last >> shifts.astype(np.uint64)
    return np.asarray((shifts == 0) | (rest == 0), dtype=np.bool_)


def _characters(words: Words, places: Places, bits: int, count: int) -> npt.NDArray[np.intp]:
    """Cut `count` characters of so many bits out of the four numbers at each place; the first is behind the header."""
    numbers = [words[places + 8 * i] for i in range(RECORD_BYTES // 8)]
    codes = np.empty((len(places), count), dtype=np.intp)
    mask = np.uint64((1 << bits) - 1)
    for i in range(count):
        number, shift = divmod(_HEADER_BITS + i * bits, 64)
        code = numbers[number] >> np.uint64(shift)
        if shift + bits > 64:
            code |= numbers[number + 1] << np.uint64(64 - shift)
        codes[:, i] = code & mask
    return codes


def _in_rows(letters: npt.NDArray[np.uint8], places: Places) -> PackedText:
    rows = np.zeros((len(letters), letters.shape[1] + 1), dtype=np.uint8)
    rows[:, :-1] = letters
    return PackedText(rows.tobytes(), np.arange(len(rows)) * rows.shape[1], places)


def _as_utf8(letters: npt.NDArray[np.uint8], places: Places) -> PackedText:
    rows = [row.tobytes().rstrip(b"\0").decode("latin-1").encode() + b"\0" for row in letters]
    starts = np.cumsum([0, *(len(row) for row in rows)])[:-1]
    return PackedText(b"".join(rows), starts, places)
