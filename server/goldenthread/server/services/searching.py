"""Search by attributes: those of concurrent callers in one go, in a process of their own.

A search costs several times what receiving it does, nearly all of it in Python. In the server's own process it would hold up
every other call; in another, it runs beside them. That process is started with the server, or by the first search when a
setting says so; searches are answered here while it starts. It reads the store and the keys, writes neither, and ends with the
server. It knows no callers: searches of one who may not see everybody are answered here, one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from goldenthread.graph.store import Capability
from goldenthread.graph.vault import open_vault
from goldenthread.server.commands import Engine
from goldenthread.server.commands.as_of import read_at
from goldenthread.server.commands.ids import name_of, now
from goldenthread.server.commands.resolve_record import Resolved, Search, resolve_record, search_for
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.commands.together import Together
from goldenthread.server.config import Config
from goldenthread.server.errors import ServerError
from goldenthread.server.logs import configure_logs, logger
from goldenthread.server.services.callers import check_parent
from goldenthread.server.services.edge import check
from goldenthread.server.services.translate import attributes_of, match_to, moment_of, reading
from goldenthread.server.side_process import AT_A_TIME, Answering, SideProcesses
from goldenthread.server.sight import EVERYBODY, Sight
from goldenthread.server.stores import open_store
from goldenthread.v1 import resolution_service_pb2 as pb

__all__ = ["Searcher"]

_log = logger()
_MAX_CANDIDATES = 100
_TOGETHER = 64
"""Searches that are answered in one go at most."""
_LINGER_MS = 1.0
"""How long searches of a store away wait for others, in milliseconds."""


class _Asked(Struct, frozen=True, array_like=True):
    """A search as it is sent to the other process, with the models it is to be answered by."""

    tenant: str
    models: bytes
    request: bytes


_Answers = list[bytes | None]
"""Responses; None stands for a bad request, whose error is found again here: errors do not travel."""

_encode = msgspec.msgpack.Encoder().encode
_decode_asked = msgspec.msgpack.Decoder(list[_Asked]).decode
_decode_answers = msgspec.msgpack.Decoder(_Answers).decode


class Searcher:
    """Answer the searches of a server's callers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        count = engine.config.search_processes
        self._beside = SideProcesses("searching", count, _begin, engine.config)
        # While one batch is answered there, the next gathers and leaves; unless each question to the store is a round trip,
        # which costs more than the waiting for a batch of everybody.
        lines, linger_ms = (AT_A_TIME, 0) if Capability.EMBEDDED in engine.store.capabilities else (1, _LINGER_MS)
        self._there = [Together(self._ask, batch=_TOGETHER, linger_ms=linger_ms) for _ in range(count * lines)]
        self._here: dict[str, Together[pb.ResolveRecordRequest, pb.ResolveRecordResponse | ServerError]] = {}
        self._asked = 0

    def start_soon(self) -> None:
        """Start the processes without waiting; what comes meanwhile is done here."""
        self._beside.start_soon()

    async def start(self) -> None:
        """Start the processes and wait until they answer; without this, the first searches start them."""
        await self._beside.start()

    async def resolve(self, tenant: Tenant, request: pb.ResolveRecordRequest, sight: Sight) -> pb.ResolveRecordResponse:
        """Answer one search, as if there were nobody whom the caller may not see.

        Raises:
            InvalidField, NotFound: what is asked is wrong.
        """
        if not sight.sees_everybody:
            (found,) = await _resolve_all(self._engine, tenant, [request], sight)
            return _or_raise(found)
        if not self._there:
            return await self._resolve_here(tenant, request)
        self._asked += 1
        together = self._there[self._asked % len(self._there)]
        (waiting,) = await together.put([_Asked(tenant.name, tenant.models_mark, request.SerializeToString())])
        answer, was_asked = await waiting
        if answer is not None:
            return pb.ResolveRecordResponse.FromString(answer)
        response = await self._resolve_here(tenant, request)
        if was_asked:
            _log.warning("a search was answered in the server after it failed beside it")
        return response

    async def _ask(self, asked: list[_Asked]) -> list[tuple[bytes | None, bool]]:
        """Give each search's answer, and whether a process looked at it."""
        message = await self._beside.ask(_encode(asked))
        return [(None, False)] * len(asked) if message is None else [(one, True) for one in _decode_answers(message)]

    async def _resolve_here(self, tenant: Tenant, request: pb.ResolveRecordRequest) -> pb.ResolveRecordResponse:
        together = self._here.get(tenant.name)
        if together is None:

            async def answer(
                requests: list[pb.ResolveRecordRequest],
            ) -> Sequence[pb.ResolveRecordResponse | ServerError]:
                return await _resolve_all(self._engine, tenant, requests, EVERYBODY)

            together = self._here[tenant.name] = Together(answer, batch=_TOGETHER, linger_ms=0)
        (waiting,) = await together.put([request])
        return _or_raise(await waiting)

    async def close(self) -> None:
        """Answer what waits, and end the processes."""
        await asyncio.gather(*(one.close() for one in self._there), *(one.close() for one in self._here.values()))
        await self._beside.close()


