"""Searching beside the server: the same answers there and here, and no search lost with the process."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from narrower_sight import SightWithout
from structlog.testing import capture_logs

from goldenthread.cli.demo import simulate_records
from goldenthread.client import Record
from goldenthread.graph.errors import StoreUnavailable
from goldenthread.graph.model import AttributeDefinition, DataModel, SemanticType
from goldenthread.graph.store import Transaction
from goldenthread.graph.stores.sqlite import SqliteStore
from goldenthread.graph.vault import open_vault
from goldenthread.server.commands import Engine, tenants
from goldenthread.server.commands.idempotency import Request
from goldenthread.server.commands.prepare_record import PreparedUpsert
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.config import Config
from goldenthread.server.errors import InvalidField
from goldenthread.server.jobs.renormalising import update_data_model
from goldenthread.server.services import Preparer, Searcher
from goldenthread.server.sight import EVERYBODY
from goldenthread.v1 import record_pb2
from goldenthread.v1 import record_service_pb2 as records_pb
from goldenthread.v1 import resolution_service_pb2 as pb


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    store, vault = SqliteStore(tmp_path / "graph"), await open_vault(tmp_path / "keys")
    engine = await Engine.open(store, vault, Config(data=tmp_path))
    yield engine
    await engine.close()
    await store.close()
    await vault.close()


@pytest.fixture
async def tenant(engine: Engine) -> Tenant:
    return await engine.tenant("test")


@pytest.fixture
async def searcher(engine: Engine) -> AsyncIterator[Searcher]:
    searcher = Searcher(engine)
    yield searcher
    await searcher.close()


async def put(engine: Engine, tenant: Tenant, *records: Record) -> None:
    prepared = [Preparer(Config()).prepare(tenant, records_pb.UpsertRecordRequest(record=r.to_proto())) for r in records]
    for done in await engine.upsert(tenant, [one for one in prepared if isinstance(one, PreparedUpsert)]):
        await done


def search(*attributes: record_pb2.AttributeValue) -> pb.ResolveRecordRequest:
    return pb.ResolveRecordRequest(parent="tenants/test", attributes=attributes)


def customers(count: int) -> list[Record]:
    return [Record(r.source, r.record_id, {k: v for k, v in r.values.items() if v}) for r in simulate_records(count, seed=3)]


async def test_searches_are_answered_alike_in_the_other_process(engine: Engine, tenant: Tenant, searcher: Searcher) -> None:
    records = customers(200)
    await put(engine, tenant, *records)
    asked = [search(*record.to_proto().attributes) for record in records[:40]]
    asked[8].as_of.revision = 1
    here = await asyncio.gather(*(searcher.resolve(tenant, one, EVERYBODY) for one in asked))
    await searcher.start()

    with capture_logs() as logs:
        there = await asyncio.gather(*(searcher.resolve(tenant, one, EVERYBODY) for one in asked))

    assert there == here
    assert logs == []
    assert sum(len(one.candidates) for one in there) > len(asked)


async def test_a_search_sees_what_was_committed_before_it(engine: Engine, tenant: Tenant, searcher: Searcher) -> None:
    await searcher.start()
    for record in customers(5):
        await put(engine, tenant, record)

        found = await searcher.resolve(tenant, search(*record.to_proto().attributes), EVERYBODY)

        assert found.identity


async def test_a_wrong_search_fails_alone_and_says_why(tenant: Tenant, searcher: Searcher) -> None:
    await searcher.start()
    right = search(record_pb2.AttributeValue(attribute="surname", text="Lovelace"))

    wrong, answered = await asyncio.gather(
        searcher.resolve(tenant, search(), EVERYBODY), searcher.resolve(tenant, right, EVERYBODY), return_exceptions=True
    )

    assert isinstance(wrong, InvalidField)
    assert isinstance(answered, pb.ResolveRecordResponse)


async def test_searches_outlive_the_process_that_answers_them(engine: Engine, tenant: Tenant, searcher: Searcher) -> None:
    records = customers(20)
    await put(engine, tenant, *records)
    asked = [search(*record.to_proto().attributes) for record in records]
    await searcher.start()
    for process in multiprocessing.active_children():
        process.kill()

    answers = await asyncio.gather(*(searcher.resolve(tenant, one, EVERYBODY) for one in asked))

    assert all(one.identity for one in answers)
    await searcher.start()
    assert await searcher.resolve(tenant, asked[0], EVERYBODY) == answers[0]


async def test_a_search_looks_past_whom_the_caller_may_not_see(engine: Engine, tenant: Tenant, searcher: Searcher) -> None:
    phone = {"phone": "+12175550143"}
    tom = {"given_name": "Tom", "surname": "Weber", "birth_date": "1980-07-08", **phone}
    ann = {"given_name": "Ann", "surname": "Lister", "birth_date": "1950-01-02", **phone}
    await put(engine, tenant, *(Record("crm", f"{i}", tom) for i in range(40)), Record("crm", "ann", ann))
    await searcher.start()
    toms = search(*Record("crm", "0", tom).to_proto().attributes)
    toms.max_candidates = 1
    seen = await searcher.resolve(tenant, toms, EVERYBODY)

    hidden = await searcher.resolve(tenant, toms, SightWithout(bytes.fromhex(seen.identity.rpartition("/")[2])))

    assert seen.candidates[0].identity == seen.identity
    assert hidden.identity == ""
    assert len(hidden.candidates) == 1
    assert hidden.candidates[0].identity != seen.identity


async def test_searching_follows_the_data_model(engine: Engine, tenant: Tenant, searcher: Searcher) -> None:
    await searcher.start()
    mail = search(record_pb2.AttributeValue(attribute="work_email", text="ada@work.example"))
    assert not (await searcher.resolve(tenant, mail, EVERYBODY)).candidates
    wanted = DataModel((*tenant.data_model.attributes, AttributeDefinition("work_email", SemanticType.EMAIL)))

    await update_data_model(engine, tenant, wanted, (), "ann", Request("", b""))
    await put(engine, tenant, Record("crm", "1", {"work_email": "ada@work.example"}))

    assert (await searcher.resolve(tenant, mail, EVERYBODY)).candidates


async def test_profiles_of_an_older_normaliser_are_made_again(
    engine: Engine, tenant: Tenant, searcher: Searcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = customers(40)
    await put(engine, tenant, *records)
    asked = [search(*record.to_proto().attributes) for record in records]
    before = [await searcher.resolve(tenant, one, EVERYBODY) for one in asked]
    monkeypatch.setattr(tenants, "NORMALISER_VERSION", tenants.NORMALISER_VERSION + 1)
    beside = SqliteStore(tmp_path / "graph", reads_only=True)
    newer = await Engine.open(beside, await open_vault(tmp_path / "keys"), Config(data=tmp_path, search_processes=0))
    newer_searcher = Searcher(newer)

    assert [await newer_searcher.resolve(await newer.tenant("test"), one, EVERYBODY) for one in asked] == before
    await newer_searcher.close()
    await newer.close()
    await beside.close()


async def test_what_is_still_starting_ends_with_the_server(engine: Engine) -> None:
    searcher = Searcher(engine)
    searcher.start_soon()

    await searcher.close()

    assert not multiprocessing.active_children()


async def test_a_setting_of_0_starts_no_process(engine: Engine, tenant: Tenant, tmp_path: Path) -> None:
    engine.config = Config(data=tmp_path, search_processes=0)
    searcher = Searcher(engine)

    await searcher.resolve(tenant, search(record_pb2.AttributeValue(attribute="surname", text="Lovelace")), EVERYBODY)
    await searcher.close()

    assert not multiprocessing.active_children()


async def test_a_store_that_is_only_read_refuses_to_write(engine: Engine, tenant: Tenant, tmp_path: Path) -> None:
    beside = SqliteStore(tmp_path / "graph", reads_only=True)
    async with beside.reader("test") as reader, engine.reader(tenant) as own:
        assert reader.revision == own.revision

    async def work(_: Transaction) -> None: ...

    with pytest.raises(StoreUnavailable):
        await beside.write("test", 0, work)
    await beside.close()
