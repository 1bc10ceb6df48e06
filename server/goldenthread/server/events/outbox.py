"""Say what a commit does to identities, as typed events that are kept in the commit itself.

A commit keeps all its events as one packed body, so that telling costs an upsert next to nothing: of each identity its records
before the commit, and the steps that change them. Whoever reads the body unfolds it into events, of which each is about one
identity and says its records before and after. Their order in the body is fixed, so (revision, index) names an event for good.
A body holds opaque ids and names of attributes, nothing personal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from enum import IntEnum

import msgspec
from msgspec import Struct

__all__ = [
    "Event",
    "EventType",
    "Outbox",
    "Step",
    "Touched",
    "pack_changes",
    "pack_fields",
    "restated_identities",
    "unfold",
    "unpack",
    "with_fields",
]

_ID = 16


class EventType(IntEnum):
    """What happened to an identity. Values equal those of the proto."""

    UNSPECIFIED = 0
    IDENTITY_CREATED = 1
    RECORDS_ADDED = 2
    RECORDS_REMOVED = 3
    IDENTITIES_MERGED = 4
    IDENTITY_SPLIT = 5
    GOLDEN_VALUES_CHANGED = 6
    IDENTITY_ERASED = 7


class Step(Struct, array_like=True, frozen=True):
    """One event of an identity as it is kept; ids stand one after the other in one value."""

    type: int
    added: bytes = b""
    removed: bytes = b""
    former: bytes = b""
    into: bytes = b""
    fields: tuple[str, ...] = ()


class Touched(Struct, array_like=True, frozen=True):
    """An identity with its records before the commit, and what happened to it, in order."""

    identity: bytes
    before: bytes
    steps: Sequence[Step]


class Outbox(Struct, array_like=True, frozen=True):
    """Everything that one commit tells."""

    touched: Sequence[Touched]
    restated: bytes = b""
    """Identities of which a record says something else, whether or not their records change."""


class Event(Struct, frozen=True):
    """One thing that happened to one identity. `former` and `into` are the identities of a merge, a split or a move."""

    revision: int
    index: int
    at: int
    """When it was committed, in UTC microseconds."""
    type: EventType
    identity: bytes
    before: Sequence[bytes] = ()
    after: Sequence[bytes] = ()
    added: Sequence[bytes] = ()
    removed: Sequence[bytes] = ()
    former: Sequence[bytes] = ()
    into: Sequence[bytes] = ()
    fields: Sequence[str] = ()


_encode = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder(Outbox).decode


def pack_changes(
    old: Mapping[bytes, bytes], new: Mapping[bytes, bytes], gone: Set[bytes], restated: Iterable[bytes] = ()
) -> bytes:
    """Say what a commit does to identities, given every record of each with its identity before and after; empty for nothing.

    `gone` are records that are deleted; `restated` are identities of which a record says something else.
    """
    commit = _Commit(old, new, gone)
    touched = list(commit.touched())
    said = b"".join(sorted(identity for identity in set(restated) if identity in commit.before))
    return _encode(Outbox(touched, said)) if touched or said else b""


def pack_fields(changed: Mapping[bytes, Sequence[str]]) -> bytes:
    """Say which values of golden records changed, by the names of their attributes."""
    steps = {
        identity: Step(EventType.GOLDEN_VALUES_CHANGED, fields=tuple(fields)) for identity, fields in changed.items() if fields
    }
    return _encode(Outbox([Touched(identity, b"", [step]) for identity, step in steps.items()])) if steps else b""


def with_fields(body: bytes, changed: Mapping[bytes, Sequence[str]]) -> bytes:
    """Add to what a commit tells that values of golden records changed, after all the rest."""
    added = pack_fields(changed)
    if not added or not body:
        return added or body
    told = unpack(body)
    return _encode(Outbox([*told.touched, *unpack(added).touched], told.restated))


def restated_identities(told: Outbox) -> list[bytes]:
    """List the identities of which a record says something else."""
    return _ids(told.restated)


def unfold(revision: int, at: int, body: bytes) -> list[Event]:
    """Make events of what a commit kept, in order."""
    events: list[Event] = []
    for touched in unpack(body).touched:
        records = _ids(touched.before)
        for step in touched.steps:
            before, added, removed = records, _ids(step.added), _ids(step.removed)
            dropped = set(removed)
            records = [*(record for record in before if record not in dropped), *added]
            events.append(
                Event(
                    revision=revision,
                    index=len(events),
                    at=at,
                    type=EventType(step.type),
                    identity=touched.identity,
                    before=before,
                    after=records,
                    added=added,
                    removed=removed,
                    former=_ids(step.former),
                    into=_ids(step.into),
                    fields=step.fields,
                )
            )
    return events


def _ids(joined: bytes) -> list[bytes]:
    return [joined[at : at + _ID] for at in range(0, len(joined), _ID)]


def _joined(ids: Iterable[bytes]) -> bytes:
    return b"".join(sorted(ids))


class _Commit:
    """Records by identity before and after a commit."""

    def __init__(self, old: Mapping[bytes, bytes], new: Mapping[bytes, bytes], gone: Set[bytes]) -> None:
        # A record that can't be opened any more is not resolved: it stays where it was.
        stays = {record: identity for record, identity in old.items() if record not in new and record not in gone}
        self._old, self._new, self._gone = old, {**new, **stays} if stays else new, gone
        self.before, self._after = _by_identity(old), _by_identity(self._new)

    def touched(self) -> Iterator[Touched]:
        """List the identities whose records change, those that end or lose records before those that gain some."""
        losing: list[Touched] = []
        gaining: list[Touched] = []
        for identity, records in self.before.items():
            if identity not in self._after:
                losing.append(Touched(identity, _joined(records), list(self._ending(identity, records))))
        for identity, records in self._after.items():
            had = self.before.get(identity)
            if had is None:
                gaining.append(Touched(identity, b"", list(self._beginning(identity, records))))
            elif len(had) != len(records) or set(had) != set(records):
                touched = Touched(identity, _joined(had), list(self._changing(identity, set(had), set(records))))
                (losing if touched.steps[0].removed else gaining).append(touched)
        yield from losing
        yield from gaining

    def _heirs(self, identities: Iterable[bytes]) -> list[bytes]:
        """List the identities that the records of some go to."""
        return sorted({self._new[record] for one in identities for record in self.before[one] if record in self._new})

    def _beginning(self, identity: bytes, records: Sequence[bytes]) -> Iterator[Step]:
        fresh = [record for record in records if record not in self._old]
        if len(fresh) == len(records):
            yield Step(EventType.IDENTITY_CREATED, added=_joined(records))
            return
        origins = {self._old[record] for record in records if record in self._old}
        old_ones = _joined(record for record in records if record in self._old)
        parts = {*self._heirs(origins), *(origin for origin in origins if origin in self._after)}
        type = EventType.IDENTITY_SPLIT if len(parts) > 1 else EventType.IDENTITIES_MERGED
        yield Step(type, added=old_ones, former=_joined(origins), into=_joined(parts))
        if fresh:
            yield Step(EventType.RECORDS_ADDED, added=_joined(fresh))

    def _ending(self, identity: bytes, records: Sequence[bytes]) -> Iterator[Step]:
        heirs = self._heirs([identity])
        if not heirs:
            yield Step(EventType.IDENTITY_ERASED, removed=_joined(records))
            return
        deleted = [record for record in records if record in self._gone]
        if deleted:
            yield Step(EventType.RECORDS_REMOVED, removed=_joined(deleted))
        type = EventType.IDENTITIES_MERGED if len(heirs) == 1 else EventType.IDENTITY_SPLIT
        moved = _joined(record for record in records if record not in self._gone)
        yield Step(type, removed=moved, former=identity, into=_joined(heirs))

    def _changing(self, identity: bytes, had: set[bytes], has: set[bytes]) -> Iterator[Step]:
        left, came = had - has, has - had
        deleted = left & self._gone
        if deleted:
            yield Step(EventType.RECORDS_REMOVED, removed=_joined(deleted))
        off = {record for record in left - deleted if self._new[record] not in self.before}
        if off:
            parts = {identity, *(self._new[record] for record in off)}
            yield Step(EventType.IDENTITY_SPLIT, removed=_joined(off), former=identity, into=_joined(parts))
        moved = left - deleted - off
        if moved:
            into = _joined({self._new[record] for record in moved})
            yield Step(EventType.RECORDS_REMOVED, removed=_joined(moved), former=identity, into=into)
        yield from self._coming(identity, came)

    def _coming(self, identity: bytes, came: Iterable[bytes]) -> Iterator[Step]:
        by_step: dict[tuple[EventType, bool], tuple[set[bytes], set[bytes]]] = defaultdict(lambda: (set(), set()))
        for record in came:
            origin = self._old.get(record)
            if origin is None:
                key = EventType.RECORDS_ADDED, False
            elif origin in self._after:
                key = EventType.RECORDS_ADDED, True
            else:
                is_whole = self._heirs([origin]) == [identity]
                key = (EventType.IDENTITIES_MERGED if is_whole else EventType.IDENTITY_SPLIT), True
            records, origins = by_step[key]
            records.add(record)
            if origin is not None:
                origins.add(origin)
        for (type, has_origin), (records, origins) in sorted(by_step.items(), reverse=True):
            into = _joined({identity, *self._heirs(origins)} if type is EventType.IDENTITY_SPLIT else {identity})
            yield Step(type, added=_joined(records), former=_joined(origins), into=into if has_origin else b"")


def _by_identity(identity_of: Mapping[bytes, bytes]) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for record, identity in identity_of.items():
        found.setdefault(identity, []).append(record)
    return found