async def _begin(config: Config) -> Answering:
    """Open, in the other process, what searching reads."""
    configure_logs(config)
    vault = await open_vault(config.data / "keys", key_file=config.root_key_file)
    engine = await Engine.open(await open_store(config.store_url, reads_only=True), vault, config)

    async def answer(message: bytes) -> bytes:
        asked = _decode_asked(message)
        try:
            return _encode(await _answer_all(engine, asked))
        except Exception as error:  # noqa: BLE001 - the server answers these itself, and meets what is wrong
            _log.warning("searches failed beside the server", error=type(error).__name__)
            return _encode([None] * len(asked))

    return answer


async def _answer_all(engine: Engine, asked: Sequence[_Asked]) -> _Answers:
    answers: _Answers = [None] * len(asked)
    by_tenant: dict[tuple[str, bytes], list[int]] = {}
    for place, one in enumerate(asked):
        by_tenant.setdefault((one.tenant, one.models), []).append(place)
    for (name, models), places in by_tenant.items():
        tenant = await engine.tenant(name)
        if tenant.models_mark != models:
            tenant = await engine.open_again(name)
        requests = [pb.ResolveRecordRequest.FromString(asked[place].request) for place in places]
        for place, response in zip(places, await _resolve_all(engine, tenant, requests, EVERYBODY), strict=True):
            if not isinstance(response, ServerError):
                answers[place] = response.SerializeToString()
    return answers


async def _resolve_all(
    engine: Engine, tenant: Tenant, requests: Sequence[pb.ResolveRecordRequest], sight: Sight
) -> list[pb.ResolveRecordResponse | ServerError]:
    """Answer searches of one tenant, those of the present in one read; a bad one is an answer, so that it fails alone."""
    answers: dict[int, pb.ResolveRecordResponse | ServerError] = {}
    present: list[tuple[int, Search]] = []
    for place, request in enumerate(requests):
        try:
            check(request)
            check_parent(tenant, request.parent)
            attributes = attributes_of(request.attributes, reading(tenant.data_model, now()))
            most = min(request.max_candidates or 10, _MAX_CANDIDATES)
            search = search_for(tenant, attributes, most, request.min_probability)
            moment = moment_of(request.as_of)
            if moment is None:
                present.append((place, search))
                continue
            async with read_at(engine, tenant, moment) as reader:
                answers[place] = _response(tenant, (await resolve_record(reader, tenant, [search], sight))[0])
        except ServerError as error:
            answers[place] = error
    if present:
        async with engine.reader(tenant) as reader:
            found = await resolve_record(reader, tenant, [search for _, search in present], sight)
        answers.update((place, _response(tenant, one)) for (place, _), one in zip(present, found, strict=True))
    return [answers[place] for place in range(len(requests))]


def _or_raise(answered: pb.ResolveRecordResponse | ServerError) -> pb.ResolveRecordResponse:
    if isinstance(answered, ServerError):
        raise answered
    return answered


def _response(tenant: Tenant, resolved: Resolved) -> pb.ResolveRecordResponse:
    return pb.ResolveRecordResponse(
        identity=name_of(tenant.name, "identities", resolved.identity) if resolved.identity else "",
        candidates=[
            pb.Candidate(
                identity=name_of(tenant.name, "identities", found.identity),
                record=name_of(tenant.name, "records", found.record),
                match=match_to(tenant.match_model, found.explanation),
            )
            for found in resolved.candidates
        ],
        revision=resolved.revision,
    )
