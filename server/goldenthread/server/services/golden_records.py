"""GoldenRecordService: the best value of everything."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc

from goldenthread.server.access import current_caller
from goldenthread.server.commands import Engine
from goldenthread.server.commands.as_of import read_at
from goldenthread.server.commands.export_golden import Export, export_golden
from goldenthread.server.commands.golden_record import get_golden_record, get_golden_records
from goldenthread.server.commands.ids import parse_name
from goldenthread.server.commands.preview_survivorship import preview_rules
from goldenthread.server.commands.survivorship import read_rules
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import NotFound
from goldenthread.server.jobs.telling import update_rules
from goldenthread.server.services.callers import calling_tenant, check_parent, request_of
from goldenthread.server.services.edge import check
from goldenthread.server.services.jobs import job_to
from goldenthread.server.services.survivorship import golden_to, rules_of, rules_to
from goldenthread.server.services.translate import moment_of
from goldenthread.v1 import golden_record_service_pb2 as pb
from goldenthread.v1 import golden_record_service_pb2_grpc

__all__ = ["GoldenRecordService"]

_SAMPLE = 500
_RULES = "/survivorshipRules"


class GoldenRecordService(golden_record_service_pb2_grpc.GoldenRecordServiceServicer):
    """Give the best value of everything known of an identity."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def GetGoldenRecord(  # noqa: N802 - the proto's name
        self,
        request: pb.GetGoldenRecordRequest,
        context: grpc.aio.ServicerContext[pb.GetGoldenRecordRequest, pb.GetGoldenRecordResponse],
    ) -> pb.GetGoldenRecordResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        id = _identity_of(tenant, request.name, "name")
        moment, sight = moment_of(request.as_of), self._engine.sight_of(current_caller())
        golden = await get_golden_record(self._engine, tenant, id, moment, sight, request.purpose)
        return pb.GetGoldenRecordResponse(
            golden_record=golden_to(tenant, golden),
            revision=golden.revision,
            history_was_cut=golden.identity.was_cut,
        )

    async def BatchGetGoldenRecords(  # noqa: N802 - the proto's name
        self,
        request: pb.BatchGetGoldenRecordsRequest,
        context: grpc.aio.ServicerContext[pb.BatchGetGoldenRecordsRequest, pb.BatchGetGoldenRecordsResponse],
    ) -> pb.BatchGetGoldenRecordsResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.parent)
        names: dict[bytes, str] = {}
        missing: list[str] = []
        for place, name in enumerate(request.names):
            try:
                names.setdefault(_identity_of(tenant, name, f"names[{place}]"), name)
            except NotFound:
                missing.append(name)
        moment, sight = moment_of(request.as_of), self._engine.sight_of(current_caller())
        goldens, unknown, revision = await get_golden_records(self._engine, tenant, list(names), moment, sight, request.purpose)
        return pb.BatchGetGoldenRecordsResponse(
            golden_records=[golden_to(tenant, golden) for golden in goldens],
            missing=[*missing, *(names[id] for id in unknown)],
            revision=revision,
        )

    async def ExportGoldenRecords(  # noqa: N802 - the proto's name
        self,
        request: pb.ExportGoldenRecordsRequest,
        context: grpc.aio.ServicerContext[pb.ExportGoldenRecordsRequest, pb.ExportGoldenRecordsResponse],
    ) -> AsyncIterator[pb.ExportGoldenRecordsResponse]:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.parent)
        export = Export(
            request.format == pb.EXPORT_FORMAT_CSV,
            request.purpose,
            request.min_records,
            tuple(request.sources),
            tuple(request.attributes),
            request.masked,
        )
        sight = self._engine.sight_of(current_caller())
        moment = moment_of(request.as_of)
        async for part in export_golden(self._engine, tenant, export, moment, request.resume_token, sight):
            yield pb.ExportGoldenRecordsResponse(
                data=part.data,
                resume_token=part.token,
                revision=part.revision,
                rows=part.rows,
                identities_read=part.read,
                identities_total=part.total,
                complete=part.is_last,
            )

    async def GetSurvivorshipRules(  # noqa: N802 - the proto's name
        self,
        request: pb.GetSurvivorshipRulesRequest,
        context: grpc.aio.ServicerContext[pb.GetSurvivorshipRulesRequest, pb.GetSurvivorshipRulesResponse],
    ) -> pb.GetSurvivorshipRulesResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.name, _RULES, "name")
        async with read_at(self._engine, tenant, moment_of(request.as_of)) as reader:
            rules, revision = await read_rules(reader, tenant)
        return pb.GetSurvivorshipRulesResponse(survivorship_rules=rules_to(tenant, rules), revision=revision)

    async def UpdateSurvivorshipRules(  # noqa: N802 - the proto's name
        self,
        request: pb.UpdateSurvivorshipRulesRequest,
        context: grpc.aio.ServicerContext[pb.UpdateSurvivorshipRulesRequest, pb.UpdateSurvivorshipRulesResponse],
    ) -> pb.UpdateSurvivorshipRulesResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        if request.survivorship_rules.name:
            check_parent(tenant, request.survivorship_rules.name, _RULES, "survivorship_rules.name")
        wanted = rules_of(request.survivorship_rules)
        if request.validate_only:
            effect = await preview_rules(self._engine, tenant, wanted, request.sample or _SAMPLE)
            return pb.UpdateSurvivorshipRulesResponse(
                survivorship_rules=rules_to(tenant, wanted),
                revision=effect.revision,
                sampled=effect.sampled,
                changed=effect.changed,
                changed_by_attribute=effect.by_attribute,
            )
        asked = request_of(request, request.request_id)
        revision, view = await update_rules(self._engine, tenant, wanted, current_caller().subject, asked)
        return pb.UpdateSurvivorshipRulesResponse(
            survivorship_rules=rules_to(tenant, wanted), revision=revision, job=job_to(tenant, view)
        )


def _identity_of(tenant: Tenant, name: str, field: str) -> bytes:
    """Read the name of an identity, or of its golden record."""
    return parse_name(tenant.name, name.removesuffix("/goldenRecord"), "identities", field=field)[1]
