"""End decisions when their time is up.

What is due stands first in the store, so looking costs one small read a tenant that has any such decision; several servers may
look at once.
"""

from __future__ import annotations

import asyncio

from goldenthread.graph.errors import GraphError
from goldenthread.graph.model import NodeKind
from goldenthread.server.commands import Engine
from goldenthread.server.commands.decisions.undo import expire_decisions
from goldenthread.server.commands.ids import now
from goldenthread.server.errors import ServerError
from goldenthread.server.logs import logger

__all__ = ["Expiry"]

_log = logger()


class Expiry:
    """Look for decisions that are due, now and every while."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stop; a decision that is just ending has ended or has not."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])

    async def look(self) -> int:
        """End what is due in every tenant; return how many decisions were."""
        ended = 0
        for tenant in await self._engine.tenants_having(NodeKind.DUE):
            ended += await expire_decisions(self._engine, tenant, now())
        return ended

    async def _watch(self) -> None:
        while True:
            try:
                await self.look()
            except (GraphError, ServerError) as error:
                _log.warning("decisions that are due can't be ended", error=type(error).__qualname__)
            await asyncio.sleep(self._engine.config.expiry_look_seconds)
