"""Answer a repeated request as before, and refuse another body under the same request id."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from msgspec import Struct

from goldenthread.graph.model import Node, NodeKind
from goldenthread.graph.store import ChangeSet, Transaction
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import RequestIdReused

__all__ = ["Request", "once"]

S = TypeVar("S", bound=Struct)


class Request(Struct, frozen=True):
    """What makes a call the same call: its id (may be empty) and everything the caller sent."""

    request_id: str
    body: bytes


async def once(
    transaction: Transaction,
    tenant: Tenant,
    request: Request,
    at: int,
    answer_type: type[S],
    work: Callable[[], Awaitable[tuple[ChangeSet, S]]],
) -> S:
    """Run work and apply its changes, unless the request was answered before: then give that answer.

    An answer's field `revision`, if it has one, becomes the revision of the changes.

    Raises:
        RequestIdReused: the id was used with another body.
    """
    id = tenant.vault.blind("request", request.request_id) if request.request_id else b""
    digest = tenant.vault.digest("request-body", request.body)
    if id:
        await transaction.lock([id])
        stored = (await transaction.requests([id])).get(id)
        if stored is not None:
            if stored.properties["digest"] != digest:
                raise RequestIdReused(request.request_id)
            result = stored.properties["result"]
            answer = msgspec.msgpack.decode(result if isinstance(result, bytes) else b"", type=answer_type)
            return _at_revision(answer, stored.recorded_from)
    changes, answer = await work()
    if id:
        properties: dict[str, int | str | bytes] = {"digest": digest, "result": msgspec.msgpack.encode(answer), "at": at}
        changes.put_nodes.append(Node(NodeKind.REQUEST, id, properties))
    return _at_revision(answer, (await transaction.apply(changes)).number)


def _at_revision(answer: S, revision: int) -> S:
    """Name the revision that the changes became, which is only known once they are applied."""
    return msgspec.structs.replace(answer, revision=revision) if "revision" in answer.__struct_fields__ else answer
