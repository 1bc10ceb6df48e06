"""Profile the columns of a table: what each means, how much of it is filled and valid, and what it is good for.

`identifies`: few records share a value by chance, so that agreement says who somebody is. `describes`: many do.
`derived`: it only repeats other columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import Struct

from goldenthread.graph.model import DOCUMENT_TYPES, PartialDate, SemanticType
from goldenthread.resolver.bulk.guess import compared_columns
from goldenthread.resolver.bulk.guess_file import ColumnGuess, GuessedColumn
from goldenthread.resolver.bulk.number_schemes import is_valid, scheme_of
from goldenthread.resolver.bulk.placeholders import is_known_placeholder
from goldenthread.resolver.bulk.read import Table
from goldenthread.resolver.bulk.vocabulary import vocabulary
from goldenthread.resolver.normalise import contacts, dates, names, organisations, places
from goldenthread.resolver.normalise.text import fold

__all__ = ["ColumnProfile", "Placeholder", "Use", "profile_columns"]

Use = Literal["identifies", "describes", "derived", "record id", "source", "empty", "constant", "unused"]

_T = SemanticType
_IDENTIFYING_CHANCE = 1 / 400
"""Chance that two records agree up to which a column identifies: a tenth of a birth date, counting one person's records too."""

_CHECKED = 5000
"""Distinct values, the most frequent first, that are checked for being valid."""

_NAMES = {_T.GIVEN_NAME, _T.MIDDLE_NAME, _T.SURNAME, _T.PERSON_NAME, _T.OTHER_NAME}


class Placeholder(Struct, frozen=True):
    """A value that stands for none, in how many records, and how it was found: `listed`, or `frequent` by the data alone."""

    value: str
    records: int
    found: Literal["listed", "frequent"]


class ColumnProfile(Struct, frozen=True):
    """What one column holds; shares are from 0 to 1, None where there is nothing to share.

    `completeness` is the share of records with a value, placeholders aside; `distinctness` that of distinct values among
    these; `validity` the share of these that are right for the type; `chance` how often two records agree. `sources` gives
    the completeness by source. `numbers` names the scheme of check digits that numbers follow.
    """

    name: str
    meaning: str
    use: Use
    why: str
    format: str
    records: int
    filled: int
    distinct: int
    completeness: float
    distinctness: float | None
    validity: float | None
    chance: float | None
    placeholders: tuple[Placeholder, ...]
    sources: dict[str, float]
    numbers: str


def profile_columns(table: Table, guess: ColumnGuess, today: PartialDate) -> tuple[ColumnProfile, ...]:
    """Profile every column of a table whose columns mean what `guess` says, in its order."""
    written = compared_columns(table, guess)
    rows_of = Counter(table.columns[table.source_column])
    return tuple(_profile(column, table, written.get(column.name), guess, today, rows_of) for column in guess.columns)


