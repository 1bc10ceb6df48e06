"""DecisionService: what stewards decide, kept, listed and undone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from goldenthread.server.access import current_caller
from goldenthread.server.commands import Engine
from goldenthread.server.commands.decisions.create import (
    CannotLink,
    MustLink,
    NotHousehold,
    PinnedValue,
    Ruled,
    create_decision,
)
from goldenthread.server.commands.decisions.effects import Decided, Effect, Fate, IdentityEffect
from goldenthread.server.commands.decisions.kept import DecisionTerms, DecisionView
from goldenthread.server.commands.decisions.read import (
    DecisionFilter,
    DecisionState,
    get_decision,
    list_decisions,
    state_of,
)
from goldenthread.server.commands.decisions.undo import undo_decision
from goldenthread.server.commands.ids import name_of, now, parse_name
from goldenthread.server.commands.lineage import Cause, LineageStep
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import InvalidField
from goldenthread.server.services.callers import calling_tenant, check_parent, if_seen, request_of
from goldenthread.server.services.edge import check, page_size, page_start, page_token
from goldenthread.server.services.translate import attributes_of, micros, moment_of, reading, timestamp
from goldenthread.server.sight import Sight
from goldenthread.v1 import decision_service_pb2 as pb
from goldenthread.v1 import decision_service_pb2_grpc
from goldenthread.v1 import resolution_service_pb2 as resolution_pb

__all__ = ["DecisionService", "decisions_to", "effect_to", "lineage_step_to", "terms_of"]

_STATES: dict[DecisionState, pb.DecisionState.ValueType] = {
    "live": pb.DECISION_STATE_LIVE,
    "undone": pb.DECISION_STATE_UNDONE,
    "expired": pb.DECISION_STATE_EXPIRED,
}
_STATE_OF = {value: state for state, value in _STATES.items()}
_FATES: dict[Fate, pb.IdentityFate.ValueType] = {
    "created": pb.IDENTITY_FATE_CREATED,
    "restored": pb.IDENTITY_FATE_RESTORED,
    "retired": pb.IDENTITY_FATE_RETIRED,
    "changed": pb.IDENTITY_FATE_CHANGED,
}

_CAUSES: dict[Cause, resolution_pb.LineageCause.ValueType] = {
    "record": resolution_pb.LINEAGE_CAUSE_RECORD,
    "match": resolution_pb.LINEAGE_CAUSE_MATCH,
    "decision": resolution_pb.LINEAGE_CAUSE_DECISION,
    "undo": resolution_pb.LINEAGE_CAUSE_UNDO,
    "expiry": resolution_pb.LINEAGE_CAUSE_EXPIRY,
    "deletion": resolution_pb.LINEAGE_CAUSE_DELETION,
}


class DecisionService(decision_service_pb2_grpc.DecisionServiceServicer):
    """Keep what stewards decide."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def CreateDecision(  # noqa: N802 - the proto's name
        self,
        request: pb.CreateDecisionRequest,
        context: grpc.aio.ServicerContext[pb.CreateDecisionRequest, pb.CreateDecisionResponse],
    ) -> pb.CreateDecisionResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.parent)
        if request.overrides_veto and request.WhichOneof("decision") != "must_link":
            raise InvalidField("overrides_veto", "may be set for must_link only")
        terms = terms_of(request.reason, request.expire_time, request.HasField("expire_time"), request.overrides_veto)
        ruled = _ruled(tenant, request)
        decided = await create_decision(
            self._engine,
            tenant,
            ruled,
            terms,
            request_of(request, request.request_id),
            self._sight(),
            preview=request.validate_only,
        )
        if request.validate_only:
            decision: pb.Decision | None = pb.Decision(
                kind=_kind(ruled),
                actor=terms.actor,
                reason=terms.reason,
                expire_time=request.expire_time if terms.expires_at else None,
                overrides_veto=terms.overrides_veto,
            )
        else:
            decision = await if_seen(self._decision(tenant, decided.decision))
        return pb.CreateDecisionResponse(decision=decision, effect=effect_to(tenant, decided), revision=decided.revision)

    async def GetDecision(  # noqa: N802 - the proto's name
        self, request: pb.GetDecisionRequest, context: grpc.aio.ServicerContext[pb.GetDecisionRequest, pb.GetDecisionResponse]
    ) -> pb.GetDecisionResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        _, id = parse_name(tenant.name, request.name, "decisions")
        view = await get_decision(self._engine, tenant, id, moment_of(request.as_of), self._sight())
        return pb.GetDecisionResponse(decision=decisions_to(tenant, [view])[0])

    async def ListDecisions(  # noqa: N802 - the proto's name
        self,
        request: pb.ListDecisionsRequest,
        context: grpc.aio.ServicerContext[pb.ListDecisionsRequest, pb.ListDecisionsResponse],
    ) -> pb.ListDecisionsResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.parent)
        identity = parse_name(tenant.name, request.identity, "identities", field="identity")[1] if request.identity else b""
        views, after = await list_decisions(
            self._engine,
            tenant,
            page_start(request.page_token),
            page_size(request.page_size),
            DecisionFilter(identity, request.kind, _STATE_OF.get(request.state), request.actor),
            moment_of(request.as_of),
            self._sight(),
        )
        return pb.ListDecisionsResponse(decisions=decisions_to(tenant, views), next_page_token=page_token(after))

    async def UndoDecision(  # noqa: N802 - the proto's name
        self,
        request: pb.UndoDecisionRequest,
        context: grpc.aio.ServicerContext[pb.UndoDecisionRequest, pb.UndoDecisionResponse],
    ) -> pb.UndoDecisionResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        _, id = parse_name(tenant.name, request.name, "decisions")
        decided = await undo_decision(
            self._engine,
            tenant,
            id,
            current_caller().subject,
            request.reason,
            request_of(request, request.request_id),
            self._sight(),
            preview=request.validate_only,
        )
        return pb.UndoDecisionResponse(
            decision=await if_seen(self._decision(tenant, id)), effect=effect_to(tenant, decided), revision=decided.revision
        )

    async def _decision(self, tenant: Tenant, id: bytes) -> pb.Decision:
        return decisions_to(tenant, [await get_decision(self._engine, tenant, id, None, self._sight())])[0]

    def _sight(self) -> Sight:
        return self._engine.sight_of(current_caller())


