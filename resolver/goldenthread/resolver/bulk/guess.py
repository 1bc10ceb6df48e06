"""Guess what the columns of a table mean, by their names and values, and say why.

`to_yaml` writes a guess, to be edited and given back through `from_yaml`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import permutations

import numpy as np
from msgspec.structs import replace

from goldenthread.graph.model import (
    DOCUMENT_TYPES,
    AttributeDefinition,
    Cardinality,
    DataModel,
    PiiCategory,
    SemanticType,
    Survivorship,
)
from goldenthread.resolver.bulk.column_dates import date_order, is_date, write_dates
from goldenthread.resolver.bulk.guess_file import ColumnGuess, Format, GuessedColumn, Role, from_yaml, to_yaml
from goldenthread.resolver.bulk.number_schemes import scheme_of
from goldenthread.resolver.bulk.placeholders import LEAST_FREQUENT, OWN, far_too_frequent
from goldenthread.resolver.bulk.read import Table
from goldenthread.resolver.bulk.text_column import TextColumn
from goldenthread.resolver.bulk.vocabulary import vocabulary
from goldenthread.resolver.normalise.nicknames import NICKNAMES
from goldenthread.resolver.normalise.organisations import is_organisation
from goldenthread.resolver.normalise.text import fold

__all__ = [
    "NUMBERED",
    "ColumnGuess",
    "GuessedColumn",
    "Role",
    "compared_columns",
    "data_model",
    "from_yaml",
    "guess_columns",
    "to_yaml",
]

_T = SemanticType
_SAMPLE = 500
_DERIVED_ROWS = 400
NUMBERED = "No column is a record id; records are numbered by their place."
"""What is warned of where a table has no ids."""

_DECLARED = "declared in the data model"


def guess_columns(table: Table, declared: Mapping[str, SemanticType] | None = None) -> ColumnGuess:
    """Guess every column of a table, in its order. The same table always gets the same guess.

    What a data model has `declared` of an attribute goes before any guess of the column of that very name, but for two: what
    tells records apart stays that, and an address with city or postcode apart is its street.
    """
    declared = declared or {}
    warnings: list[str] = []
    samples = {name: _sample(values) for name, values in table.columns.items()}
    encoded = {name: TextColumn.of(values) for name, values in table.columns.items()}
    distinct = {name: column.distinct for name, column in encoded.items()}
    filled = {name: column.filled for name, column in encoded.items()}
    country = _country(table, samples)
    record_id = table.record_id_column or _record_id(table, filled, distinct, warnings)
    if table.record_id_column and (faults := _id_faults(table, record_id, filled, distinct)):
        warnings.append(f"Column {record_id} {faults}; such records can't be told apart by it.")
    found: list[GuessedColumn] = []
    for name in table.columns:
        facts = GuessedColumn(
            name, "ignored", _T.UNSPECIFIED, "", round(filled[name] / table.rows, 4) if table.rows else 0.0, distinct[name]
        )
        if name == record_id:
            why = "told" if table.record_id_column else "named like a record id, and unique"
            found.append(replace(facts, role="record_id", why=why))
        elif name == table.source_column:
            found.append(replace(facts, role="source", why="says where a record comes from"))
        else:
            told = declared.get(name)
            column = samples[name], filled[name], country
            found.append(_guess_column(facts, *column, warnings) if told is None else _declared_column(facts, told, *column))
    found = _settle(found, samples, table, declared)
    found = _without_derived(found, table)
    found = [_with_placeholders(column, found, table, warnings) for column in found]
    if not any(column.role == "attribute" for column in found):
        warnings.append("No column says anything of a person; edit the guess, or check the file's header.")
    return ColumnGuess(tuple(found), country, tuple(warnings))


def compared_columns(table: Table, guess: ColumnGuess) -> dict[str, Sequence[str]]:
    """Give the values of all attribute columns, written as normalising reads them (dates as 1980-12-31, 12345.0 as 12345).

    Values that a column has as placeholders are left out.
    """
    columns: dict[str, Sequence[str]] = {}
    for column in guess.attributes:
        values = table.columns[column.name]
        if column.placeholders:
            values = TextColumn.of(values).mapped(partial(_without, nothing=frozenset(column.placeholders)))
        if column.format == "decimal":
            values = TextColumn.of(values).mapped(_without_decimals)
        elif column.format:
            values = TextColumn.of(values).mapped(partial(write_dates, order=column.format))
        columns[column.name] = values
    return columns


def _without(values: Sequence[str], nothing: frozenset[str]) -> list[str]:
    return ["" if value in nothing else value for value in values]


def _without_decimals(values: Sequence[str]) -> list[str]:
    return [value[: value.index(".")] if _DECIMAL.fullmatch(value) else value for value in values]


def data_model(guess: ColumnGuess) -> DataModel:
    """Make the data model of the guessed attributes, in the order of columns."""
    return DataModel(tuple(_definition(column) for column in guess.attributes), guess.default_country)


_ONE = {_T.GIVEN_NAME, _T.MIDDLE_NAME, _T.SURNAME, _T.NAME_SUFFIX, _T.PERSON_NAME, _T.BIRTH_DATE, _T.GENDER, _T.BIRTH_PLACE}
_ADDRESS = {_T.STREET, _T.HOUSE_NUMBER, _T.UNIT, _T.CITY, _T.REGION, _T.POSTCODE, _T.COUNTRY}


def _definition(column: GuessedColumn) -> AttributeDefinition:
    kind = column.type
    if vocabulary().is_special(column.name):
        category = PiiCategory.SPECIAL
    elif kind in DOCUMENT_TYPES:
        category = PiiCategory.DOCUMENT
    elif kind in _ADDRESS | {_T.ADDRESS, _T.EMAIL, _T.PHONE}:
        category = PiiCategory.CONTACT
    else:
        category = PiiCategory.PERSONAL
    one = kind in _ONE | _ADDRESS
    survivorship = Survivorship.MOST_FREQUENT if kind in _ONE else Survivorship.MOST_RECENT
    return AttributeDefinition(column.name, kind, category, Cardinality.ONE if one else Cardinality.MANY, survivorship)


# --- one column ---

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]{2,}")
_PHONE = re.compile(r"[+(]?\d[\d ()/.\-]{6,20}\d(?:\s*(?:x|ext\.?)\s*\d+)?")
_DECIMAL = re.compile(r"\d+\.0+")
_SSN = re.compile(r"\d{3}-\d{2}-\d{4}")
_UK_POSTCODE = re.compile(r"[a-z]{1,2}\d[a-z\d]? ?\d[a-z]{2}", re.IGNORECASE)
_CANADIAN_POSTCODE = re.compile(r"[a-z]\d[a-z] ?\d[a-z]\d", re.IGNORECASE)
_DUTCH_POSTCODE = re.compile(r"\d{4} ?[a-z]{2}", re.IGNORECASE)
_ZIP = re.compile(r"\d{5}(-\d{4})?")


def _share(sample: Sequence[str], says: Callable[[str], object]) -> float:
    return sum(1 for value in sample if says(value)) / len(sample) if sample else 0.0


def _has_digit(value: str) -> bool:
    return any(character.isdigit() for character in value)


def _has_letter(value: str) -> bool:
    return any(character.isalpha() for character in value)


def _sample(values: Sequence[str]) -> list[str]:
    """Take values that are there from all over a column."""
    step = max(1, len(values) // (4 * _SAMPLE))
    return [value for value in values[::step] if value][:_SAMPLE] or [value for value in values if value][:_SAMPLE]


def _is_gender(value: str) -> bool:
    return fold(value) in vocabulary().genders


def _is_state_of(country: str) -> Callable[[str], bool]:
    codes = vocabulary().states[country]
    return lambda value: fold(value) in codes


_GIVEN = frozenset({*NICKNAMES, *(formal for formals in NICKNAMES.values() for formal in formals)})
_STREET = re.compile(r"(?:\d+\w?,? [^\W\d_].*|[^\W\d_][^\d]*,? \d+\s?\w?(?:[,/ -].*)?)")


def _is_whole_name(value: str) -> bool:
    words = fold(value).split()
    return 2 <= len(words) <= 5 and not any(map(str.isdigit, words))


def _has_given_name(value: str) -> bool:
    return not _GIVEN.isdisjoint(fold(value).split())


def _is_street(value: str) -> bool:
    return len(value) >= 6 and _STREET.fullmatch(value) is not None and sum(map(str.isalpha, value)) >= 4


_Fit = tuple[Callable[[str], object], float, str]
_WORDS: _Fit = (_has_letter, 0.6, "words")
_NUMBERS: _Fit = (_has_digit, 0.5, "numbers")
_FITS: dict[SemanticType, _Fit] = {
    **dict.fromkeys(DOCUMENT_TYPES, _NUMBERS),
    _T.EMAIL: (lambda value: "@" in value, 0.5, "email addresses"),
    _T.PHONE: (lambda value: sum(character.isdigit() for character in value) >= 6, 0.5, "phone numbers"),
    _T.GENDER: (_is_gender, 0.5, "genders"),
    _T.POSTCODE: _NUMBERS,
    _T.HOUSE_NUMBER: _NUMBERS,
    _T.PERSON_NAME: _WORDS,
    _T.GIVEN_NAME: _WORDS,
    _T.MIDDLE_NAME: _WORDS,
    _T.SURNAME: _WORDS,
    _T.OTHER_NAME: _WORDS,
    _T.ORGANISATION_NAME: _WORDS,
    _T.ADDRESS: _WORDS,
    _T.STREET: _WORDS,
    _T.CITY: _WORDS,
    _T.REGION: _WORDS,
    _T.COUNTRY: _WORDS,
    _T.EMPLOYER: _WORDS,
    _T.OCCUPATION: _WORDS,
    _T.BIRTH_PLACE: _WORDS,
}
"""What share of an attribute's values must look like what, if its name is to be believed."""


