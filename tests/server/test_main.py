"""The running server: who gets in, what fails how, and how it stops."""

from __future__ import annotations

import asyncio
import datetime
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from goldenthread.graph.errors import StoreInUse, StoreUnavailable
from goldenthread.server import main
from goldenthread.server.access import current_caller, key_set_of, make_token
from goldenthread.server.calls import WholeWrites
from goldenthread.server.config import ConfigError
from goldenthread.server.contract import SERVICES
from goldenthread.server.errors import InvalidField
from goldenthread.server.tls import make_certificate
from goldenthread.v1 import record_service_pb2 as pb
from goldenthread.v1 import record_service_pb2_grpc as pb_grpc
from goldenthread.v1.record_pb2 import AttributeValue, Record

StartServer = Callable[..., AbstractAsyncContextManager[Any]]
"""The fixture of conftest.py: it starts a server with settings."""

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def reason_of(error: grpc.aio.AioRpcError) -> str:
    trailers = dict(error.trailing_metadata())
    status, info = Status(), ErrorInfo()
    status.ParseFromString(trailers["grpc-status-details-bin"])
    assert status.details[0].Unpack(info)
    return info.reason.removeprefix("ERROR_REASON_")


async def test_a_call_with_a_token_reaches_the_service_as_its_caller(start_server: StartServer) -> None:
    seen = []

    async def look() -> None:
        seen.append(current_caller())

    async with start_server() as server, grpc.aio.insecure_channel(server.started.address) as channel:
        server.application.records.behaviour = look
        await pb_grpc.RecordServiceStub(channel).GetRecord(pb.GetRecordRequest(), metadata=server.authorized("reader"))

    assert [(caller.subject, caller.tenant, caller.role) for caller in seen] == [("tester", "default", "reader")]