def _kind(ruled: Ruled) -> str:
    match ruled:
        case MustLink():
            return "must_link"
        case CannotLink():
            return "cannot_link"
        case NotHousehold():
            return "not_household"
        case PinnedValue():
            return "pin"
        case _:
            assert_never(ruled)


def _ruled(tenant: Tenant, request: pb.CreateDecisionRequest) -> Ruled:
    """Read what is decided."""

    def named(names: Sequence[str], field: str) -> list[tuple[str, bytes]]:
        return [parse_name(tenant.name, name, "records", "identities", field=field) for name in names]

    match request.WhichOneof("decision"):
        case "must_link":
            sides = request.must_link
            return MustLink(named(sides.left, "must_link.left"), named(sides.right, "must_link.right"))
        case "cannot_link":
            apart = request.cannot_link
            return CannotLink(named(apart.left, "cannot_link.left"), named(apart.right, "cannot_link.right"))
        case "not_household":
            asked = request.not_household
            return NotHousehold(
                parse_name(tenant.name, asked.identity, "identities", field="not_household.identity")[1],
                parse_name(tenant.name, asked.household, "households", field="not_household.household")[1],
            )
        case _:
            pin = request.pin
            record = parse_name(tenant.name, pin.record, "records", field="pin.record")[1]
            if not pin.HasField("value"):
                return PinnedValue(record, pin.attribute, None)
            if pin.value.attribute != pin.attribute:
                raise InvalidField("pin.value.attribute", "must be the attribute that is pinned")
            (value,) = attributes_of([pin.value], reading(tenant.data_model, now()))
            return PinnedValue(record, pin.attribute, value)


