"""Build records from plain Python values.

    Record("crm", "42", {"given_name": "Ann", "email": ["ann@example.org", "a@example.org"], "birth_date": date(1980, 2, 29)})

A value is a text as the source writes it, a `datetime.date`, or one of the parts types below; several values of one
attribute are a list. Nothing is checked here that the server checks.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from google.protobuf import timestamp_pb2

from goldenthread.v1 import record_pb2, resolution_service_pb2

__all__ = [
    "AttributeInput",
    "Consent",
    "ConsentState",
    "Document",
    "IdentifierKey",
    "PartialDate",
    "Party",
    "PersonName",
    "PostalAddress",
    "Record",
    "Relationship",
    "RelationshipKind",
    "SemanticType",
    "SourceKey",
    "Typed",
    "Value",
    "attribute_values",
]


class Party(IntEnum):
    """How close a source is to the customer it speaks of."""

    UNSPECIFIED = record_pb2.PARTY_UNSPECIFIED
    ZERO = record_pb2.PARTY_ZERO
    FIRST = record_pb2.PARTY_FIRST
    SECOND = record_pb2.PARTY_SECOND
    THIRD = record_pb2.PARTY_THIRD


class SemanticType(IntEnum):
    """What a value means, whatever its attribute is called."""

    UNSPECIFIED = record_pb2.SEMANTIC_TYPE_UNSPECIFIED
    PERSON_NAME = record_pb2.SEMANTIC_TYPE_PERSON_NAME
    GIVEN_NAME = record_pb2.SEMANTIC_TYPE_GIVEN_NAME
    MIDDLE_NAME = record_pb2.SEMANTIC_TYPE_MIDDLE_NAME
    SURNAME = record_pb2.SEMANTIC_TYPE_SURNAME
    NAME_SUFFIX = record_pb2.SEMANTIC_TYPE_NAME_SUFFIX
    OTHER_NAME = record_pb2.SEMANTIC_TYPE_OTHER_NAME
    ORGANISATION_NAME = record_pb2.SEMANTIC_TYPE_ORGANISATION_NAME
    BIRTH_DATE = record_pb2.SEMANTIC_TYPE_BIRTH_DATE
    GENDER = record_pb2.SEMANTIC_TYPE_GENDER
    EMAIL = record_pb2.SEMANTIC_TYPE_EMAIL
    PHONE = record_pb2.SEMANTIC_TYPE_PHONE
    ADDRESS = record_pb2.SEMANTIC_TYPE_ADDRESS
    STREET = record_pb2.SEMANTIC_TYPE_STREET
    HOUSE_NUMBER = record_pb2.SEMANTIC_TYPE_HOUSE_NUMBER
    UNIT = record_pb2.SEMANTIC_TYPE_UNIT
    CITY = record_pb2.SEMANTIC_TYPE_CITY
    REGION = record_pb2.SEMANTIC_TYPE_REGION
    POSTCODE = record_pb2.SEMANTIC_TYPE_POSTCODE
    COUNTRY = record_pb2.SEMANTIC_TYPE_COUNTRY
    NATIONAL_ID = record_pb2.SEMANTIC_TYPE_NATIONAL_ID
    TAX_ID = record_pb2.SEMANTIC_TYPE_TAX_ID
    PASSPORT = record_pb2.SEMANTIC_TYPE_PASSPORT
    DRIVERS_LICENCE = record_pb2.SEMANTIC_TYPE_DRIVERS_LICENCE
    CUSTOMER_ACCOUNT = record_pb2.SEMANTIC_TYPE_CUSTOMER_ACCOUNT
    LOYALTY_ACCOUNT = record_pb2.SEMANTIC_TYPE_LOYALTY_ACCOUNT
    DEVICE = record_pb2.SEMANTIC_TYPE_DEVICE
    EMPLOYER = record_pb2.SEMANTIC_TYPE_EMPLOYER
    OCCUPATION = record_pb2.SEMANTIC_TYPE_OCCUPATION
    BIRTH_PLACE = record_pb2.SEMANTIC_TYPE_BIRTH_PLACE
    FREE = record_pb2.SEMANTIC_TYPE_FREE
    RELATIONSHIP = record_pb2.SEMANTIC_TYPE_RELATIONSHIP


class RelationshipKind(IntEnum):
    """What somebody is to the customer whose record says so."""

    SPOUSE = record_pb2.RELATIONSHIP_KIND_SPOUSE
    PARENT = record_pb2.RELATIONSHIP_KIND_PARENT
    CHILD = record_pb2.RELATIONSHIP_KIND_CHILD
    SIBLING = record_pb2.RELATIONSHIP_KIND_SIBLING
    GUARDIAN = record_pb2.RELATIONSHIP_KIND_GUARDIAN
    WARD = record_pb2.RELATIONSHIP_KIND_WARD
    EMPLOYER = record_pb2.RELATIONSHIP_KIND_EMPLOYER
    EMPLOYEE = record_pb2.RELATIONSHIP_KIND_EMPLOYEE
    OTHER = record_pb2.RELATIONSHIP_KIND_OTHER


class ConsentState(IntEnum):
    """W3C DPV consent status."""

    UNKNOWN = record_pb2.CONSENT_STATE_UNKNOWN
    REQUESTED = record_pb2.CONSENT_STATE_REQUESTED
    REQUEST_DEFERRED = record_pb2.CONSENT_STATE_REQUEST_DEFERRED
    REFUSED = record_pb2.CONSENT_STATE_REFUSED
    GIVEN = record_pb2.CONSENT_STATE_GIVEN
    RENEWED = record_pb2.CONSENT_STATE_RENEWED
    EXPIRED = record_pb2.CONSENT_STATE_EXPIRED
    INVALIDATED = record_pb2.CONSENT_STATE_INVALIDATED
    REVOKED = record_pb2.CONSENT_STATE_REVOKED
    WITHDRAWN = record_pb2.CONSENT_STATE_WITHDRAWN


@dataclass(frozen=True, slots=True)
class PersonName:
    """A person's name in parts; any part may be empty."""

    given: str = ""
    middle: str = ""
    surname: str = ""
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class PostalAddress:
    """A postal address in parts; any part may be empty."""

    street: str = ""
    house_number: str = ""
    unit: str = ""
    city: str = ""
    region: str = ""
    postcode: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True)
