"""Ask for the jobs of match models: what each needs to be true is checked in the transaction that queues it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from goldenthread.graph.store import ChangeSet, Transaction
from goldenthread.server.commands.artefacts import artefact_root, read_artefact
from goldenthread.server.commands.deployment import Deployment
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.idempotency import Request
from goldenthread.server.commands.match_models import find_entry, usable_model
from goldenthread.server.commands.model_artefacts import DEPLOYMENT, read_entries
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import FailedPrecondition
from goldenthread.server.jobs.deploying import ACTIVATE_MODEL, STAGE_MODEL, WantedModel
from goldenthread.server.jobs.evaluating import EVALUATE_MODEL, Evaluation
from goldenthread.server.jobs.job import Job, new_job, node_of, open_jobs
from goldenthread.server.jobs.labelled import LabelledKeys
from goldenthread.server.jobs.previewing import PREVIEW_ACTIVATION
from goldenthread.server.jobs.training import TRAIN_MODEL, Training
from goldenthread.server.jobs.verbs import JobView, start_job

__all__ = ["activate_model", "evaluate_model", "preview_activation", "rollback_model", "stage_model", "train_model"]

_Make = Callable[[Transaction, int], Awaitable[tuple[ChangeSet, Job]]]


async def train_model(engine: Engine, tenant: Tenant, training: Training, actor: str, request: Request) -> JobView:
    """Learn a model from the tenant's records."""

    async def make(transaction: Transaction, at: int) -> tuple[ChangeSet, Job]:
        return _put(await new_job(tenant, transaction, at, TRAIN_MODEL, training, actor))

    return await start_job(engine, tenant, request, make)


async def evaluate_model(
    engine: Engine, tenant: Tenant, version: str, labels: LabelledKeys, actor: str, request: Request
) -> JobView:
    """Measure a model against labelled pairs.

    Raises:
        NotFound: there is no such model.
    """

    async def make(transaction: Transaction, at: int) -> tuple[ChangeSet, Job]:
        find_entry((await read_entries(transaction, tenant.vault))[1], version)
        wanted = Evaluation(version, labels)
        return _put(await new_job(tenant, transaction, at, EVALUATE_MODEL, wanted, actor))

    return await start_job(engine, tenant, request, make)


async def preview_activation(engine: Engine, tenant: Tenant, version: str, actor: str, request: Request) -> JobView:
    """Say what activating the staged model would change.

    Raises:
        NotFound: there is no such model.
        FailedPrecondition: it is not staged.
    """

    async def make(transaction: Transaction, at: int) -> tuple[ChangeSet, Job]:
        find_entry((await read_entries(transaction, tenant.vault))[1], version)
        deployment = await _deployment(transaction, tenant)
        if deployment.staged != version or not deployment.is_complete:
            raise FailedPrecondition("the model is not staged; stage it first, and wait until that is done")
        return _put(await new_job(tenant, transaction, at, PREVIEW_ACTIVATION, WantedModel(version), actor))

    return await start_job(engine, tenant, request, make)


async def stage_model(engine: Engine, tenant: Tenant, version: str, actor: str, request: Request) -> JobView:
    """Build a model's generation beside the one in use.

    Raises:
        NotFound: there is no such model.
        FailedPrecondition: it is in use, or models are being changed already.
    """

    async def make(transaction: Transaction, at: int) -> tuple[ChangeSet, Job]:
        deployment = await _free(transaction, tenant, version)
        if deployment.is_switching:
            raise FailedPrecondition("models are being changed; activate the model in use again, which ends that")
        if deployment.active == version:
            raise FailedPrecondition("the model is in use")
        return _put(await new_job(tenant, transaction, at, STAGE_MODEL, WantedModel(version), actor))

    return await start_job(engine, tenant, request, make)


async def activate_model(engine: Engine, tenant: Tenant, version: str, actor: str, request: Request) -> JobView:
    """Use another model; the one in use is activated again where its activation did not end.

    Raises:
        NotFound: there is no such model.
        FailedPrecondition: it is in use, or models are being changed already.
    """
    return await start_job(engine, tenant, request, _activation(tenant, actor, lambda _: version))


async def rollback_model(engine: Engine, tenant: Tenant, actor: str, request: Request) -> JobView:
    """Use the model again that was in use before.

    Raises:
        FailedPrecondition: there was none, or models are being changed already.
    """

    def previous(deployment: Deployment) -> str:
        if not deployment.previous:
            raise FailedPrecondition("no other model was in use before")
        return deployment.previous[0]

    return await start_job(engine, tenant, request, _activation(tenant, actor, previous))


def _activation(tenant: Tenant, actor: str, choose: Callable[[Deployment], str]) -> _Make:
    async def make(transaction: Transaction, at: int) -> tuple[ChangeSet, Job]:
        version = choose(await _deployment(transaction, tenant))
        deployment = await _free(transaction, tenant, version)
        if deployment.active == version and deployment.is_clear:
            raise FailedPrecondition("the model is in use")
        if deployment.is_switching and deployment.active != version:
            raise FailedPrecondition("models are being changed; activate the model in use again, which ends that")
        wanted = WantedModel(version)
        return _put(await new_job(tenant, transaction, at, ACTIVATE_MODEL, wanted, actor, is_deferred=True))

    return make


async def _free(transaction: Transaction, tenant: Tenant, version: str) -> Deployment:
    """Read the deployment, held, when there is such a model and no job that changes models."""
    await transaction.lock([artefact_root(tenant.vault, DEPLOYMENT)])
    find_entry((await read_entries(transaction, tenant.vault))[1], version)
    if any(job.type in (STAGE_MODEL, ACTIVATE_MODEL) for job in await open_jobs(transaction)):
        raise FailedPrecondition("models are being changed by another job; wait for it, or cancel it")
    await usable_model(transaction, tenant, version)
    return await _deployment(transaction, tenant)


async def _deployment(transaction: Transaction, tenant: Tenant) -> Deployment:
    found = await read_artefact(transaction, tenant.vault, DEPLOYMENT)
    if found is None:
        raise FailedPrecondition("the tenant's models can't be read; restore its keys from a backup")
    return Deployment.from_json(found.body)


def _put(job: Job) -> tuple[ChangeSet, Job]:
    return ChangeSet(put_nodes=[node_of(job)]), job