def _guess_column(facts: GuessedColumn, sample: list[str], filled: int, country: str, warnings: list[str]) -> GuessedColumn:
    name = facts.name
    if not filled:
        return replace(facts, why="empty")
    if vocabulary().is_label(name) and facts.distinct < filled:
        warnings.append(f"Column {name} looks like the answer to who is who; if it is, leave it out with --ignore {name}.")
        return replace(facts, role="attribute", type=_T.FREE, why="kept as a free attribute")
    kind = vocabulary().type_of(name)
    if kind is _T.BIRTH_DATE:
        if _share(sample, lambda value: is_date(value, by_name=True)) >= 0.5:
            order = date_order(sample, month_first=country == "US")
            return replace(facts, role="attribute", type=kind, why="named like a birth date, and holds dates", format=order)
        warnings.append(f"Column {name} is named like a birth date but holds few dates.")
        kind = None
    elif kind is not None:
        says, least, noun = _FITS.get(kind, (bool, 0.0, "values"))
        if _share(sample, says) >= least:
            return _attribute(facts, kind, f"named like {_label(kind)}", sample)
        warnings.append(f"Column {name} is named like {_label(kind)} but holds few {noun}.")
    if facts.distinct == 1 and filled > 1:
        return replace(facts, why="the same in all records")
    return _guess_by_values(facts, sample, filled, country)


