"""Tell load balancers whether the service can serve: `grpc.health.v1`, for the whole and for each service.

It says NOT_SERVING while the store does not answer and while the server stops, and SERVING again once the store is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from grpc_health.v1 import health, health_pb2

from goldenthread.graph.errors import GraphError
from goldenthread.server.logs import logger
from goldenthread.server.metrics import Metrics

__all__ = ["HealthWatch"]

_log = logger()
_CHECK_SECONDS: Final = 5.0


class HealthWatch:
    """Check the store at intervals and keep the health service's answers true."""

    def __init__(self, services: Sequence[str], metrics: Metrics, interval: float) -> None:
        self.servicer = health.aio.HealthServicer()  # type: ignore[attr-defined]  # exported, but not by its stub
        self._names = ("", *services)
        self._metrics, self._interval = metrics, interval
        self._is_serving = self._is_ended = False
        self._changed = asyncio.Condition()

    @property
    def is_serving(self) -> bool:
        """Whether the store answered when it was last asked."""
        return self._is_serving

    async def wait_until(self, is_serving: bool) -> None:
        """Wait until the service is, or is not, serving."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._is_serving == is_serving)

    async def set(self, is_serving: bool) -> None:
        """Say so to everybody who asks or watches."""
        status = health_pb2.HealthCheckResponse.SERVING if is_serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in self._names:
            await self.servicer.set(name, status)
        self._metrics.serving(is_serving)
        async with self._changed:
            self._is_serving = is_serving
            self._changed.notify_all()

    async def end(self) -> None:
        """Say NOT_SERVING from now on, whatever the store says."""
        self._is_ended = True
        await self.set(False)

    async def run(self, check: Callable[[], Awaitable[None]]) -> None:
        """Check the store until ended; a check that takes more than five seconds counts as no answer."""
        while True:
            problem = await _problem_of(check)
            if self._is_ended:
                return
            if (problem is None) != self._is_serving:
                if problem is None:
                    _log.info("the store answers")
                else:
                    _log.warning("the store does not answer", problem=problem)
                await self.set(problem is None)
            await asyncio.sleep(self._interval)


async def _problem_of(check: Callable[[], Awaitable[None]]) -> str | None:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await check()
    except GraphError as error:
        return type(error).__qualname__
    except TimeoutError:
        return "no answer in time"
    return None
