"""Say what makes a kind of job: a name, and what to do from a checkpoint on.

A kind does its work in steps. Each step is one bounded transaction, which also keeps the checkpoint: so upserts and reads go on
in between, a step is done once or not at all, and whoever takes the job up after a crash goes on where the last step ended.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from goldenthread.graph.store import ChangeSet, Transaction
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.ids import now
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.jobs.job import Job, JobAsked, change_job, read_job

__all__ = ["JobCancelled", "JobContext", "JobKind", "LeaseLost", "Step"]

S = TypeVar("S", bound=Struct)


class JobCancelled(Exception):
    """Somebody cancelled the job; nothing of the step is kept. A kind lets this pass."""


class LeaseLost(Exception):
    """Another process has taken the job up; nothing of the step is kept. A kind lets this pass."""


class Step(Struct):
    """What one step comes to: its changes, the checkpoint behind it, and how much of the work is done by now."""

    checkpoint: bytes
    changes: ChangeSet
    done: int | None = None
    total: int | None = None


class JobKind(Protocol):
    """A kind of job. Register one by adding it to the kinds that the application gives to `Jobs`."""

    @property
    def name(self) -> str:
        """What its jobs' type is, in lower-case words joined by hyphens; kept with every job, so it never changes."""
        ...

    @property
    def unit(self) -> str:
        """What its progress counts, as records."""
        ...

    async def run(self, context: JobContext, checkpoint: bytes) -> Struct | None:
        """Do the work from a checkpoint on, empty at first; return the result, without anything personal.

        It may be stopped anywhere and run again from its last checkpoint, also in another process. A ServerError that it
        raises ends the job as failed, with the error's message.
        """
        ...


class JobContext:
    """What a running job has in hand."""

    def __init__(self, engine: Engine, tenant: Tenant, job: Job, asked: JobAsked, lease_micros: int) -> None:
        self.engine, self.tenant, self.job = engine, tenant, job
        self.actor = asked.actor
        self._parameters, self._lease = asked.parameters, lease_micros
        self._done, self._total = job.done, job.total

    def parameters(self, type: type[S]) -> S:
        """Read the parameters it was asked for with."""
        return msgspec.msgpack.decode(self._parameters, type=type)

    def report(self, done: int, total: int) -> None:
        """Say how much is done in the middle of a long step; it is kept when the lease is next renewed."""
        self._done, self._total = done, total

    async def step(self, work: Callable[[Transaction, int], Awaitable[Step]]) -> Step:
        """Run one step in a transaction, and keep its changes and its checkpoint together.

        `work` gets the transaction and the time in microseconds, locks what it reads and changes, and may run more than once.

        Raises:
            JobCancelled, LeaseLost: nothing was kept; let it pass.
        """

        async def run(transaction: Transaction, at: int) -> tuple[Step, Job]:
            await self.engine.follow(transaction, self.tenant)
            job = await self._mine(transaction)
            if job.is_cancelling:
                raise JobCancelled
            step = await work(transaction, at)
            done = self._done if step.done is None else step.done
            total = self._total if step.total is None else step.total
            after = replace(job, checkpoint=step.checkpoint, done=done, total=total, attempts=0, lease_until=at + self._lease)
            changes = replace(
                step.changes, delete_nodes=list(step.changes.delete_nodes), put_nodes=list(step.changes.put_nodes)
            )
            change_job(changes, after)
            await transaction.apply(changes)
            return step, after

        step, self.job = await self.engine.write(self.tenant, run)
        self._done, self._total = self.job.done, self.job.total
        self.engine.tell_job_changed()
        return step

    async def save(self, checkpoint: bytes, done: int | None = None, total: int | None = None) -> None:
        """Keep a checkpoint without changing anything else.

        Raises:
            JobCancelled, LeaseLost: nothing was kept; let it pass.
        """

        async def nothing(transaction: Transaction, at: int) -> Step:
            return Step(checkpoint, ChangeSet(), done, total)

        await self.step(nothing)

    async def check(self) -> None:
        """Stop here if the job was cancelled: for work that reads only.

        Raises:
            JobCancelled: it was; let it pass.
        """
        async with self.engine.reader(self.tenant) as reader:
            if (await read_job(reader, self.job.id)).is_cancelling:
                raise JobCancelled

    async def renew(self) -> None:
        """Hold the lease for another while, and keep the progress reported.

        Raises:
            LeaseLost: it is too late.
        """

        async def run(transaction: Transaction, at: int) -> None:
            job = await self._mine(transaction)
            changes = ChangeSet()
            change_job(changes, replace(job, done=self._done, total=self._total, lease_until=at + self._lease))
            await transaction.apply(changes)

        # A step that ends meanwhile has renewed the lease itself.
        if self.job.lease_until - now() < 2 * self._lease // 3:
            await self.engine.write(self.tenant, run)

    async def _mine(self, transaction: Transaction) -> Job:
        await transaction.lock([self.job.id])
        job = await read_job(transaction, self.job.id)
        if job.owner != self.job.owner or not job.state.is_open:
            raise LeaseLost
        return job
