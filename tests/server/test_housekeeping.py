"""What was kept long enough is taken away, by a job that goes on where it was stopped; what holds stays."""

from __future__ import annotations

import msgspec
import pytest
from job_world import World
from store_servers import StoreServers
from wire.partitions import difference

from goldenthread.cli.demo.sending import to_record
from goldenthread.cli.demo.sources import simulate_records
from goldenthread.graph.model import LIVE, Edge, EdgeKind, NodeKind
from goldenthread.graph.store import ChangeSet, Transaction
from goldenthread.resolver.golden import SurvivorshipRules
from goldenthread.resolver.scoring import MatchModel
from goldenthread.server.commands.idempotency import Request
from goldenthread.server.commands.ids import now
from goldenthread.server.errors import NotFound
from goldenthread.server.jobs import Job, JobState, generations, housekeeping, new_job, node_of, read_job, start_job
from goldenthread.server.jobs.housekeeping import HOUSEKEEPING, HousekeepingAt, keep_house_when_due
from goldenthread.server.jobs.previewing import PREVIEW_ACTIVATION, list_activation_changes, preview_artefacts
from goldenthread.server.jobs.telling import update_rules
from goldenthread.server.sight import EVERYBODY

LOOSE = msgspec.structs.replace(MatchModel.shipped(), name="loose", link_weight=-1 << 16, min_average=-2 << 16)


@pytest.fixture
async def world(store_servers: StoreServers, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(housekeeping, "_PAGE", 20)
    monkeypatch.setattr(housekeeping, "_PAGES", 2)
    monkeypatch.setattr(generations, "_PAGE", 60)
    engine, tenant = await store_servers.engine(housekeeping_hours=1)
    world = World(engine, tenant, [to_record(simulated) for simulated in simulate_records(150)])
    await world.upsert(60)
    return world


def keep(world: World, **days: float) -> None:
    """Set how long things are kept."""
    world.engine.config = msgspec.structs.replace(world.engine.config, **days)


async def keep_house(world: World) -> dict[str, int]:
    """Run the job to its end, stopped and begun again now and then; read what it took away."""

    async def make(transaction: Transaction, at: int) -> tuple[ChangeSet, Job]:
        job = await new_job(world.tenant, transaction, at, HOUSEKEEPING, HousekeepingAt(now()), "ann")
        return ChangeSet(put_nodes=[node_of(job)]), job

    started = await start_job(world.engine, world.tenant, Request("", b""), make)
    job = await world.run_job(HOUSEKEEPING, started.job.id)
    assert job.state is JobState.SUCCEEDED
    taken: dict[str, int] = msgspec.json.decode(job.result)
    return taken


async def ask(world: World, request_id: str) -> int:
    """Make a request that changes something, and give the revision that it is answered with."""
    revision, _ = await update_rules(world.engine, world.tenant, SurvivorshipRules(), "ann", Request(request_id, b"body"))
    return revision


async def staged_history(world: World) -> list[Edge]:
    async with world.engine.reader(world.tenant) as reader:
        ids = await reader.page(NodeKind.RECORD, b"", 1000, {})
        return list(await reader.history(ids, frozenset({EdgeKind.STAGED})))


async def test_a_request_is_answered_as_before_for_as_long_as_it_is_kept(world: World) -> None:
    answers = [await ask(world, f"request-{i}") for i in range(30)]
    kept = await keep_house(world)
    again = [await ask(world, f"request-{i}") for i in range(30)]
    keep(world, request_retention_days=1e-9)

    taken = await keep_house(world)

    assert (kept["requests"], taken["requests"]) == (0, 30)
    assert again == answers
    assert await ask(world, "request-0") > max(answers)


async def test_ended_jobs_go_with_their_lists_and_keys_and_open_ones_stay(world: World) -> None:
    await world.run("stage-model", LOOSE)
    preview = await world.run(PREVIEW_ACTIVATION, LOOSE)
    async with world.engine.reader(world.tenant) as reader:
        lists = await preview_artefacts(reader, world.tenant, preview)
    listed, _ = await list_activation_changes(world.engine, world.tenant, preview.id, (0, 0), 10, EVERYBODY)
    waiting = await world.ask("activate-model", LOOSE)
    before = await keep_house(world)
    keep(world, job_retention_days=1e-9)

    taken = await keep_house(world)

    assert before["jobs"] == 0
    assert taken["jobs"] >= 3 + len(lists)
    assert bool(lists) is bool(listed) is True
    async with world.engine.reader(world.tenant) as reader:
        assert (await read_job(reader, waiting)).state is JobState.QUEUED
        assert await reader.nodes([preview.id, *lists]) == {}
    assert await world.tenant.vault.existing([preview.id, *lists, waiting]) == {waiting}
    with pytest.raises(NotFound):
        await list_activation_changes(world.engine, world.tenant, preview.id, (0, 0), 10, EVERYBODY)


async def test_edges_of_models_staged_before_go_and_identities_stay(world: World) -> None:
    await world.run("stage-model", LOOSE)
    during = await keep_house(world)
    await world.run("activate-model", LOOSE)
    ended = await staged_history(world)

    taken = await keep_house(world)

    assert during["staged_edges"] == 0
    assert ended
    assert all(edge.recorded_to < LIVE for edge in ended)
    assert taken["staged_edges"] == len({(edge.source, edge.target) for edge in ended})
    assert await staged_history(world) == []
    assert not world.tenant.deployed.deployment.keeps_staged
    assert (await keep_house(world))["staged_edges"] == 0
    await world.upsert(20)
    assert difference(await world.partition(), world.linked(LOOSE)) == [[], []]


async def test_it_is_put_when_it_is_due_and_not_before(world: World) -> None:
    due = [await keep_house_when_due(world.engine, world.tenant)]
    keep(world, housekeeping_hours=1e-9)
    due.append(await keep_house_when_due(world.engine, world.tenant))
    keep(world, housekeeping_hours=1)
    due.append(await keep_house_when_due(world.engine, world.tenant))
    keep(world, housekeeping_hours=0)
    due.append(await keep_house_when_due(world.engine, world.tenant))

    assert due == [False, True, False, False]
