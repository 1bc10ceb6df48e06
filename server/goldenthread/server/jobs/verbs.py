"""Read, list, cancel and resume jobs, and wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from goldenthread.graph.model import NodeKind
from goldenthread.graph.store import ChangeSet, Reader, Transaction
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.idempotency import Request, once
from goldenthread.server.commands.ids import now
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import FailedPrecondition
from goldenthread.server.jobs.job import Job, JobState, change_job, job_of, open_asked, open_jobs, read_job

__all__ = ["JobView", "cancel_job", "drained", "get_job", "list_jobs", "resume_job", "start_job", "wait_drained", "wait_job"]

_LOOK_SECONDS = 0.25
"""How often a job of another process is looked at by who waits for it; this process's own tell when they change."""


class JobView(Struct, frozen=True):
    """A job and who asked for it (empty when its key is gone)."""

    job: Job
    actor: str


class _Changed(Struct, frozen=True):
    """The answer of a change to a job, kept with its request id."""

    job: bytes


async def get_job(engine: Engine, tenant: Tenant, id: bytes) -> JobView:
    """Read a job.

    Raises:
        NotFound: there is none of that id.
    """
    async with engine.reader(tenant) as reader:
        job = await read_job(reader, id)
    return (await _views(tenant, [job]))[0]


async def list_jobs(
    engine: Engine, tenant: Tenant, after: bytes, limit: int, type: str, *, only_open: bool
) -> tuple[list[JobView], bytes]:
    """Read a page of jobs, the oldest first; the second value is where the next page starts, empty on the last."""
    where: dict[str, str | int] = {}
    if type:
        where["type"] = type
    if only_open:
        where["is_open"] = 1
    async with engine.reader(tenant) as reader:
        ids = await reader.page(NodeKind.JOB, after, limit + 1, where)
        nodes = await reader.nodes(ids[:limit])
    jobs = [job_of(nodes[id]) for id in ids[:limit] if id in nodes]
    return await _views(tenant, jobs), ids[limit - 1] if len(ids) > limit else b""


async def start_job(
    engine: Engine, tenant: Tenant, request: Request, make: Callable[[Transaction, int], Awaitable[tuple[ChangeSet, Job]]]
) -> JobView:
    """Put a job that `make` makes, together with other changes; the same request again answers with the same job.

    Raises:
        RequestIdReused: the id was used with another body.
    """

    async def work(transaction: Transaction, at: int) -> _Changed:
        async def change() -> tuple[ChangeSet, _Changed]:
            changes, job = await make(transaction, at)
            return changes, _Changed(job.id)

        return await once(transaction, tenant, request, at, _Changed, change)

    changed = await engine.write(tenant, work)
    engine.jobs_queued.set()
    return await get_job(engine, tenant, changed.job)


async def cancel_job(engine: Engine, tenant: Tenant, id: bytes, request: Request) -> JobView:
    """Cancel a job: at once when it is queued, at its next checkpoint when it runs; what it did stays done.

    Raises:
        NotFound: there is none of that id.
        FailedPrecondition: it has ended.
    """

    def cancelled(job: Job, at: int) -> Job:
        if not job.state.is_open:
            raise FailedPrecondition(f"the job has ended before, as {job.state.name.lower()}")
        if job.state is JobState.QUEUED:
            return replace(job, state=JobState.CANCELLED, ended_at=at)
        return replace(job, is_cancelling=True)

    return await _change(engine, tenant, id, request, cancelled)


async def resume_job(engine: Engine, tenant: Tenant, id: bytes, request: Request) -> JobView:
    """Queue a job again that failed or was cancelled; it goes on from its last checkpoint.

    Raises:
        NotFound: there is none of that id.
        FailedPrecondition: it neither failed nor was cancelled.
    """

    def resumed(job: Job, at: int) -> Job:
        if job.state not in (JobState.FAILED, JobState.CANCELLED):
            raise FailedPrecondition(f"the job is {job.state.name.lower()}; only one that failed or was cancelled is resumed")
        return replace(
            job, state=JobState.QUEUED, is_cancelling=False, error="", attempts=0, owner="", lease_until=0, ended_at=0
        )

    return await _change(engine, tenant, id, request, resumed)


async def wait_job(engine: Engine, tenant: Tenant, id: bytes, seconds: float) -> JobView:
    """Read a job once it has ended, or as it is when the time is over.

    Raises:
        NotFound: there is none of that id.
    """

    async def ended() -> bool:
        async with engine.reader(tenant) as reader:
            return not (await read_job(reader, id)).state.is_open

    await _wait(engine, ended, seconds)
    return await get_job(engine, tenant, id)


async def drained(reader: Reader) -> int:
    """Say up to which revision all deferred work is done: before it, nothing is left that could still move a record."""
    at = now()
    due = (job for job in await open_jobs(reader) if job.state is JobState.RUNNING or job.lease_until <= at)
    waiting = [job.revision for job in due if job.is_deferred]
    return min([reader.revision.number, *waiting])


async def wait_drained(engine: Engine, tenant: Tenant, revision: int, seconds: float) -> tuple[bool, int]:
    """Wait until no deferred job is queued or running that was asked for before a revision; 0 is the one of now.

    Returns whether that is so, which it is not when the time is over, and the revision up to which all is done. Jobs that
    failed or were cancelled are not waited for: they do nothing more.
    """
    if not revision:
        async with engine.reader(tenant) as reader:
            revision = reader.revision.number
    reached = 0

    async def done() -> bool:
        nonlocal reached
        async with engine.reader(tenant) as reader:
            reached = await drained(reader)
            await engine.follow(reader, tenant)
        deployment = tenant.deployed.deployment
        if deployment.is_switching:  # identities of the former model are left, whatever became of the job
            reached = min(reached, deployment.switched_at)
        if deployment.is_renormalising:  # and here identities of what records said as they were read before
            reached = min(reached, deployment.renormalised_at)
        return reached >= revision

    await _wait(engine, done, seconds)
    return reached >= revision, reached


async def _wait(engine: Engine, is_over: Callable[[], Awaitable[bool]], seconds: float) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not await is_over():
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            return
        await engine.job_changed(min(left, _LOOK_SECONDS))


async def _change(engine: Engine, tenant: Tenant, id: bytes, request: Request, change: Callable[[Job, int], Job]) -> JobView:
    async def work(transaction: Transaction, at: int) -> _Changed:
        async def changed() -> tuple[ChangeSet, _Changed]:
            await transaction.lock([id])
            changes = ChangeSet()
            change_job(changes, change(await read_job(transaction, id), at))
            return changes, _Changed(id)

        return await once(transaction, tenant, request, at, _Changed, changed)

    await engine.write(tenant, work)
    engine.jobs_queued.set()
    engine.tell_job_changed()
    return await get_job(engine, tenant, id)


async def _views(tenant: Tenant, jobs: Sequence[Job]) -> list[JobView]:
    asked = await open_asked(tenant, jobs)
    return [JobView(job, who.actor if who is not None else "") for job, who in zip(jobs, asked, strict=True)]
