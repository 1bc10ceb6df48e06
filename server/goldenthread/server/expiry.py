"""End decisions when their time is up.

What is due stands first in the store, so looking costs one small read a tenant that has any such decision; several servers may
look at once.
"""

from __future__ import annotations

from goldenthread.graph.model import NodeKind
from goldenthread.server.commands import Engine
from goldenthread.server.commands.decisions.undo import expire_decisions
from goldenthread.server.commands.ids import now
from goldenthread.server.looking import Looking

__all__ = ["Expiry"]


class Expiry(Looking):
    """Look for decisions that are due."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.config.expiry_look_seconds, "decisions that are due can't be ended")
        self._engine = engine

    async def look(self) -> int:
        """End what is due in every tenant; return how many decisions were."""
        ended = 0
        for tenant in await self._engine.tenants_having(NodeKind.DUE):
            ended += await expire_decisions(self._engine, tenant, now())
        return ended
