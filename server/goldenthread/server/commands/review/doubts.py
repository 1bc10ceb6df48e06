"""Find the pairs of records that are doubtful, and rank them by what an answer is worth.

Nothing is kept for this: the doubts of a revision follow from its matches, identities, decisions and labels. A doubt is a match
near the weight at which pairs link, a link between two records that are kept apart all the same, or a pair of one identity that
a guard questions: the weakest bridge of one that is too large, or two that a decision put together against a veto.

What an answer is worth is the expected number of records that it puts right: the chance that what the graph says of the pair
is wrong, times the records that would move to another identity. That is the expected value of perfect information about the
pair (Howard, "Information value theory", IEEE Transactions on Systems Science and Cybernetics 2(1), 1966) when each record in
a wrong identity costs one; that pairs between large groups come first is the ordering of Whang, Lofgren and Garcia-Molina,
"Question selection for crowd entity resolution", PVLDB 6(6), 2013.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.graph.model import Edge, EdgeKind
from goldenthread.graph.store import Band, Reader
from goldenthread.resolver.clusters import Decision
from goldenthread.server.commands.labels import Label, read_labels
from goldenthread.server.commands.linking import Part, component_parts, cut_part, vetoes_of, weight_matrix
from goldenthread.server.commands.tenants import Tenant

__all__ = ["Doubt", "Doubts", "Pair", "Reason", "find_doubts", "is_settled", "opinions_by_pair", "weigh_doubts"]

Pair = tuple[bytes, bytes]
"""Ids of two records, the smaller first."""

_WHOLE = 64
"""Records of a component up to which the records that a cut would move are counted by cutting; beyond, half count."""

_MOST_TURNS = 8
"""Times that a band is read deeper, twice as deep each time, to get past pairs that were answered."""

_HEAVIEST = 1 << 60
_LATEST = 1 << 60


class Reason(IntEnum):
    """Why a pair is doubtful; the numbers are those of the contract."""

    UNSPECIFIED = 0
    NEARLY_LINKED = 1
    BARELY_LINKED = 2
    KEPT_APART = 3
    IDENTITY_SIZE = 4
    VETO_OVERRIDDEN = 5


_QUESTIONED = (Reason.IDENTITY_SIZE, Reason.VETO_OVERRIDDEN)


class Doubt(Struct, frozen=True):
    """A doubtful pair, what the graph says of it, and what an answer is worth."""

    pair: Pair
    reason: Reason
    weight: int
    identities: tuple[bytes, bytes]
    """Whose the two records are; twice the same when they are one identity."""
    chance_wrong: float
    records_moved: int
    value: float


class Doubts(Struct, frozen=True):
    """The doubts of a revision, the worthiest first; `is_cut` when a band held more than were read."""

    revision: int
    ranked: Sequence[Doubt]
    is_cut: bool


class _Found(Struct):
    edge: Edge
    reason: Reason


async def find_doubts(reader: Reader, tenant: Tenant, window: int) -> Doubts:
    """Find up to `window` pairs of each reason that are most likely wrong, and rank them; of two identities the best pair.

    The order depends on nothing but what is stored: equal values go by source and record id.
    """
    model = tenant.match_model
    link, review = model.link_weight, model.review_weight
    bands = [
        (Reason.NEARLY_LINKED, Band(EdgeKind.MATCHES, review, link, False, heaviest_first=True, limit=window)),
        (Reason.BARELY_LINKED, Band(EdgeKind.MATCHES, link, 2 * link - review, True, heaviest_first=False, limit=window)),
        (Reason.KEPT_APART, Band(EdgeKind.DISPUTED, -_HEAVIEST, _HEAVIEST, False, heaviest_first=True, limit=window)),
        (Reason.IDENTITY_SIZE, Band(EdgeKind.DISPUTED, -_HEAVIEST, _HEAVIEST, True, heaviest_first=False, limit=window)),
    ]
    by_pair: dict[Pair, _Found] = {}
    is_cut = False
    for reason, band in bands:
        # A decision that overrode a veto rules its pair, and is questioned all the same.
        edges, there_is_more = await _open_edges(reader, band, are_ruled_too=reason is Reason.IDENTITY_SIZE)
        by_pair |= {(edge.source, edge.target): _Found(edge, reason) for edge in edges}
        is_cut |= there_is_more
    doubts = await _weigh(reader, tenant, list(by_pair.values()))
    members = await tenant.members_of((await reader.records(sorted({r for d in doubts for r in d.pair}))).values())
    whole = [doubt for doubt in doubts if doubt.pair[0] in members and doubt.pair[1] in members]
    order = {d.pair: sorted((members[d.pair[0]].order_key, members[d.pair[1]].order_key)) for d in whole}
    whole.sort(key=lambda doubt: (-doubt.value, order[doubt.pair]))
    best: dict[tuple[bytes, bytes, bool], Doubt] = {}
    for doubt in whole:
        best.setdefault((min(doubt.identities), max(doubt.identities), doubt.reason in _QUESTIONED), doubt)
    return Doubts(reader.revision.number, list(best.values()), is_cut)


async def weigh_doubts(reader: Reader, tenant: Tenant, pairs: Sequence[Pair]) -> dict[Pair, Doubt]:
    """Say of pairs how doubtful they are now; those that do not match, are safely linked or are decided are no doubts."""
    wanted = set(pairs)
    link, review = tenant.match_model.link_weight, tenant.match_model.review_weight
    ends = sorted({record for pair in pairs for record in pair})
    identity_of = await reader.identities_of(ends)
    ruled = _ruled(await reader.bindings(ends))
    found: dict[Pair, _Found] = {}
    for edge in await reader.matches(ends, EdgeKind.MATCHES):
        pair = (edge.source, edge.target)
        if pair not in wanted or _is_ruled(ruled, *pair):
            continue
        together = identity_of.get(pair[0]) == identity_of.get(pair[1])
        if not together and edge.weight >= review:
            found[pair] = _Found(edge, Reason.KEPT_APART if edge.weight >= link else Reason.NEARLY_LINKED)
        elif together and link <= edge.weight < 2 * link - review:
            found[pair] = _Found(edge, Reason.BARELY_LINKED)
    for edge in await reader.matches(ends, EdgeKind.DISPUTED):
        pair = (edge.source, edge.target)
        if pair in wanted and identity_of.get(pair[0]) == identity_of.get(pair[1]):
            found[pair] = _Found(edge, Reason.IDENTITY_SIZE)
    return {doubt.pair: doubt for doubt in await _weigh(reader, tenant, list(found.values()))}


def opinions_by_pair(labels: Iterable[Label]) -> dict[Pair, list[Label]]:
    """Gather labels by their pair, oldest first."""
    by_pair: dict[Pair, list[Label]] = defaultdict(list)
    for label in labels:
        by_pair[label.left, label.right].append(label)
    return by_pair


def is_settled(labels: Sequence[Label]) -> bool:
    """Whether somebody's answer became a decision."""
    return any(label.decision for label in labels)


