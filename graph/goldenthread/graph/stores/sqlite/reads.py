"""Answer every read verb with SQL over one connection, at one tenant and revision.

Everything here blocks, so the store runs it on threads of its own. Ids reach SQL through `carray`, a thousand at a time, which
keeps Python out of the loop.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import cast

import apsw
import msgspec

from goldenthread.graph.model import LIVE, Edge, EdgeKind, Node, NodeKind, Property
from goldenthread.graph.schema import EDGE_ENDS, NODE_PROPERTIES
from goldenthread.graph.store import (
    Band,
    Component,
    Outline,
    Posting,
    RecordState,
    Revision,
    StoredIdentity,
    Subgraph,
    events_id,
)
from goldenthread.graph.stores.outlining import OutlineWalk
from goldenthread.graph.stores.sqlite import queries
from goldenthread.graph.stores.sqlite.packed import PackedRead

__all__ = ["Session", "decode_node", "encode_body"]

_PROPERTIES = {kind: tuple(properties) for kind, properties in NODE_PROPERTIES.items()}
_decode = msgspec.msgpack.Decoder(list[object]).decode
_encode = msgspec.msgpack.Encoder().encode
_EDGE_KINDS = {int(kind): kind for kind in EdgeKind}
_NODE_KINDS = {int(kind): kind for kind in NodeKind}
_MEMBER_KINDS = (NodeKind.IDENTITY, NodeKind.HOUSEHOLD)

_PATH_NODES = 50_000
"""A path search gives up past this many nodes: nothing that far is a relationship a person would call one."""


def encode_body(node: Node) -> bytes | None:
    """Pack a node's properties in schema order; None when its kind has none."""
    names = _PROPERTIES[node.kind]
    return _encode([node.properties[name] for name in names]) if names else None


def decode_node(row: Sequence[apsw.SQLiteValue]) -> Node:
    """Unpack (kind, id, body, alias, recorded_from)."""
    kind = _NODE_KINDS[cast(int, row[0])]
    return Node(
        kind,
        cast(bytes, row[1]),
        _properties(kind, row[2]),
        cast("bytes | None", row[3]),
        cast(int, row[4]),
    )


def _properties(kind: NodeKind, body: apsw.SQLiteValue) -> dict[str, Property]:
    if body is None:
        return {}
    # A kind gains properties at its end only, so a node from before has fewer.
    return dict(zip(_PROPERTIES[kind], cast("list[Property]", _decode(cast(bytes, body))), strict=False))


def _edge(row: Sequence[apsw.SQLiteValue]) -> Edge:
    source, kind, target, weight, profile, recorded_from, recorded_to = row
    return Edge(
        _EDGE_KINDS[cast(int, kind)],
        cast(bytes, source),
        cast(bytes, target),
        cast(int, weight),
        cast(bytes, profile) if profile is not None else b"",
        cast(int, recorded_from),
        cast(int, recorded_to) if recorded_to is not None else LIVE,
    )


def _on(pairs: str | None) -> dict[bytes, bytes]:
    """Read `record,profile,record,profile` in hexadecimal digits."""
    parts = map(bytes.fromhex, pairs.split(",") if pairs else ())
    return dict(zip(parts, parts, strict=True))


def _state(row: Sequence[apsw.SQLiteValue]) -> RecordState:
    record = Node(
        NodeKind.RECORD,
        cast(bytes, row[0]),
        _properties(NodeKind.RECORD, row[1]),
        cast("bytes | None", row[2]),
        cast(int, row[3]),
    )
    version = Node(
        NodeKind.RECORD_VERSION,
        cast(bytes, row[4]),
        _properties(NodeKind.RECORD_VERSION, row[5]),
        None,
        cast(int, row[6]),
    )
    return RecordState(record, version, cast("bytes | None", row[7]))


