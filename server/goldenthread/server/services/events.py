"""EventService: what happens to identities, for those who follow."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Sequence

import grpc

from goldenthread.server.access import current_caller
from goldenthread.server.commands import Engine
from goldenthread.server.commands.dead_letters import list_dead_letters, replay_dead_letters
from goldenthread.server.commands.ids import name_of, parse_name
from goldenthread.server.commands.subscriptions import (
    SubscriptionView,
    acknowledge,
    delete_subscription,
    get_subscription,
    list_subscriptions,
    stored_position,
)
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import InvalidField, NotFound
from goldenthread.server.events.following import follow
from goldenthread.server.events.outbox import Event, EventType
from goldenthread.server.events.position import Position
from goldenthread.server.events.reading import Wanted, oldest_position, parse_position, read_batch
from goldenthread.server.services.callers import calling_tenant, check_parent, request_of
from goldenthread.server.services.edge import check, page_size, page_start, page_token
from goldenthread.server.services.translate import timestamp
from goldenthread.server.sight import Sight
from goldenthread.v1 import event_service_pb2 as pb
from goldenthread.v1 import event_service_pb2_grpc

__all__ = ["EventService", "event_to"]

_SUBSCRIPTION = re.compile(r"tenants/([^/]{1,63})/subscriptions/([a-z0-9][a-z0-9-]{0,62})")
_MICROS = 1_000_000


class EventService(event_service_pb2_grpc.EventServiceServicer):
    """Tell what happens, and keep how far each reader has come."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def Subscribe(  # noqa: N802 - the proto's name
        self, request: pb.SubscribeRequest, context: grpc.aio.ServicerContext[pb.SubscribeRequest, pb.SubscribeResponse]
    ) -> AsyncIterator[pb.SubscribeResponse]:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.parent)
        wanted = _wanted(tenant, request.types, request.identities)
        position = await self._start(tenant, request)
        async for heard in follow(self._engine, tenant, position, wanted, self._sight()):
            yield pb.SubscribeResponse(
                events=[event_to(tenant, event) for event in heard.events],
                cursor=str(heard.position),
                revision=heard.revision,
            )

    async def _start(self, tenant: Tenant, request: pb.SubscribeRequest) -> Position:
        name = _subscription_of(tenant, request.subscription, "subscription") if request.subscription else ""
        if request.cursor:
            return parse_position(request.cursor)
        async with self._engine.reader(tenant) as reader:
            stored = await stored_position(reader, tenant, name) if name else None
            if stored is not None:
                return stored
            return Position.after(reader.revision.number) if request.only_new else await oldest_position(reader)

    async def ListEvents(  # noqa: N802 - the proto's name
        self, request: pb.ListEventsRequest, context: grpc.aio.ServicerContext[pb.ListEventsRequest, pb.ListEventsResponse]
    ) -> pb.ListEventsResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.parent)
        wanted = _wanted(tenant, request.types, request.identities)
        start = request.page_token or request.cursor
        async with self._engine.reader(tenant) as reader:
            position = parse_position(start) if start else await oldest_position(reader)
            batch = await read_batch(reader, position, wanted, page_size(request.page_size), self._sight())
        return pb.ListEventsResponse(
            events=[event_to(tenant, event) for event in batch.events],
            next_page_token="" if batch.is_end else str(batch.position),
            cursor=str(batch.position),
        )

    async def Acknowledge(  # noqa: N802 - the proto's name
        self, request: pb.AcknowledgeRequest, context: grpc.aio.ServicerContext[pb.AcknowledgeRequest, pb.AcknowledgeResponse]
    ) -> pb.AcknowledgeResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        name = _subscription_of(tenant, request.name)
        # The same cursor again changes nothing, so the request id needs not be kept.
        view = await acknowledge(
            self._engine, tenant, name, parse_position(request.cursor), self._sight(), rewind=request.rewind
        )
        return pb.AcknowledgeResponse(subscription=_subscription_to(tenant, view), revision=view.revision)

    async def GetSubscription(  # noqa: N802 - the proto's name
        self,
        request: pb.GetSubscriptionRequest,
        context: grpc.aio.ServicerContext[pb.GetSubscriptionRequest, pb.GetSubscriptionResponse],
    ) -> pb.GetSubscriptionResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        view = await get_subscription(self._engine, tenant, _subscription_of(tenant, request.name), self._sight())
        return pb.GetSubscriptionResponse(subscription=_subscription_to(tenant, view))

    async def ListSubscriptions(  # noqa: N802 - the proto's name
        self,
        request: pb.ListSubscriptionsRequest,
        context: grpc.aio.ServicerContext[pb.ListSubscriptionsRequest, pb.ListSubscriptionsResponse],
    ) -> pb.ListSubscriptionsResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.parent)
        views, following = await list_subscriptions(
            self._engine, tenant, page_start(request.page_token), page_size(request.page_size), self._sight()
        )
        return pb.ListSubscriptionsResponse(
            subscriptions=[_subscription_to(tenant, view) for view in views], next_page_token=page_token(following)
        )

    async def DeleteSubscription(  # noqa: N802 - the proto's name
        self,
        request: pb.DeleteSubscriptionRequest,
        context: grpc.aio.ServicerContext[pb.DeleteSubscriptionRequest, pb.DeleteSubscriptionResponse],
    ) -> pb.DeleteSubscriptionResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        name = _subscription_of(tenant, request.name)
        deleted = await delete_subscription(self._engine, tenant, name, request_of(request, request.request_id))
        return pb.DeleteSubscriptionResponse(revision=deleted.revision)

    async def ListDeadLetters(  # noqa: N802 - the proto's name
        self,
        request: pb.ListDeadLettersRequest,
        context: grpc.aio.ServicerContext[pb.ListDeadLettersRequest, pb.ListDeadLettersResponse],
    ) -> pb.ListDeadLettersResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        sink = _subscription_of(tenant, request.parent, "parent")
        letters, following = await list_dead_letters(
            self._engine, tenant, sink, page_start(request.page_token), page_size(request.page_size), self._sight()
        )
        if not letters and not request.page_token and (tenant.name, sink) not in self._engine.sinks:
            # A name that nothing has is a mistake, not an empty list.
            await get_subscription(self._engine, tenant, sink, self._sight())
        return pb.ListDeadLettersResponse(
            dead_letters=[
                pb.DeadLetter(
                    event=event_to(tenant, letter.event),
                    attempts=letter.attempts,
                    problem=letter.problem,
                    give_up_time=timestamp(letter.given_up_at),
                )
                for letter in letters
            ],
            next_page_token=page_token(following),
        )

    async def ReplayDeadLetters(  # noqa: N802 - the proto's name
        self,
        request: pb.ReplayDeadLettersRequest,
        context: grpc.aio.ServicerContext[pb.ReplayDeadLettersRequest, pb.ReplayDeadLettersResponse],
    ) -> pb.ReplayDeadLettersResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        sink = _subscription_of(tenant, request.name)
        events = frozenset(_place_of(tenant, name) for name in request.events)
        # What was delivered is no dead letter any more, so the request id needs not be kept.
        replayed = await replay_dead_letters(self._engine, tenant, sink, events, self._sight())
        return pb.ReplayDeadLettersResponse(delivered=replayed.delivered, failed=replayed.failed)

    def _sight(self) -> Sight:
        return self._engine.sight_of(current_caller())


