"""Link records into identities again wherever something changed: the one place where identities are decided.

Upsert, delete, merge and split all end here. Given which records changed, which match edges come and go and which decisions are
new, `relink` finds the components that are touched, cuts each by the resolver's pure function, keeps identity ids where most of
their records stay, and says what must change in the store. It reads, and writes nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence, Set
from itertools import product

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from goldenthread.graph.disjoint_sets import DisjointSets
from goldenthread.graph.errors import Conflict
from goldenthread.graph.model import Edge, EdgeKind, Node, NodeKind
from goldenthread.graph.store import ChangeSet, Component, EdgeRef, Reader, RecordState
from goldenthread.resolver.clusters import Clustering, Decision, Weights, cluster
from goldenthread.resolver.guards import IDENTITY_SIZE
from goldenthread.resolver.limits import Limits
from goldenthread.resolver.normalise import Profile
from goldenthread.resolver.vetoes import Vetoes
from goldenthread.server.commands.asked_pairs import disagreeing_pairs, weakest_bridge
from goldenthread.server.commands.components import read_touched
from goldenthread.server.commands.prepare_record import Member, keys_of_profile
from goldenthread.server.commands.succession import membership_changes, succeed
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.events.outbox import pack_changes

__all__ = [
    "Change",
    "Linked",
    "NeedsReview",
    "Part",
    "component_groups",
    "component_parts",
    "cut_part",
    "relink",
    "vetoes_of",
    "weight_matrix",
]

_NO_WEIGHTS: Mapping[bytes, int] = {}
_FEW = 40
"""Components up to this many records are scored together, as one matrix each; of larger ones the weights are remembered."""


class Change(Struct, kw_only=True):
    """What happened to records and what binds them."""

    fresh: Mapping[bytes, Member] = {}
    """Records that are new or have another current version."""
    gone: frozenset[bytes] = frozenset()
    """Records that are deleted."""
    put_matches: Sequence[Edge] = ()
    end_matches: Sequence[EdgeRef] = ()
    put_decisions: Sequence[Edge] = ()
    restated: Mapping[bytes, bytes] = {}
    """Stored records of which another version is current now, with their identities."""
    made: Mapping[bytes, Node] = {}
    """Each decision that is not stored yet, at the revision that it will have."""
    end_decisions: Sequence[EdgeRef] = ()
    back_to: int | None = None
    """Revision before a decision that ends: records that come apart claim the identities that they had then."""
    again: frozenset[bytes] = frozenset()
    """Records that are linked again as they are."""
    guards: bytes | None = None
    """Id of the guard rails that the change was made under, if it matters: under others it is made again."""
    was_read_locked: bool = False
    """True when all that the change was made of was read under locks; else what others commit meanwhile makes it anew."""


class Linked(Struct, kw_only=True):
    """What linking found: which identity each touched record belongs to, and what to change."""

    identity_of: dict[bytes, bytes]
    before: Mapping[bytes, bytes]
    """Which identity each of them, and each record that is gone, belonged to."""
    changes: ChangeSet
    reviews: list[NeedsReview]


class NeedsReview(Struct, frozen=True):
    """Records that a steward should look at, and why: a component, or for `identity_size` an identity.

    `asked` are the pairs of one identity, with their weights, that the review queue asks about.
    """

    records: tuple[bytes, ...]
    reasons: tuple[str, ...]
    asked: tuple[tuple[bytes, bytes, int], ...] = ()


class Part(Struct):
    """One component: its records in order of their order keys, with what is known of them."""

    records: list[bytes]
    members: list[Member]
    decisions: list[Decision]
    weights: Mapping[tuple[int, int], int]
    """Weights that match edges know, by places in `records`, the smaller first."""


async def relink(reader: Reader, tenant: Tenant, change: Change, at: int) -> Linked:
    """Decide the identities of every record that the change touches; a transaction holds their components from then on.

    Raises:
        Conflict: others committed while the change was made; the store makes it again.
    """
    ended = {(ref.source, ref.target) for ref in change.end_matches}
    ends = {end for edge in change.put_matches for end in (edge.source, edge.target)} | {end for pair in ended for end in pair}
    bound = {edge.source for edge in change.put_decisions} | {ref.source for ref in change.end_decisions}
    seeds = change.gone | set(change.fresh) | ends | bound | change.again
    needs_links = bool(change.gone or ended or change.end_decisions)
    touched = await read_touched(
        reader, tenant, sorted(seeds), change.fresh, needs_links=needs_links, was_read_locked=change.was_read_locked
    )
    if change.guards not in (None, tenant.guards_id):
        raise Conflict("graph")
    old, members = touched.identity_of, {**touched.members, **change.fresh}
    for record in change.gone:
        members.pop(record, None)

    lifted = {(ref.kind, ref.source, ref.target) for ref in change.end_decisions}
    decisions = [e for e in touched.decisions if (e.kind, e.source, e.target) not in lifted]
    decisions += change.put_decisions
    # A decision that is made now is later than all that are stored.
    later = reader.revision.number + 1
    made = {id: replace(node, recorded_from=max(node.recorded_from, later)) for id, node in change.made.items()}
    rulings = await _rulings(reader, decisions, made)
    links = [e for e in change.put_matches if e.weight >= tenant.match_model.link_weight]
    if touched.links is None:
        sets = _connect(members, [*links, *touched.disputed], decisions, old)
        links += await _links_within(reader, tenant, [own for own in sets if _is_told_by_links(own, old)])
    else:
        links += [e for e in touched.links if (e.source, e.target) not in ended]
        sets = _connect(members, links, decisions, {})
    parts = _parts(sets, members, links, decisions, rulings)
    groups, reviews, fired = await asyncio.to_thread(_cut_all, tenant, parts)

    gone_from = {old[record] for record in change.gone if record in old}
    succession = await succeed(reader, groups, old, at, change.back_to)
    identity_of, retired = succession.identity_of, succession.retired
    retired |= {identity: [] for identity in gone_from if identity not in set(identity_of.values()) and identity not in retired}
    changes = membership_changes(succession, old)
    if touched.links is None:
        cut = [part for part in parts if len({identity_of[record] for record in part.records}) > 1]
        await _weigh_links(reader, tenant, [part for part in cut if not _is_told_by_links(part.records, old)], links)
    asked = {(one, other): weight for review in reviews for one, other, weight in review.asked}
    _dispute_changes(parts, identity_of, touched.disputed, asked, changes)
    away = _kept_away(decisions, rulings)
    await _household_changes(reader, members, identity_of, old, retired, away, changes)
    for identity in sorted(gone_from):  # each deletion leaves its own mark, so that any past moment knows of later ones
        changes.end_edges.append(EdgeRef(EdgeKind.CUT, identity, identity))
        changes.put_edges.append(Edge(EdgeKind.CUT, identity, identity))
    restated = {identity_of.get(record, identity) for record, identity in change.restated.items()}
    # A pin that comes or goes may change golden values, and moves no record.
    pinned = {edge.source for edge in change.put_decisions if edge.kind is EdgeKind.BINDS}
    pinned |= {ref.source for ref in change.end_decisions if ref.kind is EdgeKind.BINDS}
    restated |= {identity_of[record] for record in pinned if record in identity_of}
    changes.events = pack_changes(old, identity_of, change.gone, restated)
    tenant.guards_fired += fired
    return Linked(identity_of=identity_of, before=old, changes=changes, reviews=reviews)


async def component_parts(reader: Reader, tenant: Tenant, records: Sequence[bytes]) -> list[Part]:
    """Read the components that stored records are in, as they are."""
    components, states = await _stored(reader, tenant, records)
    links = [e for c in components for e in c.matches]
    return await _stored_parts(reader, components, await tenant.members_of(states.values()), links)


async def component_groups(reader: Reader, tenant: Tenant, records: Sequence[bytes]) -> list[list[bytes]]:
    """Cut the components that stored records are in, and answer the identities, as if the tenant's guard rails held."""
    components, states = await _stored(reader, tenant, records)
    members = await tenant.members_of(states.values())
    changed = {r for r, m in members.items() if states[r].version.properties["profile"] != m.digest}
    links = [e for c in components for e in c.matches]
    if changed:
        links = await asyncio.to_thread(_weighed_again, tenant, members, changed, links)
    parts = await _stored_parts(reader, components, members, links)
    return (await asyncio.to_thread(_cut_all, tenant, parts))[0]


