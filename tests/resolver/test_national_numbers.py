"""Plain national phone numbers are read as phonenumbers reads them, in every country."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldenthread.resolver.normalise.national_numbers import national_number

COUNTRIES = sorted(phonenumbers.SUPPORTED_REGIONS)
SEPARATORS = st.sampled_from(["", "", "", " ", "-", ".", ") ", " (", "  "])


def as_the_library_reads(text: str, country: str) -> str:
    try:
        parsed = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_possible_number(parsed):
        return ""
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


@st.composite
def written_numbers(draw: st.DrawFn) -> tuple[str, str]:
    country = draw(st.sampled_from(COUNTRIES))
    example = phonenumbers.example_number(country)
    digits = draw(st.text("0123456789", min_size=7, max_size=14))
    if example is not None and draw(st.booleans()):
        national = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.NATIONAL)
        digits = "".join(c for c in national if c.isdecimal())[: draw(st.integers(3, 12))] + draw(
            st.text("0123456789", max_size=6)
        )
    return "".join(d + draw(SEPARATORS) for d in digits[:-1]) + digits[-1:], country


@settings(max_examples=1500)
@given(written_numbers())
def test_what_is_read_is_what_the_library_reads(written):
    text, country = written

    answer = national_number(text, country)

    assert answer is None or answer == as_the_library_reads(text, country)


@pytest.mark.parametrize(
    ("text", "country", "answer"),
    [
        ("(415) 555-2671", "US", "+14155552671"),
        ("07700 900123", "GB", "+447700900123"),
        ("030 901820", "DE", "+4930901820"),
        ("06 698 12345", "IT", "+390669812345"),
        ("555-2671-1", "US", ""),
    ],
)
def test_plain_numbers_are_read_without_the_library(text, country, answer):
    assert national_number(text, country) == answer


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("+14155552671", "US"),
        ("1 415 555 2671", "US"),
        ("0044 7700 900123", "GB"),
        ("415-555-2671 x12", "US"),
        ("4155552671", "ZZ"),
    ],
)
def test_other_numbers_are_left_to_the_library(text, country):
    assert national_number(text, country) is None
