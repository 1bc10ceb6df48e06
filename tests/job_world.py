"""A tenant with simulated customers on an engine without what listens, and what tests do to it while jobs run."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from random import Random

from msgspec import Struct
from wire.partitions import Key, Partition, linked_partition

from goldenthread.client import DataModel, Record, SemanticType
from goldenthread.graph.model import NodeKind
from goldenthread.graph.store import ChangeSet, Transaction
from goldenthread.resolver.scoring import MatchModel
from goldenthread.server.commands import Engine
from goldenthread.server.commands.delete_record import delete_record
from goldenthread.server.commands.idempotency import Request
from goldenthread.server.commands.model_artefacts import ModelEntry, keep_model
from goldenthread.server.commands.prepare_record import PreparedUpsert
from goldenthread.server.commands.read_records import BySourceKey
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.config import Config
from goldenthread.server.jobs import Job, JobContext, Jobs, JobState, Step, new_job, node_of, start_job
from goldenthread.server.jobs.deploying import WantedModel
from goldenthread.server.jobs.kinds import JOB_KINDS
from goldenthread.server.jobs.verbs import wait_job
from goldenthread.server.services import Preparer
from goldenthread.server.sight import EVERYBODY
from goldenthread.v1 import model_service_pb2
from goldenthread.v1 import record_service_pb2 as pb

__all__ = ["World"]

SECONDS = 300.0


class World:
    """A tenant with simulated customers, and what a test does to it."""

    def __init__(self, engine: Engine, tenant: Tenant, records: Sequence[Record]) -> None:
        self.engine, self.tenant = engine, tenant
        self.coming = list(records)
        self.there: dict[Key, Record] = {}
        self.preparer = Preparer(Config(prepare_processes=0))

    async def upsert(self, count: int) -> None:
        """Put the next records."""
        coming, self.coming = self.coming[:count], self.coming[count:]
        await self.put(coming)

    async def put(self, records: Sequence[Record]) -> None:
        prepared = [self.preparer.prepare(self.tenant, pb.UpsertRecordRequest(record=r.to_proto())) for r in records]
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
        await delete_record(self.engine, self.tenant, BySourceKey(*gone), 0, Request("", b""), EVERYBODY)
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
        """Run a job that changes models to its end, as `run_job` does."""
        return await self.run_job(type, await self.ask(type, model), between)

    async def run_job(self, type: str, job: bytes, between: Callable[[], Awaitable[None]] | None = None) -> Job:
        """Run a job to its end, with something done after each of its steps; stopped and begun again after every fifth."""
        steps = 0
        kind = next(kind for kind in JOB_KINDS if kind.name == type)

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

                context.step = step  # type: ignore[method-assign]  # each fifth step of this context fails, as a crash would
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
        said = {name: SemanticType.FREE for record in self.there.values() for name in record.attributes}
        attributes = [
            model_service_pb2.AttributeDefinition(name=name, type=SemanticType(type).value)
            for name, type in {**said, **described.types}.items()
        ]
        data_model = DataModel(attributes=attributes, default_country=described.default_country)
        return linked_partition(list(self.there.values()), data_model, model)
