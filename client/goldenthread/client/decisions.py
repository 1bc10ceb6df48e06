"""Call DecisionService: the methods that `Client` and `AsyncClient` have for what stewards decide.

Names may be given whole or as their last part alone, which is then a record's where a record or an identity may stand.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Protocol, TypeVar

import grpc

from goldenthread.client.record import AttributeInput, attribute_values, to_timestamp
from goldenthread.client.requests import AsOf, Requests, as_of_message, new_request_id
from goldenthread.v1 import decision_service_pb2 as pb
from goldenthread.v1 import decision_service_pb2_grpc as pb_grpc

__all__ = ["AsyncDecisions", "SyncDecisions"]

Q = TypeVar("Q")
A = TypeVar("A")


class _Sync(Protocol):
    _requests: Requests
    _decisions: pb_grpc.DecisionServiceStub

    def _call(self, method: grpc.UnaryUnaryMultiCallable[Q, A], request: Q) -> A: ...


class _Async(Protocol):
    _requests: Requests
    _decisions: pb_grpc.DecisionServiceAsyncStub

    async def _call(self, method: grpc.aio.UnaryUnaryMultiCallable[Q, A], request: Q) -> A: ...


class SyncDecisions:
    """What `Client` can do with decisions."""

    def link_records(
        self: _Sync,
        left: Sequence[str],
        right: Sequence[str],
        *,
        reason: str,
        expire_time: dt.datetime | None = None,
        overrides_veto: bool = False,
        request_id: str | None = None,
        validate_only: bool = False,
    ) -> pb.CreateDecisionResponse:
        """Decide that records, or all of identities, are one person."""
        request = _create(self._requests, reason, expire_time, request_id, validate_only)
        request.must_link.CopyFrom(pb.MustLink(left=_sides(self._requests, left), right=_sides(self._requests, right)))
        request.overrides_veto = overrides_veto
        return self._call(self._decisions.CreateDecision, request)

    def unlink_records(
        self: _Sync,
        left: Sequence[str],
        right: Sequence[str],
        *,
        reason: str,
        expire_time: dt.datetime | None = None,
        request_id: str | None = None,
        validate_only: bool = False,
    ) -> pb.CreateDecisionResponse:
        """Decide that none of some records, or of identities, is one person with any of the others."""
        request = _create(self._requests, reason, expire_time, request_id, validate_only)
        request.cannot_link.CopyFrom(pb.CannotLink(left=_sides(self._requests, left), right=_sides(self._requests, right)))
        return self._call(self._decisions.CreateDecision, request)

    def leave_household(
        self: _Sync,
        identity: str,
        household: str,
        *,
        reason: str,
        expire_time: dt.datetime | None = None,
        request_id: str | None = None,
        validate_only: bool = False,
    ) -> pb.CreateDecisionResponse:
        """Decide that a person is not of a household."""
        request = _create(self._requests, reason, expire_time, request_id, validate_only)
        request.not_household.CopyFrom(_not_household(self._requests, identity, household))
        return self._call(self._decisions.CreateDecision, request)

    def pin_value(
        self: _Sync,
        record: str,
        attribute: str,
        value: AttributeInput | None = None,
        *,
        reason: str,
        expire_time: dt.datetime | None = None,
        request_id: str | None = None,
        validate_only: bool = False,
    ) -> pb.CreateDecisionResponse:
        """Decide that a record's value is the golden one; `value` says which when it has several of the attribute."""
        request = _create(self._requests, reason, expire_time, request_id, validate_only)
        request.pin.CopyFrom(_pin(self._requests, record, attribute, value))
        return self._call(self._decisions.CreateDecision, request)

    def get_decision(self: _Sync, name: str, *, as_of: AsOf = None) -> pb.Decision:
        """Return a decision with the records it binds, and how it ended if it did."""
        return self._call(self._decisions.GetDecision, _get(self._requests, name, as_of)).decision

    def list_decisions(
        self: _Sync,
        *,
        identity: str = "",
        kind: str = "",
        state: pb.DecisionState.ValueType = pb.DECISION_STATE_UNSPECIFIED,
        actor: str = "",
        page_size: int = 500,
        as_of: AsOf = None,
    ) -> Iterator[pb.Decision]:
        """Yield decisions in the order they were made, page by page."""
        request = _list(self._requests, identity, kind, state, actor, page_size, as_of)
        while True:
            page = self._call(self._decisions.ListDecisions, request)
            yield from page.decisions
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def undo_decision(
        self: _Sync, name: str, *, reason: str, request_id: str | None = None, validate_only: bool = False
    ) -> pb.UndoDecisionResponse:
        """Undo one decision; the others go on to hold."""
        return self._call(self._decisions.UndoDecision, _undo(self._requests, name, reason, request_id, validate_only))


