"""Normalise columns into a frame of profiles: exactly what `profile_of` makes of each row, at the cost of distinct values.

Values that cannot influence each other are normalised once each. Those that can, as the columns of one name or one address,
are normalised once for each combination that occurs, and part by part where that is certain to give the same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property, partial
from typing import TypeVar, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from goldenthread.graph.model import DOCUMENT_TYPES, AttributeValue, PersonName, PostalAddress, SemanticType
from goldenthread.resolver.bulk.frame import Feature, Frame
from goldenthread.resolver.bulk.numbering import factorise_columns
from goldenthread.resolver.bulk.plain_values import plain_dates, plain_emails, plain_names, plain_phones, plain_postcodes
from goldenthread.resolver.bulk.text_column import TextColumn, integers, strings
from goldenthread.resolver.bulk.texts import filled_in
from goldenthread.resolver.bulk.threads import together
from goldenthread.resolver.normalise import Profile, contacts, dates, names, organisations, places, profile_of
from goldenthread.resolver.normalise.profile import MAX_VALUES

__all__ = ["normalise_columns"]

T = TypeVar("T")

_T = SemanticType
_FIELD_OF = {
    _T.EMAIL: "emails",
    _T.PHONE: "phones",
    _T.BIRTH_DATE: "birth_dates",
    _T.GENDER: "genders",
    _T.ORGANISATION_NAME: "organisations",
    **dict.fromkeys(DOCUMENT_TYPES, "documents"),
}
"""Kinds of which each value is normalised by itself into one field."""

_NAME_FIELDS = ("given", "middle", "surname", "suffix")
_FROM_NAMES = (*_NAME_FIELDS, "organisations")
"""What the columns of names may yield: a firm may stand among persons."""

_NAME_PARTS = {_T.GIVEN_NAME: "given", _T.MIDDLE_NAME: "middle", _T.SURNAME: "surname", _T.NAME_SUFFIX: "suffix"}
_NAMES = frozenset({*_NAME_PARTS, _T.PERSON_NAME, _T.OTHER_NAME})
_DOOR_PARTS = {_T.STREET: "street", _T.HOUSE_NUMBER: "house_number", _T.UNIT: "unit"}
_AREA_PARTS = {_T.CITY: ("city", 3), _T.REGION: ("region", 4), _T.POSTCODE: ("postcode", 5), _T.COUNTRY: ("country", 6)}
_ADDRESSES = frozenset({*_DOOR_PARTS, *_AREA_PARTS, _T.ADDRESS})


class _Column:
    """A column of stripped words, the type of its values, and which word each row has."""

    def __init__(self, name: str, kind: SemanticType, codes: NDArray[np.int32], texts: pa.Array) -> None:
        self.name, self.kind, self.codes, self.texts = name, kind, codes, texts

    @cached_property
    def words(self) -> list[str]:
        """The words as Python strings."""
        found: list[str] = self.texts.to_pylist()
        return found


def normalise_columns(
    columns: Mapping[str, Sequence[str]],
    types: Mapping[str, SemanticType | None],
    default_country: str,
    rows: int,
    advance: Callable[[float], None] = lambda share: None,
) -> Frame:
    """Normalise the columns that have a type; `advance` hears which share is done."""
    found: list[_Column] = []
    for name, kind in types.items():
        if kind is not None:
            encoded = TextColumn.of(columns[name]).stripped()
            found.append(_Column(name, kind, encoded.codes, encoded.distinct_texts))
    named = [column for column in found if column.kind in _NAMES]
    addressed = [column for column in found if column.kind in _ADDRESSES]
    alone = [column for column in found if column.kind in _FIELD_OF]
    rest = [column for column in found if column.kind not in _NAMES | _ADDRESSES | set(_FIELD_OF)]
    tasks: list[Callable[[], dict[str, Feature[Hashable]]]] = [
        *(partial(_alone, column, _FIELD_OF[column.kind], default_country) for column in alone),
        partial(_names, named, default_country),
        partial(_addresses, addressed, default_country),
    ]
    done: list[bool] = []

    def telling(task: Callable[[], T]) -> T:
        answer = task()
        done.append(True)
        advance(len(done) / (len(tasks) + len(rest)))
        return answer

    fields: dict[str, list[Feature[Hashable]]] = {}
    for said in together(partial(telling, task) for task in tasks):
        for field, feature in said.items():
            fields.setdefault(field, []).append(feature)
    others: dict[str, list[Feature[str]]] = {}
    for key, text in together(partial(telling, partial(_other, column, default_country)) for column in rest):
        if key:
            others.setdefault(key, []).append(text)
    made = {field: _merged(features) for field, features in fields.items()}
    return Frame(rows, made, _capped({key: _merged(features) for key, features in others.items()}, rows))


def _profiles(column: _Column, default_country: str) -> list[Profile]:
    """Make the profile of each word of a column by itself."""
    return [profile_of([AttributeValue(column.name, column.kind, w)] if w else [], default_country) for w in column.words]


def _alone(column: _Column, field: str, default_country: str) -> dict[str, Feature[Hashable]]:
    """Normalise a column whose values stand by themselves, into one field."""
    texts = column.texts
    if column.kind is _T.EMAIL:
        # Distinct words would only push each other out of the normalisers' memories.
        email = contacts.email_address.__wrapped__
        written = filled_in(*plain_emails(texts), texts, lambda word: email(word) if word else "")
    elif column.kind is _T.PHONE:
        phone = contacts.phone_number.__wrapped__
        written = filled_in(
            *plain_phones(texts, default_country), texts, lambda word: phone(word, default_country) if word else ""
        )
    elif column.kind is _T.BIRTH_DATE:
        date = dates.birth_date
        written = filled_in(*plain_dates(texts), texts, lambda word: date(word, default_country) if word else "")
    else:
        return {field: Feature.of([getattr(profile, field) for profile in _profiles(column, default_country)], column.codes)}
    return {field: cast("Feature[Hashable]", Feature.of_texts(written, column.codes, all_differ=written is texts))}


def _other(column: _Column, default_country: str) -> tuple[str, Feature[str]]:
    """Normalise a column of `others`; answer the key it goes under, "" where no value is usable."""
    found = [profile.others for profile in _profiles(column, default_country)]
    key = next((pair[0] for pairs in found for pair in pairs), "")
    return key, Feature.of_texts(strings([pairs[0][1] if pairs else "" for pairs in found]), column.codes)


def _merged(features: Sequence[Feature[Hashable]] | Sequence[Feature[str]]) -> Feature[Hashable]:
    """Unite features of one field: distinct values, sorted and capped as in a profile."""
    if len(features) == 1:
        return cast("Feature[Hashable]", features[0])
    rows = len(features[0].codes)
    combination, first = factorise_columns([(f.codes, f.entries) for f in features], rows)
    entries = [f.all_entries() for f in features]
    united = [
        sorted({value for values, code in zip(entries, codes, strict=True) for value in values[code]})[:MAX_VALUES]
        for codes in zip(*(f.codes[first].tolist() for f in features), strict=True)
    ]
    return Feature.of(united, combination)


def _capped(others: dict[str, Feature[Hashable]], rows: int) -> dict[str, Feature[str]]:
    """Hold `others` to the number of texts that a profile keeps, the first by key and text."""
    made = cast("dict[str, Feature[str]]", others)
    if sum(int(f.sizes().max(initial=0)) for f in made.values()) <= MAX_VALUES:
        return made
    room = np.full(rows, MAX_VALUES, np.int64)
    for key in sorted(made):
        feature = made[key]
        sizes = feature.sizes()[feature.codes]
        if (sizes > room).any():
            combination, first = factorise_columns([(feature.codes, feature.entries), (room, MAX_VALUES + 1)], rows)
            entries = feature.all_entries()
            kept = [entries[c][:n] for c, n in zip(feature.codes[first].tolist(), room[first].tolist(), strict=True)]
            made[key] = Feature.of(kept, combination)
        room = np.maximum(room - sizes, 0)
    return made


def _combinations(columns: Sequence[_Column]) -> tuple[NDArray[np.int64], list[list[str]]]:
    """Number the combinations of words that occur: that of each row, and the words of each, column by column."""
    combination, first = factorise_columns([(c.codes, len(c.texts)) for c in columns], len(columns[0].codes))
    return combination, [[c.words[code] for code in c.codes[first].tolist()] for c in columns]


def _whole(columns: Sequence[_Column], default_country: str) -> tuple[NDArray[np.int64], list[Profile]]:
    """Make the profile of each combination of words."""
    combination, words = _combinations(columns)
    kinds = [(c.name, c.kind) for c in columns]
    profiles = [
        profile_of([AttributeValue(n, k, w) for (n, k), w in zip(kinds, row, strict=True) if w], default_country)
        for row in zip(*words, strict=True)
    ]
    return combination, profiles


def _names(columns: Sequence[_Column], default_country: str) -> dict[str, Feature[Hashable]]:
    """Normalise the columns of people's names.

    A part that says only what it is, as a given name of one word, can be taken by itself beside others like it.
    """
    if not columns:
        return {}
    kinds = [column.kind for column in columns]
    if len(set(kinds)) < len(kinds) or not set(kinds) <= set(_NAME_PARTS):
        combination, profiles = _whole(columns, default_country)
        return {field: Feature.of([getattr(p, field) for p in profiles], combination) for field in _FROM_NAMES}
    plain = np.ones(len(columns[0].codes), np.bool_)
    parts: dict[str, pa.Array] = {}
    for column in columns:
        parts[_NAME_PARTS[column.kind]], alone = _name_parts(column)
        plain &= alone[column.codes]
    rest = np.flatnonzero(~plain)
    odd = [_Column(c.name, c.kind, c.codes[rest], c.texts) for c in columns]
    combination, profiles = _whole(odd, default_country) if len(rest) else (rest, [])
    made: dict[str, Feature[Hashable]] = {}
    for field in _FROM_NAMES:
        said = [column for column in columns if _NAME_PARTS[column.kind] == field]
        # Rows that are not plain have the texts behind those of the column.
        texts = parts[field] if said else strings([""])
        codes = said[0].codes.astype(np.int64) if said else np.zeros(len(plain), np.int64)
        codes[rest] = combination + len(texts)
        entries = [getattr(profile, field) for profile in profiles]
        if all(len(entry) < 2 for entry in entries):
            extra = strings([entry[0] if entry else "" for entry in entries]).cast(texts.type)
            made[field] = cast("Feature[Hashable]", Feature.of_texts(pa.concat_arrays([texts, extra]), codes))
        else:
            made[field] = Feature.of([*((t,) if t else () for t in texts.to_pylist()), *entries], codes)
    return made


def _name_parts(column: _Column) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Normalise the words of a column of one part of a name; say of each whether it yields that part alone."""
    field = _NAME_PARTS[column.kind]
    slot = _NAME_FIELDS.index(field)
    if field == "suffix":
        found, alone = column.texts, np.zeros(len(column.texts), np.bool_)
    else:
        found, alone = plain_names(column.texts)
    rest = np.flatnonzero(~alone)
    words = column.texts.take(integers(rest)).to_pylist()
    names_of = {word: names.person_name(PersonName(**{field: word})) for word in words}
    alone[rest] = [
        not any(name[:slot] + name[slot + 1 :]) and not (field == "surname" and organisations.is_organisation(word))
        for word, name in names_of.items()
    ]
    sure = np.ones(len(column.texts), np.bool_)
    sure[rest] = False
    return filled_in(found, sure, column.texts, lambda word: names_of[word][slot]), alone


