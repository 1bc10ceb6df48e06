"""A change set is applied whole, in order, and once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from goldenthread.graph.errors import Conflict, RevisionUnknown, StoreUnavailable, Unsupported
from goldenthread.graph.model import LIVE, EdgeKind, NodeKind
from goldenthread.graph.store import Capability, ChangeSet, EdgeRef, Revision, Store, Transaction

World = Any  # the class lives in conftest, which test modules can't import


class Open(Protocol):
    async def __call__(self) -> Store: ...


async def test_what_was_put_is_read_back_unchanged(world: World) -> None:
    nodes = [world.node(kind, f"one {kind.name}") for kind in NodeKind]

    revision = await world.apply(ChangeSet(put_nodes=nodes))

    async with world.reader() as reader:
        found = await reader.nodes([node.id for node in nodes])
    assert {node.kind: (node.id, dict(node.properties)) for node in found.values()} == {
        node.kind: (node.id, dict(node.properties)) for node in nodes
    }
    assert {node.recorded_from for node in found.values()} == {revision.number}


async def test_a_missing_node_is_left_out(world: World) -> None:
    await world.put(world.nodes(NodeKind.BLOCK, "here"))

    async with world.reader() as reader:
        assert set(await reader.nodes([world.id("here"), world.id("elsewhere")])) == {world.id("here")}


async def test_revisions_count_from_one_without_gaps(world: World) -> None:
    revisions = [await world.apply(ChangeSet(), at=100 + number) for number in range(3)]

    assert revisions == [Revision(1, 100), Revision(2, 101), Revision(3, 102)]


async def test_the_empty_store_is_at_revision_zero(world: World) -> None:
    async with world.reader() as reader:
        assert reader.revision == Revision(0, 0)
        assert await reader.nodes([world.id("any")]) == {}
        assert set((await reader.counts()).values()) == {0}
        assert await reader.revision_at(10**18) == Revision(0, 0)


async def test_a_reader_keeps_its_revision_while_others_write(world: World) -> None:
    await world.put(world.record("r", blocks=["b"]))

    async with world.reader() as reader:
        await world.put(world.ended(EdgeKind.IN, "r", "b"), world.nodes(NodeKind.BLOCK, "later"))
        edges = (await reader.keys([world.id("r")]))[world.id("r")]
        later = await reader.nodes([world.id("later")])

    assert reader.revision.number == 1
    assert [edge.target for edge in edges] == [world.id("b")]
    assert later == {}


async def test_a_revision_never_reached_is_unknown(world: World) -> None:
    await world.apply(ChangeSet())

    with pytest.raises(RevisionUnknown) as raised:
        async with world.reader(revision=2):
            pass

    assert (raised.value.revision, raised.value.latest) == (2, 1)


async def test_a_past_revision_is_read_as_it_was(world: World) -> None:
    if Capability.TIME_TRAVEL not in world.store.capabilities:
        with pytest.raises(Unsupported):
            async with world.reader(revision=0):
                pass
        return
    first = await world.put(world.record("r", has=["old"]))
    second = await world.put(
        world.ended(EdgeKind.HAS, "r", "old"),
        world.nodes(NodeKind.IDENTIFIER, "new"),
        world.edges(EdgeKind.HAS, "r", "new"),
    )

    found = []
    for number in (0, first.number, second.number):
        async with world.reader(revision=number) as reader:
            found.append({edge.target for edge in (await reader.keys([world.id("r")]))[world.id("r")]})

    assert found == [set(), {world.id("old")}, {world.id("new")}]


async def test_revision_times_never_go_back(world: World) -> None:
    await world.apply(ChangeSet(), at=500)

    late = await world.apply(ChangeSet(), at=400)

    assert late == Revision(2, 500)


async def test_revision_at_finds_the_last_commit_before_a_time(world: World) -> None:
    for at in (100, 200, 300):
        await world.apply(ChangeSet(), at=at)

    async with world.reader() as reader:
        found = [(await reader.revision_at(at)).number for at in (99, 100, 250, 300, 999)]
        times = await reader.commit_times([1, 3, 9])

    assert found == [0, 1, 2, 3, 3]
    assert times == {1: 100, 3: 300}


async def test_revision_at_does_not_look_past_the_reader(world: World) -> None:
    for at in (100, 200):
        await world.apply(ChangeSet(), at=at)

    async with world.reader(revision=1) as reader:
        assert await reader.revision_at(999) == Revision(1, 100)


async def test_putting_a_live_node_again_changes_nothing(world: World) -> None:
    first = world.node(NodeKind.IDENTIFIER, "mail", sealed=b"first")
    await world.apply(ChangeSet(put_nodes=[first]))

    await world.apply(ChangeSet(put_nodes=[world.node(NodeKind.IDENTIFIER, "mail", sealed=b"second")]))

    async with world.reader() as reader:
        node = (await reader.nodes([first.id]))[first.id]
    assert (node.properties["sealed"], node.recorded_from) == (b"first", 1)


async def test_putting_a_live_record_again_changes_nothing(world: World) -> None:
    await world.put(world.record("r", has=["k"], blocks=["b"]))
    async with world.reader() as reader:
        before = await reader.records([world.id("r")]), await reader.keys([world.id("r")])

    await world.put(world.record("r", has=["k"], blocks=["b"]))

    async with world.reader() as reader:
        assert (await reader.records([world.id("r")]), await reader.keys([world.id("r")])) == before


async def test_putting_a_live_edge_again_keeps_the_first(world: World) -> None:
    await world.put(world.record("a"), world.record("b"), world.matches("a", "b", 5))

    await world.put(world.matches("a", "b", 9))

    async with world.reader() as reader:
        (edge,) = await reader.matches([world.id("a")])
    assert (edge.weight, edge.recorded_from, edge.recorded_to) == (5, 1, LIVE)


async def test_the_same_edge_twice_in_one_change_set_is_one(world: World) -> None:
    await world.put(world.record("a"), world.record("b"), world.matches("a", "b", 5), world.matches("a", "b", 6))

    async with world.reader() as reader:
        assert [edge.weight for edge in await reader.matches([world.id("a")])] == [5]


async def test_an_ended_edge_is_kept_for_the_past_only(world: World) -> None:
    await world.put(world.record("a"), world.record("b"), world.matches("a", "b", 5))

    await world.put(world.match_ended("a", "b"))

    async with world.reader() as reader:
        assert await reader.matches([world.id("a"), world.id("b")]) == []
    async with world.reader(revision=1) as reader:
        (edge,) = await reader.matches([world.id("a"), world.id("b")])
    assert (edge.recorded_from, edge.recorded_to) == (1, 2)


async def test_ending_what_is_not_live_does_nothing(world: World) -> None:
    await world.put(world.record("a"), world.record("b"), world.matches("a", "b", 5))
    await world.put(world.match_ended("a", "b"))

    await world.put(world.match_ended("a", "b"), world.ended(EdgeKind.HAS, "a", "never"))

    async with world.reader(revision=1) as reader:
        (edge,) = await reader.matches([world.id("a")])
    assert edge.recorded_to == 2


async def test_an_edge_ended_and_put_in_one_change_set_is_replaced(world: World) -> None:
    await world.put(world.record("a"), world.record("b"), world.matches("a", "b", 5))

    await world.put(world.match_ended("a", "b"), world.matches("a", "b", 7))

    weights = []
    for number in (1, 2):
        async with world.reader(revision=number) as reader:
            weights.append([edge.weight for edge in await reader.matches([world.id("a")])])
    assert weights == [[5], [7]]


async def test_an_edge_may_come_back(world: World) -> None:
    await world.put(world.record("r", blocks=["b"]))
    await world.put(world.ended(EdgeKind.IN, "r", "b"))

    await world.put(world.edges(EdgeKind.IN, "r", "b"))

    counts = []
    for number in (1, 2, 3):
        async with world.reader(revision=number) as reader:
            counts.append(len((await reader.keys([world.id("r")]))[world.id("r")]))
    assert counts == [1, 0, 1]


async def test_a_deleted_node_leaves_no_trace_even_in_the_past(world: World) -> None:
    await world.put(world.record("a", has=["k"]), world.record("b", has=["k"]), world.matches("a", "b", 5))
    await world.put(world.match_ended("a", "b"))

    await world.apply(ChangeSet(delete_nodes=[world.id("a"), world.id("a/1")]))

    for number in (1, 2, 3):
        async with world.reader(revision=number) as reader:
            assert set(await reader.nodes([world.id("a"), world.id("a/1"), world.id("b")])) == {world.id("b")}
            assert await reader.matches([world.id("a"), world.id("b")]) == []
            assert await reader.records_by_alias([world.id("alias of a")]) == {}
            (posting,) = await reader.candidates([world.id("k")], 10)
            assert list(posting.records) == [world.id("b")]


async def test_a_deleted_node_may_be_put_again_in_the_same_change_set(world: World) -> None:
    await world.put(world.record("r", blocks=["b"]))

    await world.put(ChangeSet(delete_nodes=[world.id("r"), world.id("r/1")]), world.record("r"))

    async with world.reader() as reader:
        assert (await reader.records([world.id("r")]))[world.id("r")].record.recorded_from == 2
        assert (await reader.keys([world.id("r")]))[world.id("r")] == []


async def test_deleting_what_is_not_there_does_nothing(world: World) -> None:
    revision = await world.apply(ChangeSet(delete_nodes=[world.id("nobody")]))

    assert revision.number == 1


async def test_sweep_removes_only_lonely_keys_and_households(world: World) -> None:
    await world.put(
        world.record("r", has=["held"], blocks=["past"]),
        world.nodes(NodeKind.IDENTIFIER, "lonely"),
        world.nodes(NodeKind.BLOCK, "lonely block"),
        world.nodes(NodeKind.HOUSEHOLD, "empty house"),
        world.nodes(NodeKind.IDENTITY, "lonely identity"),
    )
    await world.put(world.ended(EdgeKind.IN, "r", "past"))
    names = ["held", "past", "lonely", "lonely block", "empty house", "lonely identity", "nowhere"]

    await world.apply(ChangeSet(sweep=[world.id(name) for name in names]))

    async with world.reader() as reader:
        left = await reader.nodes([world.id(name) for name in names])
    assert set(left) == {world.id("held"), world.id("past"), world.id("lonely identity")}


async def test_sweep_comes_after_deletion(world: World) -> None:
    await world.put(world.record("r", has=["k"]))

    await world.apply(ChangeSet(delete_nodes=[world.id("r")], sweep=[world.id("k")]))

    async with world.reader() as reader:
        assert await reader.nodes([world.id("k")]) == {}


async def test_an_edge_to_a_node_that_is_not_there_is_a_defect_and_keeps_nothing(world: World) -> None:
    with pytest.raises(KeyError):
        await world.put(world.record("r"), world.edges(EdgeKind.HAS, "r", "nowhere"))

    async with world.reader() as reader:
        assert reader.revision.number == 0
        assert await reader.nodes([world.id("r")]) == {}


async def test_an_error_in_the_work_rolls_everything_back(world: World) -> None:
    async def work(transaction: Transaction) -> None:
        await transaction.apply(world.record("r"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await world.store.write(world.tenant, world.now(), work)

    async with world.reader() as reader:
        assert reader.revision == Revision(0, 0)
        assert await reader.nodes([world.id("r"), world.id("r/1"), world.id("crm")]) == {}


async def test_a_cancelled_write_keeps_nothing_and_blocks_nobody(world: World) -> None:
    applied = asyncio.Event()

    async def work(transaction: Transaction) -> None:
        await transaction.lock([world.id("r")])
        await transaction.apply(world.record("r"))
        applied.set()
        await asyncio.Event().wait()

    writing = asyncio.create_task(world.store.write(world.tenant, world.now(), work))
    await applied.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing

    revision = await asyncio.wait_for(world.put(world.nodes(NodeKind.BLOCK, "b")), 60)
    assert revision.number == 1
    async with world.reader() as reader:
        assert await reader.nodes([world.id("r")]) == {}


async def test_the_answer_of_the_work_is_given_back(world: World) -> None:
    async def work(transaction: Transaction) -> str:
        return f"at {transaction.revision.number}"

    assert await world.store.write(world.tenant, world.now(), work) == "at 0"


async def test_work_that_applies_nothing_makes_no_revision(world: World) -> None:
    async def work(transaction: Transaction) -> None:
        await transaction.nodes([world.id("r")])

    await world.store.write(world.tenant, world.now(), work)

    async with world.reader() as reader:
        assert reader.revision.number == 0


async def test_a_transaction_reads_what_is_newest(world: World) -> None:
    await world.put(world.record("r", has=["k"]))

    async def work(transaction: Transaction) -> tuple[int, int, int]:
        await transaction.lock([world.id("k")])
        postings = await transaction.candidates([world.id("k")], 10)
        identities = await transaction.identities([world.id("r/identity")])
        return transaction.revision.number, len(postings), identities[world.id("r/identity")].changed.number

    assert await world.store.write(world.tenant, world.now(), work) == (1, 1, 1)


async def test_writers_that_lock_a_common_key_lose_no_update(world: World) -> None:
    await world.put(world.nodes(NodeKind.BLOCK, "b"))

    async def add(name: str) -> None:
        async def work(transaction: Transaction) -> None:
            await transaction.lock([world.id("b"), world.id(name)])
            seen = sum(len(posting.records) for posting in await transaction.candidates([world.id("b")], 100))
            await transaction.apply(world.record(name, blocks=["b"], profile=seen.to_bytes(8, "big")))

        await world.store.write(world.tenant, world.now(), work)

    await asyncio.gather(*(add(f"r{number}") for number in range(12)))

    async with world.reader() as reader:
        (posting,) = await reader.candidates([world.id("b")], 100)
    assert reader.revision.number == 13
    assert sorted(int.from_bytes(profile, "big") for profile in posting.records.values()) == list(range(12))


async def test_writers_that_lock_in_opposite_order_both_end(world: World) -> None:
    async def take(name: str, first: str, second: str) -> None:
        async def work(transaction: Transaction) -> None:
            await transaction.lock([world.id(first)])
            await transaction.lock([world.id(second)])
            await transaction.apply(world.nodes(NodeKind.BLOCK, name))

        await world.store.write(world.tenant, world.now(), work)

    await asyncio.gather(*(take(f"n{number}", *(("x", "y") if number % 2 else ("y", "x"))) for number in range(8)))

    async with world.reader() as reader:
        assert (reader.revision.number, (await reader.counts())[NodeKind.BLOCK]) == (8, 8)


async def test_writers_that_hold_a_common_record_lose_no_update(world: World) -> None:
    await world.put(world.record("r", has=["k0"]))

    async def add(name: str) -> None:
        async def work(transaction: Transaction) -> None:
            await transaction.lock([world.id(name)])
            keys = await transaction.keys([world.id("r")])
            while await transaction.hold([world.id("r")]):
                keys = await transaction.keys([world.id("r")])
            seen = len(keys[world.id("r")])
            await transaction.apply(
                world.together([world.nodes(NodeKind.BLOCK, f"b{seen}"), world.edges(EdgeKind.IN, "r", f"b{seen}")])
            )

        await world.store.write(world.tenant, world.now(), work)

    await asyncio.gather(*(add(f"n{number}") for number in range(12)))

    async with world.reader() as reader:
        assert (await reader.counts())[NodeKind.BLOCK] == 12


async def test_holding_tells_that_others_committed_since_something_was_read(world: World) -> None:
    await world.put(world.record("r"), world.record("s"))
    told: list[list[bool]] = []

    async def work(transaction: Transaction) -> None:
        held = []
        await transaction.records([world.id("r")])
        if Capability.MANY_WRITERS in world.store.capabilities:
            await world.put(world.nodes(NodeKind.BLOCK, f"b{len(told)}"))
        held.append(await transaction.hold([world.id("r")]))
        held.append(await transaction.hold([world.id("r")]))
        await transaction.records([world.id("s")])
        held.append(await transaction.hold([world.id("s")]))
        told.append(held)
        if len(told) == 1 and held[0]:
            raise Conflict(world.store.name)  # run again, it holds all of them from the beginning

    await world.store.write(world.tenant, world.now(), work)

    many = Capability.MANY_WRITERS in world.store.capabilities
    assert told == ([[True, False, False], [False, False, False]] if many else [[False, False, False]])


async def test_a_reader_holds_nothing(world: World) -> None:
    await world.put(world.record("r"))

    async with world.reader() as reader:
        await world.put(world.record("s"))

        assert not await reader.hold([world.id("r")])


async def test_tenants_do_not_see_each_other(store: Store, tenant: str, world_of: Callable[[Store, str], World]) -> None:
    ours, theirs = world_of(store, tenant), world_of(store, tenant + "-other")
    await ours.put(ours.record("r", has=["k"], blocks=["b"]), ours.record("s"), ours.matches("r", "s", 5))

    await theirs.put(theirs.record("r", has=["k"]))
    await theirs.apply(
        ChangeSet(delete_nodes=[theirs.id("s")], end_edges=[EdgeRef(EdgeKind.IN, theirs.id("r"), theirs.id("b"))])
    )

    async with ours.reader() as reader:
        assert reader.revision.number == 1
        assert len(await reader.records([ours.id("r"), ours.id("s")])) == 2
        assert len((await reader.keys([ours.id("r")]))[ours.id("r")]) == 2
    async with theirs.reader() as reader:
        (posting,) = await reader.candidates([theirs.id("k"), theirs.id("b")], 10)
        assert len(posting.records) == 1
        assert await reader.page(NodeKind.RECORD, b"", 10, {}) == [theirs.id("r")]
        assert await reader.matches([theirs.id("r")]) == []


async def test_what_was_written_survives_closing(
    open_store: Open, tenant: str, world_of: Callable[[Store, str], World]
) -> None:
    store = await open_store()
    world = world_of(store, tenant)
    await world.put(world.record("r", has=["k"]))
    await store.close()

    store = await open_store()
    async with store.reader(tenant) as reader:
        records = await reader.records([world.id("r")])
    await store.close()

    assert reader.revision.number == 1
    assert set(records) == {world.id("r")}


async def test_a_closed_store_says_so(open_store: Open, tenant: str) -> None:
    store = await open_store()
    await store.check()
    await store.close()

    with pytest.raises(StoreUnavailable):
        await store.check()
    with pytest.raises(StoreUnavailable):
        async with store.reader(tenant):
            pass


async def test_events_are_read_in_the_order_of_their_revisions_and_by_no_other_tenant(
    world: World, world_of: Callable[[Store, str], World]
) -> None:
    other = world_of(world.store, world.tenant + "-other")
    for told in (b"one", b"", b"three", b"four"):
        await world.apply(ChangeSet(put_nodes=[world.node(NodeKind.BLOCK, f"of {told!r}")], events=told))
    await other.apply(ChangeSet(events=b"not ours"))

    async with world.reader() as reader:
        everything = await reader.events(0, 10)
        rest = await reader.events(1, 1)
    async with world.reader(3) as earlier:
        known = await earlier.events(0, 10)

    assert [(node.recorded_from, node.properties["body"]) for node in everything] == [(1, b"one"), (3, b"three"), (4, b"four")]
    assert [node.recorded_from for node in rest] == [3]
    assert [node.recorded_from for node in known] == [1, 3]


async def test_a_node_that_is_deleted_and_put_again_in_one_change_set_has_the_new_properties(world: World) -> None:
    first, second = (world.node(NodeKind.CURSOR, "reader", body=body) for body in (b"1", b"2"))
    await world.apply(ChangeSet(put_nodes=[first]))

    await world.apply(ChangeSet(delete_nodes=[first.id], put_nodes=[second]))

    async with world.reader() as reader:
        assert (await reader.nodes([first.id]))[first.id].properties["body"] == b"2"
        assert await reader.page(NodeKind.CURSOR, b"", 10, {}) == [first.id]