async def _stored(
    reader: Reader, tenant: Tenant, records: Sequence[bytes]
) -> tuple[Sequence[Component], Mapping[bytes, RecordState]]:
    components = await reader.components(records, tenant.match_model.link_weight, tenant.active.matches)
    return components, await reader.records(sorted({record for component in components for record in component.records}))


async def _stored_parts(
    reader: Reader, components: Sequence[Component], members: Mapping[bytes, Member], links: Sequence[Edge]
) -> list[Part]:
    decisions = [e for c in components for e in c.decisions]
    sets = _connect(members, links, decisions, {})
    return _parts(sets, members, links, decisions, await _rulings(reader, decisions, {}))


def _weighed_again(tenant: Tenant, members: Mapping[bytes, Member], changed: Set[bytes], links: Sequence[Edge]) -> list[Edge]:
    """Weigh links again where a profile is another by now, and leave out those that are a candidate or a link no more."""
    judged = [
        edge
        for edge in links
        if edge.source in members and edge.target in members and (edge.source in changed or edge.target in changed)
    ]
    if not judged:
        return list(links)
    profiles = {members[end].digest: members[end].profile for edge in judged for end in (edge.source, edge.target)}
    place = {digest: i for i, digest in enumerate(profiles)}
    keys = [{*found, *rules} for found, rules in (keys_of_profile(tenant, profile) for profile in profiles.values())]
    left, right = (
        np.array([place[members[end].digest] for end in ends], np.int32)
        for ends in ([edge.source for edge in judged], [edge.target for edge in judged])
    )
    weights = tenant.scorer.weights(list(profiles.values()), left, right).tolist()
    weighed = {
        (edge.source, edge.target): Edge(edge.kind, edge.source, edge.target, weight)
        for edge, one, other, weight in zip(judged, left, right, weights, strict=True)
        if weight >= tenant.match_model.link_weight and keys[one] & keys[other]
    }
    again = {(edge.source, edge.target) for edge in judged}
    return [edge for edge in links if (edge.source, edge.target) not in again] + list(weighed.values())


