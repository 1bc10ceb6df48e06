"""Answer every verb of a Reader from one tenant's keys and one revision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import cast

from goldenthread.graph.model import Edge, EdgeKind, Node, NodeKind, Property
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
from goldenthread.graph.stores.neo4j import queries
from goldenthread.graph.stores.neo4j.components import ComponentWalk, Reached
from goldenthread.graph.stores.neo4j.encoding import (
    KIND_OF,
    Plain,
    edge_from,
    id_of,
    key_prefix,
    node_from,
    properties_of,
)
from goldenthread.graph.stores.neo4j.gathering import Ask, Gatherer, KeyOf, Row, collected
from goldenthread.graph.stores.outlining import OutlineWalk

__all__ = ["Reads"]

_Values = Sequence[Property | None]
_OutEdge = tuple[str, int | None, int, int | None]

_PATH_NODES = 50_000
"""A path search gives up past this many nodes: nothing that far is a relationship a person would call one."""


class Reads:
    """Read one tenant's graph at one revision, through a function that asks the server."""

    def __init__(self, ask: Ask, tenant: int, revision: Revision, read_at: int, gather: Gatherer | None = None) -> None:
        """Read at `read_at`, which is past every revision for a transaction, and say `revision`.

        Questions by key go through `gather`, when there is one, to share round trips with other readers.
        """
        self._ask, self._tenant, self._revision, self._at = ask, tenant, revision, read_at
        self._gather = gather
        self._prefix = key_prefix(tenant)

    @property
    def revision(self) -> Revision:
        """The revision that is read."""
        return self._revision

    def _keys(self, ids: Iterable[bytes]) -> list[str]:
        prefix = self._prefix
        return [prefix + id.hex() for id in dict.fromkeys(ids)]

    async def _collected(self, query: str, **parameters: Plain) -> list[Row]:
        return await collected(self._ask, query, {"revision": self._at, **parameters})

    async def _by_keys(self, query: str, ids: Iterable[bytes], key_of: KeyOf, **parameters: Plain) -> list[Row]:
        keys = self._keys(ids)
        if not keys:
            return []
        if self._gather is None:
            return await self._collected(query, keys=keys, **parameters)
        return await self._gather(query, keys, key_of, {"revision": self._at, **parameters})

    async def nodes(self, ids: Sequence[bytes]) -> dict[bytes, Node]:
        """Get nodes by id; what is missing is left out."""
        rows = cast("list[tuple[str, dict[str, Property]]]", await self._by_keys(queries.NODES, ids, _stored_key))
        return {node.id: node for node in (properties_of(label, stored) for label, stored in rows)}

    async def records(self, ids: Sequence[bytes]) -> dict[bytes, RecordState]:
        """Get records with their current version, by id."""
        return {state.record.id: state for state in map(_state, await self._by_keys(queries.RECORDS, ids, _nested_key))}

    async def records_by_alias(self, aliases: Sequence[bytes]) -> dict[bytes, RecordState]:
        """Get records with their current version, by alias."""
        states = map(_state, await self._by_keys(queries.RECORDS_BY_ALIAS, aliases, _nested_alias))
        return {state.record.alias: state for state in states if state.record.alias is not None}

    async def current_versions(self, records: Sequence[bytes]) -> dict[bytes, Node]:
        """Get the current version alone of each record, by the record's id."""
        rows = await self._by_keys(queries.CURRENT_VERSIONS, records, _first)
        return {id_of(cast(str, key)): node_from(NodeKind.RECORD_VERSION, cast(_Values, node)) for key, node in rows}

    async def versions(self, record: bytes) -> Sequence[Node]:
        """Get every version of a record known at the revision, current and past."""
        rows = await self._collected(queries.VERSIONS, key=self._prefix + record.hex())
        return [node_from(NodeKind.RECORD_VERSION, cast(_Values, row)) for row in rows]

    async def candidates(self, keys: Sequence[bytes], limit: int) -> Sequence[Posting]:
        """Get what hangs on candidate keys; a key nothing hangs on is left out."""
        rows = await self._by_keys(queries.CANDIDATES, keys, _first, limit=limit)
        return [
            Posting(id_of(key), profiles > limit, {id_of(record): profile or b"" for record, profile in records})
            for key, profiles, records in cast("list[tuple[str, int, list[tuple[str, bytes | None]]]]", rows)
        ]

    async def keys(self, records: Sequence[bytes]) -> dict[bytes, Sequence[Edge]]:
        """Get the HAS and IN edges of records."""
        answer: dict[bytes, Sequence[Edge]] = {record: [] for record in records}
        rows = await self._by_keys(queries.KEYS, records, _first)
        for key, edges in cast("list[tuple[str, list[tuple[str, str, bytes | None, int, int | None]]]]", rows):
            source = id_of(key)
            answer[source] = [
                edge_from(EdgeKind[kind], source, id_of(target), 0, profile, since, until)
                for kind, target, profile, since, until in edges
            ]
        return answer

    async def keys_ever(self, record: bytes) -> dict[bytes, bool]:
        """Get every Identifier and Block that a record has or ever had, and whether another record has or ever had it too."""
        rows = await self._collected(queries.KEYS_EVER, key=self._prefix + record.hex())
        return {id_of(key): is_shared for key, is_shared in cast("list[tuple[str, bool]]", rows)}

    async def matches(self, records: Sequence[bytes], kind: EdgeKind = EdgeKind.MATCHES) -> Sequence[Edge]:
        """Get the MATCHES, STAGED or DISPUTED edges with an end among the records, each once."""
        found: dict[tuple[bytes, bytes], Edge] = {}
        rows = await self._by_keys(queries.MATCHES[kind], records, _first)
        for key, outward, inward in cast("list[tuple[str, list[_OutEdge], list[_OutEdge]]]", rows):
            near = id_of(key)
            for far, weight, since, until in outward:
                found[near, id_of(far)] = edge_from(kind, near, id_of(far), weight, None, since, until)
            for far, weight, since, until in inward:
                found[id_of(far), near] = edge_from(kind, id_of(far), near, weight, None, since, until)
        return list(found.values())

    async def band(self, band: Band) -> Sequence[Edge]:
        """List the edges of a band by weight, in the order it says; of equal weight by source and target, ascending."""
        rows = await self._collected(
            queries.BAND[band.kind, band.heaviest_first],
            **self._range(b""),
            low=band.low,
            high=band.high,
            together=band.together,
            limit=band.limit,
        )
        return [
            edge_from(band.kind, id_of(source), id_of(target), weight, None, since, until)
            for source, target, weight, since, until in cast("list[tuple[str, str, int, int, int | None]]", rows)
        ]

    async def bindings(self, records: Sequence[bytes]) -> Sequence[Edge]:
        """Get the MUST_LINK and CANNOT_LINK edges of records."""
        return [
            edge_from(EdgeKind[kind], id_of(key), id_of(decision), side, None, since, until)
            for key, kind, decision, side, since, until in cast(
                "list[tuple[str, str, str, int | None, int, int | None]]",
                await self._by_keys(queries.BINDINGS, records, _first),
            )
        ]

    async def labels(self, records: Sequence[bytes]) -> Sequence[Node]:
        """Get the Label nodes of records, each once."""
        rows = await self._collected(queries.LABELS_OF, keys=self._keys(records))
        return [node_from(NodeKind.LABEL, cast(_Values, row)) for row in rows]

    async def components(
        self, records: Sequence[bytes], min_weight: int, kind: EdgeKind = EdgeKind.MATCHES
    ) -> Sequence[Component]:
        """Get the components that the records are in, one round trip for every two steps outwards from them."""
        walk = ComponentWalk()
        frontier: list[Plain] = [*self._keys(records)]
        decisions: list[Plain] = []
        while frontier or decisions:
            rows = await self._collected(
                queries.COMPONENT_STEP[kind], keys=frontier, decisions=decisions, min_weight=min_weight
            )
            frontier, decisions = walk.add(cast("list[tuple[str, list[Reached]]]", rows))
        return walk.components()

    async def outlines(self, records: Sequence[bytes]) -> Sequence[Outline]:
        """Get the outlines that the records are in, one round trip for whole identities at a time."""
        walk = OutlineWalk()
        keys: Collection[bytes] = records
        decisions: Collection[bytes] = ()
        while keys or decisions:
            rows = await self._collected(queries.OUTLINE_STEP, keys=[*self._keys(keys)], decisions=[*self._keys(decisions)])
            for record, version, identity, edges in cast("list[tuple[str, str | None, str | None, list[Reached]]]", rows):
                source = id_of(record)
                of = (None if key is None else id_of(key) for key in (version, identity))
                if not walk.add(source, *of):
                    continue
                for name, is_out, far, weight, since, until in edges:
                    ends = (source, id_of(far)) if is_out else (id_of(far), source)
                    walk.join(edge_from(EdgeKind[name], *ends, weight, None, since, until))
            keys, decisions = walk.missing()
        return walk.outlines()

    async def links(self, records: Sequence[bytes], min_weight: int, kind: EdgeKind = EdgeKind.MATCHES) -> Sequence[Edge]:
        """Get the MATCHES or STAGED edges of at least a weight that leave records."""
        rows = await self._by_keys(queries.LINKS[kind], records, _first, min_weight=min_weight)
        return [
            edge_from(kind, id_of(source), id_of(target), weight, None, since, until)
            for source, target, weight, since, until in cast("list[tuple[str, str, int, int, int | None]]", rows)
        ]

    async def identities(self, ids: Sequence[bytes]) -> dict[bytes, StoredIdentity]:
        """Get identities by id, retired ones too."""
        rows = await self._by_keys(queries.IDENTITIES, ids, _first, tenant=self._tenant)
        answer: dict[bytes, StoredIdentity] = {}
        for key, records, households, successors, number, at, was_cut in cast(
            "list[tuple[str, list[str], list[str], list[str], int, int, bool]]", rows
        ):
            identity = id_of(key)
            answer[identity] = StoredIdentity(
                identity, _ids(records), _ids(households), _ids(successors), Revision(number, at), was_cut
            )
        return answer

    async def identities_of(self, records: Sequence[bytes]) -> dict[bytes, bytes]:
        """Get the identity that each record belongs to; tombstones belong to none."""
        rows = cast("list[tuple[str, str]]", await self._by_keys(queries.IDENTITIES_OF, records, _first))
        return {id_of(record): id_of(identity) for record, identity in rows}

    async def identities_with(self, keys: Sequence[bytes]) -> dict[bytes, Sequence[bytes]]:
        """Get, for each Identifier id, the identities whose records have it."""
        rows = cast("list[tuple[str, list[str]]]", await self._by_keys(queries.IDENTITIES_WITH, keys, _first))
        return {id_of(key): _ids(identities) for key, identities in rows}

    async def households_of(self, identities: Sequence[bytes]) -> dict[bytes, Sequence[bytes]]:
        """Get the households of identities; one that is in none is left out."""
        answer: dict[bytes, list[bytes]] = defaultdict(list)
        rows = await self._by_keys(queries.HOUSEHOLDS_OF, identities, _first)
        for identity, household in cast("list[tuple[str, str]]", rows):
            answer[id_of(identity)].append(id_of(household))
        return dict(answer)

    async def households(self, ids: Sequence[bytes]) -> dict[bytes, tuple[Node, Sequence[bytes]]]:
        """Get households by id with the identities in them."""
        rows = cast("list[tuple[_Values, list[str]]]", await self._by_keys(queries.HOUSEHOLDS, ids, _nested_key))
        found = ((node_from(NodeKind.HOUSEHOLD, values), members) for values, members in rows)
        return {node.id: (node, _ids(members)) for node, members in found}

    async def consents(self, records: Sequence[bytes]) -> dict[bytes, Sequence[Node]]:
        """Get the consent events about records, by record."""
        answer: dict[bytes, list[Node]] = defaultdict(list)
        for key, values in cast("list[tuple[str, _Values]]", await self._by_keys(queries.CONSENTS, records, _first)):
            answer[id_of(key)].append(node_from(NodeKind.CONSENT, values))
        return dict(answer)

    async def decisions(self, records: Sequence[bytes]) -> Sequence[Node]:
        """Get the Decision nodes that bind any of the records."""
        rows = await self._collected(queries.DECISIONS, keys=self._keys(records))
        return [node_from(NodeKind.DECISION, cast(_Values, row)) for row in rows]

    async def history(self, ids: Sequence[bytes], kinds: frozenset[EdgeKind]) -> Sequence[Edge]:
        """Get every edge of these kinds with an end among the nodes, ended ones too, each once."""
        if not ids or not kinds:
            return []
        return _edges(await self._collected(queries.history(kinds), keys=self._keys(ids)))

    async def requests(self, ids: Sequence[bytes]) -> dict[bytes, Node]:
        """Get Request nodes by id."""
        found = (node_from(NodeKind.REQUEST, cast(_Values, row)) for row in await self._by_keys(queries.REQUESTS, ids, _first))
        return {node.id: node for node in found}

    async def artefact(self, root: bytes) -> Node | None:
        """Get the Artefact that an artefact root's CURRENT edge names."""
        rows = await self._collected(queries.ARTEFACT, key=self._prefix + root.hex())
        return node_from(NodeKind.ARTEFACT, cast(_Values, rows[0])) if rows else None

    async def page(self, kind: NodeKind, after: bytes, limit: int, where: Mapping[str, str | int]) -> Sequence[bytes]:
        """List ids of a kind greater than `after`, ascending, at most `limit`."""
        query, parameters = queries.PAGE[kind], dict[str, Plain]()
        if kind is NodeKind.RECORD and "source" in where:
            query, parameters = queries.PAGE_OF_SOURCE, {"source": where["source"]}
        elif kind in (NodeKind.IDENTITY, NodeKind.HOUSEHOLD):
            parameters = {"least": max(1, int(where.get("min_records", 1)))}
        elif where:
            query, parameters = queries.PAGE_WHERE[kind], {"where": dict(where)}
        rows = await self._collected(query, **self._range(after), limit=limit, **parameters)
        return [id_of(key) for key in cast("list[str]", rows)]

    async def events(self, after: int, limit: int) -> Sequence[Node]:
        """Get the EVENTS nodes of revisions greater than `after`, ascending, at most `limit`."""
        parameters = {"after": self._prefix + events_id(after).hex(), "until": self._prefix + events_id(self._at).hex()}
        rows = await self._collected(queries.EVENTS, limit=limit, **parameters)
        # What is deleted while it is read has no properties any more.
        return [node_from(NodeKind.EVENTS, values) for values in cast("list[_Values]", rows) if values[0] is not None]

    def _range(self, after: bytes) -> dict[str, Plain]:
        # Keys are lower hexadecimal, so a letter past f ends every key of the tenant.
        return {"after": self._prefix + after.hex(), "end": self._prefix + "g"}

    async def counts(self) -> dict[NodeKind, int]:
        """Count live nodes by kind: records without tombstones, identities and households that have members."""
        rows = await self._ask(queries.COUNTS, {"revision": self._at, **self._range(b"")})
        return {NodeKind(kind): count for kind, count in (cast("tuple[int, int]", row[0]) for row in rows)}

    async def neighbourhood(self, ids: Sequence[bytes], kinds: frozenset[NodeKind], hops: int, limit: int) -> Subgraph:
        """Walk edges of either direction from the nodes, one round trip a hop, up to `limit` nodes."""
        start = await self._start(ids)
        reached = dict(list(start.items())[:limit])
        is_truncated, frontier = len(start) > limit, dict(reached)
        for _ in range(hops):
            if is_truncated or not frontier or not kinds:
                break
            more = limit - len(reached) + 1
            rows = await self._walk(queries.WALK_STEP, frontier, reached, kinds, more)
            frontier = {key: KIND_OF[label] for label, key in cast("list[tuple[str, str]]", rows)}
            is_truncated = len(frontier) == more
            if is_truncated:
                frontier.popitem()
            reached |= frontier
        return await self._subgraph(reached, is_truncated)

    async def path(
        self,
        start: bytes,
        end: bytes,
        kinds: frozenset[NodeKind],
        max_hops: int,
        avoiding: frozenset[bytes] = frozenset(),
    ) -> Subgraph:
        """Find a shortest path through nodes of the given kinds but some, nodes in order; empty when there is none."""
        known = await self._start((start, end))
        first, last = self._prefix + start.hex(), self._prefix + end.hex()
        if first not in known or last not in known:
            return Subgraph((), ())
        kind_of = {first: known[first]}
        came_from, barred = {first: first}, self._keys(sorted(avoiding))
        frontier = dict(kind_of)
        for _ in range(max_hops):
            if last in came_from or not frontier or not kinds or len(came_from) > _PATH_NODES:
                break
            rows = await self._walk(queries.PATH_STEP, frontier, [*kind_of, *barred], kinds, _PATH_NODES)
            frontier = {}
            for label, key, origin in cast("list[tuple[str, str, str]]", rows):
                came_from[key], frontier[key] = origin, KIND_OF[label]
            kind_of |= frontier
        if last not in came_from:
            return Subgraph((), ())
        walk = [last]
        while walk[-1] != first:
            walk.append(came_from[walk[-1]])
        return await self._subgraph({key: kind_of[key] for key in reversed(walk)}, is_truncated=False)

    async def _start(self, ids: Sequence[bytes]) -> dict[str, NodeKind]:
        rows = cast("list[tuple[str, str]]", await self._by_keys(queries.START_NODES, ids, _second))
        kinds = {key: KIND_OF[label] for label, key in rows}
        return {key: kinds[key] for key in self._keys(ids) if key in kinds}

    async def _walk(
        self, query: str, frontier: Mapping[str, NodeKind], known: Iterable[str], kinds: frozenset[NodeKind], limit: int
    ) -> list[Row]:
        labels = [label for label, kind in KIND_OF.items() if kind in kinds]
        return await self._collected(query, **_by_kind(frontier), known=list(known), labels=labels, limit=limit)

    async def _subgraph(self, reached: Mapping[str, NodeKind], is_truncated: bool) -> Subgraph:
        if not reached:
            return Subgraph((), (), is_truncated)
        by_kind = _by_kind(reached)
        rows = cast("list[tuple[str, dict[str, Property]]]", await self._collected(queries.SUBGRAPH_NODES, **by_kind))
        nodes = {node.id: node for node in (properties_of(label, stored) for label, stored in rows)}
        among = await self._collected(queries.EDGES_AMONG, **by_kind, known=list(reached))
        return Subgraph([nodes[id] for id in map(id_of, reached) if id in nodes], _edges(among), is_truncated)

    async def commit_times(self, revisions: Sequence[int]) -> dict[int, int]:
        """Get when revisions were committed, in UTC microseconds, by number."""
        numbers: list[Plain] = list(dict.fromkeys(revisions))
        rows = await self._ask(queries.COMMIT_TIMES, {"tenant": self._tenant, "numbers": numbers}) if numbers else []
        return dict(cast("list[tuple[int, int]]", rows[0][0])) if rows else {}

    async def revision_at(self, at: int) -> Revision:
        """Find the last revision committed at or before a time (UTC microseconds)."""
        rows = await self._ask(queries.REVISION_AT, {"tenant": self._tenant, "revision": self._at, "at": at})
        return Revision(*cast("tuple[int, int]", rows[0])) if rows else Revision(0, 0)

    async def hold(self, records: Sequence[bytes]) -> bool:
        """Do nothing: a reader keeps its revision."""
        return False


