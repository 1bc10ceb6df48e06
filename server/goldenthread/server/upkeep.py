"""Put the jobs that nobody asks for: what an upgrade leaves to do, and what is to be done every while.

What is due is looked up in the store and put in one transaction with the note that it was, so several servers may look at once.
"""

from __future__ import annotations

from goldenthread.graph.errors import GraphError
from goldenthread.graph.model import NodeKind
from goldenthread.server.commands import Engine
from goldenthread.server.errors import ServerError
from goldenthread.server.jobs.ageing import age_when_due
from goldenthread.server.jobs.housekeeping import keep_house_when_due
from goldenthread.server.jobs.renormalising import take_over
from goldenthread.server.logs import logger
from goldenthread.server.looking import Looking

__all__ = ["Upkeep"]

_log = logger()
_PROBLEM = "regular work can't be put"


class Upkeep(Looking):
    """Look what is to be done for each tenant."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.config.upkeep_look_seconds, _PROBLEM)
        self._engine = engine

    async def look(self) -> None:
        """Put what is due, in every tenant; what fails for one is tried again with the next look."""
        for tenant in await self._engine.tenants_having(NodeKind.ARTEFACT):
            try:
                await take_over(self._engine, tenant)
                await age_when_due(self._engine, tenant)
                await keep_house_when_due(self._engine, tenant)
            except (GraphError, ServerError) as error:
                _log.warning(_PROBLEM, tenant=tenant.name, error=type(error).__qualname__)
