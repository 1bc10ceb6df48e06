"""Call ReviewService: the methods that `Client` and `AsyncClient` have for pairs that people are asked about."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Protocol, TypeVar

import grpc

from goldenthread.client.requests import Requests, new_request_id
from goldenthread.v1 import review_service_pb2 as pb
from goldenthread.v1 import review_service_pb2_grpc as pb_grpc

__all__ = ["AsyncReview", "SyncReview"]

Q = TypeVar("Q")
A = TypeVar("A")


class _Sync(Protocol):
    _requests: Requests
    _review: pb_grpc.ReviewServiceStub

    def _call(self, method: grpc.UnaryUnaryMultiCallable[Q, A], request: Q) -> A: ...


class _Async(Protocol):
    _requests: Requests
    _review: pb_grpc.ReviewServiceAsyncStub

    async def _call(self, method: grpc.aio.UnaryUnaryMultiCallable[Q, A], request: Q) -> A: ...


class SyncReview:
    """What `Client` can do with doubtful pairs."""

    def list_review_items(
        self: _Sync,
        *,
        reasons: Sequence[pb.ReviewReason.ValueType] = (),
        states: Sequence[pb.ReviewState.ValueType] = (),
        identity: str = "",
        min_value: float = 0.0,
        page_size: int = 100,
    ) -> Iterator[pb.ReviewItem]:
        """Yield doubtful pairs, those whose answer is worth most first."""
        request = pb.ListReviewItemsRequest(
            parent=self._requests.parent,
            reasons=reasons,
            states=states,
            identity=self._requests.name("identities", identity) if identity else "",
            min_value=min_value,
            page_size=page_size,
        )
        while True:
            page = self._call(self._review.ListReviewItems, request)
            yield from page.items
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def get_review_item(self: _Sync, name: str) -> pb.ReviewItem:
        """Return one pair as it stands now, with its explanation."""
        return (self._call(self._review.GetReviewItem, pb.GetReviewItemRequest(name=_name(self._requests, name)))).item

    def claim_review_items(
        self: _Sync, count: int = 1, *, names: Sequence[str] = (), request_id: str | None = None
    ) -> list[pb.ReviewItem]:
        """Claim the pairs worth most, or just those named; a claim ends by itself."""
        request = pb.ClaimReviewItemsRequest(
            parent=self._requests.parent,
            count=count,
            names=[_name(self._requests, name) for name in names],
            request_id=request_id or new_request_id(),
        )
        return list((self._call(self._review.ClaimReviewItems, request)).items)

    def decide_review_item(
        self: _Sync,
        name: str,
        answer: pb.ReviewAnswer.ValueType,
        *,
        reason: str = "",
        second_opinion: bool = False,
        request_id: str | None = None,
    ) -> pb.DecideReviewItemResponse:
        """Answer a pair; what settles it becomes a steward's decision at once."""
        request = pb.DecideReviewItemRequest(
            name=_name(self._requests, name),
            answer=answer,
            reason=reason,
            second_opinion=second_opinion,
            request_id=request_id or new_request_id(),
        )
        return self._call(self._review.DecideReviewItem, request)

    def skip_review_item(self: _Sync, name: str, *, request_id: str | None = None) -> pb.ReviewItem:
        """Leave a pair to others."""
        request = pb.SkipReviewItemRequest(name=_name(self._requests, name), request_id=request_id or new_request_id())
        return (self._call(self._review.SkipReviewItem, request)).item

    def undo_review_decision(
        self: _Sync, name: str, *, reason: str = "", request_id: str | None = None
    ) -> pb.UndoReviewDecisionResponse:
        """Take back what was said of a pair."""
        request = pb.UndoReviewDecisionRequest(
            name=_name(self._requests, name), reason=reason, request_id=request_id or new_request_id()
        )
        return self._call(self._review.UndoReviewDecision, request)

    def get_review_stats(self: _Sync) -> pb.GetReviewStatsResponse:
        """Count what is in the queue and what was answered."""
        return self._call(self._review.GetReviewStats, pb.GetReviewStatsRequest(parent=self._requests.parent))

    def list_labels(self: _Sync, *, page_size: int = 500) -> Iterator[pb.Label]:
        """Yield what people said of pairs."""
        request = pb.ListLabelsRequest(parent=self._requests.parent, page_size=page_size)
        while True:
            page = self._call(self._review.ListLabels, request)
            yield from page.labels
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token


