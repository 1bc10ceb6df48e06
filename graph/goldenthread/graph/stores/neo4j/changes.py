"""Apply a change set in a handful of statements, whatever its size.

Most of a load is new records, so a new record, its version and all its usual edges are made by one statement that looks up each
far end once. What is left goes kind by kind. Nothing is looked up twice to be safe: applying is serial within a tenant.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TypeVar, cast

from goldenthread.graph.model import Edge, EdgeKind, Node, NodeKind
from goldenthread.graph.schema import NODE_PROPERTIES, STATEFUL
from goldenthread.graph.store import ChangeSet, EdgeRef, events_id
from goldenthread.graph.stores.neo4j.encoding import LABELS, PAIRS, Plain, id_of, node_row
from goldenthread.graph.stores.neo4j.gathering import Ask

__all__ = ["apply_changes"]

_E = TypeVar("_E", Edge, EdgeRef)
_Key = tuple[EdgeKind, bytes, bytes]

_DELETE = f"MATCH (n:{'|'.join(LABELS.values())}) WHERE n.key IN $keys DETACH DELETE n"
_SWEEP = "MATCH (n:Identifier|Block|Household) WHERE n.key IN $keys AND NOT EXISTS { (n)--() } DELETE n"
_KNOWN = """UNWIND $keys AS key MATCH (n:Record {key: key}) RETURN collect(n.key) AS known
UNION ALL UNWIND $versions AS key MATCH (n:RecordVersion {key: key}) RETURN collect(n.key) AS known"""


def _assign(kind: NodeKind, variable: str, row: str, first: int) -> list[str]:
    return [f"{variable}.{name} = {row}[{column}]" for column, name in enumerate(NODE_PROPERTIES[kind], first)]


def _entries(kind: NodeKind, row: str, first: int) -> str:
    return "".join(f", {name}: {row}[{column}]" for column, name in enumerate(NODE_PROPERTIES[kind], first))


_PUT_NODES = {
    kind: f"UNWIND $rows AS row MERGE (n:{label} {{key: row[0]}}) ON CREATE SET n.recorded_from = $revision, n.alias = row[1]"
    + "".join(f", {assignment}" for assignment in _assign(kind, "n", "row", 2))
    for kind, label in LABELS.items()
}
# In place, so that no reader finds it gone in between.
_CHANGE_NODES = {
    kind: f"UNWIND $rows AS row MATCH (n:{LABELS[kind]} {{key: row[0]}}) SET n.recorded_from = $revision"
    + "".join(f", {assignment}" for assignment in _assign(kind, "n", "row", 2))
    + " RETURN collect(n.key)"
    for kind in STATEFUL
}

_ENDS = "UNWIND $rows AS row MATCH (a:{source} {{key: row[0]}}) MATCH (b:{target} {{key: row[1]}})"
_PUT_EDGES = {
    (kind, pair): _ENDS.format(source=LABELS[pair[0]], target=LABELS[pair[1]])
    + f"""
WITH a, b, row, EXISTS {{ (a)-[e:{kind.name}]->(b) WHERE e.recorded_to IS NULL }} AS is_live
FOREACH (_ IN CASE WHEN is_live THEN [] ELSE [1] END |
  CREATE (a)-[:{kind.name} {{recorded_from: $revision, weight: row[2], profile: row[3]}}]->(b))
