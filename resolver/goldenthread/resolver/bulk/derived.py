"""Work out in arrays what parts of blocking rules and comparisons take from profiles that have one value of each field.

What is said here of a part or a comparison is exactly what its function says of each profile; `Frame.derive` asks that one
wherever a profile has several values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from goldenthread.resolver.blocking import formal_name
from goldenthread.resolver.bulk.frame import Feature, Frame
from goldenthread.resolver.bulk.numbering import encoded, factorise, factorise_columns
from goldenthread.resolver.bulk.text_column import integers, numbers, strings
from goldenthread.resolver.bulk.texts import (
    Joined,
    Letters,
    Texts,
    aligned,
    as_arrow,
    filled_in,
    is_plain_ascii,
    mask_of,
    ranks,
)
from goldenthread.resolver.normalise.contacts import DOTS_IGNORED, mailbox
from goldenthread.resolver.normalise.names import SOUND_OF, SOUNDS, SPELLING_OF, SPELLINGS, phonetic, spelling
from goldenthread.resolver.normalise.nicknames import NICKNAMES
from goldenthread.resolver.normalise.places import Place

__all__ = ["derived_part", "is_lone", "lone_names", "mailboxes", "spellings", "whole_names"]

Write = Callable[[pa.Array], pa.Array]

_SHORT_USER = 3


def derived_part(frame: Frame, part: str) -> Feature[str] | None:
    """Work out a part's values for all profiles; None where its own function must be asked."""
    if part in _OF_ONE:
        field, write = _OF_ONE[part]
        said = _single(frame, field)
        return None if said is None else Feature.of_texts(_with_none(write(as_arrow(said.values))), said.codes)
    if part in _OF_PLACES:
        said = _single(frame, "addresses")
        return None if said is None else _of_places(cast("Feature[Place]", said), _OF_PLACES[part])
    if part == "email.user":
        said = _single(frame, "emails")
        return None if said is None else Feature.of_texts(_with_none(_users(said.values)), said.codes)
    if part in _OF_NAMES or part in _OR_ONLY:
        given, surname = _single(frame, "given"), _single(frame, "surname")
        if part in _OR_ONLY and given is not None and surname is not None:
            return _surnames_or_only(given, surname, is_lone(frame), _OR_ONLY[part])
        return None if given is None or surname is None else _OF_NAMES[part](given, surname)
    return None


def whole_names(frame: Frame) -> Feature[str] | None:
    """Write given name, middle name and surname of all profiles as one text."""
    given, surname = _single(frame, "given"), _single(frame, "surname")
    if given is None or surname is None:
        return None
    middle = (
        _single(frame, "middle") if "middle" in frame.fields else Feature(np.zeros(frame.rows, np.int32), Texts(strings([])))
    )
    if middle is None:
        return None
    both = np.flatnonzero((given.codes > 0) & (surname.codes > 0))
    columns = [given, middle, surname]
    number, first = factorise_columns([(f.codes[both], f.entries) for f in columns], len(both))
    codes = np.zeros(frame.rows, np.int32)
    codes[both] = number + 1
    parts = [(f.codes[both[first]], _with_none(as_arrow(f.values))) for f in columns]
    return Feature(codes, Joined(parts, "|"))


def lone_names(frame: Frame) -> Feature[str] | None:
    """Write the surname of all profiles after a bar, or their only name before one."""
    given, surname = _single(frame, "given"), _single(frame, "surname")
    if given is None or surname is None:
        return None
    names = aligned([as_arrow(given.values), as_arrow(surname.values), strings(["", "|"])])
    none, bar = names.pop()
    written = [pc.binary_join_element_wise(names[0], bar, none), pc.binary_join_element_wise(bar, names[1], none)]
    codes = np.where(surname.codes > 0, surname.codes + len(names[0]), np.where(is_lone(frame), given.codes, 0))
    return Feature.of_texts(_with_none(pa.concat_arrays(written)), codes)


def _surnames_or_only(given: Feature[str], surname: Feature[str], lone: NDArray[np.bool_], write: Write) -> Feature[str]:
    """Take the surname, or the only name, and write it."""
    names = pa.concat_arrays(aligned([as_arrow(given.values), as_arrow(surname.values)]))
    codes = np.where(surname.codes > 0, surname.codes + len(given.values), np.where(lone, given.codes, 0))
    return Feature.of_texts(_with_none(write(names)), codes)


def is_lone(frame: Frame) -> NDArray[np.bool_]:
    """Say which profiles have a given name and no other."""
    has = [frame.fields[field].codes > 0 if field in frame.fields else np.zeros(frame.rows, np.bool_) for field in _NAME_FIELDS]
    lone: NDArray[np.bool_] = has[0] & ~has[1] & ~has[2]
    return lone


_NAME_FIELDS = ("given", "middle", "surname")