def _first(row: Row) -> Plain:
    return row[0]


def _second(row: Row) -> Plain:
    return row[1]


def _nested_key(row: Row) -> Plain:
    return cast(_Values, row[0])[0]


def _nested_alias(row: Row) -> Plain:
    return cast(_Values, row[0])[1]


def _stored_key(row: Row) -> Plain:
    return cast("dict[str, Property]", row[1])["key"]


def _edges(rows: Iterable[Row]) -> list[Edge]:
    stored = cast("Iterable[tuple[str, str, str, int | None, bytes | None, int, int | None]]", rows)
    return [
        edge_from(EdgeKind[kind], id_of(source), id_of(target), weight, profile, since, until)
        for kind, source, target, weight, profile, since, until in stored
    ]


def _ids(keys: Iterable[str]) -> list[bytes]:
    return [id_of(key) for key in sorted(keys)]


def _state(row: Row) -> RecordState:
    record, version, identity = cast("tuple[_Values, _Values, str | None]", row)
    return RecordState(
        node_from(NodeKind.RECORD, record),
        node_from(NodeKind.RECORD_VERSION, version),
        None if identity is None else id_of(identity),
    )


def _by_kind(keys: Mapping[str, NodeKind]) -> dict[str, Plain]:
    grouped: dict[NodeKind, list[Plain]] = {kind: [] for kind in NodeKind}
    for key, kind in keys.items():
        grouped[kind].append(key)
    return {kind.name: group for kind, group in grouped.items()}
