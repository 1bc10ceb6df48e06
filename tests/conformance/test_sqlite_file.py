"""What is SQLite's alone: its log is moved beside the writer and does not grow without end; what is deleted is overwritten."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from goldenthread.graph.model import Node, NodeKind
from goldenthread.graph.store import ChangeSet, Transaction
from goldenthread.graph.stores.sqlite import open_store
from goldenthread.graph.stores.sqlite.checkpoints import Checkpoints

_PAGE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "graph.db"


def _connect(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "WAL")
    connection.execute("CREATE TABLE IF NOT EXISTS page (body BLOB)")
    connection.pragma("wal_autocheckpoint", 0)
    return connection


@pytest.fixture
def writing(path: Path) -> Iterator[apsw.Connection]:
    with closing(_connect(path)) as connection:
        yield connection


def _write(connection: apsw.Connection, commits: int) -> None:
    for _ in range(commits):
        connection.execute("INSERT INTO page VALUES (zeroblob(?))", (3 * _PAGE,))


def test_a_short_log_stays(path: Path, writing: apsw.Connection) -> None:
    checkpoints = Checkpoints(writing, _connect(path), pages=1_000, most_pages=2_000)
    before = path.stat().st_size
    _write(writing, 10)
    checkpoints.close()
    assert path.stat().st_size == before


def test_a_long_log_is_moved_while_the_writer_goes_on(path: Path, writing: apsw.Connection) -> None:
    checkpoints = Checkpoints(writing, _connect(path), pages=20, most_pages=1_000_000)
    _write(writing, 20)
    checkpoints.close()  # waits for what is being moved
    assert path.stat().st_size > 20 * _PAGE
    assert writing.execute("SELECT count(*) FROM page").get == 20


def test_a_log_that_is_never_quiet_is_moved_by_the_writer(path: Path, writing: apsw.Connection) -> None:
    beside = _connect(path)
    checkpoints = Checkpoints(writing, beside, pages=20, most_pages=100)
    with closing(_connect(path)) as reader:  # keeps what it sees in the log, so that the log can't begin again
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM page").get == 0
        _write(writing, 60)
        grown = Path(f"{path}-wal").stat().st_size
        reader.execute("COMMIT")
    _write(writing, 200)
    checkpoints.close()
    assert grown > 100 * _PAGE
    assert Path(f"{path}-wal").stat().st_size < 2 * grown
    assert writing.execute("SELECT count(*) FROM page").get == 260


def test_what_cannot_be_moved_is_kept(path: Path, writing: apsw.Connection) -> None:
    beside = _connect(path)
    checkpoints = Checkpoints(writing, beside, pages=20, most_pages=1_000_000)
    beside.close()
    _write(writing, 50)
    checkpoints.close()
    assert writing.execute("SELECT count(*) FROM page").get == 50


async def test_what_is_deleted_is_overwritten_in_the_file(tmp_path: Path) -> None:
    canary = b"canary of an identifier"
    nodes = [
        Node(NodeKind.IDENTIFIER, bytes([place] * 16), {"type": 1, "sealed": canary + bytes([place])}) for place in range(200)
    ]
    was_there, is_there = [await _stored(tmp_path, change) for change in (ChangeSet(put_nodes=nodes), _without(nodes))]
    assert canary in was_there
    assert canary not in is_there


def _without(nodes: list[Node]) -> ChangeSet:
    return ChangeSet(delete_nodes=[node.id for node in nodes])


async def _stored(folder: Path, changes: ChangeSet) -> bytes:
    """Apply changes, close the store, and read its file."""
    store = await open_store(f"sqlite:///{folder}")

    async def work(transaction: Transaction) -> None:
        await transaction.apply(changes)

    try:
        await store.write("tenant", 1_700_000_000_000_000, work)
    finally:
        await store.close()
    return (folder / "graph.db").read_bytes()