def _declared_column(facts: GuessedColumn, kind: SemanticType, sample: list[str], filled: int, country: str) -> GuessedColumn:
    """Take a column for what the data model says it is; only how its values are written is guessed."""
    if not filled:
        return replace(facts, why="empty")
    if kind is _T.FREE:
        return replace(facts, role="attribute", type=kind, why=_DECLARED)
    if kind is _T.BIRTH_DATE:
        order = date_order(sample, month_first=country == "US")
        return replace(facts, role="attribute", type=kind, why=_DECLARED, format=order)
    return _attribute(facts, kind, _DECLARED, sample)


def _guess_by_values(facts: GuessedColumn, sample: list[str], filled: int, country: str) -> GuessedColumn:
    if _share(sample, _EMAIL.fullmatch) >= 0.8:
        return _attribute(facts, _T.EMAIL, "holds email addresses", sample)
    if _share(sample, is_date) >= 0.8:
        if vocabulary().is_other_date(facts.name) or _share(sample, lambda value: ":" in value) >= 0.5:
            return replace(facts, why="dates, but not named like birth dates")
        order = date_order(sample, month_first=country == "US")
        return replace(facts, role="attribute", type=_T.BIRTH_DATE, why="holds dates", format=order)
    if _share(sample, _SSN.fullmatch) >= 0.8:
        return _attribute(facts, _T.NATIONAL_ID, "holds numbers written like social security numbers", sample)
    if _share(sample, _UK_POSTCODE.fullmatch) >= 0.8 or _share(sample, _CANADIAN_POSTCODE.fullmatch) >= 0.8:
        return _attribute(facts, _T.POSTCODE, "holds postcodes", sample)
    if _share(sample, _PHONE.fullmatch) >= 0.8 and _share(sample, lambda value: not value.replace(".", "").isdigit()) >= 0.3:
        return _attribute(facts, _T.PHONE, "holds numbers written like phone numbers", sample)
    folded = {fold(value) for value in sample}
    if 2 <= len(folded) <= 12 and _share(sample, lambda value: _is_gender(value) and _has_letter(value)) >= 0.95:
        return _attribute(facts, _T.GENDER, "holds genders", sample)
    if len(folded) >= 4 and max(_share(sample, _is_state_of(code)) for code in vocabulary().states) >= 0.9:
        return _attribute(facts, _T.REGION, "holds codes of states", sample)
    if _share(sample, lambda value: fold(value) in _GIVEN) >= 0.25:
        return _attribute(facts, _T.GIVEN_NAME, "holds common given names", sample)
    if _share(sample, is_organisation) >= 0.4:
        return _attribute(facts, _T.ORGANISATION_NAME, "holds names with legal forms", sample)
    if _share(sample, _is_whole_name) >= 0.8 and _share(sample, _has_given_name) >= 0.2:
        return _attribute(facts, _T.PERSON_NAME, "holds whole names", sample)
    if _share(sample, _is_street) >= 0.8:
        whole = _share(sample, lambda value: "," in value and sum(c.isdigit() for c in value) > 3) >= 0.6
        return _attribute(facts, _T.ADDRESS if whole else _T.STREET, "holds words with house numbers", sample)
    if scheme := scheme_of(sample):
        return _attribute(facts, scheme.type, f"its check digits are those of {scheme.name}", sample)
    if filled >= 20 and facts.distinct >= 0.98 * filled:
        return replace(facts, why="different in nearly every record")
    return replace(facts, role="attribute", type=_T.FREE, why="kept as a free attribute")


