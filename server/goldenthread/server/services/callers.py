"""Find the tenant of the caller; a parent or name of another tenant's looks as if it did not exist."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from typing import TypeVar

from google.protobuf.message import Message

from goldenthread.server.access import current_caller
from goldenthread.server.commands import Engine
from goldenthread.server.commands.idempotency import Request
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import InvalidField, NotFound

__all__ = ["calling_tenant", "check_parent", "if_seen", "request_of"]

T = TypeVar("T")

_PARENT = re.compile(r"tenants/([^/]{1,63})")


async def calling_tenant(engine: Engine) -> Tenant:
    """Get the tenant that the caller's token names."""
    return await engine.tenant(current_caller().tenant)


def check_parent(tenant: Tenant, parent: str, suffix: str = "", field: str = "parent") -> None:
    """Hold a parent, or a singleton's name, to the caller's tenant.

    Raises:
        InvalidField: it is no such name.
        NotFound: it is another tenant's.
    """
    match = _PARENT.fullmatch(parent.removesuffix(suffix) if suffix else parent)
    if match is None or not parent.endswith(suffix):
        raise InvalidField(field, f"must be a name of the form tenants/{{tenant}}{suffix}")
    if match[1] != tenant.name:
        raise NotFound("tenant")


def request_of(message: Message, request_id: str) -> Request:
    """Say what makes a call the same call."""
    body = type(message).DESCRIPTOR.full_name.encode() + b"\0" + message.SerializeToString(deterministic=True)
    return Request(request_id, body)


async def if_seen(reading: Awaitable[T]) -> T | None:
    """Read what the caller has just changed: what became of it may belong to somebody whom the caller may not see."""
    try:
        return await reading
    except NotFound:
        return None
