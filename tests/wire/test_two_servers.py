"""Servers that share one Neo4j and one folder of keys answer as one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from wire.conftest import StartServer, new_tenant
from wire.partitions import Partition, difference, linked_partition, partition_of
from wire.serving import RunningServer

from goldenthread.client import Client, Record, SourceKey
from goldenthread.client.errors import NotFound
from goldenthread.resolver.scoring import MatchModel

pytestmark = pytest.mark.neo4j

Customers = Callable[[int], list[Record]]
StartTwo = Callable[..., tuple[RunningServer, RunningServer]]

WRITERS = 8


@pytest.fixture
def two_servers(make_server: StartServer, neo4j_store: str) -> StartTwo:
    """Start two servers of one tenant on one Neo4j and one data folder."""

    def start(**settings: object) -> tuple[RunningServer, RunningServer]:
        one = make_server(store=neo4j_store, tenant=new_tenant(), **settings)
        other = make_server(store=neo4j_store, tenant=one.tenant, data=str(one.data), **settings)
        return one, other

    return start


def interlinked(records: Sequence[Record], seed: int) -> list[list[Record]]:
    """Deal records to the writers so that those of one person, which lie together, come from all of them at once."""
    rng = Random(seed)
    parts = [[*records[writer::WRITERS]] for writer in range(WRITERS)]
    for part in parts:  # close to each other in time, and not in the same order everywhere
        for at in range(0, len(part), 16):
            block = part[at : at + 16]
            rng.shuffle(block)
            part[at : at + 16] = block
    return parts


def load_from_all(servers: Sequence[RunningServer], parts: Sequence[Sequence[Record]], records_per_chunk: int) -> Partition:
    """Load each part by a writer of its own, every other one on the same server, and read what became of them."""

    def write(writer: int) -> None:
        with servers[writer % len(servers)].client() as client:
            for result in client.upsert_stream(parts[writer], records_per_chunk=records_per_chunk):
                assert result.error is None

    with ThreadPoolExecutor(len(parts)) as pool:
        list(pool.map(write, range(len(parts))))
    with servers[0].client() as client:
        return partition_of(client)


def linked(client: Client, records: Sequence[Record]) -> Partition:
    return linked_partition(records, client.get_data_model(), MatchModel.from_json(client.get_match_model().artefact))


@pytest.mark.parametrize("records_per_chunk", [1, 25])
def test_two_servers_with_eight_writers_make_what_link_makes(
    two_servers: StartTwo, customers: Customers, records_per_chunk: int
) -> None:
    servers = two_servers(batch_records=25)
    records = customers(600)

    loaded = load_from_all(servers, interlinked(records, 1), records_per_chunk)

    with servers[1].client() as client:
        assert difference(loaded, linked(client, records)) == [[], []]
        assert loaded == partition_of(client)


@pytest.mark.slow
@pytest.mark.parametrize("batch_records", [50, 2000])
def test_two_servers_with_eight_writers_make_what_link_makes_of_20000_records(
    two_servers: StartTwo, customers: Customers, batch_records: int
) -> None:
    servers = two_servers(batch_records=batch_records)
    records = customers(20_000)

    loaded = load_from_all(servers, interlinked(records, 2), min(batch_records, 500))

    with servers[1].client() as client:
        assert difference(loaded, linked(client, records)) == [[], []]


def test_corrections_and_deletions_at_two_servers_leave_what_remains(two_servers: StartTwo, customers: Customers) -> None:
    servers = two_servers(batch_records=10)
    records = customers(240)
    load_from_all(servers, interlinked(records, 3), 10)
    now = dt.datetime.now(dt.UTC)
    corrected = [replace(record, attributes=like.attributes, observed_at=now) for record, like in pairwise(records[:81])]

    def delete(at: int) -> None:
        with servers[at % 2].client() as client:
            for record in records[80 + at : 160 : 2]:
                client.delete_record(SourceKey(record.source, record.source_record_id))

    with ThreadPoolExecutor(3) as pool:
        deleting = [pool.submit(delete, at) for at in range(2)]
        loaded = load_from_all(servers, interlinked(corrected, 4), 4)
        for one in deleting:
            one.result()

    with servers[0].client() as client, servers[1].client() as other:
        left = [*corrected, *records[160:]]
        loaded = partition_of(client)
        assert difference(loaded, linked(client, left)) == [[], []]
        for record in records[80:160:20]:
            with pytest.raises(NotFound):
                other.get_record(SourceKey(record.source, record.source_record_id))


def test_what_one_server_deletes_the_other_can_no_longer_open(two_servers: StartTwo, customers: Customers) -> None:
    one, other = two_servers()
    record = customers(1)[0]
    key = SourceKey(record.source, record.source_record_id)
    with one.client() as writer, other.client() as reader:
        writer.upsert_record(record)
        assert reader.get_record(key).record.source_record_id == record.source_record_id

        writer.delete_record(key)

        with pytest.raises(NotFound):
            reader.get_record(key)


def test_a_request_sent_again_to_the_other_server_is_answered_as_before(two_servers: StartTwo, customers: Customers) -> None:
    one, other = two_servers()
    first, second = customers(2)
    with one.client() as a, other.client() as b:
        answer = a.upsert_record(first, request_id="a request")
        b.upsert_record(second)

        assert b.upsert_record(first, request_id="a request") == answer
