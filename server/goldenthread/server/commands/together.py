"""Serve many callers at once: commit their records in one transaction, read what they ask for in one go.

One task takes what waits, up to a limit, and works on it; meanwhile the next batch gathers. A caller is answered only when its
batch is done (of records: durable). When a batch fails as a whole, nothing of it is kept and every caller of it is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from goldenthread.server.errors import ShuttingDown

__all__ = ["Together"]

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

_WAITING_BATCHES = 4
"""Batches that may wait; past that, callers wait before they are let in, and a stream stops being read."""


class Together(Generic[Item, Outcome]):
    """Gather items of concurrent callers into batches and work on each batch once.

    A batch waits up to `linger_ms` until it is as large as the last one, since who was just answered may soon ask again; a
    lone caller never waits. With 0 it takes what is there.
    """

    def __init__(self, work: Callable[[list[Item]], Awaitable[Sequence[Outcome]]], *, batch: int, linger_ms: float) -> None:
        self._work, self._batch, self._linger = work, batch, linger_ms / 1_000
        self._waiting: asyncio.Queue[tuple[Item, asyncio.Future[Outcome]]] = asyncio.Queue(batch * _WAITING_BATCHES)
        self._last = 0  # how many the last batch answered
        self._is_closing = False
        self._task = asyncio.create_task(self._run())

    async def put(self, items: Sequence[Item]) -> list[asyncio.Future[Outcome]]:
        """Let items in, in order; return a future for each, done when its batch is.

        Raises:
            ShuttingDown: the server stops; none of the items that were not let in is kept.
        """
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Outcome]] = []
        for item in items:
            if self._is_closing:
                raise ShuttingDown
            future: asyncio.Future[Outcome] = loop.create_future()
            await self._waiting.put((item, future))
            futures.append(future)
        return futures

    async def close(self) -> None:
        """Let nothing more in, finish what waits, and stop."""
        self._is_closing = True
        await self._waiting.join()
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            taken = await self._gather()
            await self._answer(taken)
            for _ in taken:
                self._waiting.task_done()

    async def _gather(self) -> list[tuple[Item, asyncio.Future[Outcome]]]:
        """Take what waits, and give callers that were just answered the time to send what they have next."""
        taken = [await self._waiting.get()]
        while len(taken) < self._batch and not self._waiting.empty():
            taken.append(self._waiting.get_nowait())
        if self._linger and len(taken) < self._last:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._linger):
                    while len(taken) < self._last:
                        taken.append(await self._waiting.get())
        self._last = len(taken)
        return taken

    async def _answer(self, taken: Sequence[tuple[Item, asyncio.Future[Outcome]]]) -> None:
        try:
            outcomes = await self._work([item for item, _ in taken])
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to the callers, and must not end this task
            for _, future in taken:
                if not future.cancelled():
                    future.set_exception(error)
                    future.exception()  # a caller that is gone never asks; that is no defect to warn of
            return
        for (_, future), outcome in zip(taken, outcomes, strict=True):
            if not future.cancelled():
                future.set_result(outcome)
