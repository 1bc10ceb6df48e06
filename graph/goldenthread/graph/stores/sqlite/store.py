"""Own the file: one process, one writing connection, a few reading ones, each on threads of its own."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar, TypeVarTuple, cast
from urllib.parse import unquote, urlsplit

import apsw

from goldenthread.graph.errors import RevisionUnknown, StoreFull, StoreInUse, StoreUnavailable
from goldenthread.graph.model import Edge, EdgeKind, Node, NodeKind
from goldenthread.graph.store import (
    Band,
    Capability,
    ChangeSet,
    Component,
    Outline,
    Posting,
    RecordState,
    Revision,
    StoredIdentity,
    Subgraph,
    Transaction,
)
from goldenthread.graph.stores.sqlite import queries
from goldenthread.graph.stores.sqlite.apply import apply_changes
from goldenthread.graph.stores.sqlite.checkpoints import Checkpoints
from goldenthread.graph.stores.sqlite.reads import Session
from goldenthread.graph.stores.sqlite.schema import migrate

__all__ = ["SqliteStore", "open_store"]

T = TypeVar("T")
P = ParamSpec("P")
Ts = TypeVarTuple("Ts")

_READERS = 4
_FEW = 64


@contextmanager
def _translated() -> Iterator[None]:
    """Let no error of the driver out."""
    try:
        yield
    except apsw.FullError as error:
        raise StoreFull("sqlite") from error
    except apsw.BusyError as error:
        raise StoreUnavailable("sqlite", "the file is locked by another program") from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise StoreUnavailable("sqlite", "the file is damaged; restore it from a backup") from error
    except (apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError) as error:
        raise StoreUnavailable("sqlite", "the file can't be read or written; check the disk and its permissions") from error


def _connect(path: Path, *, writes: bool) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(5_000)
    for name, value in (("journal_mode", "WAL"), ("synchronous", "FULL"), ("secure_delete", "ON"), ("temp_store", "MEMORY")):
        connection.pragma(name, value)
    connection.pragma("wal_autocheckpoint", 0)  # see `Checkpoints`
    connection.pragma("cache_size", -131_072 if writes else -65_536)
    connection.pragma("mmap_size", 0 if writes else 1 << 31)
    if not writes:
        connection.pragma("query_only", 1)
    return connection


class _Verbs:
    """Run each read verb on the thread that owns the session."""

    def __init__(self, session: Session, threads: ThreadPoolExecutor) -> None:
        self._session, self._threads = session, threads

    @property
    def revision(self) -> Revision:
        return self._session.revision

    async def _run_few(self, verb: Callable[[Session, Sequence[bytes], *Ts], T], ids: Sequence[bytes], *more: *Ts) -> T:
        """Run a keyed read here when it is about few ids: some microseconds, less than it costs to reach a thread."""
        if len(ids) > _FEW:
            return await _on(self._threads, lambda: verb(self._session, ids, *more))
        with _translated():
            return verb(self._session, ids, *more)

    async def _run(self, verb: Callable[Concatenate[Session, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await _on(self._threads, lambda: verb(self._session, *args, **kwargs))

    async def nodes(self, ids: Sequence[bytes]) -> dict[bytes, Node]:
        return await self._run_few(Session.nodes, ids)

    async def records(self, ids: Sequence[bytes]) -> dict[bytes, RecordState]:
        return await self._run_few(Session.records, ids)

    async def records_by_alias(self, aliases: Sequence[bytes]) -> dict[bytes, RecordState]:
        return await self._run_few(Session.records_by_alias, aliases)

    async def current_versions(self, records: Sequence[bytes]) -> dict[bytes, Node]:
        return await self._run_few(Session.current_versions, records)

    async def versions(self, record: bytes) -> Sequence[Node]:
        return await self._run(Session.versions, record)

    async def candidates(self, keys: Sequence[bytes], limit: int) -> Sequence[Posting]:
        return await self._run_few(Session.candidates, keys, limit)

    async def keys(self, records: Sequence[bytes]) -> dict[bytes, Sequence[Edge]]:
        return await self._run(Session.keys, records)

    async def keys_ever(self, record: bytes) -> dict[bytes, bool]:
        return await self._run(Session.keys_ever, record)

    async def matches(self, records: Sequence[bytes], kind: EdgeKind = EdgeKind.MATCHES) -> Sequence[Edge]:
        return await self._run(Session.matches, records, kind)

    async def band(self, band: Band) -> Sequence[Edge]:
        return await self._run(Session.band, band)

    async def bindings(self, records: Sequence[bytes]) -> Sequence[Edge]:
        return await self._run(Session.bindings, records)

    async def labels(self, records: Sequence[bytes]) -> Sequence[Node]:
        return await self._run(Session.labels, records)

    async def components(
        self, records: Sequence[bytes], min_weight: int, kind: EdgeKind = EdgeKind.MATCHES
    ) -> Sequence[Component]:
        return await self._run(Session.components, records, min_weight, kind)

    async def outlines(self, records: Sequence[bytes]) -> Sequence[Outline]:
        return await self._run(Session.outlines, records)

    async def links(self, records: Sequence[bytes], min_weight: int, kind: EdgeKind = EdgeKind.MATCHES) -> Sequence[Edge]:
        return await self._run(Session.links, records, min_weight, kind)

    async def identities(self, ids: Sequence[bytes]) -> dict[bytes, StoredIdentity]:
        return await self._run_few(Session.identities, ids)

    async def identities_of(self, records: Sequence[bytes]) -> dict[bytes, bytes]:
        return await self._run_few(Session.identities_of, records)

    async def identities_with(self, keys: Sequence[bytes]) -> dict[bytes, Sequence[bytes]]:
        return await self._run_few(Session.identities_with, keys)

    async def households_of(self, identities: Sequence[bytes]) -> dict[bytes, Sequence[bytes]]:
        return await self._run_few(Session.households_of, identities)

    async def households(self, ids: Sequence[bytes]) -> dict[bytes, tuple[Node, Sequence[bytes]]]:
        return await self._run(Session.households, ids)

    async def consents(self, records: Sequence[bytes]) -> dict[bytes, Sequence[Node]]:
        return await self._run(Session.consents, records)

    async def decisions(self, records: Sequence[bytes]) -> Sequence[Node]:
        return await self._run(Session.decisions, records)

    async def history(self, ids: Sequence[bytes], kinds: frozenset[EdgeKind]) -> Sequence[Edge]:
        return await self._run(Session.history, ids, kinds)

    async def requests(self, ids: Sequence[bytes]) -> dict[bytes, Node]:
        return await self._run(Session.requests, ids)

    async def artefact(self, root: bytes) -> Node | None:
        with _translated():  # one look-up, which costs less than to reach a thread
            return self._session.artefact(root)

    async def page(self, kind: NodeKind, after: bytes, limit: int, where: Mapping[str, str | int]) -> Sequence[bytes]:
        return await self._run(Session.page, kind, after, limit, where)

    async def events(self, after: int, limit: int) -> Sequence[Node]:
        return await self._run(Session.events, after, limit)

    async def counts(self) -> dict[NodeKind, int]:
        return await self._run(Session.counts)

    async def neighbourhood(self, ids: Sequence[bytes], kinds: frozenset[NodeKind], hops: int, limit: int) -> Subgraph:
        return await self._run(Session.neighbourhood, ids, kinds, hops, limit)

    async def path(
        self,
        start: bytes,
        end: bytes,
        kinds: frozenset[NodeKind],
        max_hops: int,
        avoiding: frozenset[bytes] = frozenset(),
    ) -> Subgraph:
        return await self._run(Session.path, start, end, kinds, max_hops, avoiding)

    async def commit_times(self, revisions: Sequence[int]) -> dict[int, int]:
        return await self._run(Session.commit_times, revisions)

    async def revision_at(self, at: int) -> Revision:
        return await self._run(Session.revision_at, at)

    async def hold(self, records: Sequence[bytes]) -> bool:
        """Do nothing: a reader keeps its revision, and a transaction holds the only write lock there is."""
        return False


class _Writing(_Verbs):
    """The one transaction that writes."""

    def __init__(self, session: Session, threads: ThreadPoolExecutor, at: int) -> None:
        super().__init__(session, threads)
        self._at = at

    async def lock(self, keys: Sequence[bytes]) -> None:
        """Do nothing: the transaction holds the only write lock there is."""

    async def apply(self, changes: ChangeSet) -> Revision:
        return await _on(self._threads, lambda: self._apply(changes))

    def _apply(self, changes: ChangeSet) -> Revision:
        session = self._session
        revision = Revision(session.revision.number + 1, max(self._at, session.revision.at))
        apply_changes(session.connection, session.tenant, revision.number, changes)
        session.connection.execute("UPDATE tenant SET revision = ? WHERE tenant = ?", (revision.number, session.tenant))
        session.connection.execute("INSERT INTO revision VALUES (?, ?, ?)", (session.tenant, revision.number, revision.at))
        return revision


async def _on(threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    def translated() -> T:
        with _translated():
            return work()

    running = asyncio.get_running_loop().run_in_executor(threads, translated)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        # The thread can't be cancelled: let it leave the connection before anybody else takes it.
        await asyncio.wait([running])
        raise


class SqliteStore:
    """Keep graphs in one SQLite file; see the README beside this module for its limits."""

    name = "sqlite"
    capabilities = frozenset({Capability.TIME_TRAVEL, Capability.EMBEDDED})

    def __init__(self, folder: Path, *, reads_only: bool = False) -> None:
        """Open or create `folder/graph.db`. One that only reads may be open beside the one that owns it.

        Raises:
            StoreInUse: another process has it open.
            StoreTooNew: a newer program wrote it.
            StoreUnavailable: it can't be read or written.
        """
        self._path = folder / "graph.db"
        with ExitStack() as undo:
            if not reads_only:
                undo.callback(os.close, _own(folder))
            with _translated():
                if not reads_only:
                    os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
                self._writing = _connect(self._path, writes=not reads_only)
                undo.callback(self._writing.close)
                if not reads_only:
                    migrate(self._writing)
                    undo.callback(Checkpoints(self._writing, _connect(self._path, writes=True)).close)
                self._reading = [_connect(self._path, writes=False) for _ in range(_READERS)]
            self._let_go = undo.pop_all()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sqlite-write")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="sqlite-read")
        # The connection used last is taken first: its cache of pages and statements is warm.
        self._idle: asyncio.LifoQueue[apsw.Connection] = asyncio.LifoQueue()
        for connection in self._reading:
            self._idle.put_nowait(connection)
        self._one_writer = asyncio.Lock()
        self._is_closed = False

    @asynccontextmanager
    async def reader(self, tenant: str, *, revision: int | None = None) -> AsyncIterator[_Verbs]:
        self._refuse_when_closed()
        connection = await self._idle.get()
        try:
            # Beginning and ending a read are some microseconds each: less than it costs to reach a thread.
            with _translated():
                session = _open_session(connection, tenant, revision)
            yield _Verbs(session, self._readers)
        finally:
            with _translated():
                _end(connection)
            self._idle.put_nowait(connection)

    async def write(self, tenant: str, at: int, work: Callable[[Transaction], Awaitable[T]]) -> T:
        async with self._one_writer:
            self._refuse_when_closed()
            transaction = asyncio.ensure_future(self._write(tenant, at, work))
            try:
                return await asyncio.shield(transaction)
            except asyncio.CancelledError:
                # The caller is gone, but a half-run transaction may not be: let it roll back before the lock is free.
                transaction.cancel()
                await asyncio.wait([transaction])
                raise

    async def _write(self, tenant: str, at: int, work: Callable[[Transaction], Awaitable[T]]) -> T:
        connection = self._writing
        try:
            session = await _on(self._writer, lambda: _begin_writing(connection, tenant))
            answer = await work(_Writing(session, self._writer, at))
            await _on(self._writer, lambda: connection.execute("COMMIT"))
        except BaseException:
            await _on(self._writer, lambda: _end(connection))
            raise
        return answer

    async def tenants(self, having: NodeKind) -> Sequence[str]:
        self._refuse_when_closed()
        connection = await self._idle.get()
        try:
            with _translated():
                rows = connection.execute(queries.TENANTS, (int(having),))
                return [name for (name,) in cast("Iterator[tuple[str]]", rows)]
        finally:
            self._idle.put_nowait(connection)

    async def check(self) -> None:
        async with self.reader("") as reader:
            await reader.revision_at(0)

    def _refuse_when_closed(self) -> None:
        if self._is_closed:
            raise StoreUnavailable("sqlite", "it was closed")

    async def close(self) -> None:
        self._is_closed = True
        async with self._one_writer:
            for _ in self._reading:
                connection = await self._idle.get()
                await _on(self._readers, connection.close)
            await _on(self._writer, self._let_go.close)
        self._writer.shutdown()
        self._readers.shutdown()


def _own(folder: Path) -> int:
    """Take the lock that says whose the folder is, for as long as its descriptor is open."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(folder / "graph.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreUnavailable("sqlite", f"the folder {folder} can't be made or written") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise StoreInUse(str(folder)) from error
    return lock


