"""Tell pairs of values that surely differ by sketches of them, in arrays: most pairs of a block do.

Sound, never complete: an answer is exactly the level that the comparison gives, and a pair it can't tell is left unanswered.
Bounds: of Jaro-Winkler, matches are at most the letters less those that the other text has not at all; of one edit (OSA),
texts of equal length differ in at most two places.

Jaro, "Advances in record-linkage methodology", 1989; Winkler, "String comparator metrics", 1990.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import reduce
from operator import gt, or_
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct
from numpy.typing import NDArray
from rapidfuzz.distance import OSA
from rapidfuzz.process import cpdist

from goldenthread.resolver import comparisons
from goldenthread.resolver.bulk.derived import mailboxes, spellings
from goldenthread.resolver.bulk.text_column import integers, numbers, strings
from goldenthread.resolver.bulk.texts import Joined, Letters, as_arrow, filled_in, is_plain_ascii, mask_of, same_numbers
from goldenthread.resolver.comparisons import MISSING, Comparison, district_of
from goldenthread.resolver.comparisons.comparison import similarities
from goldenthread.resolver.comparisons.contacts import stem_of
from goldenthread.resolver.normalise.names import formal_names
from goldenthread.resolver.normalise.nicknames import NICKNAMES
from goldenthread.resolver.normalise.places import Place

__all__ = ["Sketch", "sketch_of"]

F = TypeVar("F", bound=Hashable)
Codes = NDArray[np.integer]
Levels = NDArray[np.int8]
Mask = NDArray[np.bool_]
Bits = NDArray[np.uint64]

Shortcut = Callable[[Codes, Codes], Levels]
"""Answer the levels of pairs of different values by number; -1 where something else must be asked."""


class Sketch(Struct):
    """How to compare values by number: `quickly` what sketches tell, `closely` the rest; what is open then is asked."""

    quickly: Shortcut
    closely: Shortcut | None = None


_UNKNOWN = -1
_SLACK = 1e-6
_LONG = 64  # bytes of a text that is sketched
_CHUNK = 1 << 14
"""Texts looked at together: their letters stay near the processor."""
_PREFIX = 4
"""Letters of a common beginning that Jaro-Winkler counts."""


def sketch_of(comparison: Comparison[F], values: Sequence[F]) -> Sketch | None:
    """Make the sketch of a comparison over its values; None for a class that has none, a subclass included."""
    make = _SKETCHES.get(type(comparison))
    return make(comparison, values) if make is not None and len(values) > 1 else None


# --- sketches ---


def _sketched(letters: Letters, texts: pa.Array, width: int) -> NDArray[np.int32]:
    """Count the letters of texts; one that does not fit, or is not ASCII, has length -1."""
    lengths = letters.lengths
    lengths[(lengths > width) | ~is_plain_ascii(texts)] = -1
    return lengths.astype(np.int32)


class _Letters:
    """Which letters a text has, how long it is, and what it begins with: enough to bound Jaro-Winkler from above."""

    def __init__(self, texts: pa.Array) -> None:
        letters = Letters(texts)
        self.lengths = _sketched(letters, texts, _LONG)
        self.masks = np.zeros(len(texts), np.uint64)
        bit = np.uint64(1) << (np.arange(256, dtype=np.uint64) & np.uint64(63))
        bit[0] = 0
        for at in range(0, len(texts), _CHUNK):
            bounds = letters.starts[at : at + _CHUNK + 1]
            bits = np.append(bit.take(letters.data[bounds[0] : bounds[-1]]), np.uint64(0))
            self.masks[at : at + _CHUNK] = np.bitwise_or.reduceat(bits, bounds[:-1] - bounds[0])
        self.masks[letters.lengths == 0] = 0
        self.begin = letters.column(0)

    def similarity_below(self, x: Codes, y: Codes, limit: float) -> Mask:
        """Say for which pairs Jaro-Winkler similarity is surely below a limit."""
        mx, my = self.masks.take(x), self.masks.take(y)
        nx, ny = self.lengths.take(x), self.lengths.take(y)
        matches = np.minimum(nx - np.bitwise_count(mx & ~my), ny - np.bitwise_count(my & ~mx)).astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            jaro = (matches / nx + matches / ny + 1.0) / 3.0
        shared = (self.begin.take(x) == self.begin.take(y)) * (0.1 * _PREFIX)
        bound = jaro + shared * (1.0 - jaro)
        below: Mask = ((bound < limit - _SLACK) | (matches <= 0)) & (nx > 0) & (ny > 0)
        return below

    def edits_above(self, x: Codes, y: Codes, share: float) -> Mask:
        """Say which pairs surely take more edits than a share of the longer text: each edit changes at most one letter."""
        mx, my = self.masks.take(x), self.masks.take(y)
        nx, ny = self.lengths.take(x), self.lengths.take(y)
        least = np.maximum(np.maximum(np.bitwise_count(mx & ~my), np.bitwise_count(my & ~mx)), np.abs(nx - ny))
        above: Mask = (least > share * np.maximum(nx, ny) + _SLACK) & (nx > 0) & (ny > 0)
        return above


class _Places:
    """The letters of short texts by place: enough to see that two are more than one edit apart."""

    _WIDTH = 16

    def __init__(self, texts: pa.Array) -> None:
        letters = Letters(texts)
        self.lengths = _sketched(letters, texts, self._WIDTH)
        self.first, self.second = np.zeros(len(texts), np.uint64), np.zeros(len(texts), np.uint64)
        for place in range(min(self._WIDTH, int(self.lengths.max(initial=0)))):
            half = self.first if place < 8 else self.second
            half |= letters.column(place).astype(np.uint64) << np.uint64(8 * (place % 8))

    def beyond_one_edit(self, x: Codes, y: Codes) -> Mask:
        """Say which pairs are surely more than one edit apart."""
        nx, ny = self.lengths.take(x), self.lengths.take(y)
        differing = _differing(self.first.take(x) ^ self.first.take(y)) + _differing(self.second.take(x) ^ self.second.take(y))
        beyond: Mask = (((nx == ny) & (differing > 2)) | (np.abs(nx - ny) > 1)) & (nx > 0) & (ny > 0)
        return beyond


def _differing(bits: Bits) -> NDArray[np.uint8]:
    """Count the bytes that are not 0."""
    bits = bits | (bits >> np.uint64(4))
    bits = bits | (bits >> np.uint64(2))
    bits = bits | (bits >> np.uint64(1))
    count: NDArray[np.uint8] = np.bitwise_count(bits & np.uint64(0x0101010101010101))
    return count


class _Words:
    """The words of distinct texts, and what else stands for them, as marks of 64 bits; what shares a word shares a mark.

    `further` is asked of nicknames alone.
    """

    def __init__(self, texts: pa.Array, further: Callable[[str], Iterable[str]] = lambda text: ()) -> None:
        self.marks = np.uint64(1) << (np.arange(len(texts), dtype=np.uint64) & np.uint64(63))
        self.several = mask_of(pc.match_substring(texts, " ")) | mask_of(pc.is_in(texts, value_set=strings(list(NICKNAMES))))
        places = np.flatnonzero(self.several)
        words_of = [{*text.split(), *further(text)} for text in texts.take(integers(places)).to_pylist()]
        words = list({word: None for words in words_of for word in words})
        # A word that is a text by itself has that one's mark.
        found = pc.index_in(strings(words), value_set=texts)
        place = np.where(mask_of(found.is_valid()), numbers(found), np.arange(len(words)))
        mark_of = dict(zip(words, (np.uint64(1) << (place & 63).astype(np.uint64)).tolist(), strict=True))
        self.marks[places] = [reduce(or_, map(mark_of.__getitem__, words), 0) for words in words_of]

    def may_share(self, x: Codes, y: Codes) -> Mask:
        """Say which pairs of different texts may share a word: others surely do not."""
        shared: Mask = (self.several.take(x) | self.several.take(y)) & (self.marks.take(x) & self.marks.take(y) != 0)
        return shared


def _likeness(texts: pa.Array, x: Codes, y: Codes) -> NDArray[np.float64]:
    """Compute Jaro-Winkler similarities, the smaller text first, as comparisons do."""
    xs, ys = _sides(texts, x, y)
    for i in np.flatnonzero(np.fromiter(map(gt, xs, ys), np.bool_, len(xs))).tolist():
        xs[i], ys[i] = ys[i], xs[i]
    return similarities(xs, ys)


def _sides(texts: pa.Array, x: Codes, y: Codes) -> tuple[list[str], list[str]]:
    return texts.take(integers(x)).to_pylist(), texts.take(integers(y)).to_pylist()


def _answer(sure: Mask, level: int) -> Levels:
    """Answer a level where it is sure; in arithmetic, for what a mask hits at random is assigned many times slower."""
    found: Levels = sure * np.int8(level - _UNKNOWN) + np.int8(_UNKNOWN)
    return found


# --- one comparison each ---


def _name(comparison: comparisons.Name, values: Sequence[str]) -> Sketch:
    texts = as_arrow(values)
    letters = _Letters(texts)
    words = _Words(texts, formal_names)
    spelt = same_numbers(spellings(texts))
    initial = numbers(pc.utf8_length(texts)) == 1
    spelling, close, similar, different = map(comparison.levels.index, ("spelling", "close", "similar", "different"))

    def quickly(x: Codes, y: Codes) -> Levels:
        apart = letters.similarity_below(x, y, comparison.SIMILAR) & (spelt.take(x) != spelt.take(y))
        return _answer(apart & ~(initial.take(x) | initial.take(y) | words.may_share(x, y)), different)

    def closely(x: Codes, y: Codes) -> Levels:
        likeness = _likeness(texts, x, y)
        found = np.where(likeness >= comparison.SIMILAR, similar, different).astype(np.int8)
        found[likeness >= comparison.CLOSE] = close
        found[spelt.take(x) == spelt.take(y)] = spelling
        found[initial.take(x) | initial.take(y) | words.may_share(x, y)] = _UNKNOWN
        return found

    return Sketch(quickly, closely)


def _whole_name(comparison: comparisons.WholeName, values: Sequence[str]) -> Sketch:
    if not isinstance(values, Joined):
        places = np.arange(len(values))
        split = [value.split("|") for value in values]
        values = Joined([(places, strings([parts[k] for parts in split])) for k in range(3)], "|")
    straight = comparison.levels.index("straight")
    (given, _), _, (surname, _) = values.parts
    parts = [(codes, Letters(texts), is_plain_ascii(texts)) for codes, texts in values.parts]
    lengths = [letters.lengths[codes] for codes, letters, _ in parts]
    short = np.sum(lengths, axis=0) + len(parts) - 1 <= _LONG
    sketched = short & np.logical_and.reduce([plain[codes] for codes, _, plain in parts])
    # Swapped names begin crosswise, or have the same letters in all.
    drawn = np.random.default_rng(0).integers(0, 1 << 63, 256, dtype=np.uint64)
    drawn[[0, ord(" ")]] = 0
    bags = np.zeros(len(values), np.uint64)
    for codes, letters, _ in parts:
        bag = np.zeros(len(letters.lengths), np.uint64)
        for place in range(min(_LONG, int(letters.lengths.max(initial=0)))):
            bag += drawn[letters.column(place)]
        bags += bag[codes]
    first, last = (parts[k][1].column(0)[parts[k][0]] for k in (0, 2))

    def levels(x: Codes, y: Codes) -> Levels:
        crossed = (first.take(x) == last.take(y)) & (last.take(x) == first.take(y))
        sure = ~crossed & (bags.take(x) != bags.take(y)) & sketched.take(x) & sketched.take(y)
        return _answer(sure | (given.take(x) == given.take(y)) | (surname.take(x) == surname.take(y)), straight)

    return Sketch(levels)


def _lone_name(comparison: comparisons.LoneName, values: Sequence[str]) -> Sketch:
    texts = as_arrow(values)
    letters = Letters(texts)
    has_surname = letters.column(0) == ord("|")
    first = np.where(has_surname, letters.column(1), letters.column(0))
    different = comparison.levels.index("different")

    def quickly(x: Codes, y: Codes) -> Levels:
        found = _answer(first.take(x) != first.take(y), different)
        found[has_surname.take(x) == has_surname.take(y)] = MISSING
        return found

    return Sketch(quickly)


def _text(comparison: comparisons.Text, values: Sequence[str]) -> Sketch:
    texts = as_arrow(values)
    letters = _Letters(texts)
    words = _Words(texts)
    close, different = map(comparison.levels.index, ("close", "different"))

    def quickly(x: Codes, y: Codes) -> Levels:
        apart = letters.similarity_below(x, y, comparison.CLOSE) & ~words.may_share(x, y)
        return _answer(apart, different)

    def closely(x: Codes, y: Codes) -> Levels:
        found = np.where(words.may_share(x, y), _UNKNOWN, different).astype(np.int8)
        found[_likeness(texts, x, y) >= comparison.CLOSE] = close
        return found

    return Sketch(quickly, closely)


def _category(comparison: comparisons.Category, values: Sequence[str]) -> Sketch:
    different = comparison.levels.index("different")
    return Sketch(lambda x, y: np.full(len(x), different, np.int8))


def _birth_date(comparison: comparisons.BirthDate, values: Sequence[str]) -> Sketch:
    texts = as_arrow(values)
    letters = Letters(texts)
    usual = mask_of(pc.match_substring_regex(texts, r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))
    digits = [letters.column(place).astype(np.int16) - ord("0") for place in (0, 1, 2, 3, 5, 6, 8, 9)]
    years = digits[0] * 1000 + digits[1] * 100 + digits[2] * 10 + digits[3]
    months, days = digits[4] * 10 + digits[5], digits[6] * 10 + digits[7]
    partial, typo, swapped, two_parts, year, near, different = map(
        comparison.levels.index, ("partial", "typo", "swapped", "two_parts", "year", "near", "different")
    )

    def quickly(x: Codes, y: Codes) -> Levels:
        # One edit of a date, and day and month swapped, leave two parts or the year as they are.
        shift = np.abs(years.take(x) - years.take(y))
        loose = (
            (shift > 0) & ~((months.take(x) == months.take(y)) & (days.take(x) == days.take(y))) & usual.take(x) & usual.take(y)
        )
        found = np.full(len(x), _UNKNOWN, np.int8)
        found[loose] = np.where(shift[loose] == 1, near, different)
        return found

    def closely(x: Codes, y: Codes) -> Levels:
        (xy, xm, xd), (yy, ym, yd) = ([part[side] for part in (years, months, days)] for side in (x, y))
        same_year, same_month, same_day = xy == yy, xm == ym, xd == yd
        unknown = (xd == 0) | (yd == 0)
        found = np.where(np.abs(xy - yy) <= 1, near, different).astype(np.int8)
        found[same_year] = year
        found[same_year.astype(np.int8) + same_month + same_day >= 2] = two_parts
        found[~unknown & same_year & (xm == yd) & (xd == ym)] = swapped
        # Of one length, one edit changes one place, or swaps two side by side; it leaves two parts as they are.
        perhaps = np.flatnonzero(~unknown & (found == two_parts))
        a, b = x[perhaps], y[perhaps]
        differing = [digit[a] != digit[b] for digit in digits]
        places = np.sum(differing, axis=0, dtype=np.int8)
        turned = np.zeros(len(perhaps), np.bool_)
        for k in (0, 1, 2, 4, 6):
            turned |= differing[k] & (digits[k][a] == digits[k + 1][b]) & (digits[k + 1][a] == digits[k][b])
        found[perhaps[(places == 1) | ((places == 2) & turned)]] = typo
        found[unknown & same_year & (same_month | (xm == 0) | (ym == 0))] = partial
        found[~(usual.take(x) & usual.take(y))] = _UNKNOWN
        return found

    return Sketch(quickly, closely)


def _email(comparison: comparisons.Email, values: Sequence[str]) -> Sketch:
    users, addressed = mailboxes(values)
    letters = _Letters(users)
    # Users without their dots are one person's; those whose letters alone agree are no evidence.
    bare, stems, domains = same_numbers(pc.replace_substring(users, ".", "")), _stems(users), same_numbers(addressed)
    close, domain, different = map(comparison.levels.index, ("close", "domain", "different"))

    def quickly(x: Codes, y: Codes) -> Levels:
        found = np.full(len(x), _UNKNOWN, np.int8)
        alike, other = stems.take(x) == stems.take(y), bare.take(x) != bare.take(y)
        found[alike & other] = MISSING
        apart = np.flatnonzero(~alike & other & letters.edits_above(x, y, 1.0 - comparison.CLOSE))
        found[apart] = np.where(domains[x[apart]] == domains[y[apart]], domain, different)
        return found

    def closely(x: Codes, y: Codes) -> Levels:
        found = np.full(len(x), _UNKNOWN, np.int8)
        other = np.flatnonzero(bare.take(x) != bare.take(y))
        x, y = x[other], y[other]
        likeness = cpdist(*_sides(users, x, y), scorer=OSA.normalized_similarity, dtype=np.float64)
        some = np.where(domains.take(x) == domains.take(y), domain, different)
        some[likeness >= comparison.CLOSE] = close
        some[stems.take(x) == stems.take(y)] = MISSING
        found[other] = some
        return found

    return Sketch(quickly, closely)


def _stems(users: pa.Array) -> Codes:
    """Number users of addresses by `stem_of`."""
    letters = Letters(users)
    letters.translated(_LETTERS_ALONE)
    stems = letters.to_arrow()
    return same_numbers(filled_in(stems, is_plain_ascii(users) & (letters.lengths > 0), users, stem_of))


_LETTERS_ALONE = np.zeros(256, np.uint8)
for _letter in range(128):
    if chr(_letter).isalpha():
        _LETTERS_ALONE[_letter] = _letter


def _phone(comparison: comparisons.Phone, values: Sequence[str]) -> Sketch:
    texts = as_arrow(values)
    places = _Places(texts)
    tails = same_numbers(pc.utf8_slice_codeunits(texts, -9, 1 << 30))
    national, close, different = map(comparison.levels.index, ("national", "close", "different"))

    def quickly(x: Codes, y: Codes) -> Levels:
        return _answer(places.beyond_one_edit(x, y) & (tails.take(x) != tails.take(y)), different)

    def closely(x: Codes, y: Codes) -> Levels:
        found = np.where(_within_one_edit(texts, x, y), close, different).astype(np.int8)
        found[tails.take(x) == tails.take(y)] = national
        return found

    return Sketch(quickly, closely)


def _within_one_edit(texts: pa.Array, x: Codes, y: Codes) -> Mask:
    within: Mask = cpdist(*_sides(texts, x, y), scorer=OSA.distance, score_cutoff=1, dtype=np.int32) <= 1
    return within


def _area(comparison: comparisons.Area, values: Sequence[Place]) -> Sketch:
    postcodes, cities = strings([v[5] for v in values]), strings([v[3] for v in values])
    districts = strings([district_of(v[5]) for v in values])
    places, letters = _Places(postcodes), _Letters(cities)
    code, city, district = map(same_numbers, (postcodes, cities, districts))
    has_code, has_city, has_district = (Letters(texts).lengths > 0 for texts in (postcodes, cities, districts))
    close, same_district, different = map(comparison.levels.index, ("close", "district", "different"))

    def quickly(x: Codes, y: Codes) -> Levels:
        coded, placed = has_code.take(x) & has_code.take(y), has_city.take(x) & has_city.take(y)
        codes_apart = ~coded | ((code.take(x) != code.take(y)) & places.beyond_one_edit(x, y))
        cities_apart = ~placed | ((city.take(x) != city.take(y)) & letters.similarity_below(x, y, comparison.CLOSE))
        found = _answer(codes_apart & cities_apart & (coded | placed), different)
        found[(found == different) & coded & has_district.take(x) & (district.take(x) == district.take(y))] = same_district
        return found

    def closely(x: Codes, y: Codes) -> Levels:
        coded, placed = has_code.take(x) & has_code.take(y), has_city.take(x) & has_city.take(y)
        found = np.where(coded | placed, different, MISSING).astype(np.int8)
        found[coded & has_district.take(x) & (district.take(x) == district.take(y))] = same_district
        rows = np.flatnonzero(coded)
        found[rows[_within_one_edit(postcodes, x[rows], y[rows])]] = close
        rows = np.flatnonzero(placed)
        found[rows[_likeness(cities, x[rows], y[rows]) >= comparison.CLOSE]] = close
        found[(coded & (code.take(x) == code.take(y))) | (placed & (city.take(x) == city.take(y)))] = _UNKNOWN
        return found

    return Sketch(quickly, closely)


def _street(comparison: comparisons.Street, values: Sequence[Place]) -> Sketch:
    letters = _Letters(strings([v[1] for v in values]))
    house, postcode = (same_numbers(strings([v[part] for v in values])) for part in (0, 5))
    different = comparison.levels.index("different")

    def quickly(x: Codes, y: Codes) -> Levels:
        renamed = (house.take(x) == house.take(y)) & (postcode.take(x) == postcode.take(y))
        return _answer(letters.similarity_below(x, y, comparison.CLOSE) & ~renamed, different)

    return Sketch(quickly)


_SKETCHES: dict[type, Callable[..., Sketch]] = {
    comparisons.Name: _name,
    comparisons.WholeName: _whole_name,
    comparisons.LoneName: _lone_name,
    comparisons.Text: _text,
    comparisons.Category: _category,
    comparisons.BirthDate: _birth_date,
    comparisons.Email: _email,
    comparisons.Phone: _phone,
    comparisons.Area: _area,
    comparisons.Street: _street,
}
