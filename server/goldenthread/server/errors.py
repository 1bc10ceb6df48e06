"""What can go wrong in the service, and how a caller is told.

ServerError
├── InvalidField        a field breaks its rule                             retry does not help
├── InvalidAttribute    an attribute's value does not fit its type          retry does not help
├── RequestIdReused     a request_id came again with another body           retry does not help
├── NotFound            nothing by that name, for this caller               retry does not help
├── Unauthenticated     the token is missing, expired or wrong              retry helps with a new token
├── PermissionDenied    the caller's role may not do this                   retry does not help
├── TooLarge            a message, record or stream is over its limit       retry does not help
├── RateLimited         too many calls                                      retry helps after `retry_after_ms`
├── FailedPrecondition  the resource is not in a state that allows this     retry does not help as it is
├── CursorTooOld        the events after a cursor are no longer kept        retry does not help
└── ShuttingDown        the server is stopping                              retry helps elsewhere or later

This module alone turns errors, ours and the graph's, into a `google.rpc.Status` with an `ErrorInfo`. Messages and metadata hold
no personal data: they name fields, rules, sizes and opaque ids, never values.
"""

from __future__ import annotations

import secrets
import traceback
from collections.abc import Mapping
from pathlib import PurePath
from typing import Final, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from goldenthread.graph.errors import (
    Conflict,
    GraphError,
    RevisionUnknown,
    StoreFull,
    StoreInUse,
    StoreUnavailable,
    Unsupported,
)
from goldenthread.server.logs import logger
from goldenthread.v1.error_reason_pb2 import ErrorReason

__all__ = [
    "DOMAIN",
    "CursorTooOld",
    "FailedPrecondition",
    "InvalidAttribute",
    "InvalidField",
    "NotFound",
    "PermissionDenied",
    "RateLimited",
    "RequestIdReused",
    "ServerError",
    "ShuttingDown",
    "TooLarge",
    "Unauthenticated",
    "abort_with",
    "code_of",
    "status_of",
]

DOMAIN: Final = "goldenthread"
"""`domain` of every ErrorInfo."""

_DETAILS_KEY = "grpc-status-details-bin"
_CODES = {int(code.value[0]): code for code in grpc.StatusCode}

_log = logger()


class ServerError(Exception):
    """Stand at the root of the service's errors; `is_retryable` says whether a retry can help.

    `metadata` holds every variable part of the message; a subclass sets `code` and `reason`.
    """

    code = grpc.StatusCode.INTERNAL
    reason = ErrorReason.ERROR_REASON_INTERNAL
    is_retryable = False

    def __init__(self, message: str, metadata: Mapping[str, str]) -> None:
        self.metadata = dict(metadata)
        super().__init__(message)


class InvalidField(ServerError):
    """A field breaks its rule; `field` is its path in the request, `rule` reads on from it."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = ErrorReason.ERROR_REASON_INVALID_FIELD

    def __init__(self, field: str, rule: str) -> None:
        self.field, self.rule = field, rule
        super().__init__(f"The field {field} {rule}.", {"field": field, "rule": rule})


class InvalidAttribute(ServerError):
    """An attribute's value does not fit its declared type; `rule` reads on from its name."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = ErrorReason.ERROR_REASON_INVALID_ATTRIBUTE

    def __init__(self, attribute: str, rule: str) -> None:
        self.attribute, self.rule = attribute, rule
        super().__init__(f"The attribute {attribute} {rule}.", {"attribute": attribute, "rule": rule})


class RequestIdReused(ServerError):
    """A request_id was used before with another body."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = ErrorReason.ERROR_REASON_REQUEST_ID_REUSED

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        super().__init__(
            f"The request_id {request_id} was used before with another body; give a new one.", {"request_id": request_id}
        )


class NotFound(ServerError):
    """Nothing by that name, for this caller: another tenant's resource answers exactly so."""

    code = grpc.StatusCode.NOT_FOUND
    reason = ErrorReason.ERROR_REASON_NOT_FOUND

    def __init__(self, resource: str) -> None:
        self.resource = resource
        super().__init__(f"There is no such {resource}; check its name.", {"resource": resource})


class Unauthenticated(ServerError):
    """The token is missing, expired or wrong; `problem` is one word or a few, as expired."""

    code = grpc.StatusCode.UNAUTHENTICATED
    reason = ErrorReason.ERROR_REASON_UNAUTHENTICATED

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(
            f"The caller's token: {problem}; send a valid one as `authorization: Bearer <token>`.", {"problem": problem}
        )


class PermissionDenied(ServerError):
    """The caller's role may not do this; `needs` is the least role that may."""

    code = grpc.StatusCode.PERMISSION_DENIED
    reason = ErrorReason.ERROR_REASON_PERMISSION_DENIED

    def __init__(self, role: str, needs: str) -> None:
        self.role, self.needs = role, needs
        super().__init__(f"The role {role} may not do this; it needs the role {needs}.", {"role": role, "needs": needs})


