"""Normalise the values that are written as most are, all at once: exactly what the normalisers make of each.

Each function answers texts, and of which of them it is sure; the others are for the normaliser.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from goldenthread.resolver.bulk.text_column import strings, truths
from goldenthread.resolver.bulk.texts import mask_of
from goldenthread.resolver.normalise.contacts import GUESSABLE, NORTH_AMERICA, PLACEHOLDER_USERS
from goldenthread.resolver.normalise.names import TITLES
from goldenthread.resolver.normalise.text import MAX_LENGTH, PLACEHOLDERS

__all__ = ["plain_dates", "plain_emails", "plain_names", "plain_phones", "plain_postcodes"]

Mask = NDArray[np.bool_]

_EMAIL = r"^(?:[a-z0-9._+-]{1,64}@(?:[a-z0-9_-]|\.[a-z0-9_-]){1,120})?$"
_NOBODYS = "^(?:" + "|".join(sorted(re.escape(user) for user in PLACEHOLDER_USERS)) + ")@"
_NORTH_AMERICAN = r"^(?P<c>\+1[ .-]?)?\(?(?P<x>[2-9][0-9]{2})(?:\) ?|[ .-]?)(?P<y>[2-9][0-9]{2})[ .-]?(?P<z>[0-9]{4})$"
_E164 = r"^\+[1-9][0-9]{7,14}$"
_DATE = "^(?:[1-9][0-9]{3}-[0-9]{2}-[0-9]{2})?$"
_NO_DATE = "^(?:9999|1900-01-01|1899-12-3[01])"
_NAME = rf"^[A-Za-z]{{1,{MAX_LENGTH}}}$"


def plain_emails(texts: pa.Array) -> tuple[pa.Array, Mask]:
    """Normalise email addresses written in small letters, and none."""
    return texts, mask_of(pc.match_substring_regex(texts, _EMAIL)) & ~mask_of(pc.match_substring_regex(texts, _NOBODYS))


def plain_dates(texts: pa.Array) -> tuple[pa.Array, Mask]:
    """Normalise birth dates written as they are normalised, and none."""
    return texts, mask_of(pc.match_substring_regex(texts, _DATE)) & ~mask_of(pc.match_substring_regex(texts, _NO_DATE))


def plain_phones(texts: pa.Array, default_country: str) -> tuple[pa.Array, Mask]:
    """Normalise North American numbers, and international ones without separators."""
    international = mask_of(pc.match_substring_regex(texts, _E164))
    parts = pc.extract_regex(texts, _NORTH_AMERICAN)
    told, x, y, z = (pc.struct_field(parts, place) for place in range(4))
    american = mask_of(parts.is_valid())
    if default_country not in NORTH_AMERICA:
        american &= mask_of(pc.starts_with(told, "+1"))
    plus, nothing = strings(["+1", ""])
    written = pc.if_else(
        truths(international), texts, pc.fill_null(pc.binary_join_element_wise(plus, x, y, z, nothing), nothing)
    )
    return written, (international | american) & ~mask_of(pc.is_in(written, value_set=_made_up()))


@cache
def _made_up() -> pa.Array:
    """List the numbers that may be made up, which the normaliser decides."""
    one_digit = [digit * length for digit in "123456789" for length in range(7, 16)]
    return strings([f"+{prefix}{number}" for prefix in ("", "1") for number in sorted({*one_digit, *GUESSABLE})])


def plain_names(texts: pa.Array) -> tuple[pa.Array, Mask]:
    """Normalise parts of names that are one word of plain letters."""
    lowered = pc.utf8_lower(texts)
    return lowered, mask_of(pc.match_substring_regex(texts, _NAME)) & ~mask_of(pc.is_in(lowered, value_set=_no_names()))


def plain_postcodes(texts: pa.Array) -> tuple[pa.Array, Mask]:
    """Normalise postcodes of up to eight digits; longer ones may be cut."""
    return texts, mask_of(pc.match_substring_regex(texts, "^[0-9]{1,8}$")) & mask_of(pc.match_substring_regex(texts, "[1-9]"))


@cache
def _no_names() -> pa.Array:
    return strings(sorted(TITLES | PLACEHOLDERS))
