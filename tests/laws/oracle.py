"""What must be the case after a history, by the resolver's pure functions over what remains, with no store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise

import networkx as nx
import numpy as np

from goldenthread.graph.model import AttributeValue, Party, RecordContent
from goldenthread.resolver.clusters import Decision, cluster
from goldenthread.server.commands.prepare_record import Member, keys_of_profile, member_of
from goldenthread.server.commands.tenants import Tenant

__all__ = ["Key", "Partition", "Remaining", "Steward", "content_of", "partition_of"]

Key = tuple[str, str]
"""Source and source record id."""

Partition = frozenset[frozenset[Key]]


@dataclass(frozen=True)
class Steward:
    """A decision that stands: its id and revision, the records of both sides, whether a veto yields, and when it is due."""

    id: bytes
    revision: int
    must: bool
    left: frozenset[Key]
    right: frozenset[Key]
    overrides_veto: bool = False
    due: int = 0


@dataclass
class Remaining:
    """What is left of a history: of each record its versions by when they were observed, and until when it is deleted."""

    versions: dict[Key, dict[int, tuple[AttributeValue, ...]]] = field(default_factory=lambda: defaultdict(dict))
    deleted_until: dict[Key, int] = field(default_factory=dict)
    decisions: list[Steward] = field(default_factory=list)

    def put(self, key: Key, observed_at: int, attributes: tuple[AttributeValue, ...]) -> None:
        """Keep a version, unless a deletion keeps it out."""
        if observed_at > self.deleted_until.get(key, -1):
            self.versions[key].setdefault(observed_at, attributes)

    def delete(self, key: Key, until: int) -> None:
        """Leave out what was observed by a time, now and later."""
        self.deleted_until[key] = max(until, self.deleted_until.get(key, -1))
        self.versions[key] = {at: said for at, said in self.versions[key].items() if at > until}

    def live(self) -> dict[Key, RecordContent]:
        """Say what each record says now."""
        last = {key: max(versions.items()) for key, versions in self.versions.items() if versions}
        return {key: content_of(key, *version) for key, version in last.items()}


def content_of(key: Key, observed_at: int, attributes: tuple[AttributeValue, ...]) -> RecordContent:
    """Make what a source said."""
    return RecordContent(*key, Party.FIRST, observed_at, -1, attributes)


def partition_of(tenant: Tenant, remaining: Remaining) -> Partition:
    """Resolve what remains, all at once."""
    members = {key: member_of(tenant, content) for key, content in remaining.live().items()}
    graph = nx.Graph()
    graph.add_nodes_from(members)
    graph.add_edges_from(_links(tenant, members))
    for decision in remaining.decisions:
        if decision.must:
            bound = sorted((decision.left | decision.right) & members.keys())
            graph.add_edges_from(pairwise(bound))
    return frozenset(
        group
        for component in nx.connected_components(graph)
        for group in _cut(tenant, {key: members[key] for key in sorted(component)}, remaining.decisions)
    )


def _links(tenant: Tenant, members: Mapping[Key, Member]) -> Iterable[tuple[Key, Key]]:
    """Give the pairs that share a key which is not generic, and that are worth a link."""
    on: dict[bytes, list[Key]] = defaultdict(list)
    for key, member in members.items():
        found, blocks = keys_of_profile(tenant, member.profile)
        for name in {*found, *blocks}:
            on[name].append(key)
    limit = tenant.match_model.generic_limit
    specific = [keys for keys in on.values() if len({members[key].digest for key in keys}) <= limit]
    pairs = sorted({pair for keys in specific for pair in combinations(sorted(keys), 2)})
    weights = _weights(tenant, [members[a] for a, _ in pairs], [members[b] for _, b in pairs])
    return [pair for pair, weight in zip(pairs, weights, strict=True) if weight >= tenant.match_model.link_weight]


def _weights(tenant: Tenant, left: Sequence[Member], right: Sequence[Member]) -> list[int]:
    if not left:
        return []
    here = np.arange(len(left), dtype=np.int32)
    return [*tenant.scorer.weights([m.profile for m in (*left, *right)], here, here + np.int32(len(left))).tolist()]


def _cut(tenant: Tenant, members: Mapping[Key, Member], decisions: Sequence[Steward]) -> Iterable[frozenset[Key]]:
    keys = list(members)
    place = {key: i for i, key in enumerate(keys)}

    def places(side: frozenset[Key]) -> tuple[int, ...]:
        return tuple(sorted(place[key] for key in side if key in place))

    profiles = [member.profile for member in members.values()]
    clustering = cluster(
        keys,
        [member.digest for member in members.values()],
        lambda left, right: tenant.scorer.weights(profiles, left, right),
        [Decision(d.revision, d.must, places(d.left), places(d.right), d.overrides_veto) for d in decisions],
        tenant.clustering,
        tenant.guards.vetoes((key[0], member.profile) for key, member in members.items()),
        tenant.guards.held_to(profiles, [member.observed_at for member in members.values()], tenant.scorer.weights),
        information=lambda at: tenant.scorer.information([profiles[i] for i in at.tolist()]),
    )
    groups: dict[int, set[Key]] = defaultdict(set)
    for key, label in zip(keys, clustering.labels, strict=True):
        groups[label].add(key)
    return map(frozenset, groups.values())