class AsyncReview:
    """What `AsyncClient` can do with doubtful pairs."""

    async def list_review_items(
        self: _Async,
        *,
        reasons: Sequence[pb.ReviewReason.ValueType] = (),
        states: Sequence[pb.ReviewState.ValueType] = (),
        identity: str = "",
        min_value: float = 0.0,
        page_size: int = 100,
    ) -> AsyncIterator[pb.ReviewItem]:
        """Yield doubtful pairs, those whose answer is worth most first."""
        request = pb.ListReviewItemsRequest(
            parent=self._requests.parent,
            reasons=reasons,
            states=states,
            identity=self._requests.name("identities", identity) if identity else "",
            min_value=min_value,
            page_size=page_size,
        )
        while True:
            page = await self._call(self._review.ListReviewItems, request)
            for one in page.items:
                yield one
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def get_review_item(self: _Async, name: str) -> pb.ReviewItem:
        """Return one pair as it stands now, with its explanation."""
        return (await self._call(self._review.GetReviewItem, pb.GetReviewItemRequest(name=_name(self._requests, name)))).item

    async def claim_review_items(
        self: _Async, count: int = 1, *, names: Sequence[str] = (), request_id: str | None = None
    ) -> list[pb.ReviewItem]:
        """Claim the pairs worth most, or just those named; a claim ends by itself."""
        request = pb.ClaimReviewItemsRequest(
            parent=self._requests.parent,
            count=count,
            names=[_name(self._requests, name) for name in names],
            request_id=request_id or new_request_id(),
        )
        return list((await self._call(self._review.ClaimReviewItems, request)).items)

    async def decide_review_item(
        self: _Async,
        name: str,
        answer: pb.ReviewAnswer.ValueType,
        *,
        reason: str = "",
        second_opinion: bool = False,
        request_id: str | None = None,
    ) -> pb.DecideReviewItemResponse:
        """Answer a pair; what settles it becomes a steward's decision at once."""
        request = pb.DecideReviewItemRequest(
            name=_name(self._requests, name),
            answer=answer,
            reason=reason,
            second_opinion=second_opinion,
            request_id=request_id or new_request_id(),
        )
        return await self._call(self._review.DecideReviewItem, request)

    async def skip_review_item(self: _Async, name: str, *, request_id: str | None = None) -> pb.ReviewItem:
        """Leave a pair to others."""
        request = pb.SkipReviewItemRequest(name=_name(self._requests, name), request_id=request_id or new_request_id())
        return (await self._call(self._review.SkipReviewItem, request)).item

    async def undo_review_decision(
        self: _Async, name: str, *, reason: str = "", request_id: str | None = None
    ) -> pb.UndoReviewDecisionResponse:
        """Take back what was said of a pair."""
        request = pb.UndoReviewDecisionRequest(
            name=_name(self._requests, name), reason=reason, request_id=request_id or new_request_id()
        )
        return await self._call(self._review.UndoReviewDecision, request)

    async def get_review_stats(self: _Async) -> pb.GetReviewStatsResponse:
        """Count what is in the queue and what was answered."""
        return await self._call(self._review.GetReviewStats, pb.GetReviewStatsRequest(parent=self._requests.parent))

    async def list_labels(self: _Async, *, page_size: int = 500) -> AsyncIterator[pb.Label]:
        """Yield what people said of pairs."""
        request = pb.ListLabelsRequest(parent=self._requests.parent, page_size=page_size)
        while True:
            page = await self._call(self._review.ListLabels, request)
            for one in page.labels:
                yield one
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token


def _name(requests: Requests, name: str) -> str:
    return requests.name("reviewItems", name)
