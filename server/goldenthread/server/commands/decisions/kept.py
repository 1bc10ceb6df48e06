"""Keep a steward's decision: what it says is sealed, which records it binds are edges, and how it ended is a node of its own.

A decision is fixed to records when it is made, so it holds whatever comes in later; a record keeps its id when it is deleted
and comes back. A decision node never changes: what ends it, an undoing or its expiry, is kept beside it, and its edges end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec import Struct

from goldenthread.graph.model import LIVE, Edge, EdgeKind, Node, NodeKind, Property
from goldenthread.graph.store import ChangeSet, EdgeRef, Reader
from goldenthread.graph.vault import SealRequest, TenantVault
from goldenthread.server.commands.ids import new_id, timed_id
from goldenthread.server.commands.tenants import Tenant

__all__ = [
    "BOUND",
    "DecisionEnd",
    "DecisionKind",
    "DecisionTerms",
    "DecisionView",
    "Made",
    "due_id",
    "end_changes",
    "end_id",
    "live",
    "make",
    "open_decisions",
    "view_decisions",
]

DecisionKind = Literal["merge", "split", "must_link", "cannot_link", "not_household", "pin"]

BOUND: Final = frozenset({EdgeKind.MUST_LINK, EdgeKind.CANNOT_LINK, EdgeKind.BINDS})
"""Edges from a record to a decision."""

_EDGES: Final[dict[str, EdgeKind]] = {
    "merge": EdgeKind.MUST_LINK,
    "must_link": EdgeKind.MUST_LINK,
    "split": EdgeKind.CANNOT_LINK,
    "cannot_link": EdgeKind.CANNOT_LINK,
    "not_household": EdgeKind.BINDS,
    "pin": EdgeKind.BINDS,
}


class DecisionTerms(Struct, frozen=True):
    """What every decision says: who decided, why, until when (UTC microseconds, 0 for ever) and whether a veto yields to it."""

    actor: str
    reason: str
    expires_at: int = 0
    overrides_veto: bool = False


class _Body(Struct, frozen=True, array_like=True):
    """What is sealed of a decision; `value` is a keyed digest, so that it keeps no value alive."""

    actor: str
    reason: str
    attribute: str = ""
    value: bytes = b""


class DecisionEnd(Struct, frozen=True):
    """How a decision ended: by `undo` or `expiry`; who undid it and why; at which revision and when (UTC microseconds)."""

    kind: str
    actor: str
    reason: str
    revision: int
    ended_at: int = 0


class DecisionView(Struct, frozen=True):
    """A steward's decision, opened."""

    id: bytes
    kind: str
    actor: str
    reason: str
    revision: int
    overrides_veto: bool = False
    expires_at: int = 0
    household: bytes = b""
    attribute: str = ""
    value: bytes = b""
    """Keyed digest of the pinned value."""
    made_at: int = 0
    left: Sequence[bytes] = ()
    right: Sequence[bytes] = ()
    end: DecisionEnd | None = None


class Made(Struct):
    """A decision that is being made: its node, as if it were stored at the next revision, its edges, and when it is due."""

    node: Node
    edges: list[Edge]
    plain: bytes

    async def put(self, tenant: Tenant, changes: ChangeSet) -> ChangeSet:
        """Seal it, and add it to what changes."""
        (sealed,) = await tenant.vault.seal([SealRequest(self.node.id, NodeKind.DECISION, self.plain)])
        changes.put_nodes.append(msgspec.structs.replace(self.node, properties={**self.node.properties, "sealed": sealed}))
        changes.put_edges += self.edges
        if self.node.properties["expires_at"]:
            changes.put_nodes.append(Node(NodeKind.DUE, due_id(self.node), {"decision": self.node.id}))
        return changes


def make(
    kind: DecisionKind,
    terms: DecisionTerms,
    left: Sequence[bytes],
    right: Sequence[bytes],
    revision: int,
    at: int,
    *,
    household: bytes = b"",
    attribute: str = "",
    value: bytes = b"",
) -> Made:
    """Make a decision that binds records of two sides; `revision` is the one that it will be stored at."""
    properties: dict[str, Property] = {
        "kind": kind,
        "sealed": b"",
        "about": household,
        "expires_at": terms.expires_at,
        "overrides_veto": int(terms.overrides_veto),
    }
    node = Node(NodeKind.DECISION, new_id(at), properties, recorded_from=revision)
    edges = [Edge(_EDGES[kind], record, node.id, side) for side, records in ((0, left), (1, right)) for record in records]
    return Made(node, edges, msgspec.msgpack.encode(_Body(terms.actor, terms.reason, attribute, value)))