class TooLarge(ServerError):
    """A message, record or stream is larger than allowed; `limit` and `size` are bytes or counts of `field`."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = ErrorReason.ERROR_REASON_TOO_LARGE

    def __init__(self, field: str, limit: int, size: int) -> None:
        self.field, self.limit, self.size = field, limit, size
        super().__init__(
            f"The {field} has size {size}, over the limit of {limit}; send less.",
            {"field": field, "limit": str(limit), "size": str(size)},
        )


class RateLimited(ServerError):
    """Too many calls; nothing was done."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason = ErrorReason.ERROR_REASON_RATE_LIMITED
    is_retryable = True

    def __init__(self, retry_after_ms: int) -> None:
        self.retry_after_ms = retry_after_ms
        super().__init__(f"Too many calls; try again after {retry_after_ms} ms.", {"retry_after_ms": str(retry_after_ms)})


class FailedPrecondition(ServerError):
    """The resource is not in a state that allows this; `problem` says which state, without personal data."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = ErrorReason.ERROR_REASON_FAILED_PRECONDITION

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"This is not possible as it is: {problem}.", {"problem": problem})


class CursorTooOld(ServerError):
    """The events after a cursor are no longer kept; `oldest` is the cursor from which on they are."""

    code = grpc.StatusCode.OUT_OF_RANGE
    reason = ErrorReason.ERROR_REASON_CURSOR_TOO_OLD

    def __init__(self, cursor: str, oldest: str) -> None:
        self.cursor, self.oldest = cursor, oldest
        super().__init__(
            f"The events after the cursor {cursor} are no longer kept; read what is there now, and follow from {oldest} on.",
            {"cursor": cursor, "oldest": oldest},
        )


class ShuttingDown(ServerError):
    """The server is stopping; what it has acknowledged is durable, the rest was not done."""

    code = grpc.StatusCode.UNAVAILABLE
    reason = ErrorReason.ERROR_REASON_SHUTTING_DOWN
    is_retryable = True

    def __init__(self) -> None:
        super().__init__("The server is stopping; try again at another one or later.", {})


def status_of(error: BaseException) -> Status:
    """Turn an error into the status a caller sees: our own and the graph's by their facts, anything else as an incident.

    An incident is logged with its id, the error's type and where it was raised; the error's text is not, because it may
    quote what it failed on.
    """
    if isinstance(error, ServerError):
        status = _status(error.code, error.reason, str(error), error.metadata)
        if isinstance(error, RateLimited):
            delay = Duration()
            delay.FromMilliseconds(error.retry_after_ms)
            status.details.append(_packed(RetryInfo(retry_delay=delay)))
        return status
    if isinstance(error, GraphError):
        known = _status_of_graph_error(error)
        if known is not None:
            return known
    incident = _log_incident(error)
    return _status(
        grpc.StatusCode.INTERNAL,
        ErrorReason.ERROR_REASON_INTERNAL,
        f"The service failed; give its operator the incident {incident}.",
        {"incident": incident},
    )


def code_of(error: BaseException) -> grpc.StatusCode:
    """Say the gRPC code that a caller sees for an error, without logging it as an incident."""
    if isinstance(error, ServerError):
        return error.code
    status = _status_of_graph_error(error) if isinstance(error, GraphError) else None
    return grpc.StatusCode.INTERNAL if status is None else _CODES[status.code]


async def abort_with(context: grpc.aio.ServicerContext[Message, Message], error: BaseException) -> NoReturn:
    """End a call with the status of an error, its details in the trailers where every gRPC client finds them."""
    status = status_of(error)
    await context.abort(_CODES[status.code], status.message, trailing_metadata=((_DETAILS_KEY, status.SerializeToString()),))
    raise AssertionError("abort returned")


def _status_of_graph_error(error: GraphError) -> Status | None:
    if isinstance(error, StoreUnavailable):
        return _status(
            grpc.StatusCode.UNAVAILABLE,
            ErrorReason.ERROR_REASON_STORE_UNAVAILABLE,
            f"The {error.store} store is unavailable; nothing was kept, so try again once it is back.",
            {"store": error.store},
        )
    if isinstance(error, Conflict):
        return _status(
            grpc.StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_STORE_UNAVAILABLE, str(error), {"store": error.store}
        )
    if isinstance(error, StoreInUse):
        return _status(
            grpc.StatusCode.UNAVAILABLE,
            ErrorReason.ERROR_REASON_STORE_UNAVAILABLE,
            "Another process is using the store; try again once it stopped.",
            {},
        )
    if isinstance(error, StoreFull):
        return _status(
            grpc.StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_STORE_FULL, str(error), {"store": error.store}
        )
    if isinstance(error, Unsupported):
        return _status(
            grpc.StatusCode.UNIMPLEMENTED,
            ErrorReason.ERROR_REASON_UNSUPPORTED,
            str(error),
            {"capability": error.capability, "store": error.store},
        )
    if isinstance(error, RevisionUnknown):
        return status_of(InvalidField("as_of.revision", f"was not reached yet; the latest is {error.latest}"))
    return None


def _status(code: grpc.StatusCode, reason: ErrorReason.ValueType, message: str, metadata: Mapping[str, str]) -> Status:
    info = ErrorInfo(reason=ErrorReason.Name(reason), domain=DOMAIN, metadata=dict(metadata))
    return Status(code=int(code.value[0]), message=message, details=[_packed(info)])


def _packed(detail: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed


def _log_incident(error: BaseException) -> str:
    incident = secrets.token_hex(6)
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames[-8:]]
    _log.error("incident", incident=incident, error=type(error).__qualname__, where=where)
    return incident
