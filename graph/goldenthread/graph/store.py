"""Say what a store must do: read the graph of one tenant at a revision, and change it in one durable transaction.

Verbs take batches, so that one round trip serves a thousand records. No verb names a tenant: a `Reader` or a `Transaction` is
opened for one. Answers hold only what is live at the reader's revision, in no particular order unless said.
Everything a store keeps is opaque: ids, blind keys, revisions, sealed bytes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import Protocol, TypeVar

from msgspec import Struct

from goldenthread.graph.model import Edge, EdgeKind, Node, NodeKind

__all__ = [
    "Band",
    "Capability",
    "ChangeSet",
    "Component",
    "EdgeRef",
    "Outline",
    "Posting",
    "Reader",
    "RecordState",
    "Revision",
    "Store",
    "StoredIdentity",
    "Subgraph",
    "Transaction",
    "events_id",
]

T = TypeVar("T")


class Capability(Enum):
    """What not every store can do."""

    TIME_TRAVEL = "time_travel"  # readers at a past revision
    MANY_WRITERS = "many_writers"  # several processes may write one store
    EMBEDDED = "embedded"  # answers within this process, without a round trip


class Revision(Struct, frozen=True, gc=False):
    """A tenant's revision: numbers its commits from 1, and says when (UTC microseconds). 0 is the empty store."""

    number: int
    at: int


class RecordState(Struct, frozen=True, gc=False):
    """A record with the version that is current and the identity it belongs to (None for a tombstone)."""

    record: Node
    version: Node
    identity: bytes | None


class Posting(Struct, frozen=True, gc=False):
    """What hangs on one candidate key: by record, the blind digest of its profile.

    `is_generic` when more than the limit of distinct profiles share it; `records` is then empty.
    """

    key: bytes
    is_generic: bool
    records: Mapping[bytes, bytes]


class Component(Struct, frozen=True):
    """Records joined by matches of at least the asked weight or by a MUST_LINK decision, sorted by id."""

    records: Sequence[bytes]
    matches: Sequence[Edge]
    decisions: Sequence[Edge]
    """MUST_LINK, CANNOT_LINK and BINDS edges of these records."""
    disputed: Sequence[Edge] = ()
    """DISPUTED edges that leave these records."""


class Outline(Struct, frozen=True):
    """Records that linking kept together, with what it needs to know of them before it looks at their matches.

    They are joined by being one identity, by DISPUTED edges and by shared MUST_LINK decisions.
    """

    versions: Mapping[bytes, bytes]
    """The id of each record's current version."""
    identity_of: Mapping[bytes, bytes]
    """Which identity each record belongs to; tombstones belong to none."""
    decisions: Sequence[Edge]
    """MUST_LINK, CANNOT_LINK and BINDS edges of these records."""
    disputed: Sequence[Edge]
    """DISPUTED edges that leave these records."""


class Band(Struct, frozen=True, gc=False):
    """Edges between records with `low` <= weight < `high`, of which the first `limit` are wanted.

    `kind` is MATCHES or DISPUTED; `together` says whether their two records are one identity; None takes both.
    """

    kind: EdgeKind
    low: int
    high: int
    together: bool | None
    heaviest_first: bool
    limit: int


class StoredIdentity(Struct, frozen=True, gc=False):
    """An identity with its records (sorted), households and successors, and the revision its membership last changed."""

    id: bytes
    records: Sequence[bytes]
    households: Sequence[bytes]
    superseded_by: Sequence[bytes]
    changed: Revision
    was_cut: bool
    """True when a deletion after the reader's revision removed a member."""


class Subgraph(Struct, frozen=True):
    """Nodes and the live edges between them. `is_truncated` when a limit cut it short."""

    nodes: Sequence[Node]
    edges: Sequence[Edge]
    is_truncated: bool = False


class EdgeRef(Struct, frozen=True, gc=False):
    """The live edge of this kind between these two."""

    kind: EdgeKind
    source: bytes
    target: bytes


class ChangeSet(Struct, kw_only=True):
    """Everything one transaction changes. A store applies it in this order.

    Deleting a node removes it with every edge, past ones too, without a trace. Ending an edge keeps it for reads as of the
    past; ending one that is not live does nothing. Forgetting an edge removes what ended of it before, without a trace.
    Putting a node or edge that is live already does nothing.
    A node of a kind that is `schema.STATEFUL` may be deleted and put again by the same change set, which changes it.
    After the rest, an IDENTIFIER, BLOCK or HOUSEHOLD of `sweep` without any edge left, live or past, is deleted too.
    """

    delete_nodes: list[bytes] = []
    end_edges: list[EdgeRef] = []
    forget_edges: list[EdgeRef] = []
    put_nodes: list[Node] = []
    put_edges: list[Edge] = []
    sweep: list[bytes] = []
    events: bytes = b""
    """What the commit tells those who follow it; kept as the EVENTS node whose id is the revision. Empty for nothing."""

    def add(self, other: ChangeSet) -> None:
        """Change all that another change set does too; no more than one of them may have events."""
        assert not (self.events and other.events), "a commit tells its events once"
        self.delete_nodes += other.delete_nodes
        self.end_edges += other.end_edges
        self.forget_edges += other.forget_edges
        self.put_nodes += other.put_nodes
        self.put_edges += other.put_edges
        self.sweep += other.sweep
        self.events = self.events or other.events


