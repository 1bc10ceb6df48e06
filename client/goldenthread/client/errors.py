"""Turn a failed call into one small tree of errors.

GoldenThreadError
├── Retryable               the same call may succeed later; nothing was acknowledged
│   ├── ServerUnreachable   nobody answers at the address
│   │   └── ConnectionEnded who answers there ends the connection before it is made
│   ├── DeadlineExceeded    no answer within the time given
│   ├── RateLimited         too many calls; `retry_after_seconds` says when
│   ├── StoreUnavailable    the server's store is away
│   ├── StoreFull           the server's store has no space left
│   └── ShuttingDown        the server is stopping
├── Invalid                 the request itself is wrong
│   ├── InvalidField        a field breaks its rule
│   ├── InvalidAttribute    an attribute's value does not fit its type
│   ├── RequestIdReused     a request id was used before with another body
│   └── TooLarge            a message or record is larger than allowed
├── TlsFailed               certificates or settings of TLS keep a connection from being made
├── NotFound                nothing by that name, for this caller
├── Unauthenticated         the token is missing, expired or wrong
├── PermissionDenied        the caller may not do this
├── FailedPrecondition      the resource is not in a state that allows this
├── CursorTooOld            the events after a cursor are no longer kept
├── Unsupported             the store of this server cannot do this
└── ServerDefect            a defect of the service, with its incident id

Messages are the server's: one sentence, without personal data. `remedy` says what to do about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import grpc

from google.rpc import error_details_pb2, status_pb2

__all__ = [
    "DOMAIN",
    "ConnectionEnded",
    "CursorTooOld",
    "DeadlineExceeded",
    "FailedPrecondition",
    "GoldenThreadError",
    "Invalid",
    "InvalidAttribute",
    "InvalidField",
    "NotFound",
    "PermissionDenied",
    "RateLimited",
    "RequestIdReused",
    "Retryable",
    "ServerDefect",
    "ServerUnreachable",
    "ShuttingDown",
    "StoreFull",
    "StoreUnavailable",
    "TlsFailed",
    "TooLarge",
    "Unauthenticated",
    "Unsupported",
    "from_rpc",
    "from_status",
    "unreachable",
]

DOMAIN = "goldenthread"
_DETAILS_KEY = "grpc-status-details-bin"

MetadataPairs = Sequence[tuple[str, str | bytes]]


class GoldenThreadError(Exception):
    """A call failed; `reason` is the name of an ErrorReason, or empty when the server sent none."""

    remedy: ClassVar[str] = ""

    def __init__(
        self, message: str, *, code: grpc.StatusCode, reason: str = "", metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.metadata: dict[str, str] = dict(metadata or {})

    @property
    def advice(self) -> str:
        """Say what to do, where the message does not say it already: those of our own server do."""
        return "" if self.reason else self.remedy

    @property
    def is_retryable(self) -> bool:
        """Say whether the same call may succeed later."""
        return isinstance(self, Retryable)


class Retryable(GoldenThreadError):
    """The same call may succeed later; nothing was acknowledged."""

    @property
    def retry_after_seconds(self) -> float:
        """Say how long to wait at least before the next try, in seconds; 0 when the server did not say."""
        text = self.metadata.get("retry_after_ms", "")
        return int(text) / 1000 if text.isascii() and text.isdigit() else 0.0


class ServerUnreachable(Retryable):
    """Nobody answers at the address."""

    remedy = "Check the address and that the server runs: goldenthread doctor."


class ConnectionEnded(ServerUnreachable):
    """Who answers at the address ends the connection before it is made: a server that stops, or one that wants TLS."""

    remedy = (
        "If the server uses TLS, give its authority with --tls-ca, and a certificate of your own where it wants one; "
        "else look at its log."
    )


class DeadlineExceeded(Retryable):
    """No answer within the time given."""

    remedy = "Ask for less or allow more time."


class RateLimited(Retryable):
    """Too many calls; `retry_after_seconds` says when to come back."""

    remedy = "Call less often, or send many records in one stream."


class StoreUnavailable(Retryable):
    """The server's store does not answer."""

    remedy = "Retry; if it lasts, check the store: goldenthread doctor."


class StoreFull(Retryable):
    """The server's store has no space left."""

    remedy = "Make space on the server's disk, then retry."


class ShuttingDown(Retryable):
    """The server is stopping."""

    remedy = "Retry when it is up again."


class Invalid(GoldenThreadError):
    """The request itself is wrong; `metadata` names the field or attribute and the rule."""


class InvalidField(Invalid):
    """A field breaks its rule."""

    remedy = "Correct the field and send it again."


class InvalidAttribute(Invalid):
    """An attribute's value does not fit its declared type."""

    remedy = "Correct the value, or send it under another attribute."


class RequestIdReused(Invalid):
    """A request id was used before with another body."""

    remedy = "Send it with a new request id."


class TooLarge(Invalid):
    """A message or record is larger than allowed."""

    remedy = "Send it in smaller parts."


class TlsFailed(GoldenThreadError):
    """Certificates or settings of TLS keep a connection from being made; `advice` says which to look at."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message, code=grpc.StatusCode.UNAVAILABLE)
        self._advice = advice

    @property
    def advice(self) -> str:
        """Say what to do about this fault."""
        return self._advice


class NotFound(GoldenThreadError):
    """Nothing by that name, for this caller."""

    remedy = "Check the name and the tenant."


class Unauthenticated(GoldenThreadError):
    """The token is missing, expired or wrong."""

    remedy = "Give a valid token: --token or GOLDENTHREAD_TOKEN."

    @property
    def advice(self) -> str:
        """Say where to put the token, which the server's message can't know."""
        return self.remedy


class PermissionDenied(GoldenThreadError):
    """The caller may not do this."""

    remedy = "Ask for a token with the role it needs."


class FailedPrecondition(GoldenThreadError):
    """The resource is not in a state that allows this."""

    remedy = "Read it again and decide anew."


class CursorTooOld(GoldenThreadError):
    """The events after a cursor are no longer kept."""

    remedy = "Read what is there now, and follow from the latest cursor."


class Unsupported(GoldenThreadError):
    """The store of this server cannot do this."""

    remedy = "Use a store that has the capability."


class ServerDefect(GoldenThreadError):
    """A defect of the service; `metadata['incident']` finds it in the server's log."""

    remedy = "Look for the incident in the server's log and report it."


