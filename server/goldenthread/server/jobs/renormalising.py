"""Read every record again, where another normaliser or other types of attributes make something else of what they say.

From one commit on records are read in the new way, by whoever reads them. A job then goes through all records twice. First it
gives each the keys that it has now and judges its pairs, and lets identities be: a pair of which one was read again and the
other was not would come apart for nothing. Then it links every record again, each old identity whole, in one step, so that its
id stays with the largest part. Whoever else links a record meanwhile takes its whole identity along as well. Both times a
record is held, so what comes in before or after is read in the new way and linked with what is there.

So at the end the partition is that of one bulk run which reads in the new way, and a job that is killed goes on where it was.
A change while the job runs begins a job of its own, and the one before it ends.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from goldenthread.graph.model import DataModel, EdgeKind, NodeKind
from goldenthread.graph.store import ChangeSet, Transaction
from goldenthread.resolver.normalise import NORMALISER_VERSION
from goldenthread.server.commands.artefacts import artefact_root, read_artefact
from goldenthread.server.commands.deployment import Deployment
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.idempotency import Request, once
from goldenthread.server.commands.linking import Change, relink
from goldenthread.server.commands.model_artefacts import DEPLOYMENT, change_deployment
from goldenthread.server.commands.models import change_data_model, read_data_model
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.commands.typed_content import typing_of
from goldenthread.server.events.golden import subscribed_since
from goldenthread.server.jobs.generations import held_records
from goldenthread.server.jobs.job import Job, job_of, new_job, node_of
from goldenthread.server.jobs.kind import JobContext, Step
from goldenthread.server.jobs.regular import SERVICE
from goldenthread.server.jobs.rekeying import rekey
from goldenthread.server.jobs.telling import telling_job
from goldenthread.server.jobs.verbs import JobView, get_job

__all__ = ["RENORMALISE", "Renormalising", "take_over", "update_data_model"]

RENORMALISE = "renormalise"
_PAGE = 200
"""Records of one step."""
_JOBS = 1000


class _Parameters(Struct, frozen=True):
    types: int
    """Mark of the types as which values are read."""
    normaliser: int


class _Place(Struct, frozen=True, array_like=True):
    """The record that the job came to, in which pass, how many it looked at, read otherwise, and moved."""

    after: bytes = b""
    links: bool = False
    done: int = 0
    rekeyed: int = 0
    moved: int = 0
    is_over: bool = False
    is_complete: bool = False


class _Done(Struct, frozen=True):
    """The job's result: records that say something else than before to resolving, and those of another identity now.

    `is_complete` unless records were to be read otherwise again meanwhile, which another job does.
    """

    rekeyed: int
    moved: int
    is_complete: bool


class _Updated(Struct, frozen=True):
    revision: int
    job: bytes = b""


async def update_data_model(
    engine: Engine, tenant: Tenant, wanted: DataModel, removed: Sequence[str], actor: str, request: Request
) -> tuple[DataModel, int, JobView | None]:
    """Change the data model; return it as it is now, its revision, and the job that reads kept records by it, if they are.

    Raises:
        FailedPrecondition: an attribute would become one that names relationships, or be no such any more.
        InvalidField: too many attributes, or one named twice.
        RequestIdReused: the id was used with another body.
    """

    async def work(transaction: Transaction, at: int) -> _Updated:
        async def change() -> tuple[ChangeSet, _Updated]:
            changed = await change_data_model(transaction, tenant, wanted, removed)
            if changed.version and await subscribed_since(transaction) is not None:
                telling = await telling_job(tenant, transaction, at, changed.version, actor)
                changed.changes.put_nodes.append(node_of(telling))
            if not changed.reads_otherwise:
                return changed.changes, _Updated(0)
            job = await _new_job(tenant, transaction, at, changed.data_model, actor)
            changed.changes.put_nodes.append(node_of(job))
            return changed.changes, _Updated(0, job.id)

        return await once(transaction, tenant, request, at, _Updated, change)

    updated = await engine.write(tenant, work)
    await engine.notice(tenant)
    model, _ = await engine.data_model(tenant)
    engine.jobs_queued.set()
    if not updated.job:
        return model, updated.revision, None
    return model, updated.revision, await get_job(engine, tenant, updated.job)


async def take_over(engine: Engine, tenant: Tenant) -> bool:
    """Have the records of a tenant read again that another version of the normaliser read; return whether a job was put.

    One that failed or was cancelled is left to be resumed.
    """
    deployment = tenant.deployed.deployment
    if deployment.normaliser == NORMALISER_VERSION and not deployment.is_renormalising:
        return False

    async def work(transaction: Transaction, at: int) -> bool:
        await transaction.lock([artefact_root(tenant.vault, DEPLOYMENT)])
        found = await read_artefact(transaction, tenant.vault, DEPLOYMENT)
        deployment = Deployment.from_json(found.body) if found is not None else tenant.deployed.deployment
        changes = ChangeSet()
        revision = transaction.revision.number

        def taken(deployment: Deployment) -> Deployment:
            return replace(deployment, normaliser=NORMALISER_VERSION, is_renormalising=True, renormalised_at=revision)

        if deployment.normaliser != NORMALISER_VERSION:
            await change_deployment(transaction, tenant, changes, taken)
        elif not deployment.is_renormalising or await _has_job(transaction, deployment.renormalised_at):
            return False
        data_model, _ = await read_data_model(transaction, tenant.vault)
        changes.put_nodes.append(node_of(await _new_job(tenant, transaction, at, data_model, SERVICE)))
        await transaction.apply(changes)
        return True

    was_put = await engine.write(tenant, work)
    await engine.notice(tenant)
    if was_put:
        engine.jobs_queued.set()
    return was_put


async def _new_job(tenant: Tenant, transaction: Transaction, at: int, data_model: DataModel, actor: str) -> Job:
    asked = _Parameters(typing_of(data_model).mark, NORMALISER_VERSION)
    return await new_job(tenant, transaction, at, RENORMALISE, asked, actor, is_deferred=True)


async def _has_job(transaction: Transaction, since: int) -> bool:
    ids = await transaction.page(NodeKind.JOB, b"", _JOBS, {"type": RENORMALISE})
    nodes = await transaction.nodes(ids) if ids else {}
    return any(job_of(node).revision >= since for node in nodes.values())


class _Passes:
    """Go through all records, twice, from a place on; each method is one step, and says where the next one is."""

    def __init__(self, context: JobContext, checkpoint: bytes) -> None:
        self._context, self._tenant, self._asked = context, context.tenant, context.parameters(_Parameters)
        self._place = msgspec.msgpack.decode(checkpoint, type=_Place) if checkpoint else _Place()
        self._total = 0
        self._linked: set[bytes] = set()
        self._settled: set[bytes] = set()
        """Records still to be come to that were linked in a step before, by this process."""

    async def run(self) -> _Done:
        async with self._context.engine.reader(self._tenant) as reader:
            records = (await reader.counts()).get(NodeKind.RECORD, 0)
        self._total = self._place.done + records * (1 if self._place.links else 2)
        while not self._place.is_over:
            step = await self._context.step(self._step)
            self._place = msgspec.msgpack.decode(step.checkpoint, type=_Place)
            self._settled = {record for record in self._settled | self._linked if record > self._place.after}
            await self._context.engine.notice(self._tenant)
        return _Done(self._place.rekeyed, self._place.moved, self._place.is_complete)

    async def _step(self, transaction: Transaction, at: int) -> Step:
        self._linked = set()
        if (self._tenant.typing.mark, NORMALISER_VERSION) != (self._asked.types, self._asked.normaliser):
            return self._to(replace(self._place, is_over=True))
        ids = await transaction.page(NodeKind.RECORD, self._place.after, _PAGE, {})
        if self._place.links:
            return await self._link(transaction, ids, at) if ids else await self._finish(transaction)
        return await self._rekey(transaction, ids) if ids else self._to(replace(self._place, after=b"", links=True))

    async def _rekey(self, transaction: Transaction, ids: Sequence[bytes]) -> Step:
        here, rekeyed = self._place, await rekey(transaction, self._tenant, ids)
        changes = rekeyed.changes
        changes.end_edges += rekeyed.change.end_matches
        changes.put_edges += rekeyed.change.put_matches
        read = here.rekeyed + len(rekeyed.change.fresh)
        return self._to(replace(here, after=ids[-1], done=here.done + len(ids), rekeyed=read), changes)

    async def _link(self, transaction: Transaction, ids: Sequence[bytes], at: int) -> Step:
        await held_records(transaction, ids)
        again = frozenset(ids) - self._settled
        linked = await relink(transaction, self._tenant, Change(again=again, was_read_locked=True), at)
        self._linked = set(linked.identity_of)
        here, moved = self._place, sum(edge.kind is EdgeKind.RESOLVED_TO for edge in linked.changes.put_edges)
        after = replace(here, after=ids[-1], done=here.done + len(ids), moved=here.moved + moved)
        return self._to(after, linked.changes)

    async def _finish(self, transaction: Transaction) -> Step:
        changes = ChangeSet()
        await change_deployment(transaction, self._tenant, changes, lambda one: replace(one, is_renormalising=False))
        return self._to(replace(self._place, is_over=True, is_complete=True), changes)

    def _to(self, place: _Place, changes: ChangeSet | None = None) -> Step:
        total = place.done if place.is_over else max(self._total, place.done)
        return Step(msgspec.msgpack.encode(place), changes or ChangeSet(), place.done, total)


class Renormalising:
    """The kind of job that reads all records again and resolves them."""

    name = RENORMALISE
    unit = "records"

    async def run(self, context: JobContext, checkpoint: bytes) -> _Done:
        """Go through all records, twice."""
        return await _Passes(context, checkpoint).run()
