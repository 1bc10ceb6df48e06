"""Through the wire: whom a caller may not see is named, counted and passed by no answer, now and as of the past."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from msgspec import Struct
from wire.hiding import HidingSight, hiding_server
from wire.test_review import DIFFERENT, nearly

from goldenthread.client import AsyncClient, Following, IdentifierKey, Record, SemanticType
from goldenthread.client.errors import NotFound

PHONE, EMAIL = "+12175550143", "family@lister.example"
BOTH = {"phone": PHONE, "email": EMAIL}


class Household(Struct):
    """Ann shares a phone with Tom, Tom an email with Kim; both clients call about them, one of whom Tom is hidden from."""

    everybody: AsyncClient
    without_tom: AsyncClient
    steward: AsyncClient
    """One who may write, from whom Tom is hidden too."""
    ann: str
    tom: str
    kim: str
    toms_record: str
    revision: int


@pytest.fixture
async def home(tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Household]:
    async with (
        hiding_server(tmp_path, store_url, monkeypatch) as server,
        AsyncClient(server.address, token=server.token("admin"), timeout_seconds=120) as everybody,
        AsyncClient(server.address, token=server.token("reader"), timeout_seconds=120) as without_tom,
        AsyncClient(server.address, token=server.token("writer"), timeout_seconds=120) as steward,
    ):
        people = (
            Record("crm", "1", {"given_name": "Ann", "surname": "Lister", "birth_date": "1950-01-02", "phone": PHONE}),
            Record(
                "crm",
                "2",
                {"given_name": "Tom", "surname": "Weber", "birth_date": "1980-07-08", "phone": PHONE, "email": EMAIL},
            ),
            Record("shop", "3", {"given_name": "Kim", "surname": "Nowak", "birth_date": "2001-11-12", "email": EMAIL}),
        )
        answers = [await everybody.upsert_record(record) for record in people]
        ann, tom, kim = (answer.identity for answer in answers)
        assert len({ann, tom, kim}) == 3
        monkeypatch.setattr(HidingSight, "hidden", {bytes.fromhex(tom.rpartition("/")[2])})
        yield Household(everybody, without_tom, steward, ann, tom, kim, answers[1].record, answers[-1].revision)


@pytest.mark.parametrize("is_past", [False, True])
async def test_walks_neither_name_nor_pass_somebody_hidden(home: Household, is_past: bool) -> None:
    as_of = home.revision if is_past else None

    async def names(client: AsyncClient) -> list[list[str]]:
        walks = (
            await client.expand_nodes([home.ann], hops=4, as_of=as_of),
            await client.find_path(home.ann, home.kim, as_of=as_of),
            await client.get_network([home.ann, home.kim], build_out_hops=2, as_of=as_of),
        )
        return [[node.name for node in walk.nodes] for walk in walks]

    seen, hidden = await names(home.everybody), await names(home.without_tom)

    assert home.tom in seen[0]
    assert all(home.toms_record in one for one in seen)
    assert not {home.tom, home.toms_record} & {name for one in hidden for name in one}
    assert home.ann in hidden[0]
    assert not any("identities" in name and name != home.ann for name in hidden[0])
    assert hidden[1] == []
    for call in (
        home.without_tom.expand_nodes([home.tom], as_of=as_of),
        home.without_tom.expand_nodes([home.toms_record], as_of=as_of),
        home.without_tom.find_path(home.ann, home.toms_record, as_of=as_of),
        home.without_tom.get_network([home.ann, home.tom], as_of=as_of),
    ):
        with pytest.raises(NotFound):
            await call


@pytest.mark.parametrize("is_past", [False, True])
async def test_searches_find_nobody_hidden(home: Household, is_past: bool) -> None:
    as_of = home.revision if is_past else None
    toms = {"given_name": "Tom", "surname": "Weber", "birth_date": "1980-07-08", "phone": PHONE, "email": EMAIL}

    seen, hidden = [await one.resolve_record(toms, as_of=as_of) for one in (home.everybody, home.without_tom)]
    first = await home.without_tom.resolve_record(toms, as_of=as_of, max_candidates=1)

    assert (seen.identity, seen.candidates[0].identity) == (home.tom, home.tom)
    assert hidden.identity == ""
    assert {found.identity for found in hidden.candidates} == {home.ann, home.kim}
    assert len(first.candidates) == 1


@pytest.mark.parametrize("is_past", [False, True])
async def test_values_of_somebody_hidden_are_not_found(home: Household, is_past: bool) -> None:
    as_of, client = home.revision if is_past else None, home.without_tom
    calls: list[Callable[[AsyncClient], Awaitable[object]]] = [
        lambda one: one.get_golden_record(home.tom, as_of=as_of),
        lambda one: one.get_identity(home.tom, as_of=as_of),
        lambda one: one.get_identity(record=home.toms_record, as_of=as_of),
        lambda one: one.get_record(home.toms_record, as_of=as_of),
        lambda one: one.get_identity_lineage(home.tom, as_of=as_of),
        lambda one: one.explain_identity(home.tom, as_of=as_of),
        lambda one: one.explain_match(home.ann, home.tom, as_of=as_of),
    ]

    for call in calls:
        await call(home.everybody)
        with pytest.raises(NotFound):
            await call(client)
    batch = await client.batch_get_golden_records([home.ann, home.tom, home.kim], as_of=as_of)
    by_phone = await client.get_identity(identifier=IdentifierKey(SemanticType.PHONE, PHONE), as_of=as_of)

    assert [golden.name.removesuffix("/goldenRecord") for golden in batch.golden_records] == [home.ann, home.kim]
    assert list(batch.missing) == [home.tom]
    assert (by_phone.identity.name, list(by_phone.others)) == (home.ann, [])
    assert {one.name async for one in client.list_identities(as_of=as_of)} == {home.ann, home.kim}
    assert {one.source_record_id async for one in client.list_records(as_of=as_of)} == {"1", "3"}
    assert b"Tom" not in b"".join([one.SerializeToString() async for one in client.list_records(as_of=as_of)])


async def test_doubts_about_somebody_hidden_are_neither_listed_nor_counted_nor_claimed(
    home: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    for record in (*nearly("Lovelace"), *nearly("Quillfeather")):
        await home.everybody.upsert_record(record)
    shown, hidden = [item async for item in home.everybody.list_review_items()]
    monkeypatch.setattr(HidingSight, "hidden", {bytes.fromhex(hidden.identities[1].rpartition("/")[2])})

    listed = [item.name async for item in home.steward.list_review_items()]
    before = [await client.get_review_stats() for client in (home.everybody, home.steward)]
    claimed = [item.name for item in await home.steward.claim_review_items(10)]
    with pytest.raises(NotFound):
        await home.steward.claim_review_items(names=[shown.name, hidden.name])
    for client, item in ((home.everybody, hidden), (home.steward, shown)):
        await client.decide_review_item(item.name, DIFFERENT)
    after = [await client.get_review_stats() for client in (home.everybody, home.steward)]

    assert listed == claimed == [shown.name]
    assert [stats.open for stats in before] == [2, 1]
    assert [sum(one.items for one in stats.reasons) for stats in before] == [2, 1]
    assert [stats.different_people for stats in after] == [2, 1]
    assert [stats.settled for stats in after] == [2, 1]


async def test_who_sends_a_record_of_somebody_hidden_is_not_told_whose_it_is(home: Household) -> None:
    toms = Record("shop", "9", {"given_name": "Tom", "surname": "Weber", "birth_date": "1980-07-08", "phone": PHONE})
    stranger = Record("shop", "8", {"given_name": "Ida", "surname": "Brandt"})

    alone = await home.steward.upsert_record(toms)
    streamed = [result async for result in home.steward.upsert_stream([toms, stranger])]

    assert (alone.identity, streamed[0].identity) == ("", "")
    assert streamed[0].record == alone.record
    assert streamed[1].identity
    assert (await home.everybody.get_identity(record=alone.record)).identity.name == home.tom


async def test_a_subscriber_hears_nothing_of_somebody_hidden_and_goes_on(home: Household) -> None:
    heard = [await anext(aiter(client.subscribe(Following()))) for client in (home.everybody, home.without_tom)]

    assert home.tom in {event.identity for event in heard[0].events}
    assert {event.identity for event in heard[1].events} == {home.ann, home.kim}
    assert heard[0].cursor == heard[1].cursor
