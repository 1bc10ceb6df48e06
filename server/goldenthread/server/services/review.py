"""ReviewService: what people are asked about pairs of records, and what they say."""

from __future__ import annotations

import re

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from goldenthread.server.access import current_caller
from goldenthread.server.commands import Engine
from goldenthread.server.commands.ids import name_of, parse_name
from goldenthread.server.commands.labels import Answer, Opinion
from goldenthread.server.commands.review.answers import answer_pair, undo_answer
from goldenthread.server.commands.review.doubts import Pair, Reason
from goldenthread.server.commands.review.queue import Filter, Item, ReviewQueue
from goldenthread.server.commands.review.standing import State
from goldenthread.server.commands.taught_labels import TaughtLabel, list_all_labels
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import InvalidField, NotFound
from goldenthread.server.services.callers import calling_tenant, check_parent, if_seen, request_of
from goldenthread.server.services.edge import check, page_size, page_start, page_token
from goldenthread.server.services.translate import match_to, timestamp
from goldenthread.server.sight import Sight
from goldenthread.v1 import review_service_pb2 as pb
from goldenthread.v1 import review_service_pb2_grpc

__all__ = ["ReviewService"]

_NAME = re.compile(r"tenants/([^/]{1,63})/reviewItems/([0-9a-f]{32})([0-9a-f]{32})")


