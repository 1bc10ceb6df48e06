"""Two stores that were told the same answer the same, to every verb at every revision."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goldenthread.graph.model import Edge, EdgeKind, NodeKind
from goldenthread.graph.schema import EDGE_ENDS
from goldenthread.graph.store import Band, ChangeSet, EdgeRef, Reader, Store

World = Any  # the class lives in conftest, which test modules can't import

PEOPLE = 4
"""Nodes of each kind that the operations choose from: few, so that they meet."""

WALKED = frozenset(NodeKind) - {NodeKind.SOURCE}
LOOPS = (EdgeKind.CUT,)


def name_of(kind: NodeKind, number: int) -> str:
    """Name one of the few nodes of a kind."""
    return f"{kind.name} {number}"


@st.composite
def edge_ends(draw: st.DrawFn, numbers: st.SearchStrategy[int]) -> tuple[EdgeKind, str, str]:
    """Draw a kind of edge and two nodes that it may join."""
    kind = draw(st.sampled_from(EdgeKind))
    if kind is EdgeKind.CURRENT:
        end = draw(st.sampled_from((NodeKind.RECORD, NodeKind.ARTEFACT)))
        far = NodeKind.RECORD_VERSION if end is NodeKind.RECORD else NodeKind.ARTEFACT
        return kind, name_of(end, draw(numbers)), name_of(far, draw(numbers))
    sources, targets = EDGE_ENDS[kind]
    source = name_of(draw(st.sampled_from(sorted(sources))), draw(numbers))
    if kind in LOOPS:
        return kind, source, source
    return kind, source, name_of(draw(st.sampled_from(sorted(targets))), draw(numbers))


@st.composite
def operations(draw: st.DrawFn) -> list[tuple[str, Any]]:
    """Draw what one commit does."""
    numbers = st.integers(0, PEOPLE - 1)
    names = st.builds(name_of, st.sampled_from(NodeKind), numbers)
    record = st.tuples(st.just("record"), st.tuples(numbers, numbers, st.lists(numbers, max_size=3), numbers))
    edge = st.tuples(st.just("edge"), st.tuples(edge_ends(numbers), st.integers(-3, 9), numbers))
    end = st.tuples(st.just("end"), edge_ends(numbers))
    rare = st.one_of(st.tuples(st.just("delete"), names), st.tuples(st.just("sweep"), names))
    return draw(st.lists(st.one_of(record, record, edge, edge, edge, end, rare), min_size=1, max_size=12))


class Story:
    """Turn drawn operations into change sets that a careful caller could have made."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.alive: set[str] = set()
        self.single: dict[tuple[EdgeKind, str], str] = {}
        self.joined: set[tuple[EdgeKind, str, str]] = set()

    def change(self, drawn: list[tuple[str, Any]]) -> ChangeSet:
        """Make the change set of one commit."""
        changes = ChangeSet()
        deleted = {name for word, name in drawn if word == "delete" and name in self.alive}
        changes.delete_nodes = [self.world.id(name) for name in sorted(deleted)]
        self.alive -= deleted
        self.joined = {edge for edge in self.joined if not deleted & set(edge[1:])}
        ended: set[tuple[EdgeKind, str, str]] = set()
        for word, what in drawn:
            if word == "end":
                self._end(changes, what, ended)
            elif word == "edge":
                (kind, source, target), weight, profile = what
                self._put_edge(changes, (kind, source, target), weight, profile, ended)
            elif word == "record":
                number, identity, keys, profile = what
                self._put_record(changes, number, identity, keys, profile, ended)
            elif word == "sweep":
                changes.sweep.append(self.world.id(what))
        return changes

    def _end(self, changes: ChangeSet, edge: tuple[EdgeKind, str, str], ended: set[tuple[EdgeKind, str, str]]) -> None:
        kind, source, target = edge
        if kind is EdgeKind.MATCHES:
            source, target = sorted((source, target), key=self.world.id)
        if any(put.kind is kind and put.source == self.world.id(source) for put in changes.put_edges):
            return  # a change set ends before it puts
        changes.end_edges.append(EdgeRef(kind, self.world.id(source), self.world.id(target)))
        self.joined.discard((kind, source, target))
        ended.add((kind, source, target))

    def _put_edge(
        self,
        changes: ChangeSet,
        edge: tuple[EdgeKind, str, str],
        weight: int,
        profile: int,
        ended: set[tuple[EdgeKind, str, str]],
    ) -> None:
        kind, source, target = edge
        if source == target and kind not in LOOPS:
            return
        if kind is EdgeKind.MATCHES:
            source, target = sorted((source, target), key=self.world.id)
        one_only = kind in (EdgeKind.CURRENT, EdgeKind.RESOLVED_TO, EdgeKind.FROM)
        if one_only and any(k is kind and s == source and t != target for k, s, t in self.joined):
            return
        for name in (source, target):
            self._put_node(changes, name)
        self.joined.add((kind, source, target))
        digest = bytes([profile]) * 8 if kind in (EdgeKind.HAS, EdgeKind.IN) else b""
        weighs = kind in (EdgeKind.MATCHES, EdgeKind.DISPUTED, EdgeKind.MUST_LINK, EdgeKind.CANNOT_LINK)
        changes.put_edges.append(Edge(kind, self.world.id(source), self.world.id(target), weight if weighs else 0, digest))

    def _put_node(self, changes: ChangeSet, name: str) -> None:
        kind = NodeKind[name.split()[0]]
        self.alive.add(name)
        alias = self.world.id("alias of " + name) if kind is NodeKind.RECORD else None
        changes.put_nodes.append(self.world.node(kind, name, alias))

    def _put_record(
        self,
        changes: ChangeSet,
        number: int,
        identity: int,
        keys: list[int],
        profile: int,
        ended: set[tuple[EdgeKind, str, str]],
    ) -> None:
        record = name_of(NodeKind.RECORD, number)
        usual = [
            (EdgeKind.FROM, name_of(NodeKind.SOURCE, 0)),
            (EdgeKind.CURRENT, name_of(NodeKind.RECORD_VERSION, number)),
            (EdgeKind.RESOLVED_TO, name_of(NodeKind.IDENTITY, identity)),
            *((EdgeKind.HAS, name_of(NodeKind.IDENTIFIER, key)) for key in keys),
            *((EdgeKind.IN, name_of(NodeKind.BLOCK, key)) for key in keys),
        ]
        for kind, target in usual:
            self._put_edge(changes, (kind, record, target), 0, profile, ended)


