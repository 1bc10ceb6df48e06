"""Find out whose golden values changed, and tell it in events of their own, after the commits that caused it.

Computing a golden record costs as much as resolving a record, so this is not done in the commit of an upsert, and not at all
before somebody subscribes. Instead a tenant's events are followed, and every identity that a commit touched is compared before
and after it. What is found and how far this has come are one transaction: a crash loses and repeats nothing.
A deletion takes away what the past is compared by. So it tells itself what it changes, in its own commit, and leaves a mark on
the identity, from which on it is compared.
Other survivorship rules touch every identity without a commit of their records, and so does time, by which what records say
grows old: jobs tell those (see `jobs.telling` and `jobs.ageing`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from goldenthread.graph.model import EdgeKind, Node, NodeKind
from goldenthread.graph.store import ChangeSet, Reader, StoredIdentity, Transaction
from goldenthread.resolver.golden import DAY, GoldenAttribute
from goldenthread.server.commands.as_of import Moment
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.golden_record import Golden, golden_records, golden_view
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.events.cursors import GOLDEN_ID, Cursor, cursors, put_cursor, read_cursor, retained_after
from goldenthread.server.events.outbox import EventType, Outbox, pack_fields, restated_identities, unfold, unpack, with_fields
from goldenthread.server.events.position import Position

__all__ = [
    "GoldenPass",
    "aged_between",
    "changed_between",
    "is_anybody_told",
    "subscribed_since",
    "tell_deletion",
    "tell_golden_changes",
]

_COMMITS_AT_ONCE: Final = 256
_UNKEPT_REVISIONS: Final = 1_000
"""Revisions without any changed value after which it is kept all the same how far this has come."""

_MOST_CURSORS: Final = 1_000

Values = dict[bytes, dict[str, tuple[object, ...]]]
"""Golden values by identity and attribute."""


class GoldenPass(Struct, frozen=True):
    """How far golden values were compared, and whether there is more to compare at once."""

    revision: int
    is_end: bool


async def tell_golden_changes(engine: Engine, tenant: Tenant, since: int) -> GoldenPass:
    """Tell what changed after the revision that was kept last, or `since` when that is later, some commits at a time.

    Nothing is compared for a tenant without subscriptions: nobody would hear of it.
    """
    async with engine.reader(tenant) as reader:
        kept = await read_cursor(reader, GOLDEN_ID)
        first = await _first_subscribed(reader)
        if first is None:
            return GoldenPass(reader.revision.number, True)
        start = max(since, kept.position.revision if kept is not None else first, await retained_after(reader))
        commits = await reader.events(start, _COMMITS_AT_ONCE)
        is_end = len(commits) < _COMMITS_AT_ONCE
        until = reader.revision.number if is_end else commits[-1].recorded_from
    changed = await _changed_fields(engine, tenant, _touches(commits), start)
    stored = kept.position.revision if kept is not None else 0
    if not changed and until - stored < _UNKEPT_REVISIONS:
        return GoldenPass(until, is_end)
    expected = kept.position if kept is not None else None

    async def keep(transaction: Transaction, at: int) -> None:
        await transaction.lock([GOLDEN_ID])
        current = await read_cursor(transaction, GOLDEN_ID)
        if (current.position if current is not None else None) != expected:
            return  # another process told it meanwhile
        changes = ChangeSet(events=pack_fields(changed))
        cursor = current or Cursor(Position(), at, at)
        put_cursor(changes, GOLDEN_ID, "", replace(cursor, position=Position.after(until), updated_at=at))
        await transaction.apply(changes)

    await engine.write(tenant, keep)
    return GoldenPass(until, is_end)


async def tell_deletion(engine: Engine, tenant: Tenant, transaction: Transaction, identity: bytes, changes: ChangeSet) -> None:
    """Add to a deletion, which takes the past of an identity away, what it and the commits before it change."""
    first = await _first_subscribed(transaction)
    stored = (await transaction.identities([identity])).get(identity) if first is not None else None
    if first is None or stored is None:
        return
    events = [event for event in unfold(0, 0, changes.events) if event.identity == identity] if changes.events else []
    left = list(events[-1].after) if events else list(stored.records)
    if not left:
        return
    kept = await read_cursor(transaction, GOLDEN_ID)
    start = (await _bases(transaction, [identity], kept.position.revision if kept is not None else first))[identity]
    touches: list[int] = []
    after = start
    while commits := await transaction.events(after, _COMMITS_AT_ONCE):
        touches += _touches(commits).get(identity, [])
        after = commits[-1].recorded_from
    changed: set[str] = set()
    values = await _values_at(engine, tenant, start, [identity])
    for revision in touches:
        values = _compared(values, await _values_at(engine, tenant, revision, [identity]), {identity: changed})
    _compared(values, await _values(transaction, tenant, None, [replace(stored, records=left)]), {identity: changed})
    changes.events = with_fields(changes.events, {identity: sorted(changed)})


async def is_anybody_told(reader: Reader, revision: int) -> bool:
    """Whether somebody had subscribed by a revision, who is to hear what changed at it."""
    first = await _first_subscribed(reader)
    return first is not None and first <= revision


async def changed_between(
    engine: Engine, tenant: Tenant, before: int, after: int, identities: Sequence[bytes]
) -> dict[bytes, list[str]]:
    """Name the attributes whose golden values differ between two revisions, of identities that had records at both."""
    changed: dict[bytes, set[str]] = defaultdict(set)
    _compared(
        await _values_at(engine, tenant, before, identities), await _values_at(engine, tenant, after, identities), changed
    )
    return {identity: sorted(fields) for identity, fields in changed.items() if fields}


async def subscribed_since(reader: Reader) -> int | None:
    """Find the time at which somebody first subscribed, in microseconds; None when nobody has."""
    found = await cursors(reader, b"", _MOST_CURSORS)
    return min((cursor.created_at for _, _, cursor in found), default=None)


async def _first_subscribed(reader: Reader) -> int | None:
    """Find the revision at which somebody first subscribed; None when nobody has."""
    at = await subscribed_since(reader)
    return (await reader.revision_at(at)).number if at is not None else None


async def aged_between(reader: Reader, tenant: Tenant, before: int, after: int, ids: Sequence[bytes]) -> dict[bytes, list[str]]:
    """Name the attributes of identities whose golden values, or whether they are stale, differ between two times.

    Records and rules are those of now, so nothing but the time makes the difference. Only identities are computed of which a
    record came of age between.
    """
    view = await golden_view(reader, tenant, None, "")
    identities = await reader.identities(ids)
    states = await reader.records([record for one in identities.values() for record in one.records])
    come_of_age = {
        state.identity
        for state in states.values()
        for days in view.rules.horizons
        if before <= int(state.version.properties["observed_at"]) + days * DAY < after
    }
    aged = [one for one in identities.values() if one.id in come_of_age]
    if not aged:
        return {}
    was = await golden_records(reader, tenant, replace(view, at=before), aged)
    becomes = await golden_records(reader, tenant, replace(view, at=after), aged)
    changed: dict[bytes, set[str]] = defaultdict(set)
    _compared(_with_staleness(was), _with_staleness(becomes), changed)
    return {identity: sorted(fields) for identity, fields in changed.items() if fields}


def _with_staleness(goldens: Sequence[Golden]) -> Values:
    return {
        golden.identity.id: {
            one.attribute: tuple((value.value.value, value.is_stale) for value in one.values) for one in golden.attributes
        }
        for golden in goldens
    }


def _touches(commits: Iterable[Node]) -> dict[bytes, list[int]]:
    """List the revisions at which identities' records changed or said something else."""
    found: dict[bytes, list[int]] = defaultdict(list)
    for commit in commits:
        body = commit.properties["body"]
        told: Outbox = unpack(body if isinstance(body, bytes) else b"")
        moved = (
            touched.identity
            for touched in told.touched
            if any(step.type != EventType.GOLDEN_VALUES_CHANGED for step in touched.steps)
        )
        for identity in {*moved, *restated_identities(told)}:
            found[identity].append(commit.recorded_from)
    return found