def _open_session(connection: apsw.Connection, tenant: str, revision: int | None) -> Session:
    connection.execute("BEGIN")
    found = _tenant(connection, tenant)
    if found is None:
        number, latest = 0, Revision(0, 0)
    else:
        number, latest = found
    if revision is None or revision == latest.number:
        return Session(connection, number, latest)
    if revision > latest.number:
        raise RevisionUnknown(revision, latest.number)
    rows = connection.execute("SELECT at FROM revision WHERE tenant = ? AND number = ?", (number, revision))
    at = next(cast("Iterator[tuple[int]]", rows), (0,))[0]
    return Session(connection, number, Revision(revision, at))


def _tenant(connection: apsw.Connection, tenant: str) -> tuple[int, Revision] | None:
    sql = """SELECT t.tenant, t.revision, coalesce(r.at, 0) FROM tenant t
             LEFT JOIN revision r ON r.tenant = t.tenant AND r.number = t.revision WHERE t.name = ?"""
    row = next(cast("Iterator[tuple[int, int, int]]", connection.execute(sql, (tenant,))), None)
    return (row[0], Revision(row[1], row[2])) if row is not None else None


def _begin_writing(connection: apsw.Connection, tenant: str) -> Session:
    connection.execute("BEGIN IMMEDIATE")
    found = _tenant(connection, tenant)
    if found is None:
        connection.execute("INSERT INTO tenant (name, revision) VALUES (?, 0)", (tenant,))
        found = connection.last_insert_rowid(), Revision(0, 0)
    return Session(connection, *found)


def _end(connection: apsw.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


async def open_store(url: str, *, reads_only: bool = False) -> SqliteStore:
    """Open the store in the folder that `sqlite:///path` (absolute: `sqlite:////path`) names."""
    folder = Path(unquote(urlsplit(url).path).removeprefix("/"))
    return await asyncio.get_running_loop().run_in_executor(None, lambda: SqliteStore(folder, reads_only=reads_only))