_BY_REASON: dict[str, type[GoldenThreadError]] = {
    "ERROR_REASON_INVALID_FIELD": InvalidField,
    "ERROR_REASON_INVALID_ATTRIBUTE": InvalidAttribute,
    "ERROR_REASON_REQUEST_ID_REUSED": RequestIdReused,
    "ERROR_REASON_NOT_FOUND": NotFound,
    "ERROR_REASON_UNAUTHENTICATED": Unauthenticated,
    "ERROR_REASON_PERMISSION_DENIED": PermissionDenied,
    "ERROR_REASON_TOO_LARGE": TooLarge,
    "ERROR_REASON_RATE_LIMITED": RateLimited,
    "ERROR_REASON_STORE_UNAVAILABLE": StoreUnavailable,
    "ERROR_REASON_STORE_FULL": StoreFull,
    "ERROR_REASON_FAILED_PRECONDITION": FailedPrecondition,
    "ERROR_REASON_SHUTTING_DOWN": ShuttingDown,
    "ERROR_REASON_CURSOR_TOO_OLD": CursorTooOld,
    "ERROR_REASON_INTERNAL": ServerDefect,
    "ERROR_REASON_UNSUPPORTED": Unsupported,
}

# What a bare status means when no ErrorInfo came with it, as from a proxy or from gRPC itself.
_BY_CODE: dict[grpc.StatusCode, type[GoldenThreadError]] = {
    grpc.StatusCode.UNAVAILABLE: ServerUnreachable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.INVALID_ARGUMENT: Invalid,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.RESOURCE_EXHAUSTED: TooLarge,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.UNIMPLEMENTED: Unsupported,
    grpc.StatusCode.INTERNAL: ServerDefect,
    grpc.StatusCode.UNKNOWN: ServerDefect,
}

_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


def from_status(status: status_pb2.Status) -> GoldenThreadError:
    """Read a google.rpc.Status: its first ErrorInfo of our domain decides the class, else its code does."""
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    for detail in status.details:
        if detail.TypeName() != "google.rpc.ErrorInfo":
            continue
        info = error_details_pb2.ErrorInfo.FromString(detail.value)
        if info.domain == DOMAIN:
            # A reason newer than this client still falls back to what its code means.
            kind = _BY_REASON.get(info.reason) or _BY_CODE.get(code, GoldenThreadError)
            return kind(status.message, code=code, reason=info.reason, metadata=info.metadata)
    return _BY_CODE.get(code, GoldenThreadError)(status.message, code=code)


# What gRPC says of a connection that was not made, what that means, and what to do; the first whose words are there holds.
_TLS_FAULTS: tuple[tuple[str, str, str], ...] = (
    (
        "Hostname Verification Check failed",
        "The certificate of the server at {target} is not for that host.",
        "Call the server by a name that its certificate has, or give it a certificate for this one (tls_cert).",
    ),
    (
        "certificate has expired",
        "The certificate of the server at {target} has expired.",
        "Renew it (tls_cert) and start the server again.",
    ),
    (
        "certificate is not yet valid",
        "The certificate of the server at {target} is not valid yet.",
        "Check the clocks of both machines.",
    ),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "The certificate of the server at {target} is of an authority that is not trusted here.",
        "Give the PEM file of its authority with --tls-ca.",
    ),
    (
        "WRONG_VERSION_NUMBER",
        "The server at {target} does not use TLS.",
        "Leave out --tls-ca if it is on this machine, else turn TLS on there (tls_cert and tls_key).",
    ),
    (
        "Failed to create security handshaker",
        "The files for TLS are no certificates and key in PEM form, or do not belong together.",
        "Check --tls-ca, GOLDENTHREAD_CLIENT_CERT and GOLDENTHREAD_CLIENT_KEY.",
    ),
)
_ENDED = ("Socket closed", "Connection reset by peer", "TSI_PROTOCOL_FAILURE")


def _not_connected(words: str, target: str) -> GoldenThreadError:
    """Say why no connection is made; gRPC's own words name sockets and files, of which the caller knows the address."""
    for sign, problem, advice in _TLS_FAULTS:
        if sign in words:
            return TlsFailed(problem.format(target=target), advice)
    if "failed to connect" in words and any(sign in words for sign in _ENDED):
        return ConnectionEnded(f"What answers at {target} ends the connection.", code=grpc.StatusCode.UNAVAILABLE)
    return unreachable(target)


def unreachable(target: str) -> ServerUnreachable:
    """Say that nobody answers at a target, as host:port."""
    return ServerUnreachable(f"No server answers at {target}.", code=grpc.StatusCode.UNAVAILABLE)


def from_rpc(code: grpc.StatusCode, message: str, trailing: MetadataPairs, target: str) -> GoldenThreadError:
    """Read how a call to a target ended: its status code, its message and its trailing metadata."""
    for key, value in trailing:
        if key == _DETAILS_KEY and isinstance(value, bytes):
            return from_status(status_pb2.Status.FromString(value))
    if code is grpc.StatusCode.UNAVAILABLE:
        return _not_connected(message, target)
    return _BY_CODE.get(code, GoldenThreadError)(message or code.value[1], code=code)
