"""Carry a decision out, or only say what it would change: which identities, which records move, which golden values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from goldenthread.graph.model import EdgeKind, NodeKind
from goldenthread.graph.store import ChangeSet, Reader, StoredIdentity, Transaction
from goldenthread.server.commands.as_of import Moment
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.golden_record import Golden, GoldenView, golden_records, golden_view
from goldenthread.server.commands.idempotency import Request, once
from goldenthread.server.commands.ids import now
from goldenthread.server.commands.linking import Linked
from goldenthread.server.commands.seen import hidden_records
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.sight import Sight

__all__ = ["Decided", "Effect", "Fate", "IdentityEffect", "Planned", "carry_out", "effect_of"]

Fate = Literal["created", "restored", "retired", "changed"]


class IdentityEffect(Struct, frozen=True):
    """What becomes of one identity: its records before and after, whose it gains, whose its own become, its households.

    `golden_fields` names the attributes whose golden value changes; those of identities that come or go are all of theirs.
    """

    identity: bytes
    fate: Fate
    before: Sequence[bytes]
    after: Sequence[bytes]
    gains_from: Sequence[bytes]
    loses_to: Sequence[bytes]
    joins: Sequence[bytes]
    leaves: Sequence[bytes]
    golden_fields: Sequence[str] = ()


class Effect(Struct, frozen=True):
    """What a decision changes: identities, and records that move, each with the identity before and after."""

    identities: Sequence[IdentityEffect]
    moves: Sequence[tuple[bytes, bytes, bytes]]


class Decided(Struct, frozen=True):
    """What a decision came to; `decision` is empty for a preview.

    `identities` are those of the records it speaks of, with all their records, the one that keeps its id first.
    """

    decision: bytes
    revision: int
    identities: Sequence[tuple[bytes, Sequence[bytes]]]
    effect: Effect


class Planned(Struct):
    """A decision that can be carried out: what to seal and apply, and what that comes to."""

    changes: Callable[[], Awaitable[ChangeSet]]
    decided: Decided
    fields: Sequence[str] = ()
    """Golden fields that it changes by itself, beside those that follow from who is one."""


async def carry_out(
    engine: Engine,
    tenant: Tenant,
    plan: Callable[[Reader, int], Awaitable[Planned]],
    request: Request,
    sight: Sight,
    *,
    preview: bool,
) -> Decided:
    """Plan in a transaction and apply, or only plan; say what came of it that the caller may see."""
    if preview:
        async with engine.reader(tenant) as reader:
            planned = await plan(reader, now())
            decided = msgspec.structs.replace(planned.decided, decision=b"", revision=reader.revision.number)
            return await _with_golden_fields(reader, reader, tenant, decided, planned.fields, sight)

    async def work(transaction: Transaction, at: int) -> Decided:
        async def change() -> tuple[ChangeSet, Decided]:
            planned = await plan(transaction, at)
            return await planned.changes(), planned.decided

        return await once(transaction, tenant, request, at, Decided, change)

    decided = await engine.write(tenant, work)
    # Names of attributes are not kept with the answer: they are read again, from before and after.
    then = decided.revision
    async with engine.reader(tenant, revision=then - 1) as before, engine.reader(tenant, revision=then) as after:
        return await _with_golden_fields(before, after, tenant, decided, (), sight)


def effect_of(linked: Linked) -> Effect:
    """Say what linking again changes."""
    before, after = _groups(linked.before), _groups(linked.identity_of)
    created = {node.id for node in linked.changes.put_nodes if node.kind is NodeKind.IDENTITY}
    joins = _households([(edge.kind, edge.source, edge.target) for edge in linked.changes.put_edges])
    leaves = _households([(ref.kind, ref.source, ref.target) for ref in linked.changes.end_edges])
    effects: list[IdentityEffect] = []
    for identity in sorted({*before, *after}):
        had, has = before.get(identity, []), after.get(identity, [])
        if had == has and identity not in joins and identity not in leaves:
            continue
        fate: Fate = "created" if identity in created else "restored" if not had else "changed" if has else "retired"
        effects.append(
            IdentityEffect(
                identity,
                fate,
                had,
                has,
                sorted({linked.before[record] for record in has if record in linked.before} - {identity}),
                sorted({linked.identity_of[record] for record in had if record in linked.identity_of} - {identity}),
                sorted(joins.get(identity, ())),
                sorted(leaves.get(identity, ())),
            )
        )
    moves = [
        (record, linked.before.get(record, b""), identity)
        for record, identity in sorted(linked.identity_of.items())
        if linked.before.get(record) != identity
    ]
    return Effect(effects, moves)


def _groups(identity_of: Mapping[bytes, bytes]) -> dict[bytes, list[bytes]]:
    groups: dict[bytes, list[bytes]] = defaultdict(list)
    for record in sorted(identity_of):
        groups[identity_of[record]].append(record)
    return groups


def _households(edges: Sequence[tuple[EdgeKind, bytes, bytes]]) -> dict[bytes, set[bytes]]:
    households: dict[bytes, set[bytes]] = defaultdict(set)
    for kind, identity, household in edges:
        if kind is EdgeKind.MEMBER_OF:
            households[identity].add(household)
    return households


async def _with_golden_fields(
    before: Reader, after: Reader, tenant: Tenant, decided: Decided, fields: Sequence[str], sight: Sight
) -> Decided:
    """Name the golden values that change, of the identities that the caller may see."""
    decided = await _seen(after, sight, decided)
    effects = decided.effect.identities
    view = await golden_view(after, tenant, Moment(revision=after.revision.number), "")
    was = await _golden_records(before, tenant, view, [effect.before for effect in effects])
    becomes = await _golden_records(after, tenant, view, [effect.after for effect in effects])
    named: list[IdentityEffect] = []
    for effect, old, new in zip(effects, was, becomes, strict=True):
        values = [{a.attribute: [v.value for v in a.values] for a in golden.attributes if a.values} for golden in (old, new)]
        changed = {name for name in {*values[0], *values[1]} if values[0].get(name) != values[1].get(name)}
        named.append(msgspec.structs.replace(effect, golden_fields=sorted({*changed, *fields})))
    return msgspec.structs.replace(decided, effect=msgspec.structs.replace(decided.effect, identities=named))


async def _seen(reader: Reader, sight: Sight, decided: Decided) -> Decided:
    """Leave out of what a decision comes to whom the caller may not see, and their records.

    An identity that a preview would create is seen unless it would hold such a record.
    """
    if sight.sees_everybody:
        return decided
    effects, moves = decided.effect.identities, decided.effect.moves
    named = {one for effect in effects for one in (*effect.before, *effect.after)}
    named |= {record for record, _, _ in moves} | {record for _, records in decided.identities for record in records}
    hidden = await hidden_records(reader, sight, named)
    not_there = {effect.identity: effect.after for effect in effects if effect.fate == "created" and not decided.decision}
    ids = {id for effect in effects for id in (effect.identity, *effect.gains_from, *effect.loses_to)}
    ids |= {id for _, *ends in moves for id in ends if id} | {id for id, _ in decided.identities}
    there = sorted(ids - not_there.keys())
    seen = await sight.identities(reader, there) if there else frozenset[bytes]()
    seen |= {id for id, records in not_there.items() if hidden.isdisjoint(records)}

    def left(ids: Sequence[bytes]) -> list[bytes]:
        return [id for id in ids if id in seen]

    def shown(records: Sequence[bytes]) -> list[bytes]:
        return [record for record in records if record not in hidden]

    def of(effect: IdentityEffect) -> IdentityEffect:
        return msgspec.structs.replace(
            effect,
            before=shown(effect.before),
            after=shown(effect.after),
            gains_from=left(effect.gains_from),
            loses_to=left(effect.loses_to),
        )

    return msgspec.structs.replace(
        decided,
        identities=[(id, shown(records)) for id, records in decided.identities if id in seen],
        effect=Effect(
            [of(effect) for effect in effects if effect.identity in seen],
            [move for move in moves if move[0] not in hidden and {*move[1:]} - {b""} <= seen],
        ),
    )


async def _golden_records(reader: Reader, tenant: Tenant, view: GoldenView, groups: Sequence[Sequence[bytes]]) -> list[Golden]:
    """Compute the golden record that each group of records has as one identity."""
    identities = [StoredIdentity(b"", group, (), (), reader.revision, was_cut=False) for group in groups]
    return await golden_records(reader, tenant, view, identities)