def _label(kind: SemanticType) -> str:
    words = kind.name.lower().replace("_", " ")
    return f"an {words}" if words[0] in "aeio" else f"a {words}"


def _attribute(facts: GuessedColumn, kind: SemanticType, why: str, sample: list[str]) -> GuessedColumn:
    format: Format = "decimal" if _share(sample, _DECIMAL.fullmatch) >= 0.5 else ""
    return replace(facts, role="attribute", type=kind, why=why, format=format)


# --- all columns together ---


def _record_id(table: Table, filled: dict[str, int], distinct: dict[str, int], warnings: list[str]) -> str:
    """Find the column that is named like a record id and is unique, within each source at least."""
    ranked = sorted(
        (rank, place, name)
        for place, name in enumerate(table.columns)
        if (rank := vocabulary().record_id_rank(name)) is not None and name != table.source_column
    )
    for _, _, name in ranked:
        if filled[name] == table.rows and (
            distinct[name] == table.rows
            or len(set(zip(table.columns[table.source_column], table.columns[name], strict=True))) == table.rows
        ):
            return name
    for name in table.columns:
        if vocabulary().type_of(name) is _T.CUSTOMER_ACCOUNT and table.rows > 1 and distinct[name] == table.rows:
            # A number that no two records share says nothing of who is who.
            return name
    named = [name for rank, _, name in ranked if rank < 8]
    if named:
        faults = _id_faults(table, named[0], filled, distinct)
        warnings.append(
            f"Column {named[0]} is named like a record id but {faults}; correct that to have its records named by it."
        )
    warnings.append(NUMBERED)
    return ""


def _id_faults(table: Table, name: str, filled: dict[str, int], distinct: dict[str, int]) -> str:
    """Say what keeps a column from being a record id: that ids repeat within a source, or are missing; empty when nothing."""
    faults = []
    if distinct[name] < filled[name]:
        pairs = set(zip(table.columns[table.source_column], table.columns[name], strict=True))
        if repeated := filled[name] - sum(id != "" for _, id in pairs):
            faults.append(f"is not unique ({repeated:,} records repeat an id)")
    if empty := table.rows - filled[name]:
        faults.append(f"is empty in {empty:,} records")
    return " and ".join(faults)


