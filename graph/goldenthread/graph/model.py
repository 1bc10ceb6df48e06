"""Say what a record holds, and what nodes and edges keep of it.

Two vocabularies live here. *Content* is what a source said, typed: it is personal, exists in memory only, and is sealed
before it is stored. *Nodes and edges* are what a store keeps: opaque ids, revisions, blind keys and sealed bytes.
Enum values equal those of the protos, so that translating is a cast. Values hold no cycles, so they are hidden from the garbage
collector (`gc=False`), which would otherwise spend a third of a bulk load looking at them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from msgspec import Struct

__all__ = [
    "DOCUMENT_TYPES",
    "IDENTIFIER_TYPES",
    "LIVE",
    "AttributeDefinition",
    "AttributeValue",
    "Cardinality",
    "ConsentState",
    "ConsentStatement",
    "DataModel",
    "Document",
    "Edge",
    "EdgeKind",
    "Node",
    "NodeKind",
    "PartialDate",
    "Party",
    "PersonName",
    "PiiCategory",
    "PostalAddress",
    "Property",
    "RecordContent",
    "Relationship",
    "RelationshipKind",
    "SemanticType",
    "Survivorship",
    "Value",
]


class Party(IntEnum):
    """How close a source is to the customer it speaks of."""

    UNSPECIFIED = 0
    ZERO = 1
    FIRST = 2
    SECOND = 3
    THIRD = 4


class SemanticType(IntEnum):
    """What a value means, whatever its attribute is called."""

    UNSPECIFIED = 0
    PERSON_NAME = 1
    GIVEN_NAME = 2
    MIDDLE_NAME = 3
    SURNAME = 4
    NAME_SUFFIX = 5
    OTHER_NAME = 6
    ORGANISATION_NAME = 7
    BIRTH_DATE = 8
    GENDER = 9
    EMAIL = 10
    PHONE = 11
    ADDRESS = 12
    STREET = 13
    HOUSE_NUMBER = 14
    UNIT = 15
    CITY = 16
    REGION = 17
    POSTCODE = 18
    COUNTRY = 19
    NATIONAL_ID = 20
    TAX_ID = 21
    PASSPORT = 22
    DRIVERS_LICENCE = 23
    CUSTOMER_ACCOUNT = 24
    LOYALTY_ACCOUNT = 25
    DEVICE = 26
    EMPLOYER = 27
    OCCUPATION = 28
    BIRTH_PLACE = 29
    FREE = 30
    RELATIONSHIP = 31


DOCUMENT_TYPES = frozenset(
    {
        SemanticType.NATIONAL_ID,
        SemanticType.TAX_ID,
        SemanticType.PASSPORT,
        SemanticType.DRIVERS_LICENCE,
        SemanticType.CUSTOMER_ACCOUNT,
        SemanticType.LOYALTY_ACCOUNT,
        SemanticType.DEVICE,
    }
)
"""Types whose values are numbers with an issuer."""

IDENTIFIER_TYPES = DOCUMENT_TYPES | {SemanticType.EMAIL, SemanticType.PHONE, SemanticType.ADDRESS}
"""Types whose normalised values become `Identifier` nodes."""


class PersonName(Struct, frozen=True, gc=False, array_like=True, tag=1):
    """A person's name in parts; any part may be empty."""

    given: str = ""
    middle: str = ""
    surname: str = ""
    suffix: str = ""


class PostalAddress(Struct, frozen=True, gc=False, array_like=True, tag=2):
    """A postal address in parts; any part may be empty."""

    street: str = ""
    house_number: str = ""
    unit: str = ""
    city: str = ""
    region: str = ""
    postcode: str = ""
    country: str = ""


class PartialDate(Struct, frozen=True, gc=False, array_like=True, tag=3):
    """A calendar date of which parts may be unknown (0)."""

    year: int = 0
    month: int = 0
    day: int = 0


class Document(Struct, frozen=True, gc=False, array_like=True, tag=4):
    """A document or account number with who issued it."""

    number: str
    issuer: str = ""


class RelationshipKind(IntEnum):
    """What somebody is to the customer whose record says so."""

    UNSPECIFIED = 0
    SPOUSE = 1
    PARENT = 2
    CHILD = 3
    SIBLING = 4
    GUARDIAN = 5
    WARD = 6
    EMPLOYER = 7
    EMPLOYEE = 8
    OTHER = 9


class Relationship(Struct, frozen=True, gc=False, array_like=True, tag=5):
    """Somebody else whom a record names, by that one's record at a source or by name alone, and what they are to each other."""

    kind: RelationshipKind
    source: str = ""
    source_record_id: str = ""
    name: str = ""


Value = str | PersonName | PostalAddress | PartialDate | Document | Relationship


class AttributeValue(Struct, frozen=True, gc=False, array_like=True):
    """One value of one attribute, typed at the edge: `type` is never UNSPECIFIED past it."""

    attribute: str
    type: SemanticType
    value: Value


class ConsentState(IntEnum):
    """W3C DPV consent status."""

    UNSPECIFIED = 0
    UNKNOWN = 1
    REQUESTED = 2
    REQUEST_DEFERRED = 3
    REFUSED = 4
    GIVEN = 5
    RENEWED = 6
    EXPIRED = 7
    INVALIDATED = 8
    REVOKED = 9
    WITHDRAWN = 10


class ConsentStatement(Struct, frozen=True, gc=False, array_like=True):
    """A consent statement as a source reported it; times are UTC microseconds since 1970."""

    purpose: str
    state: ConsentState
    event_time: int
    channel: str = ""
    contact_point: str = ""
    valid_until: int = 0
    jurisdiction: str = ""
    legal_basis: str = ""
    notice: str = ""
    collection_method: str = ""
    evidence: str = ""