async def _changed_fields(
    engine: Engine, tenant: Tenant, touches: Mapping[bytes, Sequence[int]], start: int
) -> dict[bytes, list[str]]:
    """Compare from commit to commit, so that a value that changed and changed back is told to who read it in between."""
    if not touches:
        return {}
    async with engine.reader(tenant) as reader:
        bases = await _bases(reader, list(touches), start)
    at: dict[int, list[bytes]] = defaultdict(list)
    for identity, base in bases.items():
        later = [revision for revision in touches[identity] if revision > base]
        if later:
            for revision in (base, *later):
                at[revision].append(identity)
    changed: dict[bytes, set[str]] = defaultdict(set)
    known: Values = {}
    for revision, identities in sorted(at.items()):
        known |= _compared(known, await _values_at(engine, tenant, revision, identities), changed)
    return {identity: sorted(fields) for identity, fields in changed.items()}


def _compared(before: Values, after: Values, changed: dict[bytes, set[str]]) -> Values:
    """Note the attributes whose values differ, of identities that both know."""
    for identity, has in after.items():
        had = before.get(identity)
        if had is not None:
            names = (name for name in {*had, *has} if had.get(name, ()) != has.get(name, ()))
            changed[identity].update(names)
    return after


async def _bases(reader: Reader, identities: Sequence[bytes], start: int) -> dict[bytes, int]:
    """Say since when each identity's values are to be compared: the last look, or later its first commit or a deletion."""
    around = await reader.neighbourhood(identities, frozenset(), 0, len(identities))
    bases = {node.id: max(start, node.recorded_from) for node in around.nodes if node.kind is NodeKind.IDENTITY}
    for edge in around.edges:
        if edge.kind is EdgeKind.CUT and edge.source in bases:
            bases[edge.source] = max(bases[edge.source], edge.recorded_from)
    return bases


async def _values_at(engine: Engine, tenant: Tenant, revision: int, identities: Sequence[bytes]) -> Values:
    if not identities:
        return {}
    async with engine.reader(tenant, revision=revision) as reader:
        stored = await reader.identities(identities)
        return await _values(reader, tenant, Moment(revision=revision), [one for one in stored.values() if one.records])


async def _values(reader: Reader, tenant: Tenant, moment: Moment | None, identities: Sequence[StoredIdentity]) -> Values:
    view = await golden_view(reader, tenant, moment, "")
    goldens = await golden_records(reader, tenant, view, identities)
    return {golden.identity.id: {one.attribute: _plain(one) for one in golden.attributes} for golden in goldens}


def _plain(attribute: GoldenAttribute) -> tuple[object, ...]:
    return tuple(value.value.value for value in attribute.values)