async def answers(reader: Reader, world: World) -> dict[str, object]:
    """Ask a reader everything, and put what has no order into one."""
    ids = {kind: [world.id(name_of(kind, number)) for number in range(PEOPLE)] for kind in NodeKind}
    everyone = [id for group in ids.values() for id in group]
    records = ids[NodeKind.RECORD]
    keys = ids[NodeKind.IDENTIFIER] + ids[NodeKind.BLOCK]
    told: dict[str, object] = {
        "nodes": await reader.nodes(everyone),
        "records": await reader.records(records),
        "by alias": await reader.records_by_alias(
            [world.id("alias of " + name_of(NodeKind.RECORD, number)) for number in range(PEOPLE)]
        ),
        "versions": [sorted((await reader.versions(record)), key=lambda node: node.id) for record in records],
        "keys": {record: sorted(edges, key=repr) for record, edges in (await reader.keys(records)).items()},
        "keys ever": [await reader.keys_ever(record) for record in records],
        "matches": sorted(await reader.matches(records), key=repr),
        "identities": await reader.identities(ids[NodeKind.IDENTITY]),
        "identities with": {
            key: sorted(found) for key, found in (await reader.identities_with(ids[NodeKind.IDENTIFIER])).items()
        },
        "households": {
            id: (node, sorted(members)) for id, (node, members) in (await reader.households(ids[NodeKind.HOUSEHOLD])).items()
        },
        "consents": {
            record: sorted(nodes, key=lambda node: node.id) for record, nodes in (await reader.consents(records)).items()
        },
        "decisions": sorted(await reader.decisions(records), key=lambda node: node.id),
        "history": sorted(await reader.history(everyone[::3], frozenset(EdgeKind)), key=repr),
        "bindings": sorted(await reader.bindings(records), key=repr),
        "labels": sorted(await reader.labels(records), key=lambda node: node.id),
        "bands": [
            list(await reader.band(Band(kind, -2, 8, together, heaviest_first=together is not None, limit=3)))
            for kind in (EdgeKind.MATCHES, EdgeKind.DISPUTED)
            for together in (None, False, True)
        ],
        "requests": await reader.requests(ids[NodeKind.REQUEST]),
        "counts": await reader.counts(),
        "pages": {
            kind: (list(await reader.page(kind, b"", 2, {})), list(await reader.page(kind, ids[kind][0], 9, {})))
            for kind in NodeKind
        },
        "couples": list(await reader.page(NodeKind.IDENTITY, b"", 9, {"min_records": 2})),
        "revisions": [await reader.revision_at(at) for at in (0, world.start + 1_500_000, 10**17)],
    }
    for limit in (1, 2, 99):
        postings = await reader.candidates(keys, limit)
        told[f"candidates {limit}"] = sorted((p.key, p.is_generic, sorted(p.records.items())) for p in postings)
    for weight in (0, 5):
        components = await reader.components(records, weight)
        told[f"components {weight}"] = sorted(
            (list(c.records), sorted(c.matches, key=repr), sorted(c.decisions, key=repr), sorted(c.disputed, key=repr))
            for c in components
        )
    told["outlines"] = sorted(
        (sorted(o.versions.items()), sorted(o.identity_of.items()), sorted(o.decisions, key=repr), sorted(o.disputed, key=repr))
        for o in await reader.outlines(records)
    )
    told["links"] = sorted(await reader.links(records, 2), key=repr)
    of = await reader.households_of(ids[NodeKind.IDENTITY])
    told["households of"] = {identity: sorted(households) for identity, households in of.items()}
    for hops in (1, 3):
        graph = await reader.neighbourhood(records[:2], WALKED, hops, 500)
        told[f"around {hops}"] = (
            sorted(graph.nodes, key=lambda node: node.id),
            sorted(graph.edges, key=repr),
            graph.is_truncated,
        )
    for start, end in ((records[0], records[1]), (records[2], ids[NodeKind.HOUSEHOLD][0])):
        path = await reader.path(start, end, WALKED, 5)
        told[f"path {end.hex()}"] = len(path.nodes), [node.id for node in path.nodes][:1], [node.id for node in path.nodes][-1:]
    return told


