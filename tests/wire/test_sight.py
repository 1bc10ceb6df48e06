"""Through the wire: whom a caller may not see is named, counted and passed by no answer, now and as of the past."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from pathlib import Path

import pytest
from msgspec import Struct
from wire.conftest import new_tenant

from goldenthread.client import AsyncClient, IdentifierKey, Record, SemanticType
from goldenthread.client.errors import NotFound
from goldenthread.graph.model import PiiCategory
from goldenthread.graph.store import Reader
from goldenthread.server.access import Caller, make_token, signing_key
from goldenthread.server.commands import engine
from goldenthread.server.config import load_config
from goldenthread.server.main import Started, run

PHONE, EMAIL = "+12175550143", "family@lister.example"
BOTH = {"phone": PHONE, "email": EMAIL}


class HidingSight:
    """See everybody as an administrator, and else everybody but some."""

    hidden: Collection[bytes] = ()

    def __init__(self, caller: Caller) -> None:
        self.categories: Collection[PiiCategory] = frozenset(PiiCategory)
        self.sees_everybody = caller.role == "admin"
        self._hidden = frozenset(() if self.sees_everybody else self.hidden)

    async def identities(self, reader: Reader, ids: Sequence[bytes]) -> frozenset[bytes]:
        return frozenset(ids) - self._hidden


class Household(Struct):
    """Ann shares a phone with Tom, Tom an email with Kim; both clients call about them, one of whom Tom is hidden from."""

    everybody: AsyncClient
    without_tom: AsyncClient
    ann: str
    tom: str
    kim: str
    toms_record: str
    revision: int


@pytest.fixture
async def home(tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Household]:
    monkeypatch.setattr(engine, "RoleSight", HidingSight)
    tenant, stop = new_tenant(), asyncio.Event()
    settings = {"listen": "127.0.0.1:0", "data": str(tmp_path), "default_tenant": tenant, "start_processes": False}
    config = load_config({**settings, **({"store": store_url} if store_url else {})})
    listening: asyncio.Future[Started] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(run(config, listening.set_result, stop=stop))
    address = (await listening).address

    def client(role: str) -> AsyncClient:
        key = signing_key(config.token_key_file)
        token = make_token(key, subject=role, tenant=tenant, role="admin" if role == "admin" else "reader", seconds=600)
        return AsyncClient(address, token=token, timeout_seconds=120)

    async with client("admin") as everybody, client("reader") as without_tom:
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
        yield Household(everybody, without_tom, ann, tom, kim, answers[1].record, answers[-1].revision)
    stop.set()
    await serving


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
