"""Give records the keys that they have by what holds now, where those are others, and judge the pairs that this touches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from goldenthread.graph.model import LIVE, Edge, EdgeKind, Node, NodeKind
from goldenthread.graph.store import ChangeSet, EdgeRef, RecordState, Transaction
from goldenthread.graph.vault import SealRequest
from goldenthread.resolver.normalise import IdentifierValue
from goldenthread.server.commands.candidates import Keyed, match_edges
from goldenthread.server.commands.deployment import keys_of
from goldenthread.server.commands.guards import follow_guards
from goldenthread.server.commands.linking import Change
from goldenthread.server.commands.prepare_record import contact_points, keys_of_profile
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.commands.upsert_records import Beside, change_keys
from goldenthread.server.jobs.generations import held_records

__all__ = ["Rekeyed", "rekey"]

_ABOUT = frozenset({EdgeKind.ABOUT})


class Rekeyed(Struct):
    """What has to be linked again, with the matches that come and go in it, and all else that changes."""

    change: Change
    changes: ChangeSet


async def rekey(transaction: Transaction, tenant: Tenant, ids: Sequence[bytes]) -> Rekeyed:
    """Read some records again, held against whoever would change them; those whose keys and profile stay are left alone."""
    states = await held_records(transaction, ids)
    await follow_guards(transaction, tenant)
    guards = tenant.guards_id
    members = await tenant.members_of(states.values())
    edges = await transaction.keys(list(members)) if members else {}
    keyed: list[Keyed] = []
    identifiers: dict[bytes, IdentifierValue] = {}
    blocks: dict[bytes, None] = {}
    for record, member in members.items():
        before = edges.get(record, ())
        found, rules = keys_of_profile(tenant, member.profile)
        has = {edge.target for edge in keys_of(tenant.generation, before)}
        if before and has == {*found, *rules} and all(edge.profile == member.digest for edge in before):
            continue
        identifiers.update(found)
        blocks.update(dict.fromkeys(rules))
        keyed.append(Keyed(record, member, before, [*found, *rules]))
    beside = Beside(tenant)
    staged = beside.blocks(one.member for one in keyed if one.member is not None)
    await transaction.lock([*staged, *(key for one in keyed for key in (*one.keys, *one.had))])
    matching = await match_edges(transaction, tenant, keyed)
    changes = ChangeSet()
    await beside.match(transaction, keyed, changes)
    change_keys(keyed, identifiers.keys(), changes)
    new = {key: value for key, value in identifiers.items() if key not in matching.known_keys}
    sealed = await tenant.vault.seal([SealRequest(key, NodeKind.IDENTIFIER, value.text.encode()) for key, value in new.items()])
    changes.put_nodes += [
        Node(NodeKind.IDENTIFIER, key, {"type": int(value.type), "sealed": cipher})
        for (key, value), cipher in zip(new.items(), sealed, strict=True)
    ]
    changes.put_nodes += [Node(NodeKind.BLOCK, key) for key in blocks if key not in matching.known_keys]
    await _point_consents(transaction, tenant, {one.record: states[one.record] for one in keyed}, changes)
    fresh = {one.record: one.member for one in keyed if one.member is not None}
    change = Change(fresh=fresh, again=frozenset(ids), put_matches=matching.put, end_matches=matching.end, guards=guards)
    return Rekeyed(change, changes)


async def _point_consents(
    transaction: Transaction, tenant: Tenant, states: Mapping[bytes, RecordState], changes: ChangeSet
) -> None:
    """Tie the consents of records to the identifiers that their contact points are by now."""
    stored = await transaction.consents(list(states)) if states else {}
    holders = [record for record in states if stored.get(record)]
    if not holders:
        return
    consents = sorted({node.id for record in holders for node in stored[record]})
    about: dict[bytes, set[bytes]] = {}
    for edge in await transaction.history(consents, _ABOUT):
        if edge.recorded_to == LIVE and edge.target not in states:
            about.setdefault(edge.source, set()).add(edge.target)
    own = {record: {edge.target for edge in changes.put_edges if edge.source == record} for record in holders}
    contents = await tenant.open_versions([states[record].version for record in holders])
    for record, content in zip(holders, contents, strict=True):
        points = contact_points(tenant, content, own[record]) if content is not None else {}
        for consent, point in points.items():
            had = about.get(consent, set())
            changes.end_edges += [EdgeRef(EdgeKind.ABOUT, consent, former) for former in sorted(had - {point})]
            if point is not None and point not in had:
                changes.put_edges.append(Edge(EdgeKind.ABOUT, consent, point))