class Session:
    """Read one tenant at one revision over a connection that holds a snapshot."""

    def __init__(self, connection: apsw.Connection, tenant: int, revision: Revision) -> None:
        self.connection, self.tenant, self.revision = connection, tenant, revision

    def _query(
        self, query: PackedRead | str, ids: Iterable[bytes] | None = None, /, **more: apsw.Binding
    ) -> Iterator[Sequence[apsw.SQLiteValue]]:
        bindings: dict[str, apsw.Binding] = {"tenant": self.tenant, "rev": self.revision.number, **more}
        if ids is not None:
            distinct = tuple(dict.fromkeys(ids))
            if not distinct:
                return iter(())
            bindings["ids"] = apsw.carray(distinct)
        if isinstance(query, PackedRead):
            return iter(query.rows(self.connection, bindings))
        return cast("Iterator[Sequence[apsw.SQLiteValue]]", self.connection.execute(query, bindings))

    def nodes(self, ids: Sequence[bytes]) -> dict[bytes, Node]:
        return {cast(bytes, row[1]): decode_node(row) for row in self._query(queries.NODES, ids)}

    def records(self, ids: Sequence[bytes]) -> dict[bytes, RecordState]:
        return {cast(bytes, row[0]): _state(row) for row in self._query(queries.RECORDS, ids)}

    def records_by_alias(self, aliases: Sequence[bytes]) -> dict[bytes, RecordState]:
        return {cast(bytes, row[2]): _state(row) for row in self._query(queries.RECORDS_BY_ALIAS, aliases)}

    def current_versions(self, records: Sequence[bytes]) -> dict[bytes, Node]:
        return {cast(bytes, record): decode_node(node) for record, *node in self._query(queries.CURRENT_VERSIONS, records)}

    def versions(self, record: bytes) -> Sequence[Node]:
        return [decode_node(row) for row in self._query(queries.VERSIONS, id=record)]

    def candidates(self, keys: Sequence[bytes], limit: int) -> Sequence[Posting]:
        # In the index's order, neighbours lie on one page.
        rows = self._query(queries.CANDIDATES, sorted(keys), limit=limit)
        return [
            Posting(cast(bytes, key), bool(is_generic), _on(cast("str | None", on)))
            for key, is_generic, on in rows
            if is_generic or on
        ]

    def _edges(
        self, query: PackedRead, ids: Sequence[bytes], node_kind: NodeKind, kind: EdgeKind, kind2: EdgeKind
    ) -> list[Edge]:
        return [_edge(row) for row in self._query(query, ids, node_kind=int(node_kind), kind=int(kind), kind2=int(kind2))]

    def keys(self, records: Sequence[bytes]) -> dict[bytes, Sequence[Edge]]:
        answer: dict[bytes, list[Edge]] = {record: [] for record in records}
        for edge in self._edges(queries.EDGES_FROM, records, NodeKind.RECORD, EdgeKind.HAS, EdgeKind.IN):
            answer[edge.source].append(edge)
        return dict(answer)

    def keys_ever(self, record: bytes) -> dict[bytes, bool]:
        return {cast(bytes, key): bool(is_shared) for key, is_shared in self._query(queries.KEYS_EVER, id=record)}

    def matches(self, records: Sequence[bytes], kind: EdgeKind = EdgeKind.MATCHES) -> Sequence[Edge]:
        out = self._edges(queries.EDGES_FROM, records, NodeKind.RECORD, kind, kind)
        back = self._edges(queries.EDGES_TO, records, NodeKind.RECORD, kind, kind)
        return list({(edge.source, edge.target): edge for edge in (*out, *back)}.values())

    def band(self, band: Band) -> Sequence[Edge]:
        query = queries.BAND[band.kind, band.heaviest_first]
        together = None if band.together is None else int(band.together)
        return [_edge(row) for row in self._query(query, low=band.low, high=band.high, together=together, limit=band.limit)]

    def bindings(self, records: Sequence[bytes]) -> Sequence[Edge]:
        return self._edges(queries.EDGES_FROM, records, NodeKind.RECORD, EdgeKind.MUST_LINK, EdgeKind.CANNOT_LINK)

    def labels(self, records: Sequence[bytes]) -> Sequence[Node]:
        found = (decode_node(node) for _, *node in self._query(queries.LABELS, records))
        return list({node.id: node for node in found}.values())

    def components(self, records: Sequence[bytes], min_weight: int, kind: EdgeKind = EdgeKind.MATCHES) -> Sequence[Component]:
        group: dict[bytes, bytes] = {}
        matches: dict[bytes, list[Edge]] = defaultdict(list)
        decisions: dict[bytes, list[Edge]] = defaultdict(list)
        disputed: dict[bytes, list[Edge]] = defaultdict(list)
        by_decision: dict[bytes, bytes] = {}
        for row in self._query(queries.COMPONENTS, records, weight=min_weight, matches=int(kind)):
            source = cast(bytes, row[0])
            group.setdefault(source, source)
            if row[1] is None:
                continue
            edge = _edge(row)
            if edge.kind is EdgeKind.DISPUTED:
                disputed[source].append(edge)
            elif edge.kind is not kind:
                decisions[source].append(edge)
                if edge.kind is EdgeKind.MUST_LINK:
                    _join(group, source, by_decision.setdefault(edge.target, source))
            elif edge.weight >= min_weight:
                matches[source].append(edge)
                _join(group, source, edge.target)
        parts: dict[bytes, list[bytes]] = defaultdict(list)
        for record in group:
            parts[_root(group, record)].append(record)
        return [
            Component(
                sorted(part),
                [edge for record in part for edge in matches[record]],
                [edge for record in part for edge in decisions[record]],
                [edge for record in part for edge in disputed[record]],
            )
            for part in parts.values()
        ]

    def outlines(self, records: Sequence[bytes]) -> Sequence[Outline]:
        walk = OutlineWalk()
        for record, version, identity, kind, target, weight, since, until in self._query(queries.OUTLINES, records):
            source = cast(bytes, record)
            walk.add(source, cast("bytes | None", version), cast("bytes | None", identity))
            if kind is not None:
                walk.join(_edge((source, kind, target, weight, None, since, until)))
        return walk.outlines()

    def links(self, records: Sequence[bytes], min_weight: int, kind: EdgeKind = EdgeKind.MATCHES) -> Sequence[Edge]:
        return [_edge(row) for row in self._query(queries.LINKS, records, weight=min_weight, kind=int(kind))]

    def identities(self, ids: Sequence[bytes]) -> dict[bytes, StoredIdentity]:
        at = self.revision.number
        records: dict[bytes, list[bytes]] = {}
        out: dict[bytes, dict[int, list[bytes]]] = {}
        changed: dict[bytes, int] = {}
        cut: set[bytes] = set()
        for identity, born, _, since, until, record in self._query(queries.IDENTITY_RECORDS, ids):
            key = cast(bytes, identity)
            members = records.setdefault(key, [])
            changed[key] = max(changed.get(key, 0), cast(int, born))
            if since is None or cast(int, since) > at:
                continue
            if until is None or cast(int, until) > at:
                members.append(cast(bytes, record))
                changed[key] = max(changed[key], cast(int, since))
            else:
                changed[key] = max(changed[key], cast(int, until))
        for identity, _, kind, since, until, other in self._query(queries.IDENTITY_OUT, ids):
            key = cast(bytes, identity)
            if kind is None:
                continue
            if kind == EdgeKind.CUT:
                if cast(int, since) > at:
                    cut.add(key)
                else:
                    changed[key] = max(changed[key], cast(int, since))
            elif cast(int, since) <= at and (until is None or cast(int, until) > at):
                out.setdefault(key, {}).setdefault(cast(int, kind), []).append(cast(bytes, other))
        times = self.commit_times(changed.values())
        return {
            key: StoredIdentity(
                key,
                sorted(members),
                sorted(out.get(key, {}).get(EdgeKind.MEMBER_OF, [])),
                sorted(out.get(key, {}).get(EdgeKind.SUPERSEDED_BY, [])),
                Revision(changed[key], times[changed[key]]),
                key in cut,
            )
            for key, members in records.items()
        }

    def commit_times(self, revisions: Iterable[int]) -> dict[int, int]:
        numbers = array("q", set(revisions))
        if not numbers:
            return {}
        rows = self._query(queries.TIMES, numbers=apsw.carray(numbers))
        return {cast(int, number): cast(int, at) for number, at in rows}

    def identities_of(self, records: Sequence[bytes]) -> dict[bytes, bytes]:
        return dict(cast("Iterator[tuple[bytes, bytes]]", self._query(queries.IDENTITIES_OF, records)))

    def identities_with(self, keys: Sequence[bytes]) -> dict[bytes, Sequence[bytes]]:
        answer: dict[bytes, list[bytes]] = defaultdict(list)
        for key, identity in self._query(queries.IDENTITIES_WITH, keys):
            answer[cast(bytes, key)].append(cast(bytes, identity))
        return dict(answer)

    def households_of(self, identities: Sequence[bytes]) -> dict[bytes, Sequence[bytes]]:
        answer: dict[bytes, list[bytes]] = defaultdict(list)
        for identity, household in self._query(queries.HOUSEHOLDS_OF, identities):
            answer[cast(bytes, identity)].append(cast(bytes, household))
        return dict(answer)

    def households(self, ids: Sequence[bytes]) -> dict[bytes, tuple[Node, Sequence[bytes]]]:
        nodes: dict[bytes, Node] = {}
        members: dict[bytes, list[bytes]] = defaultdict(list)
        for household, body, born, identity in self._query(queries.HOUSEHOLDS, ids):
            key = cast(bytes, household)
            if key not in nodes:
                nodes[key] = decode_node((NodeKind.HOUSEHOLD, key, body, None, born))
            members[key].append(cast(bytes, identity))
        return {key: (node, members[key]) for key, node in nodes.items()}

    def consents(self, records: Sequence[bytes]) -> dict[bytes, Sequence[Node]]:
        answer: dict[bytes, list[Node]] = defaultdict(list)
        for record, *node in self._query(queries.CONSENTS, records):
            answer[cast(bytes, record)].append(decode_node(node))
        return dict(answer)

    def decisions(self, records: Sequence[bytes]) -> Sequence[Node]:
        found = (decode_node(node) for _, *node in self._query(queries.DECISIONS, records))
        return list({node.id: node for node in found}.values())

    def history(self, ids: Sequence[bytes], kinds: frozenset[EdgeKind]) -> Sequence[Edge]:
        found: dict[tuple[bytes, int, bytes, int], Edge] = {}
        numbers = apsw.carray(_int64([int(kind) for kind in kinds]))
        for side, query in enumerate((queries.HISTORY_OUT, queries.HISTORY_IN)) if ids and kinds else ():
            ends = {int(end) for kind in kinds for end in EDGE_ENDS[kind][side]}
            for row in self._query(query, ids, kinds=numbers, ends=apsw.carray(_int64(sorted(ends)))):
                edge = _edge(row)
                found[edge.source, int(edge.kind), edge.target, edge.recorded_from] = edge
        at = self.revision.number
        return [msgspec.structs.replace(e, recorded_to=LIVE) if at < e.recorded_to < LIVE else e for e in found.values()]

    def requests(self, ids: Sequence[bytes]) -> dict[bytes, Node]:
        return {cast(bytes, row[1]): decode_node(row) for row in self._query(queries.REQUESTS, ids)}

    def artefact(self, root: bytes) -> Node | None:
        return next((decode_node(row) for row in self._query(queries.ARTEFACT, id=root)), None)

    def page(self, kind: NodeKind, after: bytes, limit: int, where: Mapping[str, str | int]) -> Sequence[bytes]:
        if kind is NodeKind.RECORD:
            return self._page_records(after, limit, where.get("source"))
        if kind in _MEMBER_KINDS:
            edge_kind = EdgeKind.RESOLVED_TO if kind is NodeKind.IDENTITY else EdgeKind.MEMBER_OF
            least = max(1, int(where.get("min_records", 1)))
            rows = self._query(
                queries.PAGE_MEMBERS, kind=int(kind), edge_kind=int(edge_kind), after=after, limit=limit, least=least
            )
        elif where:
            return self._page_where(kind, after, limit, where)
        else:
            rows = self._query(queries.PAGE, kind=int(kind), after=after, limit=limit)
        return [cast(bytes, row[0]) for row in rows]

    def _page_where(self, kind: NodeKind, after: bytes, limit: int, where: Mapping[str, str | int]) -> Sequence[bytes]:
        rows = self._query(queries.PAGE_BODIES, kind=int(kind), after=after)
        found = (cast(bytes, id) for id, body in rows if where.items() <= _properties(kind, body).items())
        return list(islice(found, limit))

    def _page_records(self, after: bytes, limit: int, source: str | int | None) -> Sequence[bytes]:
        page: list[bytes] = []
        for id, version, body in self._query(queries.PAGE_RECORDS, after=after):
            if _properties(NodeKind.RECORD_VERSION, version)["tombstone"]:
                continue
            if source is not None and _properties(NodeKind.RECORD, body)["source"] != source:
                continue
            page.append(cast(bytes, id))
            if len(page) == limit:
                break
        return page

    def events(self, after: int, limit: int) -> Sequence[Node]:
        until = events_id(self.revision.number)
        return [decode_node(row) for row in self._query(queries.EVENTS, after=events_id(after), until=until, limit=limit)]

    def counts(self) -> dict[NodeKind, int]:
        counts = dict.fromkeys(NodeKind, 0)
        for kind, count in self._query(queries.COUNT_NODES):
            counts[_NODE_KINDS[cast(int, kind)]] = cast(int, count)
        counts[NodeKind.RECORD] = cast(int, next(self._query(queries.COUNT_RECORDS))[0])
        for kind, edge_kind in ((NodeKind.IDENTITY, EdgeKind.RESOLVED_TO), (NodeKind.HOUSEHOLD, EdgeKind.MEMBER_OF)):
            rows = self._query(queries.COUNT_MEMBERS, kind=int(kind), edge_kind=int(edge_kind))
            counts[kind] = cast(int, next(rows)[0])
        return counts

    def neighbourhood(self, ids: Sequence[bytes], kinds: frozenset[NodeKind], hops: int, limit: int) -> Subgraph:
        start = [cast(int, row[0]) for row in self._query(queries.NID, ids)]
        reached = dict.fromkeys(start[:limit])
        is_truncated = len(start) > limit
        frontier = list(reached)
        for _ in range(hops):
            step: dict[int, None] = {}
            most = limit * 4 + len(reached)
            for place, (_, nid) in enumerate(self._step(frontier, kinds, most), 1):
                is_new = nid not in reached
                if place == most or (is_new and len(reached) >= limit):
                    is_truncated = True
                    break
                if is_new:
                    reached[nid] = step[nid] = None
            frontier = list(step)
            if not frontier or is_truncated:
                break
        return self._subgraph(list(reached), is_truncated)

    def _step(self, frontier: Sequence[int], kinds: frozenset[NodeKind], limit: int) -> Iterator[tuple[int, int]]:
        if not frontier or not kinds:
            return
        rows = self.connection.execute(
            queries.STEP,
            {
                "ids": apsw.carray(_int64(frontier)),
                "kinds": apsw.carray(_int64([int(kind) for kind in kinds])),
                "rev": self.revision.number,
                "limit": limit,
            },
        )
        yield from cast("Iterator[tuple[int, int]]", rows)

    def _subgraph(self, nids: Sequence[int], is_truncated: bool) -> Subgraph:
        if not nids:
            return Subgraph((), (), is_truncated)
        bindings = {"ids": apsw.carray(_int64(nids)), "rev": self.revision.number}
        found = {cast(int, row[0]): decode_node(row[1:]) for row in self.connection.execute(queries.NODES_BY_NID, bindings)}
        edges = [_edge(row) for row in self.connection.execute(queries.EDGES_AMONG, bindings)]
        return Subgraph([found[nid] for nid in nids], edges, is_truncated)

    def path(self, start: bytes, end: bytes, kinds: frozenset[NodeKind], max_hops: int, avoiding: frozenset[bytes]) -> Subgraph:
        barred = {cast(int, row[0]) for row in self._query(queries.NID, sorted(avoiding))} if avoiding else set[int]()
        nids = {cast(bytes, row[1]): cast(int, row[0]) for row in self._query(queries.NID, (start, end))}
        if start not in nids or end not in nids:
            return Subgraph((), ())
        came_from: dict[int, int] = {nids[start]: nids[start]}
        frontier = [nids[start]]
        for _ in range(max_hops):
            if nids[end] in came_from or not frontier or len(came_from) > _PATH_NODES:
                break
            step: list[int] = []
            for origin, nid in self._step(frontier, kinds, _PATH_NODES):
                if nid not in came_from and nid not in barred:
                    came_from[nid] = origin
                    step.append(nid)
            frontier = step
        if nids[end] not in came_from:
            return Subgraph((), ())
        walk = [nids[end]]
        while walk[-1] != nids[start]:
            walk.append(came_from[walk[-1]])
        return self._subgraph(walk[::-1], is_truncated=False)

    def revision_at(self, at: int) -> Revision:
        sql = """SELECT number, at FROM revision WHERE tenant = :tenant AND at <= :at AND number <= :rev
                 ORDER BY number DESC LIMIT 1"""
        row = next(self._query(sql, at=at), None)
        return Revision(cast(int, row[0]), cast(int, row[1])) if row is not None else Revision(0, 0)


def _int64(numbers: Sequence[int]) -> array[int]:
    return array("q", numbers)


def _root(group: dict[bytes, bytes], record: bytes) -> bytes:
    root = record
    while (parent := group.setdefault(root, root)) != root:
        root = parent
    while group[record] != root:
        group[record], record = root, group[record]
    return root


def _join(group: dict[bytes, bytes], a: bytes, b: bytes) -> None:
    group[_root(group, a)] = _root(group, b)
