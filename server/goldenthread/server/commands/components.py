"""Read what is stored of the components that a change touches, and hold them, so that any two who change one meet.

Whoever only adds needs no matches to know who hangs together. Every change of matches or must-link decisions links what it
touches again, so that each identity lies within one component, and where a link joins two identities, a DISPUTED edge does too.
So identities, these edges and decisions give the same components as the matches, of which a person with many records has many.
That is not so while models are switched, and not for records that cannot be opened: then the matches are read.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from msgspec import Struct

from goldenthread.graph.errors import Conflict
from goldenthread.graph.model import Edge
from goldenthread.graph.store import Component, Reader
from goldenthread.server.commands.guards import follow_guards
from goldenthread.server.commands.prepare_record import Member
from goldenthread.server.commands.tenants import Tenant

__all__ = ["Touched", "held_components", "read_touched"]


class Touched(Struct):
    """What is stored of the components that a change touches."""

    members: dict[bytes, Member]
    """Records that can be opened, but for those of which another version is to be current."""
    identity_of: dict[bytes, bytes]
    decisions: Sequence[Edge]
    disputed: Sequence[Edge]
    links: Sequence[Edge] | None
    """None when they were not read: then whatever is one identity hangs together, and whatever is disputed."""


async def read_touched(
    reader: Reader,
    tenant: Tenant,
    seeds: Sequence[bytes],
    fresh: Container[bytes],
    *,
    needs_links: bool,
    was_read_locked: bool,
) -> Touched:
    """Read the components of records, and follow the guard rails; a transaction holds the components from then on.

    Those who need no links get them only where there is no other way.

    Raises:
        Conflict: others committed meanwhile, and what was read of them before was not read under locks.
    """
    touched = None
    if not (needs_links or tenant.settles):
        touched = await _read_outlines(reader, tenant, seeds, fresh, was_read_locked=was_read_locked)
    return touched or await _read_whole(reader, tenant, seeds, fresh, was_read_locked=was_read_locked)


async def _read_whole(
    reader: Reader, tenant: Tenant, seeds: Sequence[bytes], fresh: Container[bytes], *, was_read_locked: bool
) -> Touched:
    components = await held_components(reader, tenant, seeds, was_read_locked=was_read_locked)
    # Read when the components are held: whoever changes guard rails links them again, before or after this.
    await follow_guards(reader, tenant)
    states = await reader.records(sorted({record for component in components for record in component.records}))
    return Touched(
        await tenant.members_of(state for record, state in states.items() if record not in fresh),
        {record: state.identity for record, state in states.items() if state.identity is not None},
        [edge for component in components for edge in component.decisions],
        [edge for component in components for edge in component.disputed],
        [edge for component in components for edge in component.matches],
    )


async def _read_outlines(
    reader: Reader, tenant: Tenant, seeds: Sequence[bytes], fresh: Container[bytes], *, was_read_locked: bool
) -> Touched | None:
    """Read components by what linking kept together; None when a record of theirs can't be opened."""
    outlines = await reader.outlines(seeds)
    while await _is_old(reader, [min(outline.versions) for outline in outlines], was_read_locked=was_read_locked):
        outlines = await reader.outlines(seeds)
    await follow_guards(reader, tenant)
    members: dict[bytes, Member] = {}
    unknown: list[bytes] = []
    for outline in outlines:
        for record, version in outline.versions.items():
            if record in fresh:
                continue
            member = tenant.members.get(version)
            if member is None:
                unknown.append(record)
            else:
                members[record] = member
    if unknown:
        members.update(await tenant.members_of((await reader.records(unknown)).values()))
    identity_of = {record: identity for outline in outlines for record, identity in outline.identity_of.items()}
    if any(record in identity_of and record not in members for record in unknown):
        return None
    return Touched(
        members,
        identity_of,
        [edge for outline in outlines for edge in outline.decisions],
        [edge for outline in outlines for edge in outline.disputed],
        None,
    )


async def held_components(
    reader: Reader, tenant: Tenant, records: Sequence[bytes], *, was_read_locked: bool
) -> Sequence[Component]:
    """Read the components that records are in, and hold them until the end of a transaction.

    Whoever changes a component holds its smallest record, so that any two who do so meet.

    Raises:
        Conflict: others committed meanwhile, and what was read of it before was not read under locks.
    """
    while True:
        components = await reader.components(records, tenant.match_model.link_weight, tenant.active.matches)
        if await _is_old(reader, [min(component.records) for component in components], was_read_locked=was_read_locked):
            continue
        more = await _to_settle(reader, components) if tenant.settles else ()
        if not more:
            return components
        records = [*records, *more]


async def _is_old(reader: Reader, records: Sequence[bytes], *, was_read_locked: bool) -> bool:
    """Hold records, and say whether what was read may be old, so that it must be read again."""
    if not await reader.hold(records):
        return False
    if not was_read_locked:
        raise Conflict("graph")
    return True


async def _to_settle(reader: Reader, components: Sequence[Component]) -> list[bytes]:
    """Find the records outside of components that are one identity with some inside, by a model used before."""
    inside = {record for component in components for record in component.records}
    identities = set((await reader.identities_of(sorted(inside))).values())
    stored = await reader.identities(sorted(identities)) if identities else {}
    return sorted({record for identity in stored.values() for record in identity.records} - inside)
