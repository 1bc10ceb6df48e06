"""ModelService: a tenant's data model, and the match model in use."""

from __future__ import annotations

import grpc

from goldenthread.graph.model import DataModel
from goldenthread.graph.store import Transaction
from goldenthread.server.commands import Engine
from goldenthread.server.commands.models import update_data_model
from goldenthread.server.services.callers import calling_tenant, check_parent
from goldenthread.server.services.edge import check
from goldenthread.server.services.translate import data_model_of, data_model_to
from goldenthread.v1 import model_service_pb2 as pb
from goldenthread.v1 import model_service_pb2_grpc

__all__ = ["ModelService"]


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """Declare attributes, and show the model."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def GetDataModel(  # noqa: N802 - the proto's name
        self,
        request: pb.GetDataModelRequest,
        context: grpc.aio.ServicerContext[pb.GetDataModelRequest, pb.GetDataModelResponse],
    ) -> pb.GetDataModelResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.name, "/dataModel", "name")
        model, revision = await self._engine.data_model(tenant)
        return pb.GetDataModelResponse(data_model=data_model_to(tenant, model), revision=revision)

    async def UpdateDataModel(  # noqa: N802 - the proto's name
        self,
        request: pb.UpdateDataModelRequest,
        context: grpc.aio.ServicerContext[pb.UpdateDataModelRequest, pb.UpdateDataModelResponse],
    ) -> pb.UpdateDataModelResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        if request.data_model.name:
            check_parent(tenant, request.data_model.name, "/dataModel", "data_model.name")
        wanted = data_model_of(request.data_model)

        async def work(transaction: Transaction, at: int) -> tuple[DataModel, int]:
            return await update_data_model(transaction, tenant, wanted)

        # Declaring is idempotent by itself: the same declaration again finds nothing to change.
        model, revision = await self._engine.write(tenant, work)
        await self._engine.notice(tenant)
        return pb.UpdateDataModelResponse(data_model=data_model_to(tenant, model), revision=revision)

    async def GetMatchModel(  # noqa: N802 - the proto's name
        self,
        request: pb.GetMatchModelRequest,
        context: grpc.aio.ServicerContext[pb.GetMatchModelRequest, pb.GetMatchModelResponse],
    ) -> pb.GetMatchModelResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.name, "/matchModel", "name")
        model = tenant.match_model
        return pb.GetMatchModelResponse(
            match_model=pb.MatchModel(name=request.name, version=model.version, artefact=model.to_json())
        )
