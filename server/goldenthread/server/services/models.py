"""ModelService: a tenant's data model, and its match models from training to use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import grpc

from goldenthread.server.access import current_caller
from goldenthread.server.commands import Engine
from goldenthread.server.commands.ids import name_of, parse_name
from goldenthread.server.commands.match_models import ModelView, create_model, get_model, list_models
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import InvalidField, NotFound
from goldenthread.server.jobs.labelled import LabelledKeys
from goldenthread.server.jobs.previewing import list_activation_changes
from goldenthread.server.jobs.renormalising import update_data_model
from goldenthread.server.jobs.start_model_jobs import (
    activate_model,
    evaluate_model,
    preview_activation,
    rollback_model,
    stage_model,
    train_model,
)
from goldenthread.server.jobs.training import Training
from goldenthread.server.services.callers import calling_tenant, check_parent, request_of
from goldenthread.server.services.edge import check, page_size, page_start, page_token
from goldenthread.server.services.jobs import job_to
from goldenthread.server.services.translate import data_model_of, data_model_to, timestamp
from goldenthread.v1 import model_service_pb2 as pb
from goldenthread.v1 import model_service_pb2_grpc

__all__ = ["ModelService"]

_MODEL: Final = re.compile(r"tenants/([^/]{1,63})/models/([0-9a-f]{16})")


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """Declare attributes; keep, learn, measure and change match models."""

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
        model, revision, job = await update_data_model(
            self._engine,
            tenant,
            data_model_of(request.data_model),
            request.removed_attributes,
            current_caller().subject,
            request_of(request, request.request_id),
        )
        return pb.UpdateDataModelResponse(
            data_model=data_model_to(tenant, model),
            revision=revision,
            job=job_to(tenant, job) if job is not None else None,
        )

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

    async def CreateModel(  # noqa: N802 - the proto's name
        self,
        request: pb.CreateModelRequest,
        context: grpc.aio.ServicerContext[pb.CreateModelRequest, pb.CreateModelResponse],
    ) -> pb.CreateModelResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.parent)
        view, revision = await create_model(
            self._engine, tenant, request.artefact, request.card, request_of(request, request.request_id)
        )
        return pb.CreateModelResponse(model=_model_to(tenant, view), revision=revision)

    async def ListModels(  # noqa: N802 - the proto's name
        self,
        request: pb.ListModelsRequest,
        context: grpc.aio.ServicerContext[pb.ListModelsRequest, pb.ListModelsResponse],
    ) -> pb.ListModelsResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.parent)
        start, _ = _place_of(request.page_token)
        views, after = await list_models(self._engine, tenant, start, page_size(request.page_size))
        token = _token((after, 0)) if after else ""
        return pb.ListModelsResponse(models=[_model_to(tenant, view) for view in views], next_page_token=token)

    async def GetModel(  # noqa: N802 - the proto's name
        self,
        request: pb.GetModelRequest,
        context: grpc.aio.ServicerContext[pb.GetModelRequest, pb.GetModelResponse],
    ) -> pb.GetModelResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        view, model = await get_model(self._engine, tenant, _version(tenant, request.name))
        return pb.GetModelResponse(model=_model_to(tenant, view, model.to_json()))

    async def TrainModel(  # noqa: N802 - the proto's name
        self,
        request: pb.TrainModelRequest,
        context: grpc.aio.ServicerContext[pb.TrainModelRequest, pb.TrainModelResponse],
    ) -> pb.TrainModelResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.parent)
        labels = _labels(request.labels, with_stewards=request.with_stewards_labels)
        training = Training(labels, request.display_name, request.seed)
        view = await train_model(
            self._engine, tenant, training, current_caller().subject, request_of(request, request.request_id)
        )
        return pb.TrainModelResponse(job=job_to(tenant, view))

    async def EvaluateModel(  # noqa: N802 - the proto's name
        self,
        request: pb.EvaluateModelRequest,
        context: grpc.aio.ServicerContext[pb.EvaluateModelRequest, pb.EvaluateModelResponse],
    ) -> pb.EvaluateModelResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        version = _version(tenant, request.name)
        labels = _labels(request.labels, with_stewards=request.with_stewards_labels)
        asked = request_of(request, request.request_id)
        view = await evaluate_model(self._engine, tenant, version, labels, current_caller().subject, asked)
        return pb.EvaluateModelResponse(job=job_to(tenant, view))

    async def StageModel(  # noqa: N802 - the proto's name
        self,
        request: pb.StageModelRequest,
        context: grpc.aio.ServicerContext[pb.StageModelRequest, pb.StageModelResponse],
    ) -> pb.StageModelResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        version, asked = _version(tenant, request.name), request_of(request, request.request_id)
        view = await stage_model(self._engine, tenant, version, current_caller().subject, asked)
        return pb.StageModelResponse(job=job_to(tenant, view))

    async def PreviewActivation(  # noqa: N802 - the proto's name
        self,
        request: pb.PreviewActivationRequest,
        context: grpc.aio.ServicerContext[pb.PreviewActivationRequest, pb.PreviewActivationResponse],
    ) -> pb.PreviewActivationResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        version, asked = _version(tenant, request.name), request_of(request, request.request_id)
        view = await preview_activation(self._engine, tenant, version, current_caller().subject, asked)
        return pb.PreviewActivationResponse(job=job_to(tenant, view))

    async def ActivateModel(  # noqa: N802 - the proto's name
        self,
        request: pb.ActivateModelRequest,
        context: grpc.aio.ServicerContext[pb.ActivateModelRequest, pb.ActivateModelResponse],
    ) -> pb.ActivateModelResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        version, asked = _version(tenant, request.name), request_of(request, request.request_id)
        view = await activate_model(self._engine, tenant, version, current_caller().subject, asked)
        return pb.ActivateModelResponse(job=job_to(tenant, view))

    async def RollbackModel(  # noqa: N802 - the proto's name
        self,
        request: pb.RollbackModelRequest,
        context: grpc.aio.ServicerContext[pb.RollbackModelRequest, pb.RollbackModelResponse],
    ) -> pb.RollbackModelResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.parent)
        view = await rollback_model(self._engine, tenant, current_caller().subject, request_of(request, request.request_id))
        return pb.RollbackModelResponse(job=job_to(tenant, view))

    async def ListActivationChanges(  # noqa: N802 - the proto's name
        self,
        request: pb.ListActivationChangesRequest,
        context: grpc.aio.ServicerContext[pb.ListActivationChangesRequest, pb.ListActivationChangesResponse],
    ) -> pb.ListActivationChangesResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        job = parse_name(tenant.name, request.job, "jobs", field="job")[1]
        start, size = _place_of(request.page_token), page_size(request.page_size)
        found, after = await list_activation_changes(
            self._engine, tenant, job, start, size, self._engine.sight_of(current_caller())
        )
        return pb.ListActivationChangesResponse(
            changes=[
                pb.ActivationChange(
                    identities=[name_of(tenant.name, "identities", id) for id in change.identities], parts=change.parts
                )
                for change in found
            ],
            next_page_token=_token(after) if after is not None else "",
        )


def _model_to(tenant: Tenant, view: ModelView, artefact: bytes = b"") -> pb.Model:
    entry = view.entry
    return pb.Model(
        name=f"tenants/{tenant.name}/models/{entry.version}",
        version=entry.version,
        display_name=entry.name,
        state=pb.ModelState.ValueType(view.state),
        origin=entry.origin,
        created_at=timestamp(entry.created_at),
        card=entry.card,
        artefact=artefact,
        outdated=view.is_outdated,
    )


def _version(tenant: Tenant, name: str) -> str:
    """Read the version off a model's name; another tenant's looks as if it did not exist."""
    match = _MODEL.fullmatch(name)
    if match is None:
        raise InvalidField("name", "must be a name of the form tenants/{tenant}/models/{version}")
    if match[1] != tenant.name:
        raise NotFound("match model")
    return match[2]


def _labels(labels: Iterable[pb.LabelledPair], *, with_stewards: bool) -> LabelledKeys:
    return LabelledKeys(
        tuple(
            (
                (label.left.source, label.left.source_record_id),
                (label.right.source, label.right.source_record_id),
                label.is_match,
            )
            for label in labels
        ),
        with_stewards,
    )


def _token(place: tuple[int, int]) -> str:
    return page_token(b"".join(number.to_bytes(8, "big") for number in place))


def _place_of(token: str) -> tuple[int, int]:
    start = page_start(token)
    return int.from_bytes(start[:8], "big"), int.from_bytes(start[8:], "big")
