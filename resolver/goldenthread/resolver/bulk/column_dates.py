"""Read the ways a whole column writes its dates: one value alone does not tell 03/04 from 04/03, but the column may."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Literal

__all__ = ["DateOrder", "date_order", "is_date", "write_dates"]

DateOrder = Literal["", "dmy", "mdy", "serial"]
"""How dates are written where their text alone does not say: day first, month first, or as days since 1899-12-30."""

_YEAR = r"(?:1[5-9]|20)\d\d"
_ISO = re.compile(rf"{_YEAR}[-/. ]\d{{1,2}}(?:[-/. ]\d{{1,2}}(?:[T ].*)?)?")
_DIGITS = re.compile(rf"{_YEAR}\d{{4}}(?:\.0+)?")
_DIGITS_YEAR_LAST = re.compile(rf"(\d\d)(\d\d)({_YEAR})")
_YEAR_LAST = re.compile(r"(\d{1,2})[-/. ](\d{1,2})[-/. ](\d{4}|\d\d)(?:[T ].*)?")
_NAMED = re.compile(r"(?:\d{1,2}(?:st|nd|rd|th)?[-/., ]+)?[A-Za-z]{3,9}[-/., ]+(?:\d{1,2}(?:st|nd|rd|th)?,?[ -]+)?\d{4}")
_SERIAL = re.compile(r"(\d{4,5})(?:\.0+)?")
_YEAR_ALONE = re.compile(rf"{_YEAR}(?:\.0+)?")
_FIRST_SERIAL = date(1899, 12, 30)  # day 0 of spreadsheets, as counted from March 1900 on
_LAST_SERIAL = 60_000  # in the year 2064
_PIVOT = 30  # two-digit years below it are of this century, others of the last


def is_date(text: str, *, by_name: bool = False) -> bool:
    """Say whether a text looks like a date; when the column's name says so too, a bare year or serial number also does."""
    if _ISO.fullmatch(text) or _DIGITS.fullmatch(text) or _YEAR_LAST.fullmatch(text) or _DIGITS_YEAR_LAST.fullmatch(text):
        return True
    if _NAMED.fullmatch(text):
        return True
    return by_name and bool(_YEAR_ALONE.fullmatch(text) or _is_serial(text))


def _is_serial(text: str) -> bool:
    found = _SERIAL.fullmatch(text)
    return found is not None and int(found[1]) <= _LAST_SERIAL and not _YEAR_ALONE.fullmatch(text)


def date_order(sample: Sequence[str], *, month_first: bool) -> DateOrder:
    """Find how a column writes dates; `month_first` decides where no value does."""
    if sum(map(_is_serial, sample)) >= 0.5 * len(sample):
        return "serial"
    found = [match for text in sample if (match := _YEAR_LAST.fullmatch(text) or _DIGITS_YEAR_LAST.fullmatch(text))]
    if 2 * len(found) < len(sample) or not found:
        return ""
    day_first = sum(int(match[1]) > 12 for match in found)
    day_second = sum(int(match[2]) > 12 for match in found)
    if day_first == day_second:
        return "mdy" if month_first else "dmy"
    return "dmy" if day_first > day_second else "mdy"


def write_dates(values: Sequence[str], order: DateOrder) -> list[str]:
    """Write a column's dates as YYYY-MM-DD; a value that is written otherwise stays as it is."""
    known: dict[str, str] = {}
    for value in values:
        if value not in known:
            known[value] = _write(value, order)
    return [known[value] for value in values]


def _write(text: str, order: DateOrder) -> str:
    if order == "serial":
        return (_FIRST_SERIAL + timedelta(days=int(text.split(".")[0]))).isoformat() if _is_serial(text) else text
    found = _YEAR_LAST.fullmatch(text) or _DIGITS_YEAR_LAST.fullmatch(text)
    if not order or found is None:
        return text
    first, second, year = int(found[1]), int(found[2]), int(found[3])
    if len(found[3]) == 2:
        year += 2000 if year < _PIVOT else 1900
    day, month = (first, second) if order == "dmy" else (second, first)
    if month > 12 >= day:
        # Written the other way round than the rest of its column.
        day, month = month, day
    return f"{year:04d}-{month:02d}-{day:02d}"
