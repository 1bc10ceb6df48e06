"""Find the families that records state: whoever somebody named, with all who named them, is a household.

A family is read from relations when it is asked for, so it follows from the records that are current and the identities they
belong to, whatever the order in which they came. Its id is that of the relation, which stands for the record that is named.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from goldenthread.graph.model import LIVE, Edge, EdgeKind
from goldenthread.graph.store import Reader
from goldenthread.resolver.relationships import FAMILY, mask_of
from goldenthread.server.commands.relations import live_relates, relates
from goldenthread.server.commands.tenants import Tenant

__all__ = ["FAMILY_BITS", "families", "families_of"]

FAMILY_BITS = mask_of(FAMILY)
_BINDS = frozenset({EdgeKind.BINDS})


async def families_of(reader: Reader, tenant: Tenant, records: Sequence[bytes]) -> dict[bytes, list[bytes]]:
    """Get the families of an identity, given its records: the identities in each, sorted, by the family's id."""
    if not relates(tenant):
        return {}
    states = await reader.records(records)
    aliases = [state.record.alias for state in states.values() if state.record.alias is not None]
    edges = await live_relates(reader, [*records, *aliases])
    found = await families(reader, sorted({edge.target for edge in edges if edge.weight & FAMILY_BITS}))
    own = {state.identity for state in states.values()}
    return {id: members for id, members in found.items() if own.intersection(members)}


async def families(reader: Reader, ids: Sequence[bytes]) -> dict[bytes, list[bytes]]:
    """Get the identities in families, without those whom a steward keeps away; one who is alone is no family."""
    edges = [edge for edge in await live_relates(reader, ids) if edge.weight & FAMILY_BITS]
    named = await reader.records_by_alias(ids) if ids else {}
    identity_of = await reader.identities_of(sorted({edge.source for edge in edges})) if edges else {}
    records: dict[bytes, set[bytes]] = defaultdict(set)
    for edge in edges:
        records[edge.target].add(edge.source)
    for alias, state in named.items():
        if alias in records:
            records[alias].add(state.record.id)
        if state.identity is not None:
            identity_of[state.record.id] = state.identity
    away = await _kept_away(reader, sorted({record for members in records.values() for record in members}))
    found: dict[bytes, list[bytes]] = {}
    for id, members in records.items():
        left = {identity_of.get(record) for record in members if (record, id) in away}
        there = {identity for record in members if (identity := identity_of.get(record)) is not None and identity not in left}
        if len(there) > 1:
            found[id] = sorted(there)
    return found


async def _kept_away(reader: Reader, records: Sequence[bytes]) -> set[tuple[bytes, bytes]]:
    """List which records are decided not to be of which household."""
    bound: list[Edge] = [e for e in await reader.history(records, _BINDS) if e.recorded_to == LIVE] if records else []
    nodes = await reader.nodes(sorted({edge.target for edge in bound})) if bound else {}
    return {
        (edge.source, about)
        for edge in bound
        if (node := nodes.get(edge.target)) is not None
        and node.properties["kind"] == "not_household"
        and isinstance(about := node.properties["about"], bytes)
    }
