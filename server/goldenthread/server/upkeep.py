"""Put the jobs that nobody asks for: what an upgrade leaves to do, and what is to be done every while.

What is due is looked up in the store and put in one transaction with the note that it was, so several servers may look at once.
"""

from __future__ import annotations

import asyncio

from goldenthread.graph.errors import GraphError
from goldenthread.graph.model import NodeKind
from goldenthread.server.commands import Engine
from goldenthread.server.errors import ServerError
from goldenthread.server.jobs.ageing import age_when_due
from goldenthread.server.jobs.housekeeping import keep_house_when_due
from goldenthread.server.jobs.renormalising import take_over
from goldenthread.server.logs import logger

__all__ = ["Upkeep"]

_log = logger()


class Upkeep:
    """Look what is to be done for each tenant, now and every while."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stop; a job that is just put is there or is not."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])

    async def look(self) -> None:
        """Put what is due, in every tenant; what fails for one is tried again with the next look."""
        for tenant in await self._engine.tenants_having(NodeKind.ARTEFACT):
            try:
                await take_over(self._engine, tenant)
                await age_when_due(self._engine, tenant)
                await keep_house_when_due(self._engine, tenant)
            except (GraphError, ServerError) as error:
                _log.warning("regular work can't be put", tenant=tenant.name, error=type(error).__qualname__)

    async def _watch(self) -> None:
        while True:
            try:
                await self.look()
            except (GraphError, ServerError) as error:
                _log.warning("regular work can't be put", error=type(error).__qualname__)
            await asyncio.sleep(self._engine.config.upkeep_look_seconds)
