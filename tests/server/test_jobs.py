"""Jobs run in steps, are resumed by whoever is there, and end as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from msgspec import Struct
from store_servers import StoreServers

from goldenthread.graph.model import Node, NodeKind
from goldenthread.graph.store import ChangeSet, Transaction
from goldenthread.server.commands import Engine
from goldenthread.server.commands.idempotency import Request
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import FailedPrecondition
from goldenthread.server.jobs import Job, JobContext, Jobs, JobState, JobView, Step, new_job, node_of
from goldenthread.server.jobs.verbs import cancel_job, get_job, list_jobs, resume_job, start_job, wait_drained, wait_job

SECONDS = 30.0


class Wanted(Struct, frozen=True):
    """How far to count."""

    steps: int


class Counted(Struct, frozen=True):
    """How far it came."""

    steps: int


class Counting:
    """Put a block a step; `before` is awaited before each, with the step's number."""

    name, unit = "count", "steps"

    def __init__(self, before: Callable[[int], Awaitable[None]] | None = None) -> None:
        self.before = before
        self.begun_at: list[int] = []

    async def run(self, context: JobContext, checkpoint: bytes) -> Struct | None:
        start = int(checkpoint or b"0")
        self.begun_at.append(start)
        wanted = context.parameters(Wanted).steps
        for number in range(start, wanted):
            if self.before is not None:
                await self.before(number)

            async def work(transaction: Transaction, at: int, number: int = number) -> Step:
                block = Node(NodeKind.BLOCK, block_id(number))
                return Step(b"%d" % (number + 1), ChangeSet(put_nodes=[block]), done=number + 1, total=wanted)

            await context.step(work)
        return Counted(wanted)


def block_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


async def ask(engine: Engine, tenant: Tenant, steps: int, *, deferred: bool = False, not_before: int = 0) -> JobView:
    async def make(transaction: Transaction, at: int) -> tuple[ChangeSet, Job]:
        job = await new_job(tenant, transaction, at, "count", Wanted(steps), "ann", is_deferred=deferred, not_before=not_before)
        return ChangeSet(put_nodes=[node_of(job)]), job

    return await start_job(engine, tenant, Request("", b""), make)


async def look_until_taken(jobs: Jobs) -> None:
    """Look again and again: a lease of a moment has run out by one of the looks."""
    taken = 0
    while not taken:
        taken = await jobs.look()


async def test_a_job_runs_to_its_end_and_tells_what_came_of_it(store_servers: StoreServers) -> None:
    engine, tenant = await store_servers.engine()
    jobs = Jobs(engine, [Counting()])
    jobs.start()

    asked = await ask(engine, tenant, 3)
    ended = await wait_job(engine, tenant, asked.job.id, SECONDS)
    await jobs.close()

    assert ended.job.state is JobState.SUCCEEDED
    assert (ended.job.done, ended.job.total, ended.job.unit) == (3, 3, "steps")
    assert ended.job.result == b'{"steps":3}'
    assert ended.actor == "ann"
    assert await store_servers.blocks() == 3


async def test_a_stopped_server_gives_its_job_back_where_it_is(store_servers: StoreServers) -> None:
    reached, forever = asyncio.Event(), asyncio.Event()

    async def stop_at_two(number: int) -> None:
        if number == 2:
            reached.set()
            await forever.wait()

    engine, tenant = await store_servers.engine()
    first = Jobs(engine, [Counting(stop_at_two)])
    asked = await ask(engine, tenant, 4)
    await first.look()
    await reached.wait()
    await first.close()
    given_back = (await get_job(engine, tenant, asked.job.id)).job

    going_on = Counting()
    second = Jobs(engine, [going_on])
    await second.look()
    ended = await wait_job(engine, tenant, asked.job.id, SECONDS)
    await second.close()

    assert given_back.state is JobState.QUEUED
    assert going_on.begun_at == [2]
    assert ended.job.state is JobState.SUCCEEDED
    assert await store_servers.blocks() == 4


async def test_a_job_whose_lease_ran_out_is_taken_up_and_its_former_owner_can_change_nothing(
    store_servers: StoreServers,
) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def hang_at_one(number: int) -> None:
        if number == 1:
            reached.set()
            await go_on.wait()

    engine, tenant = await store_servers.engine(job_lease_seconds=0.001)
    hanging = Counting(hang_at_one)
    gone = Jobs(engine, [hanging])
    gone._hold = lambda _context: asyncio.Event().wait()  # type: ignore[assignment,method-assign,return-value]
    asked = await ask(engine, tenant, 3)
    await gone.look()
    await reached.wait()

    other_engine, other_tenant = await store_servers.engine()
    other = Jobs(other_engine, [Counting()])
    await look_until_taken(other)
    ended = await wait_job(other_engine, other_tenant, asked.job.id, SECONDS)
    go_on.set()
    await gone.close()
    await other.close()

    assert ended.job.state is JobState.SUCCEEDED
    assert (await get_job(engine, tenant, asked.job.id)).job == ended.job
    assert await store_servers.blocks() == 3