def _addresses(columns: Sequence[_Column], default_country: str) -> dict[str, Feature[Hashable]]:
    """Normalise the columns of one address into its field."""
    return {"addresses": cast("Feature[Hashable]", _places(columns, default_country))} if columns else {}


def _area_words(column: _Column, part: str, slot: int) -> list[str]:
    """Normalise the words of a column that is one part of an address."""
    # Distinct words would only push each other out of the normaliser's memory.
    normal = places.address_in_parts.__wrapped__

    def write(word: str) -> str:
        return normal(PostalAddress(**{part: word}))[slot]

    if column.kind is not _T.POSTCODE:
        return [write(word) for word in column.words]
    found: list[str] = filled_in(*plain_postcodes(column.texts), column.texts, write).to_pylist()
    return found


def _places(columns: Sequence[_Column], default_country: str) -> Feature[places.Place]:
    """Normalise the columns of one address: the door by its parts together, each part of the area by itself."""
    kinds = [column.kind for column in columns]
    if len(set(kinds)) < len(kinds) or _T.ADDRESS in kinds:
        combination, profiles = _whole(columns, default_country)
        return Feature.of([profile.addresses for profile in profiles], combination)
    rows = len(columns[0].codes)
    pieces: list[tuple[NDArray[np.int64] | NDArray[np.int32], list[tuple[str, ...]], int]] = []
    door = [c for c in columns if c.kind in _DOOR_PARTS]
    if door:
        combination, words = _combinations(door)
        parts = [_DOOR_PARTS[c.kind] for c in door]
        found = [
            places.address_in_parts(PostalAddress(**dict(zip(parts, row, strict=True)))) for row in zip(*words, strict=True)
        ]
        pieces.append((combination, [place[:3] for place in found], 0))
    for column in columns:
        if column.kind in _AREA_PARTS:
            part, slot = _AREA_PARTS[column.kind]
            pieces.append((column.codes, [(word,) for word in _area_words(column, part, slot)], slot))
    combination, first = factorise_columns([(codes, len(texts)) for codes, texts, _ in pieces], rows)
    made: list[list[str]] = [[""] * 7 for _ in range(len(first))]
    for codes, texts, slot in pieces:
        for address, code in zip(made, codes[first].tolist(), strict=True):
            address[slot : slot + len(texts[code])] = texts[code]
    entries = [(cast(places.Place, tuple(address)),) if any(address[:6]) else () for address in made]
    return Feature.of(entries, combination)
