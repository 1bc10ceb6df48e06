"""Put prepared records: commit many together, each resolved before it is acknowledged.

`commit_upserts` runs in one transaction for a whole batch, in columns wherever it can; see `prepare_record` for what comes
before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

from goldenthread.graph.model import Edge, EdgeKind, Node, NodeKind
from goldenthread.graph.store import ChangeSet, EdgeRef, RecordState, Transaction
from goldenthread.graph.vault import SealRequest
from goldenthread.resolver.normalise import IdentifierValue, identifiers
from goldenthread.server.commands.candidates import Keyed, match_edges
from goldenthread.server.commands.guards import follow_guards, without_blocked
from goldenthread.server.commands.ids import new_id, timed_id
from goldenthread.server.commands.linking import Change, relink
from goldenthread.server.commands.prepare_record import (
    Member,
    PreparedUpsert,
    blocks_of_profile,
    identifier_key,
    prepare_again,
)
from goldenthread.server.commands.relations import Stating, relate, relates
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import RequestIdReused, ServerError

__all__ = ["Beside", "Upserted", "change_keys", "commit_upserts", "order_of"]

_encode = msgspec.msgpack.Encoder().encode


class Upserted(Struct, frozen=True, array_like=True):
    """What became of one upsert."""

    record: bytes
    identity: bytes
    revision: int
    changed: bool


class _Version(Struct):
    """A version that a batch brings, with where it stands among the record's versions."""

    upsert: PreparedUpsert
    id: bytes
    places: list[int]

    @property
    def order(self) -> tuple[int, int, bytes]:
        return self.upsert.order


class _Plan(Struct):
    """What a batch does to one record."""

    record: bytes
    state: RecordState | None
    versions: list[_Version] = []
    current: _Version | None = None
    """The version that becomes current; None when the stored one stays."""
    unchanged: list[int] = []


async def commit_upserts(
    transaction: Transaction, tenant: Tenant, batch: Sequence[PreparedUpsert], at: int
) -> list[Upserted | ServerError]:
    """Put a batch of records, resolve what they touch, and say what became of each, in order."""
    await follow_guards(transaction, tenant)
    guards = tenant.guards_id
    now_read_as = (tenant.generation, tenant.typing.mark)
    batch = [one if (one.generation, one.types) == now_read_as else prepare_again(tenant, one) for one in batch]
    batch = without_blocked(tenant, batch)
    keys = [key for upsert in batch for key in (upsert.alias, *upsert.keys)]
    keys += [alias for upsert in batch for alias, _ in upsert.relations]
    beside = Beside(tenant)
    keys += beside.blocks(upsert.member for upsert in batch)
    await transaction.lock([*keys, *(upsert.request[0] for upsert in batch if upsert.request is not None)])
    states = await transaction.records_by_alias([upsert.alias for upsert in batch])
    outcomes, open_places = await _answer_repeats(transaction, batch)
    plans = _plan(tenant, batch, open_places, states, at)
    await _leave_out(transaction, plans)
    changes = ChangeSet()
    moved = [plan for plan in plans if plan.current is not None and not _keeps_profile(tenant, plan)]
    # What is said again may matter by when it is.
    fresh = plans if tenant.guards.minds_time else moved
    keyed = await _keyed(transaction, moved)
    matching = await match_edges(transaction, tenant, keyed)
    await beside.match(transaction, keyed, changes)
    change_keys(keyed, {key for plan in moved if plan.current is not None for key in plan.current.upsert.identifiers}, changes)
    for plan in plans:
        _version_changes(plan, changes)
    if relates(tenant):
        await relate(transaction, _stating(plans), changes)
    change = Change(
        fresh={plan.record: plan.current.upsert.member for plan in fresh if plan.current is not None},
        put_matches=matching.put,
        end_matches=matching.end,
        was_read_locked=True,
        restated={
            plan.record: plan.state.identity
            for plan in plans
            if plan.current is not None and plan.state is not None and plan.state.identity is not None
        },
        guards=guards,
    )
    # Sealing waits for the key store's disk, linking for the graph's.
    linked, _ = await asyncio.gather(
        relink(transaction, tenant, change, at), _seal(tenant, plans, moved, matching.known_keys, changes)
    )
    changes.end_edges += matching.end
    changes.put_edges += matching.put
    changes.add(linked.changes)

    revision = transaction.revision.number
    has_changed = bool(changes.put_nodes or changes.put_edges or changes.end_edges)
    for plan in plans:
        stored = plan.state.identity if plan.state is not None else None
        identity = linked.identity_of.get(plan.record, stored or b"")
        for version in plan.versions:
            for place in version.places:
                outcomes[place] = Upserted(plan.record, identity, revision + 1, True)
        for place in plan.unchanged:
            outcomes[place] = Upserted(plan.record, identity, revision, False)
    for place in open_places:
        request, outcome = batch[place].request, outcomes[place]
        if request is not None and isinstance(outcome, Upserted):
            body: dict[str, int | str | bytes] = {"digest": request[1], "result": _encode(outcome), "at": at}
            changes.put_nodes.append(Node(NodeKind.REQUEST, request[0], body))
            has_changed = True
    if has_changed:
        applied = (await transaction.apply(changes)).number
        for plan in moved:
            if plan.current is not None:
                tenant.remember(plan.current.id, plan.current.upsert.member)
        if applied != revision + 1:  # others committed meanwhile
            for place in open_places:
                outcome = outcomes[place]
                if isinstance(outcome, Upserted) and outcome.changed:
                    outcomes[place] = msgspec.structs.replace(outcome, revision=applied)
    return [outcome for outcome in outcomes if outcome is not None]