def events_id(revision: int) -> bytes:
    """Name the EVENTS node of a revision, so that their ids are in the order of revisions."""
    return revision.to_bytes(16, "big")


class Reader(Protocol):
    """Read one tenant's graph as it was at one revision."""

    @property
    def revision(self) -> Revision:
        """The revision that is read."""
        ...

    async def nodes(self, ids: Sequence[bytes]) -> dict[bytes, Node]:
        """Get nodes by id; what is missing is left out."""
        ...

    async def records(self, ids: Sequence[bytes]) -> dict[bytes, RecordState]:
        """Get records with their current version, by id."""
        ...

    async def records_by_alias(self, aliases: Sequence[bytes]) -> dict[bytes, RecordState]:
        """Get records with their current version, by alias."""
        ...

    async def current_versions(self, records: Sequence[bytes]) -> dict[bytes, Node]:
        """Get the current version alone of each record, by the record's id: less to read than `records`."""
        ...

    async def versions(self, record: bytes) -> Sequence[Node]:
        """Get every version of a record known at the revision, current and past."""
        ...

    async def candidates(self, keys: Sequence[bytes], limit: int) -> Sequence[Posting]:
        """Get what hangs on candidate keys (ids of Identifier and Block nodes), one posting a key that exists.

        A key with more than `limit` distinct profiles is generic. Work is bounded by the limit, not by the key's records,
        except that equal profiles are all returned.
        """
        ...

    async def keys(self, records: Sequence[bytes]) -> dict[bytes, Sequence[Edge]]:
        """Get the HAS and IN edges of records."""
        ...

    async def keys_ever(self, record: bytes) -> dict[bytes, bool]:
        """Get every Identifier and Block that a record has or ever had, and whether another record has or ever had it too."""
        ...

    async def matches(self, records: Sequence[bytes], kind: EdgeKind = EdgeKind.MATCHES) -> Sequence[Edge]:
        """Get the MATCHES, STAGED or DISPUTED edges with an end among the records, each once."""
        ...

    async def band(self, band: Band) -> Sequence[Edge]:
        """List the edges of a band by weight, in the order it says; of equal weight by source and target, ascending.

        Work is bounded by the limit and by the number of edges of equal weight, not by the tenant's edges.
        """
        ...

    async def bindings(self, records: Sequence[bytes]) -> Sequence[Edge]:
        """Get the MUST_LINK and CANNOT_LINK edges of records."""
        ...

    async def labels(self, records: Sequence[bytes]) -> Sequence[Node]:
        """Get the Label nodes of records, each once."""
        ...

    async def components(
        self, records: Sequence[bytes], min_weight: int, kind: EdgeKind = EdgeKind.MATCHES
    ) -> Sequence[Component]:
        """Get the components that the records are in: by matches of at least `min_weight` and by shared MUST_LINK decisions.

        `kind` says which matches: MATCHES or STAGED.
        """
        ...

    async def outlines(self, records: Sequence[bytes]) -> Sequence[Outline]:
        """Get the outlines that the records are in.

        Work is bounded by the records of the outlines, not by their matches. Where every link joins two records of one
        identity, or of two that a DISPUTED edge joins, and every identity hangs together, these are the records of
        `components`.
        """
        ...

    async def links(self, records: Sequence[bytes], min_weight: int, kind: EdgeKind = EdgeKind.MATCHES) -> Sequence[Edge]:
        """Get the MATCHES or STAGED edges of at least a weight that leave records."""
        ...

    async def identities(self, ids: Sequence[bytes]) -> dict[bytes, StoredIdentity]:
        """Get identities by id, retired ones too."""
        ...

    async def identities_of(self, records: Sequence[bytes]) -> dict[bytes, bytes]:
        """Get the identity that each record belongs to; tombstones belong to none."""
        ...

    async def identities_with(self, keys: Sequence[bytes]) -> dict[bytes, Sequence[bytes]]:
        """Get, for each Identifier id, the identities whose records have it."""
        ...

    async def households_of(self, identities: Sequence[bytes]) -> dict[bytes, Sequence[bytes]]:
        """Get the households of identities; one that is in none is left out."""
        ...

    async def households(self, ids: Sequence[bytes]) -> dict[bytes, tuple[Node, Sequence[bytes]]]:
        """Get households by id with the identities in them."""
        ...

    async def consents(self, records: Sequence[bytes]) -> dict[bytes, Sequence[Node]]:
        """Get the consent events about records, by record."""
        ...

    async def decisions(self, records: Sequence[bytes]) -> Sequence[Node]:
        """Get the Decision nodes that bind any of the records."""
        ...

    async def history(self, ids: Sequence[bytes], kinds: frozenset[EdgeKind]) -> Sequence[Edge]:
        """Get every edge of these kinds with an end among the nodes, ended ones too, each once.

        One that ended after the revision that is read is given as live.
        """
        ...

    async def requests(self, ids: Sequence[bytes]) -> dict[bytes, Node]:
        """Get Request nodes by id."""
        ...

    async def artefact(self, root: bytes) -> Node | None:
        """Get the Artefact that an artefact root's CURRENT edge names."""
        ...

    async def page(self, kind: NodeKind, after: bytes, limit: int, where: Mapping[str, str | int]) -> Sequence[bytes]:
        """List ids of a kind greater than `after`, ascending, at most `limit`.

        RECORD pages leave out tombstones and know `where={"source": name}`; IDENTITY pages leave out identities without
        records and know `where={"min_records": n}`; pages of kinds without members know what their own properties equal, as
        `where={"is_open": 1}` of a JOB, and look at every node of the kind for it.
        """
        ...

    async def events(self, after: int, limit: int) -> Sequence[Node]:
        """Get the EVENTS nodes of revisions greater than `after`, ascending, at most `limit`.

        Revisions become readable in their order, so a reader that goes on after the last one it saw misses none.
        """
        ...

    async def counts(self) -> dict[NodeKind, int]:
        """Count live nodes by kind: records without tombstones, identities and households that have members."""
        ...

    async def neighbourhood(self, ids: Sequence[bytes], kinds: frozenset[NodeKind], hops: int, limit: int) -> Subgraph:
        """Walk edges of either direction from the nodes, through nodes of the given kinds, nearest first, up to `limit`."""
        ...

    async def path(
        self,
        start: bytes,
        end: bytes,
        kinds: frozenset[NodeKind],
        max_hops: int,
        avoiding: frozenset[bytes] = frozenset(),
    ) -> Subgraph:
        """Find a shortest path through nodes of the given kinds but some, nodes in order; empty when there is none."""
        ...

    async def commit_times(self, revisions: Sequence[int]) -> dict[int, int]:
        """Get when revisions were committed, in UTC microseconds, by number."""
        ...

    async def revision_at(self, at: int) -> Revision:
        """Find the last revision committed at or before a time (UTC microseconds)."""
        ...

    async def hold(self, records: Sequence[bytes]) -> bool:
        """Have records stay as they are until the end, and say whether what was read before may be old.

        A reader sees no changes anyhow. A transaction holds the records, sorted by the store and after every key of `lock`,
        against others that hold them. True when there was something to lock and others committed since this transaction began
        to read or last held something: then read again.

        Raises:
            Conflict: two writers wait for each other; the store runs the work again.
        """
        ...