def mailboxes(addresses: Sequence[str]) -> tuple[pa.Array, pa.Array]:
    """Split normalised addresses into users and domains, as `mailbox` does; Texts keep what their users are."""
    emails = as_arrow(addresses)
    halves = pc.split_pattern(emails, "@")
    first = numbers(halves.offsets)[:-1]
    last = np.minimum(first + 1, max(len(halves.values) - 1, 0))
    users, domains = (halves.values.take(integers(places)) for places in (first, last))
    other = mask_of(pc.match_substring(users, "+")) | mask_of(pc.is_in(domains, value_set=strings(sorted(DOTS_IGNORED))))
    sure = (np.diff(numbers(halves.offsets)) == 2) & (Letters(users).lengths > 0) & ~other
    split = mailbox.__wrapped__
    users = filled_in(users, sure, emails, lambda email: split(email)[0])
    if isinstance(addresses, Texts):
        addresses.users = users
    return users, filled_in(domains, sure, emails, lambda email: split(email)[1])


def _single(frame: Frame, field: str) -> Feature[str] | None:
    """Answer a field of which every profile has one text at most."""
    said = frame.fields.get(field)
    return said if said is not None and said.starts is None else None  # type: ignore[return-value]  # fields of texts are asked for


def _with_none(texts: pa.Array) -> pa.Array:
    """Put the text of those who have none before the others, so that codes are places."""
    return pa.concat_arrays([strings([""]).cast(texts.type), texts])


def _in_rows(texts: pa.Array, rows: NDArray[np.int64], every: int) -> Feature[str]:
    """Build a feature of texts that some rows have."""
    there = Feature.of_texts(texts, np.arange(len(rows)))
    codes = np.zeros(every, np.int32)
    codes[rows] = there.codes
    return Feature(codes, there.values)


# --- parts of one field ---


def _beginning(letters: int) -> Write:
    return lambda texts: pc.utf8_slice_codeunits(texts, 0, letters)


def _emptied(texts: pa.Array, empty: NDArray[np.bool_]) -> pa.Array:
    """Leave out some texts."""
    if not empty.any():
        return texts
    places = np.arange(1, len(texts) + 1)
    places[empty] = 0
    return _with_none(texts).take(integers(places))


def _month_days(dates: pa.Array) -> pa.Array:
    month, day = pc.utf8_slice_codeunits(dates, 5, 7), pc.utf8_slice_codeunits(dates, 8, 10)
    unknown = strings(["00"])[0]
    either = mask_of(pc.equal(month, unknown)) | mask_of(pc.equal(day, unknown))
    ordered = (pc.min_element_wise(month, day), pc.max_element_wise(month, day), strings([""])[0])
    return _emptied(pc.binary_join_element_wise(*ordered), either)


def _whole_dates(dates: pa.Array) -> pa.Array:
    return _emptied(dates, mask_of(pc.ends_with(dates, "00")))


def _users(addresses: Sequence[str]) -> pa.Array:
    known = addresses.users if isinstance(addresses, Texts) else None
    users = mailboxes(addresses)[0] if known is None else known
    return _emptied(users, numbers(pc.utf8_length(users)) <= _SHORT_USER)