async def test_a_call_without_a_token_is_refused_with_its_reason(start_server: StartServer) -> None:
    async with start_server() as server, grpc.aio.insecure_channel(server.started.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await pb_grpc.RecordServiceStub(channel).GetRecord(pb.GetRecordRequest())

    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert reason_of(caught.value) == "UNAUTHENTICATED"


async def test_a_reader_may_not_put_records(start_server: StartServer) -> None:
    async with start_server() as server, grpc.aio.insecure_channel(server.started.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await pb_grpc.RecordServiceStub(channel).UpsertRecord(
                pb.UpsertRecordRequest(), metadata=server.authorized("reader")
            )

    assert reason_of(caught.value) == "PERMISSION_DENIED"


async def test_the_printed_token_is_an_administrators(start_server: StartServer) -> None:
    async with start_server(default_tenant="acme") as server, grpc.aio.insecure_channel(server.started.address) as channel:
        token = server.started.token_file.read_text().strip()

        response = await pb_grpc.RecordServiceStub(channel).UpsertRecord(
            pb.UpsertRecordRequest(), metadata=(("authorization", f"Bearer {token}"),)
        )

    assert response.changed


async def test_an_error_of_a_handler_comes_with_its_details(start_server: StartServer) -> None:
    async def fail() -> None:
        raise InvalidField("record.source", "is required")

    async with start_server() as server, grpc.aio.insecure_channel(server.started.address) as channel:
        server.application.records.behaviour = fail
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await pb_grpc.RecordServiceStub(channel).GetRecord(pb.GetRecordRequest(), metadata=server.authorized())

    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert reason_of(caught.value) == "INVALID_FIELD"


async def test_a_defect_does_not_show_its_text(start_server: StartServer) -> None:
    async def fail() -> None:
        raise RuntimeError("Konrad Zuse")

    async with start_server() as server, grpc.aio.insecure_channel(server.started.address) as channel:
        server.application.records.behaviour = fail
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await pb_grpc.RecordServiceStub(channel).GetRecord(pb.GetRecordRequest(), metadata=server.authorized())

    assert reason_of(caught.value) == "INTERNAL"
    assert "Zuse" not in str(caught.value.details())


async def test_a_call_whose_time_is_up_is_cancelled(start_server: StartServer) -> None:
    cancelled = asyncio.Event()

    async def wait_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with start_server() as server, grpc.aio.insecure_channel(server.started.address) as channel:
        server.application.records.behaviour = wait_for_ever
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await pb_grpc.RecordServiceStub(channel).GetRecord(pb.GetRecordRequest(), metadata=server.authorized(), timeout=0.2)
        await asyncio.wait_for(cancelled.wait(), 60)

    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_caller_over_its_rate_is_refused(start_server: StartServer) -> None:
    async with start_server(max_calls_per_second=1) as server, grpc.aio.insecure_channel(server.started.address) as channel:
        stub = pb_grpc.RecordServiceStub(channel)
        metadata = server.authorized()
        await stub.GetRecord(pb.GetRecordRequest(), metadata=metadata)

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetRecord(pb.GetRecordRequest(), metadata=metadata)

    assert reason_of(caught.value) == "RATE_LIMITED"


async def test_a_message_over_the_limit_is_refused(start_server: StartServer) -> None:
    async with start_server(max_message_bytes=1024) as server, grpc.aio.insecure_channel(server.started.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await pb_grpc.RecordServiceStub(channel).UpsertRecord(
                pb.UpsertRecordRequest(request_id="x" * 2000), metadata=server.authorized()
            )

    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_reflection_lists_every_service(start_server: StartServer) -> None:
    async def ask() -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    async with start_server() as server, grpc.aio.insecure_channel(server.started.address) as channel:
        stream = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(ask())
        listed = {service.name async for answer in stream for service in answer.list_services_response.service}

    assert listed == {*SERVICES, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}


@pytest.mark.parametrize("service", ["", "goldenthread.v1.RecordService"])
async def test_health_says_serving_once_the_store_was_opened(start_server: StartServer, service: str) -> None:
    async with start_server() as server, grpc.aio.insecure_channel(server.started.address) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))

    assert answer.status == SERVING


class AbsentStore:
    """A store that can't be reached until it is let back."""

    name = "sqlite"
    capabilities: frozenset[object] = frozenset()

    def __init__(self) -> None:
        self.is_back = asyncio.Event()

    async def open(self, url: str) -> AbsentStore:
        await self.check()
        return self

    async def check(self) -> None:
        if not self.is_back.is_set():
            raise StoreUnavailable("neo4j", "connection refused")

    async def close(self) -> None:
        return None


@pytest.fixture
async def absent_store(monkeypatch: pytest.MonkeyPatch) -> AbsentStore:
    store = AbsentStore()
    monkeypatch.setattr(main, "open_store", store.open)
    return store


async def next_status(watch: grpc.aio.UnaryStreamCall) -> int:
    return (await asyncio.wait_for(anext(aiter(watch)), 60)).status


async def test_with_the_store_away_the_server_starts_and_says_so_and_serves_once_it_is_back(
    start_server: StartServer, absent_store: AbsentStore
) -> None:
    async with start_server() as server, grpc.aio.insecure_channel(server.started.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        at_start = await next_status(watch)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await pb_grpc.RecordServiceStub(channel).GetRecord(pb.GetRecordRequest(), metadata=server.authorized())

        absent_store.is_back.set()
        afterwards = await next_status(watch)
        await pb_grpc.RecordServiceStub(channel).GetRecord(pb.GetRecordRequest(), metadata=server.authorized())

    assert (at_start, afterwards) == (NOT_SERVING, SERVING)
    assert not server.started.is_serving
    assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")


async def test_with_neo4j_down_the_server_starts_says_so_and_stops_when_told(start_server: StartServer) -> None:
    async with (
        start_server(store="neo4j://user:secret@127.0.0.1:1") as server,
        grpc.aio.insecure_channel(server.started.address) as channel,
    ):
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await pb_grpc.RecordServiceStub(channel).GetRecord(pb.GetRecordRequest(), metadata=server.authorized())

    assert (answer.status, server.started.store) == (NOT_SERVING, "neo4j://127.0.0.1:1")
    assert reason_of(caught.value) == "STORE_UNAVAILABLE"


async def test_a_store_that_is_lost_and_comes_back_is_seen_in_health(
    start_server: StartServer, absent_store: AbsentStore
) -> None:
    absent_store.is_back.set()
    async with (
        start_server(health_interval_seconds=0.05) as server,
        grpc.aio.insecure_channel(server.started.address) as channel,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        seen = [await next_status(watch)]

        absent_store.is_back.clear()
        seen.append(await next_status(watch))
        absent_store.is_back.set()
        seen.append(await next_status(watch))

    assert seen == [SERVING, NOT_SERVING, SERVING]


async def test_stopping_lets_a_call_in_flight_end(start_server: StartServer) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def take_a_while() -> None:
        begun.set()
        await go_on.wait()

    async with start_server() as server, grpc.aio.insecure_channel(server.started.address) as channel:
        server.application.records.behaviour = take_a_while
        call = asyncio.ensure_future(
            pb_grpc.RecordServiceStub(channel).UpsertRecord(pb.UpsertRecordRequest(), metadata=server.authorized())
        )
        await begun.wait()

        server.stop.set()
        go_on.set()
        response = await call
        await server.ended

    assert response.changed
    assert server.application.was_closed


async def test_stopping_answers_what_a_stream_has_sent_and_then_ends_it(start_server: StartServer) -> None:
    async with start_server(shutdown_grace_seconds=120) as server, grpc.aio.insecure_channel(server.started.address) as channel:
        stream = pb_grpc.RecordServiceStub(channel).BatchUpsertRecords(metadata=server.authorized())
        await stream.write(pb.BatchUpsertRecordsRequest(requests=[pb.UpsertRecordRequest()] * 3))
        answered = await stream.read()

        server.stop.set()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.read()
        await asyncio.wait_for(server.ended, 60)

    assert len(answered.results) == 3
    assert reason_of(caught.value) == "SHUTTING_DOWN"


async def test_a_watcher_of_health_does_not_hold_the_server(start_server: StartServer) -> None:
    async with start_server(shutdown_grace_seconds=120) as server, grpc.aio.insecure_channel(server.started.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        await next_status(watch)

        server.stop.set()

        await asyncio.wait_for(server.ended, 60)


async def test_a_write_that_was_begun_is_waited_for_when_who_writes_is_cancelled() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    written: list[object] = []

    class Slow:
        async def write(self, message: object) -> None:
            begun.set()
            await go_on.wait()
            written.append(message)

    writes = WholeWrites(cast(Any, Slow()))
    writing = asyncio.ensure_future(writes.write(health_pb2.HealthCheckResponse()))
    await begun.wait()

    writing.cancel()
    ending = asyncio.ensure_future(writes.end())
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert not ending.done()
    go_on.set()
    await ending

    assert written == [health_pb2.HealthCheckResponse()]


async def test_health_says_not_serving_while_calls_in_flight_end(start_server: StartServer) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def take_a_while() -> None:
        begun.set()
        await go_on.wait()

    async with (
        start_server(health_interval_seconds=0.01) as server,
        grpc.aio.insecure_channel(server.started.address) as channel,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        seen = [await next_status(watch)]
        server.application.records.behaviour = take_a_while
        call = asyncio.ensure_future(
            pb_grpc.RecordServiceStub(channel).GetRecord(pb.GetRecordRequest(), metadata=server.authorized())
        )
        await begun.wait()

        server.stop.set()
        seen += [answer.status async for answer in watch]
        go_on.set()
        await call

    assert seen == [SERVING, NOT_SERVING]


async def raw_call(channel: grpc.aio.Channel, method: str, body: bytes, metadata: tuple[tuple[str, str], ...]) -> bytes:
    call = channel.unary_unary(f"/goldenthread.v1.RecordService/{method}")
    return await call(body, metadata=metadata)


async def test_text_that_is_not_utf8_is_named_by_its_field(start_server: StartServer) -> None:
    record = Record(
        source="crm", source_record_id="42", attributes=[AttributeValue(), AttributeValue(attribute="a", text="\x7f\x7f")]
    )
    body = pb.UpsertRecordRequest(record=record).SerializeToString().replace(b"\x7f\x7f", b"\xff\xfe")
    async with start_server() as server, grpc.aio.insecure_channel(server.started.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await raw_call(channel, "UpsertRecord", body, server.authorized())

    assert reason_of(caught.value) == "INVALID_FIELD"
    assert caught.value.details() == "The field record.attributes[1].text must be UTF-8 text."


@pytest.mark.parametrize("body", [b"\xff", b"\x0a\x7fabc", b"\x0b\x0b"])
async def test_bytes_that_are_no_message_are_refused(start_server: StartServer, body: bytes) -> None:
    async with start_server() as server, grpc.aio.insecure_channel(server.started.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await raw_call(channel, "UpsertRecord", body, server.authorized())

    assert caught.value.details() == "The field request is no goldenthread.v1.UpsertRecordRequest message."


async def test_a_stream_with_a_message_that_cannot_be_read_answers_what_came_before(start_server: StartServer) -> None:
    good = pb.BatchUpsertRecordsRequest(requests=[pb.UpsertRecordRequest()] * 2).SerializeToString()
    bad = pb.BatchUpsertRecordsRequest(requests=[pb.UpsertRecordRequest(request_id="\x7f")]).SerializeToString()
    async with start_server() as server, grpc.aio.insecure_channel(server.started.address) as channel:
        stream = channel.stream_stream("/goldenthread.v1.RecordService/BatchUpsertRecords")(metadata=server.authorized())
        await stream.write(good)
        await stream.write(bad.replace(b"\x7f", b"\xff"))

        answered = pb.BatchUpsertRecordsResponse.FromString(await stream.read())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.read()

    assert len(answered.results) == 2
    assert caught.value.details() == "The field requests[0].request_id must be UTF-8 text."


async def test_a_data_folder_that_another_server_uses_is_refused(start_server: StartServer) -> None:
    async with start_server():
        with pytest.raises(StoreInUse):
            async with start_server():
                pass


async def test_a_data_folder_that_cannot_be_made_is_named(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError) as caught:
        async with start_server(data=str(tmp_path / "file" / "data")):
            pass

    assert caught.value.setting == "data"


async def test_a_port_in_use_is_named(start_server: StartServer) -> None:
    async with start_server() as server:
        with pytest.raises(ConfigError) as caught:
            async with start_server(listen=server.started.address, data=str(server.config.data / "other")):
                pass

    assert caught.value.setting == "listen"


async def test_a_store_url_of_an_unknown_kind_is_named(start_server: StartServer) -> None:
    with pytest.raises(ConfigError) as caught:
        async with start_server(store="oracle://db.example"):
            pass

    assert caught.value.setting == "store"
    assert "neo4j, sqlite" in str(caught.value)


def test_the_stores_that_are_named_can_be_found() -> None:
    names = {point.name for point in entry_points(group="goldenthread.stores") if isinstance(point, EntryPoint)}

    assert names >= {"sqlite", "neo4j"}


async def test_tls_and_an_issuers_tokens_serve_beyond_loopback(
    start_server: StartServer, tmp_path: Path, signer: Ed25519PrivateKey
) -> None:
    cert, key = make_certificate(tmp_path / "tls", ["localhost"], datetime.datetime.now(datetime.UTC))
    key_set = tmp_path / "jwks.json"
    key_set.write_text(json.dumps(key_set_of(signer)))
    settings = {"listen": "0.0.0.0:0", "tls_cert": str(cert), "tls_key": str(key), "auth": "jwks", "jwks": str(key_set)}
    token = make_token(signer, subject="crm", tenant="acme", role="reader", seconds=60, issuer="https://id.example")

    async with start_server(**settings, issuer="https://id.example") as server:
        target = f"localhost:{server.started.address.rpartition(':')[2]}"
        credentials = grpc.ssl_channel_credentials(cert.read_bytes())
        async with grpc.aio.secure_channel(target, credentials) as channel:
            await pb_grpc.RecordServiceStub(channel).GetRecord(
                pb.GetRecordRequest(), metadata=(("authorization", f"Bearer {token}"),)
            )

    assert server.started.token_file is None


async def test_with_a_client_authority_a_caller_without_certificate_is_not_let_in(
    start_server: StartServer, tmp_path: Path
) -> None:
    cert, key = make_certificate(tmp_path / "tls", ["localhost"], datetime.datetime.now(datetime.UTC))
    async with start_server(tls_cert=str(cert), tls_key=str(key), tls_client_ca=str(cert)) as server:
        target = f"localhost:{server.started.address.rpartition(':')[2]}"
        without = grpc.ssl_channel_credentials(cert.read_bytes())
        with_one = grpc.ssl_channel_credentials(cert.read_bytes(), key.read_bytes(), cert.read_bytes())
        async with grpc.aio.secure_channel(target, with_one) as channel:
            await pb_grpc.RecordServiceStub(channel).GetRecord(pb.GetRecordRequest(), metadata=server.authorized())

        async with grpc.aio.secure_channel(target, without) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await pb_grpc.RecordServiceStub(channel).GetRecord(
                    pb.GetRecordRequest(), metadata=server.authorized(), timeout=5
                )

    assert caught.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


async def test_metrics_count_calls_by_code_and_records_by_outcome(start_server: StartServer) -> None:
    async with (
        start_server(metrics_listen="127.0.0.1:0") as server,
        grpc.aio.insecure_channel(server.started.address) as channel,
    ):
        stream = pb_grpc.RecordServiceStub(channel).BatchUpsertRecords(metadata=server.authorized())
        await stream.write(pb.BatchUpsertRecordsRequest(requests=[pb.UpsertRecordRequest()] * 3))
        await stream.done_writing()
        _ = [answer async for answer in stream]
        with pytest.raises(grpc.aio.AioRpcError):
            await pb_grpc.RecordServiceStub(channel).GetRecord(pb.GetRecordRequest())

        refused = 'code="UNAUTHENTICATED",method="/goldenthread.v1.RecordService/GetRecord"} 1.0'
        async with asyncio.timeout(60):  # a call is counted once it was answered
            while refused not in (text := await scrape(server.started.metrics_address)):
                pass

    assert 'goldenthread_records_total{outcome="changed"} 3.0' in text
    assert "goldenthread_serving 1.0" in text


async def scrape(address: str) -> str:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
    text = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return text