def _is_told_by_links(records: Sequence[bytes], identity_of: Mapping[bytes, bytes]) -> bool:
    """Whether the stored links within a component are needed to cut it: where few pairs are weighed, or several are identities.

    Of one identity that is large, only pairs of profiles are weighed, and those are remembered.
    """
    stored = [identity_of[record] for record in records if record in identity_of]
    return len(stored) > 1 and (len(records) <= _FEW or len(set(stored)) > 1)


async def _links_within(reader: Reader, tenant: Tenant, sets: Iterable[Sequence[bytes]]) -> Sequence[Edge]:
    """Read the links within whole components."""
    records = [record for own in sets for record in own]
    return await reader.links(records, tenant.match_model.link_weight, tenant.active.matches) if records else []


async def _weigh_links(reader: Reader, tenant: Tenant, parts: Sequence[Part], known: Sequence[Edge]) -> None:
    """Add the weights of the links within components that were cut without them."""
    links = [*await _links_within(reader, tenant, [part.records for part in parts]), *known]
    matches = _by_source(links, {record for part in parts for record in part.records})
    for part in parts:
        part.weights = _weights(part.records, matches)


def _parts(
    sets: Sequence[list[bytes]],
    members: Mapping[bytes, Member],
    links: Sequence[Edge],
    decisions: Sequence[Edge],
    rulings: Mapping[bytes, Node],
) -> list[Part]:
    """Say what is known of each component, given as its records."""
    matches = _by_source(links, members)
    return [_part(records, members, matches, decisions, rulings) for records in sets]


