"""ResolutionService: who is who, why, and a steward's say in it."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from goldenthread.graph.model import SemanticType
from goldenthread.server.commands import Engine
from goldenthread.server.commands.decisions.identities import merge_identities, split_identity
from goldenthread.server.commands.explain import explain_identity, explain_match
from goldenthread.server.commands.identities import (
    ByIdentifier,
    ByRecord,
    IdentityKey,
    get_identity,
    list_identities,
)
from goldenthread.server.commands.ids import name_of, parse_name
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.services.callers import calling_tenant, check_parent, request_of
from goldenthread.server.services.decisions import decisions_to, effect_to, terms_of
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
        return await self._searcher.resolve(await calling_tenant(self._engine), request)

    async def GetIdentity(  # noqa: N802 - the proto's name
        self, request: pb.GetIdentityRequest, context: grpc.aio.ServicerContext[pb.GetIdentityRequest, pb.GetIdentityResponse]
    ) -> pb.GetIdentityResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        found = await get_identity(self._engine, tenant, _key(tenant, request), moment_of(request.as_of))
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
        explained = await explain_match(self._engine, tenant, left, right, moment_of(request.as_of))
        return pb.ExplainMatchResponse(
            match=match_to(tenant.match_model, explained.explanation),
            records=[name_of(tenant.name, "records", record) for record in explained.records],
            same_identity=explained.same_identity,
            decisions=decisions_to(tenant, explained.decisions),
            shared_rules=explained.shared_rules,
        )

    async def ExplainIdentity(  # noqa: N802 - the proto's name
        self,
        request: pb.ExplainIdentityRequest,
        context: grpc.aio.ServicerContext[pb.ExplainIdentityRequest, pb.ExplainIdentityResponse],
    ) -> pb.ExplainIdentityResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        explained = await explain_identity(
            self._engine, tenant, parse_name(tenant.name, request.name, "identities")[1], moment_of(request.as_of)
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
        )

    async def MergeIdentities(  # noqa: N802 - the proto's name
        self,
        request: pb.MergeIdentitiesRequest,
        context: grpc.aio.ServicerContext[pb.MergeIdentitiesRequest, pb.MergeIdentitiesResponse],
    ) -> pb.MergeIdentitiesResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        ids = [parse_name(tenant.name, name, "identities", field="names")[1] for name in request.names]
        merged = await merge_identities(
            self._engine,
            tenant,
            ids,
            terms_of(request.reason, request.expire_time, request.HasField("expire_time"), request.overrides_veto),
            request_of(request, request.request_id),
            preview=request.validate_only,
        )
        stays, _ = merged.identities[0]
        # A preview changes nothing, so the identity is shown as it is; `superseded` says what would join it.
        found = await get_identity(self._engine, tenant, stays, None)
        return pb.MergeIdentitiesResponse(
            identity=identity_to(tenant.name, found.identity),
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