async def open_named(name: str, url: str) -> Store:
    """Open a store by the name of its entry point."""
    (found,) = entry_points(group="goldenthread.stores", name=name)
    store: Store = await found.load()(url)
    return store


async def compare(folder: Path, uri: str, world_of: Callable[[Store, str], World], commits: list[Any]) -> None:
    """Tell both stores the same, and compare their answers at every revision."""
    tenant = f"fuzz-{secrets.token_hex(8)}"
    stores = [await open_named("sqlite", f"sqlite:///{folder / tenant}"), await open_named("neo4j", uri)]
    try:
        worlds = [world_of(store, tenant) for store in stores]
        stories = [Story(world) for world in worlds]
        for number, drawn in enumerate(commits, 1):
            for world, story in zip(worlds, stories, strict=True):
                world.start = 1_700_000_000_000_000
                assert (await world.apply(story.change(drawn))).number == number
        for revision in range(len(commits) + 1):
            told = []
            for world in worlds:
                async with world.reader(revision) as reader:
                    told.append(await answers(reader, world))
            for question, answer in told[0].items():
                assert told[1][question] == answer, (revision, question)
    finally:
        for store in stores:
            await store.close()


RELAXED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]


@pytest.mark.neo4j
@settings(max_examples=6, suppress_health_check=RELAXED, derandomize=True)
@given(commits=st.lists(operations(), min_size=1, max_size=4))
def test_sqlite_and_neo4j_answer_the_same(
    tmp_path: Path, neo4j_uri: str, world_of: Callable[[Store, str], World], commits: list[Any]
) -> None:
    asyncio.run(compare(tmp_path, neo4j_uri, world_of, commits))


@pytest.mark.neo4j
@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=RELAXED)
@given(commits=st.lists(operations(), min_size=1, max_size=6))
@pytest.mark.timeout(3600)
def test_sqlite_and_neo4j_answer_the_same_at_length(
    tmp_path: Path, neo4j_uri: str, world_of: Callable[[Store, str], World], commits: list[Any]
) -> None:
    asyncio.run(compare(tmp_path, neo4j_uri, world_of, commits))
