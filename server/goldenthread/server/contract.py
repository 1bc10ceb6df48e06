"""Name the services and methods that callers see, and the least role that each method needs."""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor import Descriptor, FileDescriptor

from goldenthread.server.access import Role
from goldenthread.v1 import (
    decision_service_pb2,
    event_service_pb2,
    explore_service_pb2,
    golden_record_service_pb2,
    guard_rails_service_pb2,
    job_service_pb2,
    model_service_pb2,
    record_service_pb2,
    resolution_service_pb2,
    review_service_pb2,
)

__all__ = ["PACKAGE", "SERVICES", "methods", "request_type", "role_for"]

PACKAGE: Final = "goldenthread.v1"

_FILES: Final[tuple[FileDescriptor, ...]] = (
    record_service_pb2.DESCRIPTOR,
    resolution_service_pb2.DESCRIPTOR,
    decision_service_pb2.DESCRIPTOR,
    golden_record_service_pb2.DESCRIPTOR,
    explore_service_pb2.DESCRIPTOR,
    model_service_pb2.DESCRIPTOR,
    job_service_pb2.DESCRIPTOR,
    guard_rails_service_pb2.DESCRIPTOR,
    event_service_pb2.DESCRIPTOR,
    review_service_pb2.DESCRIPTOR,
)

SERVICES: Final[tuple[str, ...]] = tuple(service.full_name for file in _FILES for service in file.services_by_name.values())
"""Full names of the services, as goldenthread.v1.RecordService."""

_REQUESTS: Final[dict[str, Descriptor]] = {
    f"/{service.full_name}/{method.name}": method.input_type
    for file in _FILES
    for service in file.services_by_name.values()
    for method in service.methods
}

_READS: Final = ("Get", "BatchGet", "List", "Explain", "Resolve", "Expand", "Find", "Wait", "Export", "Subscribe")
_ADMINISTRATION: Final = frozenset(
    {
        "ActivateModel",
        "CancelJob",
        "CreateModel",
        "ResumeJob",
        "RollbackModel",
        "StageModel",
        "TrainModel",
        "UpdateDataModel",
        "UpdateGuardRails",
        "UpdateSurvivorshipRules",
    }
)


def methods() -> tuple[str, ...]:
    """List every method as gRPC names it, as /goldenthread.v1.RecordService/GetRecord."""
    return tuple(_REQUESTS)


def request_type(method: str) -> Descriptor:
    """Get the type of a method's requests, by the method as gRPC names it."""
    return _REQUESTS[method]


def role_for(method: str) -> Role:
    """Say the least role that may call a method: reader for reads, admin for what changes a tenant's rules, else writer."""
    verb = method.rpartition("/")[2]
    if verb in _ADMINISTRATION:
        return "admin"
    return "reader" if verb.startswith(_READS) else "writer"