async def test_a_running_job_is_cancelled_at_its_next_checkpoint_and_resumed_from_it(store_servers: StoreServers) -> None:
    engine, tenant = await store_servers.engine()
    asked = await ask(engine, tenant, 3)

    async def cancel_at_one(number: int) -> None:
        if number == 1:
            await cancel_job(engine, tenant, asked.job.id, Request("", b""))

    first = Jobs(engine, [Counting(cancel_at_one)])
    await first.look()
    cancelled = await wait_job(engine, tenant, asked.job.id, SECONDS)
    await first.close()
    done_then = await store_servers.blocks()
    await resume_job(engine, tenant, asked.job.id, Request("", b""))
    going_on = Counting()
    second = Jobs(engine, [going_on])
    await second.look()
    ended = await wait_job(engine, tenant, asked.job.id, SECONDS)
    await second.close()

    assert cancelled.job.state is JobState.CANCELLED
    assert done_then == 1
    assert going_on.begun_at == [1]
    assert ended.job.state is JobState.SUCCEEDED


async def test_a_job_that_fails_says_why_and_leaves_its_steps(store_servers: StoreServers) -> None:
    async def fail_at_one(number: int) -> None:
        if number == 1:
            raise FailedPrecondition("there is nothing to count")

    engine, tenant = await store_servers.engine()
    jobs = Jobs(engine, [Counting(fail_at_one)])
    asked = await ask(engine, tenant, 3)
    await jobs.look()
    ended = await wait_job(engine, tenant, asked.job.id, SECONDS)
    await jobs.close()

    assert ended.job.state is JobState.FAILED
    assert ended.job.error == "This is not possible as it is: there is nothing to count."
    assert await store_servers.blocks() == 1


async def test_a_defect_fails_its_job_alone_and_is_not_quoted(store_servers: StoreServers) -> None:
    async def defect(number: int) -> None:
        raise ValueError("Ann Smith")

    engine, tenant = await store_servers.engine()
    jobs = Jobs(engine, [Counting(defect)])
    bad = await ask(engine, tenant, 1)
    await jobs.look()
    ended = await wait_job(engine, tenant, bad.job.id, SECONDS)
    await jobs.close()

    assert ended.job.state is JobState.FAILED
    assert "Ann" not in ended.job.error


async def test_a_job_that_is_due_later_waits_and_nothing_waits_for_it(store_servers: StoreServers) -> None:
    engine, tenant = await store_servers.engine()
    jobs = Jobs(engine, [Counting()])
    later = await ask(engine, tenant, 1, deferred=True, not_before=1 << 60)

    taken = await jobs.look()
    is_drained, _ = await wait_drained(engine, tenant, 0, 0)
    await jobs.close()

    assert (taken, is_drained) == (0, True)
    assert (await get_job(engine, tenant, later.job.id)).job.state is JobState.QUEUED


async def test_who_waits_for_deferred_work_is_told_when_the_last_of_it_is_done(store_servers: StoreServers) -> None:
    engine, tenant = await store_servers.engine()
    for _ in range(2):
        await ask(engine, tenant, 2, deferred=True)
    before = await wait_drained(engine, tenant, 0, 0)
    jobs = Jobs(engine, [Counting()])
    jobs.start()

    after = await wait_drained(engine, tenant, 0, SECONDS)
    await jobs.close()

    assert not before[0]
    assert after[0]
    assert await store_servers.blocks() == 2


async def test_the_same_request_starts_one_job(store_servers: StoreServers) -> None:
    engine, tenant = await store_servers.engine()

    async def make(transaction: Transaction, at: int) -> tuple[ChangeSet, Job]:
        job = await new_job(tenant, transaction, at, "count", Wanted(1), "ann")
        return ChangeSet(put_nodes=[node_of(job)]), job

    first = await start_job(engine, tenant, Request("again", b""), make)
    second = await start_job(engine, tenant, Request("again", b""), make)

    assert first.job.id == second.job.id
    assert len((await list_jobs(engine, tenant, b"", 10, "count", only_open=True))[0]) == 1


async def test_a_job_that_ends_its_process_again_and_again_is_given_up(store_servers: StoreServers) -> None:
    engine, tenant = await store_servers.engine(job_lease_seconds=0.000001)
    asked = await ask(engine, tenant, 1)
    nobody = Jobs(engine, [Counting()])
    for _ in range(5):
        await engine.write(tenant, lambda t, at: cast("Awaitable[None]", nobody._claim(asked.job.id, t, at)))

    jobs = Jobs(engine, [Counting()])
    await look_until_taken(jobs)
    ended = await wait_job(engine, tenant, asked.job.id, SECONDS)
    await jobs.close()

    assert ended.job.state is JobState.FAILED
    assert "5 times" in ended.job.error
