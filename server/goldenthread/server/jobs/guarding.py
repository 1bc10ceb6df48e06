"""Change a tenant's guard rails: they hold from one commit on, and a job resolves again whatever was resolved before.

Every transaction that links records reads the guard rails when it holds the components that it changes. So a component is
linked under the new ones either by whoever changes it after that commit, or by the job, which comes to every record.
"""

from __future__ import annotations

from collections import Counter
from functools import partial

import msgspec
from msgspec import Struct

from goldenthread.graph.model import EdgeKind, NodeKind
from goldenthread.graph.store import ChangeSet, Reader, Transaction
from goldenthread.resolver.guards import GuardRails
from goldenthread.server.commands.artefacts import artefact_root, put_artefact, read_artefact
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.guards import GUARD_RAILS, blinded, follow_guards, guards_of
from goldenthread.server.commands.idempotency import Request
from goldenthread.server.commands.linking import Change, component_groups, relink
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.jobs.job import Job, new_job, node_of
from goldenthread.server.jobs.kind import JobContext, Step
from goldenthread.server.jobs.rekeying import rekey
from goldenthread.server.jobs.verbs import JobView, start_job

__all__ = ["GuardRailsEffect", "ResolvingUnderGuards", "effect_of", "read_guard_rails", "update_guard_rails"]

_TYPE = "guard-rails"
_PAGE = 200
"""Records that one step resolves again."""


class GuardRailsEffect(Struct, frozen=True):
    """What guard rails would change: identities that come apart, that become one with others, and how many there are."""

    identities_split: int
    identities_merged: int
    identities_before: int
    identities_after: int


class _Parameters(Struct, frozen=True):
    rekeys: bool
    """True when blocked values changed, so that records have other keys."""


class _Checkpoint(Struct, frozen=True):
    after: bytes = b""
    done: int = 0
    moved: int = 0


class _Done(Struct, frozen=True):
    """The job's result: records that were looked at, and those that are of another identity now."""

    records: int
    moved: int


async def read_guard_rails(reader: Reader, tenant: Tenant) -> tuple[GuardRails, int]:
    """Read the guard rails, blocked values as digests, and the revision of their last change; 0 when there was none."""
    found = await read_artefact(reader, tenant.vault, GUARD_RAILS)
    return (GuardRails.from_json(found.body), found.node.recorded_from) if found is not None else (GuardRails(), 0)


async def update_guard_rails(
    engine: Engine, tenant: Tenant, wanted: GuardRails, actor: str, request: Request
) -> tuple[GuardRails, int, JobView]:
    """Replace the guard rails; return them as they are kept, the revision from which they hold, and the job that follows.

    Raises:
        InvalidField: a blocked value can't be read as its type.
    """
    rails = blinded(tenant, wanted)

    async def make(transaction: Transaction, at: int) -> tuple[ChangeSet, Job]:
        root = artefact_root(tenant.vault, GUARD_RAILS)
        await transaction.lock([root])
        before, _ = await read_guard_rails(transaction, tenant)
        changes = ChangeSet()
        await put_artefact(changes, tenant.vault, GUARD_RAILS, await transaction.artefact(root), rails.to_json())
        asked = _Parameters(rekeys=before.blocked != rails.blocked)
        job = await new_job(tenant, transaction, at, _TYPE, asked, actor, is_deferred=True)
        changes.put_nodes.append(node_of(job))
        return changes, job

    view = await start_job(engine, tenant, request, make)
    async with engine.reader(tenant) as reader:
        await follow_guards(reader, tenant)
        kept, revision = await read_guard_rails(reader, tenant)
    return kept, revision, view


async def effect_of(engine: Engine, tenant: Tenant, wanted: GuardRails) -> GuardRailsEffect:
    """Say what guard rails would change, without changing it. Merges that come of values blocked no more are not foreseen.

    Raises:
        InvalidField: a blocked value can't be read as its type.
    """
    supposed = tenant.supposing(guards_of(tenant.vault, blinded(tenant, wanted)))
    counts: Counter[str] = Counter()
    seen: set[bytes] = set()
    parted: Counter[bytes] = Counter()
    merged: set[bytes] = set()
    after = b""
    async with engine.reader(tenant) as reader:
        while ids := await reader.page(NodeKind.RECORD, after, _PAGE, {}):
            after = ids[-1]
            fresh = [id for id in ids if id not in seen]
            groups = await component_groups(reader, supposed, fresh) if fresh else []
            identity_of = await reader.identities_of([record for group in groups for record in group])
            for group in groups:
                seen.update(group)
                identities = {identity_of[record] for record in group if record in identity_of}
                parted.update(identities)
                if len(identities) > 1:
                    merged |= identities
                counts["after"] += 1
    return GuardRailsEffect(sum(count > 1 for count in parted.values()), len(merged), len(parted), counts["after"])


class ResolvingUnderGuards:
    """The kind of job that resolves everything again under changed guard rails."""

    name = _TYPE
    unit = "records"

    async def run(self, context: JobContext, checkpoint: bytes) -> _Done:
        """Go through all records."""
        asked = context.parameters(_Parameters)
        at = msgspec.msgpack.decode(checkpoint, type=_Checkpoint) if checkpoint else _Checkpoint()
        async with context.engine.reader(context.tenant) as reader:
            total = (await reader.counts()).get(NodeKind.RECORD, 0)
        while True:
            step = await context.step(partial(self._step, context.tenant, at, total, asked.rekeys))
            before, at = at, msgspec.msgpack.decode(step.checkpoint, type=_Checkpoint)
            if at.after == before.after:
                return _Done(at.done, at.moved)

    async def _step(
        self, tenant: Tenant, before: _Checkpoint, total: int, rekeys: bool, transaction: Transaction, at: int
    ) -> Step:
        ids = await transaction.page(NodeKind.RECORD, before.after, _PAGE, {})
        if not ids:
            return Step(msgspec.msgpack.encode(before), ChangeSet(), before.done, before.done)
        change, changes = Change(again=frozenset(ids)), ChangeSet()
        if rekeys:
            rekeyed = await rekey(transaction, tenant, ids)
            change, changes = rekeyed.change, rekeyed.changes
        linked = await relink(transaction, tenant, change, at)
        changes.end_edges += change.end_matches
        changes.put_edges += change.put_matches
        changes.add(linked.changes)
        moved = sum(edge.kind is EdgeKind.RESOLVED_TO for edge in linked.changes.put_edges)
        after = _Checkpoint(ids[-1], before.done + len(ids), before.moved + moved)
        return Step(msgspec.msgpack.encode(after), changes, after.done, max(total, after.done))
