"""Make and name ids.

New ids are sixteen bytes: six of time in milliseconds, ten random (as UUID version 7 orders them), so that ids made together
lie together in a store's index and the smaller of two identity ids is the older one. Names carry them as 32 hexadecimal digits.
"""

from __future__ import annotations

import os
import re
import time

from goldenthread.server.errors import InvalidField, NotFound

__all__ = ["name_of", "new_id", "now", "parse_name", "timed_id"]

_NAME = re.compile(r"tenants/([^/]{1,63})/([A-Za-z]+)/([0-9a-f]{32})")


def now() -> int:
    """Tell the time, in UTC microseconds since 1970."""
    return time.time_ns() // 1_000


def new_id(at: int) -> bytes:
    """Make an id at a time in microseconds."""
    return timed_id(at, os.urandom(10))


def timed_id(at: int, rest: bytes) -> bytes:
    """Make an id of a time in microseconds and ten further bytes. Times before 1970 count as 1970."""
    return max(at // 1_000, 0).to_bytes(6, "big") + rest


def name_of(tenant: str, collection: str, id: bytes) -> str:
    """Write a resource name, as tenants/acme/records/0190…"""
    return f"tenants/{tenant}/{collection}/{id.hex()}"


def parse_name(tenant: str, name: str, *collections: str, field: str = "name") -> tuple[str, bytes]:
    """Read a resource name of one of the collections; return its collection and id.

    Raises:
        InvalidField: it is not such a name.
        NotFound: it is another tenant's, which must look exactly as if it did not exist.
    """
    match = _NAME.fullmatch(name)
    if match is None or match[2] not in collections:
        wanted = " or ".join(f"tenants/{{tenant}}/{collection}/{{id}}" for collection in collections)
        raise InvalidField(field, f"must be a whole name as answers give it, {wanted} with an id of 32 hexadecimal digits")
    if match[1] != tenant:
        raise NotFound(match[2].removesuffix("s") if match[2] != "identities" else "identity")
    return match[2], bytes.fromhex(match[3])