class Beside:
    """Keep up the generation that is staged, if there is one.

    When it changes before the commit, what was done is done again: until then it stays the one that there was first.
    """

    def __init__(self, tenant: Tenant) -> None:
        self._tenant, self._staged = tenant, tenant.staged
        self._blocks_of: dict[bytes, tuple[bytes, ...]] = {}

    def blocks(self, members: Iterable[Member]) -> list[bytes]:
        """Give all blocking keys of members under the staged model; only these can be matched."""
        staged = self._staged
        if staged is None:
            return []
        profiles = {member.digest: member.profile for member in members}
        self._blocks_of = {
            digest: blocks_of_profile(self._tenant.vault, staged.model, staged.number, profile)
            for digest, profile in profiles.items()
        }
        return [key for blocks in self._blocks_of.values() for key in blocks]

    async def match(self, transaction: Transaction, keyed: Sequence[Keyed], changes: ChangeSet) -> None:
        """Put the staged keys and match edges of records."""
        staged = self._staged
        if staged is None:
            return
        beside = []
        for one in keyed:
            if one.member is None:
                continue
            blocks = self._blocks_of[one.member.digest]
            found = [identifier_key(self._tenant, identifier) for identifier in identifiers(one.member.profile)]
            beside.append(Keyed(one.record, one.member, one.before, [*found, *blocks]))
            changes.put_nodes += [Node(NodeKind.BLOCK, key) for key in blocks]
            changes.put_edges += [Edge(EdgeKind.IN, one.record, key, profile=one.member.digest) for key in blocks]
        matching = await match_edges(transaction, self._tenant.under(staged), beside)
        changes.end_edges += matching.end
        changes.put_edges += matching.put


def _stating(plans: Sequence[_Plan]) -> list[Stating]:
    """List the records that have another current version, with whom they name."""
    return [
        Stating(
            plan.record,
            plan.current.upsert.alias,
            plan.state is None or bool(plan.state.version.properties["tombstone"]),
            plan.current.upsert.relations,
        )
        for plan in plans
        if plan.current is not None
    ]