RETURN count(*)"""
    for kind, pairs in PAIRS.items()
    for pair in pairs
}
_END_EDGES = {
    (kind, pair): _ENDS.format(source=LABELS[pair[0]], target=LABELS[pair[1]])
    + f" MATCH (a)-[e:{kind.name}]->(b) WHERE e.recorded_to IS NULL SET e.recorded_to = $revision RETURN count(*)"
    for kind, pairs in PAIRS.items()
    for pair in pairs
}
_FORGET_EDGES = {
    (kind, pair): _ENDS.format(source=LABELS[pair[0]], target=LABELS[pair[1]])
    + f" MATCH (a)-[e:{kind.name}]->(b) WHERE e.recorded_to IS NOT NULL DELETE e RETURN count(*)"
    for kind, pairs in PAIRS.items()
    for pair in pairs
}

_NEW_RECORDS = f"""UNWIND $rows AS row
MATCH (s:Source {{key: row[0]}}) MATCH (i:Identity {{key: row[1]}})
CREATE (r:Record {{recorded_from: $revision, key: row[2][0], alias: row[2][1]{_entries(NodeKind.RECORD, "row[2]", 2)}}})
CREATE (v:RecordVersion {{recorded_from: $revision, key: row[3][0]{_entries(NodeKind.RECORD_VERSION, "row[3]", 2)}}})
CREATE (r)-[:FROM {{recorded_from: $revision}}]->(s)
CREATE (r)-[:CURRENT {{recorded_from: $revision}}]->(v)
CREATE (r)-[:RESOLVED_TO {{recorded_from: $revision}}]->(i)
WITH r, row
CALL (r, row) {{
  UNWIND row[5] AS key MATCH (k:Identifier {{key: key}})
  CREATE (r)-[:HAS {{recorded_from: $revision, profile: row[4]}}]->(k) RETURN count(*) AS had
}}
CALL (r, row) {{
  UNWIND row[6] AS key MATCH (k:Block {{key: key}})
  CREATE (r)-[:IN {{recorded_from: $revision, profile: row[4]}}]->(k) RETURN count(*) AS blocked
}}
RETURN sum(3 + had + blocked)"""


async def apply_changes(ask: Ask, prefix: str, revision: int, changes: ChangeSet) -> None:
    """Apply the changes as a revision, within the transaction that `ask` runs in.

    Raises:
        KeyError: an edge names a node that is not there, which is a defect of the caller.
    """
    if changes.delete_nodes:
        changed = await _change_nodes(ask, prefix, revision, changes)
        deleted = _keys(prefix, (id for id in changes.delete_nodes if id not in changed))
        if deleted:
            await ask(_DELETE, {"keys": deleted})
    for kind, refs in _grouped(changes.forget_edges).items():
        forgotten: list[Plain] = [[prefix + ref.source.hex(), prefix + ref.target.hex()] for ref in refs]
        for pair in PAIRS[kind]:
            await ask(_FORGET_EDGES[kind, pair], {"rows": forgotten})
    for kind, refs in _grouped(changes.end_edges).items():
        ended: list[Plain] = [[prefix + ref.source.hex(), prefix + ref.target.hex()] for ref in refs]
        for pair in PAIRS[kind]:
            await ask(_END_EDGES[kind, pair], {"rows": ended, "revision": revision})
    await _put(ask, prefix, revision, changes)
    if changes.sweep:
        await ask(_SWEEP, {"keys": _keys(prefix, changes.sweep)})


async def _change_nodes(ask: Ask, prefix: str, revision: int, changes: ChangeSet) -> set[bytes]:
    """Change the nodes that are deleted and put again; return their ids."""
    deleted = set(changes.delete_nodes)
    rows: dict[NodeKind, list[Plain]] = defaultdict(list)
    for node in changes.put_nodes:
        if node.kind in STATEFUL and node.id in deleted:
            rows[node.kind].append(node_row(prefix, node))
    found: set[bytes] = set()
    for kind, of_kind in rows.items():
        answer = await ask(_CHANGE_NODES[kind], {"rows": of_kind, "revision": revision})
        found |= {id_of(key) for key in cast("list[str]", answer[0][0])}
    return found


async def _put(ask: Ask, prefix: str, revision: int, changes: ChangeSet) -> None:
    nodes: dict[NodeKind, dict[bytes, Node]] = defaultdict(dict)
    for node in changes.put_nodes:
        nodes[node.kind].setdefault(node.id, node)
    if changes.events:
        told = Node(NodeKind.EVENTS, events_id(revision), {"body": changes.events})
        nodes[NodeKind.EVENTS][told.id] = told
    edges: dict[_Key, Edge] = {}
    for edge in changes.put_edges:
        edges.setdefault((edge.kind, edge.source, edge.target), edge)
    records = await _new_records(ask, prefix, nodes, edges)
    for kind, group in nodes.items():
        if group:
            rows: list[Plain] = [node_row(prefix, node) for node in group.values()]
            await ask(_PUT_NODES[kind], {"rows": rows, "revision": revision})
    if records:
        made = await ask(_NEW_RECORDS, {"rows": records, "revision": revision})
        _expect(made[0][0], sum(3 + len(row[5]) + len(row[6]) for row in cast("list[list[list[Plain]]]", records)))
    for edge_kind, kind_edges in _grouped(edges.values()).items():
        await _put_edges(ask, prefix, revision, edge_kind, kind_edges)


async def _put_edges(ask: Ask, prefix: str, revision: int, kind: EdgeKind, edges: list[Edge]) -> None:
    # A match of weight 0 is kept as 0, for it is compared with.
    nothing = 0 if kind in (EdgeKind.MATCHES, EdgeKind.STAGED, EdgeKind.DISPUTED) else None
    rows: list[Plain] = [
        [prefix + edge.source.hex(), prefix + edge.target.hex(), edge.weight or nothing, edge.profile or None] for edge in edges
    ]
    found = 0
    for pair in PAIRS[kind]:
        if found < len(rows):
            answer = await ask(_PUT_EDGES[kind, pair], {"rows": rows, "revision": revision})
            found += cast(int, answer[0][0])
    _expect(found, len(rows))


def _expect(found: Plain, wanted: int) -> None:
    if found != wanted:
        raise KeyError("an edge of the change set names a node that is not there")


async def _new_records(ask: Ask, prefix: str, nodes: dict[NodeKind, dict[bytes, Node]], edges: dict[_Key, Edge]) -> list[Plain]:
    """Take new records, with what is usual of one, out of `nodes` and `edges`: rows of the statement that makes them."""
    records, versions = nodes[NodeKind.RECORD], nodes[NodeKind.RECORD_VERSION]
    if not records or not versions:
        return []
    known = await ask(_KNOWN, {"keys": _keys(prefix, records), "versions": _keys(prefix, versions)})
    old = {key for row in known for key in cast("list[str]", row[0])}
    of_record: dict[bytes, list[Edge]] = {id: [] for id in records if prefix + id.hex() not in old}
    for edge in edges.values():
        if edge.kind in _USUAL and edge.source in of_record:
            of_record[edge.source].append(edge)
    rows: list[Plain] = []
    for id, own in of_record.items():
        usual = _Usual.of(own)
        version = versions.get(usual.current) if usual is not None else None
        if usual is None or version is None or prefix + version.id.hex() in old:
            continue
        has: list[Plain] = [prefix + key.hex() for key in usual.has]
        blocks: list[Plain] = [prefix + key.hex() for key in usual.blocks]
        row: list[Plain] = [prefix + usual.source.hex(), prefix + usual.identity.hex(), node_row(prefix, records.pop(id))]
        rows.append([*row, node_row(prefix, versions.pop(version.id)), usual.profile or None, has, blocks])
        for edge in own:
            del edges[edge.kind, edge.source, edge.target]
    return rows


_USUAL = frozenset({EdgeKind.FROM, EdgeKind.CURRENT, EdgeKind.RESOLVED_TO, EdgeKind.HAS, EdgeKind.IN})


class _Usual:
    """The far ends of a new record's edges, when it has one source, version and identity, and one profile on all its keys."""

    __slots__ = ("blocks", "current", "has", "identity", "profile", "source")

    def __init__(self, by_kind: Mapping[EdgeKind, list[Edge]], profile: bytes) -> None:
        self.source = by_kind[EdgeKind.FROM][0].target
        self.current = by_kind[EdgeKind.CURRENT][0].target
        self.identity = by_kind[EdgeKind.RESOLVED_TO][0].target
        self.has = [edge.target for edge in by_kind[EdgeKind.HAS]]
        self.blocks = [edge.target for edge in by_kind[EdgeKind.IN]]
        self.profile = profile

    @classmethod
    def of(cls, edges: Iterable[Edge]) -> _Usual | None:
        by_kind: dict[EdgeKind, list[Edge]] = {kind: [] for kind in _USUAL}
        profiles: set[bytes] = set()
        for edge in edges:
            by_kind[edge.kind].append(edge)
            if edge.kind is EdgeKind.HAS or edge.kind is EdgeKind.IN:
                profiles.add(edge.profile)
            if edge.weight:
                return None
        if any(len(by_kind[kind]) != 1 for kind in (EdgeKind.FROM, EdgeKind.CURRENT, EdgeKind.RESOLVED_TO)):
            return None
        return cls(by_kind, profiles.pop() if profiles else b"") if len(profiles) <= 1 else None


def _keys(prefix: str, ids: Iterable[bytes]) -> list[Plain]:
    return [prefix + id.hex() for id in dict.fromkeys(ids)]


def _grouped(edges: Iterable[_E]) -> dict[EdgeKind, list[_E]]:
    by_kind: dict[EdgeKind, list[_E]] = defaultdict(list)
    for edge in edges:
        by_kind[edge.kind].append(edge)
    return by_kind
