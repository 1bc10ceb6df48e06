"""Decide which group of records goes on under which identity's id.

The identity with the largest share of a group keeps its id, of equals the oldest. A group that comes off an identity gets back
the id that most of its records had before, if that one was retired: it is the same person again, and no other may ever get
that id. Undoing a decision gives records back to the identities they had when it was made. An id that stays retired answers
with whoever has its last records now, also when those come apart from its first successor.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from msgspec import Struct

from goldenthread.graph.model import LIVE, Edge, EdgeKind, Node, NodeKind
from goldenthread.graph.store import ChangeSet, EdgeRef, Reader
from goldenthread.server.commands.ids import new_id

__all__ = ["Succession", "membership_changes", "succeed"]

_MEMBERSHIP = frozenset({EdgeKind.RESOLVED_TO})


class Succession(Struct):
    """Which identity each record belongs to, who follows those that are retired, and which ids came back.

    `heirs` says who follows identities that had been retired before, where that changes; nobody follows one that came back.
    """

    identity_of: dict[bytes, bytes]
    retired: dict[bytes, list[bytes]]
    restored: set[bytes]
    heirs: dict[bytes, tuple[Sequence[bytes], Sequence[bytes]]] = {}
    """Successors before and after."""


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
        # Who came since goes with whom it is one with, and claims nothing that is given back.
        claimed = {record: identity for record, identity in old.items() if identity not in returning}
        claims.settle(claimed | claims.returned({record: identity for record, identity in then.items() if identity in usable}))
    claims.settle(old, history.since)
    former = await _retired(reader, history, claims.live)
    _restore(claims, former)
    succession = claims.result(at)
    succession.heirs = _heirs(succession, former, claims.live)
    return succession


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

    def returned(self, then: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Leave out the identities that others have by now: one that is live goes only where a record of it is."""
        return {
            record: identity
            for group, share in zip(self.groups, self.shares, strict=True)
            for record in group
            if (identity := then.get(record)) is not None and (identity in share or identity not in self.live)
        }

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


class _Retired(Struct):
    """A retired identity: the records that it had last, and who follows it."""

    last: set[bytes]
    heirs: Sequence[bytes]


async def _free(reader: Reader, identities: set[bytes]) -> set[bytes]:
    """Leave out the identities that records have now."""
    stored = await reader.identities(sorted(identities)) if identities else {}
    return {id for id, identity in stored.items() if not identity.records}


async def _retired(reader: Reader, history: _History, live: set[bytes]) -> dict[bytes, _Retired]:
    """Read the identities that records had when they were retired; one that lost its last records by deletion is gone."""
    former = {edge.target for edge in history.edges if edge.recorded_to < LIVE} - live
    stored = await reader.identities(sorted(former)) if former else {}
    ids = sorted(id for id, identity in stored.items() if not identity.records and identity.superseded_by)
    left: dict[bytes, dict[int, set[bytes]]] = {id: defaultdict(set) for id in ids}
    succeeded: dict[bytes, set[int]] = {id: set() for id in ids}
    for edge in await reader.history(ids, _MEMBERSHIP | {EdgeKind.SUPERSEDED_BY}) if ids else ():
        if edge.kind is EdgeKind.RESOLVED_TO and edge.target in left:
            left[edge.target][edge.recorded_to].add(edge.source)
        elif edge.source in succeeded:
            succeeded[edge.source].add(edge.recorded_from)
    retired: dict[bytes, _Retired] = {}
    for id in ids:
        last = max(left[id], default=0)
        if last in succeeded[id]:
            retired[id] = _Retired(left[id][last], stored[id].superseded_by)
    return retired


def _restore(claims: _Claims, retired: Mapping[bytes, _Retired]) -> None:
    """Give groups without an identity back the retired one whose last records they hold most of."""
    found = [
        (-len(held), identity, position)
        for position, group in claims.open()
        for identity, former in retired.items()
        if 2 * len(held := former.last & set(group)) > len(former.last)
    ]
    for _, identity, position in sorted(found):
        if identity not in claims.taken and position not in claims.kept:
            claims.keep(position, identity)


def _heirs(
    succession: Succession, retired: Mapping[bytes, _Retired], live: set[bytes]
) -> dict[bytes, tuple[Sequence[bytes], Sequence[bytes]]]:
    """Say who follows the retired identities whose last records are among those that are decided on."""
    changed: dict[bytes, tuple[Sequence[bytes], Sequence[bytes]]] = {}
    for id, former in retired.items():
        heirs: set[bytes] = set()
        if id not in succession.restored:
            heirs = {succession.identity_of[record] for record in former.last if record in succession.identity_of}
            if not former.last <= set(succession.identity_of):  # some are elsewhere
                heirs |= set(former.heirs) - live
        if heirs != set(former.heirs):
            changed[id] = former.heirs, sorted(heirs)
    return changed


def membership_changes(succession: Succession, old: Mapping[bytes, bytes]) -> ChangeSet:
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
    for former, (before_it, after_it) in succession.heirs.items():
        changes.end_edges += [EdgeRef(EdgeKind.SUPERSEDED_BY, former, heir) for heir in before_it if heir not in after_it]
        changes.put_edges += [Edge(EdgeKind.SUPERSEDED_BY, former, heir) for heir in after_it if heir not in before_it]
    return changes
