"""Bring a database to the schema that this program knows, one numbered step at a time.

A step is a list of statements, each run in a transaction of its own, because Neo4j does not mix schema and data in one; so each
must be harmless when run again. The number is written after the last of them. Processes that open an empty database at once run
the same statements beside each other, and get in each other's way: a statement that failed for that is run again.
"""

from __future__ import annotations

import asyncio
import random

from neo4j import AsyncDriver, AsyncSession
from neo4j.exceptions import Neo4jError

from goldenthread.graph.errors import StoreTooNew
from goldenthread.graph.stores.neo4j.encoding import LABELS

__all__ = ["LOCK_STRIPES", "SCHEMA_VERSION", "migrate"]

LOCK_STRIPES = 4096
"""Lock nodes of the whole database for keys, and as many after them for records; each hashes to one of its own."""

_UNIQUE = "CREATE CONSTRAINT {name} IF NOT EXISTS FOR (n:{label}) REQUIRE {what} IS UNIQUE"

_KEYS = tuple(_UNIQUE.format(name=f"{kind.name.lower()}_key", label=label, what="n.key") for kind, label in LABELS.items())

_MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        *_KEYS,
        _UNIQUE.format(name="record_alias", label="Record", what="n.alias"),
        _UNIQUE.format(name="tenant_name", label="Tenant", what="n.name"),
        _UNIQUE.format(name="tenant_number", label="Tenant", what="n.number"),
        _UNIQUE.format(name="commit_number", label="Commit", what="(n.tenant, n.number)"),
        _UNIQUE.format(name="lock_stripe", label="Lock", what="n.stripe"),
        # `held` is removed to take a lock, and only a property name that was once used is looked for.
        "MATCH (s:Schema {key: 'schema'}) SET s.held = 1, s.tenants = coalesce(s.tenants, 0)",
        f"UNWIND range(0, {LOCK_STRIPES - 1}) AS stripe MERGE (l:Lock {{stripe: stripe}})",
        "CALL db.awaitIndexes(300)",
    ),
    # A step that brings kinds of nodes gives them their constraints; those that are there already stay.
    (*_KEYS, "CALL db.awaitIndexes(300)"),
    # Matches by weight, for the review queue.
    (
        "CREATE INDEX match_weight IF NOT EXISTS FOR ()-[e:MATCHES]-() ON (e.weight)",
        "CREATE INDEX disputed_weight IF NOT EXISTS FOR ()-[e:DISPUTED]-() ON (e.weight)",
        "CALL db.awaitIndexes(300)",
    ),
    (f"UNWIND range({LOCK_STRIPES}, {2 * LOCK_STRIPES - 1}) AS stripe MERGE (l:Lock {{stripe: stripe}})",),
)

SCHEMA_VERSION = len(_MIGRATIONS)

_SCHEMA_KEY = _UNIQUE.format(name="schema_key", label="Schema", what="n.key")
_FOUND = "MATCH (s:Schema {key: 'schema'}) RETURN s.version"
_BEGIN = "MERGE (s:Schema {key: 'schema'}) ON CREATE SET s.version = 0 RETURN s.version"
_DONE = "MATCH (s:Schema {key: 'schema'}) SET s.version = $version"

_ATTEMPTS = 40
_LONGEST_WAIT_SECONDS = 1.0
_THERE_ALREADY = "Neo.ClientError.Schema."


async def migrate(driver: AsyncDriver, database: str | None) -> None:
    """Run the steps that the database lacks.

    Raises:
        StoreTooNew: a newer program wrote the database.
    """
    async with driver.session(database=database) as session:
        found = await _number(session, _FOUND)
        if found is None:
            await _run(session, _SCHEMA_KEY)
            found = await _number(session, _BEGIN) or 0
        if found > SCHEMA_VERSION:
            raise StoreTooNew(found, SCHEMA_VERSION)
        for version, step in enumerate(_MIGRATIONS[found:], found + 1):
            for statement in step:
                await _run(session, statement)
            await _run(session, _DONE, version=version)


async def _number(session: AsyncSession, query: str) -> int | None:
    rows = await _run(session, query)
    return int(rows[0]) if rows else None


async def _run(session: AsyncSession, statement: str, **parameters: int) -> list[int]:
    """Run a statement, and again when another process was in its way; give the first value of each row."""
    for _ in range(_ATTEMPTS):
        try:
            return [row[0] async for row in await session.run(statement, parameters)]
        except Neo4jError as error:
            if not error.is_retryable() and not (error.code or "").startswith(_THERE_ALREADY):
                raise
        await asyncio.sleep(random.uniform(0, _LONGEST_WAIT_SECONDS))  # noqa: S311 - only spreads attempts
    return [row[0] async for row in await session.run(statement, parameters)]
