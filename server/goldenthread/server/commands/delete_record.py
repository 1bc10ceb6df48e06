"""Delete a record with its history: physically, keys first; a tombstone stays so that older versions do not come back."""

from __future__ import annotations

from msgspec import Struct

from goldenthread.graph.model import Edge, EdgeKind, Node, NodeKind
from goldenthread.graph.store import ChangeSet, RecordState, Transaction
from goldenthread.server.commands.candidates import Keyed, match_edges
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.idempotency import Request, once
from goldenthread.server.commands.ids import new_id
from goldenthread.server.commands.linking import Change, relink
from goldenthread.server.commands.read_records import RecordKey, find_record
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import NotFound

__all__ = ["Deleted", "delete_record"]


class Deleted(Struct, frozen=True):
    """The record that was deleted, and when."""

    record: bytes
    revision: int


async def delete_record(engine: Engine, tenant: Tenant, key: RecordKey, observed_at: int, request: Request) -> Deleted:
    """Delete a record and destroy its keys; its identity is resolved again without it.

    `observed_at` 0 means now. A version observed at or before it stays out from then on.

    Raises:
        NotFound: there is no such record, or it is deleted already.
    """
    doomed: list[bytes] = []

    async def work(transaction: Transaction, at: int) -> Deleted:
        doomed.clear()

        async def change() -> tuple[ChangeSet, Deleted]:
            state = await find_record(transaction, tenant, key)
            if state is None or state.version.properties["tombstone"]:
                raise NotFound("record")
            changes, keys = await _plan(transaction, tenant, state, observed_at or at, at)
            doomed.extend(keys)
            return changes, Deleted(state.record.id, transaction.revision.number + 1)

        deleted = await once(transaction, tenant, request, at, Deleted, change)
        # Destroyed before the commit: a crash in between leaves nodes whose key is gone, which read as absent.
        await tenant.vault.destroy(doomed)
        return deleted

    deleted = await engine.write(tenant, work)
    tenant.members.drop(doomed)
    return deleted


async def _plan(
    transaction: Transaction, tenant: Tenant, state: RecordState, observed_at: int, at: int
) -> tuple[ChangeSet, list[bytes]]:
    """Say what goes, and which keys with it."""
    record = state.record.id
    before = (await transaction.keys([record])).get(record, ())
    await transaction.lock([record, *(edge.target for edge in before)])
    matching = await match_edges(transaction, tenant, [Keyed(record, None, before, ())])
    linked = await relink(
        transaction,
        tenant,
        Change(gone=frozenset({record}), put_matches=matching.put, end_matches=matching.end),
        at,
    )
    versions = [node.id for node in await transaction.versions(record)]
    consents = [node.id for node in (await transaction.consents([record])).get(record, ())]
    keys = await transaction.keys_ever(record)
    new_record, tombstone = new_id(at), new_id(at)
    changes = linked.changes
    changes.delete_nodes = [record, *versions, *consents]
    changes.end_edges = [ref for ref in (*changes.end_edges, *matching.end) if record not in (ref.source, ref.target)]
    changes.put_edges = [*matching.put, *changes.put_edges]
    changes.put_nodes += [
        Node(NodeKind.RECORD, new_record, {"source": state.record.properties["source"]}, state.record.alias),
        Node(
            NodeKind.RECORD_VERSION,
            tombstone,
            {
                "observed_at": observed_at,
                "source_version": (1 << 62) - 1,
                "digest": b"",
                "tombstone": 1,
                "profile": b"",
                "sealed": b"",
            },
        ),
    ]
    changes.put_edges.append(Edge(EdgeKind.CURRENT, new_record, tombstone))
    changes.sweep = list(keys)
    return changes, [*versions, *consents, *(key for key, is_shared in keys.items() if not is_shared)]