def terms_of(reason: str, expire_time: Timestamp, has_expire_time: bool, overrides_veto: bool = False) -> DecisionTerms:
    """Read who decides, why and until when.

    Raises:
        InvalidField: the decision would have expired already.
    """
    expires_at = micros(expire_time, "expire_time") if has_expire_time else 0
    if has_expire_time and expires_at <= now():
        raise InvalidField("expire_time", "must be later than now")
    return DecisionTerms(current_caller().subject, reason, expires_at, overrides_veto)


def decisions_to(tenant: Tenant, views: Sequence[DecisionView]) -> list[pb.Decision]:
    """Write decisions."""
    return [
        pb.Decision(
            name=name_of(tenant.name, "decisions", view.id),
            kind=view.kind,
            actor=view.actor,
            reason=view.reason,
            revision=view.revision,
            create_time=timestamp(view.made_at),
            expire_time=timestamp(view.expires_at) if view.expires_at else None,
            overrides_veto=view.overrides_veto,
            state=_STATES[state_of(view)],
            left=_names(tenant, "records", view.left),
            right=_names(tenant, "records", view.right),
            household=name_of(tenant.name, "households", view.household) if view.household else "",
            attribute=view.attribute,
            end=pb.DecisionEnd(
                actor=view.end.actor,
                reason=view.end.reason,
                revision=view.end.revision,
                end_time=timestamp(view.end.ended_at),
            )
            if view.end is not None
            else None,
        )
        for view in views
    ]


def effect_to(tenant: Tenant, decided: Decided) -> pb.DecisionEffect:
    """Write what a decision changes; what a preview would create has no name yet."""
    effect = decided.effect
    unnamed = _unnamed(effect) if not decided.decision else frozenset()

    def identity_name(id: bytes) -> str:
        return "" if id in unnamed or not id else name_of(tenant.name, "identities", id)

    return pb.DecisionEffect(
        identities=[_identity_effect(tenant, one, identity_name(one.identity), unnamed) for one in effect.identities],
        moves=[
            pb.RecordMove(**{"from": identity_name(old)}, record=name_of(tenant.name, "records", record), to=identity_name(new))
            for record, old, new in effect.moves
        ],
    )


def _unnamed(effect: Effect) -> frozenset[bytes]:
    return frozenset(one.identity for one in effect.identities if one.fate == "created")


def _identity_effect(tenant: Tenant, one: IdentityEffect, name: str, unnamed: frozenset[bytes]) -> pb.IdentityEffect:
    return pb.IdentityEffect(
        name=name,
        fate=_FATES[one.fate],
        records_before=_names(tenant, "records", one.before),
        records_after=_names(tenant, "records", one.after),
        gains_from=_names(tenant, "identities", [id for id in one.gains_from if id not in unnamed]),
        loses_to=_names(tenant, "identities", [id for id in one.loses_to if id not in unnamed]),
        households_joined=_names(tenant, "households", one.joins),
        households_left=_names(tenant, "households", one.leaves),
        golden_fields=one.golden_fields,
    )


def lineage_step_to(tenant: Tenant, step: LineageStep) -> resolution_pb.LineageStep:
    """Write a step of an identity's history."""
    return resolution_pb.LineageStep(
        revision=step.revision,
        time=timestamp(step.at),
        fate=_FATES[step.fate],
        records_added=_names(tenant, "records", step.added),
        records_removed=_names(tenant, "records", step.removed),
        gained_from=_names(tenant, "identities", step.gained_from),
        lost_to=_names(tenant, "identities", step.lost_to),
        cause=_CAUSES[step.cause],
        decision=name_of(tenant.name, "decisions", step.decision) if step.decision else "",
    )


def _names(tenant: Tenant, collection: str, ids: Sequence[bytes]) -> list[str]:
    return [name_of(tenant.name, collection, id) for id in ids]