class ReviewService(review_service_pb2_grpc.ReviewServiceServicer):
    """Offer doubtful pairs, and take answers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue = ReviewQueue(engine)

    async def ListReviewItems(  # noqa: N802 - the proto's name
        self,
        request: pb.ListReviewItemsRequest,
        context: grpc.aio.ServicerContext[pb.ListReviewItemsRequest, pb.ListReviewItemsResponse],
    ) -> pb.ListReviewItemsResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.parent)
        wanted = Filter(
            frozenset(map(Reason, request.reasons)),
            frozenset(map(State, request.states)),
            parse_name(tenant.name, request.identity, "identities", field="identity")[1] if request.identity else b"",
            request.min_value,
        )
        page = await self._queue.page(
            tenant,
            current_caller().subject,
            self._sight(),
            _start(request.page_token),
            page_size(request.page_size),
            wanted,
        )
        return pb.ListReviewItemsResponse(
            items=[_item(tenant, item) for item in page.items],
            next_page_token=page_token(page.revision.to_bytes(8, "big") + page.after.to_bytes(8, "big") if page.after else b""),
            revision=page.revision,
            truncated=page.is_cut,
        )

    async def GetReviewItem(  # noqa: N802 - the proto's name
        self,
        request: pb.GetReviewItemRequest,
        context: grpc.aio.ServicerContext[pb.GetReviewItemRequest, pb.GetReviewItemResponse],
    ) -> pb.GetReviewItemResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        return pb.GetReviewItemResponse(item=await self._read(tenant, _pair(tenant, request.name)))

    async def ClaimReviewItems(  # noqa: N802 - the proto's name
        self,
        request: pb.ClaimReviewItemsRequest,
        context: grpc.aio.ServicerContext[pb.ClaimReviewItemsRequest, pb.ClaimReviewItemsResponse],
    ) -> pb.ClaimReviewItemsResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.parent)
        named = list(dict.fromkeys(_pair(tenant, name, "names") for name in request.names))
        actor, sight = current_caller().subject, self._sight()
        asked = request_of(request, request.request_id)
        claimed = await self._queue.claim(tenant, actor, sight, request.count or 1, named, asked)
        items = await self._queue.get_all(tenant, claimed.pairs, actor, sight)
        return pb.ClaimReviewItemsResponse(items=[_item(tenant, item) for item in items], revision=claimed.revision)

    async def DecideReviewItem(  # noqa: N802 - the proto's name
        self,
        request: pb.DecideReviewItemRequest,
        context: grpc.aio.ServicerContext[pb.DecideReviewItemRequest, pb.DecideReviewItemResponse],
    ) -> pb.DecideReviewItemResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        pair = _pair(tenant, request.name)
        answered = await answer_pair(
            self._engine,
            tenant,
            pair,
            Answer(request.answer),
            current_caller().subject,
            request.reason,
            request_of(request, request.request_id),
            self._sight(),
            asks_another=request.second_opinion,
        )
        return pb.DecideReviewItemResponse(
            item=await if_seen(self._read(tenant, pair)),
            label=name_of(tenant.name, "labels", answered.label),
            decision=name_of(tenant.name, "decisions", answered.decision) if answered.decision else "",
            revision=answered.revision,
        )

    async def SkipReviewItem(  # noqa: N802 - the proto's name
        self,
        request: pb.SkipReviewItemRequest,
        context: grpc.aio.ServicerContext[pb.SkipReviewItemRequest, pb.SkipReviewItemResponse],
    ) -> pb.SkipReviewItemResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        pair = _pair(tenant, request.name)
        asked = request_of(request, request.request_id)
        revision = await self._queue.skip(tenant, pair, current_caller().subject, self._sight(), asked)
        return pb.SkipReviewItemResponse(item=await if_seen(self._read(tenant, pair)), revision=revision)

    async def UndoReviewDecision(  # noqa: N802 - the proto's name
        self,
        request: pb.UndoReviewDecisionRequest,
        context: grpc.aio.ServicerContext[pb.UndoReviewDecisionRequest, pb.UndoReviewDecisionResponse],
    ) -> pb.UndoReviewDecisionResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        pair = _pair(tenant, request.name)
        undone = await undo_answer(
            self._engine,
            tenant,
            pair,
            current_caller().subject,
            request.reason,
            request_of(request, request.request_id),
            self._sight(),
        )
        return pb.UndoReviewDecisionResponse(
            item=await if_seen(self._read(tenant, pair)),
            decision=name_of(tenant.name, "decisions", undone.decision) if undone.decision else "",
            revision=undone.revision,
        )

    async def GetReviewStats(  # noqa: N802 - the proto's name
        self,
        request: pb.GetReviewStatsRequest,
        context: grpc.aio.ServicerContext[pb.GetReviewStatsRequest, pb.GetReviewStatsResponse],
    ) -> pb.GetReviewStatsResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.parent)
        stats = await self._queue.stats(tenant, current_caller().subject, self._sight())
        return pb.GetReviewStatsResponse(
            open=stats.states.get(State.OPEN, 0),
            claimed=stats.states.get(State.CLAIMED, 0),
            awaiting_opinion=stats.states.get(State.AWAITING_OPINION, 0),
            skipped_by_caller=stats.skipped,
            reasons=[
                pb.ReviewReasonCount(reason=pb.ReviewReason.ValueType(reason), items=count, value=value)
                for reason, (count, value) in sorted(stats.reasons.items())
            ],
            truncated=stats.is_cut,
            same_person=stats.answers.get(Answer.SAME_PERSON, 0),
            different_people=stats.answers.get(Answer.DIFFERENT_PEOPLE, 0),
            cannot_say=stats.answers.get(Answer.CANNOT_SAY, 0),
            settled=stats.settled,
            revision=stats.revision,
        )

    async def ListLabels(  # noqa: N802 - the proto's name
        self, request: pb.ListLabelsRequest, context: grpc.aio.ServicerContext[pb.ListLabelsRequest, pb.ListLabelsResponse]
    ) -> pb.ListLabelsResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.parent)
        start, size = page_start(request.page_token, (0, 16, 18)), page_size(request.page_size)
        labels, after = await list_all_labels(self._engine, tenant, start, size, self._sight())
        return pb.ListLabelsResponse(labels=[_label(tenant, one) for one in labels], next_page_token=page_token(after))

    async def _read(self, tenant: Tenant, pair: Pair) -> pb.ReviewItem:
        return _item(tenant, await self._queue.get(tenant, pair, current_caller().subject, self._sight()))

    def _sight(self) -> Sight:
        return self._engine.sight_of(current_caller())


def _pair(tenant: Tenant, name: str, field: str = "name") -> Pair:
    """Read the name of an item: it says which two records, the smaller id first.

    Raises:
        InvalidField: it is no such name.
        NotFound: it is another tenant's.
    """
    match = _NAME.fullmatch(name)
    if match is None or match[2] >= match[3]:
        raise InvalidField(field, "must be a name of the form tenants/{tenant}/reviewItems/{item}")
    if match[1] != tenant.name:
        raise NotFound("review item")
    return bytes.fromhex(match[2]), bytes.fromhex(match[3])


def _start(token: str) -> tuple[int, int]:
    """Read the revision and place where a page starts."""
    start = page_start(token)
    return int.from_bytes(start[:8], "big"), int.from_bytes(start[8:], "big")


def _item(tenant: Tenant, item: Item) -> pb.ReviewItem:
    doubt, standing = item.doubt, item.standing
    return pb.ReviewItem(
        name=f"tenants/{tenant.name}/reviewItems/{item.pair[0].hex()}{item.pair[1].hex()}",
        records=[name_of(tenant.name, "records", record) for record in item.pair],
        identities=[name_of(tenant.name, "identities", id) for id in dict.fromkeys(item.identities) if id],
        reason=pb.ReviewReason.ValueType(doubt.reason if doubt is not None else 0),
        kept_apart_by=item.kept_apart_by,
        match=match_to(tenant.match_model, item.explanation),
        chance_wrong=doubt.chance_wrong if doubt is not None else 0.0,
        records_moved=doubt.records_moved if doubt is not None else 0,
        value=doubt.value if doubt is not None else 0.0,
        state=pb.ReviewState.ValueType(standing.state),
        claimed_by_caller=standing.is_claimed_by_caller,
        claimed_until=_claimed_until(item),
        opinions=standing.opinions,
        needs_second_opinion=item.needs_second_opinion,
        answered_by_caller=standing.is_answered_by_caller,
        skipped_by_caller=standing.is_skipped_by_caller,
    )


def _claimed_until(item: Item) -> Timestamp | None:
    return timestamp(item.standing.hold.claimed_until) if item.standing.is_claimed else None


def _label(tenant: Tenant, opinion: Opinion | TaughtLabel) -> pb.Label:
    if isinstance(opinion, TaughtLabel):
        decision = opinion.decision
        return pb.Label(
            name=f"tenants/{tenant.name}/labels/{(decision.id + opinion.left + opinion.right).hex()}",
            records=[name_of(tenant.name, "records", record) for record in (opinion.left, opinion.right)],
            answer=pb.ReviewAnswer.ValueType(opinion.answer),
            actor=decision.actor,
            reason=decision.reason,
            revision=decision.revision,
            decision=name_of(tenant.name, "decisions", decision.id),
            model_version=tenant.match_model.version,
            levels=opinion.levels,
            origin=pb.LABEL_ORIGIN_DECISION,
        )
    label = opinion.label
    return pb.Label(
        name=name_of(tenant.name, "labels", label.id),
        records=[name_of(tenant.name, "records", record) for record in (label.left, label.right)],
        answer=pb.ReviewAnswer.ValueType(label.answer),
        actor=opinion.actor,
        reason=opinion.reason,
        revision=label.revision,
        decision=name_of(tenant.name, "decisions", label.decision) if label.decision else "",
        model_version=label.model_version,
        levels=label.levels,
        origin=pb.LABEL_ORIGIN_REVIEW,
    )
