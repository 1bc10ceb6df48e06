"""Change a tenant's survivorship rules: they hold from one commit on, and a job tells which golden values they changed.

It tells the same of a data model that says otherwise how values survive.

The job compares every identity as of the revision of the change with what it was just before, so it does not matter when it
gets there, or what happens meanwhile. Of an identity whose records change before the comparison of commits (see
`events.golden`) has come to the change, both may tell the same attributes.
"""

from __future__ import annotations

from functools import partial

import msgspec
from msgspec import Struct

from goldenthread.graph.model import NodeKind
from goldenthread.graph.store import ChangeSet, Transaction
from goldenthread.resolver.golden import SurvivorshipRules
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.idempotency import Request
from goldenthread.server.commands.survivorship import put_rules
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.events.golden import changed_between, is_anybody_told
from goldenthread.server.events.outbox import pack_fields
from goldenthread.server.jobs.job import Job, new_job, node_of
from goldenthread.server.jobs.kind import JobContext, Step
from goldenthread.server.jobs.verbs import JobView, start_job

__all__ = ["TellingGoldenValues", "telling_job", "update_rules"]

_TYPE = "tell-golden-values"
_PAGE = 100
"""Identities that one step compares."""


class _Parameters(Struct, frozen=True):
    rules: bytes
    """Id of the version of the rules, or of the data model, which knows the revision from which they hold."""


class _Checkpoint(Struct, frozen=True):
    after: bytes = b""
    done: int = 0
    told: int = 0


class _Done(Struct, frozen=True):
    """The job's result: identities that were compared, and those of which a golden value changed."""

    identities: int
    changed: int


async def update_rules(
    engine: Engine, tenant: Tenant, wanted: SurvivorshipRules, actor: str, request: Request
) -> tuple[int, JobView]:
    """Replace the tenant's rules; return the revision at which they hold, and the job that tells what they change.

    Raises:
        InvalidField: the rules do not fit each other or the data model.
    """

    async def make(transaction: Transaction, at: int) -> tuple[ChangeSet, Job]:
        changes = ChangeSet()
        version = await put_rules(transaction, tenant, wanted, changes)
        job = await telling_job(tenant, transaction, at, version, actor)
        changes.put_nodes.append(node_of(job))
        return changes, job

    view = await start_job(engine, tenant, request, make)
    return view.job.revision + 1, view


async def telling_job(tenant: Tenant, transaction: Transaction, at: int, version: bytes, actor: str) -> Job:
    """Make the job that tells what rules, or a data model, change, by the id of their version."""
    return await new_job(tenant, transaction, at, _TYPE, _Parameters(version), actor)


class TellingGoldenValues:
    """The kind of job that tells which golden values other survivorship rules changed."""

    name = _TYPE
    unit = "identities"

    async def run(self, context: JobContext, checkpoint: bytes) -> _Done:
        """Go through all identities, unless nobody had subscribed."""
        asked = context.parameters(_Parameters)
        at = msgspec.msgpack.decode(checkpoint, type=_Checkpoint) if checkpoint else _Checkpoint()
        async with context.engine.reader(context.tenant) as reader:
            revision = (await reader.nodes([asked.rules]))[asked.rules].recorded_from
            if not await is_anybody_told(reader, revision):
                return _Done(at.done, at.told)
            total = (await reader.counts()).get(NodeKind.IDENTITY, 0)
        while True:
            step = await context.step(partial(self._step, context, at, revision, total))
            before, at = at, msgspec.msgpack.decode(step.checkpoint, type=_Checkpoint)
            if at.after == before.after:
                return _Done(at.done, at.told)

    async def _step(
        self, context: JobContext, before: _Checkpoint, revision: int, total: int, transaction: Transaction, at: int
    ) -> Step:
        ids = await transaction.page(NodeKind.IDENTITY, before.after, _PAGE, {})
        if not ids:
            return Step(msgspec.msgpack.encode(before), ChangeSet(), before.done, before.done)
        changed = await changed_between(context.engine, context.tenant, revision - 1, revision, ids)
        living = {id for id, identity in (await transaction.identities(sorted(changed))).items() if identity.records}
        told = {identity: fields for identity, fields in changed.items() if identity in living}
        after = _Checkpoint(ids[-1], before.done + len(ids), before.told + len(told))
        return Step(msgspec.msgpack.encode(after), ChangeSet(events=pack_fields(told)), after.done, max(total, after.done))
