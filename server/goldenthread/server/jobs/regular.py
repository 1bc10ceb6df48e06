"""Put a job that nobody asks for when it is due: once, whatever the number of servers, noted where it is put."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import Struct

from goldenthread.graph.store import ChangeSet, Reader, Transaction
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.ids import now
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.events.cursors import Cursor, put_cursor, read_cursor
from goldenthread.server.events.position import Position
from goldenthread.server.jobs.job import new_job, node_of

__all__ = ["SERVICE", "Due", "put_when_due"]

SERVICE: Final = "service"
"""Who asks for a job that nobody asks for."""

Due = Callable[[Reader, int, int], Awaitable[Struct | None]]
"""Given the time and when the job was last put (0 for never), in microseconds: its parameters, or None while it is not due."""


async def put_when_due(engine: Engine, tenant: Tenant, note: bytes, type: str, due: Due) -> bool:
    """Put a job of a type when it is due, and note when that was; return whether it was put."""
    async with engine.reader(tenant) as reader:
        if await _asked(reader, note, now(), due) is None:
            return False

    async def work(transaction: Transaction, at: int) -> bool:
        await transaction.lock([note])
        asked = await _asked(transaction, note, at, due)
        if asked is None:
            return False
        changes = ChangeSet()
        put_cursor(changes, note, "", Cursor(Position(), at, at))
        changes.put_nodes.append(node_of(await new_job(tenant, transaction, at, type, asked, SERVICE)))
        await transaction.apply(changes)
        return True

    was_put = await engine.write(tenant, work)
    if was_put:
        engine.jobs_queued.set()
    return was_put


async def _asked(reader: Reader, note: bytes, at: int, due: Due) -> Struct | None:
    last = await read_cursor(reader, note)
    return await due(reader, at, last.updated_at if last is not None else 0)
