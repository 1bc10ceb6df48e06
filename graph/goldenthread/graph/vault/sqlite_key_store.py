"""Keep wrapped keys in one SQLite file, shared by the processes of one machine.

Every process reads what another has committed, and keeps no key: one that is destroyed is gone for all of them at once. The
file system must be local, for network file systems do not lock as SQLite needs it.

A batch goes through SQLite as one packed value and one statement step. A step releases the interpreter lock, and taking it back
beside a busy event loop can cost milliseconds, so a step a key would be slow exactly when the server is busy.

Destroying is physical: `secure_delete` overwrites the row in the database file, and truncating the write-ahead log removes the
older pages that still held it. What a copy-on-write file system or a flash disk keeps below the file is beyond SQLite.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

import apsw

from goldenthread.graph.errors import StoreFull, StoreInUse, StoreTooNew, StoreUnavailable
from goldenthread.graph.vault.key_store import KEY_ID_BYTES, WRAPPED_BYTES, KeyPurpose, StoredTenant, TenantKey

__all__ = ["SqliteKeyStore"]

T = TypeVar("T")

_SCHEMA_VERSION = 1
_READERS = 2
_FEW = 64
_BUSY_MS = 15_000
_AGAIN_SECONDS = 0.005
_TRUNCATE_SECONDS = 30.0
_WAL_PAGES = 16_384
_ROW_BYTES = KEY_ID_BYTES + WRAPPED_BYTES

_SCHEMA = """
CREATE TABLE tenant (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE tenant_key (
  tenant INTEGER NOT NULL REFERENCES tenant, purpose INTEGER NOT NULL, epoch INTEGER NOT NULL,
  wrapped BLOB NOT NULL, root TEXT NOT NULL, PRIMARY KEY (tenant, purpose, epoch)
) STRICT, WITHOUT ROWID;
CREATE TABLE data_key (
  tenant INTEGER NOT NULL, id BLOB NOT NULL, wrapped BLOB NOT NULL, PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
"""

# :ids (16 bytes each) and :wrapped (50 bytes each) are :count values end to end. Sorted, a batch dirties each page once.
_UNPACK = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count)"
_INSERT = (
    "INSERT OR IGNORE INTO data_key (tenant, id, wrapped)"
    " SELECT :tenant, substr(:ids, i * 16 + 1, 16) AS id, substr(:wrapped, i * 50 + 1, 50) FROM n ORDER BY id"
)
_SELECT = (
    "SELECT string_agg(hex(id) || hex(wrapped), '') FROM n CROSS JOIN data_key"
    " WHERE tenant = :tenant AND id = substr(:ids, i * 16 + 1, 16)"
)
_DELETE = "DELETE FROM data_key WHERE tenant = :tenant AND id IN (SELECT substr(:ids, i * 16 + 1, 16) FROM n)"
_PUT, _GET, _DESTROY = (f"{_UNPACK} {statement}" for statement in (_INSERT, _SELECT, _DELETE))
_TENANT_KEYS = "SELECT purpose, epoch, wrapped, root FROM tenant_key WHERE tenant = ? ORDER BY purpose, epoch"


class SqliteKeyStore:
    """A KeyStore in one SQLite file of mode 0600; one thread writes, a few read.

    `max_bytes` bounds the database file (its log comes on top); beyond it writes raise StoreFull as on a full disk.
    `busy_ms` is how long to wait for another process that writes.
    """

    def __init__(self, path: str | os.PathLike[str], *, max_bytes: int | None = None, busy_ms: int = _BUSY_MS) -> None:
        """Open the store, or make it when there is none.

        Raises:
            StoreInUse: another process keeps it locked.
            StoreTooNew: a newer program wrote it.
            StoreUnavailable: the file cannot be opened, or is not a key store.
            StoreFull: there is no space to make it.
        """
        self._path = Path(path)
        self._max_bytes, self._busy_ms = max_bytes, busy_ms
        self._idle_readers: SimpleQueue[apsw.Connection] = SimpleQueue()
        with _translated(self._path), ExitStack() as undo:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._connection = self._open_writer()
            undo.callback(self._connection.close)
            self._all_readers = [self._open_reader() for _ in range(_READERS + 1)]
            undo.pop_all()
        self._own_reader, *pooled = self._all_readers
        for reader in pooled:
            self._idle_readers.put(reader)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="key-store-writer")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="key-store-reader")
        self._is_closed = False

    @property
    def path(self) -> Path:
        """Where the store's file is."""
        return self._path

    async def has_tenants(self) -> bool:
        """Say whether any tenant was ever added."""
        return bool(await self._read(lambda c: c.execute("SELECT EXISTS (SELECT 1 FROM tenant)").get))

    async def tenants(self) -> Sequence[str]:
        """List the names of tenants, sorted."""
        return await self._read(lambda c: [str(name) for (name,) in c.execute("SELECT name FROM tenant ORDER BY name")])

    async def tenant(self, name: str) -> StoredTenant | None:
        """Get a tenant, or None when it was never added."""
        return await self._read(lambda c: _find_tenant(c, name))

    async def add_tenant_keys(self, name: str, keys: Sequence[TenantKey]) -> StoredTenant:
        """Add keys, and the tenant if there is none; a (purpose, epoch) that is there keeps its key. Return what is stored."""

        def add(connection: apsw.Connection) -> StoredTenant:
            connection.execute("INSERT OR IGNORE INTO tenant (name) VALUES (?)", (name,))
            for key in keys:
                connection.execute(
                    "INSERT OR IGNORE INTO tenant_key (tenant, purpose, epoch, wrapped, root)"
                    " SELECT number, ?, ?, ?, ? FROM tenant WHERE name = ?",
                    (int(key.purpose), key.epoch, key.wrapped, key.root, name),
                )
            stored = _find_tenant(connection, name)
            if stored is None:
                raise StoreUnavailable("key", "it did not keep a tenant")
            return stored

        return await self._write(add)

    async def put(self, tenant: int, keys: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Add data keys, all or none; an id that has a key keeps it. Return the stored keys of ids that had another."""
        if not keys:
            return {}
        ids = _packed(keys)
        wrapped = b"".join(keys.values())
        if len(wrapped) != WRAPPED_BYTES * len(keys) or any(len(w) != WRAPPED_BYTES for w in keys.values()):
            raise ValueError(f"A wrapped data key has {WRAPPED_BYTES} bytes.")
        bindings: dict[str, int | bytes] = {"tenant": tenant, "ids": ids, "wrapped": wrapped, "count": len(keys)}

        def put_all(connection: apsw.Connection) -> dict[bytes, bytes]:
            connection.execute(_PUT, bindings)
            if connection.changes() == len(keys):
                return {}
            stored = _select(connection, bindings)
            return {key_id: key for key_id, key in stored.items() if keys[key_id] != key}

        return await self._write(put_all)

    async def get(self, tenant: int, key_ids: Sequence[bytes]) -> dict[bytes, bytes]:
        """Get data keys; ids without one are left out."""
        if not key_ids:
            return {}
        bindings: dict[str, int | bytes] = {"tenant": tenant, "ids": _packed(key_ids), "count": len(key_ids)}
        if len(key_ids) <= _FEW and not self._is_closed:  # some microseconds, less than it costs to reach a thread
            with _translated(self._path):
                return _select(self._own_reader, bindings)
        return await self._read(lambda c: _select(c, bindings))

    async def destroy(self, tenant: int, key_ids: Sequence[bytes]) -> int:
        """Destroy data keys and return how many there were.

        When it returns, the bytes of these keys are in no file of the store. When it raises, calling it again finishes it: the
        log is truncated even if no key is left to delete.
        """
        if not key_ids:
            return 0
        bindings: dict[str, int | bytes] = {"tenant": tenant, "ids": _packed(key_ids), "count": len(key_ids)}

        def delete(connection: apsw.Connection) -> int:
            connection.execute(_DESTROY, bindings)
            return connection.changes()

        destroyed = await self._write(delete)
        await self._run(self._writer, lambda: self._truncate_log(self._connection))
        return destroyed

    async def count(self, tenant: int) -> int:
        """Count a tenant's data keys."""
        sql = "SELECT count(*) FROM data_key WHERE tenant = ?"
        return int(await self._read(lambda c: c.execute(sql, (tenant,)).get))

    async def close(self) -> None:
        """Close the store; running calls end first."""
        if self._is_closed:
            return
        self._is_closed = True
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._readers.shutdown()
        self._writer.shutdown()
        for connection in (*self._all_readers, self._connection):
            connection.close()

    async def _read(self, work: Callable[[apsw.Connection], T]) -> T:
        def run() -> T:
            connection = self._idle_readers.get()
            try:
                return work(connection)
            finally:
                self._idle_readers.put(connection)

        return await self._run(self._readers, run)

    async def _write(self, work: Callable[[apsw.Connection], T]) -> T:
        def run() -> T:
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return result

        return await self._run(self._writer, run)

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        if self._is_closed:
            raise StoreUnavailable("key", "it is closed")
        with _translated(self._path):
            return await asyncio.get_running_loop().run_in_executor(pool, work)

    def _truncate_log(self, connection: apsw.Connection) -> None:
        """Move the log into the database and cut it to nothing, once writers and readers of older snapshots have ended."""
        deadline = time.monotonic() + _TRUNCATE_SECONDS
        while True:
            ((blocked, _, _),) = self._patiently(lambda: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
            if not blocked:
                return
            if time.monotonic() > deadline:
                raise StoreInUse(str(self._path))

    def _patiently(self, work: Callable[[], T]) -> T:
        """Try again where SQLite says at once that another connection is busy, without waiting as for a plain lock."""
        deadline = time.monotonic() + self._busy_ms / 1000
        while True:
            try:
                return work()
            except (apsw.BusyError, apsw.LockedError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(_AGAIN_SECONDS)

    def _open_writer(self) -> apsw.Connection:
        _make_private(self._path)
        connection = apsw.Connection(str(self._path))
        try:
            connection.set_busy_timeout(self._busy_ms)
            # One statement a call: apsw stops at the first one that returns a row.
            connection.execute("PRAGMA secure_delete = ON").fetchall()
            self._patiently(lambda: connection.execute("PRAGMA journal_mode = WAL").fetchall())
            connection.execute("PRAGMA synchronous = FULL").fetchall()
            connection.execute("PRAGMA temp_store = MEMORY").fetchall()
            connection.execute("PRAGMA cache_size = -65536").fetchall()
            connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}").fetchall()
            if connection.execute("PRAGMA secure_delete").get != 1 or connection.execute("PRAGMA journal_mode").get != "wal":
                raise StoreUnavailable("key", "its file system takes no write-ahead log")
            _migrate(connection)
            if self._max_bytes is not None:
                pages = max(1, self._max_bytes // int(connection.execute("PRAGMA page_size").get))
                connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()
            # A process that died between deleting keys and truncating the log left their bytes in it.
            self._truncate_log(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_reader(self) -> apsw.Connection:
        connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)
        connection.set_busy_timeout(self._busy_ms)
        connection.execute("PRAGMA cache_size = -16384").fetchall()
        return connection


def _migrate(connection: apsw.Connection) -> None:
    if connection.execute("PRAGMA user_version").get == _SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = connection.execute("PRAGMA user_version").get  # another process may have been faster
        if version > _SCHEMA_VERSION:
            raise StoreTooNew(version, _SCHEMA_VERSION)
        if version < _SCHEMA_VERSION:
            connection.execute(_SCHEMA)
            connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _find_tenant(connection: apsw.Connection, name: str) -> StoredTenant | None:
    number = connection.execute("SELECT number FROM tenant WHERE name = ?", (name,)).get
    if number is None:
        return None
    keys = [
        TenantKey(KeyPurpose(purpose), epoch, wrapped, root)
        for purpose, epoch, wrapped, root in connection.execute(_TENANT_KEYS, (number,))
    ]
    return StoredTenant(number, keys)


def _select(connection: apsw.Connection, bindings: Mapping[str, int | bytes]) -> dict[bytes, bytes]:
    found = connection.execute(_GET, bindings).get
    rows = bytes.fromhex(found or "")
    return {rows[i : i + KEY_ID_BYTES]: rows[i + KEY_ID_BYTES : i + _ROW_BYTES] for i in range(0, len(rows), _ROW_BYTES)}


def _packed(key_ids: Sequence[bytes] | Mapping[bytes, bytes]) -> bytes:
    packed = b"".join(key_ids)
    if len(packed) != KEY_ID_BYTES * len(key_ids) or any(len(k) != KEY_ID_BYTES for k in key_ids):
        raise ValueError(f"A key id has {KEY_ID_BYTES} bytes.")
    return packed


def _make_private(file: Path) -> None:
    """Make the file if there is none, and let its owner alone use it; SQLite gives its log files the same mode."""
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    if os.name == "posix" and file.stat().st_mode & 0o077:
        file.chmod(0o600)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into those of the graph."""
    try:
        yield
    except apsw.FullError:
        raise StoreFull("key") from None
    except (apsw.BusyError, apsw.LockedError):
        raise StoreInUse(str(path)) from None
    except (apsw.NotADBError, apsw.CorruptError):
        raise StoreUnavailable("key", f"{path} is damaged or no key store; restore it from your backup of the keys") from None
    except (apsw.Error, OSError) as error:
        raise StoreUnavailable("key", f"{type(error).__name__} at {path}") from None
