"""Delete a record with its history: physically, and then its keys; a tombstone stays so that older versions do not come back.

A deletion has a place among a record's versions, by when it was observed. Versions observed by then go; where a newer one is
there already, the record lives on with it, as if the deletion had come first.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from goldenthread.graph.model import LIVE, Edge, EdgeKind, Node, NodeKind
from goldenthread.graph.store import ChangeSet, EdgeRef, RecordState, Transaction
from goldenthread.server.commands.candidates import Keyed, match_edges
from goldenthread.server.commands.components import held_components
from goldenthread.server.commands.decisions.kept import BOUND
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.idempotency import Request, once
from goldenthread.server.commands.ids import new_id
from goldenthread.server.commands.linking import Change, relink
from goldenthread.server.commands.prepare_record import consent_ids, record_alias
from goldenthread.server.commands.read_records import RecordKey, find_record
from goldenthread.server.commands.relations import delete_relations
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.commands.upsert_records import order_of
from goldenthread.server.errors import NotFound
from goldenthread.server.events.golden import tell_deletion
from goldenthread.server.sight import Sight

__all__ = ["Deleted", "delete_record"]

_LAST_VERSION = (1 << 62) - 1
_MOST_EDGES = 1_000_000


class Deleted(Struct, frozen=True):
    """The record that was deleted, when, and the ids of the keys that go with it."""

    record: bytes
    revision: int
    keys: Sequence[bytes] = ()


async def delete_record(
    engine: Engine, tenant: Tenant, key: RecordKey, observed_at: int, request: Request, sight: Sight
) -> Deleted:
    """Delete what was observed of a record by a time, and destroy its keys; its identity is resolved again without it.

    `observed_at` 0 means now. A version observed at or before it stays out from then on.

    Raises:
        NotFound: there is no such record, it is deleted already, or the caller may not see whose it is.
    """

    async def work(transaction: Transaction, at: int) -> Deleted:
        async def change() -> tuple[ChangeSet, Deleted]:
            state = await _locked(transaction, tenant, key)
            if state is None or (state.version.properties["tombstone"] and not observed_at):
                raise NotFound("record")
            if state.identity is not None and not await sight.identities(transaction, [state.identity]):
                raise NotFound("record")
            changes, keys = await _plan(transaction, tenant, state, observed_at or at, at)
            if state.identity is not None:
                await tell_deletion(engine, tenant, transaction, state.identity, changes)
            return changes, Deleted(state.record.id, transaction.revision.number + 1, keys)

        return await once(transaction, tenant, request, at, Deleted, change)

    async def shred(transaction: Transaction, at: int) -> None:
        # Identifiers and consents are named by what they say: one that was put again meanwhile keeps its key.
        await _locked(transaction, tenant, deleted.record)
        await transaction.lock(deleted.keys)
        back = {posting.key for posting in await transaction.candidates(deleted.keys, 1)}
        back |= {node.id for node in (await transaction.consents([deleted.record])).get(deleted.record, ())}
        await tenant.vault.destroy([id for id in deleted.keys if id not in back])

    deleted = await engine.write(tenant, work)
    # Destroyed only when the deletion is durable, so that one that failed leaves the record whole; repeated, it is finished.
    await engine.write(tenant, shred)
    tenant.members.drop(deleted.keys)
    return deleted


async def _locked(transaction: Transaction, tenant: Tenant, key: RecordKey) -> RecordState | None:
    """Find a record, held by the alias that whoever changes it locks; by id, that is known once it was read."""
    if isinstance(key, bytes):
        state = await find_record(transaction, tenant, key)
        if state is None or state.record.alias is None:
            return state
        await transaction.lock([state.record.alias])
    else:
        await transaction.lock([record_alias(tenant, key.source, key.source_record_id)])
    return await find_record(transaction, tenant, key)


async def _plan(
    transaction: Transaction, tenant: Tenant, state: RecordState, observed_at: int, at: int
) -> tuple[ChangeSet, list[bytes]]:
    """Say what goes, and which keys with it.

    The record's node goes with all its edges, so that nothing of its past stays; what is left of it is put again.
    """
    record = state.record.id
    await transaction.lock([*(await transaction.keys_ever(record))])
    keys = await transaction.keys_ever(record)
    versions = await transaction.versions(record)
    gone = [v for v in versions if v.properties["tombstone"] or order_of(v)[:2] <= (observed_at, _LAST_VERSION)]
    stays = [v for v in versions if v not in gone]
    consents = [node.id for node in (await transaction.consents([record])).get(record, ())]
    kept = {id for content in await tenant.open_versions(stays) if content for id in consent_ids(tenant, content)}
    dropped = [id for id in consents if id not in kept]
    if state.version in stays:
        changes = await _without_past(transaction, tenant, record, {*(v.id for v in gone), *dropped})
        lived = {edge.target for edge in changes.put_edges if edge.kind is EdgeKind.HAS}
    else:
        changes, lived = await _without_record(transaction, tenant, record, at), set()
        dropped += [label.id for label in await transaction.labels([record])]
    latest = max(observed_at, *(order_of(v)[0] for v in gone if v.properties["tombstone"]), 0)
    tombstone = new_id(at)
    kept_ends = {edge.target for edge in changes.put_edges}
    alone = [id for id in await delete_relations(transaction, record) if id not in kept_ends]
    changes.delete_nodes = [record, *(v.id for v in gone), *dropped, *alone]
    changes.put_nodes += [
        Node(NodeKind.RECORD, record, state.record.properties, state.record.alias),
        Node(
            NodeKind.RECORD_VERSION,
            tombstone,
            {
                "observed_at": latest,
                "source_version": _LAST_VERSION,
                "digest": b"",
                "tombstone": 1,
                "profile": b"",
                "sealed": b"",
            },
        ),
    ]
    changes.put_edges.append(Edge(EdgeKind.PAST if stays else EdgeKind.CURRENT, record, tombstone))
    changes.sweep = list(keys)
    only_its = [key for key, is_shared in keys.items() if not is_shared and key not in lived]
    return changes, [*(v.id for v in gone), *dropped, *only_its]


async def _without_record(transaction: Transaction, tenant: Tenant, record: bytes, at: int) -> ChangeSet:
    """Resolve again whoever the record was linked with; decisions go on to bind it, for when it comes back."""
    before: Sequence[Edge] = (await transaction.keys([record])).get(record, ())
    matching = await match_edges(transaction, tenant, [Keyed(record, None, before, ())])
    change = Change(gone=frozenset({record}), put_matches=matching.put, end_matches=matching.end, was_read_locked=True)
    changes = (await relink(transaction, tenant, change, at)).changes
    staged = tenant.staged
    beside = [await match_edges(transaction, tenant.under(staged), [Keyed(record, None, before, ())])] if staged else []
    # Edges of the record need no end: they go with its node.
    refs: list[EdgeRef] = [*changes.end_edges, *(ref for one in (matching, *beside) for ref in one.end)]
    changes.end_edges = [ref for ref in refs if record not in (ref.source, ref.target)]
    bound = [edge for edge in await transaction.history([record], BOUND) if edge.recorded_to == LIVE]
    changes.put_edges = [*(edge for one in (matching, *beside) for edge in one.put), *changes.put_edges, *bound]
    await _mark_cut(transaction, record, changes)
    return changes


async def _mark_cut(transaction: Transaction, record: bytes, changes: ChangeSet) -> None:
    """Mark every identity that a record ever belonged to, so that a read of that past says that it was cut."""
    marked = {edge.source for edge in changes.put_edges if edge.kind is EdgeKind.CUT}
    ever = {edge.target for edge in await transaction.history([record], frozenset({EdgeKind.RESOLVED_TO}))}
    for identity in sorted(ever - marked):
        changes.end_edges.append(EdgeRef(EdgeKind.CUT, identity, identity))
        changes.put_edges.append(Edge(EdgeKind.CUT, identity, identity))


async def _without_past(transaction: Transaction, tenant: Tenant, record: bytes, gone: set[bytes]) -> ChangeSet:
    """Put again what is live around a record that stays, and mark its identities as cut."""
    await held_components(transaction, tenant, [record], was_read_locked=True)
    around = await transaction.neighbourhood([record], frozenset(NodeKind), 1, _MOST_EDGES)
    changes = ChangeSet()
    changes.put_edges = [
        edge
        for edge in around.edges
        if record in (edge.source, edge.target) and edge.source not in gone and edge.target not in gone
    ]
    await _mark_cut(transaction, record, changes)
    return changes