def _domains(emails: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(emails, r"^[^@]*@?", "")


def _table(one_of: Mapping[int, str | None]) -> NDArray[np.uint8]:
    """Say which byte goes in the place of each ASCII letter; 0 where none does."""
    table = np.arange(128, dtype=np.uint8)
    for letter, other in one_of.items():
        table[letter] = ord(other) if other else 0
    return table


_SOUND_TABLE, _SPELLING_TABLE = _table(SOUND_OF), _table(SPELLING_OF)


def _rewritten(names: pa.Array, replaced: Sequence[tuple[str, str]], table: NDArray[np.uint8]) -> pa.Array:
    """Replace some letters by others, then every letter by a table, and write repeats once; wrong beyond ASCII."""
    for letters, one in replaced:
        names = pc.replace_substring(names, letters, one)
    kept = Letters(names)
    kept.data = np.minimum(kept.data, 127)
    kept.translated(table)
    kept.without_repeats()
    return kept.to_arrow()


def _formal_names(names: pa.Array) -> pa.Array:
    """Choose a formal name for each, as `formal_name` does: most are used as they are."""
    short = mask_of(pc.is_in(names, value_set=strings(list(NICKNAMES))))
    return filled_in(names, ~(short | mask_of(pc.match_substring(names, " "))), names, formal_name.__wrapped__)


def _sounds(names: pa.Array) -> pa.Array:
    """Code how names sound, as `phonetic` does."""
    head, none = strings(["A"])[0], strings([""])[0]
    heads = pc.if_else(pc.match_substring_regex(names, "^[aeiouy]"), head, none)
    whole = pc.binary_join_element_wise(heads, _rewritten(names, SOUNDS, _SOUND_TABLE).cast(heads.type), none)
    return filled_in(pc.utf8_slice_codeunits(whole, 0, 5), is_plain_ascii(names), names, phonetic.__wrapped__)


def spellings(names: pa.Array) -> pa.Array:
    """Spell names as `spelling` does."""
    written = pc.replace_substring_regex(_rewritten(names, SPELLINGS, _SPELLING_TABLE), "of$", "ov")
    return filled_in(written, is_plain_ascii(names), names, spelling.__wrapped__)


_OF_ONE: dict[str, tuple[str, Write]] = {
    "given.formal": ("given", _formal_names),
    "given.sound": ("given", _sounds),
    "given.initial": ("given", _beginning(1)),
    "given.prefix": ("given", _beginning(3)),
    "surname.sound": ("surname", _sounds),
    "surname.prefix": ("surname", _beginning(4)),
    "surname.initial": ("surname", _beginning(1)),
    "birth_date": ("birth_dates", _whole_dates),
    "birth_year": ("birth_dates", _beginning(4)),
    "birth_month_day": ("birth_dates", _month_days),
    "email.domain": ("emails", _domains),
    "organisation.prefix": ("organisations", _beginning(5)),
}


def _of_places(places: Feature[Place], write: Callable[[Place], str]) -> Feature[str]:
    return Feature.of_texts(strings(["", *map(write, places.values)]), places.codes)


_OF_PLACES: dict[str, Callable[[Place], str]] = {
    "house": lambda place: place[0],
    "street": lambda place: place[1],
    "street.prefix": lambda place: place[1][:5],
    "unit": lambda place: place[2],
    "city": lambda place: place[3],
    "postcode": lambda place: place[5],
    "area": lambda place: place[5] or place[3],
}


# --- parts of given name and surname ---


def _joined_words(given: Feature[str], surname: Feature[str]) -> Feature[str]:
    """Write the words of given name and surname in order; where there are more than two, the first word and the rest."""
    both = np.flatnonzero((given.codes > 0) & (surname.codes > 0))
    one, other = ((f.codes[both] - 1) for f in (given, surname))
    names = aligned([as_arrow(given.values), as_arrow(surname.values), strings([" "])])
    space = names.pop()[0]
    several = np.logical_or(*(mask_of(pc.match_substring(v, " "))[c] for v, c in zip(names, (one, other), strict=True)))
    more = np.flatnonzero(several)
    texts = (texts.take(integers(codes[more])) for texts, codes in zip(names, (one, other), strict=True))
    lines = pc.binary_join_element_wise(*texts, space).to_pylist()
    ordered = [" ".join(sorted(line.split())).partition(" ") for line in lines]
    rest = [strings([part[k] for part in ordered]).cast(names[0].type) for k in (0, 2)]
    number, words = encoded(pa.concat_arrays([*names, *rest]))
    rank = ranks(words)
    halves = np.split(number, np.cumsum([len(names[0]), len(names[1]), len(more)]))
    one, other = halves[0][one], halves[1][other]
    swapped = rank[one] > rank[other]
    low, high = np.where(swapped, other, one), np.where(swapped, one, other)
    low[more], high[more] = halves[2], halves[3]
    which, first = factorise_columns([(low, len(words)), (high, len(words))], len(both))
    codes = np.zeros(len(given.codes), np.int32)
    codes[both] = which + 1
    return Feature(codes, Joined([(low[first], words), (high[first], words)], " "))


def _either_name(given: Feature[str], surname: Feature[str]) -> Feature[str]:
    """Take given name and surname alike, as names in order."""
    number, words = encoded(pa.concat_arrays(aligned([as_arrow(given.values), as_arrow(surname.values)])))
    rank = ranks(words)
    none = np.full(1, -1, np.int64)
    first = np.concatenate([none, rank[number[: len(given.values)]]])[given.codes]
    second = np.concatenate([none, rank[number[len(given.values) :]]])[surname.codes]
    low, high = np.minimum(first, second), np.maximum(first, second)
    low = np.where(low < 0, high, low)
    size = len(words) + 1
    known = np.flatnonzero(high >= 0)
    keys = (low * size + high)[known]
    which, first_of = factorise(keys)
    codes = np.zeros(len(low), np.int32)
    codes[known] = which + 1
    one, other = np.divmod(keys[first_of], size)
    starts = np.zeros(len(one) + 2, np.int64)
    np.cumsum(1 + (one != other), out=starts[2:])
    members = np.empty(int(starts[-1]), np.int32)
    members[starts[1:-1]] = one
    members[starts[2:] - 1] = other
    return Feature(codes, Texts(words.take(integers(np.argsort(rank)))), starts, members)


_OR_ONLY: dict[str, Write] = {"surname.or_only": lambda names: names, "surname.or_only.prefix": _beginning(4)}
_OF_NAMES: dict[str, Callable[[Feature[str], Feature[str]], Feature[str]]] = {
    "name.words": _joined_words,
    "name": _either_name,
}
