"""Find labelled pairs: those a caller sends by the sources' own ids, and those that stewards settled."""

from __future__ import annotations

from msgspec import Struct

from goldenthread.graph.store import Reader
from goldenthread.server.commands.decisions.taught import taught_pairs
from goldenthread.server.commands.labels import labels_of, settled_pairs
from goldenthread.server.commands.prepare_record import Member, record_alias
from goldenthread.server.commands.tenants import Tenant

__all__ = ["LabelledKeys", "LabelledMembers", "find_labelled"]

_Key = tuple[str, str]


class LabelledKeys(Struct, frozen=True):
    """Pairs by source and record id, and whether each is one person.

    `with_stewards` takes those too that the tenant's stewards answered in review or taught by other decisions.
    """

    pairs: tuple[tuple[_Key, _Key, bool], ...] = ()
    with_stewards: bool = False


class LabelledMembers(Struct):
    """The records of labelled pairs, by id, the pairs, and how many pairs have a record that is not there."""

    members: dict[bytes, Member]
    pairs: list[tuple[bytes, bytes, bool]]
    missing: int


async def find_labelled(reader: Reader, tenant: Tenant, labels: LabelledKeys) -> LabelledMembers:
    """Find the records of labelled pairs; of a pair that was labelled twice, what the caller says counts, then answers."""
    keys = list(dict.fromkeys(key for left, right, _ in labels.pairs for key in (left, right)))
    alias_of = {key: record_alias(tenant, *key) for key in keys}
    states = await reader.records_by_alias(list(alias_of.values())) if keys else {}
    told: dict[tuple[bytes, bytes], bool] = {}
    missing = 0
    if labels.with_stewards:
        told.update(await taught_pairs(reader, tenant))
        told.update(settled_pairs(await labels_of(reader, tenant)))
    for left, right, is_match in labels.pairs:
        a, b = states.get(alias_of[left]), states.get(alias_of[right])
        if a is None or b is None:
            missing += 1
        else:
            told[min(a.record.id, b.record.id), max(a.record.id, b.record.id)] = is_match
    ids = sorted({record for pair in told for record in pair})
    members = await tenant.members_of((await reader.records(ids)).values()) if ids else {}
    pairs = [(a, b, is_match) for (a, b), is_match in told.items() if a in members and b in members and a != b]
    return LabelledMembers(members, pairs, missing + len(told) - len(pairs))
