"""Own the driver: sessions, transactions with their retries, and the tenants' numbers."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TypeVar, cast
from urllib.parse import SplitResult, unquote, urlsplit

from neo4j import READ_ACCESS, WRITE_ACCESS, AsyncDriver, AsyncGraphDatabase, AsyncSession, AsyncTransaction, Query
from neo4j.exceptions import DriverError, Neo4jError

from goldenthread.graph.errors import Conflict, GraphError, RevisionUnknown, StoreUnavailable, StoreUrlInvalid
from goldenthread.graph.model import NodeKind
from goldenthread.graph.store import Capability, Reader, Revision, Transaction
from goldenthread.graph.stores.neo4j import queries
from goldenthread.graph.stores.neo4j.encoding import NO_TENANT, Plain, key_prefix
from goldenthread.graph.stores.neo4j.faults import STORE, translate, translated
from goldenthread.graph.stores.neo4j.gathering import Gatherer, Row
from goldenthread.graph.stores.neo4j.migrations import migrate
from goldenthread.graph.stores.neo4j.reads import Reads
from goldenthread.graph.stores.neo4j.transaction import COMMITTED, Writing

__all__ = ["Neo4jStore", "open_store"]

T = TypeVar("T")
_Rows = Sequence[Sequence[Plain]]

CHECK_SECONDS = 2.0
CONNECT_SECONDS = 5.0
DOUBT_SECONDS = 10.0
READ_SECONDS = 60.0
WRITE_SECONDS = 300.0
CONFLICT_ATTEMPTS = 12
LOST_ATTEMPTS = 3

_SCHEMES = frozenset(scheme + security for scheme in ("neo4j", "bolt") for security in ("", "+s", "+ssc"))

_NEW_TENANT = """MATCH (s:Schema {key: 'schema'}) REMOVE s.held
WITH s MERGE (t:Tenant {name: $name})
ON CREATE SET s.tenants = s.tenants + 1, t.number = s.tenants, t.revision = 0, t.at = 0 RETURN t.number"""


class Neo4jStore:
    """Keep graphs in a Neo4j database; see the README beside this module for its limits."""

    name = STORE
    capabilities = frozenset({Capability.TIME_TRAVEL, Capability.MANY_WRITERS})

    def __init__(self, driver: AsyncDriver, database: str | None) -> None:
        """Use a driver, which the store then owns, on a database that was migrated."""
        self._driver, self._database = driver, database
        self._gather = Gatherer(self._ask)
        self._numbers: dict[str, int] = {}  # a tenant's number never changes
        self._running = 0
        self._is_closed = False
        self._quiet = asyncio.Event()
        self._quiet.set()

    @asynccontextmanager
    async def reader(self, tenant: str, *, revision: int | None = None) -> AsyncIterator[Reader]:
        """Open a reader at a revision, the latest when None.

        Raises:
            RevisionUnknown: the revision was not reached yet.
            StoreUnavailable: the store does not answer.
        """
        with self._work():
            number = await self._number(tenant)
            read = await self._latest(number)
            if revision is not None and revision != read.number:
                if revision > read.number:
                    raise RevisionUnknown(revision, read.number)
                read = await self._revision(queries.REVISION, {"tenant": number, "revision": revision})
            yield Reads(self._ask, number, read, read.number, self._gather)

    async def write(self, tenant: str, at: int, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work` in one transaction; commit when it returns, roll back when it raises.

        Raises:
            Conflict: other writers were faster again and again.
            StoreUnavailable, StoreFull: nothing was kept.
        """
        with self._work():
            conflicts, losses = 0, 0
            stripes: set[int] = set()
            while True:
                try:
                    return await self._attempt(tenant, at, work, stripes)
                except Conflict:
                    conflicts += 1
                    if conflicts == CONFLICT_ATTEMPTS:
                        raise
                except StoreUnavailable as error:
                    losses += 1
                    if losses == LOST_ATTEMPTS or not _is_worth_a_retry(error):
                        raise
                await asyncio.sleep(_pause(conflicts + losses))

    async def _attempt(self, tenant: str, at: int, work: Callable[[Transaction], Awaitable[T]], stripes: set[int]) -> T:
        number = self._numbers.get(tenant) or await self._new_number(tenant)
        async with self._session(WRITE_ACCESS) as session:
            with translated():
                running = await session.begin_transaction(timeout=WRITE_SECONDS)
            ask = _Asking(running)
            transaction = await Writing.begin(ask, number, at, stripes)
            answer = await work(transaction)
            try:
                await running.commit()
            except (Neo4jError, OSError) as error:
                raise translate(error) from error
            except DriverError as error:
                # The connection went away while committing: only the database knows how it ended.
                if transaction.applied is None or not await self._was_committed(number, transaction):
                    raise translate(error) from error
            return answer

    async def _was_committed(self, number: int, transaction: Writing) -> bool:
        assert transaction.applied is not None
        asked: dict[str, Plain] = {"tenant": number, "number": transaction.applied.number, "token": transaction.token}
        with suppress(TimeoutError):  # still in doubt: the caller is told that the store is away, and asks again by request id
            async with asyncio.timeout(DOUBT_SECONDS):
                for attempt in range(1, CONFLICT_ATTEMPTS):
                    try:
                        async with self._session(WRITE_ACCESS) as session:
                            return bool((await _run(session, COMMITTED, asked))[0][0])
                    except StoreUnavailable:
                        await asyncio.sleep(_pause(attempt))
        return False

    async def tenants(self, having: NodeKind) -> Sequence[str]:
        """Name the tenants that have a node of a kind of which there are few, in order."""
        with self._work():
            prefixes = cast("list[str]", (await self._ask(queries.TENANTS_HAVING[having], {}))[0][0])
            numbers: list[Plain] = [int(prefix, 16) for prefix in prefixes]
            return sorted(cast("list[str]", (await self._ask(queries.TENANTS, {"numbers": numbers}))[0][0]))

    async def check(self) -> None:
        """Answer within two seconds when the store works.

        Raises:
            StoreUnavailable: it does not.
        """
        with self._work():
            try:
                async with asyncio.timeout(CHECK_SECONDS), self._session(READ_ACCESS) as session:
                    await _run(session, queries.CHECK, {})
            except TimeoutError as error:
                raise StoreUnavailable(STORE, f"it did not answer within {CHECK_SECONDS:g} s") from error

    async def close(self) -> None:
        """Close every connection; running transactions end first."""
        self._is_closed = True
        await self._quiet.wait()
        await self._gather.drain()
        await self._driver.close()

    @contextmanager
    def _work(self) -> Iterator[None]:
        if self._is_closed:
            raise StoreUnavailable(STORE, "it was closed")
        self._running += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._running -= 1
            if not self._running:
                self._quiet.set()

    def _session(self, access: str) -> AsyncSession:
        return self._driver.session(database=self._database, default_access_mode=access, fetch_size=-1)

    async def _ask(self, query: str, parameters: Mapping[str, Plain]) -> _Rows:
        """Read in a transaction of its own; once more when the connection was lost."""
        for attempt in range(1, LOST_ATTEMPTS):
            try:
                async with self._session(READ_ACCESS) as session:
                    return await _run(session, query, parameters)
            except (Conflict, StoreUnavailable) as error:
                if not _is_worth_a_retry(error):
                    raise
                await asyncio.sleep(_pause(attempt))
        async with self._session(READ_ACCESS) as session:
            return await _run(session, query, parameters)

    async def _latest(self, tenant: int) -> Revision:
        rows = cast(
            "list[tuple[int, int, int]]", await self._gather(queries.LATEST, [key_prefix(tenant)], _first, {"tenant": tenant})
        )
        return Revision(rows[0][1], rows[0][2]) if rows else Revision(0, 0)

    async def _revision(self, query: str, parameters: Mapping[str, Plain]) -> Revision:
        rows = await self._ask(query, parameters)
        return Revision(*cast("tuple[int, int]", rows[0])) if rows else Revision(0, 0)

    async def _number(self, tenant: str) -> int:
        number = self._numbers.get(tenant)
        if number is not None:
            return number
        rows = await self._ask(queries.TENANT, {"name": tenant})
        if not rows:
            return NO_TENANT
        return self._numbers.setdefault(tenant, cast(int, rows[0][0]))

    async def _new_number(self, tenant: str) -> int:
        found = await self._number(tenant)
        if found != NO_TENANT:
            return found
        async with self._session(WRITE_ACCESS) as session:
            rows = await _run(session, _NEW_TENANT, {"name": tenant})
        return self._numbers.setdefault(tenant, cast(int, rows[0][0]))


