"""Golden values that time alone changes: found by a job, told by the names of their attributes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from job_world import World
from msgspec import Struct
from store_servers import StoreServers

from goldenthread.client import Record
from goldenthread.graph.model import NodeKind
from goldenthread.graph.store import ChangeSet, Transaction
from goldenthread.resolver.golden import RecordCondition, SurvivorshipRule, SurvivorshipRules
from goldenthread.server.commands.idempotency import Request
from goldenthread.server.commands.subscriptions import acknowledge
from goldenthread.server.events.outbox import EventType, unfold
from goldenthread.server.events.position import Position
from goldenthread.server.jobs import Job, JobState, new_job, node_of, start_job
from goldenthread.server.jobs.ageing import AGE_GOLDEN_VALUES, AgedBetween, age_when_due
from goldenthread.server.jobs.job import job_of
from goldenthread.server.jobs.telling import update_rules
from goldenthread.server.sight import EVERYBODY

ANN = {"name": "Ann Zuse", "email": "ann@example.org", "phone": "+1 212 555 0100"}
BOB = {"name": "Bob Jones", "email": "bob@example.org"}
RULES = SurvivorshipRules(
    rules=(
        SurvivorshipRule("current", attributes=("city",), condition=RecordCondition(sources=("shop",), max_age_days=2)),
        SurvivorshipRule("fresh", attributes=("occupation",), stale_after_days=1),
    )
)
HOUR = timedelta(hours=1)


class Aged(Struct):
    """A world of two customers; of Ann two records come of age within the two hours after `now`."""

    world: World
    now: datetime
    ann: bytes


@pytest.fixture
async def aged(store_servers: StoreServers) -> Aged:
    engine, tenant = await store_servers.engine(golden_ageing_hours=1)
    world, now = World(engine, tenant, []), datetime.now(UTC)
    await world.put(
        [
            Record("shop", "1", {**ANN, "city": "Ghent"}, observed_at=now - timedelta(days=2) + HOUR),
            Record("web", "1", {**ANN, "city": "Namur"}, observed_at=now - HOUR),
            Record("crm", "1", {**ANN, "occupation": "clerk"}, observed_at=now - timedelta(days=1) + HOUR),
            Record("shop", "2", {**BOB, "city": "Ghent", "occupation": "cook"}, observed_at=now - timedelta(hours=2)),
        ]
    )
    return Aged(world, now, (await world.identities())["shop", "1"])


async def rule(aged: Aged, rules: SurvivorshipRules) -> None:
    """Set rules, and let what they change be told."""
    world = aged.world
    _, view = await update_rules(world.engine, world.tenant, rules, "ann", Request("", b""))
    await world.run_job("tell-golden-values", view.job.id)


async def told(aged: Aged) -> list[tuple[bytes, list[str]]]:
    """List what was told of golden values."""
    async with aged.world.engine.reader(aged.world.tenant) as reader:
        commits = await reader.events(0, 1000)
    events = [event for node in commits for event in unfold(node.recorded_from, 0, bytes(node.properties["body"]))]  # type: ignore[arg-type]  # bytes by the schema
    return [(event.identity, list(event.fields)) for event in events if event.type == EventType.GOLDEN_VALUES_CHANGED]


async def age(aged: Aged, since: datetime, until: datetime) -> None:
    """Run the job over a time."""
    world = aged.world
    times = AgedBetween(*(int(at.timestamp() * 1_000_000) for at in (since, until)))

    async def make(transaction: Transaction, at: int) -> tuple[ChangeSet, Job]:
        job = await new_job(world.tenant, transaction, at, AGE_GOLDEN_VALUES, times, "ann")
        return ChangeSet(put_nodes=[node_of(job)]), job

    started = await start_job(world.engine, world.tenant, Request("", b""), make)
    assert (await world.run_job(AGE_GOLDEN_VALUES, started.job.id)).state is JobState.SUCCEEDED


async def test_a_value_that_is_left_out_or_stale_by_its_age_is_told_once(aged: Aged) -> None:
    await rule(aged, RULES)

    await age(aged, aged.now - HOUR, aged.now)
    before = await told(aged)
    await age(aged, aged.now, aged.now + 2 * HOUR)
    once = await told(aged)
    await age(aged, aged.now + 2 * HOUR, aged.now + 3 * HOUR)

    assert before == []
    assert once == [(aged.ann, ["city", "occupation"])]
    assert await told(aged) == once


async def test_it_is_looked_for_while_somebody_subscribes_and_rules_mind_age(aged: Aged) -> None:
    world, due = aged.world, []
    due.append(await age_when_due(world.engine, world.tenant))
    await acknowledge(world.engine, world.tenant, "somebody", Position(), EVERYBODY, rewind=False)
    due.append(await age_when_due(world.engine, world.tenant))
    await rule(aged, RULES)
    due.append(await age_when_due(world.engine, world.tenant))

    world.engine.config = msgspec.structs.replace(world.engine.config, golden_ageing_hours=1e-9)
    due.append(await age_when_due(world.engine, world.tenant))
    world.engine.config = msgspec.structs.replace(world.engine.config, golden_ageing_hours=1)
    due.append(await age_when_due(world.engine, world.tenant))
    world.engine.config = msgspec.structs.replace(world.engine.config, golden_ageing_hours=0)
    due.append(await age_when_due(world.engine, world.tenant))

    async with world.engine.reader(world.tenant) as reader:
        ids = await reader.page(NodeKind.JOB, b"", 10, {"type": AGE_GOLDEN_VALUES})
        (job,) = [job_of(node) for node in (await reader.nodes(ids)).values()]
    assert due == [False, False, False, True, False, False]
    assert (await world.run_job(AGE_GOLDEN_VALUES, job.id)).state is JobState.SUCCEEDED
