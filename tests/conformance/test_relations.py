"""Relations between records: whom a record names, found by either end, over time, and walked along."""

from __future__ import annotations

from conformance.conftest import World

from goldenthread.graph.model import LIVE, EdgeKind, NodeKind

RELATES = frozenset({EdgeKind.RELATES})
SPOUSE, PARENT = 1 << 1, 1 << 2


async def one_names_another(world: World) -> None:
    """Record a names b before b is there."""
    await world.put(
        world.nodes(NodeKind.RECORD, "a"),
        world.nodes(NodeKind.RELATION, "of b"),
        world.edges(EdgeKind.RELATES, "a", "of b", weight=SPOUSE),
    )
    await world.put(world.nodes(NodeKind.RECORD, "b"), world.edges(EdgeKind.NAMES, "of b", "b"))


async def test_a_relation_is_found_from_either_end_with_what_it_says(world: World) -> None:
    await one_names_another(world)

    async with world.reader() as reader:
        from_record = await reader.history([world.id("a")], RELATES)
        from_relation = await reader.history([world.id("of b")], RELATES)
        nodes = await reader.nodes([world.id("of b"), world.id("of c")])

    assert [(edge.target, edge.weight, edge.recorded_to) for edge in from_record] == [(world.id("of b"), SPOUSE, LIVE)]
    assert list(from_relation) == list(from_record)
    assert [node.kind for node in nodes.values()] == [NodeKind.RELATION]


async def test_what_a_relation_says_is_changed_and_kept(world: World) -> None:
    await one_names_another(world)

    changed = await world.put(
        world.ended(EdgeKind.RELATES, "a", "of b"), world.edges(EdgeKind.RELATES, "a", "of b", weight=PARENT)
    )

    async with world.reader() as reader:
        edges = sorted(await reader.history([world.id("a")], RELATES), key=lambda edge: edge.recorded_from)
    assert [(edge.weight, edge.recorded_to) for edge in edges] == [(SPOUSE, changed.number), (PARENT, LIVE)]


async def test_a_path_leads_along_a_relation(world: World) -> None:
    await one_names_another(world)

    async with world.reader() as reader:
        kinds = frozenset({NodeKind.RECORD, NodeKind.RELATION})
        path = await reader.path(world.id("b"), world.id("a"), kinds, 4)
        around = await reader.neighbourhood([world.id("of b")], kinds, 1, 10)

    assert [node.id for node in path.nodes] == [world.id(name) for name in ("b", "of b", "a")]
    assert {edge.kind for edge in path.edges} == {EdgeKind.RELATES, EdgeKind.NAMES}
    assert {node.id for node in around.nodes} == {world.id(name) for name in ("a", "b", "of b")}


async def test_a_relation_that_is_deleted_goes_without_a_trace(world: World) -> None:
    await one_names_another(world)

    gone = world.nodes(NodeKind.RELATION)
    gone.delete_nodes = [world.id("of b")]
    await world.put(gone)

    async with world.reader() as reader:
        assert not await reader.history([world.id("a"), world.id("b")], RELATES | {EdgeKind.NAMES})
