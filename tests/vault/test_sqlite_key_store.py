"""What the SQLite key store does with its files, its disk and its neighbours."""

from __future__ import annotations

import asyncio
import os
import random
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import apsw
import pytest

from goldenthread.graph.errors import StoreFull, StoreInUse, StoreTooNew, StoreUnavailable
from goldenthread.graph.vault import KEY_ID_BYTES, WRAPPED_BYTES, SqliteKeyStore

OPENER = """
import sys
from goldenthread.graph.vault import SqliteKeyStore
print("ready", flush=True)
sys.stdin.readline()
SqliteKeyStore(sys.argv[1])
"""


def some_keys(count: int) -> dict[bytes, bytes]:
    return {os.urandom(KEY_ID_BYTES): os.urandom(WRAPPED_BYTES) for _ in range(count)}


def modes_in(folder: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


def pieces(keys: list[bytes]) -> set[bytes]:
    """Eight bytes from the middle of each key: what a scan looks for."""
    return {key[20:28] for key in keys}


def found_in(haystack: bytes, needles: set[bytes]) -> int:
    return sum(haystack[at : at + 8] in needles for at in range(len(haystack) - 7))


async def test_destroyed_keys_are_in_no_byte_of_any_file(tmp_path: Path, bytes_on_disk: Callable[[], bytes]) -> None:
    store = SqliteKeyStore(tmp_path / "keys.db")
    chance = random.Random(7)
    alive: dict[bytes, bytes] = {}
    dead: list[bytes] = []
    for _ in range(12):  # pages split, empty, are freed and used again
        new = some_keys(1500)
        await store.put(1, new)
        alive |= new
        doomed = chance.sample(sorted(alive), chance.choice([10, 400, 1400]))
        dead += [alive.pop(key_id) for key_id in doomed]

        assert await store.destroy(1, doomed) == len(doomed)

        content = bytes_on_disk()
        assert found_in(content, pieces(dead)) == 0
    assert found_in(content, pieces(list(alive.values()))) >= len(alive)  # the scan does find what is there
    await store.close()


async def test_a_log_left_by_a_crash_is_emptied_at_the_next_start(tmp_path: Path, bytes_on_disk: Callable[[], bytes]) -> None:
    store = SqliteKeyStore(tmp_path / "keys.db")
    keys = some_keys(100)
    await store.put(1, keys)
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    deleting = apsw.Connection(str(tmp_path / "keys.db"))
    deleting.execute("PRAGMA secure_delete = ON").fetchall()
    deleting.execute("DELETE FROM data_key")
    for file in ("keys.db", "keys.db-wal"):  # what a machine finds that died after the commit
        (crashed / file).write_bytes((tmp_path / file).read_bytes())
    deleting.close()
    await store.close()
    assert found_in((crashed / "keys.db-wal").read_bytes(), pieces(list(keys.values())))

    again = SqliteKeyStore(crashed / "keys.db")

    left = b"".join(file.read_bytes() for file in crashed.iterdir())
    assert found_in(left, pieces(list(keys.values()))) == 0
    await again.close()


async def test_every_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    store = SqliteKeyStore(tmp_path / "keys.db")
    await store.put(1, some_keys(10))

    modes = modes_in(tmp_path)

    assert {"keys.db", "keys.db-wal", "keys.db-shm"} <= modes.keys()
    assert set(modes.values()) == {0o600}
    await store.close()


async def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    await SqliteKeyStore(tmp_path / "keys.db").close()
    (tmp_path / "keys.db").chmod(0o644)

    store = SqliteKeyStore(tmp_path / "keys.db")

    assert stat.S_IMODE((tmp_path / "keys.db").stat().st_mode) == 0o600
    await store.close()


def test_processes_that_make_a_store_at_the_same_time_all_open_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPENER, str(tmp_path / "keys.db")]
    with ExitStack() as ended:
        openers = [
            ended.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)) for _ in range(4)
        ]
        for opener in openers:
            assert opener.stdout is not None
            assert opener.stdout.readline() == b"ready\n"
        for opener in openers:
            assert opener.stdin is not None
            opener.stdin.write(b"go\n")
            opener.stdin.flush()

        assert [opener.wait() for opener in openers] == [0] * 4