def _profile(
    column: GuessedColumn,
    table: Table,
    written: Sequence[str] | None,
    guess: ColumnGuess,
    today: PartialDate,
    rows_of: Counter[str],
) -> ColumnProfile:
    raw = table.columns[column.name]
    counts = Counter(raw)
    counts.pop("", None)
    nothing = dict.fromkeys(column.placeholders, "frequent")
    nothing |= {value: "listed" for value in counts if is_known_placeholder(column.type, value)}
    placeholders = sorted(
        (Placeholder(v, counts[v], "listed" if how == "listed" else "frequent") for v, how in nothing.items() if counts[v]),
        key=lambda p: (-p.records, p.value),
    )
    for value in nothing:
        counts.pop(value, None)
    filled = counts.total()
    chance = sum(n * (n - 1) for n in counts.values()) / (filled * (filled - 1)) if filled > 1 else None
    scheme = scheme_of(list(counts)[:1000], column.type) if column.type in DOCUMENT_TYPES else None
    validity = None
    if written is not None and filled:
        check = _CHECKS.get(column.type, _is_anything)
        as_written = {value: text for value, text in zip(raw, written, strict=True) if text}
        checked = right = 0
        for value, count in counts.most_common(_CHECKED):
            text = as_written.get(value, value)
            checked += count
            right += count * (is_valid(scheme, text) if scheme else check(text, guess.default_country, today))
        validity = right / checked
    present = Counter(source for source, value in zip(table.columns[table.source_column], raw, strict=True) if value in counts)
    return ColumnProfile(
        name=column.name,
        meaning=column.type.name.lower() if column.role == "attribute" else column.role,
        use=_use(column, filled, len(counts), chance),
        why=column.why,
        format=column.format,
        records=table.rows,
        filled=filled,
        distinct=len(counts),
        completeness=filled / table.rows if table.rows else 0.0,
        distinctness=len(counts) / filled if filled else None,
        validity=validity,
        chance=chance,
        placeholders=tuple(placeholders),
        sources={source: present[source] / rows for source, rows in sorted(rows_of.items())},
        numbers=scheme.name if scheme else "",
    )


def _use(column: GuessedColumn, filled: int, distinct: int, chance: float | None) -> Use:
    if column.role == "record_id":
        return "record id"
    if column.role == "source":
        return "source"
    if not filled:
        return "empty"
    if distinct == 1 and filled > 1:
        return "constant"
    if column.role == "ignored":
        return "derived" if column.why.startswith(("joins ", "repeats ", "is the beginning of ")) else "unused"
    return "identifies" if chance is not None and chance <= _IDENTIFYING_CHANCE else "describes"


# --- is a value right for its type? ---

_Check = Callable[[str, str, PartialDate], bool]


def _is_anything(text: str, country: str, today: PartialDate) -> bool:
    return bool(fold(text))


def _is_email(text: str, country: str, today: PartialDate) -> bool:
    address = contacts.email_address(text)
    return bool(address) and "." in address.partition("@")[2].strip(".")


def _is_phone(text: str, country: str, today: PartialDate) -> bool:
    return bool(contacts.phone_number(text, country))


def _is_birth_date(text: str, country: str, today: PartialDate) -> bool:
    date = dates.parse_date(text, country)
    if date is None or not dates.birth_date(text, country):
        return False
    # Archives hold people born long ago.
    rule = dates.broken_date_rule(date, country, today)
    return rule is None or rule.startswith("lies before")


def _is_name(text: str, country: str, today: PartialDate) -> bool:
    return bool(names.name_part(text)) and not any(map(str.isdigit, text))


def _is_organisation(text: str, country: str, today: PartialDate) -> bool:
    return bool(organisations.organisation_name(text))


def _is_gender(text: str, country: str, today: PartialDate) -> bool:
    return fold(text) in vocabulary().genders


def _is_address(text: str, country: str, today: PartialDate) -> bool:
    place = places.address_line(text)
    return bool(place[1] and (place[3] or place[5]))


def _is_postcode(text: str, country: str, today: PartialDate) -> bool:
    code = places.postcode(text)
    return 3 <= len(code) <= 10 and any(map(str.isdigit, code))


def _is_number(text: str, country: str, today: PartialDate) -> bool:
    return bool(contacts.document_number(_T.NATIONAL_ID, text, "")) and any(map(str.isdigit, text))


_CHECKS: dict[SemanticType, _Check] = {
    _T.EMAIL: _is_email,
    _T.PHONE: _is_phone,
    _T.BIRTH_DATE: _is_birth_date,
    **dict.fromkeys(_NAMES, _is_name),
    _T.ORGANISATION_NAME: _is_organisation,
    _T.EMPLOYER: _is_organisation,
    _T.GENDER: _is_gender,
    _T.ADDRESS: _is_address,
    _T.POSTCODE: _is_postcode,
    **dict.fromkeys(DOCUMENT_TYPES - {_T.DEVICE}, _is_number),
}