async def _open_edges(reader: Reader, band: Band, *, are_ruled_too: bool) -> tuple[list[Edge], bool]:
    """Read a band until as many open pairs are found as wanted; also say whether it holds more.

    Open are those that no answer settled and, unless asked for too, no other decision rules.
    """
    wanted, limit = band.limit, band.limit
    for _ in range(_MOST_TURNS):
        edges = await reader.band(Band(band.kind, band.low, band.high, band.together, band.heaviest_first, limit))
        ends = sorted({record for edge in edges for record in (edge.source, edge.target)})
        ruled = _ruled(await reader.bindings(ends))
        answered = opinions_by_pair(read_labels(await reader.labels(ends)))
        found = [
            edge
            for edge in edges
            if (are_ruled_too or not _is_ruled(ruled, edge.source, edge.target))
            and not is_settled(answered.get((edge.source, edge.target), ()))
        ]
        if len(edges) < limit or len(found) >= wanted:
            return found[:wanted], len(edges) >= limit
        limit *= 2
    return found[:wanted], True


_Sides = dict[bytes, dict[tuple[bytes, EdgeKind], int]]


def _ruled(bindings: Iterable[Edge]) -> _Sides:
    sides: _Sides = defaultdict(dict)
    for edge in bindings:
        sides[edge.source][edge.target, edge.kind] = edge.weight
    return sides


