"""Start what tests of every room share: one real Neo4j a session."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from goldenthread.graph.stores.neo4j.local import LocalNeo4j, LocalNeo4jError


@pytest.fixture(scope="session")
def neo4j_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Say where a Neo4j answers: GOLDENTHREAD_TEST_NEO4J_URI, or one started here; tests keep apart by random tenants."""
    given = os.environ.get("GOLDENTHREAD_TEST_NEO4J_URI")
    if given:
        yield given
        return
    try:
        server = LocalNeo4j.start(tmp_path_factory.mktemp("neo4j"), heap="512m", page_cache="256m")
    except LocalNeo4jError as error:
        reason = f"NO NEO4J, SO ITS STORE IS NOT TESTED: {error}"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)
    with server:
        yield server.uri
