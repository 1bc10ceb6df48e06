"""GoldenRecordService: the best value of everything."""

from __future__ import annotations

from collections.abc import Iterable

import grpc

from goldenthread.resolver.golden import SourcedValue
from goldenthread.server.commands import Engine
from goldenthread.server.commands.golden_record import get_golden_record
from goldenthread.server.commands.ids import name_of, parse_name
from goldenthread.server.services.callers import calling_tenant
from goldenthread.server.services.edge import check
from goldenthread.server.services.translate import moment_of, timestamp, value_to
from goldenthread.v1 import golden_record_service_pb2 as pb
from goldenthread.v1 import golden_record_service_pb2_grpc, record_pb2

__all__ = ["GoldenRecordService"]


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
        _, id = parse_name(tenant.name, request.name.removesuffix("/goldenRecord"), "identities")
        golden = await get_golden_record(self._engine, tenant, id, moment_of(request.as_of))

        def values(found: Iterable[SourcedValue]) -> list[pb.SourcedValue]:
            return [
                pb.SourcedValue(
                    value=value_to(one.value),
                    record=name_of(tenant.name, "records", one.record),
                    source=one.source,
                    party=record_pb2.Party.ValueType(one.party),
                    observed_at=timestamp(one.observed_at),
                    because=one.because,
                )
                for one in found
            ]

        return pb.GetGoldenRecordResponse(
            golden_record=pb.GoldenRecord(
                name=f"{name_of(tenant.name, 'identities', golden.identity.id)}/goldenRecord",
                attributes=[
                    pb.GoldenAttribute(
                        attribute=one.attribute, values=values(one.values), rule=one.rule, losers=values(one.losers)
                    )
                    for one in golden.attributes
                ],
                records=[name_of(tenant.name, "records", record) for record in golden.identity.records],
            ),
            revision=golden.revision,
            history_was_cut=golden.identity.was_cut,
        )