async def _answer_repeats(
    transaction: Transaction, batch: Sequence[PreparedUpsert]
) -> tuple[list[Upserted | ServerError | None], list[int]]:
    """Answer requests that were answered before; return the places still open. The first of equal ids in a batch counts."""
    outcomes: list[Upserted | ServerError | None] = [None] * len(batch)
    asked = {upsert.request[0]: upsert.request[1] for upsert in reversed(batch) if upsert.request is not None}
    stored = await transaction.requests(list(asked)) if asked else {}
    open_places: list[int] = []
    for place, upsert in enumerate(batch):
        if upsert.request is not None:
            id, digest, request_id = upsert.request
            known = stored[id].properties["digest"] if id in stored else asked[id]
            if known != digest:
                outcomes[place] = RequestIdReused(request_id)
                continue
            if id in stored:
                result = stored[id].properties["result"]
                answer = msgspec.msgpack.decode(result if isinstance(result, bytes) else b"", type=Upserted)
                if answer.changed:
                    answer = msgspec.structs.replace(answer, revision=stored[id].recorded_from)
                outcomes[place] = answer
                continue
        open_places.append(place)
    return outcomes, open_places


async def _leave_out(transaction: Transaction, plans: Sequence[_Plan]) -> None:
    """Leave out versions that come late and were kept before, and those that a deletion keeps out."""
    for plan in plans:
        late = [version for version in plan.versions if version is not plan.current]
        if plan.state is None or not late:
            continue
        stored = await transaction.versions(plan.record)
        known = {version.id for version in stored}
        deleted = max((order_of(version) for version in stored if version.properties["tombstone"]), default=None)
        out = {v.id for v in late if v.id in known or (deleted is not None and v.order <= deleted)}
        plan.unchanged += [place for version in late if version.id in out for place in version.places]
        plan.versions = [version for version in plan.versions if version.id not in out]


def _plan(
    tenant: Tenant, batch: Sequence[PreparedUpsert], places: Sequence[int], states: dict[bytes, RecordState], at: int
) -> list[_Plan]:
    """Order the versions of each record; the greatest (observed-at, source version, content) is current."""
    plans: dict[bytes, _Plan] = {}
    for place in places:
        upsert = batch[place]
        plan = plans.get(upsert.alias)
        if plan is None:
            state = states.get(upsert.alias)
            plan = plans[upsert.alias] = _Plan(state.record.id if state else new_id(at), state, [], None, [])
        _add_version(tenant, plan, upsert, place)
    return list(plans.values())


def _add_version(tenant: Tenant, plan: _Plan, upsert: PreparedUpsert, place: int) -> None:
    order = upsert.order
    newest = plan.current.order if plan.current is not None else order_of(plan.state.version) if plan.state else None
    for version in plan.versions:
        if version.order == order or (not upsert.has_observed_at and version.order[1:] == order[1:]):
            version.places.append(place)
            return
    if newest is not None and (newest == order or (not upsert.has_observed_at and newest[1:] == order[1:])):
        plan.unchanged.append(place)
        return
    # What a version says and when names it, so that the same one again is the same node.
    named = tenant.vault.digest("version", upsert.alias + _encode(order), 10)
    version = _Version(upsert, timed_id(order[0], named), [place])
    plan.versions.append(version)
    if newest is None or order > newest:
        plan.current = version


def order_of(version: Node) -> tuple[int, int, bytes]:
    """Say where a version stands among its record's versions: by (observed-at, source version, content)."""
    properties = version.properties
    return (properties["observed_at"], properties["source_version"], properties["digest"])  # type: ignore[return-value]  # the schema types these three so


def _keeps_profile(tenant: Tenant, plan: _Plan) -> bool:
    """Whether the new current version says, for resolving, just what the stored one says.

    Of one kept before records were read otherwise, the stored profile may not be the one that its keys are of.
    """
    if plan.state is None or plan.current is None or plan.state.version.recorded_from <= tenant.read_so_since:
        return False
    properties = plan.state.version.properties
    return not properties["tombstone"] and properties["profile"] == plan.current.upsert.member.digest


async def _keyed(transaction: Transaction, moved: Sequence[_Plan]) -> list[Keyed]:
    """Read the keys that records had, and lock them like those that they get: who hangs on them changes too."""
    stored = [plan.record for plan in moved if plan.state is not None]
    before = await transaction.keys(stored) if stored else {}
    if stored:
        await transaction.lock([edge.target for edges in before.values() for edge in edges])
    return [
        Keyed(plan.record, plan.current.upsert.member, before.get(plan.record, ()), plan.current.upsert.keys)
        for plan in moved
        if plan.current is not None
    ]