def _with_placeholders(
    column: GuessedColumn, found: Sequence[GuessedColumn], table: Table, warnings: list[str]
) -> GuessedColumn:
    """Find the values that are nobody's in a column of what is each one's own."""
    if column.role != "attribute" or column.type not in OWN:
        return column
    values = TextColumn.of(table.columns[column.name])
    often = np.flatnonzero(np.bincount(values.codes) >= LEAST_FREQUENT)
    if not any(values.some_words(often)):
        return column
    # Many records of one name and birth date may well share a phone.
    who = [table.columns[c.name] for c in found if c.role == "attribute" and c.type in _WHO]
    people = {(value, *rest) for value, *rest in zip(values, *who, strict=True)} if who else zip(values, strict=True)
    nothing = tuple(far_too_frequent(Counter(value for value, *_ in people)))
    if not nothing:
        return column
    records = sum(values.count(value) for value in nothing)
    warnings.append(
        f"Column {column.name}: values that {records} records share are taken for placeholders; --write-columns lists them."
    )
    return replace(column, placeholders=nothing)


def _stands_alone(name: str, found: list[GuessedColumn], table: Table) -> bool:
    """Say whether a column mostly has its values where no person is named."""
    people = [table.columns[c.name] for c in found if c.role == "attribute" and c.type in _PERSON]
    filled = [i for i, value in enumerate(table.columns[name]) if value]
    return sum(1 for i in filled if not any(values[i] for values in people)) >= 0.5 * len(filled) > 0


def _settle(
    found: list[GuessedColumn], samples: dict[str, list[str]], table: Table, declared: Mapping[str, SemanticType]
) -> list[GuessedColumn]:
    """Decide what depends on other columns: a line of an address or a whole one, an employer or an organisation."""
    types = {column.type for column in found if column.role == "attribute"}
    has_person = bool(types & {_T.GIVEN_NAME, _T.SURNAME, _T.PERSON_NAME})
    settled: list[GuessedColumn] = []
    for column in found:
        if (
            column.type is _T.ADDRESS
            and types & {_T.CITY, _T.POSTCODE}
            and _share(samples[column.name], lambda v: "," in v) < 0.5
        ):
            column = replace(column, type=_T.STREET, why="named like an address, with city or postcode apart")
        elif (
            column.type is _T.ORGANISATION_NAME
            and column.name not in declared
            and has_person
            and not _stands_alone(column.name, found, table)
        ):
            column = replace(column, type=_T.EMPLOYER, why="named like an organisation, beside a person's name")
        settled.append(column)
    return settled


_PERSON = {_T.GIVEN_NAME, _T.SURNAME, _T.PERSON_NAME}
_WHO = _PERSON | {_T.ORGANISATION_NAME, _T.BIRTH_DATE}
_WHOLES = {_T.PERSON_NAME, _T.ADDRESS, _T.FREE, _T.GIVEN_NAME, _T.SURNAME, _T.STREET, _T.OTHER_NAME}
_PARTS = (
    _T.GIVEN_NAME,
    _T.MIDDLE_NAME,
    _T.SURNAME,
    _T.NAME_SUFFIX,
    _T.HOUSE_NUMBER,
    _T.STREET,
    _T.UNIT,
    _T.CITY,
    _T.REGION,
    _T.POSTCODE,
)


