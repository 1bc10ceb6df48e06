"""Normalise birth dates, whole or partial, and say which of them are impossible."""

from __future__ import annotations

import re
from calendar import monthrange
from functools import lru_cache

from goldenthread.graph.model import PartialDate
from goldenthread.resolver.normalise.text import CACHE_SIZE

__all__ = ["birth_date", "broken_date_rule", "parse_date"]

_EARLIEST_YEAR = 1850
_MONTHS = {m: n for n, m in enumerate(("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1)}
_YEAR_FIRST = re.compile(r"(\d{4})[-/. ](\d{1,2})(?:[-/. ](\d{1,2}))?(?:[T ].*)?$")
_YEAR_LAST = re.compile(r"(\d{1,2})[-/. ](\d{1,2})[-/. ](\d{4})(?:[T ].*)?$")
_DIGITS = re.compile(r"(\d{4})(\d{2})(\d{2})(?:\.0+)?$")
_YEAR = re.compile(r"(\d{4})(?:\.0+)?$")
_DAY_MONTH_NAME = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?[-/. ]+([A-Za-z]{3,})[-/.,]?[-/., ]*(\d{4})$")
_MONTH_NAME_DAY = re.compile(r"([A-Za-z]{3,})[-/. ]+(\d{1,2})(?:st|nd|rd|th)?[-/., ]+(\d{4})$")
_PLACEHOLDER_YEARS = frozenset({1, 9999})


@lru_cache(CACHE_SIZE)
def parse_date(text: str, default_country: str) -> PartialDate | None:
    """Read a date in ISO, all-digit, day/month/year or month-name form; None when it is no such text.

    `03/04/1980` is the fourth of March in the US and the third of April elsewhere, unless a part above 12 decides.
    The parts are as written: month 88 stays 88.
    """
    text = text.strip()
    if found := _YEAR_FIRST.match(text) or _DIGITS.match(text):
        return PartialDate(int(found[1]), int(found[2]), int(found[3] or 0))
    if found := _YEAR_LAST.match(text):
        first, second, year = int(found[1]), int(found[2]), int(found[3])
        month_first = (default_country == "US" and first <= 12) or second > 12
        return PartialDate(year, first, second) if month_first else PartialDate(year, second, first)
    if found := _DAY_MONTH_NAME.match(text):
        return _named_month(found[2], found[1], found[3])
    if found := _MONTH_NAME_DAY.match(text):
        return _named_month(found[1], found[2], found[3])
    if found := _YEAR.match(text):
        return PartialDate(int(found[1]))
    return None


def _named_month(name: str, day: str, year: str) -> PartialDate | None:
    month = _MONTHS.get(name[:3].lower())
    return PartialDate(int(year), month, int(day)) if month else None


def birth_date(value: str | PartialDate, default_country: str) -> str:
    """Normalise to `YYYY-MM-DD` with 00 for what is unknown; empty when there is no year, or only a placeholder.

    Impossible parts of a mistyped text are kept: month 88 is still evidence by the digits that are right.
    """
    date = parse_date(value, default_country) if isinstance(value, str) else value
    if (
        date is None
        or not 0 < date.year <= 9999
        or date.year in _PLACEHOLDER_YEARS
        or not (0 <= date.month <= 99 and 0 <= date.day <= 99)
    ):
        return ""
    if (date.year, date.month, date.day) in {(1900, 1, 1), (1899, 12, 31), (1899, 12, 30)}:
        return ""
    return f"{date.year:04d}-{date.month:02d}-{date.day:02d}"


def broken_date_rule(value: str | PartialDate, default_country: str, today: PartialDate) -> str | None:
    """Name the rule that a birth date breaks, or None.

    A structured date must exist; a text that reads as a date must only not lie in the future or before 1850, since a
    mistyped text is kept as evidence.
    """
    if isinstance(value, str):
        parsed = parse_date(value, default_country)
        if parsed is None:
            return None
        date = parsed
    else:
        date = value
        if date.day and not date.month:
            return "has a day but no month"
        if not 0 <= date.month <= 12:
            return "has a month outside 1 to 12"
        if date.day and not 1 <= date.day <= monthrange(date.year or 2000, date.month)[1]:
            return "is no calendar date"
    if date.year == 0:
        return None
    if date.year < _EARLIEST_YEAR:
        return f"lies before {_EARLIEST_YEAR}"
    if (date.year, date.month, date.day) > (today.year, today.month if date.month else 0, today.day if date.day else 0):
        return "lies in the future"
    return None
