"""What the server stands on fails: a full disk, keys that do not fit, a database that is away. Nothing acknowledged is lost."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2
from wire.conftest import OwnNeo4j, StartServer

from goldenthread.client import Client, GoldenThreadError, Record, SourceKey
from goldenthread.client.errors import DeadlineExceeded, Retryable, StoreFull, StoreUnavailable

Customers = Callable[[int], list[Record]]

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
DISK_BYTES = 3 << 20


def put_until_refused(client: Client, records: Sequence[Record]) -> tuple[list[str], GoldenThreadError]:
    """Put records one by one until one is refused; return what was acknowledged, and the refusal."""
    acknowledged = []
    for record in records:
        try:
            acknowledged.append(client.upsert_record(record).record)
        except GoldenThreadError as error:
            return acknowledged, error
    raise AssertionError("nothing was refused")


def big(count: int) -> list[Record]:
    """Records of different people that take much room."""
    return [Record("crm", f"big-{n}", {"surname": f"Big{n}", "note": secrets.token_hex(8_000)}) for n in range(count)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes; only root can make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("a small disk can't be mounted here: it takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_refuses_and_keeps_what_was_acknowledged(make_server: StartServer, small_disk: Path) -> None:
    server = make_server(data=str(small_disk / "data"))

    with server.client() as client:
        acknowledged, error = put_until_refused(client, big(1000))
        again = put_until_refused(client, big(1000)[len(acknowledged) :])[1]
        names = [client.get_record(name).record.name for name in acknowledged]

    assert {(type(one), one.code, one.reason) for one in (error, again)} == {
        (StoreFull, grpc.StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_STORE_FULL")
    }
    assert "make space" in error.message
    assert len(acknowledged) > 10
    assert names == acknowledged
    server.kill()
    subprocess.run(["mount", "-o", f"remount,size={4 * DISK_BYTES}", str(small_disk)], check=True)
    server.start()
    with server.client() as client:
        assert [client.get_record(name).record.name for name in acknowledged] == acknowledged
        assert client.upsert_record(big(len(acknowledged) + 1)[-1]).changed
    assert "incident" not in server.log()


def test_a_stream_onto_a_full_disk_ends_with_its_reason(make_server: StartServer, small_disk: Path) -> None:
    server = make_server(data=str(small_disk / "data"))
    acknowledged: list[str] = []

    def put() -> None:
        for result in client.upsert_stream(big(1000), records_per_chunk=20):
            assert result.error is None
            acknowledged.append(result.record)

    with server.client() as client:
        with pytest.raises(StoreFull, match="make space"):
            put()
        assert [client.get_record(name).record.name for name in acknowledged] == acknowledged
    assert "incident" not in server.log()


def test_a_file_that_may_not_grow_refuses_and_keeps_what_was_acknowledged(make_server: StartServer) -> None:
    server = make_server(file_bytes=2 << 20)

    with server.client() as client:
        acknowledged, error = put_until_refused(client, big(1000))
        names = [client.get_record(name).record.name for name in acknowledged]

    assert isinstance(error, Retryable)
    assert names == acknowledged
    assert "incident" not in server.log()


def test_a_deletion_that_is_refused_leaves_a_record_that_can_be_put_and_read(make_server: StartServer) -> None:
    server = make_server(file_bytes=2 << 20)
    with server.client() as client:
        acknowledged, _ = put_until_refused(client, big(1000))
        refused = [refused_deletion(client, name) for name in acknowledged]
    assert any(refused)
    server.kill()
    server.file_bytes = None

    server.start()

    with server.client() as client:
        for record, name, was_refused in zip(big(len(acknowledged)), acknowledged, refused, strict=True):
            if was_refused:
                assert client.get_record(name).record.name == name
                client.upsert_record(record)
                assert client.get_record(name).record.identity


def refused_deletion(client: Client, name: str) -> bool:
    """Delete a record; say whether that was refused."""
    try:
        client.delete_record(name)
    except Retryable:
        return True
    return False


def serve_in_vain(data: Path, *settings: str) -> tuple[int, str]:
    """Start `goldenthread serve` where it can't start; return its exit code and what it said."""
    command = [sys.executable, "-m", "goldenthread.cli.main", "serve", "--listen", "127.0.0.1:0", "--data", str(data)]
    done = subprocess.run([*command, *settings], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def test_another_root_key_is_refused_and_the_right_one_still_opens(make_server: StartServer) -> None:
    server = make_server()
    with server.client() as client:
        name = client.upsert_record(Record("crm", "1", {"surname": "Lovelace"})).record
    server.stop()
    root_key = server.data / "keys" / "root.key"
    right = root_key.read_bytes()
    make_server().stop()
    root_key.write_bytes((server.folder.parent / "server2" / "data" / "keys" / "root.key").read_bytes())

    code, said = serve_in_vain(server.data)

    assert code not in (0, None)
    assert "does not open this key store; give the key it was made with" in said
    assert "Traceback" not in said
    root_key.write_bytes(right)
    server.start()
    with server.client() as client:
        assert client.get_record(name).record.name == name


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda key: key.chmod(0o644), "chmod 600"),
        (lambda key: key.write_bytes(b"no key"), "root.key"),
        (lambda key: key.unlink(), "root.key"),
    ],
    ids=["readable by others", "damaged", "missing"],
)
def test_a_root_key_that_is_unsafe_is_refused_with_its_remedy(
    make_server: StartServer, spoil: Callable[[Path], None], words: str
) -> None:
    server = make_server()
    with server.client() as client:
        client.upsert_record(Record("crm", "1", {"surname": "Lovelace"}))
    server.stop()
    key = server.data / "keys" / "root.key"
    assert key.stat().st_mode & 0o777 == 0o600
    spoil(key)

    code, said = serve_in_vain(server.data)

    assert code not in (0, None)
    assert words in said
    assert "Traceback" not in said


