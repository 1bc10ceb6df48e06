"""ResolutionService: who is who, why, and a steward's say in it."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from goldenthread.graph.model import SemanticType
from goldenthread.server.access import current_caller
from goldenthread.server.commands import Engine
from goldenthread.server.commands.apart import Apart
from goldenthread.server.commands.bridges import Bridge
from goldenthread.server.commands.decisions.identities import merge_identities, split_identity
from goldenthread.server.commands.decisions.kept import DecisionView
from goldenthread.server.commands.explain import explain_identity, explain_match
from goldenthread.server.commands.identities import (
    ByIdentifier,
    ByRecord,
    IdentityKey,
    get_identity,
    list_identities,
)
from goldenthread.server.commands.ids import name_of, parse_name
from goldenthread.server.commands.lineage import get_lineage
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import InvalidField
from goldenthread.server.services.callers import calling_tenant, check_parent, if_seen, request_of
from goldenthread.server.services.decisions import decisions_to, effect_to, lineage_step_to, terms_of
from goldenthread.server.services.edge import check, page_size, page_start, page_token
from goldenthread.server.services.records import source_key_of
from goldenthread.server.services.searching import Searcher
from goldenthread.server.services.translate import bits, identity_to, match_to, moment_of
from goldenthread.v1 import resolution_service_pb2 as pb
from goldenthread.v1 import resolution_service_pb2_grpc

__all__ = ["ResolutionService"]


class ResolutionService(resolution_service_pb2_grpc.ResolutionServiceServicer):
    """Say which records are one person."""

    def __init__(self, engine: Engine, searcher: Searcher) -> None:
        self._engine, self._searcher = engine, searcher

    async def ResolveRecord(  # noqa: N802 - the proto's name
        self,
        request: pb.ResolveRecordRequest,
        context: grpc.aio.ServicerContext[pb.ResolveRecordRequest, pb.ResolveRecordResponse],
    ) -> pb.ResolveRecordResponse:
        tenant = await calling_tenant(self._engine)
        return await self._searcher.resolve(tenant, request, self._engine.sight_of(current_caller()))

    async def GetIdentity(  # noqa: N802 - the proto's name
        self, request: pb.GetIdentityRequest, context: grpc.aio.ServicerContext[pb.GetIdentityRequest, pb.GetIdentityResponse]
    ) -> pb.GetIdentityResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        found = await get_identity(
            self._engine, tenant, _key(tenant, request), moment_of(request.as_of), self._engine.sight_of(current_caller())
        )
        return pb.GetIdentityResponse(
            identity=identity_to(tenant.name, found.identity),
            others=[name_of(tenant.name, "identities", other) for other in found.others],
            superseded_name=name_of(tenant.name, "identities", found.superseded) if found.superseded else "",
            history_was_cut=found.identity.was_cut,
        )

    async def ListIdentities(  # noqa: N802 - the proto's name
        self,
        request: pb.ListIdentitiesRequest,
        context: grpc.aio.ServicerContext[pb.ListIdentitiesRequest, pb.ListIdentitiesResponse],
    ) -> pb.ListIdentitiesResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.parent)
        identities, after = await list_identities(
            self._engine,
            tenant,
            page_start(request.page_token),
            page_size(request.page_size),
            request.min_records,
            moment_of(request.as_of),
            self._engine.sight_of(current_caller()),
        )
        return pb.ListIdentitiesResponse(
            identities=[identity_to(tenant.name, identity) for identity in identities], next_page_token=page_token(after)
        )

    async def ExplainMatch(  # noqa: N802 - the proto's name
        self,
        request: pb.ExplainMatchRequest,
        context: grpc.aio.ServicerContext[pb.ExplainMatchRequest, pb.ExplainMatchResponse],
    ) -> pb.ExplainMatchResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        left = parse_name(tenant.name, request.left, "records", "identities", field="left")
        right = parse_name(tenant.name, request.right, "records", "identities", field="right")
        explained = await explain_match(
            self._engine, tenant, left, right, moment_of(request.as_of), self._engine.sight_of(current_caller())
        )
        against = [part for part in explained.explanation.contributions if part.weight < 0]
        return pb.ExplainMatchResponse(
            match=match_to(tenant.match_model, explained.explanation),
            records=[name_of(tenant.name, "records", record) for record in explained.records],
            same_identity=explained.same_identity,
            decisions=decisions_to(tenant, explained.decisions),
            shared_rules=explained.shared_rules,
            rules=[pb.RuleOutcome(rule=rule.rule, outcome=rule.outcome) for rule in explained.rules],
            against=[part.comparison for part in sorted(against, key=lambda part: part.weight)],
            separation=_separation(tenant, explained.apart) if explained.apart is not None else None,
            history_was_cut=explained.was_cut,
        )

    async def ExplainIdentity(  # noqa: N802 - the proto's name
        self,
        request: pb.ExplainIdentityRequest,
        context: grpc.aio.ServicerContext[pb.ExplainIdentityRequest, pb.ExplainIdentityResponse],
    ) -> pb.ExplainIdentityResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        without = [parse_name(tenant.name, name, "records", field="without_records")[1] for name in request.without_records]
        decision = request.without_decision
        if without and decision:
            raise InvalidField("without_decision", "can't be given together with without_records")
        explained = await explain_identity(
            self._engine,
            tenant,
            parse_name(tenant.name, request.name, "identities")[1],
            moment_of(request.as_of),
            self._engine.sight_of(current_caller()),
            without_records=without,
            without_decision=parse_name(tenant.name, decision, "decisions", field="without_decision")[1] if decision else b"",
        )

        def names(records: Sequence[bytes]) -> list[str]:
            return [name_of(tenant.name, "records", record) for record in records]

        return pb.ExplainIdentityResponse(
            identity=identity_to(tenant.name, explained.identity),
            steps=[
                pb.JoinStep(
                    left=names(step.left),
                    right=names(step.right),
                    strongest=match_to(tenant.match_model, step.explanation),
                    strongest_records=names(step.strongest),
                    average_weight=bits(step.average),
                    by=step.by,
                )
                for step in explained.steps
            ],
            decisions=decisions_to(tenant, explained.decisions),
            bridges=[_bridge(tenant, bridge, explained.decisions) for bridge in explained.bridges.found],
            bridges_truncated=explained.bridges.is_cut,
            would_be=[_group(tenant, one.records, one.identity) for one in explained.would_be],
            history_was_cut=explained.identity.was_cut,
        )

    async def GetIdentityLineage(  # noqa: N802 - the proto's name
        self,
        request: pb.GetIdentityLineageRequest,
        context: grpc.aio.ServicerContext[pb.GetIdentityLineageRequest, pb.GetIdentityLineageResponse],
    ) -> pb.GetIdentityLineageResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        lineage, after = await get_lineage(
            self._engine,
            tenant,
            parse_name(tenant.name, request.name, "identities")[1],
            int.from_bytes(page_start(request.page_token), "big"),
            page_size(request.page_size),
            moment_of(request.as_of),
            self._engine.sight_of(current_caller()),
        )
        return pb.GetIdentityLineageResponse(
            identity=identity_to(tenant.name, lineage.identity),
            steps=[lineage_step_to(tenant, step) for step in lineage.steps],
            parts=[name_of(tenant.name, "identities", part) for part in lineage.parts],
            history_was_cut=lineage.identity.was_cut,
            next_page_token=page_token(after.to_bytes(16, "big") if after else b""),
        )

    async def MergeIdentities(  # noqa: N802 - the proto's name
        self,
        request: pb.MergeIdentitiesRequest,
        context: grpc.aio.ServicerContext[pb.MergeIdentitiesRequest, pb.MergeIdentitiesResponse],
    ) -> pb.MergeIdentitiesResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        ids = [parse_name(tenant.name, name, "identities", field="names")[1] for name in request.names]
        sight = self._engine.sight_of(current_caller())
        merged = await merge_identities(
            self._engine,
            tenant,
            ids,
            terms_of(request.reason, request.expire_time, request.HasField("expire_time"), request.overrides_veto),
            request_of(request, request.request_id),
            sight,
            preview=request.validate_only,
        )
        stays = merged.identities[0][0] if merged.identities else b""
        # A preview changes nothing, so the identity is shown as it is; `superseded` says what would join it.
        found = await if_seen(get_identity(self._engine, tenant, stays, None, sight)) if stays else None
        return pb.MergeIdentitiesResponse(
            identity=identity_to(tenant.name, found.identity) if found is not None else None,
            superseded=[
                name_of(tenant.name, "identities", one.identity)
                for one in merged.effect.identities
                if one.fate == "retired" and stays in one.loses_to
            ],
            decision=name_of(tenant.name, "decisions", merged.decision) if merged.decision else "",
            revision=merged.revision,
            effect=effect_to(tenant, merged),
        )

    async def SplitIdentity(  # noqa: N802 - the proto's name
        self,
        request: pb.SplitIdentityRequest,
        context: grpc.aio.ServicerContext[pb.SplitIdentityRequest, pb.SplitIdentityResponse],
    ) -> pb.SplitIdentityResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        split = await split_identity(
            self._engine,
            tenant,
            parse_name(tenant.name, request.name, "identities")[1],
            [parse_name(tenant.name, record, "records", field="records")[1] for record in request.records],
            terms_of(request.reason, request.expire_time, request.HasField("expire_time")),
            request_of(request, request.request_id),
            self._engine.sight_of(current_caller()),
            preview=request.validate_only,
        )
        return pb.SplitIdentityResponse(
            identities=[
                pb.Identity(
                    # The new parts of a preview have no name yet.
                    name=name_of(tenant.name, "identities", identity) if split.decision or place == 0 else "",
                    records=[name_of(tenant.name, "records", record) for record in records],
                )
                for place, (identity, records) in enumerate(split.identities)
            ],
            decision=name_of(tenant.name, "decisions", split.decision) if split.decision else "",
            revision=split.revision,
            effect=effect_to(tenant, split),
        )


def _key(tenant: Tenant, request: pb.GetIdentityRequest) -> IdentityKey:
    match request.WhichOneof("key"):
        case "name":
            return parse_name(tenant.name, request.name, "identities")[1]
        case "record":
            return ByRecord(parse_name(tenant.name, request.record, "records", field="record")[1])
        case "source_key":
            return source_key_of(request.source_key)
        case _:
            asked = request.identifier
            return ByIdentifier(SemanticType(asked.type), asked.value, asked.issuer)


def _separation(tenant: Tenant, apart: Apart) -> pb.Separation:
    model = tenant.match_model
    return pb.Separation(
        by=apart.by,
        records=[name_of(tenant.name, "records", record) for record in apart.strongest],
        strongest_weight=bits(apart.strongest_weight),
        average_weight=bits(apart.average),
        link_weight=bits(model.link_weight),
        min_average=bits(model.min_average),
        missing_weight=bits(apart.missing),
        guard=apart.guard[0] if apart.guard is not None else "",
        subject=apart.guard[1] if apart.guard is not None else "",
    )


def _bridge(tenant: Tenant, bridge: Bridge, decisions: Sequence[DecisionView]) -> pb.Bridge:
    decision = next((view.id for view in decisions if bridge.by == "decision" and view.revision == bridge.revision), None)
    return pb.Bridge(
        by=bridge.by,
        records=[name_of(tenant.name, "records", record) for record in bridge.records],
        comparison=bridge.comparison,
        decision=name_of(tenant.name, "decisions", decision) if decision is not None else "",
        weight=bits(bridge.weight),
        groups=[_group(tenant, records) for records in bridge.groups],
    )


def _group(tenant: Tenant, records: Sequence[bytes], identity: bytes = b"") -> pb.RecordGroup:
    return pb.RecordGroup(
        records=[name_of(tenant.name, "records", record) for record in records],
        identity=name_of(tenant.name, "identities", identity) if identity else "",
    )
