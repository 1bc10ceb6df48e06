"""Keep which records name which others: a Relation stands for the record that is named, whether or not that is there yet.

It has the alias of that record for its id, so that one who is named before their record comes is found when it does, whatever
the order. What is read of relationships needs the RELATES edges alone; the NAMES edge is there for walks to pass.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from goldenthread.graph.model import LIVE, Edge, EdgeKind, Node, NodeKind, SemanticType
from goldenthread.graph.store import ChangeSet, EdgeRef, Reader, Transaction
from goldenthread.server.commands.tenants import Tenant

__all__ = ["Stating", "delete_relations", "live_relates", "relate", "relates"]

_RELATES = frozenset({EdgeKind.RELATES})


class Stating(Struct, frozen=True):
    """A record that has another current version: whom it names, as (alias, bits of kinds), and whether it is new or back."""

    record: bytes
    alias: bytes
    is_back: bool
    relations: Sequence[tuple[bytes, int]]


def relates(tenant: Tenant) -> bool:
    """Say whether a tenant's records may name others: only attributes that are declared may."""
    return any(definition.type is SemanticType.RELATIONSHIP for definition in tenant.data_model.attributes)


async def live_relates(reader: Reader, ids: Sequence[bytes]) -> list[Edge]:
    """Get the live RELATES edges with an end among records and relations."""
    return [edge for edge in await reader.history(ids, _RELATES) if edge.recorded_to == LIVE] if ids else []


async def relate(transaction: Transaction, stating: Sequence[Stating], changes: ChangeSet) -> None:
    """Put and end what records say of others, and tie in those who are named and now there."""
    known = [one.record for one in stating if not one.is_back]
    before = {(edge.source, edge.target): edge.weight for edge in await live_relates(transaction, known)}
    wanted = {(one.record, target): mask for one in stating for target, mask in one.relations}
    own = {one.record for one in stating}
    for (record, target), mask in before.items():
        if record in own and wanted.get((record, target)) != mask:
            changes.end_edges.append(EdgeRef(EdgeKind.RELATES, record, target))
    fresh = {pair: mask for pair, mask in wanted.items() if before.get(pair) != mask}
    changes.put_nodes += [Node(NodeKind.RELATION, target) for target in dict.fromkeys(target for _, target in fresh)]
    changes.put_edges += [Edge(EdgeKind.RELATES, record, target, mask) for (record, target), mask in fresh.items()]
    here = {one.alias: one.record for one in stating}
    named = {target: here[target] for _, target in fresh if target in here}
    elsewhere = [target for _, target in fresh if target not in here]
    states = await transaction.records_by_alias(elsewhere) if elsewhere else {}
    named |= {alias: state.record.id for alias, state in states.items() if not state.version.properties["tombstone"]}
    back = {one.alias: one.record for one in stating if one.is_back}
    if back:
        nodes = await transaction.nodes(list(back))
        named |= {id: back[id] for id, node in nodes.items() if node.kind is NodeKind.RELATION}
    changes.put_edges += [Edge(EdgeKind.NAMES, relation, record) for relation, record in named.items()]


async def delete_relations(reader: Reader, record: bytes) -> list[bytes]:
    """List the relations that nobody but this record ever named, which go with it."""
    ever = {edge.target for edge in await reader.history([record], _RELATES)}
    shared = {edge.target for edge in await reader.history(sorted(ever), _RELATES) if edge.source != record} if ever else set()
    return sorted(ever - shared)
