"""Errors: what a caller is told, by code, reason and facts, and what is never told."""

from __future__ import annotations

import inspect
from io import StringIO

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from goldenthread.graph import errors as graph_errors
from goldenthread.server import errors
from goldenthread.server.config import Config
from goldenthread.server.errors import ServerError, code_of, status_of
from goldenthread.server.logs import configure_logs
from goldenthread.v1.error_reason_pb2 import ErrorReason

CODES = {code.value[0]: code.name for code in grpc.StatusCode}

CASES: list[tuple[Exception, str, str, dict[str, str]]] = [
    (
        errors.InvalidField("record.source", "is required"),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        {"field": "record.source", "rule": "is required"},
    ),
    (
        errors.InvalidAttribute("birth_date", "lies in the future"),
        "INVALID_ARGUMENT",
        "INVALID_ATTRIBUTE",
        {"attribute": "birth_date", "rule": "lies in the future"},
    ),
    (errors.RequestIdReused("6f"), "INVALID_ARGUMENT", "REQUEST_ID_REUSED", {"request_id": "6f"}),
    (errors.NotFound("identity"), "NOT_FOUND", "NOT_FOUND", {"resource": "identity"}),
    (errors.Unauthenticated("expired"), "UNAUTHENTICATED", "UNAUTHENTICATED", {"problem": "expired"}),
    (
        errors.PermissionDenied("reader", "writer"),
        "PERMISSION_DENIED",
        "PERMISSION_DENIED",
        {"role": "reader", "needs": "writer"},
    ),
    (errors.TooLarge("record", 10, 11), "INVALID_ARGUMENT", "TOO_LARGE", {"field": "record", "limit": "10", "size": "11"}),
    (errors.RateLimited(250), "RESOURCE_EXHAUSTED", "RATE_LIMITED", {"retry_after_ms": "250"}),
    (
        errors.FailedPrecondition("identity was superseded"),
        "FAILED_PRECONDITION",
        "FAILED_PRECONDITION",
        {"problem": "identity was superseded"},
    ),
    (errors.ShuttingDown(), "UNAVAILABLE", "SHUTTING_DOWN", {}),
    (errors.CursorTooOld("17-3", "40"), "OUT_OF_RANGE", "CURSOR_TOO_OLD", {"cursor": "17-3", "oldest": "40"}),
    (graph_errors.StoreUnavailable("neo4j", "connection lost"), "UNAVAILABLE", "STORE_UNAVAILABLE", {"store": "neo4j"}),
    (graph_errors.Conflict("neo4j"), "UNAVAILABLE", "STORE_UNAVAILABLE", {"store": "neo4j"}),
    (graph_errors.StoreInUse("/secret/place"), "UNAVAILABLE", "STORE_UNAVAILABLE", {}),
    (graph_errors.StoreFull("sqlite"), "RESOURCE_EXHAUSTED", "STORE_FULL", {"store": "sqlite"}),
    (
        graph_errors.Unsupported("sqlite", "time_travel"),
        "UNIMPLEMENTED",
        "UNSUPPORTED",
        {"capability": "time_travel", "store": "sqlite"},
    ),
    (
        graph_errors.RevisionUnknown(9, 4),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        {"field": "as_of.revision", "rule": "was not reached yet; the latest is 4"},
    ),
]


def info_of(status: Status) -> ErrorInfo:
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    return info


@pytest.mark.parametrize(("error", "code", "reason", "metadata"), CASES, ids=lambda value: type(value).__name__)
def test_each_error_has_its_code_reason_and_facts(error: Exception, code: str, reason: str, metadata: dict[str, str]) -> None:
    status = status_of(error)

    info = info_of(status)
    assert CODES[status.code] == code == code_of(error).name
    assert (info.reason, info.domain, dict(info.metadata)) == (f"ERROR_REASON_{reason}", "goldenthread", metadata)


def test_every_server_error_has_a_case() -> None:
    classes = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ServerError)} - {ServerError}

    assert classes == {type(error) for error, *_ in CASES if isinstance(error, ServerError)}


def test_every_reason_can_be_sent() -> None:
    sent = {f"ERROR_REASON_{reason}" for _, _, reason, _ in CASES} | {"ERROR_REASON_INTERNAL", "ERROR_REASON_UNSPECIFIED"}

    assert sent == set(ErrorReason.keys())


def test_a_rate_limit_says_when_to_retry_in_the_standard_form() -> None:
    status = status_of(errors.RateLimited(1500))

    retry = RetryInfo()
    assert status.details[1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 1500


def test_a_message_never_shows_where_the_store_is() -> None:
    assert "secret" not in status_of(graph_errors.StoreInUse("/secret/place")).message


@pytest.mark.parametrize(
    "error", [ValueError("Konrad Zuse"), graph_errors.Tampered("record"), graph_errors.WrongKey("/k"), ServerError("odd", {})]
)
def test_any_other_error_becomes_an_incident(error: Exception) -> None:
    status = status_of(error)

    assert CODES[status.code] == "INTERNAL"
    assert info_of(status).reason == "ERROR_REASON_INTERNAL"


def test_an_incident_is_logged_by_place_and_type_and_without_its_text() -> None:
    written = StringIO()
    configure_logs(Config(log_format="json"), written)

    try:
        raise ValueError("Konrad Zuse")
    except ValueError as error:
        incident = info_of(status_of(error)).metadata["incident"]

    assert incident in written.getvalue()
    assert "ValueError" in written.getvalue()
    assert "test_errors.py" in written.getvalue()
    assert "Zuse" not in written.getvalue()
