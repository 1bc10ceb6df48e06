"""Decide which group of records goes on under which identity's id.

The identity with the largest share of a group keeps its id, of equals the oldest. A group that comes off an identity gets back
the id that most of its records had before, if that one was retired: it is the same person again, and no other may ever get
that id. Undoing a decision gives records back to the identities they had when it was made.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from goldenthread.graph.model import LIVE, Edge, EdgeKind, Node, NodeKind
from goldenthread.graph.store import ChangeSet, EdgeRef, Reader
from goldenthread.server.commands.ids import new_id

__all__ = ["Succession", "membership_changes", "succeed"]

_MEMBERSHIP = frozenset({EdgeKind.RESOLVED_TO})


class Succession(Struct):
    """Which identity each record belongs to, who follows those that are retired, and which ids came back."""

    identity_of: dict[bytes, bytes]
    retired: dict[bytes, list[bytes]]
    restored: set[bytes]


async def succeed(
    reader: Reader, groups: Sequence[Sequence[bytes]], old: Mapping[bytes, bytes], at: int, back_to: int | None = None
) -> Succession:
    """Give each group of records an identity.

    `old` says which identity each record has. With `back_to`, a decision that was made after that revision has ended: records
    claim the identity that they had then.
    """
    claims = _Claims(groups, old)
    claims.keep_unchanged()
    asked = list(old) if back_to is not None else claims.contested()
    history = await _History.read(reader, asked) if asked else _History()
    if back_to is not None:
        then = history.at(back_to)
        usable = await _free(reader, set(then.values()) - claims.live) | claims.live
        returning = set(then.values())
        claimed = {record: identity for record, identity in old.items() if identity not in returning}
        claims.settle(claimed | {record: identity for record, identity in then.items() if identity in usable})
    claims.settle(old, history.since)
    if history.edges:
        await _restore(reader, claims, history)
    return claims.result(at)


class _Claims:
    """Groups that claim identities, and who got which."""

    def __init__(self, groups: Sequence[Sequence[bytes]], old: Mapping[bytes, bytes]) -> None:
        self.groups, self.old = groups, old
        self.live = set(old.values())
        self.shares = [Counter(old[record] for record in group if record in old) for group in groups]
        self.kept: dict[int, bytes] = {}
        self.taken: set[bytes] = set()

    def keep_unchanged(self) -> None:
        """Let groups that are just what an identity is keep its id."""
        sizes = Counter(self.old.values())
        for position, share in enumerate(self.shares):
            for identity, count in share.items():
                if count == sizes[identity] == len(self.groups[position]):
                    self.keep(position, identity)

    def contested(self) -> list[bytes]:
        """List the records of groups that have some of one identity between them."""
        holders = Counter(identity for share in self.shares for identity in share)
        return [
            record
            for group, share in zip(self.groups, self.shares, strict=True)
            if any(holders[identity] > 1 for identity in share)
            for record in group
            if record in self.old
        ]

    def keep(self, position: int, identity: bytes) -> None:
        self.kept[position] = identity
        self.taken.add(identity)

    def settle(self, claimed: Mapping[bytes, bytes], since: Mapping[bytes, int] | None = None) -> None:
        """Give identities to groups that have none, by share; of equal groups to the one whose records had it first."""
        wanted: list[tuple[int, bytes, int, int]] = []
        for position, group in enumerate(self.groups):
            if position in self.kept:
                continue
            share = Counter(claimed[record] for record in group if record in claimed)
            first: dict[bytes, int] = {}
            for record in group if since else ():
                if since and record in since and record in claimed:
                    first[claimed[record]] = min(since[record], first.get(claimed[record], LIVE))
            wanted += [(-count, identity, first.get(identity, 0), position) for identity, count in share.items()]
        for _, identity, _, position in sorted(wanted):
            if identity not in self.taken and position not in self.kept:
                self.keep(position, identity)

    def open(self) -> list[tuple[int, Sequence[bytes]]]:
        """List the groups that have no identity yet though records of theirs had one."""
        return [(i, group) for i, group in enumerate(self.groups) if i not in self.kept and self.shares[i]]

    def result(self, at: int) -> Succession:
        identity_of: dict[bytes, bytes] = {}
        successors: dict[bytes, set[bytes]] = defaultdict(set)
        for position, group in enumerate(self.groups):
            identity = self.kept.get(position) or new_id(at)
            for record in group:
                identity_of[record] = identity
            for former in self.shares[position]:
                if former not in self.taken:
                    successors[former].add(identity)
        retired = {former: sorted(heirs) for former, heirs in successors.items()}
        return Succession(identity_of, retired, self.taken - self.live)


class _History(Struct):
    """Which identities records had."""

    edges: Sequence[Edge] = ()

    @classmethod
    async def read(cls, reader: Reader, records: Sequence[bytes]) -> _History:
        return cls(await reader.history(sorted(records), _MEMBERSHIP))

    def at(self, revision: int) -> dict[bytes, bytes]:
        """Say which identity each record had at a revision."""
        return {e.source: e.target for e in self.edges if e.recorded_from <= revision < e.recorded_to}

    @property
    def since(self) -> dict[bytes, int]:
        """Say at which revision each record came to the identity it has."""
        return {edge.source: edge.recorded_from for edge in self.edges if edge.recorded_to == LIVE}

    def former(self, records: Iterable[bytes]) -> set[bytes]:
        """List the identities that records had and have no more."""
        wanted = set(records)
        return {edge.target for edge in self.edges if edge.source in wanted and edge.recorded_to < LIVE}


async def _free(reader: Reader, identities: set[bytes]) -> set[bytes]:
    """Leave out the identities that records have now."""
    stored = await reader.identities(sorted(identities)) if identities else {}
    return {id for id, identity in stored.items() if not identity.records}


async def _restore(reader: Reader, claims: _Claims, history: _History) -> None:
    """Give groups without an identity back the retired one whose last records they hold most of."""
    waiting = claims.open()
    former = {identity for _, group in waiting for identity in history.former(group)} - claims.live - claims.taken
    former = await _free(reader, former)
    if not former:
        return
    last: dict[bytes, tuple[int, set[bytes]]] = {}
    for edge in await reader.history(sorted(former), _MEMBERSHIP):
        if edge.target in former:
            until, records = last.get(edge.target, (0, set()))
            if edge.recorded_to > until:
                last[edge.target] = edge.recorded_to, {edge.source}
            elif edge.recorded_to == until:
                records.add(edge.source)
    found = [
        (-len(held), identity, position)
        for position, group in waiting
        for identity, (_, records) in last.items()
        if 2 * len(held := records & set(group)) > len(records)
    ]
    for _, identity, position in sorted(found):
        if identity not in claims.taken and position not in claims.kept:
            claims.keep(position, identity)


async def membership_changes(reader: Reader, succession: Succession, old: Mapping[bytes, bytes]) -> ChangeSet:
    """Say what must change in the store for records to have their identities."""
    changes = ChangeSet()
    known = set(old.values()) | succession.restored
    for identity in dict.fromkeys(succession.identity_of.values()):
        if identity not in known:
            changes.put_nodes.append(Node(NodeKind.IDENTITY, identity))
    for record, identity in succession.identity_of.items():
        before = old.get(record)
        if before == identity:
            continue
        if before is not None:
            changes.end_edges.append(EdgeRef(EdgeKind.RESOLVED_TO, record, before))
        changes.put_edges.append(Edge(EdgeKind.RESOLVED_TO, record, identity))
    for former, heirs in succession.retired.items():
        changes.put_edges += [Edge(EdgeKind.SUPERSEDED_BY, former, heir) for heir in heirs]
    if succession.restored:
        for id, stored in (await reader.identities(sorted(succession.restored))).items():
            changes.end_edges += [EdgeRef(EdgeKind.SUPERSEDED_BY, id, heir) for heir in stored.superseded_by]
    return changes