def test_a_graph_without_its_key_store_is_refused_and_found_by_doctor(make_server: StartServer) -> None:
    server = make_server()
    with server.client() as client:
        name = client.upsert_record(Record("crm", "1", {"surname": "Lovelace"})).record
    server.stop()
    keys, away = server.data / "keys", server.folder / "away"
    away.mkdir()
    for file in keys.glob("keys.db*"):
        file.rename(away / file.name)

    doctor = subprocess.run(
        [sys.executable, "-m", "goldenthread.cli.main", "doctor", "--data", str(server.data), "--server", "127.0.0.1:1"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    code, said = serve_in_vain(server.data)

    assert "keys.db is not there" in " ".join(doctor.stdout.split())
    assert code not in (0, None)
    assert "are missing though its data are stored; bring keys.db back from its backup" in said
    assert "Traceback" not in said
    for file in keys.glob("keys.db*"):  # made by the attempt
        file.unlink()
    for file in away.iterdir():
        file.rename(keys / file.name)
    server.start()
    with server.client() as client:
        assert client.get_record(name).record.name == name


def test_a_folder_that_another_server_uses_is_refused(make_server: StartServer) -> None:
    server = make_server()

    code, said = serve_in_vain(server.data)

    assert code not in (0, None)
    assert "Another process is using" in said
    assert "Traceback" not in said


def test_nobody_else_may_enter_the_data_folder(make_server: StartServer) -> None:
    server = make_server()

    modes = {path: path.stat().st_mode & 0o077 for path in (server.data, server.data / "keys", server.data / "token")}

    assert set(modes.values()) == {0}


@pytest.mark.neo4j
def test_a_server_whose_neo4j_is_down_waits_for_it(make_server: StartServer, own_neo4j: OwnNeo4j) -> None:
    own_neo4j.kill()
    server = make_server(store=own_neo4j.url)
    assert not server.was_serving
    with server.client() as client:
        with pytest.raises(StoreUnavailable) as caught:
            client.upsert_record(Record("crm", "1", {"surname": "Lovelace"}))
        assert not client.is_serving()
        assert (caught.value.code, caught.value.metadata) == (grpc.StatusCode.UNAVAILABLE, {"store": "neo4j"})
        assert "try again" in caught.value.message

        own_neo4j.start()
        server.wait_for_health(SERVING)

        assert client.upsert_record(Record("crm", "1", {"surname": "Lovelace"})).changed
        assert client.is_serving()


@pytest.mark.neo4j
def test_a_neo4j_that_stops_answering_is_noticed_and_waited_for(make_server: StartServer, own_neo4j: OwnNeo4j) -> None:
    own_neo4j.start()
    server = make_server(store=own_neo4j.url)
    with server.client() as client, server.client(timeout_seconds=3) as hasty:
        name = client.upsert_record(Record("crm", "1", {"surname": "Lovelace"})).record

        os.kill(own_neo4j.pid, signal.SIGSTOP)
        try:
            with pytest.raises((DeadlineExceeded, StoreUnavailable)):
                hasty.upsert_record(Record("crm", "2", {"surname": "Byron"}), request_id="two")
            server.wait_for_health(NOT_SERVING)
        finally:
            os.kill(own_neo4j.pid, signal.SIGCONT)
        server.wait_for_health(SERVING)

        client.upsert_record(Record("crm", "2", {"surname": "Byron"}), request_id="two")
        assert client.get_record(name).record.name == name
        assert client.get_record(SourceKey("crm", "2")).record.source_record_id == "2"
    assert "incident" not in server.log()


@pytest.mark.neo4j
def test_a_neo4j_that_is_lost_in_the_middle_of_a_stream_loses_nothing_acknowledged(
    make_server: StartServer, own_neo4j: OwnNeo4j, customers: Customers
) -> None:
    own_neo4j.start()
    server = make_server(store=own_neo4j.url)
    records = customers(300)
    acknowledged: list[str] = []

    def put() -> None:
        for result in client.upsert_stream(records, records_per_chunk=20):
            assert result.error is None
            acknowledged.append(result.record)
            if len(acknowledged) == 60:
                own_neo4j.kill()

    with server.client() as client:
        with pytest.raises(StoreUnavailable):
            put()
        server.wait_for_health(NOT_SERVING)
        with pytest.raises(StoreUnavailable):
            client.get_record(acknowledged[0])
        own_neo4j.start()
        server.wait_for_health(SERVING)

        kept = [client.get_record(name).record for name in acknowledged]
        assert [(one.source, one.source_record_id) for one in kept] == [
            (one.source, one.source_record_id) for one in records[: len(acknowledged)]
        ]
        assert all(record.identity for record in kept)
        assert all(result.error is None for result in client.upsert_stream(records))
    assert "incident" not in server.log()
