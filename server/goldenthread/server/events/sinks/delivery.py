"""Deliver events to sinks: in order, again until they are taken or given up, and from where the last delivery ended.

Each sink has a subscription of its own name, whose cursor says how far it was delivered. Where several processes share a store,
one of them holds the cursor at a time. A crash in between delivers some events again, never none.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from goldenthread.graph.errors import GraphError
from goldenthread.graph.store import Capability, ChangeSet, Transaction
from goldenthread.server.commands.dead_letters import put_dead_letter
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.subscriptions import subscription_id
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import CursorTooOld, ServerError
from goldenthread.server.events.cursors import Cursor, hold_cursor, put_cursor, read_cursor
from goldenthread.server.events.following import wait_for_commit
from goldenthread.server.events.outbox import Event
from goldenthread.server.events.position import Position
from goldenthread.server.events.reading import Wanted, oldest_position, read_batch
from goldenthread.server.events.sinks.cloud_events import message_of
from goldenthread.server.events.sinks.dead_letter import DeadLetter
from goldenthread.server.events.sinks.settings import SinkSettings
from goldenthread.server.events.sinks.sink import DeliveryFailed, Sink
from goldenthread.server.logs import logger
from goldenthread.server.sight import EVERYBODY

__all__ = ["Delivery"]

_log = logger()

_BATCH: Final = 500
_KEEP_SECONDS: Final = 5.0
"""Time after which it is kept how far a slow delivery has come."""
_MICROS: Final = 1_000_000


class _CursorMoved(Exception):
    """Somebody else moved, deleted or holds the cursor: begin again from what is stored."""


class Delivery:
    """Deliver one tenant's events to one sink, until closed."""

    def __init__(self, engine: Engine, settings: SinkSettings, sink: Sink, chance: random.Random) -> None:
        self._engine, self._settings, self._sink, self._chance = engine, settings, sink, chance
        self._wanted = Wanted(settings.event_types)
        self._lease_seconds = engine.config.job_lease_seconds
        self._holder = secrets.token_hex(8)
        self._is_shared = Capability.MANY_WRITERS in engine.store.capabilities
        self._cursor = Cursor(Position(), 0, 0)
        self._letters: list[DeadLetter] = []
        self._kept = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to deliver."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop where it is; what was delivered is kept."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._sink.close()

    async def _run(self) -> None:
        while True:
            try:
                tenant = await self._engine.tenant(self._settings.tenant)
                if await self._hold(tenant):
                    await self._deliver_all(tenant)
            except _CursorMoved:
                continue
            except CursorTooOld as error:
                await self._skip_to_oldest(error)
                continue
            except (GraphError, ServerError) as error:
                _log.warning("a sink's events can't be read", reason=self._settings.name, error=type(error).__qualname__)
            await asyncio.sleep(min(self._lease_seconds / 3, self._engine.config.event_upkeep_seconds))

    async def _hold(self, tenant: Tenant) -> bool:
        """Take the sink's cursor, unless another process that lives holds it."""
        id = subscription_id(tenant, self._settings.name)

        async def work(transaction: Transaction, at: int) -> Cursor | None:
            oldest = await oldest_position(transaction)
            first = oldest if self._settings.from_oldest else Position.after(transaction.revision.number)
            return await hold_cursor(
                transaction,
                id,
                self._settings.name,
                self._holder,
                at,
                int(self._lease_seconds * _MICROS),
                first=first,
                takes_over=not self._is_shared,
            )

        cursor = await self._engine.write(tenant, work)
        if cursor is None:
            return False
        self._cursor, self._letters, self._kept = cursor, [], time.monotonic()
        return True

    async def _deliver_all(self, tenant: Tenant) -> None:
        """Deliver what is stored, then what is committed."""
        position = self._cursor.position
        try:
            while True:
                coming = self._engine.commits.next(tenant.name)
                async with self._engine.reader(tenant) as reader:
                    stored = await read_cursor(reader, subscription_id(tenant, self._settings.name))
                    if stored is None or stored.position != self._cursor.position:
                        raise _CursorMoved
                    batch = await read_batch(reader, position, self._wanted, _BATCH, EVERYBODY)
                for start in range(0, len(batch.events), self._sink.most_messages):
                    events = batch.events[start : start + self._sink.most_messages]
                    await self._deliver(tenant, events)
                    position = Position(events[-1].revision, events[-1].index)
                    await self._keep_now_and_then(tenant, position)
                moved = bool(batch.events)
                position = batch.position
                if moved:
                    await self._keep(tenant, position)
                if batch.is_end:
                    await wait_for_commit(self._engine, coming, self._lease_seconds / 3)
                    await self._keep_now_and_then(tenant, position)
        except asyncio.CancelledError:
            if position != self._cursor.position:
                await self._keep(tenant, position, gives_back=True)
            raise

    async def _deliver(self, tenant: Tenant, events: Sequence[Event]) -> None:
        """Hand events over, waiting longer each time; one that is not taken in the end becomes a dead letter."""
        rest = list(events)
        tries = 0
        while rest:
            try:
                await self._sink.deliver([message_of(tenant.name, event) for event in rest])
            except DeliveryFailed as failed:
                if failed.delivered:
                    del rest[: failed.delivered]
                    tries = 0
                tries += 1
                _log.warning("a sink did not take an event", reason=self._settings.name, problem=failed.problem, count=tries)
                if failed.is_refused or tries >= self._settings.attempts:
                    self._letters.append(DeadLetter(rest.pop(0), tries, failed.problem, time.time_ns() // 1_000))
                    tries = 0
                    continue
                await self._pause(tenant, max(self._wait_seconds(tries), failed.retry_after_seconds))
            else:
                return

    def _wait_seconds(self, tries: int) -> float:
        """Double the wait each time, half of it by chance, so that sinks do not come back in step."""
        ceiling = min(self._settings.longest_wait_seconds, self._settings.first_wait_seconds * 2.0 ** (tries - 1))
        return ceiling / 2 + self._chance.random() * ceiling / 2

    async def _pause(self, tenant: Tenant, seconds: float) -> None:
        """Wait, and hold the cursor meanwhile."""
        while seconds > 0:
            step = min(seconds, self._lease_seconds / 3)
            await asyncio.sleep(step)
            seconds -= step
            await self._keep_now_and_then(tenant, self._cursor.position)

    async def _keep_now_and_then(self, tenant: Tenant, position: Position) -> None:
        """Keep how far this has come when that was long ago, and where others could take over, that it goes on."""
        since = time.monotonic() - self._kept
        has_news = bool(self._letters) or position != self._cursor.position
        if (has_news and since >= _KEEP_SECONDS) or (self._is_shared and since >= self._lease_seconds / 3):
            await self._keep(tenant, position)

    async def _keep(self, tenant: Tenant, position: Position, *, gives_back: bool = False) -> None:
        """Keep how far this has come, with the dead letters on the way, in one transaction.

        Raises:
            _CursorMoved: the cursor is not as this left it.
        """
        id = subscription_id(tenant, self._settings.name)
        letters = list(self._letters)

        async def work(transaction: Transaction, at: int) -> Cursor:
            await transaction.lock([id])
            current = await read_cursor(transaction, id)
            if current is None or current.holder != self._holder or current.position != self._cursor.position:
                raise _CursorMoved
            held_until = 0 if gives_back else at + int(self._lease_seconds * _MICROS)
            kept = replace(current, position=position, updated_at=at, held_until=held_until)
            changes = ChangeSet()
            put_cursor(changes, id, self._settings.name, kept)
            for letter in letters:
                put_dead_letter(changes, tenant, self._settings.name, letter)
            await transaction.apply(changes)
            return kept

        self._cursor = await self._engine.write(tenant, work)
        del self._letters[: len(letters)]
        self._kept = time.monotonic()

    async def _skip_to_oldest(self, error: CursorTooOld) -> None:
        """Go on with the oldest event that is kept: what was cleared can't be delivered any more."""
        _log.error("events were cleared before a sink took them", reason=self._settings.name, problem=str(error))
        tenant = await self._engine.tenant(self._settings.tenant)
        async with self._engine.reader(tenant) as reader:
            oldest = await oldest_position(reader)
        await self._keep(tenant, oldest)
