"""Read identities, by name, by record or by identifier; a superseded one answers with its successor."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from goldenthread.graph.model import IDENTIFIER_TYPES, NodeKind, SemanticType
from goldenthread.graph.store import Reader, StoredIdentity
from goldenthread.resolver.normalise import identifier_of
from goldenthread.server.commands.as_of import Moment, read_at
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.prepare_record import identifier_key
from goldenthread.server.commands.read_records import BySourceKey, find_record
from goldenthread.server.commands.seen import place_after
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import InvalidField, NotFound
from goldenthread.server.sight import Sight

__all__ = [
    "ByIdentifier",
    "ByRecord",
    "FoundIdentity",
    "IdentityKey",
    "find_identity",
    "get_identity",
    "list_identities",
    "living",
    "living_seen",
]

_MAX_SUCCESSIONS = 10_000
"""Successors of successors that are followed; ids are never reused, so the walk ends long before."""


class ByRecord(Struct, frozen=True):
    """An identity by the id of one of its records."""

    record: bytes


class ByIdentifier(Struct, frozen=True):
    """Identities by an identifier as one would write it."""

    type: SemanticType
    value: str
    issuer: str


IdentityKey = bytes | ByRecord | BySourceKey | ByIdentifier


class FoundIdentity(Struct, frozen=True):
    """An identity, others that share the identifier asked for, and the retired id that was asked for, if it was one."""

    identity: StoredIdentity
    others: Sequence[bytes] = ()
    superseded: bytes = b""


async def get_identity(engine: Engine, tenant: Tenant, key: IdentityKey, moment: Moment | None, sight: Sight) -> FoundIdentity:
    """Read an identity as of a moment; where several answer to the key, the first that the caller may see.

    Raises:
        NotFound: nothing that the caller may see answers to the key, or all of it was deleted.
    """
    async with read_at(engine, tenant, moment) as reader:
        found = await find_identity(reader, tenant, key)
        ids = [found.identity.id, *found.others]
        allowed = await sight.identities(reader, ids)
        seen = [id for id in ids if id in allowed]
        if not seen:
            raise NotFound("identity")
        first = found.identity if seen[0] == found.identity.id else (await reader.identities(seen[:1]))[seen[0]]
    return FoundIdentity(first, seen[1:], found.superseded)


async def find_identity(reader: Reader, tenant: Tenant, key: IdentityKey) -> FoundIdentity:
    """Find an identity with a reader that is open."""
    if isinstance(key, bytes):
        return await living(reader, key)
    if isinstance(key, ByIdentifier):
        return await _by_identifier(reader, tenant, key)
    state = await find_record(reader, tenant, key.record if isinstance(key, ByRecord) else key)
    if state is None or state.identity is None:
        raise NotFound("record")
    return FoundIdentity((await reader.identities([state.identity]))[state.identity])


async def living(reader: Reader, id: bytes) -> FoundIdentity:
    """Follow an identity to who it is now; of several parts, the one with the most records, then the oldest."""
    frontier, seen = [id], {id}
    found: list[StoredIdentity] = []
    while frontier and len(seen) < _MAX_SUCCESSIONS:
        stored = await reader.identities(frontier)
        found += [identity for identity in stored.values() if identity.records]
        heirs = dict.fromkeys(heir for identity in stored.values() if not identity.records for heir in identity.superseded_by)
        frontier = [heir for heir in heirs if heir not in seen]
        seen.update(frontier)
    if not found:
        raise NotFound("identity")
    best, *others = sorted(found, key=_most_records_first)
    return FoundIdentity(best, [other.id for other in others], b"" if best.id == id else id)


async def living_seen(reader: Reader, sight: Sight, id: bytes) -> StoredIdentity:
    """Follow an identity to who it is now; of several parts, the first that the caller may see.

    Raises:
        NotFound: there was no such identity, nothing is left of it, or the caller may see no part.
    """
    found = await living(reader, id)
    ids = [found.identity.id, *found.others]
    allowed = await sight.identities(reader, ids)
    seen = next((id for id in ids if id in allowed), None)
    if seen is None:
        raise NotFound("identity")
    return found.identity if seen == found.identity.id else (await reader.identities([seen]))[seen]


async def _by_identifier(reader: Reader, tenant: Tenant, key: ByIdentifier) -> FoundIdentity:
    identifier = identifier_of(key.type, key.value, key.issuer, tenant.data_model.default_country)
    if identifier is None:
        raise InvalidField("identifier.value", _no_identifier(key.type))
    blind = identifier_key(tenant, identifier)
    ids = (await reader.identities_with([blind])).get(blind, ())
    if not ids:
        raise NotFound("identity")
    best, *others = sorted((await reader.identities(ids)).values(), key=_most_records_first)
    return FoundIdentity(best, [other.id for other in others])


def _no_identifier(type: SemanticType) -> str:
    """Say why a value of a type is nobody's identifier."""
    if type not in IDENTIFIER_TYPES:
        return (
            f"is looked for as {type.name}, which identifies nobody; give an email, a phone, an address or a document's number"
        )
    return f"is no {type.name} that anybody could have, or one that stands for nobody, as nobody@example.org does; give another"


def _most_records_first(identity: StoredIdentity) -> tuple[int, bytes]:
    return -len(identity.records), identity.id


async def list_identities(
    engine: Engine, tenant: Tenant, after: bytes, limit: int, min_records: int, moment: Moment | None, sight: Sight
) -> tuple[Sequence[StoredIdentity], bytes]:
    """Read a page of identities that the caller may see; the second value is where the next one starts, empty on the last."""
    async with read_at(engine, tenant, moment) as reader:
        ids = await reader.page(NodeKind.IDENTITY, after, limit + 1, {"min_records": max(1, min_records)})
        stored = await reader.identities(ids[:limit])
        seen = await sight.identities(reader, ids[:limit]) if ids else frozenset[bytes]()
    return [stored[id] for id in ids[:limit] if id in stored and id in seen], place_after(ids, limit, seen)