def _is_ruled(ruled: _Sides, one: bytes, other: bytes) -> bool:
    """Whether a decision says of two records that they are one person, or that they are two."""
    ours, theirs = ruled.get(one, {}), ruled.get(other, {})
    return any(
        decision in theirs and (decision[1] is EdgeKind.MUST_LINK or theirs[decision] != side)
        for decision, side in ours.items()
    )


async def _weigh(reader: Reader, tenant: Tenant, found: Sequence[_Found]) -> list[Doubt]:
    identity_of = await reader.identities_of(sorted({r for one in found for r in (one.edge.source, one.edge.target)}))
    found = [one for one in found if one.edge.source in identity_of and one.edge.target in identity_of]
    identities = await reader.identities(sorted({identity_of[r] for one in found for r in (one.edge.source, one.edge.target)}))
    size = {id: len(identity.records) for id, identity in identities.items()}
    joined = [one.edge for one in found if identity_of[one.edge.source] == identity_of[one.edge.target]]
    large = {(e.source, e.target): size[identity_of[e.source]] for e in joined if size[identity_of[e.source]] > 2}
    moved = await _moved_by_cutting(reader, tenant, large)
    questioned = [(one.edge.source, one.edge.target) for one in found if one.reason is Reason.IDENTITY_SIZE]
    disagree = await _disagreeing(reader, tenant, questioned) if questioned else set()
    doubts = []
    for one in found:
        pair = (one.edge.source, one.edge.target)
        left, right = identity_of[pair[0]], identity_of[pair[1]]
        probability = tenant.scorer.probability(one.edge.weight)
        if left == right:
            chance, records = 1.0 - probability, moved.get(pair, 1)
        else:
            chance, records = probability, min(size[left], size[right])
        reason = Reason.VETO_OVERRIDDEN if pair in disagree else one.reason
        doubts.append(Doubt(pair, reason, one.edge.weight, (left, right), chance, records, chance * records))
    return doubts


async def _disagreeing(reader: Reader, tenant: Tenant, pairs: Sequence[Pair]) -> set[Pair]:
    """Choose the pairs that a veto keeps apart, but for the decision that put them together."""
    members = await tenant.members_of((await reader.records(sorted({record for pair in pairs for record in pair}))).values())
    return {
        (one, other)
        for one, other in pairs
        if one in members
        and other in members
        and tenant.guards.vetoes([(members[r].order_key[0], members[r].profile) for r in (one, other)]) is not None
    }


async def _moved_by_cutting(reader: Reader, tenant: Tenant, size_of: Mapping[Pair, int]) -> dict[Pair, int]:
    """Count the records that would leave their identity, of a size, if these two of it were kept apart: by cutting again."""
    if not size_of:
        return {}
    parts = await component_parts(reader, tenant, sorted({pair[0] for pair in size_of}))
    part_of = {record: part for part in parts for record in part.records}
    moved = {pair: size // 2 for pair, size in size_of.items()}
    small = {pair: part_of[pair[0]] for pair in size_of if pair[0] in part_of and len(part_of[pair[0]].records) <= _WHOLE}
    return {**moved, **await asyncio.to_thread(_count_moved, tenant, small)}


def _count_moved(tenant: Tenant, part_of: Mapping[Pair, Part]) -> dict[Pair, int]:
    moved: dict[Pair, int] = {}
    former: dict[int, tuple[NDArray[np.int64], list[int]]] = {}
    for pair, part in part_of.items():
        if id(part) not in former:
            matrix = weight_matrix(tenant, part)
            former[id(part)] = (matrix, cut_part(tenant, part, vetoes_of(tenant, part), matrix, explain=False).labels)
        matrix, labels = former[id(part)]
        one, other = (part.records.index(record) for record in pair)
        apart = Decision(_LATEST, False, (one,), (other,))
        changed = msgspec.structs.replace(part, decisions=[*part.decisions, apart])
        after = cut_part(tenant, changed, vetoes_of(tenant, part), matrix, explain=False).labels
        sides = Counter(new for old, new in zip(labels, after, strict=True) if old == labels[one])
        moved[pair] = sides.total() - max(sides.values())
    return moved
