"""Preparing records beside the server: the same answers there and here, and no message lost with the process."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from goldenthread.cli.demo import simulate_records
from goldenthread.client import Record
from goldenthread.graph.stores.sqlite import SqliteStore
from goldenthread.graph.vault import open_vault
from goldenthread.server.commands import Engine
from goldenthread.server.commands.prepare_record import PreparedUpsert
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.config import Config
from goldenthread.server.errors import InvalidField
from goldenthread.server.services import Preparer
from goldenthread.v1 import record_service_pb2 as pb


@pytest.fixture
async def tenant(tmp_path: Path) -> AsyncIterator[Tenant]:
    store, vault, config = SqliteStore(tmp_path / "graph"), await open_vault(tmp_path / "keys"), Config(data=tmp_path)
    engine = await Engine.open(store, vault, config)
    yield await engine.tenant("test")
    await engine.close()
    await store.close()
    await vault.close()


@pytest.fixture
async def preparer() -> AsyncIterator[Preparer]:
    preparer = Preparer(Config())
    yield preparer
    await preparer.close()


def customers(count: int) -> pb.BatchUpsertRecordsRequest:
    """Write simulated customers, observed at a fixed time, as one message whose third record lacks its source."""
    records = [Record(r.source, r.record_id, {k: v for k, v in r.values.items() if v}) for r in simulate_records(count, seed=3)]
    message = pb.BatchUpsertRecordsRequest(requests=[pb.UpsertRecordRequest(record=r.to_proto()) for r in records[:count]])
    for request in message.requests:
        request.record.observed_at.FromSeconds(1_700_000_000)
    message.requests[2].record.source = ""
    return message


async def test_records_are_prepared_alike_in_the_other_process(tenant: Tenant, preparer: Preparer) -> None:
    message = customers(80)
    here = [preparer.prepare(tenant, request) for request in message.requests]
    await preparer.start()

    there = await preparer.prepare_all(tenant, message)

    assert [one for one in there if isinstance(one, PreparedUpsert)] == [one for one in here if isinstance(one, PreparedUpsert)]
    assert sum(isinstance(one, PreparedUpsert) for one in there) == len(message.requests) - 1
    wrong = there[2]
    assert isinstance(wrong, InvalidField)
    assert wrong.field == "record.source"


async def test_a_message_outlives_the_process_that_prepares_it(tenant: Tenant, preparer: Preparer) -> None:
    message = customers(80)
    await preparer.start()
    for process in multiprocessing.active_children():
        process.kill()

    prepared = await asyncio.gather(*(preparer.prepare_all(tenant, message) for _ in range(3)))

    assert [sum(isinstance(one, PreparedUpsert) for one in answer) for answer in prepared] == [len(message.requests) - 1] * 3
    await preparer.start()
    assert len(await preparer.prepare_all(tenant, message)) == len(message.requests)


async def test_a_caller_that_leaves_does_not_leave_its_answer_to_the_next(tenant: Tenant, preparer: Preparer) -> None:
    await preparer.start()
    leaving = asyncio.create_task(preparer.prepare_all(tenant, customers(300)))
    await asyncio.sleep(0)
    leaving.cancel()

    prepared = await preparer.prepare_all(tenant, customers(80))

    assert leaving.cancelled()
    assert sum(isinstance(one, PreparedUpsert) for one in prepared) == len(customers(80).requests) - 1


async def test_small_messages_and_a_setting_of_0_start_no_process(tenant: Tenant) -> None:
    few, none = Preparer(Config()), Preparer(Config(prepare_processes=0))

    await few.prepare_all(tenant, customers(10))
    await none.prepare_all(tenant, customers(80))

    assert not few.is_running
    assert not multiprocessing.active_children()
