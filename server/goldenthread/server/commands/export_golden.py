"""Export golden records in bulk: part by part, all as of one revision, each part saying where the next one starts."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Sequence

import msgspec
from msgspec import Struct

from goldenthread.graph.model import NodeKind
from goldenthread.graph.store import StoredIdentity
from goldenthread.server.commands.as_of import Moment, read_at
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.export_table import ExportTable
from goldenthread.server.commands.golden_record import Golden, GoldenView, golden_records, golden_view
from goldenthread.server.commands.seen import place_after
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import InvalidField
from goldenthread.server.sight import Sight

__all__ = ["Export", "Part", "export_golden"]

_PAGE = 500
_RECORDS = 5_000
"""Records that are open at a time; only one identity alone may have more."""
_PART_BYTES = 1 << 20
_DIGEST_BYTES = 16


class Export(Struct, frozen=True):
    """What is exported and how; the same for every call of one export."""

    is_csv: bool
    purpose: str = ""
    min_records: int = 1
    sources: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    is_masked: bool = False


class Part(Struct, frozen=True):
    """One part of the file."""

    data: bytes
    token: str
    revision: int
    rows: int
    read: int
    total: int
    is_last: bool


class _Place(Struct, frozen=True, array_like=True):
    """Where an export stands: its revision, the time at which age is measured, the last identity done, and how many were."""

    request: bytes
    revision: int
    at: int
    after: bytes
    read: int
    total: int
    is_last: bool = False


async def export_golden(
    engine: Engine, tenant: Tenant, export: Export, moment: Moment | None, token: str, sight: Sight
) -> AsyncIterator[Part]:
    """Yield parts from the start, or from where a token says; memory is bounded whatever the number of identities.

    Raises:
        InvalidField: the token is not of this export, or there is no such purpose or attribute.
    """
    said = msgspec.msgpack.encode((export, moment, sorted(sight.categories)))
    request = tenant.vault.digest("export-request", said, _DIGEST_BYTES)
    place = _read_token(tenant, token, request) if token else await _start(engine, tenant, request, moment)
    if place.is_last:
        yield Part(b"", token, place.revision, 0, place.read, place.total, is_last=True)
        return
    at = Moment(revision=place.revision)
    async with engine.reader(tenant, revision=place.revision) as reader:
        view = msgspec.structs.replace(await golden_view(reader, tenant, at, export.purpose), at=place.at)
    unknown = [name for name in export.attributes if view.data_model.definition(name) is None]
    if unknown:
        raise InvalidField("attributes", f"names {unknown[0]}, which the data model does not have")
    table = ExportTable(view.data_model, export.attributes, sight.categories, is_csv=export.is_csv, is_masked=export.is_masked)
    limit = min(_PART_BYTES, engine.config.max_message_bytes // 2)
    head = b"" if token else table.head()
    while not place.is_last:
        ids, following, goldens = await _page(engine, tenant, view, export, place, sight)
        parts = await asyncio.to_thread(table.parts, goldens, limit) or [(b"", ())]
        for number, (data, rows) in enumerate(parts, 1):
            is_end = number == len(parts)
            done = len(ids) if is_end else ids.index(rows[-1].identity.id) + 1
            after = following if is_end else ids[done - 1]
            is_last = is_end and not following
            reached = msgspec.structs.replace(place, after=after, read=place.read + done, is_last=is_last)
            token = _write_token(tenant, reached)
            yield Part(head + data, token, place.revision, len(rows), reached.read, place.total, reached.is_last)
            head = b""
        place = reached


async def _start(engine: Engine, tenant: Tenant, request: bytes, moment: Moment | None) -> _Place:
    async with read_at(engine, tenant, moment) as reader:
        view = await golden_view(reader, tenant, moment, "")
        total = (await reader.counts())[NodeKind.IDENTITY]
        return _Place(request, reader.revision.number, view.at, b"", 0, total)


async def _page(
    engine: Engine, tenant: Tenant, view: GoldenView, export: Export, place: _Place, sight: Sight
) -> tuple[Sequence[bytes], bytes, list[Golden]]:
    """Read a page of identities, and compute the golden records of those that the filter and the caller's sight leave.

    The second value is where the next page starts, empty on the last.
    """
    found: list[Golden] = []
    async with engine.reader(tenant, revision=place.revision) as reader:
        found_ids = await reader.page(NodeKind.IDENTITY, place.after, _PAGE + 1, {"min_records": max(1, export.min_records)})
        ids = found_ids[:_PAGE]
        seen = await sight.identities(reader, ids)
        stored = await reader.identities([id for id in ids if id in seen])
        if export.sources:
            of_source = set()
            for group in _groups([stored[id] for id in ids if id in stored]):
                states = await reader.records([record for identity in group for record in identity.records])
                of_source |= {s.identity for s in states.values() if s.record.properties["source"] in export.sources}
            stored = {id: identity for id, identity in stored.items() if id in of_source}
        for group in _groups([stored[id] for id in ids if id in stored]):
            found += await golden_records(reader, tenant, view, group)
    return ids, place_after(found_ids, _PAGE, seen), found


def _groups(identities: Sequence[StoredIdentity]) -> list[list[StoredIdentity]]:
    """Cut identities into groups of bounded records."""
    groups: list[list[StoredIdentity]] = []
    count = _RECORDS
    for identity in identities:
        count += len(identity.records)
        if count > _RECORDS:
            groups.append([])
            count = len(identity.records)
        groups[-1].append(identity)
    return groups


def _write_token(tenant: Tenant, place: _Place) -> str:
    body = msgspec.msgpack.encode(place)
    return base64.urlsafe_b64encode(tenant.vault.digest("export-token", body, _DIGEST_BYTES) + body).decode()


def _read_token(tenant: Tenant, token: str, request: bytes) -> _Place:
    problem = InvalidField("resume_token", "must be the resume_token of an answer to this very request")
    try:
        raw = base64.urlsafe_b64decode(token.encode())
    except (binascii.Error, ValueError):
        raise problem from None
    body = raw[_DIGEST_BYTES:]
    if tenant.vault.digest("export-token", body, _DIGEST_BYTES) != raw[:_DIGEST_BYTES]:
        raise problem
    place = msgspec.msgpack.decode(body, type=_Place)
    if place.request != request:
        raise problem
    return place
