"""Follow events as they are committed: by this process, which wakes its followers, or by others, which are looked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Final

from msgspec import Struct

from goldenthread.graph.store import Capability
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.events.outbox import Event
from goldenthread.server.events.position import Position
from goldenthread.server.events.reading import Wanted, read_batch
from goldenthread.server.sight import Sight

__all__ = ["Heard", "follow", "wait_for_commit"]

_BATCH: Final = 500


class Heard(Struct, frozen=True):
    """The next events, none when there are none yet; the position everything was looked at up to; and the latest revision."""

    events: Sequence[Event]
    position: Position
    revision: int


async def follow(engine: Engine, tenant: Tenant, position: Position, wanted: Wanted, sight: Sight) -> AsyncIterator[Heard]:
    """Yield events that the caller may see from a position on, for ever; something at the latest after each heartbeat.

    Raises:
        CursorTooOld: events after the position are no longer kept, also when that becomes so meanwhile.
    """
    heartbeat = engine.config.event_heartbeat_seconds
    told = time.monotonic()
    is_first = True
    while True:
        coming = engine.commits.next(tenant.name)
        async with engine.reader(tenant) as reader:
            batch = await read_batch(reader, position, wanted, _BATCH, sight)
            revision = reader.revision.number
        position = batch.position
        if batch.events or is_first or time.monotonic() - told >= heartbeat:
            # The first message comes at once, so that a follower knows from where on it hears everything.
            yield Heard(batch.events, position, revision)
            told, is_first = time.monotonic(), False
        if batch.is_end:
            await wait_for_commit(engine, coming, heartbeat - (time.monotonic() - told))


async def wait_for_commit(engine: Engine, coming: asyncio.Event, seconds: float) -> None:
    """Wait for a commit, no longer than some seconds; where others write too, no longer than till the next look."""
    if Capability.MANY_WRITERS in engine.store.capabilities:
        seconds = min(seconds, engine.config.event_poll_seconds)
    with suppress(TimeoutError):
        async with asyncio.timeout(max(seconds, 0)):
            await coming.wait()
