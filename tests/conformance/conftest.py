"""Open each store for each test, and build small worlds in it.

To put a store under the suite, name its entry point in `STORES`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from goldenthread.graph.model import Edge, EdgeKind, Node, NodeKind, Property
from goldenthread.graph.schema import NODE_PROPERTIES
from goldenthread.graph.store import ChangeSet, EdgeRef, Reader, Revision, Store, Transaction

STORES = ("sqlite", pytest.param("neo4j", marks=pytest.mark.neo4j))

Open = Callable[[], Awaitable[Store]]


def store_urls(name: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """Say where a store of this name may be opened in this test."""
    if name == "neo4j":
        return str(request.getfixturevalue("neo4j_uri"))
    return f"sqlite:///{folder}"


class Ids:
    """Make ids of names, the same ones each time."""

    def __call__(self, name: str) -> bytes:
        return hashlib.blake2b(name.encode(), digest_size=16).digest()


class World:
    """A tenant of a store, with short words to change and read it."""

    def __init__(self, store: Store, tenant: str) -> None:
        self.store, self.tenant = store, tenant
        self.id = Ids()
        self._clock = 1_700_000_000_000_000

    def now(self) -> int:
        """Give the next second, in UTC microseconds."""
        self._clock += 1_000_000
        return self._clock

    def reader(self, revision: int | None = None) -> AbstractAsyncContextManager[Reader]:
        """Open a reader of the tenant."""
        return self.store.reader(self.tenant, revision=revision)

    async def apply(self, changes: ChangeSet, at: int | None = None) -> Revision:
        """Commit the changes."""

        async def work(transaction: Transaction) -> Revision:
            return await transaction.apply(changes)

        return await self.store.write(self.tenant, at if at is not None else self.now(), work)

    async def put(self, *parts: ChangeSet) -> Revision:
        """Commit several change sets as one."""
        return await self.apply(self.together(parts))

    def together(self, parts: Iterable[ChangeSet]) -> ChangeSet:
        """Add change sets up."""
        whole = ChangeSet()
        for part in parts:
            whole.delete_nodes += part.delete_nodes
            whole.end_edges += part.end_edges
            whole.put_nodes += part.put_nodes
            whole.put_edges += part.put_edges
            whole.sweep += part.sweep
        return whole

    def node(self, kind: NodeKind, name: str, alias: bytes | None = None, **properties: Property) -> Node:
        """Make a node with every property of its kind."""
        defaults: dict[NodeKind, dict[str, Property]] = {
            NodeKind.SOURCE: {"name": name, "party": 1},
            NodeKind.RECORD: {"source": "crm"},
            NodeKind.RECORD_VERSION: {
                "observed_at": 1_600_000_000_000_000,
                "source_version": -1,
                "digest": self.id("digest of " + name),
                "tombstone": 0,
                "profile": b"profile8",
                "sealed": b"\x00\xff" * 20,
            },
            NodeKind.IDENTIFIER: {"type": 10, "sealed": b"sealed"},
            NodeKind.HOUSEHOLD: {"reason": "address"},
            NodeKind.CONSENT: {"purpose": "news", "state": 5, "channel": "", "event_time": 9, "sealed": b""},
            NodeKind.DECISION: {"kind": "must_link", "sealed": b"why", "about": b"", "expires_at": 0, "overrides_veto": 0},
            NodeKind.DECISION_END: {"kind": "undo", "sealed": b"why not"},
            NodeKind.DUE: {"decision": b"d" * 16},
            NodeKind.REQUEST: {"digest": b"d" * 32, "result": b"", "at": 1},
            NodeKind.ARTEFACT: {"body": b"x" * 1000},
            NodeKind.JOB: {name: kind() for name, kind in NODE_PROPERTIES[NodeKind.JOB].items()},
            NodeKind.REVIEW: {"body": b"claim"},
            NodeKind.LABEL: {
                "left": self.id("a"),
                "right": self.id("b"),
                "answer": 1,
                "actor": b"actor",
                "asks_another": 0,
                "decision": b"",
                "levels": b"\x01\x00",
                "model": "m",
                "left_profile": b"profile1",
                "right_profile": b"profile2",
                "sealed": b"why",
            },
            NodeKind.EVENTS: {"body": b"events"},
            NodeKind.CURSOR: {"name": name, "body": b"cursor"},
            NodeKind.DEAD_LETTER: {"body": b"letter"},
        }
        return Node(kind, self.id(name), {**defaults.get(kind, {}), **properties}, alias)

    def nodes(self, kind: NodeKind, *names: str) -> ChangeSet:
        """Put nodes of a kind."""
        return ChangeSet(put_nodes=[self.node(kind, name) for name in names])

    def edge(self, kind: EdgeKind, source: str, target: str, weight: int = 0, profile: bytes = b"") -> Edge:
        """Make an edge between names."""
        return Edge(kind, self.id(source), self.id(target), weight, profile)

    def edges(self, kind: EdgeKind, source: str, *targets: str, weight: int = 0, profile: bytes = b"") -> ChangeSet:
        """Put edges from one name."""
        return ChangeSet(put_edges=[self.edge(kind, source, target, weight, profile) for target in targets])

    def ended(self, kind: EdgeKind, source: str, target: str) -> ChangeSet:
        """End an edge."""
        return ChangeSet(end_edges=[EdgeRef(kind, self.id(source), self.id(target))])

    def matches(self, one: str, other: str, weight: int) -> ChangeSet:
        """Put a match, the smaller id first."""
        first, second = sorted((one, other), key=self.id)
        return self.edges(EdgeKind.MATCHES, first, second, weight=weight)

    def match_ended(self, one: str, other: str) -> ChangeSet:
        """End a match."""
        first, second = sorted((one, other), key=self.id)
        return self.ended(EdgeKind.MATCHES, first, second)

    def record(
        self,
        name: str,
        *,
        identity: str | None = None,
        source: str = "crm",
        has: Iterable[str] = (),
        blocks: Iterable[str] = (),
        profile: bytes | None = None,
        tombstone: int = 0,
    ) -> ChangeSet:
        """Put a record `name` with version `name/1`, identity `name/identity`, and its keys."""
        person = identity or f"{name}/identity"
        digest = profile if profile is not None else self.id("profile of " + name)[:8]
        parts = [
            ChangeSet(
                put_nodes=[
                    self.node(NodeKind.SOURCE, source),
                    self.node(NodeKind.RECORD, name, alias=self.id("alias of " + name), source=source),
                    self.node(NodeKind.RECORD_VERSION, f"{name}/1", tombstone=tombstone, profile=digest),
                ]
            ),
            self.nodes(NodeKind.IDENTIFIER, *has),
            self.nodes(NodeKind.BLOCK, *blocks),
            self.edges(EdgeKind.FROM, name, source),
            self.edges(EdgeKind.CURRENT, name, f"{name}/1"),
            self.edges(EdgeKind.HAS, name, *has, profile=digest),
            self.edges(EdgeKind.IN, name, *blocks, profile=digest),
        ]
        if not tombstone:
            parts += [self.nodes(NodeKind.IDENTITY, person), self.edges(EdgeKind.RESOLVED_TO, name, person)]
        return self.together(parts)


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Say where the store under test may be opened."""
    return store_urls(request.param, request, tmp_path)


@pytest.fixture
def open_store(store_url: str) -> Open:
    """Give a function that opens the store under test; where one process may own it, close it before opening it again."""
    found = entry_points(group="goldenthread.stores", name=store_url.partition(":")[0].replace("bolt", "neo4j"))
    opener: Callable[[str], Awaitable[Store]] = next(iter(found)).load()
    return lambda: opener(store_url)


@pytest.fixture
async def store(open_store: Open) -> AsyncIterator[Store]:
    """Open the store under test."""
    opened = await open_store()
    yield opened
    await opened.close()


@pytest.fixture
def tenant() -> str:
    """Name a tenant that nobody else has."""
    return f"test-{secrets.token_hex(8)}"


@pytest.fixture
def world(store: Store, tenant: str) -> World:
    """Give an empty tenant."""
    return World(store, tenant)


@pytest.fixture
def world_of() -> Callable[[Store, str], World]:
    """Give a function that builds a world in any store and tenant."""
    return World
