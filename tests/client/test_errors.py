"""Errors: what a server sends becomes one class, with its facts."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message

from goldenthread.client import errors
from goldenthread.v1 import error_reason_pb2
from google.rpc import error_details_pb2, status_pb2


def status(
    reason: str, code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT, domain: str = "goldenthread", **facts: str
) -> status_pb2.Status:
    return status_pb2.Status(
        code=code.value[0],
        message="It is so.",
        details=[packed(error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=facts))],
    )


def packed(detail: Message) -> AnyMessage:
    out = AnyMessage()
    out.Pack(detail)
    return out


@pytest.mark.parametrize("reason", [r for r in error_reason_pb2.ErrorReason.keys() if not r.endswith("UNSPECIFIED")])  # noqa: SIM118 - not a dict
def test_every_reason_of_the_contract_has_a_class_of_its_own(reason: str) -> None:
    error = errors.from_status(status(reason, grpc.StatusCode.UNKNOWN))

    assert type(error) is not errors.GoldenThreadError
    assert error.reason == reason
    assert (type(error) is errors.ServerDefect) == (reason == "ERROR_REASON_INTERNAL")


def test_metadata_comes_along_with_the_message_and_the_code() -> None:
    error = errors.from_status(status("ERROR_REASON_INVALID_FIELD", field="record.source", rule="is required"))

    assert isinstance(error, errors.InvalidField)
    assert (error.message, error.code) == ("It is so.", grpc.StatusCode.INVALID_ARGUMENT)
    assert error.metadata == {"field": "record.source", "rule": "is required"}
    assert not error.is_retryable


def test_a_rate_limit_says_how_long_to_wait() -> None:
    error = errors.from_status(status("ERROR_REASON_RATE_LIMITED", grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after_ms="250"))

    assert isinstance(error, errors.RateLimited)
    assert error.is_retryable
    assert error.retry_after_seconds == 0.25


def test_a_reason_newer_than_the_client_falls_back_to_its_code() -> None:
    error = errors.from_status(status("ERROR_REASON_OF_TOMORROW", grpc.StatusCode.NOT_FOUND))

    assert isinstance(error, errors.NotFound)
    assert error.reason == "ERROR_REASON_OF_TOMORROW"


def test_the_error_info_of_another_domain_is_passed_over() -> None:
    error = errors.from_status(status("QUOTA", grpc.StatusCode.NOT_FOUND, domain="proxy.example"))

    assert isinstance(error, errors.NotFound)
    assert error.reason == ""


def test_trailing_metadata_of_a_failed_call_is_read() -> None:
    sent = status("ERROR_REASON_STORE_UNAVAILABLE", grpc.StatusCode.UNAVAILABLE, store="neo4j")

    error = errors.from_rpc(
        grpc.StatusCode.UNAVAILABLE,
        "whatever",
        [("x", "y"), ("grpc-status-details-bin", sent.SerializeToString())],
        "127.0.0.1:7461",
    )

    assert isinstance(error, errors.StoreUnavailable)
    assert error.metadata == {"store": "neo4j"}


def test_a_connection_that_fails_is_told_without_the_inside_of_grpc() -> None:
    words = "failed to connect to all addresses; ipv4:127.0.0.1:1: …"

    error = errors.from_rpc(grpc.StatusCode.UNAVAILABLE, words, [], "localhost:1")

    assert isinstance(error, errors.ServerUnreachable)
    assert error.message == "No server answers at localhost:1."
    assert error.remedy
