"""Each verb of a reader answers as its docstring promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from goldenthread.graph.model import LIVE, Edge, EdgeKind, NodeKind
from goldenthread.graph.store import Band, ChangeSet, EdgeRef, Revision

World = Any  # the class lives in conftest, which test modules can't import


async def test_records_come_with_version_and_identity(world: World) -> None:
    await world.put(world.record("r", identity="i"), world.record("gone", tombstone=1))

    async with world.reader() as reader:
        found = await reader.records([world.id("r"), world.id("gone"), world.id("nobody")])

    assert set(found) == {world.id("r"), world.id("gone")}
    state = found[world.id("r")]
    assert (state.record.id, state.record.alias) == (world.id("r"), world.id("alias of r"))
    assert state.version.id == world.id("r/1")
    assert state.version.properties["sealed"] == b"\x00\xff" * 20
    assert state.identity == world.id("i")
    assert found[world.id("gone")].identity is None


async def test_records_tell_their_identity_as_of_the_revision_read(world: World) -> None:
    await world.put(world.record("r", identity="i"), world.record("s", identity="i"), world.record("gone", tombstone=1))
    await world.put(
        world.nodes(NodeKind.IDENTITY, "j"),
        world.ended(EdgeKind.RESOLVED_TO, "s", "i"),
        world.edges(EdgeKind.RESOLVED_TO, "s", "j"),
    )
    asked = [world.id("r"), world.id("s"), world.id("gone"), world.id("nobody")]

    found = []
    for number in (1, 2):
        async with world.reader(revision=number) as reader:
            found.append(await reader.identities_of(asked))

    assert found == [
        {world.id("r"): world.id("i"), world.id("s"): world.id("i")},
        {world.id("r"): world.id("i"), world.id("s"): world.id("j")},
    ]


async def test_records_are_found_by_alias(world: World) -> None:
    await world.put(world.record("r"), world.record("s"))

    async with world.reader() as reader:
        found = await reader.records_by_alias([world.id("alias of r"), world.id("r")])
        by_id = await reader.records([world.id("r")])

    assert found == {world.id("alias of r"): by_id[world.id("r")]}


async def test_a_new_version_replaces_the_current_one(world: World) -> None:
    await world.put(world.record("r"))
    await world.put(
        world.nodes(NodeKind.RECORD_VERSION, "r/2"),
        world.ended(EdgeKind.CURRENT, "r", "r/1"),
        world.edges(EdgeKind.PAST, "r", "r/1"),
        world.edges(EdgeKind.CURRENT, "r", "r/2"),
    )

    await world.put(world.record("gone", tombstone=1))
    asked = [world.id("r"), world.id("gone"), world.id("nobody")]

    current, known = [], []
    for number in (1, 2, 3):
        async with world.reader(revision=number) as reader:
            states = await reader.records(asked)
            current.append(states[world.id("r")].version.id)
            assert await reader.current_versions(asked) == {record: state.version for record, state in states.items()}
            known.append({node.id for node in await reader.versions(world.id("r"))})

    assert current == [world.id("r/1"), world.id("r/2"), world.id("r/2")]
    assert known == [{world.id("r/1")}, {world.id("r/1"), world.id("r/2")}, {world.id("r/1"), world.id("r/2")}]


async def test_each_version_is_listed_once(world: World) -> None:
    await world.put(world.record("r"))
    await world.put(world.ended(EdgeKind.CURRENT, "r", "r/1"), world.edges(EdgeKind.PAST, "r", "r/1"))

    async with world.reader() as reader:
        assert [node.id for node in await reader.versions(world.id("r"))] == [world.id("r/1")]


async def test_candidates_carry_records_and_profiles(world: World) -> None:
    await world.put(
        world.record("a", has=["mail"], blocks=["block"], profile=b"aaaaaaaa"),
        world.record("b", blocks=["block"], profile=b"bbbbbbbb"),
    )

    async with world.reader() as reader:
        postings = {p.key: p for p in await reader.candidates([world.id("mail"), world.id("block"), world.id("none")], 5)}

    assert set(postings) == {world.id("mail"), world.id("block")}
    assert postings[world.id("mail")].records == {world.id("a"): b"aaaaaaaa"}
    assert postings[world.id("block")].records == {world.id("a"): b"aaaaaaaa", world.id("b"): b"bbbbbbbb"}
    assert not any(posting.is_generic for posting in postings.values())


@pytest.mark.parametrize(("profiles", "is_generic"), [(3, False), (4, True)])
async def test_a_key_with_more_profiles_than_the_limit_is_generic(world: World, profiles: int, is_generic: bool) -> None:
    await world.put(*(world.record(f"r{n}", blocks=["b"], profile=n.to_bytes(8, "big")) for n in range(profiles)))

    async with world.reader() as reader:
        (posting,) = await reader.candidates([world.id("b")], 3)

    assert posting.is_generic is is_generic
    assert len(posting.records) == (0 if is_generic else profiles)


async def test_equal_profiles_count_once_and_are_all_returned(world: World) -> None:
    await world.put(*(world.record(f"r{n}", blocks=["b"], profile=b"the same") for n in range(40)))

    async with world.reader() as reader:
        (posting,) = await reader.candidates([world.id("b")], 1)

    assert (posting.is_generic, len(posting.records)) == (False, 40)


async def test_a_key_stops_being_generic_when_profiles_leave_it(world: World) -> None:
    await world.put(*(world.record(f"r{n}", blocks=["b"], profile=n.to_bytes(8, "big")) for n in range(4)))
    await world.put(world.ended(EdgeKind.IN, "r0", "b"))

    found = []
    for number in (1, 2):
        async with world.reader(revision=number) as reader:
            found.append([(p.is_generic, len(p.records)) for p in await reader.candidates([world.id("b")], 3)])

    assert found == [[(True, 0)], [(False, 3)]]


async def test_keys_gives_identifiers_and_blocks_of_each_record(world: World) -> None:
    await world.put(world.record("a", has=["m"], blocks=["b"], profile=b"p" * 8), world.record("bare"))

    async with world.reader() as reader:
        found = await reader.keys([world.id("a"), world.id("bare")])

    assert {(e.kind, e.target, e.profile) for e in found[world.id("a")]} == {
        (EdgeKind.HAS, world.id("m"), b"p" * 8),
        (EdgeKind.IN, world.id("b"), b"p" * 8),
    }
    assert found[world.id("bare")] == []


async def test_keys_ever_tells_own_from_shared(world: World) -> None:
    await world.put(world.record("a", has=["own", "shared"], blocks=["once"]), world.record("b", has=["shared"]))
    await world.put(world.ended(EdgeKind.IN, "a", "once"), world.ended(EdgeKind.HAS, "b", "shared"))

    async with world.reader() as reader:
        found = await reader.keys_ever(world.id("a"))

    assert found == {world.id("own"): False, world.id("shared"): True, world.id("once"): False}


async def test_matches_of_both_directions_come_once(world: World) -> None:
    await world.put(*(world.record(name) for name in "abc"), world.matches("a", "b", 3), world.matches("b", "c", -4))

    async with world.reader() as reader:
        found = await reader.matches([world.id("a"), world.id("b")])
        of_c = await reader.matches([world.id("c")])
        of_another_kind = await reader.matches([world.id("a")], EdgeKind.DISPUTED)

    assert sorted(edge.weight for edge in found) == [-4, 3]
    assert [edge.weight for edge in of_c] == [-4]
    assert list(of_another_kind) == []
    assert all(edge.source < edge.target for edge in found)


async def test_components_follow_matches_of_enough_weight(world: World) -> None:
    names = "abcdefg"
    chain = [world.matches(one, other, 10) for one, other in zip("abcde", "bcdef", strict=True)]
    await world.put(*(world.record(name) for name in names), *chain, world.matches("f", "g", 9))

    async with world.reader() as reader:
        strong = await reader.components([world.id("a")], 10)
        weak = await reader.components([world.id("a")], 9)

    (component,) = strong
    assert list(component.records) == sorted(world.id(name) for name in "abcdef")
    assert [edge.weight for edge in component.matches] == [10] * 5
    (component,) = weak
    assert list(component.records) == sorted(world.id(name) for name in names)


async def test_records_of_one_component_give_it_once(world: World) -> None:
    await world.put(*(world.record(name) for name in "abcd"), world.matches("a", "b", 5), world.matches("b", "c", 5))

    async with world.reader() as reader:
        components = await reader.components([world.id(name) for name in ("c", "a", "d")], 1)

    assert sorted(map(list, (c.records for c in components)), key=len) == [
        [world.id("d")],
        sorted(world.id(name) for name in "abc"),
    ]


async def test_must_links_join_and_cannot_links_do_not(world: World) -> None:
    await world.put(
        *(world.record(name) for name in "abc"),
        world.nodes(NodeKind.DECISION, "join", "part"),
        world.edges(EdgeKind.MUST_LINK, "a", "join", weight=0),
        world.edges(EdgeKind.MUST_LINK, "b", "join", weight=1),
        world.edges(EdgeKind.CANNOT_LINK, "b", "part", weight=0),
        world.edges(EdgeKind.CANNOT_LINK, "c", "part", weight=1),
        world.edges(EdgeKind.BINDS, "a", "part"),
        world.edges(EdgeKind.BINDS, "c", "part"),
    )

    async with world.reader() as reader:
        (component,) = await reader.components([world.id("a")], 1)
        decisions = await reader.decisions([world.id("b")])

    assert list(component.records) == sorted((world.id("a"), world.id("b")))
    assert {(e.kind, e.source, e.target, e.weight) for e in component.decisions} == {
        (EdgeKind.MUST_LINK, world.id("a"), world.id("join"), 0),
        (EdgeKind.MUST_LINK, world.id("b"), world.id("join"), 1),
        (EdgeKind.CANNOT_LINK, world.id("b"), world.id("part"), 0),
        (EdgeKind.BINDS, world.id("a"), world.id("part"), 0),
    }
    assert {node.id for node in decisions} == {world.id("join"), world.id("part")}


async def test_an_outline_holds_whole_identities_and_those_disputed_or_bound_with_them(world: World) -> None:
    await world.put(
        *(world.record(name, identity="i") for name in "ab"),
        *(world.record(name, identity="j") for name in "cd"),
        *(world.record(name, identity="k") for name in "ef"),
        world.record("gone", tombstone=1),
        world.record("stranger"),
        world.matches("a", "stranger", 9),
        world.edges(EdgeKind.DISPUTED, "c", "b", weight=7),
        world.nodes(NodeKind.DECISION, "join"),
        world.edges(EdgeKind.MUST_LINK, "d", "join", weight=0),
        world.edges(EdgeKind.MUST_LINK, "gone", "join", weight=1),
    )

    async with world.reader() as reader:
        outlines = await reader.outlines([world.id(name) for name in ("a", "e", "nobody")])

    assert sorted(len(outline.versions) for outline in outlines) == [2, 5]
    outline = max(outlines, key=lambda outline: len(outline.versions))
    assert outline.versions == {world.id(name): world.id(f"{name}/1") for name in ("a", "b", "c", "d", "gone")}
    assert outline.identity_of == {
        **{world.id(name): world.id("i") for name in "ab"},
        **{world.id(name): world.id("j") for name in "cd"},
    }
    assert [(e.kind, e.source, e.target, e.weight) for e in outline.disputed] == [
        (EdgeKind.DISPUTED, world.id("c"), world.id("b"), 7)
    ]
    assert {(e.kind, e.source, e.weight) for e in outline.decisions} == {
        (EdgeKind.MUST_LINK, world.id("d"), 0),
        (EdgeKind.MUST_LINK, world.id("gone"), 1),
    }


async def test_an_outline_is_that_of_the_revision_read(world: World) -> None:
    await world.put(world.record("a", identity="i"), world.record("b", identity="i"))
    await world.put(
        world.nodes(NodeKind.IDENTITY, "j"),
        world.nodes(NodeKind.RECORD_VERSION, "a/2"),
        world.ended(EdgeKind.RESOLVED_TO, "b", "i"),
        world.edges(EdgeKind.RESOLVED_TO, "b", "j"),
        world.ended(EdgeKind.CURRENT, "a", "a/1"),
        world.edges(EdgeKind.CURRENT, "a", "a/2"),
    )

    found = []
    for number in (0, 1, 2):
        async with world.reader(revision=number) as reader:
            found.append([outline.versions for outline in await reader.outlines([world.id("a")])])

    before = {world.id("a"): world.id("a/1"), world.id("b"): world.id("b/1")}
    assert found == [[], [before], [{world.id("a"): world.id("a/2")}]]


async def test_links_are_matches_of_enough_weight_from_the_records_that_they_leave(world: World) -> None:
    await world.put(*(world.record(name) for name in "abc"), world.matches("a", "b", 5), world.matches("b", "c", 4))
    (a, b), (one, _) = sorted([world.id("a"), world.id("b")]), sorted([world.id("b"), world.id("c")])

    async with world.reader() as reader:
        strong = await reader.links([world.id(name) for name in "abc"], 5)
        of_far_end = await reader.links([b], 5)
        weak = await reader.links([one], 4)

    assert [(e.kind, e.source, e.target, e.weight) for e in strong] == [(EdgeKind.MATCHES, a, b, 5)]
    assert not of_far_end
    assert 4 in {edge.weight for edge in weak}


async def test_households_of_identities_are_those_of_the_revision(world: World) -> None:
    await world.put(
        world.record("a", identity="i"),
        world.record("b", identity="alone"),
        world.nodes(NodeKind.HOUSEHOLD, "flat", "house"),
        world.edges(EdgeKind.MEMBER_OF, "i", "flat", "house"),
    )
    await world.put(world.ended(EdgeKind.MEMBER_OF, "i", "flat"))
    asked = [world.id("i"), world.id("alone"), world.id("nobody")]

    found = []
    for number in (1, 2):
        async with world.reader(revision=number) as reader:
            found.append({id: set(households) for id, households in (await reader.households_of(asked)).items()})

    assert found == [{world.id("i"): {world.id("flat"), world.id("house")}}, {world.id("i"): {world.id("house")}}]


async def test_history_gives_ended_edges_from_either_end_as_they_were_at_the_revision(world: World) -> None:
    link, belongs = EdgeKind.MUST_LINK, EdgeKind.RESOLVED_TO
    first = await world.put(world.record("a", identity="p"), world.record("b", identity="q"))
    made = await world.put(world.nodes(NodeKind.DECISION, "join"), world.edges(link, "a", "join", weight=1))
    moved = await world.put(world.ended(link, "a", "join"), world.ended(belongs, "b", "q"), world.edges(belongs, "b", "p"))

    async def told(revision: int, kinds: set[EdgeKind], *names: str) -> set[tuple[bytes, bytes, int, int, int]]:
        async with world.reader(revision=revision) as reader:
            found = await reader.history([world.id(name) for name in names], frozenset(kinds))
            assert len(found) == len(set(found))
            return {(e.source, e.target, e.weight, e.recorded_from, e.recorded_to) for e in found}

    a, b, p, q, join = (world.id(name) for name in ("a", "b", "p", "q", "join"))
    was = (b, q, 0, first.number, moved.number)
    stays, came = (a, p, 0, first.number, LIVE), (b, p, 0, moved.number, LIVE)
    assert await told(moved.number, {belongs}, "b", "q") == {was, came}
    assert await told(moved.number, {belongs}, "p") == {stays, came}
    assert await told(made.number, {belongs}, "b", "p") == {stays, (b, q, 0, first.number, LIVE)}
    assert await told(moved.number, {link}, "join", "a") == {(a, join, 1, made.number, moved.number)}
    assert await told(moved.number, {link, belongs}, "a") == {stays, (a, join, 1, made.number, moved.number)}


async def test_components_forget_ended_matches_but_the_past_does_not(world: World) -> None:
    await world.put(world.record("a"), world.record("b"), world.matches("a", "b", 5))
    await world.put(world.match_ended("a", "b"))

    sizes = []
    for number in (0, 1, 2):
        async with world.reader(revision=number) as reader:
            sizes.append([len(c.records) for c in await reader.components([world.id("a")], 1)])

    assert sizes == [[], [2], [1]]


async def test_an_identity_has_records_households_and_the_revision_it_changed(world: World) -> None:
    await world.put(world.record("a", identity="i"))
    joined = await world.put(world.record("b", identity="i"))
    await world.put(world.nodes(NodeKind.HOUSEHOLD, "home"), world.edges(EdgeKind.MEMBER_OF, "i", "home"))

    async with world.reader() as reader:
        identity = (await reader.identities([world.id("i")]))[world.id("i")]
        household = await reader.households([world.id("home")])

    assert list(identity.records) == sorted((world.id("a"), world.id("b")))
    assert list(identity.households) == [world.id("home")]
    assert identity.changed == joined
    assert (identity.superseded_by, identity.was_cut) == ([], False)
    node, members = household[world.id("home")]
    assert (node.properties["reason"], list(members)) == ("address", [world.id("i")])


async def test_a_retired_identity_names_its_successor(world: World) -> None:
    await world.put(world.record("a", identity="old"), world.nodes(NodeKind.IDENTITY, "new"))
    moved = await world.put(
        world.ended(EdgeKind.RESOLVED_TO, "a", "old"),
        world.edges(EdgeKind.RESOLVED_TO, "a", "new"),
        world.edges(EdgeKind.SUPERSEDED_BY, "old", "new"),
    )

    async with world.reader() as reader:
        found = await reader.identities([world.id("old"), world.id("new")])
    async with world.reader(revision=1) as reader:
        before = (await reader.identities([world.id("old")]))[world.id("old")]

    old = found[world.id("old")]
    assert (list(old.records), list(old.superseded_by), old.changed) == ([], [world.id("new")], moved)
    assert list(found[world.id("new")].records) == [world.id("a")]
    assert (list(before.records), list(before.superseded_by)) == ([world.id("a")], [])


async def test_a_deletion_cuts_the_history_of_its_identity(world: World) -> None:
    await world.put(world.record("a", identity="i"), world.record("b", identity="i"))
    cut = await world.put(ChangeSet(delete_nodes=[world.id("a"), world.id("a/1")]), world.edges(EdgeKind.CUT, "i", "i"))

    found = []
    for number in (1, 2):
        async with world.reader(revision=number) as reader:
            found.append((await reader.identities([world.id("i")]))[world.id("i")])

    assert [identity.was_cut for identity in found] == [True, False]
    assert [list(identity.records) for identity in found] == [[world.id("b")]] * 2
    assert found[1].changed == cut


async def test_identities_are_found_by_identifier(world: World) -> None:
    await world.put(
        world.record("a", identity="i", has=["m"]),
        world.record("b", identity="i", has=["m"]),
        world.record("c", identity="j", has=["m", "n"]),
    )

    async with world.reader() as reader:
        found = await reader.identities_with([world.id("m"), world.id("n"), world.id("none")])

    assert {key: sorted(ids) for key, ids in found.items()} == {
        world.id("m"): sorted((world.id("i"), world.id("j"))),
        world.id("n"): [world.id("j")],
    }


async def test_consents_are_found_by_record(world: World) -> None:
    await world.put(
        world.record("a", has=["m"]),
        world.nodes(NodeKind.CONSENT, "yes", "no", "of m"),
        world.edges(EdgeKind.ABOUT, "yes", "a"),
        world.edges(EdgeKind.ABOUT, "no", "a"),
        world.edges(EdgeKind.ABOUT, "of m", "m"),
    )

    async with world.reader() as reader:
        found = await reader.consents([world.id("a"), world.id("b")])

    assert {record: {node.id for node in nodes} for record, nodes in found.items()} == {
        world.id("a"): {world.id("yes"), world.id("no")}
    }


async def test_requests_are_only_requests(world: World) -> None:
    await world.put(world.nodes(NodeKind.REQUEST, "q"), world.nodes(NodeKind.BLOCK, "b"))

    async with world.reader() as reader:
        found = await reader.requests([world.id("q"), world.id("b")])

    assert {id: node.properties["at"] for id, node in found.items()} == {world.id("q"): 1}


async def test_an_artefact_root_names_the_current_one(world: World) -> None:
    await world.put(world.nodes(NodeKind.ARTEFACT, "root", "v1", "v2"), world.edges(EdgeKind.CURRENT, "root", "v1"))
    await world.put(world.ended(EdgeKind.CURRENT, "root", "v1"), world.edges(EdgeKind.CURRENT, "root", "v2"))

    found = []
    for number in (1, 2):
        async with world.reader(revision=number) as reader:
            found.append((await reader.artefact(world.id("root"))).id)
            assert await reader.artefact(world.id("v1")) is None

    assert found == [world.id("v1"), world.id("v2")]


async def test_pages_go_on_where_the_last_ended(world: World) -> None:
    names = [f"r{number}" for number in range(7)]
    await world.put(*(world.record(name) for name in names), world.record("gone", tombstone=1))

    pages, after = [], b""
    async with world.reader() as reader:
        while page := await reader.page(NodeKind.RECORD, after, 3, {}):
            pages.append(list(page))
            after = page[-1]

    assert [len(page) for page in pages] == [3, 3, 1]
    assert [id for page in pages for id in page] == sorted(world.id(name) for name in names)


async def test_pages_know_their_filters(world: World) -> None:
    await world.put(
        world.record("a", source="crm", identity="i"),
        world.record("b", source="shop", identity="i"),
        world.record("c", source="shop", identity="j"),
        world.nodes(NodeKind.IDENTITY, "empty"),
    )

    async with world.reader() as reader:
        shop = await reader.page(NodeKind.RECORD, b"", 10, {"source": "shop"})
        all_identities = await reader.page(NodeKind.IDENTITY, b"", 10, {})
        couples = await reader.page(NodeKind.IDENTITY, b"", 10, {"min_records": 2})
        sources = await reader.page(NodeKind.SOURCE, b"", 10, {})

    assert list(shop) == sorted((world.id("b"), world.id("c")))
    assert list(all_identities) == sorted((world.id("i"), world.id("j")))
    assert list(couples) == [world.id("i")]
    assert list(sources) == sorted((world.id("crm"), world.id("shop")))


async def test_pages_of_the_past_are_of_the_past(world: World) -> None:
    await world.put(world.record("a"))
    await world.put(world.record("b"))

    async with world.reader(revision=1) as reader:
        assert await reader.page(NodeKind.RECORD, b"", 10, {}) == [world.id("a")]
        assert await reader.page(NodeKind.IDENTITY, b"", 10, {}) == [world.id("a/identity")]


async def test_counts_leave_out_tombstones_and_the_empty(world: World) -> None:
    await world.put(
        world.record("a", has=["m"], blocks=["b", "c"], identity="i"),
        world.record("gone", tombstone=1),
        world.nodes(NodeKind.IDENTITY, "empty"),
        world.nodes(NodeKind.HOUSEHOLD, "home", "nobody's"),
        world.edges(EdgeKind.MEMBER_OF, "i", "home"),
    )
    await world.put(world.record("later"))

    async with world.reader(revision=1) as reader:
        counts = await reader.counts()

    assert set(counts) == set(NodeKind)
    assert {kind: count for kind, count in counts.items() if count} == {
        NodeKind.SOURCE: 1,
        NodeKind.RECORD: 1,
        NodeKind.RECORD_VERSION: 2,
        NodeKind.IDENTIFIER: 1,
        NodeKind.BLOCK: 2,
        NodeKind.IDENTITY: 1,
        NodeKind.HOUSEHOLD: 1,
    }


KINDS = frozenset({NodeKind.RECORD, NodeKind.IDENTIFIER, NodeKind.IDENTITY})


async def test_a_neighbourhood_grows_by_hops_through_the_kinds(world: World) -> None:
    await world.put(
        world.record("a", has=["m"], identity="i"),
        world.record("b", has=["m", "n"], identity="j"),
        world.record("c", has=["n"]),
    )

    sizes = []
    async with world.reader() as reader:
        for hops in range(4):
            graph = await reader.neighbourhood([world.id("a")], KINDS, hops, 50)
            sizes.append({node.id for node in graph.nodes})
            assert not graph.is_truncated

    assert sizes[0] == {world.id("a")}
    assert sizes[1] == sizes[0] | {world.id("m"), world.id("i")}
    assert sizes[2] == sizes[1] | {world.id("b")}
    assert sizes[3] == sizes[2] | {world.id("n"), world.id("j")}


async def test_a_neighbourhood_holds_the_edges_between_its_nodes(world: World) -> None:
    await world.put(world.record("a", identity="i"), world.record("b", identity="i"), world.matches("a", "b", 5))

    async with world.reader() as reader:
        graph = await reader.neighbourhood([world.id("i"), world.id("unknown")], KINDS, 1, 50)

    assert sorted(edge.kind for edge in graph.edges) == [EdgeKind.RESOLVED_TO, EdgeKind.RESOLVED_TO, EdgeKind.MATCHES]
    assert graph.nodes[0].id == world.id("i")


async def test_a_neighbourhood_stops_at_its_limit_nearest_first(world: World) -> None:
    await world.put(*(world.record(f"r{number}", has=["m"]) for number in range(30)))

    async with world.reader() as reader:
        graph = await reader.neighbourhood([world.id("m")], KINDS, 2, 10)
        exact = await reader.neighbourhood([world.id("m")], KINDS, 1, 31)

    assert (len(graph.nodes), graph.is_truncated) == (10, True)
    assert {node.kind for node in graph.nodes} == {NodeKind.IDENTIFIER, NodeKind.RECORD}
    assert (len(exact.nodes), exact.is_truncated) == (31, False)


async def test_a_neighbourhood_of_the_past_knows_nothing_newer(world: World) -> None:
    await world.put(world.record("a", has=["m"]))
    await world.put(world.record("b", has=["m"]))

    async with world.reader(revision=1) as reader:
        graph = await reader.neighbourhood([world.id("m")], KINDS, 3, 50)
        unborn = await reader.neighbourhood([world.id("b")], KINDS, 3, 50)

    assert world.id("b") not in {node.id for node in graph.nodes}
    assert unborn.nodes == ()


async def test_the_shortest_path_is_found_in_order(world: World) -> None:
    await world.put(
        world.record("a", has=["m"]), world.record("b", has=["m", "n"]), world.record("c", has=["n"]), world.record("far")
    )

    async with world.reader() as reader:
        path = await reader.path(world.id("a"), world.id("c"), KINDS, 6)
        short = await reader.path(world.id("a"), world.id("c"), KINDS, 3)
        none = await reader.path(world.id("a"), world.id("far"), KINDS, 6)

    assert [node.id for node in path.nodes] == [world.id(name) for name in ("a", "m", "b", "n", "c")]
    assert len(path.edges) == 4
    assert (list(short.nodes), list(none.nodes)) == ([], [])


async def test_a_forgotten_edge_leaves_no_past_and_stays_if_it_is_live(world: World) -> None:
    await world.put(world.record("a"), world.record("b"))
    pair = sorted((world.id("a"), world.id("b")))
    ref, kinds = EdgeRef(EdgeKind.STAGED, *pair), frozenset({EdgeKind.STAGED})
    for weight in (1, 2):
        await world.apply(ChangeSet(end_edges=[ref], put_edges=[Edge(EdgeKind.STAGED, *pair, weight)]))

    async with world.reader() as reader:
        before = await reader.history(pair, kinds)
    await world.apply(ChangeSet(forget_edges=[ref]))
    async with world.reader() as reader:
        after = await reader.history(pair, kinds)

    assert sorted(edge.weight for edge in before) == [1, 2]
    assert [edge.weight for edge in after] == [2]


async def test_a_path_avoids_nodes_and_goes_another_way_where_there_is_one(world: World) -> None:
    await world.put(
        world.record("a", has=["m", "k"]),
        world.record("b", has=["m", "n"]),
        world.record("c", has=["n", "l"]),
        world.record("d", has=["k", "j"]),
        world.record("e", has=["j", "l"]),
    )

    async with world.reader() as reader:
        around = await reader.path(world.id("a"), world.id("c"), KINDS, 8, frozenset({world.id("b")}))
        none = await reader.path(world.id("a"), world.id("c"), KINDS, 8, frozenset({world.id("b"), world.id("j")}))

    assert [node.id for node in around.nodes] == [world.id(name) for name in ("a", "k", "d", "j", "e", "l", "c")]
    assert list(none.nodes) == []


async def test_a_path_keeps_to_its_kinds(world: World) -> None:
    await world.put(world.record("a", blocks=["b"]), world.record("c", blocks=["b"]))

    async with world.reader() as reader:
        barred = await reader.path(world.id("a"), world.id("c"), KINDS, 6)
        free = await reader.path(world.id("a"), world.id("c"), KINDS | {NodeKind.BLOCK}, 6)

    assert list(barred.nodes) == []
    assert [node.id for node in free.nodes] == [world.id("a"), world.id("b"), world.id("c")]


def pairs_of(world: World, edges: Sequence[Edge]) -> list[tuple[frozenset[bytes], int]]:
    return [(frozenset((edge.source, edge.target)), edge.weight) for edge in edges]


def pair(world: World, one: str, other: str, weight: int) -> tuple[frozenset[bytes], int]:
    return frozenset((world.id(one), world.id(other))), weight


async def test_a_band_lists_matches_by_weight_between_its_bounds(world: World) -> None:
    await world.put(*(world.record(name) for name in "abcdefgh"))
    await world.put(
        world.matches("a", "b", 5), world.matches("c", "d", -7), world.matches("e", "f", 0), world.matches("g", "h", 9)
    )

    async with world.reader() as reader:
        up = await reader.band(Band(EdgeKind.MATCHES, -7, 9, None, heaviest_first=False, limit=10))
        down = await reader.band(Band(EdgeKind.MATCHES, -6, 10, None, heaviest_first=True, limit=2))
        other = await reader.band(Band(EdgeKind.DISPUTED, -7, 99, None, heaviest_first=True, limit=2))

    assert pairs_of(world, up) == [pair(world, "c", "d", -7), pair(world, "e", "f", 0), pair(world, "a", "b", 5)]
    assert pairs_of(world, down) == [pair(world, "g", "h", 9), pair(world, "a", "b", 5)]
    assert list(other) == []


async def test_a_band_tells_pairs_of_one_identity_from_those_of_two(world: World) -> None:
    await world.put(*(world.record(name, identity="ada" if name in "ab" else None) for name in "abcd"))
    await world.put(world.matches("a", "b", 5), world.matches("c", "d", 5))

    async with world.reader() as reader:
        together = await reader.band(Band(EdgeKind.MATCHES, 0, 9, True, heaviest_first=True, limit=10))
        apart = await reader.band(Band(EdgeKind.MATCHES, 0, 9, False, heaviest_first=True, limit=10))

    assert pairs_of(world, together) == [pair(world, "a", "b", 5)]
    assert pairs_of(world, apart) == [pair(world, "c", "d", 5)]


async def test_a_band_of_equal_weights_is_in_order_of_ids(world: World) -> None:
    names = [f"r{n}" for n in range(8)]
    await world.put(*(world.record(name) for name in names))
    await world.put(*(world.matches(one, other, 3) for one, other in zip(names[::2], names[1::2], strict=True)))

    async with world.reader() as reader:
        edges = await reader.band(Band(EdgeKind.MATCHES, 0, 9, None, heaviest_first=True, limit=3))

    expected = sorted(sorted((world.id(one), world.id(other))) for one, other in zip(names[::2], names[1::2], strict=True))
    assert [[edge.source, edge.target] for edge in edges] == expected[:3]


async def test_a_band_is_that_of_its_revision_and_its_tenant(world: World, world_of: Any) -> None:
    await world.put(world.record("a"), world.record("b"))
    await world.put(world.matches("a", "b", 5))
    await world.put(world.match_ended("a", "b"))
    stranger = world_of(world.store, world.tenant + "-x")
    await stranger.put(stranger.record("a"), stranger.record("b"), stranger.matches("a", "b", 5))

    found = []
    for number in (1, 2, 3):
        async with world.reader(revision=number) as reader:
            found.append(len(await reader.band(Band(EdgeKind.MATCHES, 0, 9, None, heaviest_first=True, limit=9))))

    assert found == [0, 1, 0]


async def test_disputed_edges_come_with_the_component(world: World) -> None:
    await world.put(world.record("a"), world.record("b"), world.record("c"))
    first, second = sorted(("a", "b"), key=world.id)
    await world.put(world.matches("a", "b", 5), world.edges(EdgeKind.DISPUTED, first, second, weight=5))

    async with world.reader() as reader:
        (component,) = await reader.components([world.id("a")], 1)
        (alone,) = await reader.components([world.id("c")], 1)

    assert [(edge.kind, edge.weight) for edge in component.disputed] == [(EdgeKind.DISPUTED, 5)]
    assert list(component.decisions) == list(alone.disputed) == []


async def test_the_decisions_that_bind_records_are_told_with_their_sides(world: World) -> None:
    await world.put(world.record("a"), world.record("b"), world.nodes(NodeKind.DECISION, "d", "e"))
    await world.put(
        world.edges(EdgeKind.CANNOT_LINK, "a", "d", weight=0),
        world.edges(EdgeKind.CANNOT_LINK, "b", "d", weight=1),
        world.edges(EdgeKind.MUST_LINK, "a", "e"),
    )

    async with world.reader() as reader:
        found = await reader.bindings([world.id("a"), world.id("b")])

    assert {(edge.kind, edge.source, edge.target, edge.weight) for edge in found} == {
        (EdgeKind.CANNOT_LINK, world.id("a"), world.id("d"), 0),
        (EdgeKind.CANNOT_LINK, world.id("b"), world.id("d"), 1),
        (EdgeKind.MUST_LINK, world.id("a"), world.id("e"), 0),
    }


async def test_a_label_is_found_from_both_its_records_once(world: World) -> None:
    await world.put(world.record("a"), world.record("b"), world.record("c"), world.nodes(NodeKind.LABEL, "l"))
    await world.put(world.edges(EdgeKind.LABELLED, "a", "l"), world.edges(EdgeKind.LABELLED, "b", "l"))

    async with world.reader() as reader:
        both = await reader.labels([world.id("a"), world.id("b")])
        nobody = await reader.labels([world.id("c")])

    assert [(node.id, node.properties["levels"]) for node in both] == [(world.id("l"), b"\x01\x00")]
    assert list(nobody) == []


async def test_empty_questions_have_empty_answers(world: World) -> None:
    await world.put(world.record("a"))

    async with world.reader() as reader:
        assert reader.revision.number == 1
        assert await reader.nodes([]) == {}
        assert await reader.records([]) == {}
        assert await reader.records_by_alias([]) == {}
        assert list(await reader.candidates([], 5)) == []
        assert await reader.keys([]) == {}
        assert list(await reader.matches([])) == []
        assert list(await reader.components([], 1)) == []
        assert await reader.identities([]) == {}
        assert await reader.identities_with([]) == {}
        assert await reader.households([]) == {}
        assert await reader.consents([]) == {}
        assert list(await reader.decisions([])) == []
        assert list(await reader.bindings([])) == []
        assert list(await reader.labels([])) == []
        assert list(await reader.history([], frozenset(EdgeKind))) == []
        assert await reader.requests([]) == {}
        assert await reader.commit_times([]) == {}
        assert list((await reader.neighbourhood([], KINDS, 2, 10)).nodes) == []


async def test_the_store_answers_its_check(world: World) -> None:
    await world.store.check()

    async with world.reader() as reader:
        assert reader.revision == Revision(0, 0)


async def test_pages_of_jobs_know_what_their_properties_equal(world: World) -> None:
    jobs = [
        world.node(NodeKind.JOB, "a", is_open=1, type="copy"),
        world.node(NodeKind.JOB, "b", is_open=0, type="copy"),
        world.node(NodeKind.JOB, "c", is_open=1, type="count"),
        world.node(NodeKind.JOB, "d", is_open=1, type="copy"),
    ]
    await world.apply(ChangeSet(put_nodes=jobs))

    async with world.reader() as reader:
        open_jobs = await reader.page(NodeKind.JOB, b"", 10, {"is_open": 1})
        copies = await reader.page(NodeKind.JOB, b"", 10, {"is_open": 1, "type": "copy"})
        first = await reader.page(NodeKind.JOB, b"", 1, {"is_open": 1})
        later = await reader.page(NodeKind.JOB, first[0], 10, {"is_open": 1})

    assert list(open_jobs) == sorted(map(world.id, "acd"))
    assert list(copies) == sorted(map(world.id, "ad"))
    assert [*first, *later] == list(open_jobs)


async def test_a_changed_job_is_seen_as_it_is_now_by_every_reader(world: World) -> None:
    await world.apply(ChangeSet(put_nodes=[world.node(NodeKind.JOB, "job", done=1)]))
    changed = world.node(NodeKind.JOB, "job", done=2)
    await world.apply(ChangeSet(delete_nodes=[changed.id], put_nodes=[changed]))

    seen = []
    for number in (1, 2):
        async with world.reader(revision=number) as reader:
            assert list(await reader.page(NodeKind.JOB, b"", 10, {})) == [changed.id]
            seen.append((await reader.nodes([changed.id]))[changed.id].properties["done"])

    assert seen == [2, 2]


async def test_tenants_are_named_by_what_they_have(world: World) -> None:
    before = world.tenant in await world.store.tenants(NodeKind.JOB)
    await world.apply(ChangeSet(put_nodes=[world.node(NodeKind.JOB, "job")]))

    assert not before
    assert world.tenant in await world.store.tenants(NodeKind.JOB)


async def test_staged_matches_make_components_of_their_own(world: World) -> None:
    first, second = sorted("ab", key=world.id)
    await world.put(
        *(world.record(name) for name in "abc"),
        world.matches("a", "c", 9),
        world.edges(EdgeKind.STAGED, first, second, weight=7),
    )

    async with world.reader() as reader:
        matches = await reader.matches([world.id("a")])
        staged = await reader.matches([world.id("a")], EdgeKind.STAGED)
        in_use = await reader.components([world.id("a")], 5)
        beside = await reader.components([world.id("a")], 5, EdgeKind.STAGED)
        strong = await reader.components([world.id("a")], 8, EdgeKind.STAGED)

    assert [edge.weight for edge in matches] == [9]
    assert [(edge.kind, edge.weight) for edge in staged] == [(EdgeKind.STAGED, 7)]
    assert [list(component.records) for component in in_use] == [sorted(map(world.id, "ac"))]
    assert [list(component.records) for component in beside] == [sorted(map(world.id, "ab"))]
    assert [list(component.records) for component in strong] == [[world.id("a")]]
