"""Do what has to be done beside the calls: tell changed golden values, measure how far subscriptions lag, clear old events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from goldenthread.graph.errors import GraphError
from goldenthread.graph.model import NodeKind
from goldenthread.graph.store import ChangeSet, Transaction, events_id
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.ids import now
from goldenthread.server.commands.subscriptions import list_subscriptions
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import ServerError
from goldenthread.server.events.cursors import retained_after, retention_changes
from goldenthread.server.events.golden import tell_golden_changes
from goldenthread.server.logs import logger
from goldenthread.server.sight import EVERYBODY

__all__ = ["EventKeeper", "clear_old_events"]

_log = logger()

_DAY: Final = 86_400_000_000
_MICROS: Final = 1_000_000
_CLEARED_AT_ONCE: Final = 500
_PAGE: Final = 1_000

LagTold = Callable[[str, Mapping[str, tuple[int, float]]], None]
"""Hears how many commits and seconds each subscription of a tenant lags."""


class EventKeeper:
    """Keep the events of every tenant of one store, until closed."""

    def __init__(self, engine: Engine, told: LagTold) -> None:
        self._engine, self._told = engine, told
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look after tenants."""
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stop; whatever is half done is done again."""
        tasks = [task for task in (self._watching, *self._tasks.values()) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _watch(self) -> None:
        """Look after tenants, those that come later too."""
        while True:
            coming = self._engine.commits.next("")
            try:
                for tenant in await self._engine.tenants_having(NodeKind.ARTEFACT):
                    if tenant.name not in self._tasks:
                        self._tasks[tenant.name] = asyncio.create_task(self._follow(tenant))
                    await self._look_after(tenant)
            except (GraphError, ServerError) as error:
                _log.warning("events can't be looked after", error=type(error).__qualname__)
            try:
                async with asyncio.timeout(self._engine.config.event_upkeep_seconds):
                    await coming.wait()
            except TimeoutError:
                continue

    async def _look_after(self, tenant: Tenant) -> None:
        lags: dict[str, tuple[int, float]] = {}
        after = b""
        while True:
            views, after = await list_subscriptions(self._engine, tenant, after, _PAGE, EVERYBODY)
            lags |= {view.name: (view.lag_revisions, view.lag_micros / _MICROS) for view in views}
            if not after:
                break
        self._told(tenant.name, lags)
        if self._engine.config.event_retention_days:
            while await clear_old_events(self._engine, tenant, now()):
                pass

    async def _follow(self, tenant: Tenant) -> None:
        """Tell changed golden values: at rest at once, under load when the delay is over, many commits in one go."""
        engine, done, name = self._engine, 0, tenant.name
        while True:
            coming = engine.commits.next(name)
            try:
                passed = await tell_golden_changes(engine, tenant, done)
            except (GraphError, ServerError) as error:
                _log.warning("golden values can't be compared", tenant=name, error=type(error).__qualname__)
                await asyncio.sleep(engine.config.event_upkeep_seconds)
                continue
            done = passed.revision
            if passed.is_end:
                # Another server tells of its own commits: only what one left when it was killed is looked for, now and then.
                with suppress(TimeoutError):
                    async with asyncio.timeout(engine.config.event_upkeep_seconds):
                        await coming.wait()
                await self._wait_for_rest(name)

    async def _wait_for_rest(self, name: str) -> None:
        """Wait until no commit came for a moment, no longer than the delay."""
        delay = self._engine.config.golden_event_delay_seconds
        try:
            async with asyncio.timeout(delay):
                while True:
                    coming = self._engine.commits.next(name)
                    try:
                        async with asyncio.timeout(delay / 10):
                            await coming.wait()
                    except TimeoutError:
                        return
        except TimeoutError:
            return


async def clear_old_events(engine: Engine, tenant: Tenant, at: int) -> int:
    """Take away events older than they are kept, some at a time; return how many commits' events went."""
    horizon = at - int(engine.config.event_retention_days * _DAY)
    async with engine.reader(tenant) as reader:
        last = (await reader.revision_at(horizon)).number
        start = await retained_after(reader)
        if last <= start:
            return 0
        old = [node.recorded_from for node in await reader.events(start, _CLEARED_AT_ONCE) if node.recorded_from <= last]
    until = old[-1] if len(old) == _CLEARED_AT_ONCE else last

    async def clear(transaction: Transaction, at: int) -> None:
        await transaction.lock([events_id(0)])
        if await retained_after(transaction) != start:
            return  # another process cleared meanwhile
        changes = ChangeSet(delete_nodes=[events_id(revision) for revision in old])
        retention_changes(changes, until, at)
        await transaction.apply(changes)

    if old:
        await engine.write(tenant, clear)
    return len(old)
