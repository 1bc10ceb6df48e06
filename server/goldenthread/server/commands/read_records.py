"""Read records with their consents and history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from goldenthread.graph.model import Node, NodeKind, RecordContent
from goldenthread.graph.store import Reader, RecordState
from goldenthread.server.commands.as_of import Moment, read_at
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.prepare_record import record_alias
from goldenthread.server.commands.seen import place_after
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.commands.upsert_records import order_of
from goldenthread.server.errors import NotFound
from goldenthread.server.sight import Sight

__all__ = ["BySourceKey", "RecordKey", "RecordView", "find_record", "get_record", "list_records"]


class BySourceKey(Struct, frozen=True):
    """A record's own id at its source."""

    source: str
    source_record_id: str


RecordKey = bytes | BySourceKey
"""A record by its id, or by its own id at its source."""


class RecordView(Struct, frozen=True):
    """One version of a record, opened."""

    record: bytes
    version: bytes
    content: RecordContent
    revision: int
    recorded_at: int
    identity: bytes


class RecordHistory(Struct, frozen=True):
    """A record at a moment with its earlier versions, newest first."""

    current: RecordView
    earlier: Sequence[RecordView]
    was_cut: bool
    """True when a deletion removed some of what is known of it; a record deleted whole is not found at any time."""


async def find_record(reader: Reader, tenant: Tenant, key: RecordKey) -> RecordState | None:
    """Find a record; a tombstone counts as found."""
    if isinstance(key, bytes):
        return (await reader.records([key])).get(key)
    alias = record_alias(tenant, key.source, key.source_record_id)
    return (await reader.records_by_alias([alias])).get(alias)


async def get_record(
    engine: Engine, tenant: Tenant, key: RecordKey, moment: Moment | None, sight: Sight, *, with_history: bool
) -> RecordHistory:
    """Read a record as of a moment.

    Raises:
        NotFound: there is none, it is deleted, its key is gone, or the caller may not see whose it is.
    """
    async with read_at(engine, tenant, moment) as reader:
        state = await find_record(reader, tenant, key)
        if state is None or state.version.properties["tombstone"]:
            raise NotFound("record")
        if state.identity is not None and not await sight.identities(reader, [state.identity]):
            raise NotFound("record")
        versions = [state.version]
        known = await reader.versions(state.record.id)
        if with_history:
            others = [v for v in known if v.id != state.version.id]
            versions += sorted(others, key=order_of, reverse=True)
        views = await _open(reader, tenant, [(state, version) for version in versions])
    if not views or views[0].version != state.version.id:
        raise NotFound("record")
    return RecordHistory(views[0], views[1:], any(version.properties["tombstone"] for version in known))


async def list_records(
    engine: Engine, tenant: Tenant, after: bytes, limit: int, source: str, moment: Moment | None, sight: Sight
) -> tuple[Sequence[RecordView], bytes]:
    """Read a page of records that the caller may see; the second value is where the next one starts, empty on the last."""
    where: Mapping[str, str | int] = {"source": source} if source else {}
    async with read_at(engine, tenant, moment) as reader:
        ids = await reader.page(NodeKind.RECORD, after, limit + 1, where)
        states = await reader.records(ids[:limit])
        whose = sorted({state.identity for state in states.values() if state.identity is not None})
        seen = await sight.identities(reader, whose) if whose else frozenset[bytes]()
        shown = [states[id] for id in ids[:limit] if id in states and (states[id].identity or b"") in {b"", *seen}]
        views = await _open(reader, tenant, [(state, state.version) for state in shown])
    return views, place_after(ids, limit, {state.record.id for state in shown})


async def _open(reader: Reader, tenant: Tenant, wanted: Sequence[tuple[RecordState, Node]]) -> list[RecordView]:
    contents = await tenant.open_versions([version for _, version in wanted])
    times = await reader.commit_times([version.recorded_from for _, version in wanted])
    return [
        RecordView(
            state.record.id,
            version.id,
            content,
            version.recorded_from,
            times.get(version.recorded_from, 0),
            state.identity or b"",
        )
        for (state, version), content in zip(wanted, contents, strict=True)
        if content is not None
    ]
