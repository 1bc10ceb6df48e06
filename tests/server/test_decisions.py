"""Undoing a decision is as if it had never been made; one whose time is up ends like one that is undone."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from conformance.conftest import STORES, store_urls
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from goldenthread.graph.model import AttributeValue, Party, RecordContent, SemanticType
from goldenthread.graph.vault import open_vault
from goldenthread.resolver.golden import GoldenAttribute
from goldenthread.resolver.guards import GuardRails, Guards
from goldenthread.server.access import Caller
from goldenthread.server.commands import Engine
from goldenthread.server.commands.as_of import Moment
from goldenthread.server.commands.decisions.create import CannotLink, MustLink, Ruled, create_decision
from goldenthread.server.commands.decisions.identities import merge_identities, split_identity
from goldenthread.server.commands.decisions.kept import DecisionTerms
from goldenthread.server.commands.decisions.read import DecisionFilter, get_decision, list_decisions, state_of
from goldenthread.server.commands.decisions.taught import taught_pairs
from goldenthread.server.commands.decisions.undo import expire_decisions, undo_decision
from goldenthread.server.commands.golden_record import get_golden_record
from goldenthread.server.commands.idempotency import Request
from goldenthread.server.commands.identities import get_identity, list_identities
from goldenthread.server.commands.ids import now
from goldenthread.server.commands.prepare_record import prepare
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.commands.upsert_records import Upserted
from goldenthread.server.config import load_config
from goldenthread.server.errors import FailedPrecondition
from goldenthread.server.sight import RoleSight
from goldenthread.server.stores import open_store

SIGHT = RoleSight(Caller("ann", "test", "admin"))

PEOPLE = (("Ada", "Lovelace", "1985-12-10"), ("Grace", "Hopper", "1976-12-09"), ("Alan", "Turing", "1982-06-23"))
DAY = 86_400_000_000
NO_REQUEST = Request("", b"")
TERMS = DecisionTerms("steward", "because")

Groups = dict[bytes, frozenset[bytes]]
People = dict[bytes, tuple[frozenset[bytes], Sequence[GoldenAttribute]]]


def customer(number: int, person: int) -> RecordContent:
    """What one source says of one of three people."""
    given, surname, born = PEOPLE[person]
    values = (
        ("given_name", SemanticType.GIVEN_NAME, given),
        ("surname", SemanticType.SURNAME, surname),
        ("birth_date", SemanticType.BIRTH_DATE, born),
        ("email", SemanticType.EMAIL, f"{given}@{surname}.example".lower()),
        ("city", SemanticType.CITY, f"City {number}"),
    )
    attributes = tuple(AttributeValue(name, type, value) for name, type, value in values)
    return RecordContent("crm", str(number), Party.FIRST, number, -1, attributes)


class Book:
    """A tenant on an engine, and what its stewards may do."""

    def __init__(self, engine: Engine, tenant: Tenant) -> None:
        self.engine, self.tenant = engine, tenant

    async def put(self, *contents: RecordContent) -> list[bytes]:
        """Put records; return their ids."""
        prepared = [prepare(self.tenant, content, True, "", b"") for content in contents]
        done = [await future for future in await self.engine.upsert(self.tenant, prepared)]
        return [one.record for one in done if isinstance(one, Upserted)]

    async def groups(self) -> Groups:
        """Read which records each identity has."""
        stored, _ = await list_identities(self.engine, self.tenant, b"", 1000, 0, None, SIGHT)
        return {identity.id: frozenset(identity.records) for identity in stored}

    async def people(self) -> People:
        """Read every identity with its golden record."""
        groups = await self.groups()
        golden = {id: (await get_golden_record(self.engine, self.tenant, id, None, SIGHT)).attributes for id in groups}
        return {id: (records, golden[id]) for id, records in groups.items()}

    async def rule(self, ruled: Ruled, terms: DecisionTerms = TERMS) -> bytes:
        """Make a decision; return its id."""
        return (await create_decision(self.engine, self.tenant, ruled, terms, NO_REQUEST, SIGHT, preview=False)).decision

    async def act(self, act: Act, records: Sequence[bytes]) -> bytes | None:
        """Do what was drawn, as far as it can be done; return the decision, None if there is none."""
        left, right = [records[n] for n in sorted(act.left)], [records[n] for n in sorted(act.right - act.left)]
        if not right:
            return None
        groups = await self.groups()
        identity_of = {record: id for id, members in groups.items() for record in members}
        if act.kind == "merge":
            ids = list(dict.fromkeys(identity_of[record] for record in (*left, *right)))
            if len(ids) < 2:
                return None
            return (await merge_identities(self.engine, self.tenant, ids, TERMS, NO_REQUEST, SIGHT, preview=False)).decision
        if act.kind == "split":
            whole = groups[identity_of[left[0]]]
            off = sorted(whole & set(left))
            if len(off) == len(whole):
                return None
            args = (identity_of[left[0]], off, TERMS, NO_REQUEST, SIGHT)
            return (await split_identity(self.engine, self.tenant, *args, preview=False)).decision
        sides = [("records", record) for record in left], [("records", record) for record in right]
        return await self.rule(MustLink(*sides) if act.kind == "must_link" else CannotLink(*sides))

    async def undo(self, decision: bytes) -> None:
        """Undo a decision."""
        await undo_decision(self.engine, self.tenant, decision, "steward", "no", NO_REQUEST, SIGHT, preview=False)


class Act(Struct, frozen=True):
    """A decision about records by number."""

    kind: str
    left: frozenset[int]
    right: frozenset[int]


@asynccontextmanager
async def opened(url: str, folder: Path, name: str = "book") -> AsyncIterator[Book]:
    """Open a tenant on a store."""
    store, vault = await open_store(url), await open_vault(folder / "keys")
    engine = await Engine.open(store, vault, load_config({"data": str(folder)}))
    yield Book(engine, await engine.tenant(name))
    await engine.close()
    await vault.close()
    await store.close()


@pytest.fixture(params=STORES)
async def book(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Book]:
    url = store_urls(request.param, request, tmp_path / "graph").replace("bolt://", "neo4j://")
    async with opened(url, tmp_path, f"book-{tmp_path.name}") as book:
        yield book


@st.composite
def acts(draw: st.DrawFn, n: int) -> Act:
    """Draw a decision about some of n records."""
    some = st.frozensets(st.integers(0, n - 1), min_size=1, max_size=3)
    return Act(draw(st.sampled_from(("merge", "split", "must_link", "cannot_link"))), draw(some), draw(some))


persons = st.lists(st.integers(0, len(PEOPLE) - 1), min_size=2, max_size=6)
quick = settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])


def with_book(test: object) -> None:
    """Run a coroutine function on a book of its own."""

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with opened(f"sqlite:///{folder}/graph", Path(folder)) as book:
                await test(book)  # type: ignore[operator]  # every caller gives a coroutine function

    asyncio.run(run())


@quick
@given(persons, st.data())
def test_undoing_the_last_decision_gives_back_ids_groups_and_golden_records(who: list[int], data: st.DataObject) -> None:
    async def law(book: Book) -> None:
        records = await book.put(*(customer(number, person) for number, person in enumerate(who)))
        for act in data.draw(st.lists(acts(len(who)), max_size=3)):
            await book.act(act, records)
        before = await book.people()

        decision = await book.act(data.draw(acts(len(who))), records)
        if decision is not None:
            await book.undo(decision)

        assert await book.people() == before

    with_book(law)


@quick
@given(persons, st.data())
def test_undoing_every_decision_in_any_order_gives_back_who_is_one(who: list[int], data: st.DataObject) -> None:
    async def law(book: Book) -> None:
        records = await book.put(*(customer(number, person) for number, person in enumerate(who)))
        before = await book.groups()
        seen = dict(before)
        made = [await book.act(act, records) for act in data.draw(st.lists(acts(len(who)), max_size=4))]
        for decision in data.draw(st.permutations([one for one in made if one is not None])):
            await book.undo(decision)
            seen |= await book.groups()

        after = await book.groups()
        assert set(after.values()) == set(before.values())
        for id in seen:
            assert (await get_identity(book.engine, book.tenant, id, None, SIGHT)).identity.id in after

    with_book(law)


@quick
@given(persons, st.data())
def test_an_id_means_the_same_people_or_answers_with_who_has_its_last_records(who: list[int], data: st.DataObject) -> None:
    async def law(book: Book) -> None:
        records = await book.put(*(customer(number, person) for number, person in enumerate(who)))
        last = await book.groups()
        live: list[bytes] = []

        async def check() -> None:
            groups = await book.groups()
            assert all(members & last.get(id, members) for id, members in groups.items())
            last.update(groups)
            identity_of = {record: id for id, members in groups.items() for record in members}
            for id, members in last.items():
                if id not in groups:
                    found = await get_identity(book.engine, book.tenant, id, None, SIGHT)
                    assert {found.identity.id, *found.others} == {identity_of[record] for record in members}

        for act in data.draw(st.lists(acts(len(who)), max_size=5)):
            decision = await book.act(act, records)
            await check()
            live += [decision] if decision is not None else []
            if live and data.draw(st.booleans()):
                await book.undo(live.pop(data.draw(st.integers(0, len(live) - 1))))
                await check()

    with_book(law)


async def test_undoing_gives_nobody_an_id_that_others_have_by_now(book: Book) -> None:
    records = await book.put(*(customer(number, person) for number, person in enumerate((0, 0, 0, 0, 1))))
    split = await book.act(Act("split", frozenset({1, 2}), frozenset({0})), records)
    link = await book.act(Act("must_link", frozenset({0}), frozenset({1, 2, 4})), records)
    assert split is not None
    assert link is not None
    await book.undo(split)
    await book.act(Act("split", frozenset({1}), frozenset({4})), records)
    before = await book.groups()

    await book.undo(link)

    after = await book.groups()
    assert len(after) == 3
    assert all(members & before[id] for id, members in after.items() if id in before)


async def test_a_decision_that_is_due_ends_and_leaves_people_as_they_were(book: Book) -> None:
    one, other = await book.put(customer(0, 0), customer(1, 1))
    before = await book.people()
    due = now() + DAY
    link = MustLink([("records", one)], [("records", other)])
    decision = await book.rule(link, DecisionTerms("steward", "for a day", expires_at=due))
    forever = await book.rule(CannotLink([("records", one)], [("records", other)]))
    await book.undo(forever)
    linked = await book.groups()
    held = (await get_decision(book.engine, book.tenant, decision, None, SIGHT)).revision

    early = await expire_decisions(book.engine, book.tenant, due - 1_000)
    still = await book.groups()
    ended = await expire_decisions(book.engine, book.tenant, due + 1_000)
    again = await expire_decisions(book.engine, book.tenant, due + DAY)

    assert (early, ended, again) == (0, 1, 0)
    assert still == linked
    assert list(linked.values()) == [frozenset({one, other})]
    assert await book.people() == before
    view = await get_decision(book.engine, book.tenant, decision, None, SIGHT)
    assert state_of(view) == "expired"
    then, _ = await list_decisions(
        book.engine, book.tenant, b"", 10, DecisionFilter(state="live"), Moment(revision=held), SIGHT
    )
    assert [one.id for one in then] == [decision]
    past, _ = await list_identities(book.engine, book.tenant, b"", 10, 0, Moment(revision=held), SIGHT)
    assert [frozenset(identity.records) for identity in past] == [frozenset({one, other})]
    with pytest.raises(FailedPrecondition, match="expired"):
        await book.undo(decision)


async def test_a_decision_that_is_undone_before_it_is_due_is_not_ended_again(book: Book) -> None:
    one, other = await book.put(customer(0, 0), customer(1, 1))
    due = now() + DAY
    link = MustLink([("records", one)], [("records", other)])
    decision = await book.rule(link, DecisionTerms("steward", "for a day", expires_at=due))
    await book.undo(decision)

    assert await expire_decisions(book.engine, book.tenant, due + DAY) == 0
    assert state_of(await get_decision(book.engine, book.tenant, decision, None, SIGHT)) == "undone"


async def test_several_servers_that_look_at_once_end_a_decision_once(book: Book) -> None:
    one, other = await book.put(customer(0, 0), customer(1, 1))
    due = now() + DAY
    for kind in (MustLink, CannotLink):
        sides = [("records", one)], [("records", other)]
        await book.rule(kind(*sides), DecisionTerms("steward", "for a day", expires_at=due))

    ended = await asyncio.gather(*(expire_decisions(book.engine, book.tenant, due + DAY) for _ in range(3)))

    assert sum(ended) == 2
    assert sorted(len(members) for members in (await book.groups()).values()) == [1, 1]


async def test_a_decision_joins_what_a_guard_keeps_apart_only_when_it_says_so(book: Book) -> None:
    book.tenant.guards = Guards(GuardRails(duplicate_free=("crm",)))
    one, other = await book.put(customer(0, 0), customer(1, 0))
    apart = await book.groups()
    link = MustLink([("records", one)], [("records", other)])

    with pytest.raises(FailedPrecondition, match="guard rail"):
        await book.rule(link)
    decision = await book.rule(link, DecisionTerms("steward", "seen both", overrides_veto=True))
    joined = await book.groups()
    await book.undo(decision)

    assert len(apart) == 2
    assert list(joined.values()) == [frozenset({one, other})]
    assert await book.groups() == apart


async def test_decisions_teach_while_they_hold(book: Book) -> None:
    ada, late, grace, _ = await book.put(customer(0, 0), customer(1, 1), customer(2, 1), customer(3, 1))
    due = now() + DAY

    async def taught() -> dict[frozenset[bytes], bool]:
        async with book.engine.reader(book.tenant) as reader:
            return {frozenset(pair): same for pair, same in (await taught_pairs(reader, book.tenant)).items()}

    nothing = await taught()
    identity_of = {record: id for id, members in (await book.groups()).items() for record in members}
    split = await split_identity(book.engine, book.tenant, identity_of[late], [late], TERMS, NO_REQUEST, SIGHT, preview=False)
    parted = await taught()
    ids = list(dict.fromkeys(id for id, members in (await book.groups()).items() if {ada, late} & members))
    await merge_identities(
        book.engine, book.tenant, ids, DecisionTerms("steward", "one", due), NO_REQUEST, SIGHT, preview=False
    )
    merged = await taught()
    await book.undo(split.decision)
    undone = await taught()
    await expire_decisions(book.engine, book.tenant, due + 1_000)
    expired = await taught()
    await book.rule(MustLink([("records", grace)], [("records", ada)]))
    await book.rule(CannotLink([("records", grace)], [("records", ada)]))
    overruled = await taught()

    assert nothing == expired == {}
    # Of the two that the one was split from, which say as much, the first counts.
    assert parted == {frozenset({late, grace}): False}
    assert merged == {**parted, frozenset({ada, late}): True}
    assert undone == {frozenset({ada, late}): True}
    assert overruled == {frozenset({grace, ada}): False}
