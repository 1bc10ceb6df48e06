"""Say what keeps two records apart: their weight, an average, a decision, a veto, the size, or that they never met."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from msgspec import Struct

from goldenthread.graph.store import Reader
from goldenthread.resolver.clusters import Cut, CutBy
from goldenthread.resolver.vetoes import GroupClaims, Subject, first_disagreement, together
from goldenthread.server.commands.linking import Part, component_parts, cut_part, vetoes_of
from goldenthread.server.commands.prepare_record import Member
from goldenthread.server.commands.tenants import Tenant

__all__ = ["Apart", "ApartBy", "cuts_of", "what_keeps_apart"]

ApartBy = Literal["weight", "blocking"] | CutBy


class Apart(Struct, frozen=True):
    """Why two groups of records are not one identity.

    `missing` is by how much the weight (by `weight`) or the average (by `average`) falls short of what it must reach.
    `guard` is the guard rail that vetoes (by `veto`) and of what its records disagree, as a source or a type of number; or the
    limit that they would break together (by `limit`) and its type of identifier.
    """

    by: ApartBy
    strongest: tuple[bytes, bytes]
    strongest_weight: int
    average: int
    missing: int
    guard: Subject | None = None


def cuts_of(tenant: Tenant, parts: Iterable[Part], pairs: Iterable[tuple[bytes, bytes]]) -> dict[tuple[bytes, bytes], Cut]:
    """Say of pairs of records what cut apart their clusters, which a link joins; other pairs are left out."""
    part_of = {record: part for part in parts for record in part.records}
    known: dict[int, tuple[dict[bytes, int], dict[tuple[int, int], Cut]]] = {}
    found: dict[tuple[bytes, bytes], Cut] = {}
    for one, other in pairs:
        part = part_of.get(one)
        if part is None or part is not part_of.get(other):
            continue
        if id(part) not in known:
            clustering = cut_part(tenant, part, vetoes_of(tenant, part), explain=True)
            cuts = {(cut.left, cut.right): cut for cut in clustering.cuts}
            known[id(part)] = (dict(zip(part.records, clustering.labels, strict=True)), cuts)
        labels, cuts = known[id(part)]
        left, right = sorted((labels[one], labels[other]))
        if (left, right) in cuts:
            found[one, other] = cuts[left, right]
    return found


async def what_keeps_apart(
    reader: Reader, tenant: Tenant, members: Mapping[bytes, Member], ours: Sequence[bytes], theirs: Sequence[bytes]
) -> Apart:
    """Say why the records of two identities are not one; `members` holds those of both."""
    settings = tenant.clustering
    left, right = [r for r in ours if r in members], [r for r in theirs if r in members]
    profiles = [members[record].profile for record in (*left, *right)]
    rows = np.repeat(np.arange(len(left), dtype=np.int32), len(right))
    columns = np.tile(np.arange(len(left), len(profiles), dtype=np.int32), len(left))
    weights = tenant.scorer.weights(profiles, rows, columns)
    best = int(np.argmax(weights))
    strongest = (left[best // len(right)], right[best % len(right)])
    weight, average = int(weights[best]), int(weights.sum()) // len(weights)
    parts = await component_parts(reader, tenant, [*left, *right])
    cut = cuts_of(tenant, parts, [(left[0], right[0])]).get((left[0], right[0]))
    by: ApartBy = "blocking" if weight >= settings.link_weight else "weight"
    if cut is not None:
        by = cut.by
    missing = settings.link_weight - weight if by == "weight" else settings.min_average - average if by == "average" else 0
    guard = cut.subject if cut is not None and by == "limit" else None
    if by == "veto":
        one, other = (_claims(tenant, [members[record] for record in side], side) for side in (left, right))
        guard = first_disagreement(one, other)
    return Apart(by, strongest, weight, average, missing, guard)


def _claims(tenant: Tenant, members: Sequence[Member], records: Sequence[bytes]) -> GroupClaims:
    """Gather what the members of an identity claim."""
    claims: GroupClaims = {}
    for member, record in zip(members, records, strict=True):
        own = tenant.guards.claims(member.order_key[0], member.profile, record)
        claims = together(claims, {subject: frozenset({values}) for subject, values in own.items()})
    return claims