class PartialDate:
    """A calendar date of which parts may be unknown (0)."""

    year: int = 0
    month: int = 0
    day: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """A document or account number with who issued it."""

    number: str
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class Relationship:
    """Somebody else, and what they are to this customer: by their record at a source, or by name alone."""

    kind: RelationshipKind
    source: str = ""
    source_record_id: str = ""
    name: str = ""


Value = str | dt.date | PersonName | PostalAddress | PartialDate | Document | Relationship


@dataclass(frozen=True, slots=True)
class Typed:
    """A value with its semantic type, for an attribute that the tenant's data model does not have."""

    value: Value
    type: SemanticType


AttributeInput = Value | Typed | Sequence[Value | Typed] | None
"""What an attribute can be given as: one value, several, or None for none."""


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent statement as the source reported it; times without a zone are UTC."""

    purpose: str
    state: ConsentState
    event_time: dt.datetime
    channel: str = ""
    contact_point: str = ""
    valid_until: dt.datetime | None = None
    jurisdiction: str = ""
    legal_basis: str = ""
    notice: str = ""
    collection_method: str = ""
    evidence: str = ""

    def to_proto(self) -> record_pb2.ConsentStatement:
        """Write it as the contract's message."""
        return record_pb2.ConsentStatement(
            purpose=self.purpose,
            state=record_pb2.ConsentState.ValueType(self.state),
            channel=self.channel,
            contact_point=self.contact_point,
            event_time=to_timestamp(self.event_time),
            valid_until=to_timestamp(self.valid_until) if self.valid_until else None,
            jurisdiction=self.jurisdiction,
            legal_basis=self.legal_basis,
            notice=self.notice,
            collection_method=self.collection_method,
            evidence=self.evidence,
        )


