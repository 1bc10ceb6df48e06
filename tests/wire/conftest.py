"""Servers on both stores, simulated customers, and what is read back of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from wire.serving import RunningServer

from goldenthread.cli.demo.sending import to_record
from goldenthread.cli.demo.sources import simulate_records
from goldenthread.client import Client, Record
from goldenthread.graph.stores.neo4j.local import LocalNeo4j, free_port

StartServer = Callable[..., RunningServer]
SharedServers = Callable[..., RunningServer]


@pytest.fixture(params=["sqlite", pytest.param("neo4j", marks=pytest.mark.neo4j)])
def store_kind(request: pytest.FixtureRequest) -> str:
    """Name each store in turn."""
    kind: str = request.param
    return kind


@pytest.fixture
def store_url(store_kind: str, request: pytest.FixtureRequest) -> str:
    """Say where the store is: empty for the one in the data folder."""
    if store_kind == "sqlite":
        return ""
    return neo4j_url(request.getfixturevalue("neo4j_uri"))


@pytest.fixture
def neo4j_store(neo4j_uri: str) -> str:
    """Say where the Neo4j that all tests share is."""
    return neo4j_url(neo4j_uri)


def neo4j_url(bolt: str) -> str:
    """Write a Bolt address as the setting `store`."""
    return "neo4j://" + bolt.partition("://")[2]


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[StartServer]:
    """Start servers with settings, each in a folder and a tenant of its own; what still runs is killed afterwards."""
    with ExitStack() as afterwards:
        count = 0

        def make(*, store: str = "", tenant: str = "", file_bytes: int | None = None, **settings: object) -> RunningServer:
            nonlocal count
            count += 1
            chosen = {**settings, **({"store": store} if store else {})}
            server = RunningServer(tmp_path / f"server{count}", tenant or new_tenant(), chosen, file_bytes)
            afterwards.callback(end_server, server)
            server.start()
            return server

        yield make


def end_server(server: RunningServer) -> None:
    """Kill a server that still runs, and show the defects that it logged, for the report of a test that failed."""
    for line in server.log().splitlines():
        if '"incident"' in line:
            print(line)
    if server.process is not None and server.process.exitcode is None and server.process.pid is not None:
        server.kill()


def new_tenant() -> str:
    return f"test-{secrets.token_hex(8)}"


@pytest.fixture(scope="session")
def shared_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedServers]:
    """Start one server for each store and settings, for the tests that do no harm to it; each call is given another tenant."""
    started: dict[tuple[tuple[str, object], ...], RunningServer] = {}

    def get(store: str, **settings: object) -> RunningServer:
        # It is never away: to look for it often would cost more than many tests.
        chosen = {"health_interval_seconds": 2, **settings, **({"store": store} if store else {})}
        key = tuple(sorted(chosen.items()))
        if key not in started:
            server = RunningServer(tmp_path_factory.mktemp("server"), new_tenant(), chosen)
            server.start()
            started[key] = server
        return replace(started[key], tenant=new_tenant())

    yield get
    for server in started.values():
        end_server(server)


@pytest.fixture
def server(shared_servers: SharedServers, store_url: str) -> RunningServer:
    """A tenant of its own on a server that runs on the store in turn; it is not to be stopped."""
    return shared_servers(store_url)


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    """An administrator of that server."""
    with server.client() as client:
        yield client


@pytest.fixture(scope="session")
def customers() -> Callable[[int], list[Record]]:
    """Simulate customers: the same for the same number, and a shorter list is the beginning of a longer one."""
    known: dict[int, list[Record]] = {}

    def simulate(count: int) -> list[Record]:
        if count not in known:
            known[count] = [to_record(simulated) for simulated in simulate_records(count)]
        return list(known[count])

    return simulate


class OwnNeo4j:
    """A Neo4j whose files can be read and whose process can be stopped, on one folder and one port."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self._running: LocalNeo4j | None = None

    @property
    def url(self) -> str:
        """Where it is, or will be, as the setting `store`."""
        return neo4j_url(f"bolt://127.0.0.1:{self.port}")

    @property
    def bolt(self) -> str:
        """Where it is, for a driver."""
        return f"bolt://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._running is not None
        return self._running.pid

    def start(self) -> None:
        """Start it unless it runs."""
        if self._running is None:
            self._running = LocalNeo4j.start(self.home, port=self.port, heap="384m", page_cache="64m")

    def stop(self) -> None:
        """Stop it in order, so that everything is in its files."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    def kill(self) -> None:
        """End it at once if it runs."""
        if self._running is not None:
            self._running.kill()
            self._running = None


@pytest.fixture(scope="session")
def own_neo4j(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnNeo4j]:
    """A Neo4j beside the one that all tests share, for those that harm it; not started yet."""
    own = OwnNeo4j(tmp_path_factory.mktemp("own-neo4j"))
    yield own
    own.kill()