def _by_source(links: Sequence[Edge], records: Container[bytes]) -> Mapping[bytes, Mapping[bytes, int]]:
    """Gather the weights of links between some records by the one, then by the other."""
    matches: dict[bytes, dict[bytes, int]] = defaultdict(dict)
    for edge in links:
        if edge.source in records and edge.target in records:
            matches[edge.source][edge.target] = edge.weight
    return matches


def _weights(records: Sequence[bytes], matches: Mapping[bytes, Mapping[bytes, int]]) -> dict[tuple[int, int], int]:
    """Give the weights of a component's links by places of its records, the smaller first."""
    position = {record: i for i, record in enumerate(records)}
    weights: dict[tuple[int, int], int] = {}
    for i, record in enumerate(records):
        for other, weight in matches.get(record, _NO_WEIGHTS).items():
            j = position[other]
            weights[min(i, j), max(i, j)] = weight
    return weights


async def _rulings(reader: Reader, edges: Sequence[Edge], made: Mapping[bytes, Node]) -> dict[bytes, Node]:
    """Read the decisions that edges lead to."""
    rulings = dict(made)
    records = sorted({edge.source for edge in edges if edge.target not in rulings})
    if records:
        rulings.update((node.id, node) for node in await reader.decisions(records))
    return rulings


def _connect(
    members: Mapping[bytes, Member], links: Iterable[Edge], decisions: Sequence[Edge], identity_of: Mapping[bytes, bytes]
) -> list[list[bytes]]:
    """Group the members into components, those of one identity too; records are in order of their order keys."""
    sets: DisjointSets[bytes] = DisjointSets()
    for edge in links:
        if edge.source in members and edge.target in members:
            sets.join(edge.source, edge.target)
    of_identity: dict[bytes, bytes] = {}
    for record, identity in identity_of.items():
        if record in members:
            sets.join(record, of_identity.setdefault(identity, record))
    of_decision: dict[bytes, bytes] = {}
    for edge in decisions:
        if edge.kind is EdgeKind.MUST_LINK and edge.source in members:
            sets.join(edge.source, of_decision.setdefault(edge.target, edge.source))
    groups: dict[bytes, list[bytes]] = defaultdict(list)
    for record in _ordered(members):
        groups[sets.root(record)].append(record)
    return list(groups.values())


def _ordered(members: Mapping[bytes, Member]) -> list[bytes]:
    """Order records as every tie is broken: by (source, source record id)."""
    return sorted(members, key=lambda record: members[record].order_key)


def _part(
    records: list[bytes],
    members: Mapping[bytes, Member],
    matches: Mapping[bytes, Mapping[bytes, int]],
    edges: Sequence[Edge],
    rulings: Mapping[bytes, Node],
) -> Part:
    if len(records) == 1:
        return Part(records, [members[records[0]]], [], {})
    position = {record: i for i, record in enumerate(records)}
    sides: dict[tuple[bytes, EdgeKind], tuple[set[int], set[int]]] = defaultdict(lambda: (set(), set()))
    for edge in edges:
        if edge.source in position and edge.kind is not EdgeKind.BINDS:
            sides[edge.target, edge.kind][edge.weight].add(position[edge.source])
    decisions = [
        Decision(
            rulings[decision].recorded_from,
            kind is EdgeKind.MUST_LINK,
            tuple(sorted(left)),
            tuple(sorted(right)),
            bool(rulings[decision].properties.get("overrides_veto", 0)),
        )
        for (decision, kind), (left, right) in sorted(sides.items())
    ]
    return Part(records, [members[record] for record in records], decisions, _weights(records, matches))