async def test_keys_that_one_destroys_while_others_read_and_write_are_in_no_byte_of_any_file(
    tmp_path: Path, bytes_on_disk: Callable[[], bytes]
) -> None:
    one, other = SqliteKeyStore(tmp_path / "keys.db"), SqliteKeyStore(tmp_path / "keys.db")
    doomed, kept = some_keys(2000), some_keys(500)
    await one.put(1, doomed | kept)

    async def read() -> None:
        for _ in range(20):
            assert kept.items() <= (await other.get(1, [*doomed, *kept])).items()

    async def write() -> None:
        for _ in range(10):
            await other.put(1, some_keys(100))

    _, _, destroyed = await asyncio.gather(read(), write(), one.destroy(1, list(doomed)))

    assert destroyed == len(doomed)
    assert await other.get(1, list(doomed)) == {}
    assert found_in(bytes_on_disk(), pieces(list(doomed.values()))) == 0
    await one.close()
    await other.close()


async def test_a_lock_that_does_not_end_is_told(tmp_path: Path) -> None:
    store = SqliteKeyStore(tmp_path / "keys.db", busy_ms=50)
    intruder = apsw.Connection(str(tmp_path / "keys.db"))
    intruder.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreInUse):
        await store.put(1, some_keys(1))

    intruder.execute("ROLLBACK")
    intruder.close()
    assert await store.put(1, some_keys(1)) == {}
    await store.close()


async def test_a_full_store_keeps_nothing_of_the_batch_and_all_that_was_there(tmp_path: Path) -> None:
    store = SqliteKeyStore(tmp_path / "keys.db", max_bytes=200_000)
    first, second = some_keys(1000), some_keys(5000)
    await store.put(1, first)

    with pytest.raises(StoreFull) as full:
        await store.put(1, second)

    assert full.value.is_retryable
    assert await store.get(1, [*first, *second]) == first
    assert await store.destroy(1, list(first)) == 1000
    assert await store.put(1, some_keys(900)) == {}
    await store.close()


async def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    await SqliteKeyStore(tmp_path / "keys.db").close()
    newer = apsw.Connection(str(tmp_path / "keys.db"))
    newer.execute("PRAGMA user_version = 99")
    newer.close()

    with pytest.raises(StoreTooNew):
        SqliteKeyStore(tmp_path / "keys.db")


def test_a_file_that_is_no_key_store_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    other = tmp_path / "keys.db"
    other.write_bytes(b"something else entirely, long enough to be read as a header" * 100)

    with pytest.raises(StoreUnavailable, match="backup"):
        SqliteKeyStore(other)

    assert other.read_bytes().startswith(b"something else")


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = SqliteKeyStore(tmp_path / "keys.db")
    await store.close()
    await store.close()

    with pytest.raises(StoreUnavailable, match="closed"):
        await store.get(1, list(some_keys(1)))


async def test_ids_and_keys_of_a_wrong_length_are_refused(tmp_path: Path) -> None:
    store = SqliteKeyStore(tmp_path / "keys.db")

    with pytest.raises(ValueError, match="16 bytes"):
        await store.put(1, {b"short": bytes(WRAPPED_BYTES)})
    with pytest.raises(ValueError, match="50 bytes"):
        await store.put(1, {bytes(16): bytes(49), b"1" * 16: bytes(51)})
    with pytest.raises(ValueError, match="16 bytes"):
        await store.get(1, [bytes(15), bytes(17)])

    await store.close()


async def test_a_stored_key_takes_at_most_110_bytes(tmp_path: Path) -> None:
    store = SqliteKeyStore(tmp_path / "keys.db")
    for _ in range(10):
        await store.put(1, some_keys(2000))

    await store.destroy(1, [bytes(16)])

    assert (tmp_path / "keys.db").stat().st_size / 20_000 <= 110
    await store.close()
