"""Turn a record's attributes into its profile: all that comparing may look at, in one canonical form."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

import msgspec
from msgspec import Struct

from goldenthread.graph.model import (
    DOCUMENT_TYPES,
    AttributeValue,
    Document,
    PartialDate,
    PersonName,
    PostalAddress,
    Relationship,
    SemanticType,
    Value,
)
from goldenthread.resolver.normalise import contacts, dates, names, organisations, places
from goldenthread.resolver.normalise.text import CACHE_SIZE, fold, is_placeholder

__all__ = [
    "NORMALISER_VERSION",
    "IdentifierValue",
    "Profile",
    "address_text",
    "check_value",
    "identifier_of",
    "identifiers",
    "profile_of",
]

_T = TypeVar("_T", str, tuple[int, str], tuple[str, str], places.Place)

NORMALISER_VERSION = 2
"""Raised whenever any normalised text changes, since keys and scores made before then no longer compare."""

_ENCODER = msgspec.msgpack.Encoder()
MAX_VALUES = 16
"""Distinct values of one feature that take part in comparing; of more, the first in order."""

_MALE = (
    "m male man mr herr mann mannlich maennlich h homme masculin monsieur hombre masculino varon maschio maschile uomo homem "
    "mies miees mand mezczyzna muz muzh muzhskoi muzhskoy"
)
_FEMALE = (
    "f female woman w mrs ms miss frau weiblich femme feminin madame mujer femenino hembra femmina femminile donna mulher "
    "feminino vrouw vrouwelijk kvinna kvinde kvinne nainen kobieta zena zhenskii zhenskiy v k"
)
_GENDERS = {**dict.fromkeys(_MALE.split(), "m"), **dict.fromkeys(_FEMALE.split(), "f")}
_NAME_PARTS = frozenset({SemanticType.GIVEN_NAME, SemanticType.MIDDLE_NAME, SemanticType.SURNAME, SemanticType.NAME_SUFFIX})
_ADDRESS_PARTS = {
    SemanticType.STREET: "street",
    SemanticType.HOUSE_NUMBER: "house_number",
    SemanticType.UNIT: "unit",
    SemanticType.CITY: "city",
    SemanticType.REGION: "region",
    SemanticType.POSTCODE: "postcode",
    SemanticType.COUNTRY: "country",
}
_OTHER_KEYS = {
    SemanticType.EMPLOYER: "employer",
    SemanticType.OCCUPATION: "occupation",
    SemanticType.BIRTH_PLACE: "birth_place",
}


class Profile(Struct, frozen=True, array_like=True, gc=False):
    """What one record says, normalised: each feature a sorted tuple of distinct values, empty when unknown.

    `documents` hold (type, `ISSUER|NUMBER`); `others` hold (key, text) of employer, occupation, birth place and of free
    attributes under `free:` and their name.
    """

    given: tuple[str, ...] = ()
    middle: tuple[str, ...] = ()
    surname: tuple[str, ...] = ()
    suffix: tuple[str, ...] = ()
    organisations: tuple[str, ...] = ()
    birth_dates: tuple[str, ...] = ()
    genders: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    addresses: tuple[places.Place, ...] = ()
    documents: tuple[tuple[int, str], ...] = ()
    others: tuple[tuple[str, str], ...] = ()

    def encode(self) -> bytes:
        """Encode canonically: equal profiles, and only they, have equal bytes."""
        return _ENCODER.encode(self)


class IdentifierValue(Struct, frozen=True):
    """A normalised identifier; `text` includes the issuer where there is one."""

    type: SemanticType
    text: str


def _text_of(value: Value) -> str:
    """Write a structured value as one text, for a type that does not expect the structure."""
    if isinstance(value, str):
        return value
    if isinstance(value, Document):
        return value.number
    if isinstance(value, PartialDate):
        return f"{value.year:04d}-{value.month:02d}-{value.day:02d}" if value.year else ""
    if isinstance(value, PersonName):
        return " ".join(p for p in (value.given, value.middle, value.surname, value.suffix) if p)
    if isinstance(value, Relationship):
        return value.name
    house = " ".join(p for p in (value.house_number, value.street, value.unit) if p)
    tail = " ".join(p for p in (value.region, value.postcode) if p)
    return ", ".join(p for p in (house, value.city, tail, value.country) if p)


@lru_cache(CACHE_SIZE)
def _other_text(text: str) -> str:
    folded = fold(text)
    return "" if is_placeholder(folded) else folded


def _distinct(values: list[_T]) -> tuple[_T, ...]:
    """Sort, drop repeats and what is empty, and cap."""
    if len(values) < 2:
        return tuple(values) if values and values[0] else ()
    return tuple(sorted({v for v in values if v})[:MAX_VALUES])


class _Gathered:
    """Collect the features of one record while its attributes are read."""

    __slots__ = ("birth_dates", "documents", "emails", "genders", "names", "organisations", "others", "parts", "phones",
                 "places", "street_parts", "whole_names")  # fmt: skip

    def __init__(self) -> None:
        self.names: list[tuple[str, str, str, str]] = []
        self.whole_names: list[str] = []
        self.parts: dict[SemanticType, list[str]] = {}
        self.organisations: list[str] = []
        self.birth_dates: list[str] = []
        self.genders: list[str] = []
        self.emails: list[str] = []
        self.phones: list[str] = []
        self.places: list[places.Place] = []
        self.street_parts: dict[str, str] = {}
        self.documents: list[tuple[int, str]] = []
        self.others: list[tuple[str, str]] = []


def _gather(attribute: AttributeValue, into: _Gathered, default_country: str) -> None:
    """Normalise one attribute value; one that yields no feature is passed over."""
    kind, value = attribute.type, attribute.value
    if kind is SemanticType.EMAIL:
        into.emails.append(contacts.email_address(_text_of(value)))
    elif kind is SemanticType.PHONE:
        into.phones.append(contacts.phone_number(_text_of(value), default_country))
    elif kind is SemanticType.PERSON_NAME or kind is SemanticType.OTHER_NAME:
        if isinstance(value, PersonName):
            into.names.append(names.person_name(value))
        elif kind is SemanticType.OTHER_NAME and " " not in fold(_text_of(value)):
            # A lone other name is a former surname far more often than a whole name.
            into.names.append(("", "", names.name_part(_text_of(value)), ""))
        elif organisations.is_organisation(text := _text_of(value)):
            into.organisations.append(organisations.organisation_name(text))
        else:
            into.whole_names.append(text)
    elif kind in _NAME_PARTS:
        into.parts.setdefault(kind, []).append(_text_of(value))
    elif kind is SemanticType.BIRTH_DATE:
        into.birth_dates.append(dates.birth_date(value if isinstance(value, PartialDate) else _text_of(value), default_country))
    elif kind is SemanticType.ADDRESS:
        into.places.append(
            places.address_in_parts(value) if isinstance(value, PostalAddress) else places.address_line(_text_of(value))
        )
    elif kind in _ADDRESS_PARTS:
        part = _ADDRESS_PARTS[kind]
        text = _text_of(value).strip()
        if text:
            into.street_parts[part] = f"{into.street_parts[part]} {text}" if part in into.street_parts else text
    elif kind in DOCUMENT_TYPES:
        number, issuer = (value.number, value.issuer) if isinstance(value, Document) else (_text_of(value), "")
        text = contacts.document_number(kind, number, issuer)
        if text:
            into.documents.append((int(kind), text))
    elif kind is SemanticType.GENDER:
        folded = _other_text(_text_of(value))
        into.genders.append(_GENDERS.get(folded, folded))
    elif kind is SemanticType.ORGANISATION_NAME:
        into.organisations.append(organisations.organisation_name(_text_of(value)))
    elif kind is not SemanticType.RELATIONSHIP:  # what is said of somebody else is no feature of this one
        key = _OTHER_KEYS.get(kind) or f"free:{attribute.attribute}"
        text = (
            organisations.organisation_name(_text_of(value)) if kind is SemanticType.EMPLOYER else _other_text(_text_of(value))
        )
        if text:
            into.others.append((key, text))


def only_name(profile: Profile) -> tuple[str, ...]:
    """Answer the given name of somebody of whom no other name is known: it may be a surname in the wrong place."""
    return () if profile.surname or profile.middle else profile.given


def _join_names(into: _Gathered) -> list[tuple[str, str, str, str]]:
    """Bring names in columns, in parts and as one text together; words that only the whole name has are middle names."""
    if not into.parts and not into.whole_names:
        return into.names
    found = list(into.names)
    column = ("", "", "", "")
    parts = into.parts
    if SemanticType.SURNAME in parts and not {SemanticType.GIVEN_NAME, SemanticType.MIDDLE_NAME} & parts.keys():
        # A file of customers holds firms where the surnames are, without a given name.
        firms = [text for text in parts[SemanticType.SURNAME] if organisations.is_organisation(text)]
        into.organisations += map(organisations.organisation_name, firms)
        parts = parts | {SemanticType.SURNAME: [text for text in parts[SemanticType.SURNAME] if text not in firms]}
    if parts:
        column = names.person_name(
            PersonName(
                given=" ".join(parts.get(SemanticType.GIVEN_NAME, ())),
                middle=" ".join(parts.get(SemanticType.MIDDLE_NAME, ())),
                surname=" ".join(parts.get(SemanticType.SURNAME, ())),
                suffix=" ".join(parts.get(SemanticType.NAME_SUFFIX, ())),
            )
        )
    if not into.whole_names:
        return [*found, column]
    stated = set(f"{column[0]} {column[1]} {column[2]}".split())
    for whole in into.whole_names:
        split = names.split_full_name(whole)
        if stated and stated <= set(" ".join(split[:3]).split()):
            left = [w for w in " ".join(split[:3]).split() if w not in stated]
            given, middle, surname, suffix = column
            if left and not given:
                given = left.pop(0)
            column = (given, " ".join([*middle.split(), *left]), surname, suffix or split[3])
            stated.update(" ".join(column[:3]).split())
        elif any(split):
            found.append(split)
    if any(column):
        found.append(column)
    return found


def profile_of(attributes: Sequence[AttributeValue], default_country: str) -> Profile:
    """Normalise a record's attributes into its profile, whatever their order.

    Never raises on odd values: what cannot be used yields no feature.
    Phones without a country code and ambiguous dates are read as of `default_country`, an ISO 3166 code.
    """
    into = _Gathered()
    for attribute in sorted(attributes, key=_order) if len(attributes) > 1 else attributes:
        _gather(attribute, into, default_country)
    people = _join_names(into)
    if into.street_parts:
        into.places.append(places.address_in_parts(PostalAddress(**into.street_parts)))
    return Profile(
        given=_distinct([n[0] for n in people]),
        middle=_distinct([n[1] for n in people]),
        surname=_distinct([n[2] for n in people]),
        suffix=_distinct([n[3] for n in people]),
        organisations=_distinct(into.organisations),
        birth_dates=_distinct(into.birth_dates),
        genders=_distinct(into.genders),
        emails=_distinct(into.emails),
        phones=_distinct(into.phones),
        addresses=_distinct([a for a in into.places if any(a[:6])]),
        documents=_distinct(into.documents),
        others=_distinct(into.others),
    )


def _order(attribute: AttributeValue) -> tuple[int, str, str]:
    return int(attribute.type), attribute.attribute, attribute.value if type(attribute.value) is str else repr(attribute.value)


def address_text(place: places.Place) -> str:
    """Write a full address as the identifier that two records at one door share; city and region only lacking a postcode."""
    number, street, unit, city, _, postcode, _ = place
    return f"{number}|{street}|{unit}|{postcode or city}"


def identifiers(profile: Profile) -> tuple[IdentifierValue, ...]:
    """List the identifiers of a profile: emails, phones, full addresses, documents; distinct, in order."""
    found = [IdentifierValue(SemanticType.EMAIL, e) for e in profile.emails]
    found += [IdentifierValue(SemanticType.PHONE, p) for p in profile.phones]
    full = sorted({address_text(a) for a in profile.addresses if places.is_full_address(a)})
    found += [IdentifierValue(SemanticType.ADDRESS, a) for a in full]
    found += [IdentifierValue(SemanticType(kind), text) for kind, text in profile.documents]
    return tuple(found)


def identifier_of(type: SemanticType, value: str, issuer: str, default_country: str) -> IdentifierValue | None:
    """Normalise one identifier as a caller writes it, for look-ups; None when it is unusable or no identifier type."""
    typed: Value = Document(value, issuer) if type in DOCUMENT_TYPES else value
    return next(iter(identifiers(profile_of([AttributeValue("", type, typed)], default_country))), None)


def check_value(value: AttributeValue, today: PartialDate, default_country: str) -> str | None:
    """Name the rule that an impossible value breaks ("lies in the future"), or None.

    Texts that merely cannot be read are no error: they are kept as they are and yield no feature.
    """
    if value.type is SemanticType.BIRTH_DATE and isinstance(value.value, str | PartialDate):
        return dates.broken_date_rule(value.value, default_country, today)
    return None
