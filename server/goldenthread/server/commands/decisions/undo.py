"""End decisions: undone by a steward, or because their time is up.

An ended decision stays, with how it ended; its edges end, and whoever it bound is resolved again. Records that come apart
get back the identities they had when it was made. Nothing but the store knows what is due, so a server that is killed loses
nothing, and several may look at once.
"""

from __future__ import annotations

from typing import Literal

from goldenthread.graph.model import Node, NodeKind
from goldenthread.graph.store import ChangeSet, EdgeRef, Reader, Transaction
from goldenthread.server.commands.decisions.create import pinned
from goldenthread.server.commands.decisions.effects import Decided, Planned, carry_out, effect_of
from goldenthread.server.commands.decisions.identities import identities_of
from goldenthread.server.commands.decisions.kept import BOUND, end_changes, end_id, live, open_decisions
from goldenthread.server.commands.decisions.seen import check_decision_seen
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.idempotency import Request
from goldenthread.server.commands.linking import Change, relink
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import FailedPrecondition, NotFound
from goldenthread.server.sight import Sight

__all__ = ["expire_decisions", "plan_undo", "undo_decision"]

_AT_ONCE = 100


async def undo_decision(
    engine: Engine, tenant: Tenant, id: bytes, actor: str, reason: str, request: Request, sight: Sight, *, preview: bool
) -> Decided:
    """Undo one decision; the others, later ones too, go on to hold.

    Raises:
        NotFound: there is no such decision, or it binds somebody whom the caller may not see.
        FailedPrecondition: it was undone before, or has expired.
    """

    async def plan(reader: Reader, at: int) -> Planned:
        await check_decision_seen(reader, sight, id)
        return await plan_undo(reader, tenant, id, actor, reason, at)

    return await carry_out(engine, tenant, plan, request, sight, preview=preview)


async def plan_undo(reader: Reader, tenant: Tenant, id: bytes, actor: str, reason: str, at: int) -> Planned:
    """Plan to undo a decision; where it came of an answer in review, that answer's label goes with it.

    Raises as `undo_decision` does.
    """
    end = end_id(tenant.vault, id)
    found = await reader.nodes([id, end])
    decision = found.get(id)
    if decision is None or decision.kind is not NodeKind.DECISION:
        raise NotFound("decision")
    if end in found:
        how = "has expired" if found[end].properties["kind"] == "expiry" else "was undone before"
        raise FailedPrecondition(f"the decision {how}")
    return await _plan_end(reader, tenant, decision, "undo", actor, reason, at)


async def expire_decisions(engine: Engine, tenant: Tenant, at: int) -> int:
    """End every decision that is due at a time in UTC microseconds; say how many."""
    ended = 0
    while True:
        async with engine.reader(tenant) as reader:
            first = await reader.page(NodeKind.DUE, b"", _AT_ONCE, {})
        due = [id for id in first if int.from_bytes(id[:6], "big") * 1_000 <= at]
        for id in due:
            ended += await _expire(engine, tenant, id, at)
        if len(due) < _AT_ONCE:
            return ended


async def _expire(engine: Engine, tenant: Tenant, due: bytes, at: int) -> int:
    async def work(transaction: Transaction, now: int) -> int:
        await transaction.lock([due])
        reminder = (await transaction.nodes([due])).get(due)
        if reminder is None:
            return 0
        id = bytes(reminder.properties["decision"])  # type: ignore[arg-type]  # bytes by the schema
        decision = (await transaction.nodes([id])).get(id)
        if decision is None:
            await transaction.apply(ChangeSet(delete_nodes=[due]))
            return 0
        planned = await _plan_end(transaction, tenant, decision, "expiry", "", "", now)
        await transaction.apply(await planned.changes())
        return 1

    return await engine.write(tenant, work)


async def _plan_end(
    reader: Reader, tenant: Tenant, decision: Node, kind: Literal["undo", "expiry"], actor: str, reason: str, at: int
) -> Planned:
    bound = live(await reader.history([decision.id], BOUND))
    refs = [EdgeRef(edge.kind, edge.source, edge.target) for edge in bound]
    change = Change(end_decisions=refs, back_to=decision.recorded_from - 1)
    linked = await relink(reader, tenant, change, at)
    answers = await reader.labels(sorted({edge.source for edge in bound})) if kind == "undo" else ()
    labels = [label.id for label in answers if label.properties.get("decision") == decision.id]

    async def changes() -> ChangeSet:
        ending = await end_changes(tenant, decision, bound, kind, actor, reason)
        changes = linked.changes
        changes.add(ending)
        changes.delete_nodes += labels
        return changes

    records = sorted({edge.source for edge in bound})
    decided = Decided(decision.id, reader.revision.number + 1, identities_of(linked, records), effect_of(linked))
    planned = Planned(changes, decided)
    if decision.properties["kind"] == "pin":
        (view,) = await open_decisions(tenant, [decision])
        planned.fields = [view.attribute]
        own = sorted(set((await reader.identities_of(records)).values()))
        for identity in (await reader.identities(own)).values():
            planned = pinned(planned, identity.id, identity.records)
    return planned
