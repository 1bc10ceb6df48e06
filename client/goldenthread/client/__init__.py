"""Call Golden Thread from Python: `Client` and `AsyncClient`, records from plain values, one tree of errors.

Answers are the messages of the contract (`goldenthread.v1`); `to_dict` turns one into plain values for JSON.
"""

from goldenthread.client.async_client import AsyncClient
from goldenthread.client.connection import DEFAULT_TARGET, DEFAULT_TENANT, Tls, tenant_of
from goldenthread.client.errors import GoldenThreadError
from goldenthread.client.jobs import is_ended
from goldenthread.client.messages import (
    AttributeDefinition,
    Candidate,
    DataModel,
    GetIdentityResponse,
    GoldenRecord,
    GraphEdge,
    GraphNode,
    Household,
    Identity,
    Job,
    JobState,
    Json,
    Match,
    NodeKind,
    RecordMessage,
    Subgraph,
    SurvivorshipRules,
    attribute_definition,
    survivorship_rules,
    to_dict,
    value_text,
)
from goldenthread.client.record import (
    AttributeInput,
    Consent,
    ConsentState,
    Document,
    IdentifierKey,
    PartialDate,
    Party,
    PersonName,
    PostalAddress,
    Record,
    SemanticType,
    SourceKey,
    Typed,
    Value,
)
from goldenthread.client.requests import AsOf
from goldenthread.client.retry import Retry
from goldenthread.client.sync_client import Client
from goldenthread.client.window import UpsertResult

__all__ = [
    "DEFAULT_TARGET",
    "DEFAULT_TENANT",
    "AsOf",
    "AsyncClient",
    "AttributeDefinition",
    "AttributeInput",
    "Candidate",
    "Client",
    "Consent",
    "ConsentState",
    "DataModel",
    "Document",
    "GetIdentityResponse",
    "GoldenRecord",
    "GoldenThreadError",
    "GraphEdge",
    "GraphNode",
    "Household",
    "IdentifierKey",
    "Identity",
    "Job",
    "JobState",
    "Json",
    "Match",
    "NodeKind",
    "PartialDate",
    "Party",
    "PersonName",
    "PostalAddress",
    "Record",
    "RecordMessage",
    "Retry",
    "SemanticType",
    "SourceKey",
    "Subgraph",
    "SurvivorshipRules",
    "Tls",
    "Typed",
    "UpsertResult",
    "Value",
    "attribute_definition",
    "is_ended",
    "survivorship_rules",
    "tenant_of",
    "to_dict",
    "value_text",
]