class RecordContent(Struct, frozen=True, gc=False, array_like=True):
    """What one source says of one customer at one time; `observed_at` is UTC microseconds since 1970."""

    source: str
    source_record_id: str
    party: Party
    observed_at: int
    source_version: int
    attributes: tuple[AttributeValue, ...] = ()
    consents: tuple[ConsentStatement, ...] = ()


class PiiCategory(IntEnum):
    """How sensitive an attribute is."""

    UNSPECIFIED = 0
    NONE = 1
    PERSONAL = 2
    CONTACT = 3
    DOCUMENT = 4
    SPECIAL = 5


class Cardinality(IntEnum):
    """One or many values of an attribute."""

    UNSPECIFIED = 0
    ONE = 1
    MANY = 2


class Survivorship(IntEnum):
    """Which value survives into the golden record."""

    UNSPECIFIED = 0
    MOST_RECENT = 1
    MOST_FREQUENT = 2
    MOST_COMPLETE = 3
    CLOSEST_PARTY = 4


class AttributeDefinition(Struct, frozen=True):
    """One attribute that a tenant's records have."""

    name: str
    type: SemanticType
    pii_category: PiiCategory = PiiCategory.PERSONAL
    cardinality: Cardinality = Cardinality.MANY
    survivorship: Survivorship = Survivorship.MOST_RECENT


class DataModel(Struct, frozen=True):
    """The attributes of a tenant's records; a name it does not have is a free attribute.

    `removed` are names that were declared once: a value under one of them is free text, whatever it was kept as.
    """

    attributes: tuple[AttributeDefinition, ...] = ()
    default_country: str = "US"
    removed: tuple[str, ...] = ()

    @property
    def types(self) -> dict[str, SemanticType]:
        """Say as what the values of each attribute are read that it knows."""
        return {**dict.fromkeys(self.removed, SemanticType.FREE), **{a.name: a.type for a in self.attributes}}

    def definition(self, name: str) -> AttributeDefinition | None:
        """Find an attribute's definition, or None when it is free."""
        return next((a for a in self.attributes if a.name == name), None)


class NodeKind(IntEnum):
    """What a node is. The properties of each kind are in `schema`."""

    SOURCE = 1
    RECORD = 2
    RECORD_VERSION = 3
    IDENTIFIER = 4
    BLOCK = 5
    IDENTITY = 6
    HOUSEHOLD = 7
    CONSENT = 8
    DECISION = 9
    REQUEST = 10
    ARTEFACT = 11
    EVENTS = 12
    CURSOR = 13
    RELATION = 18
    JOB = 14
    REVIEW = 15
    LABEL = 16
    DEAD_LETTER = 20
    DECISION_END = 30
    DUE = 31


class EdgeKind(IntEnum):
    """What an edge says, from its source node to its target node."""

    FROM = 1  # Record -> Source
    CURRENT = 2  # Record -> RecordVersion, or Artefact -> Artefact: the version that holds now
    PAST = 3  # Record -> RecordVersion: a version that no longer holds, or never did
    HAS = 4  # Record -> Identifier; property `profile`
    IN = 5  # Record -> Block; property `profile`
    RESOLVED_TO = 6  # Record -> Identity
    MATCHES = 7  # Record -> Record, the smaller id first; property `weight`
    MEMBER_OF = 8  # Identity -> Household
    SUPERSEDED_BY = 9  # Identity -> Identity
    ABOUT = 10  # Consent -> Record or Identifier
    MUST_LINK = 11  # Record -> Decision; property `side`
    CANNOT_LINK = 12  # Record -> Decision; property `side`
    CUT = 13  # Identity -> itself: something that belonged to it was deleted at the edge's revision
    RELATES = 15  # Record -> Relation; property `kinds`: what the one named is to the one whose record it is
    NAMES = 16  # Relation -> Record: the record that is named, once it is there
    LABELLED = 17  # Record -> Label: what somebody said of this record and another
    STAGED = 21  # Record -> Record, as MATCHES, by a model that is not in use yet; property `weight`
    DISPUTED = 19  # Record -> Record, the smaller id first: linked yet apart, or one yet questioned; property `weight`
    BINDS = 14  # Record -> Decision: one that says something of the record but links nothing


Property = int | str | bytes
"""What a property may hold. Times are UTC microseconds, truth values are 0 or 1."""

LIVE = (1 << 62) - 1
"""`recorded_to` of what still holds: greater than any revision."""


class Node(Struct, frozen=True, gc=False):
    """A node: immutable once put. `id` is 16 opaque bytes, unique within a tenant and kind.

    `alias` is a second, blind key of the node, also unique within tenant and kind (a record's own id at its source).
    `recorded_from` is 0 until the store has applied it.
    """

    kind: NodeKind
    id: bytes
    properties: Mapping[str, Property] = {}
    alias: bytes | None = None
    recorded_from: int = 0


class Edge(Struct, frozen=True, gc=False):
    """A directed edge that holds from one revision until another.

    `weight` is the fixed-point match weight on MATCHES, STAGED and DISPUTED, the side on MUST_LINK and CANNOT_LINK,
    the bits of `RelationshipKind`s on RELATES, else 0.
    `profile` is the blind digest (8 bytes) of the record's normalised profile on HAS and IN, else empty.
    """

    kind: EdgeKind
    source: bytes
    target: bytes
    weight: int = 0
    profile: bytes = b""
    recorded_from: int = 0
    recorded_to: int = LIVE
