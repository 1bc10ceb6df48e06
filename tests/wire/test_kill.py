"""The server is killed in the middle of a stream, again and again: what it acknowledged is there, and nothing is half there."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import grpc
import pytest
from wire.conftest import StartServer
from wire.partitions import difference, linked_partition, partition_of
from wire.serving import RunningServer, never_whole, rpc_failure

from goldenthread.client import Client, Record, SourceKey
from goldenthread.resolver.scoring import MatchModel
from goldenthread.v1 import record_pb2
from goldenthread.v1 import record_service_pb2 as pb
from goldenthread.v1 import record_service_pb2_grpc as pb_grpc

Customers = Callable[[int], list[Record]]
Answers = dict[str, pb.UpsertRecordResponse]

RECORDS_A_ROUND = 120
RECORDS_A_MESSAGE = 10


def requests_of(records: Sequence[Record]) -> list[pb.UpsertRecordRequest]:
    """Ask to put records, each with a request id of its own that stays the same."""
    return [
        pb.UpsertRecordRequest(record=record.to_proto(), request_id=f"{record.source}-{record.source_record_id}")
        for record in records
    ]


def messages_of(requests: Sequence[pb.UpsertRecordRequest]) -> list[pb.BatchUpsertRecordsRequest]:
    places = range(0, len(requests), RECORDS_A_MESSAGE)
    return [pb.BatchUpsertRecordsRequest(requests=requests[at : at + RECORDS_A_MESSAGE]) for at in places]


def put_until_killed(server: RunningServer, requests: Sequence[pb.UpsertRecordRequest], kill_after: int) -> Answers:
    """Stream requests, kill the server when so many messages are answered, and return what was acknowledged by the end."""
    answers: Answers = {}
    with server.channel() as channel, never_whole(messages_of(requests)) as messages:
        stream = pb_grpc.RecordServiceStub(channel).BatchUpsertRecords(messages, metadata=server.authorized())

        def read() -> None:
            for count, answer in enumerate(stream, 1):
                take(answer, requests, answers)
                if count == kill_after:
                    server.kill()

        assert rpc_failure(read).code is grpc.StatusCode.UNAVAILABLE
    return answers


def put_all(server: RunningServer, requests: Sequence[pb.UpsertRecordRequest]) -> Answers:
    answers: Answers = {}
    with server.channel() as channel:
        messages = iter(messages_of(requests))
        stream = pb_grpc.RecordServiceStub(channel).BatchUpsertRecords(messages, metadata=server.authorized())
        for answer in stream:
            take(answer, requests, answers)
    return answers


def take(answer: pb.BatchUpsertRecordsResponse, requests: Sequence[pb.UpsertRecordRequest], answers: Answers) -> None:
    for result in answer.results:
        assert not result.HasField("error"), result.error.message
        answers[requests[result.index].request_id] = result.response


def said(record: record_pb2.Record) -> record_pb2.Record:
    """Leave of a stored record what its source said."""
    content = record_pb2.Record()
    content.CopyFrom(record)
    for field in ("name", "revision", "recorded_at", "identity", "version_id"):
        content.ClearField(field)
    for attribute in content.attributes:
        attribute.ClearField("type")
    return content


def assert_kept(client: Client, requests: Sequence[pb.UpsertRecordRequest], answers: Answers) -> None:
    for request in requests:
        if request.request_id not in answers:
            continue
        sent = request.record
        kept = client.get_record(SourceKey(sent.source, sent.source_record_id)).record
        assert said(kept) == sent
        assert kept.name == answers[request.request_id].record


def assert_nothing_is_half_there(client: Client) -> int:
    """See that every record opens, and that records and identities name each other; return how many records there are."""
    records = {record.name: record for record in client.list_records(page_size=1000)}
    identities = [identity for identity in client.list_identities(page_size=1000) if identity.records]
    of_identity = {name: identity.name for identity in identities for name in identity.records}

    assert all(record.version_id and record.attributes and record.revision for record in records.values())
    assert {name: record.identity for name, record in records.items()} == of_identity
    return len(records)


def kill_again_and_again(server: RunningServer, records: Sequence[Record], rounds: int) -> None:
    rng = Random(7)
    for at in range(rounds):
        requests = requests_of(records[at * RECORDS_A_ROUND : (at + 1) * RECORDS_A_ROUND])
        answers = put_until_killed(server, requests, kill_after=rng.randint(1, 10))

        server.start()

        with server.client() as client:
            assert_kept(client, requests, answers)
            assert assert_nothing_is_half_there(client) >= at * RECORDS_A_ROUND + len(answers)
        again = put_all(server, requests)
        assert {id: again[id] for id in answers} == answers
        assert len(again) == len(requests)
    with server.client() as client:
        data_model, model = client.get_data_model(), MatchModel.from_json(client.get_match_model().artefact)
        put = records[: rounds * RECORDS_A_ROUND]
        assert difference(partition_of(client), linked_partition(put, data_model, model)) == [[], []]


def test_twenty_kills_lose_nothing(make_server: StartServer, customers: Customers) -> None:
    kill_again_and_again(make_server(), customers(20 * RECORDS_A_ROUND), 20)


@pytest.mark.neo4j
def test_four_kills_lose_nothing_on_neo4j(make_server: StartServer, neo4j_store: str, customers: Customers) -> None:
    kill_again_and_again(make_server(store=neo4j_store), customers(20 * RECORDS_A_ROUND), 4)


@pytest.mark.slow
@pytest.mark.neo4j
def test_twenty_kills_lose_nothing_on_neo4j(make_server: StartServer, neo4j_store: str, customers: Customers) -> None:
    kill_again_and_again(make_server(store=neo4j_store), customers(20 * RECORDS_A_ROUND), 20)


def test_a_kill_during_deletions_leaves_each_record_whole_or_gone(
    make_server: StartServer, store_url: str, customers: Customers
) -> None:
    server = make_server(store=store_url)
    requests = requests_of(customers(60))
    answers = put_all(server, requests)
    names = [answers[request.request_id].record for request in requests]
    gone: list[str] = []
    stub_calls = []
    with server.channel() as channel:
        stub = pb_grpc.RecordServiceStub(channel)
        for name in names[:30]:
            request = pb.DeleteRecordRequest(name=name, request_id=f"delete-{name[-8:]}")
            stub_calls.append((name, stub.DeleteRecord.future(request, metadata=server.authorized())))
        stub_calls[4][1].result()
        server.kill()
        for name, call in stub_calls:
            if call.code() is grpc.StatusCode.OK:
                gone.append(name)

    server.start()

    with server.client() as client:
        assert_nothing_is_half_there(client)
        left = {record.name for record in client.list_records()}
        assert set(names[30:]) <= left
        assert not left & set(gone)
        assert len(gone) >= 1
    assert {id: answer.record for id, answer in put_all(server, requests).items()} == {
        id: answer.record for id, answer in answers.items()
    }


def test_no_process_outlives_a_server_that_is_killed(make_server: StartServer) -> None:
    server = make_server()
    with server.client() as client:
        records = [Record("crm", str(i), {"surname": f"Smith{i}"}) for i in range(2_000)]
        assert all(result.error is None for result in client.upsert_stream(records))
    assert server.process is not None
    tasks = Path(f"/proc/{server.process.pid}/task").iterdir()
    helpers = [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
    watched = [os.pidfd_open(pid) for pid in helpers]

    server.kill()

    assert helpers
    for handle in watched:
        ended, _, _ = select.select([handle], [], [], 120)
        assert ended
        os.close(handle)
