"""Call ModelService about match models: the methods that `Client` and `AsyncClient` have for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Protocol, TypeVar

import grpc

from goldenthread.client.record import SourceKey
from goldenthread.client.requests import Requests, new_request_id
from goldenthread.v1 import model_service_pb2 as pb
from goldenthread.v1 import model_service_pb2_grpc as pb_grpc
from goldenthread.v1.job_service_pb2 import Job

__all__ = ["AsyncModels", "PairLabel", "SyncModels"]

Q = TypeVar("Q")
A = TypeVar("A")

PairLabel = tuple[SourceKey, SourceKey, bool]
"""Two records, and whether they are one person."""


class _Sync(Protocol):
    _requests: Requests
    _model: pb_grpc.ModelServiceStub

    def _call(self, method: grpc.UnaryUnaryMultiCallable[Q, A], request: Q) -> A: ...


class _Async(Protocol):
    _requests: Requests
    _model: pb_grpc.ModelServiceAsyncStub

    async def _call(self, method: grpc.aio.UnaryUnaryMultiCallable[Q, A], request: Q) -> A: ...


def _labels(labels: Iterable[PairLabel]) -> list[pb.LabelledPair]:
    return [
        pb.LabelledPair(left=left.to_proto(), right=right.to_proto(), is_match=is_match) for left, right, is_match in labels
    ]


class SyncModels:
    """What `Client` can do with match models."""

    def create_model(self: _Sync, artefact: bytes, *, card: str = "", request_id: str | None = None) -> pb.Model:
        """Keep a match model that was learned elsewhere, as `goldenthread train` writes it; it changes nothing yet."""
        request = pb.CreateModelRequest(
            parent=self._requests.parent, artefact=artefact, card=card, request_id=request_id or new_request_id()
        )
        return self._call(self._model.CreateModel, request).model

    def list_models(self: _Sync, *, page_size: int = 100) -> Iterator[pb.Model]:
        """List match models, the oldest first."""
        request = pb.ListModelsRequest(parent=self._requests.parent, page_size=page_size)
        while True:
            page = self._call(self._model.ListModels, request)
            yield from page.models
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def get_model(self: _Sync, name: str) -> pb.Model:
        """Return a match model, whole, by its name or version."""
        return self._call(self._model.GetModel, pb.GetModelRequest(name=self._requests.name("models", name))).model

    def train_model(
        self: _Sync,
        labels: Iterable[PairLabel] = (),
        *,
        display_name: str = "",
        with_stewards_labels: bool = False,
        seed: int = 0,
        request_id: str | None = None,
    ) -> Job:
        """Learn a match model from the tenant's records, with labels or without; returns the job that does it."""
        request = pb.TrainModelRequest(
            parent=self._requests.parent,
            labels=_labels(labels),
            display_name=display_name,
            with_stewards_labels=with_stewards_labels,
            seed=seed,
            request_id=request_id or new_request_id(),
        )
        return self._call(self._model.TrainModel, request).job

    def evaluate_model(
        self: _Sync,
        name: str,
        labels: Iterable[PairLabel] = (),
        *,
        with_stewards_labels: bool = False,
        request_id: str | None = None,
    ) -> Job:
        """Measure a match model against labelled pairs; returns the job that does it."""
        request = pb.EvaluateModelRequest(
            name=self._requests.name("models", name),
            labels=_labels(labels),
            with_stewards_labels=with_stewards_labels,
            request_id=request_id or new_request_id(),
        )
        return self._call(self._model.EvaluateModel, request).job

    def stage_model(self: _Sync, name: str, *, request_id: str | None = None) -> Job:
        """Build a model's keys and edges beside those in use; returns the job that does it."""
        request = pb.StageModelRequest(name=self._requests.name("models", name), request_id=request_id or new_request_id())
        return self._call(self._model.StageModel, request).job

    def preview_activation(self: _Sync, name: str, *, request_id: str | None = None) -> Job:
        """Find out what activating the staged model would change; returns the job that does it."""
        request = pb.PreviewActivationRequest(
            name=self._requests.name("models", name), request_id=request_id or new_request_id()
        )
        return self._call(self._model.PreviewActivation, request).job

    def activate_model(self: _Sync, name: str, *, request_id: str | None = None) -> Job:
        """Use another match model, and resolve every record again; returns the job that does it."""
        request = pb.ActivateModelRequest(name=self._requests.name("models", name), request_id=request_id or new_request_id())
        return self._call(self._model.ActivateModel, request).job

    def rollback_model(self: _Sync, *, request_id: str | None = None) -> Job:
        """Use the match model again that was in use before; returns the job that does it."""
        request = pb.RollbackModelRequest(parent=self._requests.parent, request_id=request_id or new_request_id())
        return self._call(self._model.RollbackModel, request).job

    def list_activation_changes(self: _Sync, job: str, *, page_size: int = 100) -> Iterator[pb.ActivationChange]:
        """List what a preview found, by the name of its job."""
        request = pb.ListActivationChangesRequest(job=self._requests.name("jobs", job), page_size=page_size)
        while True:
            page = self._call(self._model.ListActivationChanges, request)
            yield from page.changes
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token


