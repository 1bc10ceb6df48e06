"""Models change while records come and go: at the end identities are those of one bulk run, and their ids stay."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from random import Random

import pytest
from msgspec import Struct
from msgspec.structs import replace
from store_servers import StoreServers
from wire.partitions import Key, Partition, difference, linked_partition

from goldenthread.cli.demo.sending import to_record
from goldenthread.cli.demo.sources import simulate_records
from goldenthread.client import DataModel, Record, SemanticType
from goldenthread.graph.model import EdgeKind, NodeKind
from goldenthread.graph.store import ChangeSet, Reader, Transaction
from goldenthread.resolver.blocking import BlockingRule
from goldenthread.resolver.scoring import WEIGHT_SCALE, MatchModel
from goldenthread.server.commands import Engine
from goldenthread.server.commands.candidates import Keyed
from goldenthread.server.commands.delete_record import delete_record
from goldenthread.server.commands.idempotency import Request
from goldenthread.server.commands.identities import living
from goldenthread.server.commands.model_artefacts import ModelEntry, keep_model
from goldenthread.server.commands.prepare_record import PreparedUpsert
from goldenthread.server.commands.read_records import BySourceKey
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.commands.upsert_records import Beside
from goldenthread.server.config import Config
from goldenthread.server.jobs import Job, JobContext, Jobs, JobState, Step, generations, new_job, node_of, start_job
from goldenthread.server.jobs.deploying import ActivateModel, StageModel, WantedModel
from goldenthread.server.jobs.verbs import wait_drained, wait_job
from goldenthread.server.services import Preparer
from goldenthread.v1 import model_service_pb2
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


class World:
    """A tenant with simulated customers, and what a test does to it."""

    def __init__(self, engine: Engine, tenant: Tenant, records: Sequence[Record]) -> None:
        self.engine, self.tenant = engine, tenant
        self.coming = list(records)
        self.there: dict[Key, Record] = {}
        self._preparer = Preparer(Config(prepare_processes=0))
        self.kinds = [StageModel(), ActivateModel()]

    async def upsert(self, count: int) -> None:
        """Put the next records."""
        coming, self.coming = self.coming[:count], self.coming[count:]
        await self.put(coming)

    async def put(self, records: Sequence[Record]) -> None:
        prepared = [self._preparer.prepare(self.tenant, pb.UpsertRecordRequest(record=r.to_proto())) for r in records]
        assert all(isinstance(one, PreparedUpsert) for one in prepared)
        waiting = await self.engine.upsert(self.tenant, [one for one in prepared if isinstance(one, PreparedUpsert)])
        await asyncio.gather(*waiting)
        self.there.update({(r.source, r.source_record_id): r for r in records})

    async def change(self, rng: Random) -> None:
        """Let records come, go, and become like others."""
        await self.upsert(3)
        one, other = rng.sample(sorted(self.there), 2)
        model = self.there[other]
        await self.put([Record(*one, model.attributes, observed_at=None)])
        gone = rng.choice(sorted(self.there))
        await delete_record(self.engine, self.tenant, BySourceKey(*gone), 0, Request("", b""))
        del self.there[gone]

    async def keep(self, model: MatchModel) -> None:
        async def work(transaction: Transaction, at: int) -> None:
            changes = ChangeSet()
            await keep_model(
                transaction, changes, self.tenant.vault, ModelEntry(model.version, model.name, "uploaded", at), model
            )
            await transaction.apply(changes)

        await self.engine.write(self.tenant, work)

    async def ask(self, type: str, model: MatchModel) -> bytes:
        await self.keep(model)

        async def make(transaction: Transaction, at: int) -> tuple[ChangeSet, Job]:
            job = await new_job(
                self.tenant, transaction, at, type, WantedModel(model.version), "ann", is_deferred=type == "activate-model"
            )
            return ChangeSet(put_nodes=[node_of(job)]), job

        return (await start_job(self.engine, self.tenant, Request("", b""), make)).job.id

    async def run(self, type: str, model: MatchModel, between: Callable[[], Awaitable[None]] | None = None) -> Job:
        """Run a job to its end, with something done after each of its steps; stopped and begun again after every fifth."""
        job = await self.ask(type, model)
        steps = 0
        kind = next(kind for kind in self.kinds if kind.name == type)

        class Disturbed:
            name, unit = kind.name, kind.unit

            async def run(self, context: JobContext, checkpoint: bytes) -> Struct | None:
                plain = context.step

                async def step(work: Callable[[Transaction, int], Awaitable[Step]]) -> Step:
                    nonlocal steps
                    steps += 1
                    if steps % 5 == 0:
                        raise asyncio.CancelledError
                    stepped = await plain(work)
                    if between is not None:
                        await between()
                    return stepped

                context.step = step  # type: ignore[method-assign]
                return await kind.run(context, checkpoint)

        jobs = Jobs(self.engine, [Disturbed()])
        jobs.start()
        ended = await wait_job(self.engine, self.tenant, job, SECONDS)
        await jobs.close()
        assert ended.job.state is JobState.SUCCEEDED, ended.job.error
        return ended.job

    async def identities(self) -> dict[Key, bytes]:
        """Read the identity of every record, by its source's own id."""
        async with self.engine.reader(self.tenant) as reader:
            states = await reader.records(await reader.page(NodeKind.RECORD, b"", 10_000, {}))
        members = await self.tenant.members_of(states.values())
        return {members[id].order_key: state.identity for id, state in states.items() if state.identity is not None}

    async def partition(self) -> Partition:
        groups: dict[bytes, set[Key]] = defaultdict(set)
        for key, identity in (await self.identities()).items():
            groups[identity].add(key)
        return frozenset(map(frozenset, groups.values()))

    def linked(self, model: MatchModel) -> Partition:
        """Link what is there in bulk."""
        described = self.tenant.data_model
        attributes = [
            model_service_pb2.AttributeDefinition(name=a.name, type=SemanticType(a.type).value) for a in described.attributes
        ]
        data_model = DataModel(attributes=attributes, default_country=described.default_country)
        return linked_partition(list(self.there.values()), data_model, model)


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
    upsert = world._preparer.prepare(world.tenant, pb.UpsertRecordRequest(record=world.coming[0].to_proto()))
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
