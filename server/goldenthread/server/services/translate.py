"""Turn messages into content and content into messages. Values are typed here; past this they are right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from msgspec import Struct

from goldenthread.graph.model import (
    AttributeDefinition,
    AttributeValue,
    Cardinality,
    ConsentState,
    ConsentStatement,
    DataModel,
    Document,
    PartialDate,
    Party,
    PersonName,
    PiiCategory,
    PostalAddress,
    RecordContent,
    Relationship,
    RelationshipKind,
    SemanticType,
    Survivorship,
    Value,
)
from goldenthread.graph.store import StoredIdentity
from goldenthread.resolver.normalise import check_value
from goldenthread.resolver.relationships import read_relationship
from goldenthread.resolver.scoring import WEIGHT_SCALE, MatchModel, PairExplanation
from goldenthread.server.commands.as_of import Moment
from goldenthread.server.commands.ids import name_of
from goldenthread.server.commands.read_records import RecordView
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import InvalidAttribute, InvalidField, TooLarge
from goldenthread.v1 import model_service_pb2 as model_pb
from goldenthread.v1 import record_pb2 as pb
from goldenthread.v1 import resolution_service_pb2 as resolution_pb

__all__ = [
    "Reading",
    "attributes_of",
    "bits",
    "content_of",
    "data_model_of",
    "data_model_to",
    "identity_to",
    "match_to",
    "micros",
    "moment_of",
    "reading",
    "record_to",
    "timestamp",
    "value_to",
]

_MAX_IDENTIFIERS = 200
"""Values of one semantic type on one record: one customer with more of them is a switchboard, not a customer."""

_STRUCTURED: Mapping[str, frozenset[SemanticType]] = {
    "person_name": frozenset({SemanticType.PERSON_NAME, SemanticType.OTHER_NAME}),
    "address": frozenset({SemanticType.ADDRESS}),
    "date": frozenset({SemanticType.BIRTH_DATE}),
    "document": frozenset(
        {
            SemanticType.NATIONAL_ID,
            SemanticType.TAX_ID,
            SemanticType.PASSPORT,
            SemanticType.DRIVERS_LICENCE,
            SemanticType.CUSTOMER_ACCOUNT,
            SemanticType.LOYALTY_ACCOUNT,
            SemanticType.DEVICE,
        }
    ),
    "relationship": frozenset({SemanticType.RELATIONSHIP}),
}
_EPOCH_LATEST = 253_402_300_799  # the end of the year 9999, the last that a Timestamp may hold
_LATEST_AHEAD = 86_400_000_000  # a source's clock may run ahead by a day


def micros(stamp: Timestamp, field: str) -> int:
    """Read a timestamp as UTC microseconds.

    Raises:
        InvalidField: it is outside the years 1 to 9999.
    """
    if not -62_135_596_800 <= stamp.seconds <= _EPOCH_LATEST or not 0 <= stamp.nanos < 1_000_000_000:
        raise InvalidField(field, "must lie in the years 1 to 9999")
    return stamp.seconds * 1_000_000 + stamp.nanos // 1_000


def timestamp(at: int) -> Timestamp:
    """Write UTC microseconds as a timestamp."""
    return Timestamp(seconds=at // 1_000_000, nanos=at % 1_000_000 * 1_000)


def moment_of(as_of: pb.AsOf) -> Moment | None:
    """Read which past moment is asked for, if any."""
    match as_of.WhichOneof("at"):
        case "time":
            return Moment(time=micros(as_of.time, "as_of.time"))
        case "revision":
            return Moment(revision=as_of.revision)
        case _:
            return None


class Reading(Struct, frozen=True):
    """What reading records needs to know, the same for all that arrive together."""

    types: Mapping[str, SemanticType]
    default_country: str
    received_at: int
    today: PartialDate


def reading(model: DataModel, received_at: int) -> Reading:
    """Prepare to read records of a tenant that were received at a time in microseconds."""
    date = datetime.fromtimestamp(received_at / 1_000_000, UTC).date()
    return Reading(model.types, model.default_country, received_at, PartialDate(date.year, date.month, date.day))


def content_of(record: pb.Record, how: Reading) -> RecordContent:
    """Read a record whose field rules hold.

    Raises:
        InvalidField, InvalidAttribute: a value does not fit its type, or lies in the future.
        TooLarge: too many values of one type.
    """
    observed_at = how.received_at
    if record.HasField("observed_at"):
        observed_at = micros(record.observed_at, "record.observed_at")
        if observed_at > how.received_at + _LATEST_AHEAD:
            raise InvalidField("record.observed_at", "lies in the future")
    return RecordContent(
        record.source,
        record.source_record_id,
        Party(record.party) if record.party else Party.FIRST,
        observed_at,
        record.source_version,
        attributes_of(record.attributes, how),
        tuple(_consent_of(i, consent) for i, consent in enumerate(record.consents)),
    )


def attributes_of(values: Iterable[pb.AttributeValue], how: Reading) -> tuple[AttributeValue, ...]:
    """Type attribute values by the data model; a name it does not have is a free attribute, unless the value says its type.

    Raises:
        InvalidAttribute: a value does not fit its type.
        TooLarge: too many values of one type.
    """
    typed: list[AttributeValue] = []
    counts: dict[SemanticType, int] = {}
    for message in values:
        name = message.attribute
        declared = how.types.get(name)
        if message.type and declared is not None and int(declared) != message.type:
            raise InvalidAttribute(name, f"is declared as {declared.name}, not {SemanticType(message.type).name}")
        kind = declared or SemanticType(message.type) or SemanticType.FREE
        value = _value_of(message, kind)
        if value is None:
            continue
        if kind is SemanticType.RELATIONSHIP and declared is None:
            raise InvalidAttribute(name, "is a relationship, which only an attribute that the data model declares may be")
        attribute = AttributeValue(name, kind, value)
        problem = check_value(attribute, how.today, how.default_country)
        if problem is not None:
            raise InvalidAttribute(name, problem)
        typed.append(attribute)
        counts[kind] = counts.get(kind, 0) + 1
    for kind, count in counts.items():
        if kind is not SemanticType.FREE and count > _MAX_IDENTIFIERS:
            raise TooLarge(f"record.attributes of type {kind.name}", _MAX_IDENTIFIERS, count)
    return tuple(typed)


def _value_of(message: pb.AttributeValue, kind: SemanticType) -> Value | None:
    """Read a value; None when it is empty, which says nothing."""
    which = message.WhichOneof("value")
    if which == "text":
        if kind is SemanticType.RELATIONSHIP:
            return read_relationship(message.attribute, message.text)
        return message.text if message.text.strip() else None
    if which is None or kind not in _STRUCTURED[which]:
        raise InvalidAttribute(message.attribute, f"is of type {kind.name}, which takes text, not {which}")
    if which == "person_name":
        name = message.person_name
        return PersonName(name.given, name.middle, name.surname, name.suffix)
    if which == "address":
        a = message.address
        return PostalAddress(a.street, a.house_number, a.unit, a.city, a.region, a.postcode, a.country)
    if which == "date":
        return PartialDate(message.date.year, message.date.month, message.date.day)
    if which == "relationship":
        return _relationship_of(message)
    return Document(message.document.number, message.document.issuer)


def _relationship_of(message: pb.AttributeValue) -> Relationship:
    said = message.relationship
    if bool(said.source) != bool(said.source_record_id) or not (said.source or said.name.strip()):
        raise InvalidAttribute(message.attribute, "needs a source with its record id, or a name")
    return Relationship(RelationshipKind(said.kind), said.source, said.source_record_id, said.name)


def _consent_of(index: int, consent: pb.ConsentStatement) -> ConsentStatement:
    field = f"record.consents[{index}]"
    return ConsentStatement(
        consent.purpose,
        ConsentState(consent.state),
        micros(consent.event_time, f"{field}.event_time"),
        consent.channel,
        consent.contact_point,
        micros(consent.valid_until, f"{field}.valid_until") if consent.HasField("valid_until") else 0,
        consent.jurisdiction,
        consent.legal_basis,
        consent.notice,
        consent.collection_method,
        consent.evidence,
    )


def value_to(attribute: AttributeValue) -> pb.AttributeValue:
    """Write an attribute value."""
    message = pb.AttributeValue(attribute=attribute.attribute, type=pb.SemanticType.ValueType(attribute.type))
    value = attribute.value
    if isinstance(value, str):
        message.text = value
    elif isinstance(value, PersonName):
        message.person_name.CopyFrom(
            pb.PersonName(given=value.given, middle=value.middle, surname=value.surname, suffix=value.suffix)
        )
    elif isinstance(value, PostalAddress):
        message.address.CopyFrom(
            pb.PostalAddress(
                street=value.street,
                house_number=value.house_number,
                unit=value.unit,
                city=value.city,
                region=value.region,
                postcode=value.postcode,
                country=value.country,
            )
        )
    elif isinstance(value, PartialDate):
        message.date.CopyFrom(pb.PartialDate(year=value.year, month=value.month, day=value.day))
    elif isinstance(value, Relationship):
        message.relationship.CopyFrom(
            pb.Relationship(
                kind=pb.RelationshipKind.ValueType(value.kind),
                source=value.source,
                source_record_id=value.source_record_id,
                name=value.name,
            )
        )
    else:
        message.document.CopyFrom(pb.Document(number=value.number, issuer=value.issuer))
    return message


def _consent_to(consent: ConsentStatement) -> pb.ConsentStatement:
    return pb.ConsentStatement(
        purpose=consent.purpose,
        state=pb.ConsentState.ValueType(consent.state),
        channel=consent.channel,
        contact_point=consent.contact_point,
        event_time=timestamp(consent.event_time),
        valid_until=timestamp(consent.valid_until) if consent.valid_until else None,
        jurisdiction=consent.jurisdiction,
        legal_basis=consent.legal_basis,
        notice=consent.notice,
        collection_method=consent.collection_method,
        evidence=consent.evidence,
    )


def record_to(tenant: str, view: RecordView) -> pb.Record:
    """Write one version of a record."""
    content = view.content
    return pb.Record(
        name=name_of(tenant, "records", view.record),
        source=content.source,
        source_record_id=content.source_record_id,
        party=pb.Party.ValueType(content.party),
        observed_at=timestamp(content.observed_at),
        source_version=content.source_version,
        attributes=[value_to(attribute) for attribute in content.attributes],
        consents=[_consent_to(consent) for consent in content.consents],
        revision=view.revision,
        recorded_at=timestamp(view.recorded_at),
        identity=name_of(tenant, "identities", view.identity) if view.identity else "",
        version_id=view.version.hex(),
    )


def identity_to(tenant: str, identity: StoredIdentity) -> resolution_pb.Identity:
    """Write an identity."""
    return resolution_pb.Identity(
        name=name_of(tenant, "identities", identity.id),
        records=[name_of(tenant, "records", record) for record in identity.records],
        households=[name_of(tenant, "households", household) for household in identity.households],
        superseded_by=[name_of(tenant, "identities", heir) for heir in identity.superseded_by],
        revision=identity.changed.number,
        changed_at=timestamp(identity.changed.at),
    )


def bits(weight: int) -> float:
    """Write a fixed-point weight in bits."""
    return weight / WEIGHT_SCALE


def match_to(model: MatchModel, explanation: PairExplanation) -> resolution_pb.Match:
    """Write a match with its reasons."""
    return resolution_pb.Match(
        weight=bits(explanation.weight),
        probability=explanation.probability,
        prior=bits(explanation.prior),
        contributions=[
            resolution_pb.Contribution(
                comparison=part.comparison, level=part.level, weight=bits(part.weight), rarity=bits(part.rarity)
            )
            for part in explanation.contributions
        ],
        against=explanation.against,
        model_version=model.version,
        links=explanation.weight >= model.link_weight,
    )


def data_model_of(message: model_pb.DataModel) -> DataModel:
    """Read a data model whose field rules hold."""
    return DataModel(
        tuple(
            AttributeDefinition(
                definition.name,
                SemanticType(definition.type),
                PiiCategory(definition.pii_category) or PiiCategory.PERSONAL,
                Cardinality(definition.cardinality) or Cardinality.MANY,
                Survivorship(definition.survivorship) or Survivorship.MOST_RECENT,
            )
            for definition in message.attributes
        ),
        message.default_country,
    )


def data_model_to(tenant: Tenant, model: DataModel) -> model_pb.DataModel:
    """Write a data model."""
    definitions: Sequence[AttributeDefinition] = model.attributes
    return model_pb.DataModel(
        name=f"tenants/{tenant.name}/dataModel",
        attributes=[
            model_pb.AttributeDefinition(
                name=definition.name,
                type=pb.SemanticType.ValueType(definition.type),
                pii_category=model_pb.PiiCategory.ValueType(definition.pii_category),
                cardinality=model_pb.Cardinality.ValueType(definition.cardinality),
                survivorship=model_pb.Survivorship.ValueType(definition.survivorship),
            )
            for definition in definitions
        ],
        default_country=model.default_country,
    )