class AsyncModels:
    """What `AsyncClient` can do with match models."""

    async def create_model(self: _Async, artefact: bytes, *, card: str = "", request_id: str | None = None) -> pb.Model:
        """Keep a match model that was learned elsewhere, as `goldenthread train` writes it; it changes nothing yet."""
        request = pb.CreateModelRequest(
            parent=self._requests.parent, artefact=artefact, card=card, request_id=request_id or new_request_id()
        )
        return (await self._call(self._model.CreateModel, request)).model

    async def list_models(self: _Async, *, page_size: int = 100) -> AsyncIterator[pb.Model]:
        """List match models, the oldest first."""
        request = pb.ListModelsRequest(parent=self._requests.parent, page_size=page_size)
        while True:
            page = await self._call(self._model.ListModels, request)
            for model in page.models:
                yield model
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def get_model(self: _Async, name: str) -> pb.Model:
        """Return a match model, whole, by its name or version."""
        return (await self._call(self._model.GetModel, pb.GetModelRequest(name=self._requests.name("models", name)))).model

    async def train_model(
        self: _Async,
        labels: Iterable[PairLabel] = (),
        *,
        display_name: str = "",
        with_stewards_labels: bool = False,
        seed: int = 0,
        request_id: str | None = None,
    ) -> Job:
        """Learn a match model from the tenant's records, with labels or without; returns the job that does it."""
        request = pb.TrainModelRequest(
            parent=self._requests.parent,
            labels=_labels(labels),
            display_name=display_name,
            with_stewards_labels=with_stewards_labels,
            seed=seed,
            request_id=request_id or new_request_id(),
        )
        return (await self._call(self._model.TrainModel, request)).job

    async def evaluate_model(
        self: _Async,
        name: str,
        labels: Iterable[PairLabel] = (),
        *,
        with_stewards_labels: bool = False,
        request_id: str | None = None,
    ) -> Job:
        """Measure a match model against labelled pairs; returns the job that does it."""
        request = pb.EvaluateModelRequest(
            name=self._requests.name("models", name),
            labels=_labels(labels),
            with_stewards_labels=with_stewards_labels,
            request_id=request_id or new_request_id(),
        )
        return (await self._call(self._model.EvaluateModel, request)).job

    async def stage_model(self: _Async, name: str, *, request_id: str | None = None) -> Job:
        """Build a model's keys and edges beside those in use; returns the job that does it."""
        request = pb.StageModelRequest(name=self._requests.name("models", name), request_id=request_id or new_request_id())
        return (await self._call(self._model.StageModel, request)).job

    async def preview_activation(self: _Async, name: str, *, request_id: str | None = None) -> Job:
        """Find out what activating the staged model would change; returns the job that does it."""
        request = pb.PreviewActivationRequest(
            name=self._requests.name("models", name), request_id=request_id or new_request_id()
        )
        return (await self._call(self._model.PreviewActivation, request)).job

    async def activate_model(self: _Async, name: str, *, request_id: str | None = None) -> Job:
        """Use another match model, and resolve every record again; returns the job that does it."""
        request = pb.ActivateModelRequest(name=self._requests.name("models", name), request_id=request_id or new_request_id())
        return (await self._call(self._model.ActivateModel, request)).job

    async def rollback_model(self: _Async, *, request_id: str | None = None) -> Job:
        """Use the match model again that was in use before; returns the job that does it."""
        request = pb.RollbackModelRequest(parent=self._requests.parent, request_id=request_id or new_request_id())
        return (await self._call(self._model.RollbackModel, request)).job

    async def list_activation_changes(self: _Async, job: str, *, page_size: int = 100) -> AsyncIterator[pb.ActivationChange]:
        """List what a preview found, by the name of its job."""
        request = pb.ListActivationChangesRequest(job=self._requests.name("jobs", job), page_size=page_size)
        while True:
            page = await self._call(self._model.ListActivationChanges, request)
            for change in page.changes:
                yield change
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token