def _cut_all(tenant: Tenant, parts: Sequence[Part]) -> tuple[list[list[bytes]], list[NeedsReview], Counter[str]]:
    """Cut every component; score the pairs of all small ones in one call."""
    groups: list[list[bytes]] = []
    reviews: list[NeedsReview] = []
    fired: Counter[str] = Counter()
    small = [part for part in parts if 1 < len(part.records) <= _FEW]
    matrices = _matrices(tenant, small)
    for part in parts:
        if len(part.records) == 1:
            groups.append(part.records)
            continue
        vetoes = vetoes_of(tenant, part)
        clustering = cut_part(tenant, part, vetoes, matrices.get(id(part)), explain=False)
        fired += clustering.limited
        if vetoes is not None:
            fired += vetoes.fired()
        if clustering.reviews:
            asked = _overruled(tenant, part, vetoes, clustering) if vetoes is not None else ()
            reviews.append(NeedsReview(tuple(part.records), clustering.reviews, tuple(asked)))
        found = _places_of(clustering)
        groups.extend([part.records[place] for place in places] for places in found)
        if tenant.guards.limits_size:
            large = [places for places in found if _is_too_large(tenant, part, places)]
            reviews += [_too_large(tenant, part, places, matrices.get(id(part))) for places in large]
            fired[IDENTITY_SIZE] += len(large)
    return groups, reviews, +fired


def _places_of(clustering: Clustering) -> list[list[int]]:
    """List the places of each identity's records."""
    found: dict[int, list[int]] = defaultdict(list)
    for place, label in enumerate(clustering.labels):
        found[label].append(place)
    return list(found.values())


def _is_too_large(tenant: Tenant, part: Part, places: Sequence[int]) -> bool:
    """Whether an identity is larger than guard rails let pass without a review."""
    return tenant.guards.is_too_large(len(places), len({part.members[place].digest for place in places}))


def _too_large(tenant: Tenant, part: Part, places: Sequence[int], matrix: NDArray[np.int64] | None) -> NeedsReview:
    """Mark an identity that is too large, and ask about its weakest bridge."""
    weights = _weigher(tenant, part, remember=True) if matrix is None else matrix

    def weigh(left: NDArray[np.int32], right: NDArray[np.int32]) -> NDArray[np.int64]:
        return weights[left, right] if isinstance(weights, np.ndarray) else weights(left, right)

    pair = weakest_bridge(places, part.members, part.decisions, weigh)
    asked = _weighed(tenant, part, [pair]) if pair is not None else ()
    return NeedsReview(tuple(part.records[place] for place in places), (IDENTITY_SIZE,), tuple(asked))


def _overruled(tenant: Tenant, part: Part, vetoes: Vetoes, clustering: Clustering) -> list[tuple[bytes, bytes, int]]:
    """Ask about what a decision put together although a veto keeps it apart."""
    pairs = [pair for places in _places_of(clustering) if len(places) > 1 for pair in disagreeing_pairs(places, vetoes)]
    return _weighed(tenant, part, pairs)


def _weighed(tenant: Tenant, part: Part, pairs: Sequence[tuple[int, int]]) -> list[tuple[bytes, bytes, int]]:
    """Name pairs of places by their records, the smaller id first, with their weights."""
    if not pairs:
        return []
    left, right = (np.array(side, np.int32) for side in zip(*pairs, strict=True))
    weights = tenant.scorer.weights([member.profile for member in part.members], left, right).tolist()
    named = [sorted((part.records[i], part.records[j])) for i, j in pairs]
    return [(one, other, weight) for (one, other), weight in zip(named, weights, strict=True)]


