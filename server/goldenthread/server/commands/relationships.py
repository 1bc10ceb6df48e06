"""Read the relationships of an identity: what its records state of others, and what others' records state of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from goldenthread.graph.model import Relationship, RelationshipKind
from goldenthread.graph.store import Reader, RecordState, StoredIdentity
from goldenthread.resolver.normalise import Profile
from goldenthread.resolver.normalise.text import fold
from goldenthread.resolver.relationships import INVERSES, kinds_of
from goldenthread.server.commands.as_of import Moment, read_at
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.families import families_of
from goldenthread.server.commands.identities import living
from goldenthread.server.commands.relations import live_relates, relates
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import NotFound
from goldenthread.server.sight import Sight

__all__ = ["RelationshipView", "list_relationships"]

_MOST_RELATIVES = 200


class RelationshipView(Struct, frozen=True):
    """What somebody is to the identity asked for, the record that states it, and how that somebody was found.

    `identity` is empty where nobody was found. `since` is the revision of a statement that names a record, else 0.
    """

    kind: RelationshipKind
    identity: bytes
    record: bytes
    source: str
    because: str
    since: int = 0


async def list_relationships(
    engine: Engine, tenant: Tenant, id: bytes, moment: Moment | None, sight: Sight
) -> list[RelationshipView]:
    """List the relationships of an identity; one with somebody whom the caller may not see is left out.

    Raises:
        NotFound: there is no such identity.
    """
    async with read_at(engine, tenant, moment) as reader:
        identity = (await living(reader, id)).identity
        if not await sight.identities(reader, [identity.id]):
            raise NotFound("identity")
        if not relates(tenant):
            return []
        states = await reader.records(identity.records)
        found = await _by_record(reader, states) + await _by_name(reader, tenant, identity, states)
        others = sorted({one.identity for one in found if one.identity})
        seen = await sight.identities(reader, others) if others else frozenset[bytes]()
    kept = [one for one in found if not one.identity or (one.identity in seen and one.identity != identity.id)]
    return sorted(kept, key=lambda one: (one.kind, one.identity, one.record))


async def _by_record(reader: Reader, states: Mapping[bytes, RecordState]) -> list[RelationshipView]:
    """Follow statements that name records, both ways."""
    own = {state.record.alias: state for state in states.values() if state.record.alias is not None}
    edges = await live_relates(reader, [*states, *own])
    named = await reader.records_by_alias(sorted({edge.target for edge in edges} - set(own)))
    stating = await reader.records(sorted({edge.source for edge in edges} - set(states)))
    found: list[RelationshipView] = []
    for edge in edges:
        for kind in kinds_of(edge.weight):
            if edge.source in states and edge.target not in own:
                target = named.get(edge.target)
                identity = target.identity if target is not None else None
                because = "its record names their record" if identity else "its record names a record that is not here"
                source = _source(states[edge.source])
                found.append(RelationshipView(kind, identity or b"", edge.source, source, because, edge.recorded_from))
            elif edge.source in stating and (state := stating[edge.source]).identity is not None:
                because = "their record names its record"
                inverse = INVERSES[kind]
                found.append(
                    RelationshipView(inverse, state.identity or b"", edge.source, _source(state), because, edge.recorded_from)
                )
    return found


async def _by_name(
    reader: Reader, tenant: Tenant, identity: StoredIdentity, states: Mapping[bytes, RecordState]
) -> list[RelationshipView]:
    """Look for those who are only named among those of the same household: there, one alone of that name is who is meant."""
    ordered = list(states.values())
    contents = await tenant.open_versions([state.version for state in ordered])
    stated = [
        (state, said.value)
        for state, content in zip(ordered, contents, strict=True)
        if content is not None
        for said in content.attributes
        if isinstance(said.value, Relationship) and not said.value.source_record_id
    ]
    if not stated:
        return []
    relatives = await _relatives(reader, tenant, identity)
    found: list[RelationshipView] = []
    for state, said in stated:
        words = set(fold(said.name).split())
        fitting = [other for other, profiles in relatives.items() if any(_is_named(profile, words) for profile in profiles)]
        who = fitting[0] if len(fitting) == 1 else b""
        because = "one of its household has the name" if who else "nobody of its household alone has the name"
        found.append(RelationshipView(said.kind, who, state.record.id, _source(state), because))
    return found


def _is_named(profile: Profile, words: set[str]) -> bool:
    """Say whether a name holds a given name and a surname of a profile."""
    return any(set(given.split()) <= words for given in profile.given) and any(
        set(surname.split()) <= words for surname in profile.surname
    )


async def _relatives(reader: Reader, tenant: Tenant, identity: StoredIdentity) -> dict[bytes, list[Profile]]:
    """Read the profiles of those in the identity's households; of very large ones nobody is looked for."""
    households = await reader.households(identity.households) if identity.households else {}
    groups: list[Sequence[bytes]] = [members for _, members in households.values()]
    groups += (await families_of(reader, tenant, identity.records)).values()
    ids = sorted({member for members in groups if len(members) <= _MOST_RELATIVES for member in members} - {identity.id})
    stored = await reader.identities(ids) if ids else {}
    members = await tenant.members_of((await reader.records([r for one in stored.values() for r in one.records])).values())
    return {id: [members[record].profile for record in one.records if record in members] for id, one in sorted(stored.items())}


def _source(state: RecordState) -> str:
    return str(state.record.properties["source"])
