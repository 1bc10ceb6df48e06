"""Say what stewards' decisions teach a match model: pairs of records that are one person, or two.

Nothing is kept for this: what a decision teaches follows from its edges, so it is withdrawn when the decision is undone or
expires, and when a record of it goes. A decision about many records was made for what a few pairs of them say; of each side's
distinct profiles, those of the smaller side are paired with whom they match best on the other, the best pairs first.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from goldenthread.graph.model import EdgeKind, NodeKind
from goldenthread.graph.store import Reader
from goldenthread.server.commands.decisions.kept import BOUND, live
from goldenthread.server.commands.prepare_record import Member
from goldenthread.server.commands.tenants import Tenant

__all__ = ["taught_by", "taught_pairs"]

_PAGE = 200
_MOST_PAIRS = 10
"""Pairs that one decision teaches, so that a merge of large identities does not drown the others."""

_MOST_PROFILES = 64
"""Distinct profiles of a side that are looked at."""

_LINKS = (EdgeKind.MUST_LINK, EdgeKind.CANNOT_LINK)


async def taught_pairs(reader: Reader, tenant: Tenant) -> dict[tuple[bytes, bytes], bool]:
    """Read of all decisions that hold the pairs they teach, the smaller id first, and whether each is one person.

    What a later decision overruled is left out, and so are pairs of equal profiles, which teach nothing.
    """
    found: dict[tuple[bytes, bytes], bool] = {}
    after = b""
    while ids := await reader.page(NodeKind.DECISION, after, _PAGE, {}):
        after = ids[-1]
        for pairs in (await taught_by(reader, tenant, ids)).values():
            found.update(pairs)
    return found


async def taught_by(reader: Reader, tenant: Tenant, ids: Sequence[bytes]) -> dict[bytes, dict[tuple[bytes, bytes], bool]]:
    """Read the pairs that each of some decisions teaches, in the order of the decisions; one that teaches none is left out."""
    sides: dict[tuple[bytes, bool], tuple[list[bytes], list[bytes]]] = defaultdict(lambda: ([], []))
    for edge in live(await reader.history(ids, BOUND)):
        if edge.kind in _LINKS:
            sides[edge.target, edge.kind is EdgeKind.MUST_LINK][edge.weight].append(edge.source)
    states = await reader.records(sorted({record for both in sides.values() for side in both for record in side}))
    members = await tenant.members_of(states.values())
    found: dict[bytes, dict[tuple[bytes, bytes], bool]] = defaultdict(dict)
    for (decision, must), (left, right) in sorted(sides.items()):
        pairs = await asyncio.to_thread(_best_pairs, tenant, members, left, right)
        told = {pair: must for pair in pairs if (states[pair[0]].identity == states[pair[1]].identity) is must}
        if told:
            found[decision].update(told)
    return found


def _best_pairs(
    tenant: Tenant, members: Mapping[bytes, Member], left: Sequence[bytes], right: Sequence[bytes]
) -> list[tuple[bytes, bytes]]:
    """Pair the distinct profiles of the smaller side with their best partners on the other."""
    few, many = sorted((_distinct(members, left), _distinct(members, right)), key=len)
    if not few or not many:
        return []
    profiles = [members[record].profile for record in (*few, *many)]
    rows = np.repeat(np.arange(len(few), dtype=np.int32), len(many))
    columns = np.tile(np.arange(len(few), len(profiles), dtype=np.int32), len(few))
    weights = tenant.scorer.weights(profiles, rows, columns).reshape(len(few), len(many))
    partners = weights.argmax(axis=1)
    best = np.argsort(-weights[np.arange(len(few)), partners], kind="stable")
    chosen = [(few[i], many[int(partners[i])]) for i in best.tolist()]
    told = [(min(pair), max(pair)) for pair in chosen if members[pair[0]].digest != members[pair[1]].digest]
    return told[:_MOST_PAIRS]


def _distinct(members: Mapping[bytes, Member], records: Sequence[bytes]) -> list[bytes]:
    """Choose a record for each distinct profile, by order of source and record id."""
    by_profile: dict[bytes, bytes] = {}
    for record in sorted((record for record in records if record in members), key=lambda record: members[record].order_key):
        by_profile.setdefault(members[record].digest, record)
    return list(by_profile.values())[:_MOST_PROFILES]