def due_id(decision: Node) -> bytes:
    """Name what says when a decision expires, to the next millisecond: ids ascend by time, so whatever is due comes first."""
    expires_at = int(decision.properties["expires_at"])
    return timed_id(expires_at + 999, decision.id[6:])


def end_id(vault: TenantVault, decision: bytes) -> bytes:
    """Name what says how a decision ended."""
    return vault.blind("decision-end", decision)


async def end_changes(
    tenant: Tenant, decision: Node, bound: Sequence[Edge], kind: Literal["undo", "expiry"], actor: str, reason: str
) -> ChangeSet:
    """Say what changes in the store for a decision to end; `bound` are its edges."""
    id = end_id(tenant.vault, decision.id)
    (sealed,) = await tenant.vault.seal([SealRequest(id, NodeKind.DECISION_END, msgspec.msgpack.encode(_Body(actor, reason)))])
    changes = ChangeSet(put_nodes=[Node(NodeKind.DECISION_END, id, {"kind": kind, "sealed": sealed})])
    changes.end_edges += [EdgeRef(edge.kind, edge.source, edge.target) for edge in bound]
    if decision.properties.get("expires_at"):
        changes.delete_nodes.append(due_id(decision))
    return changes


async def open_decisions(tenant: Tenant, nodes: Sequence[Node]) -> list[DecisionView]:
    """Open what decisions say, by revision; one whose key is gone is left out."""
    views: list[DecisionView] = []
    for node, body in zip(nodes, await _open(tenant, nodes), strict=True):
        if body is None:
            continue
        said = node.properties
        views.append(
            DecisionView(
                node.id,
                str(said["kind"]),
                body.actor,
                body.reason,
                node.recorded_from,
                bool(said.get("overrides_veto", 0)),
                int(said.get("expires_at", 0)),
                _bytes(said.get("about", b"")),
                body.attribute,
                body.value,
            )
        )
    return sorted(views, key=lambda view: (view.revision, view.id))


async def view_decisions(reader: Reader, tenant: Tenant, nodes: Sequence[Node]) -> list[DecisionView]:
    """Open decisions with the records they bind, live or not, and how they ended, as of the reader's revision."""
    views = await open_decisions(tenant, nodes)
    edges = await reader.history([view.id for view in views], BOUND)
    sides: dict[bytes, tuple[set[bytes], set[bytes]]] = {view.id: (set(), set()) for view in views}
    for edge in edges:
        sides[edge.target][edge.weight].add(edge.source)
    ends = {end_id(tenant.vault, view.id): view.id for view in views}
    ended = list((await reader.nodes(list(ends))).values())
    times = await reader.commit_times([*(view.revision for view in views), *(node.recorded_from for node in ended)])
    end_of = {
        ends[node.id]: DecisionEnd(
            str(node.properties["kind"]), body.actor, body.reason, node.recorded_from, times.get(node.recorded_from, 0)
        )
        for node, body in zip(ended, await _open(tenant, ended), strict=True)
        if body is not None
    }
    return [
        msgspec.structs.replace(
            view,
            made_at=times.get(view.revision, 0),
            left=sorted(sides[view.id][0]),
            right=sorted(sides[view.id][1]),
            end=end_of.get(view.id),
        )
        for view in views
    ]


def live(edges: Sequence[Edge]) -> list[Edge]:
    """Leave out the edges that have ended."""
    return [edge for edge in edges if edge.recorded_to == LIVE]


async def _open(tenant: Tenant, nodes: Sequence[Node]) -> list[_Body | None]:
    opened = await tenant.vault.open([(node.id, node.kind, _bytes(node.properties["sealed"])) for node in nodes])
    return [None if plain is None else msgspec.msgpack.decode(plain, type=_Body) for plain in opened]


def _bytes(value: Property) -> bytes:
    return value if isinstance(value, bytes) else b""