def _wanted(tenant: Tenant, types: Iterable[int], identities: Iterable[str]) -> Wanted:
    ids = (parse_name(tenant.name, name, "identities", field="identities")[1] for name in identities)
    return Wanted(frozenset(map(EventType, types)), frozenset(ids))


def _subscription_of(tenant: Tenant, name: str, field: str = "name") -> str:
    match = _SUBSCRIPTION.fullmatch(name)
    if match is None:
        form = "tenants/{tenant}/subscriptions/{subscription}"
        raise InvalidField(field, f"must be a name of the form {form}, of small letters, digits and hyphens")
    if match[1] != tenant.name:
        raise NotFound("subscription")
    return match[2]


def _place_of(tenant: Tenant, name: str) -> Position:
    prefix = f"tenants/{tenant.name}/events/"
    if not name.startswith(prefix):
        raise InvalidField("events", f"must be names of the form {prefix}{{event}}")
    return parse_position(name.removeprefix(prefix), "events")


def event_to(tenant: Tenant, event: Event) -> pb.Event:
    """Write an event."""

    def names(collection: str, ids: Sequence[bytes]) -> list[str]:
        return [name_of(tenant.name, collection, id) for id in ids]

    moves = event.type is not EventType.GOLDEN_VALUES_CHANGED
    return pb.Event(
        name=f"tenants/{tenant.name}/events/{event.revision}-{event.index}",
        revision=event.revision,
        index=event.index,
        commit_time=timestamp(event.at),
        type=pb.EventType.ValueType(event.type),
        identity=name_of(tenant.name, "identities", event.identity),
        before=names("records", event.before) if moves else (),
        after=names("records", event.after) if moves else (),
        added=names("records", event.added),
        removed=names("records", event.removed),
        former=names("identities", event.former),
        into=names("identities", event.into),
        fields=event.fields,
    )


def _subscription_to(tenant: Tenant, view: SubscriptionView) -> pb.Subscription:
    cursor = view.cursor
    return pb.Subscription(
        name=f"tenants/{tenant.name}/subscriptions/{view.name}",
        cursor=str(cursor.position),
        create_time=timestamp(cursor.created_at),
        update_time=timestamp(cursor.updated_at),
        sink=cursor.is_sink,
        dead_letters=view.dead_letters,
        lag_revisions=view.lag_revisions,
        lag_seconds=view.lag_micros / _MICROS,
    )
