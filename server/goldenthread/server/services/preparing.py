"""Check, type and prepare records, those of large messages in a process of their own.

Preparing needs no store and takes about a third of a record's work, nearly all of it in Python. In the server's own process it
would compete with committing for the interpreter; in another, it runs beside it. That process is started with the server,
or by the first large message when a setting says so; messages are prepared here while it starts. It gets the tenant's index
key, which blinds and opens nothing.
"""

from __future__ import annotations

import asyncio
import pickle
from functools import lru_cache

import msgspec
from msgspec import Struct

from goldenthread.graph.model import DataModel
from goldenthread.graph.vault import Blinder
from goldenthread.resolver.blocking import BlockingRule
from goldenthread.server.commands.ids import now
from goldenthread.server.commands.prepare_record import PreparedUpsert, Preparing, prepare
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.commands.typed_content import Typing
from goldenthread.server.config import Config
from goldenthread.server.errors import ServerError
from goldenthread.server.limits import check_record_size
from goldenthread.server.services.callers import request_of
from goldenthread.server.services.edge import check, is_valid
from goldenthread.server.services.translate import Reading, content_of, reading
from goldenthread.server.side_process import Answering, SideProcesses
from goldenthread.v1 import record_service_pb2 as pb

__all__ = ["Preparer"]

_LARGE = 64
"""Records of a message from which on sending it to another process is worth it."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[PreparedUpsert | None]).decode


class _Task(Struct, frozen=True, array_like=True):
    """A message to prepare, as it is sent to the other process; `context` is a pickled `_Context`."""

    context: bytes
    message: bytes
    received_at: int
    most_bytes: int


_decode_task = msgspec.msgpack.Decoder(_Task).decode


class _Rules(Struct, frozen=True):
    """The part of a match model that preparing needs."""

    rules: tuple[BlockingRule, ...]


class _Context(Struct, frozen=True):
    """The part of a tenant that preparing needs."""

    vault: Blinder
    data_model: DataModel
    match_model: _Rules
    generation: int
    typing: Typing


class Preparer:
    """Prepare records for all tenants of a server."""

    def __init__(self, config: Config) -> None:
        self._most_bytes = config.max_record_bytes
        self._beside = SideProcesses("preparing", config.prepare_processes, _begin)
        self._contexts: dict[str, tuple[DataModel, object, bytes]] = {}

    @property
    def is_running(self) -> bool:
        """Whether the other process has started: large messages are prepared there from now on."""
        return self._beside.is_running

    def start_soon(self) -> None:
        """Start the processes without waiting; what comes meanwhile is done here."""
        self._beside.start_soon()

    async def start(self) -> None:
        """Start the other process and wait until it runs; without this, the first large message starts it."""
        await self._beside.start()

    def prepare(self, tenant: Tenant, request: pb.UpsertRecordRequest) -> PreparedUpsert | ServerError:
        """Check, type and prepare one record; a bad one is an answer."""
        return _prepare(tenant, request, reading(tenant.data_model, now()), self._most_bytes, is_checked=False)

    async def prepare_all(self, tenant: Tenant, message: pb.BatchUpsertRecordsRequest) -> list[PreparedUpsert | ServerError]:
        """Prepare the records of a message, in order; a bad one is an answer, so that it fails alone."""
        if len(message.requests) >= _LARGE and len(self._beside):
            task = _Task(self._context_of(tenant), message.SerializeToString(), now(), self._most_bytes)
            answer = await self._beside.ask(_encode(task))
            if answer is not None:
                # What is wrong with a bad record is found again here: errors do not travel.
                return [
                    one if one is not None else self.prepare(tenant, request)
                    for one, request in zip(_decode(answer), message.requests, strict=True)
                ]
        return await asyncio.to_thread(_prepare_here, tenant, message, now(), self._most_bytes)

    def _context_of(self, tenant: Tenant) -> bytes:
        known = self._contexts.get(tenant.name)
        if known is not None and known[0] is tenant.data_model and known[1] is tenant.match_model:
            return known[2]
        rules = _Rules(tenant.match_model.rules)
        context = pickle.dumps(_Context(tenant.vault, tenant.data_model, rules, tenant.generation, tenant.typing))
        self._contexts[tenant.name] = (tenant.data_model, tenant.match_model, context)
        return context

    async def close(self) -> None:
        """End the process; nothing may be prepared any more."""
        await self._beside.close()


async def _begin() -> Answering:
    async def answer(message: bytes) -> bytes:
        """Prepare the records of a message; None stands for a bad one."""
        task = _decode_task(message)
        request = pb.BatchUpsertRecordsRequest.FromString(task.message)
        prepared = _prepare_here(_context(task.context), request, task.received_at, task.most_bytes)
        return _encode([one if isinstance(one, PreparedUpsert) else None for one in prepared])

    return answer


@lru_cache(64)
def _context(pickled: bytes) -> _Context:
    context: _Context = pickle.loads(pickled)  # noqa: S301  # of the server's own making
    return context


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
