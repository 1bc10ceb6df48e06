"""Run jobs: take up those that wait or whose process is gone, hold their leases, and say how they ended.

Every server process runs one `Jobs`. A job belongs to the process that holds its lease, which every step renews, and a timer
between steps. A process that is killed loses its leases when they run out; one that stops gives them back. Where a store has
one process only, whatever runs at its start belongs to a process that is gone.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from functools import partial

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from goldenthread.graph.errors import Conflict, GraphError, StoreUnavailable
from goldenthread.graph.model import NodeKind
from goldenthread.graph.store import Capability, ChangeSet, Transaction
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.ids import now
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import FailedPrecondition, ServerError, status_of
from goldenthread.server.jobs.job import Job, JobState, change_job, open_asked, open_jobs, read_job
from goldenthread.server.jobs.kind import JobCancelled, JobContext, JobKind, LeaseLost
from goldenthread.server.logs import logger

__all__ = ["Jobs"]

_log = logger()

_MOST_ATTEMPTS = 5
"""A job that is taken up so often without coming further ends as failed: whatever it does ends its process."""


class Jobs:
    """Run the jobs of every tenant of one store, some at a time."""

    def __init__(self, engine: Engine, kinds: Sequence[JobKind], told: Callable[[str, str], None] | None = None) -> None:
        """Know the kinds of jobs; `told` hears the type and the outcome of each that ends here."""
        self._engine, self._kinds = engine, {kind.name: kind for kind in kinds}
        self._told = told
        self._owner = secrets.token_hex(8)
        self._workers = engine.config.job_workers
        self._lease = int(engine.config.job_lease_seconds * 1_000_000)
        self._running: dict[bytes, asyncio.Task[None]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._is_closing = False

    def start(self) -> None:
        """Begin to look for jobs: now, when one is queued here, and every while."""
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stop every job where it is, and give it back for another process, or the next one, to go on with."""
        self._is_closing = True
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        running = list(self._running.values())
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    async def look(self) -> int:
        """Take up what waits, up to the number of workers; return how many were taken up."""
        taken = 0
        for tenant in await self._engine.tenants_having(NodeKind.JOB):
            async with self._engine.reader(tenant) as reader:
                waiting = await open_jobs(reader)
            for job in waiting:
                if len(self._running) >= self._workers:
                    return taken
                if job.id not in self._running and job.type in self._kinds and self._is_free(job, now()):
                    claimed = await self._engine.write(tenant, partial(self._claim, job.id))
                    if claimed is not None:
                        self._begin(tenant, claimed)
                        taken += 1
        return taken

    async def _watch(self) -> None:
        queued = self._engine.jobs_queued
        while True:
            queued.clear()
            try:
                await self._engine.notice_all()
                await self.look()
            except (GraphError, ServerError) as error:
                _log.warning("jobs can't be looked for", error=type(error).__qualname__)
            try:
                async with asyncio.timeout(self._engine.config.job_look_seconds):
                    await queued.wait()
            except TimeoutError:
                continue

    def _is_free(self, job: Job, at: int) -> bool:
        if job.state is JobState.RUNNING and Capability.MANY_WRITERS not in self._engine.store.capabilities:
            return True  # whoever had it is gone
        return job.state.is_open and job.lease_until <= at

    async def _claim(self, id: bytes, transaction: Transaction, at: int) -> Job | None:
        """Take a job's lease, unless another process holds it."""
        await transaction.lock([id])
        job = await read_job(transaction, id)
        if not self._is_free(job, at):
            return None
        claimed = replace(
            job,
            state=JobState.RUNNING,
            owner=self._owner,
            lease_until=at + self._lease,
            attempts=job.attempts + 1,
            started_at=job.started_at or at,
            unit=self._kinds[job.type].unit,
        )
        changes = ChangeSet()
        change_job(changes, claimed)
        await transaction.apply(changes)
        return claimed

    def _begin(self, tenant: Tenant, job: Job) -> None:
        task = asyncio.create_task(self._run(tenant, job))
        self._running[job.id] = task

        def ended(_: asyncio.Task[None]) -> None:
            del self._running[job.id]
            self._engine.jobs_queued.set()  # there may be more that wait for a worker
            self._engine.tell_job_changed()

        task.add_done_callback(ended)

    async def _run(self, tenant: Tenant, job: Job) -> None:
        """Run a job to its end and keep how it ended."""
        try:
            outcome = await self._outcome(tenant, job)
        except LeaseLost:
            _log.warning("a job's lease was lost", tenant=tenant.name, reason=job.type)
            return
        except asyncio.CancelledError:
            outcome = _given_back
        try:
            ended = await self._engine.write(tenant, lambda t, at: self._end(t, at, job.id, outcome))
            if ended is not None and not ended.state.is_open and self._told is not None:
                self._told(ended.type, ended.state.name.lower())
        except (GraphError, ServerError) as error:  # the lease runs out, and the job is taken up again
            _log.warning("a job's end can't be kept", tenant=tenant.name, error=type(error).__qualname__)

    async def _outcome(self, tenant: Tenant, job: Job) -> Callable[[Job, int], Job]:
        if job.is_cancelling:
            return _cancelled
        if job.attempts > _MOST_ATTEMPTS:
            return _failed(FailedPrecondition(f"it was taken up {_MOST_ATTEMPTS} times without coming further"))
        (asked,) = await open_asked(tenant, [job])
        if asked is None:
            return _failed(FailedPrecondition("its parameters can't be opened; ask for it again"))
        context = JobContext(self._engine, tenant, job, asked, self._lease)
        working = asyncio.ensure_future(self._kinds[job.type].run(context, job.checkpoint))
        holding = asyncio.create_task(self._hold(context))
        try:
            await asyncio.wait((working, holding), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                holding.result()  # it ends by an error only
            return _succeeded(working.result())
        except JobCancelled:
            return _cancelled
        except LeaseLost:
            raise
        except (StoreUnavailable, Conflict):
            return self._put_off
        except Exception as error:  # noqa: BLE001 - whatever it is ends this job, and must not end the others
            return _failed(error)
        finally:
            working.cancel()
            holding.cancel()
            await asyncio.wait((working, holding))

    def _put_off(self, job: Job, at: int) -> Job:
        """Queue it again for later, when what it needs may be back."""
        pause = int(self._engine.config.job_look_seconds * 1_000_000)
        return replace(job, state=JobState.QUEUED, attempts=max(0, job.attempts - 1), lease_until=at + pause)

    async def _hold(self, context: JobContext) -> None:
        """Renew the lease while a step takes long."""
        while True:
            await asyncio.sleep(self._lease / 3_000_000)
            await context.renew()
            self._engine.tell_job_changed()

    async def _end(self, transaction: Transaction, at: int, id: bytes, outcome: Callable[[Job, int], Job]) -> Job | None:
        await transaction.lock([id])
        job = await read_job(transaction, id)
        if job.owner != self._owner or not job.state.is_open:
            return None
        after = outcome(replace(job, owner="", lease_until=0), at)
        changes = ChangeSet()
        change_job(changes, after)
        await transaction.apply(changes)
        return after


def _succeeded(result: Struct | None) -> Callable[[Job, int], Job]:
    told = msgspec.json.encode(result) if result is not None else b""

    def end(job: Job, at: int) -> Job:
        return replace(job, state=JobState.SUCCEEDED, result=told, error="", ended_at=at, is_cancelling=False)

    return end


def _failed(error: BaseException) -> Callable[[Job, int], Job]:
    message = status_of(error).message

    def end(job: Job, at: int) -> Job:
        return replace(job, state=JobState.FAILED, error=message, ended_at=at, is_cancelling=False)

    return end


def _cancelled(job: Job, at: int) -> Job:
    return replace(job, state=JobState.CANCELLED, ended_at=at, is_cancelling=False)


def _given_back(job: Job, at: int) -> Job:
    return replace(job, state=JobState.QUEUED, attempts=max(0, job.attempts - 1))
