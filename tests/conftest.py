"""Start what tests of every room share: one real Neo4j a test run."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings
from shared_neo4j import SharedNeo4j

from goldenthread.graph.stores.neo4j.local import LocalNeo4jError

# How fast an example runs says how busy the machine is, and nothing of a law.
settings.register_profile("goldenthread", deadline=None)
settings.load_profile("goldenthread")

# A run started in the background ignores interrupts, and so would every process that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def neo4j_uri(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Say where a Neo4j answers: GOLDENTHREAD_TEST_NEO4J_URI, or one started here; tests keep apart by random tenants."""
    given = os.environ.get("GOLDENTHREAD_TEST_NEO4J_URI")
    if given:
        return given
    own = tmp_path_factory.getbasetemp()
    shared = SharedNeo4j((own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "neo4j")
    # Not as this fixture is torn down: it may wait for other processes, which is no test's time.
    request.config.add_cleanup(shared.leave)
    try:
        return shared.join()
    except LocalNeo4jError as error:
        reason = f"NO NEO4J, SO ITS STORE IS NOT TESTED: {error}"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)
