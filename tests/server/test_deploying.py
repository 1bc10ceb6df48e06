"""Models change while records come and go: at the end identities are those of one bulk run, and their ids stay."""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random

import pytest
from job_world import World
from msgspec.structs import replace
from store_servers import StoreServers
from wire.partitions import Key, difference

from goldenthread.cli.demo.sending import to_record
from goldenthread.cli.demo.sources import simulate_records
from goldenthread.graph.model import EdgeKind, NodeKind
from goldenthread.graph.store import ChangeSet, Reader, Transaction
from goldenthread.resolver.blocking import BlockingRule
from goldenthread.resolver.scoring import WEIGHT_SCALE, MatchModel
from goldenthread.server.commands.candidates import Keyed
from goldenthread.server.commands.identities import living
from goldenthread.server.commands.prepare_record import PreparedUpsert
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.commands.upsert_records import Beside
from goldenthread.server.jobs import generations
from goldenthread.server.jobs.verbs import wait_drained
from goldenthread.v1 import record_service_pb2 as pb

BITS = WEIGHT_SCALE
SECONDS = 300.0


def strict() -> MatchModel:
    """Link less, on other keys, of which fewer are generic."""
    shipped = MatchModel.shipped()
    rules = (*shipped.rules[:3], BlockingRule("birth_date", ("birth_date",)))
    return replace(shipped, name="strict", rules=rules, link_weight=9 * BITS, min_average=2 * BITS, generic_limit=60)


def loose() -> MatchModel:
    """Link more, and hold keys to be generic early."""
    shipped = MatchModel.shipped()
    rules = (*shipped.rules, BlockingRule("surname_postcode", ("surname", "postcode")))
    return replace(shipped, name="loose", rules=rules, link_weight=-1 * BITS, min_average=-2 * BITS, generic_limit=6)


@pytest.fixture
async def world(store_servers: StoreServers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(generations, "_PAGE", 60)
    engine, tenant = await store_servers.engine()
    world = World(engine, tenant, [to_record(simulated) for simulated in simulate_records(500)])
    await world.upsert(260 if store_servers.store.name == "sqlite" else 130)
    yield world
    await engine.close()


async def test_activating_gives_the_partition_of_bulk_whatever_came_in_meanwhile(world: World) -> None:
    rng = Random(3)
    for model in (loose(), strict(), MatchModel.shipped()):
        await world.run("activate-model", model, lambda: world.change(rng))

        assert difference(await world.partition(), world.linked(model)) == [[], []], model.name
        assert world.tenant.match_model.version == model.version
    assert await wait_drained(world.engine, world.tenant, 0, 0) == (True, (await revision(world)))


async def test_after_an_activation_upserts_go_on_under_the_new_model(world: World) -> None:
    rng = Random(4)
    await world.run("activate-model", loose())

    for _ in range(5):
        await world.change(rng)

    assert difference(await world.partition(), world.linked(loose())) == [[], []]


async def test_a_staged_model_is_kept_up_and_changes_nothing(world: World) -> None:
    rng = Random(5)
    await world.run("stage-model", loose(), lambda: world.change(rng))
    for _ in range(3):
        await world.change(rng)
    staged = await world.partition()
    bulk = world.linked(MatchModel.shipped())

    await world.run("activate-model", loose())

    assert difference(staged, bulk) == [[], []]
    assert difference(await world.partition(), world.linked(loose())) == [[], []]


async def test_a_model_that_another_server_stages_in_the_middle_of_a_commit_is_left_to_the_next_try(world: World) -> None:
    upsert = world.preparer.prepare(world.tenant, pb.UpsertRecordRequest(record=world.coming[0].to_proto()))
    assert isinstance(upsert, PreparedUpsert)
    beside, changes = Beside(world.tenant), ChangeSet()
    assert beside.blocks([upsert.member]) == []

    async def match(transaction: Transaction, at: int) -> None:
        await beside.match(transaction, [Keyed(b"r" * 16, upsert.member, [], [])], changes)

    await world.run("stage-model", loose())
    await world.engine.write(world.tenant, match)

    assert world.tenant.staged is not None
    assert changes == ChangeSet()


async def test_staging_another_model_forgets_the_one_before(world: World) -> None:
    await world.run("stage-model", loose())
    await world.run("stage-model", strict())
    await world.run("activate-model", strict())

    assert difference(await world.partition(), world.linked(strict())) == [[], []]
    async with world.engine.reader(world.tenant) as reader:
        assert await left_over(reader, world.tenant) == (0, 0)


async def test_ids_stay_with_unchanged_membership_and_old_ones_lead_on(world: World) -> None:
    before = await world.identities()
    for model in (loose(), strict(), loose(), MatchModel.shipped()):
        former = await world.identities()
        await world.run("activate-model", model)
        now = await world.identities()

        assert changed_without_reason(former, now) == []
    async with world.engine.reader(world.tenant) as reader:
        for identity in before.values():
            assert (await living(reader, identity)).identity.records


async def test_rolling_back_restores_the_partition(world: World) -> None:
    before = await world.partition()
    await world.run("activate-model", loose())
    changed = await world.partition()
    await world.run("activate-model", MatchModel.shipped())

    assert changed != before
    assert await world.partition() == before


def changed_without_reason(before: dict[Key, bytes], now: dict[Key, bytes]) -> list[Key]:
    """List the records whose identity's id changed although its records did not."""
    return [key for key in before if before[key] != now[key] and others(before, key) == others(now, key)]


def others(identities: dict[Key, bytes], key: Key) -> set[Key]:
    return {other for other, identity in identities.items() if identity == identities[key]}


async def left_over(reader: Reader, tenant: Tenant) -> tuple[int, int]:
    """Count staged edges, and keys of generations that are not in use."""
    ids = await reader.page(NodeKind.RECORD, b"", 10_000, {})
    keys = [edge for edges in (await reader.keys(ids)).values() for edge in edges if edge.kind is EdgeKind.IN]
    return len(await reader.matches(ids, EdgeKind.STAGED)), sum(edge.target[0] != tenant.generation for edge in keys)


async def revision(world: World) -> int:
    async with world.engine.reader(world.tenant) as reader:
        return reader.revision.number
