"""Call the service from asyncio: `AsyncClient`."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import random
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeAlias, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from goldenthread.client import errors
from goldenthread.client.connection import DEFAULT_TARGET, Tls, channel_options, credentials, metadata, tenant_of
from goldenthread.client.decisions import AsyncDecisions
from goldenthread.client.following import Events, Following, cursor_of
from goldenthread.client.households import AsyncHouseholds
from goldenthread.client.jobs import AsyncJobs
from goldenthread.client.models import AsyncModels
from goldenthread.client.record import AttributeInput, IdentifierKey, Record, SourceKey
from goldenthread.client.requests import AsOf, Requests, upsert
from goldenthread.client.retry import Retry
from goldenthread.client.review import AsyncReview
from goldenthread.client.window import Chunk, ChunkBuilder, UpsertResult, Window, message_of
from goldenthread.v1 import (
    decision_service_pb2_grpc,
    event_service_pb2,
    event_service_pb2_grpc,
    explore_service_pb2,
    explore_service_pb2_grpc,
    golden_record_service_pb2,
    golden_record_service_pb2_grpc,
    guard_rails_service_pb2,
    guard_rails_service_pb2_grpc,
    job_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
    record_pb2,
    record_service_pb2,
    record_service_pb2_grpc,
    resolution_service_pb2,
    resolution_service_pb2_grpc,
    review_service_pb2_grpc,
)

__all__ = ["AsyncClient"]

Q = TypeVar("Q")
A = TypeVar("A")

SERVING = 1
"""HealthCheckResponse.SERVING; the package brings no types."""
_Stream: TypeAlias = (
    "grpc.aio.StreamStreamCall[record_service_pb2.BatchUpsertRecordsRequest, record_service_pb2.BatchUpsertRecordsResponse]"
)


class AsyncClient(AsyncDecisions, AsyncHouseholds, AsyncJobs, AsyncModels, AsyncReview):
    """A connection to one tenant of a server.

    Safe to share between tasks of one event loop. Every call has a deadline; retryable failures are tried again with the
    same request id, so a write is never done twice. Does not check what the server checks.

        async with AsyncClient("127.0.0.1:7461", token=token) as client:
            await client.upsert_record(Record("crm", "42", {"email": "ann@example.org"}))

    Every method raises a GoldenThreadError (see `goldenthread.client.errors`).
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        token: str | None = None,
        tenant: str | None = None,
        tls: Tls | None = None,
        timeout_seconds: float = 30.0,
        retry: Retry | None = None,
    ) -> None:
        self.target = target
        self.tenant = tenant or tenant_of(token)
        self._requests = Requests(self.tenant)
        self._metadata = metadata(token)
        self._timeout_seconds = timeout_seconds
        self._retry = retry or Retry()
        self._chance = random.Random()  # noqa: S311 - spreads retries, protects nothing
        options = channel_options(tls)
        if tls:
            self._channel = grpc.aio.secure_channel(target, credentials(tls), options)
        else:
            self._channel = grpc.aio.insecure_channel(target, options)
        self._records = record_service_pb2_grpc.RecordServiceStub(self._channel)
        self._resolution = resolution_service_pb2_grpc.ResolutionServiceStub(self._channel)
        self._events = event_service_pb2_grpc.EventServiceStub(self._channel)
        self._decisions = decision_service_pb2_grpc.DecisionServiceStub(self._channel)
        self._golden = golden_record_service_pb2_grpc.GoldenRecordServiceStub(self._channel)
        self._explore = explore_service_pb2_grpc.ExploreServiceStub(self._channel)
        self._health = health_pb2_grpc.HealthStub(self._channel)
        self._jobs = job_service_pb2_grpc.JobServiceStub(self._channel)
        self._review = review_service_pb2_grpc.ReviewServiceStub(self._channel)
        self._guards = guard_rails_service_pb2_grpc.GuardRailsServiceStub(self._channel)
        self._model = model_service_pb2_grpc.ModelServiceStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls under way are cancelled."""
        await self._channel.close()

    async def wait_until_ready(self, timeout_seconds: float) -> None:
        """Wait until the server accepts connections.

        Raises ServerUnreachable when it does not within the time.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._channel.channel_ready()
        except TimeoutError:
            raise errors.unreachable(self.target) from None

    async def is_serving(self) -> bool:
        """Say whether the server is well, its store included, by the standard health protocol."""
        answer = await self._call(self._health.Check, health_pb2.HealthCheckRequest())
        status: int = answer.status
        return status == SERVING

    # Records

    async def upsert_record(self, record: Record, *, request_id: str | None = None) -> record_service_pb2.UpsertRecordResponse:
        """Put one record and resolve it; durable when it returns."""
        return await self._call(self._records.UpsertRecord, upsert(record, request_id))

    async def upsert_records(self, records: Iterable[Record] | AsyncIterable[Record]) -> list[UpsertResult]:
        """Put some records and return what became of each, in order; for many, iterate over `upsert_stream` instead."""
        return [result async for result in self.upsert_stream(records)]

    async def upsert_stream(
        self,
        records: Iterable[Record] | AsyncIterable[Record],
        *,
        request_id_of: Callable[[int, Record], str] | None = None,
        records_per_chunk: int = 500,
        max_chunks_in_flight: int = 8,
    ) -> AsyncIterator[UpsertResult]:
        """Put any number of records over one stream; yield what became of each, in order, as it becomes durable.

        A bad record fails alone. A broken connection is taken up again: what was not acknowledged is sent once more with the
        same request ids. Memory stays flat, because `records` is read only as answers come in. `request_id_of` may give
        a record (by its index) an id of its own, so that even a later run does nothing twice.
        """
        window = Window(max_chunks_in_flight)
        chunks = _chunks(records, ChunkBuilder(records_per_chunk, request_id_of))
        failures = 0
        exhausted = False
        while True:
            outbox: asyncio.Queue[record_service_pb2.BatchUpsertRecordsRequest | None] = asyncio.Queue()
            for message in window.unanswered():
                outbox.put_nowait(message)
            if exhausted:
                outbox.put_nowait(None)
            call: _Stream | None = None
            try:
                while True:
                    while window.has_room and not exhausted:
                        chunk = await anext(chunks, None)
                        if chunk is None:
                            exhausted = True
                            outbox.put_nowait(None)
                            break
                        window.put(chunk)
                        if chunk.requests:
                            outbox.put_nowait(message_of(chunk))
                    for result in window.settle_refused():
                        yield result
                    if window.is_empty:
                        if exhausted:
                            await _drain(call)
                            return
                        continue
                    if call is None:
                        call = self._records.BatchUpsertRecords(_messages(outbox), metadata=self._metadata)
                    try:
                        answer = await call.read()
                    except grpc.aio.AioRpcError as error:
                        raise self._error_of(error) from error
                    if not isinstance(answer, record_service_pb2.BatchUpsertRecordsResponse):
                        # The server closed the stream before it had answered everything, as one does that drains.
                        raise errors.ShuttingDown("The server ended the stream early.", code=grpc.StatusCode.UNAVAILABLE)
                    settled = window.settle(answer.results)
                    failures = 0
                    for result in settled:
                        yield result
            except errors.Retryable as error:
                failures += 1
                wait_seconds = self._retry.wait_seconds(failures, error, self._chance)
                if wait_seconds is None:
                    raise
                await asyncio.sleep(wait_seconds)
            finally:
                if call is not None:
                    call.cancel()

    async def get_record(
        self, key: str | SourceKey, *, as_of: AsOf = None, include_history: bool = False
    ) -> record_service_pb2.GetRecordResponse:
        """Return one record, by name or by its source's own id."""
        return await self._call(self._records.GetRecord, self._requests.get_record(key, as_of, include_history))

    async def delete_record(
        self, key: str | SourceKey, *, observed_at: dt.datetime | None = None, request_id: str | None = None
    ) -> record_service_pb2.DeleteRecordResponse:
        """Delete a record with its history and destroy its keys."""
        return await self._call(self._records.DeleteRecord, self._requests.delete_record(key, observed_at, request_id))

    async def list_records(
        self, *, source: str = "", page_size: int = 500, as_of: AsOf = None
    ) -> AsyncIterator[record_pb2.Record]:
        """Yield records in a stable order, page by page."""
        page_token = ""
        while True:
            page = await self._call(
                self._records.ListRecords, self._requests.list_records(source, page_size, page_token, as_of)
            )
            for record in page.records:
                yield record
            page_token = page.next_page_token
            if not page_token:
                return

    # Identities

    async def resolve_record(
        self,
        attributes: Mapping[str, AttributeInput],
        *,
        max_candidates: int = 10,
        min_probability: float = 0.0,
        as_of: AsOf = None,
    ) -> resolution_service_pb2.ResolveRecordResponse:
        """Say who somebody is by what is known of them; stores nothing."""
        request = self._requests.resolve_record(attributes, max_candidates, min_probability, as_of)
        return await self._call(self._resolution.ResolveRecord, request)

    async def get_identity(
        self,
        name: str | None = None,
        *,
        record: str | None = None,
        source_key: SourceKey | None = None,
        identifier: IdentifierKey | None = None,
        as_of: AsOf = None,
    ) -> resolution_service_pb2.GetIdentityResponse:
        """Return an identity by its name, one of its records, a source's own id or an identifier.

        Raises ValueError when none or several keys are given.
        """
        request = self._requests.get_identity(name, record, source_key, identifier, as_of)
        return await self._call(self._resolution.GetIdentity, request)

    async def list_identities(
        self, *, min_records: int = 0, page_size: int = 500, as_of: AsOf = None
    ) -> AsyncIterator[resolution_service_pb2.Identity]:
        """Yield identities in a stable order, page by page."""
        page_token = ""
        while True:
            request = self._requests.list_identities(min_records, page_size, page_token, as_of)
            page = await self._call(self._resolution.ListIdentities, request)
            for identity in page.identities:
                yield identity
            page_token = page.next_page_token
            if not page_token:
                return

    async def explain_match(self, left: str, right: str, *, as_of: AsOf = None) -> resolution_service_pb2.ExplainMatchResponse:
        """Explain why two records or identities match or do not, by whole names."""
        return await self._call(self._resolution.ExplainMatch, self._requests.explain_match(left, right, as_of))

    async def explain_identity(
        self, name: str, *, without_records: Sequence[str] = (), without_decision: str = "", as_of: AsOf = None
    ) -> resolution_service_pb2.ExplainIdentityResponse:
        """Explain how an identity came to be and what holds it together; say who would be one without records or a decision."""
        request = self._requests.explain_identity(name, without_records, without_decision, as_of)
        return await self._call(self._resolution.ExplainIdentity, request)

    async def get_identity_lineage(
        self, name: str, *, page_size: int = 1000, page_token: str = "", as_of: AsOf = None
    ) -> resolution_service_pb2.GetIdentityLineageResponse:
        """Return the history of an identity's name, the oldest steps first."""
        request = self._requests.get_identity_lineage(name, page_size, page_token, as_of)
        return await self._call(self._resolution.GetIdentityLineage, request)

    async def merge_identities(
        self,
        names: Sequence[str],
        *,
        reason: str,
        request_id: str | None = None,
        validate_only: bool = False,
        expire_time: dt.datetime | None = None,
        overrides_veto: bool = False,
    ) -> resolution_service_pb2.MergeIdentitiesResponse:
        """Merge identities by a steward's decision; with `validate_only` only say what would come of it."""
        request = self._requests.merge_identities(names, reason, request_id, validate_only, expire_time, overrides_veto)
        return await self._call(self._resolution.MergeIdentities, request)

    async def split_identity(
        self,
        name: str,
        records: Sequence[str],
        *,
        reason: str,
        request_id: str | None = None,
        validate_only: bool = False,
        expire_time: dt.datetime | None = None,
    ) -> resolution_service_pb2.SplitIdentityResponse:
        """Split records off an identity by a steward's decision; with `validate_only` only say what would come of it."""
        request = self._requests.split_identity(name, records, reason, request_id, validate_only, expire_time)
        return await self._call(self._resolution.SplitIdentity, request)

    # Golden records

    async def get_golden_record(
        self, name: str, *, purpose: str = "", as_of: AsOf = None
    ) -> golden_record_service_pb2.GetGoldenRecordResponse:
        """Return the best value of everything known of an identity, each with its record and why others lost."""
        return await self._call(self._golden.GetGoldenRecord, self._requests.get_golden_record(name, purpose, as_of))

    async def batch_get_golden_records(
        self, names: Sequence[str], *, purpose: str = "", as_of: AsOf = None
    ) -> golden_record_service_pb2.BatchGetGoldenRecordsResponse:
        """Return the golden records of several identities, at one revision."""
        request = self._requests.batch_get_golden_records(names, purpose, as_of)
        return await self._call(self._golden.BatchGetGoldenRecords, request)

    async def export_golden_records(
        self,
        *,
        csv: bool = False,
        resume_token: str = "",
        purpose: str = "",
        min_records: int = 0,
        sources: Sequence[str] = (),
        attributes: Sequence[str] = (),
        masked: bool = False,
        as_of: AsOf = None,
    ) -> AsyncIterator[golden_record_service_pb2.ExportGoldenRecordsResponse]:
        """Yield the golden records of all identities as parts of one file: an Arrow stream, or CSV.

        A broken connection is taken up again where it broke. To go on later, give the `resume_token` of the last part kept,
        with the same arguments; everything is read at one revision.
        """
        request = self._requests.export_golden_records(
            csv=csv,
            resume_token=resume_token,
            purpose=purpose,
            min_records=min_records,
            sources=sources,
            attributes=attributes,
            masked=masked,
            as_of=as_of,
        )
        failures = 0
        while True:
            call = self._golden.ExportGoldenRecords(request, metadata=self._metadata)
            try:
                async for part in call:
                    failures = 0
                    request.resume_token = part.resume_token
                    yield part
                    if part.complete:
                        return
                raise errors.ShuttingDown("The server ended the stream early.", code=grpc.StatusCode.UNAVAILABLE)
            except grpc.aio.AioRpcError as cause:
                error = self._error_of(cause)
                failures += 1
                wait_seconds = self._retry.wait_seconds(failures, error, self._chance)
                if wait_seconds is None:
                    raise error from cause
            except errors.Retryable as error:
                failures += 1
                wait_seconds = self._retry.wait_seconds(failures, error, self._chance)
                if wait_seconds is None:
                    raise
            finally:
                call.cancel()
            await asyncio.sleep(wait_seconds)

    async def get_survivorship_rules(self, *, as_of: AsOf = None) -> golden_record_service_pb2.GetSurvivorshipRulesResponse:
        """Return the tenant's survivorship rules."""
        return await self._call(self._golden.GetSurvivorshipRules, self._requests.get_survivorship_rules(as_of))

    async def update_survivorship_rules(
        self,
        rules: golden_record_service_pb2.SurvivorshipRules,
        *,
        request_id: str | None = None,
        validate_only: bool = False,
        sample: int = 0,
    ) -> golden_record_service_pb2.UpdateSurvivorshipRulesResponse:
        """Replace the survivorship rules; with `validate_only` only say how many golden records of a sample would change."""
        request = self._requests.update_survivorship_rules(rules, request_id, validate_only, sample)
        return await self._call(self._golden.UpdateSurvivorshipRules, request)

    # Events

    async def subscribe(self, wanted: Following | None = None) -> AsyncIterator[Events]:
        """Yield events in order as they are committed, and heartbeats without events; never ends by itself.

        A broken stream is taken up again after what was yielded last, however long the server is away; only if nothing was
        heard yet, that is an error after some tries. Delivery is at least once: what was handled but not acknowledged
        before a crash comes again, under the same names.
        """
        wanted = wanted or Following()
        cursor, failures, retry = wanted.cursor, 0, self._retry
        while True:
            call = self._events.Subscribe(self._requests.subscribe(wanted, cursor), metadata=self._metadata)
            try:
                while True:
                    try:
                        message = await call.read()
                    except grpc.aio.AioRpcError as error:
                        raise self._error_of(error) from error
                    if not isinstance(message, event_service_pb2.SubscribeResponse):
                        raise errors.ShuttingDown("The server ended the stream.", code=grpc.StatusCode.UNAVAILABLE)
                    heard = Events.of(message)
                    yield heard
                    cursor, failures, retry = heard.cursor, 0, self._retry.endless()
            except errors.Retryable as error:
                failures += 1
                wait_seconds = retry.wait_seconds(failures, error, self._chance)
                if wait_seconds is None:
                    raise
                await asyncio.sleep(wait_seconds)
            finally:
                call.cancel()

    async def list_events(
        self, wanted: Following | None = None, *, page_size: int = 500
    ) -> AsyncIterator[event_service_pb2.Event]:
        """Yield the stored events from a cursor on, page by page; a subscription is not looked at."""
        page_token = ""
        while True:
            request = self._requests.list_events(wanted or Following(), page_size, page_token)
            page = await self._call(self._events.ListEvents, request)
            for event in page.events:
                yield event
            page_token = page.next_page_token
            if not page_token:
                return

    async def acknowledge(
        self,
        subscription: str,
        heard: event_service_pb2.Event | Events | str,
        *,
        rewind: bool = False,
        request_id: str | None = None,
    ) -> event_service_pb2.Subscription:
        """Keep how far a subscription has come: up to an event, all of some events, or a cursor."""
        request = self._requests.acknowledge(subscription, cursor_of(heard), rewind, request_id)
        return (await self._call(self._events.Acknowledge, request)).subscription

    async def get_subscription(self, name: str) -> event_service_pb2.Subscription:
        """Return a subscription with how far it lags."""
        request = self._requests.get_subscription(name)
        return (await self._call(self._events.GetSubscription, request)).subscription

    async def list_subscriptions(self, *, page_size: int = 500) -> AsyncIterator[event_service_pb2.Subscription]:
        """Yield subscriptions in a stable order, page by page."""
        page_token = ""
        while True:
            request = self._requests.list_subscriptions(page_size, page_token)
            page = await self._call(self._events.ListSubscriptions, request)
            for subscription in page.subscriptions:
                yield subscription
            page_token = page.next_page_token
            if not page_token:
                return

    async def delete_subscription(
        self, name: str, *, request_id: str | None = None
    ) -> event_service_pb2.DeleteSubscriptionResponse:
        """Forget how far a subscription has come."""
        return await self._call(self._events.DeleteSubscription, self._requests.delete_subscription(name, request_id))

    async def list_dead_letters(self, sink: str, *, page_size: int = 500) -> AsyncIterator[event_service_pb2.DeadLetter]:
        """Yield the events that a sink could not deliver, oldest first."""
        page_token = ""
        while True:
            request = self._requests.list_dead_letters(sink, page_size, page_token)
            page = await self._call(self._events.ListDeadLetters, request)
            for letter in page.dead_letters:
                yield letter
            page_token = page.next_page_token
            if not page_token:
                return

    async def replay_dead_letters(
        self, sink: str, events: Sequence[str] = (), *, request_id: str | None = None
    ) -> event_service_pb2.ReplayDeadLettersResponse:
        """Have dead letters of a sink delivered again: those of some events, by name, or all."""
        request = self._requests.replay_dead_letters(sink, events, request_id)
        return await self._call(self._events.ReplayDeadLetters, request)

    # Exploring

    async def expand_nodes(
        self,
        names: Sequence[str],
        *,
        hops: int = 1,
        limit: int = 200,
        kinds: Sequence[explore_service_pb2.NodeKind.ValueType] = (),
        as_of: AsOf = None,
    ) -> explore_service_pb2.Subgraph:
        """Return what lies within some hops of nodes, by whole names."""
        return (
            await self._call(self._explore.ExpandNodes, self._requests.expand_nodes(names, hops, limit, kinds, as_of))
        ).graph

    async def find_path(self, start: str, end: str, *, max_hops: int = 8, as_of: AsOf = None) -> explore_service_pb2.Subgraph:
        """Return a shortest path between two nodes, by whole names; empty when there is none that short."""
        return (await self._call(self._explore.FindPath, self._requests.find_path(start, end, max_hops, as_of))).path

    async def get_network(
        self, names: Sequence[str], *, max_hops: int = 6, build_out_hops: int = 0, limit: int = 200, as_of: AsOf = None
    ) -> explore_service_pb2.Subgraph:
        """Return what connects identities, and some hops around it."""
        request = self._requests.get_network(names, max_hops, build_out_hops, limit, as_of)
        return (await self._call(self._explore.GetNetwork, request)).graph

    # Models

    async def get_guard_rails(self) -> guard_rails_service_pb2.GetGuardRailsResponse:
        """Return the tenant's guard rails; blocked values are told by their digests."""
        return await self._call(self._guards.GetGuardRails, self._requests.get_guard_rails())

    async def update_guard_rails(
        self, rails: guard_rails_service_pb2.GuardRails, *, request_id: str | None = None, validate_only: bool = False
    ) -> guard_rails_service_pb2.UpdateGuardRailsResponse:
        """Replace the guard rails and start the job that follows; with `validate_only` only say what would change."""
        request = self._requests.update_guard_rails(rails, request_id, validate_only)
        return await self._call(self._guards.UpdateGuardRails, request)

    async def get_guard_counts(self) -> guard_rails_service_pb2.GetGuardCountsResponse:
        """Return how often each guard fired since the server started."""
        return await self._call(self._guards.GetGuardCounts, self._requests.get_guard_counts())

    async def get_data_model(self) -> model_service_pb2.DataModel:
        """Return the tenant's data model."""
        return (await self._call(self._model.GetDataModel, self._requests.get_data_model())).data_model

    async def update_data_model(
        self,
        data_model: model_service_pb2.DataModel,
        *,
        removed_attributes: Sequence[str] = (),
        request_id: str | None = None,
    ) -> model_service_pb2.UpdateDataModelResponse:
        """Declare attributes, remove some, or change how values survive; attributes that it leaves out stay.

        Where values that are kept get another type, a job reads and resolves all records again.
        """
        request = self._requests.update_data_model(data_model, removed_attributes, request_id)
        return await self._call(self._model.UpdateDataModel, request)

    async def get_match_model(self) -> model_service_pb2.MatchModel:
        """Return the match model in use; `goldenthread link --model` reads its artefact."""
        return (await self._call(self._model.GetMatchModel, self._requests.get_match_model())).match_model

    async def _call(self, method: grpc.aio.UnaryUnaryMultiCallable[Q, A], request: Q) -> A:
        """Call, and try again what is retryable; every request that writes carries its request id."""
        failures = 0
        while True:
            try:
                return await method(request, timeout=self._timeout_seconds, metadata=self._metadata)
            except grpc.aio.AioRpcError as cause:
                error = self._error_of(cause)
                failures += 1
                wait_seconds = self._retry.wait_seconds(failures, error, self._chance)
                if wait_seconds is None:
                    raise error from cause
            await asyncio.sleep(wait_seconds)

    def _error_of(self, error: grpc.aio.AioRpcError) -> errors.GoldenThreadError:
        """Read how a call ended."""
        trailing = [(str(key), value) for key, value in error.trailing_metadata()]
        return errors.from_rpc(error.code(), error.details() or "", trailing, self.target)


async def _chunks(records: Iterable[Record] | AsyncIterable[Record], builder: ChunkBuilder) -> AsyncIterator[Chunk]:
    """Cut records into chunks as they are asked for."""
    if isinstance(records, AsyncIterable):
        async for record in records:
            for chunk in builder.add(record):
                yield chunk
    else:
        for record in records:
            for chunk in builder.add(record):
                yield chunk
    for chunk in builder.finish():
        yield chunk


async def _messages(
    outbox: asyncio.Queue[record_service_pb2.BatchUpsertRecordsRequest | None],
) -> AsyncIterator[record_service_pb2.BatchUpsertRecordsRequest]:
    """Hand over what is to be sent, until None."""
    while (message := await outbox.get()) is not None:
        yield message


async def _drain(call: _Stream | None) -> None:
    """Let the server end a stream whose every record is answered; how it ends no longer matters."""
    if call is not None:
        with contextlib.suppress(grpc.aio.AioRpcError):
            while await call.read() is not grpc.aio.EOF:
                pass