class AsyncDecisions:
    """What `AsyncClient` can do with decisions."""

    async def link_records(
        self: _Async,
        left: Sequence[str],
        right: Sequence[str],
        *,
        reason: str,
        expire_time: dt.datetime | None = None,
        overrides_veto: bool = False,
        request_id: str | None = None,
        validate_only: bool = False,
    ) -> pb.CreateDecisionResponse:
        """Decide that records, or all of identities, are one person."""
        request = _create(self._requests, reason, expire_time, request_id, validate_only)
        request.must_link.CopyFrom(pb.MustLink(left=_sides(self._requests, left), right=_sides(self._requests, right)))
        request.overrides_veto = overrides_veto
        return await self._call(self._decisions.CreateDecision, request)

    async def unlink_records(
        self: _Async,
        left: Sequence[str],
        right: Sequence[str],
        *,
        reason: str,
        expire_time: dt.datetime | None = None,
        request_id: str | None = None,
        validate_only: bool = False,
    ) -> pb.CreateDecisionResponse:
        """Decide that none of some records, or of identities, is one person with any of the others."""
        request = _create(self._requests, reason, expire_time, request_id, validate_only)
        request.cannot_link.CopyFrom(pb.CannotLink(left=_sides(self._requests, left), right=_sides(self._requests, right)))
        return await self._call(self._decisions.CreateDecision, request)

    async def leave_household(
        self: _Async,
        identity: str,
        household: str,
        *,
        reason: str,
        expire_time: dt.datetime | None = None,
        request_id: str | None = None,
        validate_only: bool = False,
    ) -> pb.CreateDecisionResponse:
        """Decide that a person is not of a household."""
        request = _create(self._requests, reason, expire_time, request_id, validate_only)
        request.not_household.CopyFrom(_not_household(self._requests, identity, household))
        return await self._call(self._decisions.CreateDecision, request)

    async def pin_value(
        self: _Async,
        record: str,
        attribute: str,
        value: AttributeInput | None = None,
        *,
        reason: str,
        expire_time: dt.datetime | None = None,
        request_id: str | None = None,
        validate_only: bool = False,
    ) -> pb.CreateDecisionResponse:
        """Decide that a record's value is the golden one; `value` says which when it has several of the attribute."""
        request = _create(self._requests, reason, expire_time, request_id, validate_only)
        request.pin.CopyFrom(_pin(self._requests, record, attribute, value))
        return await self._call(self._decisions.CreateDecision, request)

    async def get_decision(self: _Async, name: str, *, as_of: AsOf = None) -> pb.Decision:
        """Return a decision with the records it binds, and how it ended if it did."""
        return (await self._call(self._decisions.GetDecision, _get(self._requests, name, as_of))).decision

    async def list_decisions(
        self: _Async,
        *,
        identity: str = "",
        kind: str = "",
        state: pb.DecisionState.ValueType = pb.DECISION_STATE_UNSPECIFIED,
        actor: str = "",
        page_size: int = 500,
        as_of: AsOf = None,
    ) -> AsyncIterator[pb.Decision]:
        """Yield decisions in the order they were made, page by page."""
        request = _list(self._requests, identity, kind, state, actor, page_size, as_of)
        while True:
            page = await self._call(self._decisions.ListDecisions, request)
            for decision in page.decisions:
                yield decision
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def undo_decision(
        self: _Async, name: str, *, reason: str, request_id: str | None = None, validate_only: bool = False
    ) -> pb.UndoDecisionResponse:
        """Undo one decision; the others go on to hold."""
        return await self._call(self._decisions.UndoDecision, _undo(self._requests, name, reason, request_id, validate_only))


def _create(
    requests: Requests, reason: str, expire_time: dt.datetime | None, request_id: str | None, validate_only: bool
) -> pb.CreateDecisionRequest:
    return pb.CreateDecisionRequest(
        parent=requests.parent,
        reason=reason,
        expire_time=to_timestamp(expire_time) if expire_time else None,
        request_id=request_id or new_request_id(),
        validate_only=validate_only,
    )


def _sides(requests: Requests, names: Sequence[str]) -> list[str]:
    return [requests.name("records", name) for name in names]


def _not_household(requests: Requests, identity: str, household: str) -> pb.NotHousehold:
    return pb.NotHousehold(identity=requests.name("identities", identity), household=requests.name("households", household))


def _pin(requests: Requests, record: str, attribute: str, value: AttributeInput | None) -> pb.PinnedValue:
    pinned = attribute_values({attribute: value})[0] if value is not None else None
    return pb.PinnedValue(record=requests.name("records", record), attribute=attribute, value=pinned)


def _get(requests: Requests, name: str, as_of: AsOf) -> pb.GetDecisionRequest:
    return pb.GetDecisionRequest(name=requests.name("decisions", name), as_of=as_of_message(as_of))


def _list(
    requests: Requests,
    identity: str,
    kind: str,
    state: pb.DecisionState.ValueType,
    actor: str,
    page_size: int,
    as_of: AsOf,
) -> pb.ListDecisionsRequest:
    return pb.ListDecisionsRequest(
        parent=requests.parent,
        identity=requests.name("identities", identity) if identity else "",
        kind=kind,
        state=state,
        actor=actor,
        page_size=page_size,
        as_of=as_of_message(as_of),
    )


def _undo(requests: Requests, name: str, reason: str, request_id: str | None, validate_only: bool) -> pb.UndoDecisionRequest:
    return pb.UndoDecisionRequest(
        name=requests.name("decisions", name),
        reason=reason,
        request_id=request_id or new_request_id(),
        validate_only=validate_only,
    )
