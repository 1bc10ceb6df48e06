"""Apply a change set to the tables, in the order its docstring promises.

Blocks; runs on the writing thread. Every step is one statement, however many rows it has (see `packed`).
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import cast

import apsw

from goldenthread.graph.model import Edge, EdgeKind, Node, NodeKind
from goldenthread.graph.schema import EDGE_ENDS
from goldenthread.graph.store import ChangeSet, EdgeRef, events_id
from goldenthread.graph.stores.sqlite.packed import EDGE_COLUMNS, edge_row, node_row, packed
from goldenthread.graph.stores.sqlite.reads import encode_body

__all__ = ["apply_changes"]

_ALL_KINDS = frozenset(NodeKind)
_SWEPT = frozenset({NodeKind.IDENTIFIER, NodeKind.BLOCK, NodeKind.HOUSEHOLD})

_LOOK_UP = packed(
    "bi",
    """
SELECT c.value, n.nid FROM carray(:ids) c CROSS JOIN node n ON n.tenant = :tenant AND n.kind = :kind AND n.id = c.value""",
)
_NUMBERS = "CAST(CAST(substr(value, 1, 12) AS TEXT) AS INTEGER), CAST(CAST(substr(value, 13, 2) AS TEXT) AS INTEGER)"
_PUT_NODES = f"""
INSERT INTO node (nid, kind, tenant, id, recorded_from, body)
SELECT {_NUMBERS}, :tenant, substr(value, 15, 16), :rev, nullif(substr(value, 31), x'') FROM carray(:rows)"""
_PUT_ALIASES = f"INSERT INTO alias (nid, kind, tenant, alias) SELECT {_NUMBERS}, :tenant, substr(value, 15) FROM carray(:rows)"
_PUT_NEW_EDGES = f"INSERT INTO edge SELECT source, kind, target, :rev, NULL, weight, profile FROM ({EDGE_COLUMNS})"
_PUT_EDGES = f"""
INSERT INTO edge SELECT n.source, n.kind, n.target, :rev, NULL, n.weight, n.profile FROM ({EDGE_COLUMNS}) n
WHERE NOT EXISTS (SELECT 1 FROM edge e
  WHERE e.source = n.source AND e.kind = n.kind AND e.target = n.target AND e.recorded_to IS NULL)"""
_END_EDGES = f"""
UPDATE edge SET recorded_to = :rev FROM ({EDGE_COLUMNS}) n
WHERE edge.source = n.source AND edge.kind = n.kind AND edge.target = n.target AND edge.recorded_to IS NULL"""
_FORGET_EDGES = f"""
DELETE FROM edge WHERE (source, kind, target, recorded_from) IN
(SELECT e.source, e.kind, e.target, e.recorded_from FROM ({EDGE_COLUMNS}) n JOIN edge e
 ON e.source = n.source AND e.kind = n.kind AND e.target = n.target WHERE e.recorded_to IS NOT NULL)"""
_DELETE_OUT = "DELETE FROM edge WHERE source = ?"
_DELETE_IN = """
DELETE FROM edge WHERE (source, kind, target, recorded_from) IN
(SELECT source, kind, target, recorded_from FROM edge WHERE target = ?)"""
_DELETE_ALIAS = "DELETE FROM alias WHERE nid = ?"
_DELETE_NODE = "DELETE FROM node WHERE nid = ?"
_LONELY = """
SELECT n.nid FROM carray(:nids) c CROSS JOIN node n ON n.nid = c.value
WHERE NOT EXISTS (SELECT 1 FROM edge WHERE target = n.nid) AND NOT EXISTS (SELECT 1 FROM edge WHERE source = n.nid)"""


def apply_changes(connection: apsw.Connection, tenant: int, revision: int, changes: ChangeSet) -> None:
    """Apply the changes as the given revision, within the transaction that is open."""
    if changes.delete_nodes:
        _delete(connection, _find(connection, tenant, changes.delete_nodes, _ALL_KINDS).values())
    nids = _Ids(connection, tenant)
    nids.need(changes)
    _run(connection, _FORGET_EDGES, dict.fromkeys(_ended(changes.forget_edges, nids)))
    _run(connection, _END_EDGES, dict.fromkeys(_ended(changes.end_edges, nids)), rev=revision)
    nodes = changes.put_nodes
    if changes.events:
        nodes = [*nodes, Node(NodeKind.EVENTS, events_id(revision), {"body": changes.events})]
    born = _put_nodes(connection, tenant, revision, nodes, nids)
    new: dict[tuple[int, int, int], str] = {}
    known: dict[tuple[int, int, int], str] = {}
    for edge in changes.put_edges:
        key = (nids.of(edge.target), int(edge.kind), nids.of(edge.source))
        of = new if edge.source in born else known
        if key not in of:
            of[key] = edge_row(key[2], key[1], key[0], edge.weight, edge.profile)
    # In the order of their targets, for those lie all over the file, and new sources at its end.
    _run(connection, _PUT_NEW_EDGES, [row for _, row in sorted(new.items())], rev=revision)
    _run(connection, _PUT_EDGES, known.values(), rev=revision)
    if changes.sweep:
        swept = array("q", _find(connection, tenant, changes.sweep, _SWEPT).values())
        if swept:
            lonely = [cast(int, row[0]) for row in connection.execute(_LONELY, {"nids": apsw.carray(swept)})]
            _delete(connection, lonely)


def _run(connection: apsw.Connection, sql: str, rows: Iterable[str] | Iterable[bytes], **more: apsw.SQLiteValue) -> None:
    array_of = tuple(rows)
    if array_of:
        connection.execute(sql, {"rows": apsw.carray(array_of), **more})


def _find(connection: apsw.Connection, tenant: int, ids: Iterable[bytes], kinds: Iterable[NodeKind]) -> dict[bytes, int]:
    distinct = tuple(sorted(set(ids)))  # in the index's order, where neighbours lie on one page
    found: dict[bytes, int] = {}
    if not distinct:
        return found
    for kind in kinds:
        rows = _LOOK_UP.rows(connection, {"tenant": tenant, "kind": int(kind), "ids": apsw.carray(distinct)})
        found.update(cast("list[tuple[bytes, int]]", rows))
    return found


def _delete(connection: apsw.Connection, nids: Iterable[int]) -> None:
    rows = [(nid,) for nid in nids]
    for sql in (_DELETE_OUT, _DELETE_IN, _DELETE_ALIAS, _DELETE_NODE):
        connection.executemany(sql, rows)


class _Ids:
    """Know the integer key of every id that the changes name."""

    def __init__(self, connection: apsw.Connection, tenant: int) -> None:
        self._connection, self._tenant = connection, tenant
        self._nids: dict[bytes, int] = {}

    def need(self, changes: ChangeSet) -> None:
        wanted: dict[NodeKind, set[bytes]] = defaultdict(set)
        for node in changes.put_nodes:
            wanted[node.kind].add(node.id)
        ends: Iterable[Edge | EdgeRef] = (*changes.put_edges, *changes.end_edges, *changes.forget_edges)
        by_kind: dict[EdgeKind, tuple[set[bytes], set[bytes]]] = {kind: (set(), set()) for kind in EdgeKind}
        for edge in ends:
            sources, targets = by_kind[edge.kind]
            sources.add(edge.source)
            targets.add(edge.target)
        for edge_kind, (sources, targets) in by_kind.items():
            source_kinds, target_kinds = EDGE_ENDS[edge_kind]
            for kind in source_kinds:
                wanted[kind] |= sources
            for kind in target_kinds:
                wanted[kind] |= targets
        for kind, ids in wanted.items():
            self._nids.update(_find(self._connection, self._tenant, ids, (kind,)))

    def of(self, id: bytes) -> int:
        """Give the key of a node that was looked up or put; a change set that names another is a defect of the caller."""
        return self._nids[id]

    def get(self, id: bytes) -> int | None:
        return self._nids.get(id)

    def put(self, id: bytes, nid: int) -> None:
        self._nids[id] = nid


def _ended(refs: Iterable[EdgeRef], nids: _Ids) -> Iterator[str]:
    for ref in refs:
        source, target = nids.get(ref.source), nids.get(ref.target)
        if source is not None and target is not None:
            yield edge_row(source, int(ref.kind), target)


def _put_nodes(connection: apsw.Connection, tenant: int, revision: int, nodes: Iterable[Node], nids: _Ids) -> set[bytes]:
    """Insert what is not there yet; return the ids that are new."""
    last = cast("int | None", next(iter(connection.execute("SELECT max(nid) FROM node")))[0]) or 0
    born: set[bytes] = set()
    rows: list[bytes] = []
    aliases: list[bytes] = []
    for node in sorted(nodes, key=lambda node: (node.kind, node.id)):  # as the index orders them
        if nids.get(node.id) is not None:
            continue
        last += 1
        nids.put(node.id, last)
        born.add(node.id)
        rows.append(node_row(last, int(node.kind), node.id + (encode_body(node) or b"")))
        if node.alias is not None:
            aliases.append(node_row(last, int(node.kind), node.alias))
    _run(connection, _PUT_NODES, rows, tenant=tenant, rev=revision)
    _run(connection, _PUT_ALIASES, aliases, tenant=tenant)
    return born
