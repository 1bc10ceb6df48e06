"""Run work in processes beside the server: messages of bytes go there, a few at a time to each, and are answered.

Python runs one thread at a time, so work that would hold up every caller gets an interpreter of its own. The two speak over a
socket pair; when one of them is gone, however it ended, the other sees the end of it: the process ends with the server.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from goldenthread.server.logs import logger

__all__ = ["AT_A_TIME", "Answering", "Begin", "SideProcess", "SideProcessEnded", "SideProcesses"]

_log = logger()

_SIZE_BYTES = 4
_NUMBER_BYTES = 8
AT_A_TIME = 2
"""Messages that a process has at the same time: while one of them waits for a store, the other is worked on."""
_GC_THRESHOLDS = (2_000, 200, 50)
"""Look for garbage often but only among what is new: a Neo4j driver's sessions are cyclic, and who asked waits meanwhile."""

Answering = Callable[[bytes], Awaitable[bytes]]
"""Answers a message."""
Begin = Callable[..., Awaitable[Answering]]
"""Opens what answering needs, in the process that answers."""

_GONE = (OSError, asyncio.IncompleteReadError)
"""What says that the other side is gone."""


class SideProcessEnded(Exception):
    """The process ended, and with it what it was asked; ask again elsewhere."""


class SideProcess:
    """One process beside the server."""

    def __init__(self, process: SpawnProcess, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._process, self._reader, self._writer = process, reader, writer
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[bytes]] = {}
        self._has_ended = False
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, begin: Begin, *arguments: object) -> SideProcess:
        """Start a process and wait until it answers.

        There `begin(*arguments)` opens what is needed and gives the function that answers messages; all must be picklable.

        Raises:
            SideProcessEnded: it could not begin; what stopped it is on its standard error.
        """
        ours, theirs = Pipe(duplex=True)
        process = get_context("spawn").Process(target=_live, args=(theirs, begin, arguments), daemon=True)
        await asyncio.to_thread(process.start)
        theirs.close()
        reader, writer = await asyncio.open_connection(sock=_socket_of(ours))
        try:
            await _receive(reader)
        except _GONE:
            writer.close()
            await _joined(process)
            raise SideProcessEnded from None
        return cls(process, reader, writer)

    async def ask(self, message: bytes) -> bytes:
        """Send a message and wait for its answer.

        Raises:
            SideProcessEnded: the process ended before it answered.
        """
        if self._has_ended:
            raise SideProcessEnded
        number = next(self._numbers)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            await _send(self._writer, number, message)
            return await answer
        except OSError:
            raise SideProcessEnded from None
        finally:
            del self._asked[number]

    async def close(self) -> None:
        """End the process and wait for it."""
        self._writer.close()
        await asyncio.wait([self._listening])
        await _joined(self._process)

    async def kill(self) -> None:
        """End the process at once, whatever it is doing."""
        self._process.kill()
        await self.close()

    async def _listen(self) -> None:
        """Hand every answer to who waits for it, until the process is gone."""
        try:
            while True:
                number, message = await _receive(self._reader)
                if (answer := self._asked.get(number)) is not None and not answer.done():
                    answer.set_result(message)
        except _GONE:
            self._has_ended = True
            for answer in self._asked.values():
                if not answer.done():
                    answer.set_exception(SideProcessEnded())