def _first(row: Row) -> Plain:
    return row[0]


class _Asking:
    """Ask within one transaction, one question at a time."""

    def __init__(self, transaction: AsyncTransaction) -> None:
        self._transaction, self._turn = transaction, asyncio.Lock()

    async def __call__(self, query: str, parameters: Mapping[str, Plain]) -> _Rows:
        async with self._turn:
            with translated():
                result = await self._transaction.run(query, dict(parameters))
                return await result.values()


async def _run(session: AsyncSession, query: str, parameters: Mapping[str, Plain]) -> _Rows:
    with translated():
        result = await session.run(Query(query, timeout=READ_SECONDS), dict(parameters))
        return await result.values()


def _is_worth_a_retry(error: GraphError) -> bool:
    cause = error.__cause__
    return isinstance(cause, Neo4jError | DriverError) and cause.is_retryable()


def _pause(attempt: int) -> float:
    """Wait longer each time (seconds), at random, so that two writers do not meet again."""
    return random.uniform(0, min(1.0, 0.01 * 2**attempt))  # noqa: S311 - not a secret


async def open_store(url: str, *, reads_only: bool = False) -> Neo4jStore:
    """Open the store at `neo4j://user:password@host:port/database` (or `bolt://`, `neo4j+s://`, `bolt+s://`).

    It is migrated, unless it is only to be read.

    Without a password in the URL it is taken from GOLDENTHREAD_NEO4J_PASSWORD; without that none is sent.

    Raises:
        StoreUrlInvalid: it is of another kind, or names no host.
        StoreUnavailable: no server answers there, or it refuses us.
        StoreTooNew: a newer program wrote the database.
    """
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not _has_host(parts):
        raise StoreUrlInvalid(STORE, "neo4j://host:port or bolt://host:port")
    database = unquote(parts.path.strip("/")) or None
    with translated():
        driver = AsyncGraphDatabase.driver(
            _address(parts),
            auth=_credentials(parts),
            connection_timeout=CONNECT_SECONDS,
            connection_acquisition_timeout=2 * CONNECT_SECONDS,
            liveness_check_timeout=30,
            notifications_min_severity="OFF",
            telemetry_disabled=True,
            user_agent="goldenthread",
        )
    try:
        with translated():
            if not reads_only:
                await migrate(driver, database)
    except BaseException:
        await driver.close()
        raise
    return Neo4jStore(driver, database)


def _has_host(parts: SplitResult) -> bool:
    try:
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        return False


def _credentials(parts: SplitResult) -> tuple[str, str] | None:
    password = unquote(parts.password) if parts.password is not None else os.environ.get("GOLDENTHREAD_NEO4J_PASSWORD")
    return (unquote(parts.username or "neo4j"), password) if password else None


def _address(parts: SplitResult) -> str:
    host = parts.netloc.rpartition("@")[2]
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{host}{query}"