def vetoes_of(tenant: Tenant, part: Part) -> Vetoes | None:
    """Say what keeps the records of a component apart; None when nothing does."""
    return tenant.guards.vetoes((member.order_key[0], member.profile) for member in part.members)


def _limits_of(tenant: Tenant, part: Part) -> Limits | None:
    """Say what limits the records of a component may break; None when they can't."""
    if not tenant.guards.limits:
        return None
    profiles, times = [member.profile for member in part.members], [member.observed_at for member in part.members]
    return tenant.guards.held_to(profiles, times, tenant.scorer.weights)


def cut_part(
    tenant: Tenant, part: Part, vetoes: Vetoes | None, matrix: NDArray[np.int64] | None = None, *, explain: bool
) -> Clustering:
    """Cut one component into identities."""
    return cluster(
        [member.order_key for member in part.members],
        [member.digest for member in part.members],
        _weigher(tenant, part, remember=not explain) if matrix is None else matrix,
        part.decisions,
        tenant.clustering,
        vetoes,
        _limits_of(tenant, part),
        information=lambda at: tenant.scorer.information([part.members[i].profile for i in at.tolist()]),
        candidates=lambda at: _candidates(tenant, [part.members[i].profile for i in at.tolist()]),
        explain=explain,
    )


def _candidates(tenant: Tenant, profiles: Sequence[Profile]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Pair the profiles of a component that is too large to weigh all its pairs."""
    from goldenthread.resolver.bulk.packed import candidates_among  # rare, and slow to load

    return candidates_among(profiles, tenant.match_model)


def weight_matrix(tenant: Tenant, part: Part) -> NDArray[np.int64]:
    """Weigh all pairs of one component, for what cuts it more than once."""
    return _matrices(tenant, [part])[id(part)]


def _weigher(tenant: Tenant, part: Part, *, remember: bool) -> Weights:
    """Say how pairs of a component's members are weighed; those of different profiles are looked up where they fit."""
    profiles: dict[bytes, Profile] = {member.digest: member.profile for member in part.members}
    place = {digest: i for i, digest in enumerate(profiles)}
    point = np.array([place[member.digest] for member in part.members], dtype=np.int32)
    distinct = list(profiles.values())
    if not remember or len(distinct) > tenant.clustering.max_component:
        return lambda left, right: _weights_among(tenant, distinct, point[left], point[right])
    table = tenant.active.weights.table(tenant.scorer, list(profiles), distinct)
    return lambda left, right: table[point[left], point[right]]


def _weights_among(
    tenant: Tenant, profiles: Sequence[Profile], left: NDArray[np.int32], right: NDArray[np.int32]
) -> NDArray[np.int64]:
    """Weigh pairs of a few of many profiles."""
    met, places = np.unique(np.concatenate([left, right]), return_inverse=True)
    one, other = np.split(places.astype(np.int32), [len(left)])
    return tenant.scorer.weights([profiles[i] for i in met.tolist()], one, other)


def _matrices(tenant: Tenant, parts: Sequence[Part]) -> dict[int, NDArray[np.int64]]:
    """Give each component's full symmetric matrix of weights; pairs that no edge knows are scored, all in one call."""
    profiles: list[Profile] = []
    lefts: list[int] = []
    rights: list[int] = []
    filled: list[tuple[NDArray[np.int64], list[tuple[int, int]]]] = []
    matrices: dict[int, NDArray[np.int64]] = {}
    for part in parts:
        n, start = len(part.records), len(profiles)
        matrix = matrices[id(part)] = np.zeros((n, n), dtype=np.int64)
        unknown: list[tuple[int, int]] = []
        for i in range(n):
            for j in range(i + 1, n):
                weight = part.weights.get((i, j))
                if weight is None:
                    unknown.append((i, j))
                else:
                    matrix[i, j] = matrix[j, i] = weight
        if unknown:
            profiles.extend(member.profile for member in part.members)
            lefts.extend(start + i for i, _ in unknown)
            rights.extend(start + j for _, j in unknown)
            filled.append((matrix, unknown))
    if lefts:
        weights = tenant.scorer.weights(profiles, np.array(lefts, dtype=np.int32), np.array(rights, dtype=np.int32)).tolist()
        place = 0
        for matrix, unknown in filled:
            for i, j in unknown:
                matrix[i, j] = matrix[j, i] = weights[place]
                place += 1
    return matrices


def _kept_away(decisions: Sequence[Edge], rulings: Mapping[bytes, Node]) -> dict[bytes, set[bytes]]:
    """Say which households a record's person is not of, by a steward's decision."""
    away: dict[bytes, set[bytes]] = defaultdict(set)
    for edge in decisions:
        household = rulings[edge.target].properties.get("about") if edge.kind is EdgeKind.BINDS else None
        if isinstance(household, bytes) and household:
            away[edge.source].add(household)
    return away


def _dispute_changes(
    parts: Sequence[Part],
    identity_of: Mapping[bytes, bytes],
    before: Sequence[Edge],
    asked: Mapping[tuple[bytes, bytes], int],
    changes: ChangeSet,
) -> None:
    """Mark for the review queue, beside what is asked of identities, the strongest pair between any two that a link joins."""
    wanted = dict(asked)
    for part in parts:
        if len({identity_of[record] for record in part.records}) == 1:
            continue
        homes: dict[bytes, dict[bytes, int]] = defaultdict(dict)  # of each profile, the first place it has in an identity
        for place, (record, member) in enumerate(zip(part.records, part.members, strict=True)):
            homes[member.digest].setdefault(identity_of[record], place)
        strongest: dict[tuple[bytes, bytes], tuple[int, int, int]] = {}
        digests = [member.digest for member in part.members]
        for (left, right), weight in {(digests[i], digests[j]): weight for (i, j), weight in part.weights.items()}.items():
            for (one, i), (other, j) in product(homes[left].items(), homes[right].items()):
                if one != other:
                    between = (one, other) if one < other else (other, one)
                    found = (-weight, min(i, j), max(i, j))
                    strongest[between] = min(strongest.get(between, found), found)
        for negative, i, j in strongest.values():
            a, b = sorted((part.records[i], part.records[j]))
            wanted[a, b] = -negative
    for edge in before:
        pair = (edge.source, edge.target)
        if wanted.get(pair) == edge.weight:
            del wanted[pair]
        else:
            changes.end_edges.append(EdgeRef(EdgeKind.DISPUTED, *pair))
    changes.put_edges += [Edge(EdgeKind.DISPUTED, a, b, weight) for (a, b), weight in wanted.items()]


async def _household_changes(
    reader: Reader,
    members: Mapping[bytes, Member],
    identity_of: Mapping[bytes, bytes],
    old: Mapping[bytes, bytes],
    retired: Mapping[bytes, list[bytes]],
    away: Mapping[bytes, set[bytes]],
    changes: ChangeSet,
) -> None:
    """Move identities between households, which follow from the addresses and surnames of their records."""
    stored = await reader.households_of(sorted(set(old.values()))) if old else {}
    wanted: dict[bytes, dict[bytes, str]] = {identity: {} for identity in (*identity_of.values(), *retired)}
    for record, identity in identity_of.items():
        wanted[identity].update(members[record].households)
    for record, left in away.items():
        for household in left if record in identity_of else ():
            wanted[identity_of[record]].pop(household, None)
    for identity, households in wanted.items():
        had = set(stored.get(identity, ()))
        for household in sorted(had - set(households)):
            changes.end_edges.append(EdgeRef(EdgeKind.MEMBER_OF, identity, household))
        for household in sorted(set(households) - had):
            changes.put_nodes.append(Node(NodeKind.HOUSEHOLD, household, {"reason": households[household]}))
            changes.put_edges.append(Edge(EdgeKind.MEMBER_OF, identity, household))