class SideProcesses:
    """Processes for one kind of work, started when it first comes, if not before, and again when one ended."""

    def __init__(self, work: str, count: int, begin: Begin, *arguments: object) -> None:
        """Name the work in a word, for logs; with a count of 0 there is no process, and nothing is answered."""
        self._work, self._begin, self._arguments = work, begin, arguments
        self._slots = [_Slot() for _ in range(count)]
        self._exchanges: set[asyncio.Future[bytes | None]] = set()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def is_running(self) -> bool:
        """Whether all of them have started."""
        return bool(self._slots) and all(slot.process is not None for slot in self._slots)

    def start_soon(self) -> None:
        """Start them, and don't wait for it."""
        for slot in self._slots:
            self._start_soon(slot)

    async def start(self) -> None:
        """Start them and wait until they answer."""
        self.start_soon()
        await asyncio.gather(*(slot.starting for slot in self._slots if slot.starting is not None))

    async def ask(self, message: bytes) -> bytes | None:
        """Let the process answer that has the least to do; None while it starts, and when it ended meanwhile."""
        if not self._slots or self._is_closed:
            return None
        slot = min(self._slots, key=lambda one: one.waiting)
        if slot.process is None:
            self._start_soon(slot)
            return None
        exchange = asyncio.ensure_future(self._exchange(slot, message))
        self._exchanges.add(exchange)
        exchange.add_done_callback(self._exchanges.discard)
        # What a caller asked that leaves is worked on all the same, and keeps its turn until it is done.
        return await asyncio.shield(exchange)

    async def _exchange(self, slot: _Slot, message: bytes) -> bytes | None:
        slot.waiting += 1
        try:
            async with slot.turn:
                process = slot.process
                if process is None:
                    return None
                try:
                    return await process.ask(message)
                except SideProcessEnded:
                    if slot.process is process:
                        _log.warning("a process beside the server ended; another is started", work=self._work)
                        slot.process = slot.starting = None
                        await process.close()
                    return None
        finally:
            slot.waiting -= 1

    async def close(self) -> None:
        """Wait for what was asked and end the processes."""
        self._is_closed = True
        for slot in self._slots:
            if slot.starting is not None:
                await slot.starting
            if self._exchanges:
                await asyncio.wait(self._exchanges)
            if slot.process is not None:
                await slot.process.close()
                slot.process = None

    def _start_soon(self, slot: _Slot) -> None:
        if slot.starting is None:
            slot.starting = asyncio.create_task(self._start(slot))

    async def _start(self, slot: _Slot) -> None:
        try:
            slot.process = await SideProcess.start(self._begin, *self._arguments)
        except SideProcessEnded:
            _log.warning("a process beside the server could not start; the server does its work", work=self._work)


class _Slot:
    """The place of one process: itself when it answers, and how many messages are for it."""

    def __init__(self) -> None:
        self.process: SideProcess | None = None
        self.starting: asyncio.Task[None] | None = None
        self.turn = asyncio.Semaphore(AT_A_TIME)
        self.waiting = 0


def _live(connection: Connection, begin: Begin, arguments: tuple[object, ...]) -> None:
    """Be the process: an interrupt at the terminal is the server's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    if sys.platform == "win32":
        asyncio.run(_answer_all(connection, begin, arguments))
    else:
        import uvloop

        uvloop.run(_answer_all(connection, begin, arguments))


async def _answer_all(connection: Connection, begin: Begin, arguments: tuple[object, ...]) -> None:
    reader, writer = await asyncio.open_connection(sock=_socket_of(connection))
    answer = await begin(*arguments)

    async def reply(number: int, message: bytes) -> None:
        await _send(writer, number, await answer(message))

    try:
        await _send(writer, 0, b"")
        async with asyncio.TaskGroup() as replies:
            while True:
                replies.create_task(reply(*await _receive(reader)))
    except* _GONE:
        pass  # the server is gone or wants no more


async def _joined(process: SpawnProcess) -> None:
    await asyncio.to_thread(process.join)
    process.close()


def _socket_of(connection: Connection) -> socket.socket:
    """Take over the socket of one end of a duplex pipe."""
    taken = socket.socket(fileno=socket.dup(connection.fileno()))
    connection.close()
    return taken


async def _send(writer: asyncio.StreamWriter, number: int, message: bytes) -> None:
    head = len(message).to_bytes(_SIZE_BYTES, "big") + number.to_bytes(_NUMBER_BYTES, "big")
    writer.write(head + message)
    await writer.drain()


async def _receive(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readexactly(_SIZE_BYTES + _NUMBER_BYTES)
    return int.from_bytes(head[_SIZE_BYTES:], "big"), await reader.readexactly(int.from_bytes(head[:_SIZE_BYTES], "big"))