def _without_derived(found: list[GuessedColumn], table: Table) -> list[GuessedColumn]:
    """Ignore columns that only repeat others: several columns joined, a copy, or a beginning."""
    step = max(1, table.rows // (4 * _DERIVED_ROWS))
    attributes = [column for column in found if column.role == "attribute"][:200]
    rows = {column.name: [fold(value) for value in table.columns[column.name][::step]] for column in attributes}
    why: dict[str, str] = {}
    # Of two columns that repeat each other, the one that says less of its meaning goes, or the later.
    latest_first = attributes[::-1]
    latest_first.sort(key=lambda column: column.type is not _T.FREE)
    for derive in (_joined, _copied, _shortened):
        for column in latest_first:
            others = [other for other in attributes if other.name not in why and other.name != column.name]
            if column.name not in why and (reason := derive(column, others, rows)):
                why[column.name] = reason
    return [
        replace(column, role="ignored", type=_T.UNSPECIFIED, why=why[column.name], format="") if column.name in why else column
        for column in found
    ]


_Rows = dict[str, list[str]]


def _joined(column: GuessedColumn, others: Sequence[GuessedColumn], rows: _Rows) -> str:
    whole = rows[column.name]
    parts = [other.name for other in others if other.type in _PARTS][:8]
    if column.type in _WHOLES and _share([value for value in whole if value], lambda value: " " in value) >= 0.5:
        for length in (2, 3, 4) if len(parts) <= 5 else (2, 3):
            for chosen in permutations(parts, length):
                if _agrees(whole, tuple(rows[name] for name in chosen)):
                    return f"joins {' and '.join(chosen)}"
    return ""


def _copied(column: GuessedColumn, others: Sequence[GuessedColumn], rows: _Rows) -> str:
    if column.distinct > 2:
        for other in others:
            if _agrees(rows[column.name], (rows[other.name],)):
                return f"repeats {other.name}"
    return ""


def _shortened(column: GuessedColumn, others: Sequence[GuessedColumn], rows: _Rows) -> str:
    """Recognise initials and codes of one or two letters, and the year of a birth date."""
    values = rows[column.name]
    longest = max(map(len, values))
    for other in others:
        short = longest <= 2 or (longest == 4 and column.type is other.type is _T.BIRTH_DATE)
        if short and column.distinct > 1 and _begins(values, rows[other.name]):
            return f"is the beginning of {other.name}"
    return ""


def _agrees(whole: list[str], columns: tuple[list[str], ...]) -> bool:
    """Say whether nearly all values are those of the columns joined, also where some of these are empty."""
    full = same_full = seen = same = 0
    for value, *texts in zip(whole, *columns, strict=True):
        if value:
            alike = value == " ".join(filter(None, texts))
            seen += 1
            same += alike
            if all(texts):
                full += 1
                same_full += alike
            if seen == 25 and same < 15:
                return False
    return full >= 5 and same_full >= 0.95 * full and same >= 0.9 * seen


def _begins(whole: list[str], other: list[str]) -> bool:
    """Say whether nearly all values begin those of a column that mostly says more."""
    seen = begun = longer = 0
    for value, text in zip(whole, other, strict=True):
        if value and text:
            seen += 1
            begun += text.startswith(value)
            longer += len(text) > len(value)
            if seen == 25 and begun < 20:
                return False
    return seen >= 20 and longer >= 0.8 * seen and begun >= 0.98 * seen


def _country(table: Table, samples: dict[str, list[str]]) -> str:
    """Guess the country whose numbers and dates are meant, by states, postcodes and the language of column names."""
    votes: Counter[str] = Counter()
    for name, sample in samples.items():
        kind = vocabulary().type_of(name)
        if kind is _T.COUNTRY and sample:
            common = fold(Counter(sample).most_common(1)[0][0])
            code = {
                "usa": "US",
                "united states": "US",
                "uk": "GB",
                "united kingdom": "GB",
                "australia": "AU",
                "germany": "DE",
            }.get(common, common.upper())
            if len(code) == 2 and code.isalpha():
                votes[code] += 10
        elif kind is _T.REGION:
            shares = {code: _share(sample, _is_state_of(code)) for code in vocabulary().states}
            best = max(shares, key=lambda code: shares[code])
            if shares[best] >= 0.6:
                votes[best] += 5
        elif kind is _T.POSTCODE:
            shapes = (("GB", _UK_POSTCODE), ("CA", _CANADIAN_POSTCODE), ("NL", _DUTCH_POSTCODE), ("US", _ZIP))
            for code, shape in shapes:
                if _share(sample, shape.fullmatch) >= 0.6:
                    votes[code] += 1 if code == "US" else 4
        if found := vocabulary().country_of(name):
            votes[found] += 3
    return min(votes, key=lambda code: (-votes[code], code)) if votes else "US"
