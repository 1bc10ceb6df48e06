"""Whatever order records come in, and however they are batched, the same of them are one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import msgspec
import pytest
from wire.conftest import StartServer, new_tenant
from wire.partitions import Key, Partition, difference, linked_partition, partition_of
from wire.serving import RunningServer

from goldenthread.client import Client, Record, SourceKey
from goldenthread.resolver.scoring import MatchModel

Customers = Callable[[int], list[Record]]

RECORDS = 5_000
ORDERS = 10
RECORDS_PER_CHUNK = (1000, 500, 250, 333, 97, 64, 211, 37, 750, 13)


def load(client: Client, records: Sequence[Record], records_per_chunk: int) -> None:
    """Put records over one stream, and see that each is kept."""
    for result in client.upsert_stream(records, records_per_chunk=records_per_chunk):
        assert result.error is None


def loaded_in_order(server: RunningServer, records: Sequence[Record], seed: int, streams: int = 1) -> Partition:
    """Load records into a new tenant in a random order, over some streams at once, and read what became of them."""
    rng = Random(seed)
    mixed = list(records)
    rng.shuffle(mixed)
    with server.client(tenant=new_tenant()) as client:
        parts = [mixed[at::streams] for at in range(streams)]
        with ThreadPoolExecutor(streams) as pool:
            list(pool.map(lambda part: load(client, part, RECORDS_PER_CHUNK[seed % len(RECORDS_PER_CHUNK)]), parts))
        return partition_of(client)


def assert_same_in_orders(server: RunningServer, records: Sequence[Record], seeds: Sequence[int]) -> None:
    with server.client() as client:
        data_model = client.get_data_model()
        model = MatchModel.from_json(client.get_match_model().artefact)
    linked = linked_partition(records, data_model, model)

    for seed in seeds:
        loaded = loaded_in_order(server, records, seed, streams=1 + seed % 2)

        assert difference(loaded, linked) == [[], []], f"order {seed}"
        assert sum(map(len, loaded)) == len(records)


def test_ten_orders_give_the_partition_that_link_gives(make_server: StartServer, customers: Customers) -> None:
    server = make_server()

    assert_same_in_orders(server, customers(RECORDS), range(ORDERS))


@pytest.mark.neo4j
def test_two_orders_give_the_partition_that_link_gives_on_neo4j(
    make_server: StartServer, neo4j_store: str, customers: Customers
) -> None:
    server = make_server(store=neo4j_store)

    assert_same_in_orders(server, customers(RECORDS), range(2))


@pytest.mark.slow
@pytest.mark.neo4j
def test_ten_orders_give_the_partition_that_link_gives_on_neo4j(
    make_server: StartServer, neo4j_store: str, customers: Customers
) -> None:
    server = make_server(store=neo4j_store)

    assert_same_in_orders(server, customers(RECORDS), range(ORDERS))


def model_with_generic_limit(folder: Path, limit: int) -> str:
    """Write the shipped model with another generic limit, as the setting match_model names it."""
    file = folder / f"limit-{limit}.json"
    file.write_bytes(msgspec.structs.replace(MatchModel.shipped(), generic_limit=limit).to_json())
    return str(file)


@pytest.mark.parametrize("limit", [2, 5])
def test_keys_that_become_generic_on_the_way_leave_no_trace_of_the_order(
    make_server: StartServer, store_kind: str, store_url: str, customers: Customers, tmp_path: Path, limit: int
) -> None:
    server = make_server(store=store_url, match_model=model_with_generic_limit(tmp_path, limit))
    records, orders = (800, 3) if store_kind == "sqlite" else (300, 2)

    assert_same_in_orders(server, customers(records), range(orders))


@dataclass(frozen=True)
class Step:
    """Something that happens to a record: it is put, or deleted when `record` is None."""

    key: Key
    at: dt.datetime
    record: Record | None


BEGIN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def eventful(records: Sequence[Record], rng: Random) -> list[Step]:
    """Make a history: each record is put, some are changed into something like another record, some are deleted."""
    steps = []
    for at, record in enumerate(records):
        key = (record.source, record.source_record_id)
        versions = [record]
        while rng.random() < 0.35:
            like = records[rng.randrange(len(records))] if rng.random() < 0.5 else records[max(0, at - 1)]
            versions.append(replace(record, attributes=like.attributes, consents=()))
        days = rng.sample(range(200), len(versions))
        steps += [
            Step(key, seen, replace(version, observed_at=seen))
            for version, seen in ((v, BEGIN + dt.timedelta(days=d)) for v, d in zip(versions, days, strict=True))
        ]
        if rng.random() < 0.15:
            steps.append(Step(key, BEGIN + dt.timedelta(days=rng.randrange(200), hours=1), None))
    return steps


def remaining(steps: Sequence[Step]) -> list[Record]:
    """Say what is left: of each record the version observed last, unless it was deleted later."""
    last: dict[Key, Step] = {}
    for step in steps:
        if step.key not in last or step.at > last[step.key].at:
            last[step.key] = step
    return [step.record for step in last.values() if step.record is not None]


def play(client: Client, steps: Sequence[Step], rng: Random) -> None:
    """Let a history happen; a deletion must come when something is there to be deleted."""
    waiting: list[Record] = []
    for step in steps:
        if step.record is not None:
            waiting.append(step.record)
            if len(waiting) < rng.randrange(1, 60):
                continue
        load(client, waiting, 100)
        waiting = []
        if step.record is None:
            client.delete_record(SourceKey(*step.key), observed_at=step.at)
    load(client, waiting, 100)


def arriving(steps: Sequence[Step], rng: Random) -> list[Step]:
    """Mix a history, so that older versions arrive late; no deletion comes before the first version of its record."""
    mixed = list(steps)
    rng.shuffle(mixed)
    seen: set[Key] = set()
    held: dict[Key, list[Step]] = {}
    arrived = []
    for step in mixed:
        if step.record is None and step.key not in seen:
            held.setdefault(step.key, []).append(step)
            continue
        arrived.append(step)
        if step.record is not None and step.key not in seen:
            seen.add(step.key)
            arrived += held.pop(step.key, [])
    return arrived


@pytest.mark.parametrize("seed", range(3))
def test_updates_and_deletions_in_any_order_equal_a_fresh_load_of_what_remains(
    make_server: StartServer, store_kind: str, store_url: str, customers: Customers, tmp_path: Path, seed: int
) -> None:
    server = make_server(store=store_url, match_model=model_with_generic_limit(tmp_path, 4))
    steps = eventful(customers(240 if store_kind == "sqlite" else 80), Random(seed))
    left = remaining(steps)

    with server.client(tenant=new_tenant()) as eventfully, server.client(tenant=new_tenant()) as freshly:
        play(eventfully, arriving(steps, Random(seed + 100)), Random(seed))
        load(freshly, left, 100)

        assert difference(partition_of(eventfully), partition_of(freshly)) == [[], []]
        for record in left:
            kept = eventfully.get_record(SourceKey(record.source, record.source_record_id)).record
            assert kept.observed_at.ToDatetime(dt.UTC) == record.observed_at
