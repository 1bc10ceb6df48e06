"""Apply a change set to the tables, in the order its docstring promises.

Blocks; runs on the writing thread. Lookups of ids go by `carray`, inserts by `executemany`, so the cost a record is in SQLite.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import cast

import apsw

from goldenthread.graph.model import Edge, EdgeKind, Node, NodeKind
from goldenthread.graph.schema import EDGE_ENDS
from goldenthread.graph.store import ChangeSet, EdgeRef
from goldenthread.graph.stores.sqlite.reads import encode_body

__all__ = ["apply_changes"]

_ALL_KINDS = frozenset(NodeKind)
_SWEPT = frozenset({NodeKind.IDENTIFIER, NodeKind.BLOCK, NodeKind.HOUSEHOLD})

_EdgeRow = tuple[int, int, int, int, int, bytes | None]

_LOOK_UP = """
SELECT c.value, n.nid FROM carray(:ids) c CROSS JOIN node n ON n.tenant = :tenant AND n.kind = :kind AND n.id = c.value"""
_PUT_NODE = "INSERT INTO node (nid, tenant, kind, id, recorded_from, body) VALUES (?, ?, ?, ?, ?, ?)"
_PUT_ALIAS = "INSERT INTO alias (tenant, kind, alias, nid) VALUES (?, ?, ?, ?)"
_PUT_NEW_EDGE = "INSERT INTO edge VALUES (?, ?, ?, ?, NULL, ?, ?)"
_PUT_EDGE = """
INSERT INTO edge SELECT ?1, ?2, ?3, ?4, NULL, ?5, ?6
WHERE NOT EXISTS (SELECT 1 FROM edge WHERE source = ?1 AND kind = ?2 AND target = ?3 AND recorded_to IS NULL)"""
_END_EDGE = "UPDATE edge SET recorded_to = ?1 WHERE source = ?2 AND kind = ?3 AND target = ?4 AND recorded_to IS NULL"
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
    if changes.end_edges:
        connection.executemany(_END_EDGE, _ended(changes.end_edges, nids, revision))
    born = _put_nodes(connection, tenant, revision, changes.put_nodes, nids)
    new: dict[tuple[int, int, int], _EdgeRow] = {}
    known: list[_EdgeRow] = []
    for edge in changes.put_edges:
        source, kind, target = nids.of(edge.source), int(edge.kind), nids.of(edge.target)
        row = (source, kind, target, revision, edge.weight, edge.profile or None)
        if edge.source in born:
            new.setdefault((source, kind, target), row)
        else:
            known.append(row)
    connection.executemany(_PUT_NEW_EDGE, new.values())
    connection.executemany(_PUT_EDGE, known)
    if changes.sweep:
        swept = array("q", _find(connection, tenant, changes.sweep, _SWEPT).values())
        if swept:
            lonely = [cast(int, row[0]) for row in connection.execute(_LONELY, {"nids": apsw.carray(swept)})]
            _delete(connection, lonely)


def _find(connection: apsw.Connection, tenant: int, ids: Iterable[bytes], kinds: Iterable[NodeKind]) -> dict[bytes, int]:
    distinct = tuple(dict.fromkeys(ids))
    found: dict[bytes, int] = {}
    if not distinct:
        return found
    for kind in kinds:
        rows = connection.execute(_LOOK_UP, {"tenant": tenant, "kind": int(kind), "ids": apsw.carray(distinct)})
        found.update(cast("Iterator[tuple[bytes, int]]", rows))
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
        ends: Iterable[Edge | EdgeRef] = (*changes.put_edges, *changes.end_edges)
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


def _ended(refs: Iterable[EdgeRef], nids: _Ids, revision: int) -> Iterator[tuple[int, int, int, int]]:
    for ref in refs:
        source, target = nids.get(ref.source), nids.get(ref.target)
        if source is not None and target is not None:
            yield revision, source, int(ref.kind), target


def _put_nodes(connection: apsw.Connection, tenant: int, revision: int, nodes: Iterable[Node], nids: _Ids) -> set[bytes]:
    """Insert what is not there yet; return the ids that are new."""
    last = cast("int | None", next(iter(connection.execute("SELECT max(nid) FROM node")))[0]) or 0
    born: set[bytes] = set()
    rows: list[tuple[int, int, int, bytes, int, bytes | None]] = []
    aliases: list[tuple[int, int, bytes, int]] = []
    for node in nodes:
        if nids.get(node.id) is not None:
            continue
        last += 1
        nids.put(node.id, last)
        born.add(node.id)
        rows.append((last, tenant, int(node.kind), node.id, revision, encode_body(node)))
        if node.alias is not None:
            aliases.append((tenant, int(node.kind), node.alias, last))
    connection.executemany(_PUT_NODE, rows)
    connection.executemany(_PUT_ALIAS, aliases)
    return born
