"""The server is asked to stop while it is at work; calls come to their end, and deadlines are held."""

from __future__ import annotations

import queue
import signal
from collections.abc import Callable, Iterator

import grpc
from wire.conftest import StartServer
from wire.serving import RunningServer, never_whole, rpc_failure

from goldenthread.client import Record, Retry
from goldenthread.v1 import record_service_pb2 as pb
from goldenthread.v1 import record_service_pb2_grpc as pb_grpc

Customers = Callable[[int], list[Record]]


def test_a_stream_during_a_shutdown_is_answered_or_told_to_come_again(
    make_server: StartServer, store_url: str, customers: Customers
) -> None:
    server = make_server(store=store_url)
    requests = [pb.UpsertRecordRequest(record=record.to_proto()) for record in customers(3000)]
    sent = [pb.BatchUpsertRecordsRequest(requests=requests[at : at + 50]) for at in range(0, len(requests), 50)]
    acknowledged: list[str] = []

    with server.channel() as channel, never_whole(sent) as messages:
        stream = pb_grpc.RecordServiceStub(channel).BatchUpsertRecords(messages, metadata=server.authorized())

        def read() -> None:
            nonlocal acknowledged
            for answer in stream:
                assert not any(result.HasField("error") for result in answer.results)
                acknowledged += [result.response.record for result in answer.results]
                if len(acknowledged) == 200:
                    server.signal(signal.SIGTERM)

        error = rpc_failure(read)
    assert server.stop() == 0

    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_SHUTTING_DOWN")
    assert 200 <= len(acknowledged) < len(requests)
    server.start()
    with server.client() as client:
        assert [client.get_record(name).record.name for name in acknowledged] == acknowledged
    assert "incident" not in server.log()


def test_an_open_stream_that_waits_does_not_hold_a_shutdown_up(make_server: StartServer, store_url: str) -> None:
    server = make_server(store=store_url, shutdown_grace_seconds=20)
    outbox: queue.SimpleQueue[pb.BatchUpsertRecordsRequest | None] = queue.SimpleQueue()
    outbox.put(pb.BatchUpsertRecordsRequest(requests=[pb.UpsertRecordRequest(record=Record("crm", "1").to_proto())]))

    with server.channel() as channel:
        stream = pb_grpc.RecordServiceStub(channel).BatchUpsertRecords(iter(outbox.get, None), metadata=server.authorized())
        assert next(stream).results[0].response.changed
        code = server.stop()
        outbox.put(None)

    assert code == 0
    assert '"stopped"' in server.log()


def test_a_client_goes_on_by_itself_after_a_restart(make_server: StartServer, store_url: str, customers: Customers) -> None:
    server = make_server(store=store_url)
    records = customers(1500)

    def restarting() -> Iterator[Record]:
        for at, record in enumerate(records):
            if at == 700:
                server.kill()
                server.start()
            yield record

    with server.client(retry=Retry()) as client:
        results = list(client.upsert_stream(restarting(), records_per_chunk=50))

        assert [result.error for result in results] == [None] * len(records)
        assert len({result.record for result in results}) == len(records)
        assert len(list(client.list_records(page_size=1000))) == len(records)


def test_a_deadline_that_is_past_is_told_and_harms_nothing(server: RunningServer) -> None:
    request = pb.UpsertRecordRequest(record=Record("crm", "1", {"surname": "Lovelace"}).to_proto(), request_id="one")
    with server.channel() as channel:
        stub = pb_grpc.RecordServiceStub(channel)
        error = rpc_failure(lambda: stub.UpsertRecord(request, metadata=server.authorized(), timeout=0.0001))
        answer = stub.UpsertRecord(request, metadata=server.authorized(), timeout=30)

    assert error.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert answer.record


def test_a_stream_that_waits_ends_at_its_deadline(server: RunningServer) -> None:
    outbox: queue.SimpleQueue[pb.BatchUpsertRecordsRequest | None] = queue.SimpleQueue()

    with server.channel() as channel:
        stub = pb_grpc.RecordServiceStub(channel)
        stream = stub.BatchUpsertRecords(iter(outbox.get, None), metadata=server.authorized(), timeout=0.5)
        error = rpc_failure(lambda: next(stream))
        outbox.put(None)

    assert error.code is grpc.StatusCode.DEADLINE_EXCEEDED