def change_keys(keyed: Iterable[Keyed], identifiers: Container[bytes], changes: ChangeSet) -> None:
    """End the key edges of records' former profiles, and put those of the new ones; keys that are no identifiers are blocks."""
    for one in keyed:
        changes.end_edges += [EdgeRef(edge.kind, edge.source, edge.target) for edge in one.before]
        digest = b"" if one.member is None else one.member.digest
        changes.put_edges += [
            Edge(EdgeKind.HAS if key in identifiers else EdgeKind.IN, one.record, key, profile=digest) for key in one.keys
        ]


def _version_changes(plan: _Plan, changes: ChangeSet) -> None:
    """Move what is current; put what is past. The nodes themselves wait for their sealing."""
    if plan.state is None and plan.versions:
        first = plan.versions[0].upsert
        changes.put_nodes.append(Node(NodeKind.RECORD, plan.record, {"source": first.member.order_key[0]}, first.alias))
        changes.put_nodes.append(Node(NodeKind.SOURCE, first.source, {"name": first.member.order_key[0], "party": first.party}))
        changes.put_edges.append(Edge(EdgeKind.FROM, plan.record, first.source))
    for version in plan.versions:
        kind = EdgeKind.CURRENT if version is plan.current else EdgeKind.PAST
        changes.put_edges.append(Edge(kind, plan.record, version.id))
    if plan.current is not None and plan.state is not None:
        former = plan.state.version.id
        changes.end_edges.append(EdgeRef(EdgeKind.CURRENT, plan.record, former))
        changes.put_edges.append(Edge(EdgeKind.PAST, plan.record, former))


async def _seal(
    tenant: Tenant, plans: Sequence[_Plan], moved: Sequence[_Plan], known_keys: set[bytes], changes: ChangeSet
) -> None:
    """Seal versions, new identifiers and consents, all keys durable in one step, and put their nodes and edges."""
    requests: list[SealRequest] = []
    nodes: list[tuple[NodeKind, bytes, Mapping[str, int | str | bytes]]] = []
    for plan in plans:
        for version in plan.versions:
            upsert = version.upsert
            requests.append(SealRequest(version.id, NodeKind.RECORD_VERSION, upsert.plaintext))
            nodes.append(
                (
                    NodeKind.RECORD_VERSION,
                    version.id,
                    {
                        "observed_at": upsert.observed_at,
                        "source_version": upsert.source_version,
                        "digest": upsert.digest,
                        "tombstone": 0,
                        "profile": upsert.member.digest,
                    },
                )
            )
            for consent in upsert.consents:
                requests.append(SealRequest(consent.id, NodeKind.CONSENT, consent.plaintext))
                nodes.append((NodeKind.CONSENT, consent.id, consent.properties))
                changes.put_edges.append(Edge(EdgeKind.ABOUT, consent.id, plan.record))
                if consent.point is not None and version is plan.current:
                    changes.put_edges.append(Edge(EdgeKind.ABOUT, consent.id, consent.point))
    new: dict[bytes, IdentifierValue] = {}
    for plan in moved:
        if plan.current is None:
            continue
        upsert = plan.current.upsert
        new.update((key, identifier) for key, identifier in upsert.identifiers.items() if key not in known_keys)
        changes.put_nodes += [Node(NodeKind.BLOCK, key) for key in upsert.blocks if key not in known_keys]
    for key, identifier in new.items():
        requests.append(SealRequest(key, NodeKind.IDENTIFIER, identifier.text.encode()))
        nodes.append((NodeKind.IDENTIFIER, key, {"type": int(identifier.type)}))
    sealed = await tenant.vault.seal(requests)
    for (kind, node_id, properties), cipher in zip(nodes, sealed, strict=True):
        changes.put_nodes.append(Node(kind, node_id, {**properties, "sealed": cipher}))
