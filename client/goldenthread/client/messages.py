"""Name the contract's messages that callers read, and turn them into plain values."""

from __future__ import annotations

from google.protobuf import json_format
from google.protobuf.message import Message

from goldenthread.v1.decision_service_pb2 import Decision, DecisionEffect, DecisionState, IdentityFate
from goldenthread.v1.event_service_pb2 import DeadLetter, Event, EventType, Subscription
from goldenthread.v1.explore_service_pb2 import (
    GraphEdge,
    GraphNode,
    Household,
    HouseholdRole,
    IdentityRelationship,
    Membership,
    NodeKind,
    Subgraph,
)
from goldenthread.v1.golden_record_service_pb2 import GoldenRecord, SurvivorshipRules
from goldenthread.v1.guard_rails_service_pb2 import BlockedValue, GuardRails, IdentifierLimit, SourceSet
from goldenthread.v1.job_service_pb2 import Job, JobState
from goldenthread.v1.model_service_pb2 import AttributeDefinition, DataModel, Model, ModelState
from goldenthread.v1.record_pb2 import AttributeValue, RelationshipKind
from goldenthread.v1.record_pb2 import Record as RecordMessage
from goldenthread.v1.resolution_service_pb2 import (
    Bridge,
    Candidate,
    GetIdentityResponse,
    Identity,
    LineageCause,
    Match,
    Separation,
)
from goldenthread.v1.review_service_pb2 import Label, LabelOrigin, ReviewAnswer, ReviewItem, ReviewReason, ReviewState

__all__ = [
    "AttributeDefinition",
    "BlockedValue",
    "Bridge",
    "Candidate",
    "DataModel",
    "DeadLetter",
    "Decision",
    "DecisionEffect",
    "DecisionState",
    "Event",
    "EventType",
    "GetIdentityResponse",
    "GoldenRecord",
    "GraphEdge",
    "GraphNode",
    "GuardRails",
    "Household",
    "HouseholdRole",
    "IdentifierLimit",
    "Identity",
    "IdentityFate",
    "IdentityRelationship",
    "Job",
    "JobState",
    "Json",
    "Label",
    "LabelOrigin",
    "LineageCause",
    "Match",
    "Membership",
    "Model",
    "ModelState",
    "NodeKind",
    "RecordMessage",
    "ReviewAnswer",
    "ReviewItem",
    "ReviewReason",
    "ReviewState",
    "Separation",
    "SourceSet",
    "Subgraph",
    "Subscription",
    "SurvivorshipRules",
    "attribute_definition",
    "to_dict",
    "value_text",
]

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None


def to_dict(message: Message) -> Json:
    """Turn a message into plain values: names as in the contract, enums by name, 64-bit numbers as numbers."""
    return _numbers(json_format.MessageToDict(message, preserving_proto_field_name=True), message)


def attribute_definition(plain: dict[str, Json]) -> AttributeDefinition:
    """Read an attribute's definition from plain values, as `to_dict` writes them; enums by name or number.

    Raises ValueError when a field or a word is not known.
    """
    try:
        return json_format.ParseDict(plain, AttributeDefinition())
    except json_format.ParseError:
        raise ValueError("A field or a word of the definition is not known.") from None


def value_text(value: AttributeValue) -> str:
    """Write a value as one line of text, whichever way it came."""
    match value.WhichOneof("value"):
        case "text":
            return value.text
        case "person_name":
            name = value.person_name
            return " ".join(part for part in (name.given, name.middle, name.surname, name.suffix) if part)
        case "address":
            place = value.address
            street = " ".join(part for part in (place.house_number, place.street) if part)
            lines = (street, place.unit, place.city, place.region, place.postcode, place.country)
            return ", ".join(line for line in lines if line)
        case "date":
            date = value.date
            parts = ((f"{date.year:04}", date.year), (f"{date.month:02}", date.month), (f"{date.day:02}", date.day))
            return "-".join(text if known else "?" for text, known in parts)
        case "document":
            return f"{value.document.number} ({value.document.issuer})" if value.document.issuer else value.document.number
        case "relationship":
            to = value.relationship
            kind = RelationshipKind.Name(to.kind).removeprefix("RELATIONSHIP_KIND_").lower()
            return f"{kind}: {to.name or f'{to.source}:{to.source_record_id}'}"
        case _:
            return ""


def _numbers(plain: Json, message: Message) -> Json:
    """Give 64-bit numbers back as numbers: JSON written for people and scripts has no use for quoted revisions."""
    if not isinstance(plain, dict):
        return plain
    for field in message.DESCRIPTOR.fields:
        if field.name not in plain:
            continue
        value = plain[field.name]
        if field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64):
            plain[field.name] = [int(str(v)) for v in value] if isinstance(value, list) else int(str(value))
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            inner = getattr(message, field.name)
            if isinstance(value, list):
                plain[field.name] = [_numbers(v, m) for v, m in zip(value, inner, strict=True)]
            elif isinstance(value, dict):
                plain[field.name] = _numbers(value, inner)
    return plain
