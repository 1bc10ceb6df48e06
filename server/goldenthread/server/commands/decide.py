"""Merge and split identities by a steward's decision, kept as constraints between records, so that it outlives re-ingest."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from goldenthread.graph.model import Edge, EdgeKind, Node, NodeKind
from goldenthread.graph.store import ChangeSet, Reader, StoredIdentity, Transaction
from goldenthread.graph.vault import SealRequest
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.idempotency import Request, once
from goldenthread.server.commands.identities import living
from goldenthread.server.commands.ids import new_id, now
from goldenthread.server.commands.linking import Change, Linked, relink
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import FailedPrecondition, InvalidField, NotFound

__all__ = ["DecisionView", "Merged", "Split", "merge_identities", "open_decisions", "split_identity"]


class Merged(Struct, frozen=True):
    """What a merge came to: the identity that stays, those that are retired, the decision (empty for a preview)."""

    identity: bytes
    superseded: Sequence[bytes]
    decision: bytes
    revision: int


class Split(Struct, frozen=True):
    """What a split came to: identities and their records, the one that keeps the id first."""

    identities: Sequence[tuple[bytes, Sequence[bytes]]]
    decision: bytes
    revision: int


class _Reason(Struct, frozen=True, array_like=True):
    actor: str
    reason: str


class DecisionView(Struct, frozen=True):
    """A steward's decision, opened."""

    id: bytes
    kind: str
    actor: str
    reason: str
    revision: int


class _Made(Struct):
    """A decision that is being made."""

    id: bytes
    kind: str
    edges: list[Edge]

    async def changes(self, tenant: Tenant, linked: Linked, actor: str, reason: str) -> ChangeSet:
        plain = msgspec.msgpack.encode(_Reason(actor, reason))
        (sealed,) = await tenant.vault.seal([SealRequest(self.id, NodeKind.DECISION, plain)])
        linked.changes.put_nodes.append(Node(NodeKind.DECISION, self.id, {"kind": self.kind, "sealed": sealed}))
        linked.changes.put_edges += self.edges
        return linked.changes


async def merge_identities(
    engine: Engine, tenant: Tenant, ids: Sequence[bytes], actor: str, reason: str, request: Request, *, preview: bool
) -> Merged:
    """Make one identity of several.

    Raises:
        NotFound: one of them does not exist.
        FailedPrecondition: they are one identity already, or a later decision keeps them apart.
    """

    async def plan(reader: Reader, at: int) -> tuple[_Made, Linked, Merged]:
        found = [(await living(reader, id)).identity for id in dict.fromkeys(ids)]
        together = {identity.id: identity for identity in found}
        if len(together) < 2:
            raise FailedPrecondition("these are one identity already")
        records = [record for identity in together.values() for record in identity.records]
        made = _Made(new_id(at), "merge", [])
        made.edges = [Edge(EdgeKind.MUST_LINK, record, made.id) for record in records]
        linked = await _relinked(reader, tenant, made, at)
        stays = {linked.identity_of[record] for record in records}
        if len(stays) > 1:
            raise FailedPrecondition("another decision or a guard rail keeps some of their records apart")
        revision = reader.revision.number + (not preview)
        identity = stays.pop()
        return made, linked, Merged(identity, sorted(set(together) - {identity}), b"" if preview else made.id, revision)

    if preview:
        async with engine.reader(tenant) as reader:
            return (await plan(reader, now()))[2]

    async def work(transaction: Transaction, at: int) -> Merged:
        async def change() -> tuple[ChangeSet, Merged]:
            made, linked, merged = await plan(transaction, at)
            return await made.changes(tenant, linked, actor, reason), merged

        return await once(transaction, tenant, request, at, Merged, change)

    return await engine.write(tenant, work)


async def split_identity(
    engine: Engine,
    tenant: Tenant,
    id: bytes,
    records: Sequence[bytes],
    actor: str,
    reason: str,
    request: Request,
    *,
    preview: bool,
) -> Split:
    """Keep records of an identity apart from its others.

    Raises:
        NotFound: there is no such identity.
        InvalidField: a record is not one of its records, or all of them are named.
        FailedPrecondition: a later decision holds them together.
    """

    async def plan(reader: Reader, at: int) -> tuple[_Made, Linked, Split]:
        identity = (await reader.identities([id])).get(id)
        if identity is None:
            raise NotFound("identity")
        off, rest = _sides(identity, records)
        made = _Made(new_id(at), "split", [])
        made.edges = [Edge(EdgeKind.CANNOT_LINK, record, made.id, weight=0) for record in rest]
        made.edges += [Edge(EdgeKind.CANNOT_LINK, record, made.id, weight=1) for record in off]
        linked = await _relinked(reader, tenant, made, at)
        if {linked.identity_of[record] for record in off} & {linked.identity_of[record] for record in rest}:
            raise FailedPrecondition("another decision holds some of these records together; undo that one first")
        parts: dict[bytes, list[bytes]] = {}
        for record in sorted(identity.records):
            parts.setdefault(linked.identity_of[record], []).append(record)
        kept = sorted(parts.items(), key=lambda part: (part[0] != id, part[0]))
        return made, linked, Split(kept, b"" if preview else made.id, reader.revision.number + (not preview))

    if preview:
        async with engine.reader(tenant) as reader:
            return (await plan(reader, now()))[2]

    async def work(transaction: Transaction, at: int) -> Split:
        async def change() -> tuple[ChangeSet, Split]:
            made, linked, split = await plan(transaction, at)
            return await made.changes(tenant, linked, actor, reason), split

        return await once(transaction, tenant, request, at, Split, change)

    return await engine.write(tenant, work)


def _sides(identity: StoredIdentity, records: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
    if not identity.records:
        raise FailedPrecondition("the identity was superseded; split the one it is now")
    off = set(records)
    if not off <= set(identity.records):
        raise InvalidField("records", "must all be records of the identity")
    rest = [record for record in identity.records if record not in off]
    if not rest:
        raise InvalidField("records", "must leave at least one record of the identity")
    return sorted(off), rest


async def _relinked(reader: Reader, tenant: Tenant, made: _Made, at: int) -> Linked:
    """Link again as if the decision were the latest."""
    revisions = {made.id: reader.revision.number + 1}
    return await relink(reader, tenant, Change(put_decisions=made.edges, decision_revisions=revisions), at)


async def open_decisions(tenant: Tenant, nodes: Sequence[Node]) -> list[DecisionView]:
    """Open decisions; one whose key is gone is left out."""
    sealed = [(node.id, NodeKind.DECISION, bytes(node.properties["sealed"])) for node in nodes]  # type: ignore[arg-type]  # bytes by the schema
    views: list[DecisionView] = []
    for node, plain in zip(nodes, await tenant.vault.open(sealed), strict=True):
        if plain is not None:
            why = msgspec.msgpack.decode(plain, type=_Reason)
            views.append(DecisionView(node.id, str(node.properties["kind"]), why.actor, why.reason, node.recorded_from))
    return sorted(views, key=lambda view: view.revision)
