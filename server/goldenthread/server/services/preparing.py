"""Check, type and prepare records, those of large messages in a process of their own.

Preparing needs no store and takes about a third of a record's work, nearly all of it in Python. In the server's own process it
would compete with committing for the interpreter; in another, it runs beside it. That process is started by the first large
message, which is prepared here while it starts, and it ends with the server, however that ends. It gets the tenant's index
key, which blinds and opens nothing.
"""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from multiprocessing import connection, get_context, parent_process

import msgspec
from msgspec import Struct

from goldenthread.graph.model import DataModel
from goldenthread.graph.vault import Blinder
from goldenthread.resolver.blocking import BlockingRule
from goldenthread.server.commands.ids import now
from goldenthread.server.commands.prepare_record import PreparedUpsert, Preparing, prepare
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.config import Config
from goldenthread.server.errors import ServerError
from goldenthread.server.limits import check_record_size
from goldenthread.server.logs import logger
from goldenthread.server.services.callers import request_of
from goldenthread.server.services.edge import check, is_valid
from goldenthread.server.services.translate import Reading, content_of, reading
from goldenthread.v1 import record_service_pb2 as pb

__all__ = ["Preparer"]

_log = logger()
_LARGE = 64
"""Records of a message from which on sending it to another process is worth it."""
_GC_THRESHOLD = 200_000
"""As in the server: next to nothing of what is allocated here is cyclic."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[PreparedUpsert | None]).decode


class _Rules(Struct, frozen=True):
    """The part of a match model that preparing needs."""

    rules: tuple[BlockingRule, ...]


class _Context(Struct, frozen=True):
    """The part of a tenant that preparing needs."""

    vault: Blinder
    data_model: DataModel
    match_model: _Rules
    generation: int


class Preparer:
    """Prepare records for all tenants of a server."""

    def __init__(self, config: Config) -> None:
        self._most_bytes = config.max_record_bytes
        self._processes = config.prepare_processes
        self._pool: ProcessPoolExecutor | None = None
        self._started: Future[int] | None = None
        self._contexts: dict[str, tuple[DataModel, object, bytes]] = {}

    @property
    def is_running(self) -> bool:
        """Whether the other process has started: large messages are prepared there from now on."""
        return self._started is not None and self._started.done()

    async def start(self) -> None:
        """Start the other process and wait until it runs; without this, the first large message starts it."""
        await asyncio.wrap_future(self._start())

    def prepare(self, tenant: Tenant, request: pb.UpsertRecordRequest) -> PreparedUpsert | ServerError:
        """Check, type and prepare one record; a bad one is an answer."""
        return _prepare(tenant, request, reading(tenant.data_model, now()), self._most_bytes, is_checked=False)

    async def prepare_all(self, tenant: Tenant, message: pb.BatchUpsertRecordsRequest) -> list[PreparedUpsert | ServerError]:
        """Prepare the records of a message, in order; a bad one is an answer, so that it fails alone."""
        if len(message.requests) >= _LARGE and self._processes:
            try:
                found = await self._prepare_elsewhere(tenant, message)
            except BrokenProcessPool:
                _log.warning("the preparing process ended; another is started")
                self._pool = self._started = None
                found = None
            if found is not None:
                # What is wrong with a bad record is found again here: errors do not travel.
                return [
                    one if one is not None else self.prepare(tenant, request)
                    for one, request in zip(found, message.requests, strict=True)
                ]
        return await asyncio.to_thread(_prepare_here, tenant, message, now(), self._most_bytes)

    async def _prepare_elsewhere(
        self, tenant: Tenant, message: pb.BatchUpsertRecordsRequest
    ) -> Sequence[PreparedUpsert | None] | None:
        """Prepare in the other process; None while it starts."""
        if not self._start().done() or self._pool is None:
            return None
        work = self._pool.submit(
            _prepare_in_process, self._context_of(tenant), message.SerializeToString(), now(), self._most_bytes
        )
        prepared: bytes = await asyncio.wrap_future(work)
        return _decode(prepared)

    def _start(self) -> Future[int]:
        if self._started is None:
            self._pool = ProcessPoolExecutor(self._processes, get_context("spawn"), _begin)
            self._started = self._pool.submit(os.getpid)
        return self._started

    def _context_of(self, tenant: Tenant) -> bytes:
        known = self._contexts.get(tenant.name)
        if known is not None and known[0] is tenant.data_model and known[1] is tenant.match_model:
            return known[2]
        context = pickle.dumps(_Context(tenant.vault, tenant.data_model, _Rules(tenant.match_model.rules), tenant.generation))
        self._contexts[tenant.name] = (tenant.data_model, tenant.match_model, context)
        return context

    async def close(self) -> None:
        """End the process; nothing may be prepared any more."""
        if self._pool is not None:
            await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)


def _begin() -> None:
    """Begin the process: an interrupt at the terminal is the server's to handle, and without the server it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD, 20, 50)
    server = parent_process()
    assert server is not None  # a spawned process has one

    def follow() -> None:
        connection.wait([server.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


@lru_cache(64)
def _context(pickled: bytes) -> _Context:
    context: _Context = pickle.loads(pickled)  # noqa: S301  # of the server's own making
    return context


def _prepare_in_process(context: bytes, message: bytes, received_at: int, most_bytes: int) -> bytes:
    """Prepare the records of a serialised message; None stands for a bad one."""
    tenant = _context(context)
    prepared = _prepare_here(tenant, pb.BatchUpsertRecordsRequest.FromString(message), received_at, most_bytes)
    return _encode([one if isinstance(one, PreparedUpsert) else None for one in prepared])


def _prepare_here(
    tenant: Preparing, message: pb.BatchUpsertRecordsRequest, received_at: int, most_bytes: int
) -> list[PreparedUpsert | ServerError]:
    how = reading(tenant.data_model, received_at)
    is_checked = is_valid(message)
    return [_prepare(tenant, request, how, most_bytes, is_checked=is_checked) for request in message.requests]


def _prepare(
    tenant: Preparing, request: pb.UpsertRecordRequest, how: Reading, most_bytes: int, *, is_checked: bool
) -> PreparedUpsert | ServerError:
    try:
        check_record_size(request.record, most_bytes)
        if not is_checked:
            check(request)
        content = content_of(request.record, how)
    except ServerError as error:
        return error
    body = request_of(request, request.request_id).body if request.request_id else b""
    return prepare(tenant, content, request.record.HasField("observed_at"), request.request_id, body)
