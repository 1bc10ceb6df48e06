"""RecordService: records in, and out again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import grpc

from goldenthread.server.access import current_caller
from goldenthread.server.commands import Engine
from goldenthread.server.commands.delete_record import delete_record
from goldenthread.server.commands.ids import name_of, parse_name
from goldenthread.server.commands.prepare_record import PreparedUpsert
from goldenthread.server.commands.read_records import BySourceKey, RecordKey, get_record, list_records
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.commands.upsert_records import Upserted
from goldenthread.server.errors import InvalidField, ServerError, status_of
from goldenthread.server.services.callers import calling_tenant, check_parent, request_of
from goldenthread.server.services.edge import check, page_size, page_start, page_token
from goldenthread.server.services.preparing import Preparer
from goldenthread.server.services.translate import micros, moment_of, record_to
from goldenthread.server.sight import Sight
from goldenthread.v1 import record_pb2, record_service_pb2_grpc
from goldenthread.v1 import record_service_pb2 as pb

__all__ = ["RecordService"]

_OPEN_MESSAGES = 8
"""Messages of one stream that are being committed; past that, the next is not read."""

_Pending = tuple[int, list["ServerError | asyncio.Future[Upserted | ServerError]"]]


class RecordService(record_service_pb2_grpc.RecordServiceServicer):
    """Keep what sources say of customers."""

    def __init__(self, engine: Engine, preparer: Preparer) -> None:
        self._engine, self._preparer = engine, preparer

    async def UpsertRecord(  # noqa: N802 - the proto's name
        self,
        request: pb.UpsertRecordRequest,
        context: grpc.aio.ServicerContext[pb.UpsertRecordRequest, pb.UpsertRecordResponse],
    ) -> pb.UpsertRecordResponse:
        tenant = await calling_tenant(self._engine)
        prepared = self._preparer.prepare(tenant, request)
        if isinstance(prepared, ServerError):
            raise prepared
        (future,) = await self._engine.upsert(tenant, [prepared])
        outcome = await future
        if isinstance(outcome, ServerError):
            raise outcome
        return _response(tenant, outcome, await self._hidden(tenant, self._engine.sight_of(current_caller()), [outcome]))

    async def BatchUpsertRecords(  # noqa: N802 - the proto's name
        self,
        request_iterator: AsyncIterator[pb.BatchUpsertRecordsRequest],
        context: grpc.aio.ServicerContext[pb.BatchUpsertRecordsRequest, pb.BatchUpsertRecordsResponse],
    ) -> AsyncIterator[pb.BatchUpsertRecordsResponse]:
        """Read ahead of what is being committed, and answer each message in turn when its last record is durable."""
        tenant, sight = await calling_tenant(self._engine), self._engine.sight_of(current_caller())
        pending: asyncio.Queue[_Pending | None] = asyncio.Queue(_OPEN_MESSAGES)
        reading = asyncio.create_task(self._read(tenant, request_iterator, pending))
        try:
            while (message := await pending.get()) is not None:
                first, waiting = message
                outcomes = [one if isinstance(one, ServerError) else await one for one in waiting]
                yield _answer(tenant, first, outcomes, await self._hidden(tenant, sight, outcomes))
            await reading
        finally:
            reading.cancel()
            while not pending.empty():
                pending.get_nowait()  # it may wait for room, and could not end

    async def _read(
        self,
        tenant: Tenant,
        messages: AsyncIterator[pb.BatchUpsertRecordsRequest],
        pending: asyncio.Queue[_Pending | None],
    ) -> None:
        first = 0
        try:
            async for message in messages:
                check_count(message)
                prepared = await self._preparer.prepare_all(tenant, message)
                good = [one for one in prepared if isinstance(one, PreparedUpsert)]
                futures = iter(await self._engine.upsert(tenant, good))
                await pending.put((first, [one if isinstance(one, ServerError) else next(futures) for one in prepared]))
                first += len(prepared)
        finally:
            await pending.put(None)

    async def _hidden(self, tenant: Tenant, sight: Sight, outcomes: Sequence[Upserted | ServerError]) -> frozenset[bytes]:
        """Find the identities that upserted records belong to and that the caller may not see."""
        if sight.sees_everybody:
            return frozenset()
        whose = sorted({one.identity for one in outcomes if isinstance(one, Upserted) and one.identity})
        async with self._engine.reader(tenant) as reader:
            return frozenset(whose) - await sight.identities(reader, whose)

    async def GetRecord(  # noqa: N802 - the proto's name
        self, request: pb.GetRecordRequest, context: grpc.aio.ServicerContext[pb.GetRecordRequest, pb.GetRecordResponse]
    ) -> pb.GetRecordResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        key = _key(tenant, request)
        moment, sight = moment_of(request.as_of), self._engine.sight_of(current_caller())
        found = await get_record(self._engine, tenant, key, moment, sight, with_history=request.include_history)
        return pb.GetRecordResponse(
            record=record_to(tenant.name, found.current),
            history=[record_to(tenant.name, view) for view in found.earlier],
            history_was_cut=found.was_cut,
        )

    async def DeleteRecord(  # noqa: N802 - the proto's name
        self,
        request: pb.DeleteRecordRequest,
        context: grpc.aio.ServicerContext[pb.DeleteRecordRequest, pb.DeleteRecordResponse],
    ) -> pb.DeleteRecordResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        observed_at = micros(request.observed_at, "observed_at") if request.HasField("observed_at") else 0
        deleted = await delete_record(
            self._engine,
            tenant,
            _key(tenant, request),
            observed_at,
            request_of(request, request.request_id),
            self._engine.sight_of(current_caller()),
        )
        return pb.DeleteRecordResponse(record=name_of(tenant.name, "records", deleted.record), revision=deleted.revision)

    async def ListRecords(  # noqa: N802 - the proto's name
        self, request: pb.ListRecordsRequest, context: grpc.aio.ServicerContext[pb.ListRecordsRequest, pb.ListRecordsResponse]
    ) -> pb.ListRecordsResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.parent)
        views, after = await list_records(
            self._engine,
            tenant,
            page_start(request.page_token),
            page_size(request.page_size),
            request.source,
            moment_of(request.as_of),
            self._engine.sight_of(current_caller()),
        )
        return pb.ListRecordsResponse(
            records=[record_to(tenant.name, view) for view in views], next_page_token=page_token(after)
        )


def check_count(message: pb.BatchUpsertRecordsRequest) -> None:
    """Hold a message of the stream to its number of records; each record is checked by itself.

    Raises:
        InvalidField: it has too many.
    """
    if len(message.requests) > 1_000:
        raise InvalidField("requests", "must hold no more than 1,000 records a message")


def _key(tenant: Tenant, request: pb.GetRecordRequest | pb.DeleteRecordRequest) -> RecordKey:
    if request.WhichOneof("key") == "source_key":
        return source_key_of(request.source_key)
    return parse_name(tenant.name, request.name, "records")[1]


def source_key_of(key: record_pb2.SourceKey) -> BySourceKey:
    """Read a record's own id at its source."""
    return BySourceKey(key.source, key.source_record_id)


def _response(tenant: Tenant, upserted: Upserted, hidden: frozenset[bytes]) -> pb.UpsertRecordResponse:
    is_told = upserted.identity and upserted.identity not in hidden
    return pb.UpsertRecordResponse(
        record=name_of(tenant.name, "records", upserted.record),
        identity=name_of(tenant.name, "identities", upserted.identity) if is_told else "",
        revision=upserted.revision,
        changed=upserted.changed,
    )


def _answer(
    tenant: Tenant, first: int, outcomes: Sequence[Upserted | ServerError], hidden: frozenset[bytes]
) -> pb.BatchUpsertRecordsResponse:
    response = pb.BatchUpsertRecordsResponse()
    for index, outcome in enumerate(outcomes, first):
        result = response.results.add(index=index)
        if isinstance(outcome, ServerError):
            result.error.CopyFrom(status_of(outcome))
        else:
            result.response.CopyFrom(_response(tenant, outcome, hidden))
    return response
