"""GuardRailsService: what must never make two records one person."""

from __future__ import annotations

import grpc

from goldenthread.graph.model import SemanticType
from goldenthread.resolver.blocked import BLOCKABLE
from goldenthread.resolver.guards import GUARDS, IDENTITY_SIZE, BlockedValue, GuardRails, IdentifierLimit
from goldenthread.server.access import current_caller
from goldenthread.server.commands import Engine
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import InvalidField
from goldenthread.server.jobs.guarding import effect_of, read_guard_rails, update_guard_rails
from goldenthread.server.services.callers import calling_tenant, check_parent, request_of
from goldenthread.server.services.edge import check
from goldenthread.server.services.jobs import job_to
from goldenthread.server.services.translate import timestamp
from goldenthread.v1 import guard_rails_service_pb2 as pb
from goldenthread.v1 import guard_rails_service_pb2_grpc, record_pb2

__all__ = ["GuardRailsService"]

_SUFFIX = "/guardRails"


class GuardRailsService(guard_rails_service_pb2_grpc.GuardRailsServiceServicer):
    """Show and change guard rails, and count how often each fired."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def GetGuardRails(  # noqa: N802 - the proto's name
        self,
        request: pb.GetGuardRailsRequest,
        context: grpc.aio.ServicerContext[pb.GetGuardRailsRequest, pb.GetGuardRailsResponse],
    ) -> pb.GetGuardRailsResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.name, _SUFFIX, "name")
        async with self._engine.reader(tenant) as reader:
            rails, revision = await read_guard_rails(reader, tenant)
        return pb.GetGuardRailsResponse(guard_rails=_rails_to(tenant, rails), revision=revision)

    async def UpdateGuardRails(  # noqa: N802 - the proto's name
        self,
        request: pb.UpdateGuardRailsRequest,
        context: grpc.aio.ServicerContext[pb.UpdateGuardRailsRequest, pb.UpdateGuardRailsResponse],
    ) -> pb.UpdateGuardRailsResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        if request.guard_rails.name:
            check_parent(tenant, request.guard_rails.name, _SUFFIX, "guard_rails.name")
        wanted = _rails_of(request.guard_rails)
        if request.validate_only:
            effect = await effect_of(self._engine, tenant, wanted)
            async with self._engine.reader(tenant) as reader:
                revision = reader.revision.number
            return pb.UpdateGuardRailsResponse(
                guard_rails=request.guard_rails,
                revision=revision,
                effect=pb.GuardRailsEffect(
                    identities_split=effect.identities_split,
                    identities_merged=effect.identities_merged,
                    identities_before=effect.identities_before,
                    identities_after=effect.identities_after,
                ),
            )
        kept, revision, view = await update_guard_rails(
            self._engine, tenant, wanted, current_caller().subject, request_of(request, request.request_id)
        )
        return pb.UpdateGuardRailsResponse(guard_rails=_rails_to(tenant, kept), revision=revision, job=job_to(tenant, view))

    async def GetGuardCounts(  # noqa: N802 - the proto's name
        self,
        request: pb.GetGuardCountsRequest,
        context: grpc.aio.ServicerContext[pb.GetGuardCountsRequest, pb.GetGuardCountsResponse],
    ) -> pb.GetGuardCountsResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.name, _SUFFIX, "name")
        described = {**GUARDS, IDENTITY_SIZE: "an identity of more records or profiles than the limit, marked for review"}
        for limit in tenant.guards.limits:
            described[limit.guard] = f"an identity of more identifiers than allowed of type {limit.type.name.lower()}, parted"
        return pb.GetGuardCountsResponse(
            counts=[
                pb.GuardCount(guard=guard, description=told, count=tenant.guards_fired[guard])
                for guard, told in sorted(described.items())
            ],
            since=timestamp(tenant.opened_at),
        )


def _rails_of(message: pb.GuardRails) -> GuardRails:
    """Read guard rails whose field rules hold.

    Raises:
        InvalidField: they do not fit together.
    """
    for place, one in enumerate(message.blocked):
        kind = SemanticType(one.type)
        if kind not in BLOCKABLE.values():
            raise InvalidField(f"guard_rails.blocked[{place}].type", f"can't be {kind.name}, of which no value can be blocked")
        if bool(one.value.strip()) == bool(one.digest):
            raise InvalidField(f"guard_rails.blocked[{place}]", "needs either value or digest")
    try:
        return GuardRails(
            duplicate_free=tuple(message.duplicate_free),
            never_overlap=tuple(tuple(one.sources) for one in message.never_overlap),
            verifying=tuple(message.verifying),
            verified_birth_dates=message.verified_birth_dates,
            verified_numbers=tuple(SemanticType(kind).name.lower() for kind in message.verified_numbers),
            single_numbers=tuple(SemanticType(kind).name.lower() for kind in message.single_numbers),
            blocked=tuple(BlockedValue(SemanticType(one.type).name.lower(), one.value, one.digest) for one in message.blocked),
            max_records=message.max_records,
            max_profiles=message.max_profiles,
            limits=tuple(IdentifierLimit(SemanticType(one.type).name.lower(), one.most, one.days) for one in message.limits),
            priority=tuple(SemanticType(kind).name.lower() for kind in message.priority),
        )
    except ValueError as error:
        raise InvalidField("guard_rails", f"can't be used: {error}") from None


def _rails_to(tenant: Tenant, rails: GuardRails) -> pb.GuardRails:
    """Write guard rails."""
    types = {kind.name.lower(): record_pb2.SemanticType.ValueType(kind) for kind in SemanticType}
    return pb.GuardRails(
        name=f"tenants/{tenant.name}{_SUFFIX}",
        duplicate_free=rails.duplicate_free,
        never_overlap=[pb.SourceSet(sources=sources) for sources in rails.never_overlap],
        verifying=rails.verifying,
        verified_birth_dates=rails.verified_birth_dates,
        verified_numbers=[types[name] for name in rails.verified_numbers],
        single_numbers=[types[name] for name in rails.single_numbers],
        blocked=[pb.BlockedValue(type=types[one.type], digest=one.digest) for one in rails.blocked],
        max_records=rails.max_records,
        max_profiles=rails.max_profiles,
        limits=[pb.IdentifierLimit(type=types[one.type], most=one.most, days=one.days) for one in rails.limits],
        priority=[types[name] for name in rails.priority],
    )
