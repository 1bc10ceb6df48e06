"""Walks of a store find, at every revision, just what networkx finds in the same graph."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import networkx as nx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goldenthread.graph.model import Edge, EdgeKind, NodeKind
from goldenthread.graph.store import ChangeSet, EdgeRef, Reader, Store

World = Any  # the class lives in conftest, which test modules can't import
Graph = Any  # networkx brings no types
Drawn = tuple[EdgeKind, int, int, bool]

MANY = 6
"""Nodes of each kind."""

ENDS = {
    EdgeKind.HAS: (NodeKind.RECORD, NodeKind.IDENTIFIER),
    EdgeKind.RESOLVED_TO: (NodeKind.RECORD, NodeKind.IDENTITY),
    EdgeKind.MEMBER_OF: (NodeKind.IDENTITY, NodeKind.HOUSEHOLD),
    EdgeKind.MATCHES: (NodeKind.RECORD, NodeKind.RECORD),
}
KINDS = (NodeKind.RECORD, NodeKind.IDENTIFIER, NodeKind.IDENTITY, NodeKind.HOUSEHOLD)
RELAXED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]

commits = st.lists(
    st.lists(
        st.tuples(st.sampled_from(sorted(ENDS)), st.integers(0, MANY - 1), st.integers(0, MANY - 1), st.booleans()),
        min_size=1,
        max_size=14,
    ),
    min_size=1,
    max_size=3,
)
"""For each commit, edges that are put, or ended when the last says so."""


def build(world: World, history: list[list[Drawn]]) -> tuple[list[ChangeSet], list[Graph]]:
    """Make the change set of each commit, and the graph that there is after it."""
    graph = nx.Graph()
    changes, graphs = [], []
    for number, drawn in enumerate(history):
        change = ChangeSet()
        if number == 0:
            for kind in KINDS:
                for place in range(MANY):
                    change.put_nodes.append(world.node(kind, f"{kind.name} {place}"))
                    graph.add_node(world.id(f"{kind.name} {place}"), kind=kind)
        wanted: dict[tuple[EdgeKind, bytes, bytes], bool] = {}
        for kind, one, other, ends in drawn:
            source, target = (world.id(f"{of.name} {place}") for of, place in zip(ENDS[kind], (one, other), strict=True))
            if kind is EdgeKind.MATCHES:
                source, target = sorted((source, target))
            if source != target:
                wanted[kind, source, target] = ends
        for (kind, source, target), ends in wanted.items():
            if ends:
                change.end_edges.append(EdgeRef(kind, source, target))
                if graph.has_edge(source, target):
                    graph.remove_edge(source, target)
            else:
                change.put_edges.append(Edge(kind, source, target))
                graph.add_edge(source, target)
        changes.append(change)
        graphs.append(graph.copy())
    return changes, graphs


def walkable(graph: Graph, start: list[bytes], kinds: frozenset[NodeKind]) -> Graph:
    """Keep the nodes that a walk may be on: those of the kinds, and where it starts."""
    return graph.subgraph([node for node, kind in graph.nodes(data="kind") if kind in kinds or node in start])


async def check_reader(reader: Reader, world: World, graph: Graph, kinds: frozenset[NodeKind]) -> None:
    start = [world.id("RECORD 0"), world.id("IDENTITY 1")]
    around = walkable(graph, start, kinds)
    # A start that is of no kind walked is left, and never come back to.
    far = nx.multi_source_dijkstra_path_length(around, start)
    for hops in (1, 2, 4):
        expected = {node for node, distance in far.items() if distance <= hops}
        whole = await reader.neighbourhood(start, kinds, hops, 1000)

        assert {node.id for node in whole.nodes} == expected
        assert {frozenset((edge.source, edge.target)) for edge in whole.edges} == {
            frozenset(edge) for edge in graph.subgraph(expected).edges
        }
        assert not whole.is_truncated

        few = await reader.neighbourhood(start, kinds, hops, 4)
        distances = [far[node.id] for node in few.nodes]
        assert distances == sorted(distances)
        assert len(few.nodes) == min(4, len(expected))
        assert few.is_truncated or len(expected) <= 4
    for end in (f"RECORD {MANY - 1}", "HOUSEHOLD 0"):
        await check_path(reader, graph, start[0], world.id(end), kinds)


async def check_path(reader: Reader, graph: Graph, start: bytes, end: bytes, kinds: frozenset[NodeKind]) -> None:
    around = walkable(graph, [start], kinds)
    reaches = end in around and nx.has_path(around, start, end)
    length = nx.shortest_path_length(around, start, end) if reaches else 99
    for most in (2, 8):
        found = [node.id for node in (await reader.path(start, end, kinds, most)).nodes]
        if length > most:
            assert found == []
            continue
        assert (found[0], found[-1], len(found)) == (start, end, length + 1)
        assert all(around.has_edge(one, other) for one, other in pairwise(found))


async def check(
    open_store: Callable[[], Awaitable[Store]], world_of: Callable[[Store, str], World], history: list[list[Drawn]]
) -> None:
    store = await open_store()
    try:
        world = world_of(store, f"walk-{secrets.token_hex(8)}")
        changes, graphs = build(world, history)
        for change in changes:
            await world.apply(change)
        for revision, graph in enumerate(graphs, 1):
            async with world.reader(revision) as reader:
                for kinds in (frozenset(KINDS), frozenset({NodeKind.RECORD, NodeKind.IDENTIFIER})):
                    await check_reader(reader, world, graph, kinds)
    finally:
        await store.close()


@settings(max_examples=10, suppress_health_check=RELAXED, derandomize=True)
@given(history=commits)
def test_walks_find_what_networkx_finds(
    open_store: Callable[[], Awaitable[Store]], world_of: Callable[[Store, str], World], history: list[list[Drawn]]
) -> None:
    asyncio.run(check(open_store, world_of, history))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=300, suppress_health_check=RELAXED)
@given(history=commits)
def test_walks_find_what_networkx_finds_at_length(
    open_store: Callable[[], Awaitable[Store]], world_of: Callable[[Store, str], World], history: list[list[Drawn]]
) -> None:
    asyncio.run(check(open_store, world_of, history))