class Transaction(Reader, Protocol):
    """Read the latest revision and change it. Reads see what was committed before, not this transaction's own changes."""

    async def lock(self, keys: Sequence[bytes]) -> None:
        """Hold these keys, sorted by the store, against other writers until the end.

        Raises:
            Conflict: two writers wait for each other; the store runs the work again.
        """
        ...

    async def apply(self, changes: ChangeSet) -> Revision:
        """Apply the changes as the tenant's next revision, which is taken here and held to commit. Call it once, last."""
        ...


class Store(Protocol):
    """Keep the graphs of many tenants."""

    @property
    def name(self) -> str:
        """Short name, as sqlite."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this store can do beyond the least."""
        ...

    def reader(self, tenant: str, *, revision: int | None = None) -> AbstractAsyncContextManager[Reader]:
        """Open a reader at a revision, the latest when None.

        Raises:
            RevisionUnknown: the revision was not reached yet.
            StoreUnavailable: the store does not answer.
        """
        ...

    async def write(self, tenant: str, at: int, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work` in one transaction; commit when it returns, roll back when it raises.

        `at` (UTC microseconds) is when the new revision says it was committed. `work` may run more than once, so it must not
        keep anything between runs; run again, it begins with all locked that it locked before. When this returns, what was
        applied survives a crash of the machine.

        Raises:
            StoreUnavailable, StoreFull: nothing was kept.
        """
        ...

    async def tenants(self, having: NodeKind) -> Sequence[str]:
        """Name the tenants that have a node of a kind of which there are few, in order."""
        ...

    async def check(self) -> None:
        """Answer quickly when the store works.

        Raises:
            StoreUnavailable: it does not.
        """
        ...

    async def close(self) -> None:
        """Close every connection; running transactions end first."""
        ...