@dataclass(frozen=True, slots=True)
class SourceKey:
    """A record's own id at its source."""

    source: str
    source_record_id: str

    def to_proto(self) -> record_pb2.SourceKey:
        """Write it as the contract's message."""
        return record_pb2.SourceKey(source=self.source, source_record_id=self.source_record_id)


@dataclass(frozen=True, slots=True)
class IdentifierKey:
    """An identifier value to look an identity up by, as one would write it."""

    type: SemanticType
    value: str
    issuer: str = ""

    def to_proto(self) -> resolution_service_pb2.IdentifierKey:
        """Write it as the contract's message."""
        return resolution_service_pb2.IdentifierKey(
            type=record_pb2.SemanticType.ValueType(self.type), value=self.value, issuer=self.issuer
        )


@dataclass(frozen=True, slots=True)
class Record:
    """One source's view of one customer; `observed_at` without a zone is UTC, unset it is the time of receipt."""

    source: str
    source_record_id: str
    attributes: Mapping[str, AttributeInput] = field(default_factory=dict)
    party: Party = Party.UNSPECIFIED
    observed_at: dt.datetime | None = None
    source_version: int = 0
    consents: Sequence[Consent] = ()

    def to_proto(self) -> record_pb2.Record:
        """Write it as the contract's message."""
        return record_pb2.Record(
            source=self.source,
            source_record_id=self.source_record_id,
            party=record_pb2.Party.ValueType(self.party),
            observed_at=to_timestamp(self.observed_at) if self.observed_at else None,
            source_version=self.source_version,
            attributes=attribute_values(self.attributes),
            consents=[c.to_proto() for c in self.consents],
        )


_VALUES = (str, dt.date, PersonName, PostalAddress, PartialDate, Document, Relationship)


def attribute_values(attributes: Mapping[str, AttributeInput]) -> list[record_pb2.AttributeValue]:
    """Write attributes as the contract's messages, one a value; empty texts and None are left out.

    Raises TypeError, naming the attribute, when a value is of no kind that an attribute has.
    """
    out: list[record_pb2.AttributeValue] = []
    for name, given in attributes.items():
        several = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
        for item in several:
            value, kind = (item.value, item.type) if isinstance(item, Typed) else (item, SemanticType.UNSPECIFIED)
            if value is not None and not isinstance(value, _VALUES):
                raise TypeError(f"The attribute {name} has a {type(value).__name__} for a value; give text, a date or None.")
            if value is not None and value != "":
                out.append(_attribute_value(name, value, record_pb2.SemanticType.ValueType(kind)))
    return out


def to_timestamp(moment: dt.datetime) -> timestamp_pb2.Timestamp:
    """Write a moment as a Timestamp; one without a zone is taken as UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    stamp = timestamp_pb2.Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _attribute_value(name: str, value: Value, kind: record_pb2.SemanticType.ValueType) -> record_pb2.AttributeValue:
    """Write one value under its name."""
    make = record_pb2.AttributeValue
    match value:
        case str():
            return make(attribute=name, type=kind, text=value)
        case PersonName():
            name_parts = record_pb2.PersonName(
                given=value.given, middle=value.middle, surname=value.surname, suffix=value.suffix
            )
            return make(attribute=name, type=kind, person_name=name_parts)
        case PostalAddress():
            address = record_pb2.PostalAddress(
                street=value.street,
                house_number=value.house_number,
                unit=value.unit,
                city=value.city,
                region=value.region,
                postcode=value.postcode,
                country=value.country,
            )
            return make(attribute=name, type=kind, address=address)
        case PartialDate() | dt.date():
            date = record_pb2.PartialDate(year=value.year, month=value.month, day=value.day)
            return make(attribute=name, type=kind, date=date)
        case Document():
            return make(attribute=name, type=kind, document=record_pb2.Document(number=value.number, issuer=value.issuer))
        case Relationship():
            relationship = record_pb2.Relationship(
                kind=record_pb2.RelationshipKind.ValueType(value.kind),
                source=value.source,
                source_record_id=value.source_record_id,
                name=value.name,
            )
            return make(attribute=name, type=kind, relationship=relationship)
