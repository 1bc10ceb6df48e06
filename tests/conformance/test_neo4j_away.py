"""What is missing around the Neo4j store is said plainly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from neo4j import AsyncDriver
from neo4j.exceptions import ConstraintError, Neo4jError

from goldenthread.graph.errors import Conflict, StoreFull, StoreUnavailable, StoreUrlInvalid
from goldenthread.graph.stores.neo4j import migrations, open_store
from goldenthread.graph.stores.neo4j.faults import translate
from goldenthread.graph.stores.neo4j.local import LocalNeo4jError, assemble, find_java, free_port


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable, match="no server answers"):
        await open_store(f"bolt://127.0.0.1:{free_port()}")


@pytest.mark.parametrize("url", ["http://127.0.0.1:7474", "neo4j://", "neo4j:///customers", "bolt://:7687", "bolt://host:bolt"])
async def test_a_url_that_names_no_neo4j_is_refused(url: str) -> None:
    with pytest.raises(StoreUrlInvalid, match="neo4j://host:port"):
        await open_store(url)


def test_missing_maven_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(LocalNeo4jError, match="Maven"):
        assemble("5.26.0", cache=tmp_path)


def test_missing_java_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)

    with pytest.raises(LocalNeo4jError, match="Java"):
        find_java()


def _said(code: str, message: str) -> Neo4jError:
    return Neo4jError._hydrate_neo4j(code=code, message=message)


def test_a_full_disk_and_a_faster_writer_have_errors_of_their_own() -> None:
    full = _said("Neo.DatabaseError.Transaction.TransactionCommitFailed", "No space left on device")
    deadlock = _said("Neo.TransientError.Transaction.DeadlockDetected", "two wait for each other")

    assert isinstance(translate(full), StoreFull)
    assert isinstance(translate(deadlock), Conflict)
    assert isinstance(translate(ConstraintError()), Conflict)


def test_errors_do_not_repeat_what_the_server_said() -> None:
    secret = "jane.doe@example.com"  # what a value in a server message would look like

    error = translate(_said("Neo.ClientError.Statement.ArgumentError", f"bad value {secret}"))

    assert secret not in str(error)


class _CrowdedSession:
    """A session in whose way others are, once for each statement."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def run(self, statement: str, parameters: object) -> AsyncIterator[tuple[int]]:
        self.asked.append(statement)
        if self.asked.count(statement) == 1:
            codes = ("TransientError.Transaction.DeadlockDetected", "ClientError.Schema.EquivalentSchemaRuleAlreadyExists")
            raise _said(f"Neo.{codes[len(self.asked) % 2]}", "others")
        return self._rows(statement)

    async def _rows(self, statement: str) -> AsyncIterator[tuple[int]]:
        if statement.startswith("MERGE (s:Schema"):
            yield (0,)

    async def __aenter__(self) -> _CrowdedSession:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open."""


async def test_an_empty_database_that_others_open_too_is_migrated_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "_LONGEST_WAIT_SECONDS", 0)
    session = _CrowdedSession()

    await migrations.migrate(cast(AsyncDriver, SimpleNamespace(session=lambda database: session)), None)

    assert session.asked[-1].startswith("MATCH (s:Schema {key: 'schema'}) SET s.version")
    assert len(session.asked) > 2 * len(set(session.asked)) - 1
