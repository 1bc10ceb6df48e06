"""Look every while for what is due, for as long as the server runs."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from goldenthread.graph.errors import GraphError
from goldenthread.server.errors import ServerError
from goldenthread.server.logs import logger

__all__ = ["Looking"]

_log = logger()


class Looking(ABC):
    """Look now and every while; a look that fails is told, and made again with the next."""

    def __init__(self, every_seconds: float, problem: str) -> None:
        """Take the time between two looks, and what to log when one fails."""
        self._every_seconds, self._problem = every_seconds, problem
        self._watching: asyncio.Task[None] | None = None

    @abstractmethod
    async def look(self) -> object:
        """Do what is due; what it answers is for whoever looks without waiting for the time."""

    def start(self) -> None:
        """Begin to look."""
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stop; what is just being done is done or is not."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])

    async def _watch(self) -> None:
        while True:
            try:
                await self.look()
            except (GraphError, ServerError) as error:
                _log.warning(self._problem, error=type(error).__qualname__)
            await asyncio.sleep(self._every_seconds)
