"""Cut a component of the match graph into identities.

Groups are joined, best first, while the average weight of *all* pairs between two groups is high enough and at least one of
those pairs is a link by itself. Strangers are therefore not chained through one weak link, as transitive closure would, and
pairs that blocking missed count as well. Who knows more counts for more (see `scoring.information`), so that records that could
not tell two people apart do not outvote those that do.

Everything is a pure function of its arguments and does not depend on the order in which members are given: members are
ranked by their order key (source, source record id), and every tie goes to the smaller rank. Weights are fixed-point
integers. An average is their sum divided by the number of pairs, rounded down, so that no float decides anything;
an average reaches a whole threshold exactly when the rounded one does.

Average linkage: Sokal and Michener, "A statistical method for evaluating systematic relationships", 1958 (UPGMA).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.graph.model import SemanticType
from goldenthread.resolver.constraints import CANNOT, VETO, Atoms, Ruling, bind, gather
from goldenthread.resolver.limits import Holding, Limit, Limits, Tally
from goldenthread.resolver.linkage import Entry, Join, Part, components
from goldenthread.resolver.oversized import parts_that_fit
from goldenthread.resolver.vetoes import Subject, Vetoes

__all__ = [
    "Candidates",
    "ClusterSettings",
    "Clustering",
    "Cut",
    "CutBy",
    "Decision",
    "Informations",
    "JoinStep",
    "Links",
    "Review",
    "Weights",
    "cluster",
    "components",
]

Weights = Callable[[NDArray[np.int32], NDArray[np.int32]], NDArray[np.int64]] | NDArray[np.int64]
"""Weights of pairs of members: a function of two columns of positions, or the full symmetric matrix."""

Informations = Callable[[NDArray[np.int32]], NDArray[np.int64]]
"""What members count by what they know of their person, a whole number from 1: a function of a column of positions."""

Candidates = Callable[[NDArray[np.int32]], tuple[NDArray[np.int32], NDArray[np.int32]]]
"""Pairs worth weighing among members, given a column of their positions: two columns of places in it, none twice."""

Links = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]
"""Pairs of member positions that are linked, and their weights."""

CutBy = Literal["average", "decision", "veto", "limit", "size"]
Review = Literal["component_size", "veto_overridden", "identifier_limit"]
"""Why a steward should look at a component."""

_CHUNK = 1 << 20  # pairs asked for at a time, so that their columns stay small


class ClusterSettings(Struct, frozen=True):
    """Say when two groups are one identity; weights are fixed point, in the scale of the weights given."""

    link_weight: int  # at least one pair between the groups must reach it
    min_average: int  # the average of all pairs between the groups must reach it
    max_component: int  # distinct profiles that are scored pair by pair; a larger component is cut apart before


class Decision(Struct, frozen=True):
    """A steward's decision on members, given by position; where two conflict, the later revision holds.

    A `must` puts all of left and right together, what a veto keeps apart only when it `overrides_veto`; a cannot keeps each of
    left from each of right.
    """

    revision: int
    must: bool
    left: tuple[int, ...]
    right: tuple[int, ...]
    overrides_veto: bool = False


class JoinStep(Struct, frozen=True):
    """Two groups of members (positions, in order of rank) that were joined, and what joined them."""

    left: tuple[int, ...]
    right: tuple[int, ...]
    average: int
    strongest: tuple[int, int]
    by: Literal["match", "decision"]


class Cut(Struct, frozen=True):
    """Two clusters that a link joins and that were kept apart all the same.

    By a veto `subject` says of what they disagree, by a limit which one they would break.
    """

    left: int
    right: int
    strongest: tuple[int, int]
    weight: int
    by: CutBy
    subject: Subject | None = None


class Clustering(Struct):
    """How a component was cut.

    `labels` gives each member's cluster, numbered by smallest order key. `steps` and `cuts` explain it; the steps of one
    cluster are in the order they were taken. `reviews` says why a steward should look at it: the component was too large to
    be scored whole, a decision joined members that a veto keeps apart, or a limit of identifiers parted what would be one.
    `limited` counts, by guard, the identities that were parted so.
    """

    labels: list[int]
    steps: list[JoinStep]
    cuts: list[Cut]
    reviews: tuple[Review, ...]
    limited: Counter[str] = msgspec.field(default_factory=Counter)

    @property
    def needs_review(self) -> bool:
        """Whether a steward should look at it."""
        return bool(self.reviews)


def cluster(
    order_keys: Sequence[tuple[str, str]],
    profiles: Sequence[bytes],
    weights: Weights,
    decisions: Sequence[Decision],
    settings: ClusterSettings,
    vetoes: Vetoes | None = None,
    limits: Limits | None = None,
    *,
    information: Informations | None = None,
    candidates: Candidates | None = None,
    explain: bool = True,
) -> Clustering:
    """Cut one component into identities.

    Members with equal profile digests are one point of that multiplicity and always together, unless a decision or veto
    keeps them apart. With `information` a pair of members counts in averages as often as what both know multiplied, else once.
    A must decision that overrides a veto asks for a review, and so does an identity that `limits` part.
    Above `max_component` profiles only links are looked at, to cut the component into parts that fit: those of the
    `candidates` among them, or of all pairs, which are their square, where none are given. Whoever must get equal partitions
    gives equal ones; they play no part in smaller components. Without `explain`, steps and cuts stay empty, and equal
    profiles are not weighed.
    """
    n = len(order_keys)
    if n < 2:
        return Clustering([0] * n, [], [], ())
    order = sorted(range(n), key=lambda i: (order_keys[i], profiles[i]))
    number: dict[bytes, int] = {}
    point_of = [number.setdefault(profiles[i], len(number)) for i in order]
    if decisions or vetoes is not None:
        rank = [0] * n
        for place, position in enumerate(order):
            rank[position] = place
        atoms = bind(
            point_of,
            [
                Ruling(d.revision, d.must, tuple(rank[i] for i in d.left), tuple(rank[i] for i in d.right), d.overrides_veto)
                for d in decisions
            ],
            Vetoes([vetoes.claims[i] for i in order]) if vetoes is not None else None,
        )
        size = atoms.size(point_of)
    else:
        atoms, size = gather(point_of, len(number)), len(number)
    component = _Component(order, point_of, atoms, weights, information, settings, limits, explain)
    if size <= settings.max_component:
        component.cut_part(range(len(atoms.groups)))
    else:
        component.cut_apart(candidates)
    return component.clustering()


class _Component:
    """A component being cut. Members are known by rank, profiles by point; an entry is (point, its members, a rank)."""

    def __init__(
        self,
        order: list[int],
        point_of: list[int],
        atoms: Atoms,
        weights: Weights,
        information: Informations | None,
        settings: ClusterSettings,
        limits: Limits | None,
        explain: bool,
    ) -> None:
        self.order, self.point_of, self.atoms = order, point_of, atoms
        self.weights, self.information, self.settings = weights, information, settings
        self.limits, self.explain = limits, explain
        self.limited: Counter[str] = Counter()
        self.parted: dict[int, tuple[int, Subject]] = {}
        """Of each atom of a cluster that broke a limit: that cluster, and the limit."""
        self.reviews: tuple[Review, ...] = ("veto_overridden",) if atoms.overruled else ()
        self.cluster_of = list(range(len(atoms.groups)))  # each atom's cluster, known by its smallest atom
        self.steps: list[tuple[int, JoinStep]] = []
        self.cuts: list[tuple[int, int, Cut]] = []

    def entries(self, ranks: Sequence[int]) -> list[Entry]:
        """List the distinct profiles of some ranks, by smallest rank."""
        if len(ranks) == 1:
            return [(self.point_of[ranks[0]], 1, ranks[0])]
        found: dict[int, tuple[int, int]] = {}
        for rank in ranks:
            count, first = found.get(self.point_of[rank], (0, rank))
            found[self.point_of[rank]] = (count + 1, first)
        return [(point, count, first) for point, (count, first) in found.items()]

    def cut_part(self, atoms: Sequence[int]) -> None:
        """Weigh all profiles of some atoms and join the atoms by average linkage."""
        if len(atoms) == 1 and not (self.explain and self.atoms.joins):
            return
        entries = [self.entries(self.atoms.groups[atom]) for atom in atoms]
        part = Part(entries, self.order, self.weigh, self.information, self.settings.link_weight, self_weights=self.explain)
        joins: list[Join] = []
        if len(atoms) > 1:
            barriers, subjects = self.atoms.barriers(atoms)
            joins = part.join(barriers, self.settings.min_average)
            self._take(atoms, joins)
            if self.limits is not None:
                joins = self._hold(atoms, joins, self.limits, frozenset())
            if self.explain:
                self._explain_cuts(atoms, part, barriers, subjects)
        if self.explain:
            self._explain_atoms(atoms, part)
            self._explain_joins(atoms, part, joins)

    def _take(self, atoms: Sequence[int], joins: Sequence[Join]) -> None:
        """Put the atoms, ascending, that were joined into clusters."""
        for stays, goes, _ in joins:
            self.cluster_of[atoms[goes]] = atoms[stays]
        # Slots were joined bottom-up, so one pass in ascending order finds each atom's final cluster.
        for atom in atoms:
            self.cluster_of[atom] = self.cluster_of[self.cluster_of[atom]]

    def _hold(self, atoms: Sequence[int], joins: Sequence[Join], limits: Limits, gone: frozenset[SemanticType]) -> list[Join]:
        """Cut the clusters of some atoms again that break a limit; answer the joins that stand."""
        clusters: dict[int, list[int]] = {}
        for atom in atoms:
            clusters.setdefault(self.cluster_of[atom], []).append(atom)
        broken_by: dict[int, list[Limit]] = {}
        for cluster, mine in clusters.items():
            if len(mine) > 1 and (broken := limits.broken([self._holding(atom, limits) for atom in mine])):
                broken_by[cluster] = broken
        if not broken_by:
            return list(joins)
        standing = [join for join in joins if self.cluster_of[atoms[join[0]]] not in broken_by]
        for cluster, broken in broken_by.items():
            if not self.parted.keys() & clusters[cluster]:
                self.limited.update({limit.guard for limit in broken})
                subject = min((limit.guard, limit.type.name.lower()) for limit in broken)
                self.parted.update(dict.fromkeys(clusters[cluster], (cluster, subject)))
            self._cut_again(clusters[cluster], limits, broken, gone)
        if "identifier_limit" not in self.reviews:
            self.reviews = (*self.reviews, "identifier_limit")
        return standing

    def _cut_again(self, atoms: list[int], limits: Limits, broken: Sequence[Limit], gone: frozenset[SemanticType]) -> None:
        """Cut one cluster that breaks limits by less evidence, or, where no more can give way, no further than limits let."""
        members = [[self.order[rank] for rank in self.atoms.groups[atom]] for atom in atoms]
        yielding = limits.yielding(broken, gone, members)
        tally = None
        if yielding is not None:
            gone |= {yielding}
        else:
            tally = Tally(limits.limits, [self._holding(atom, limits) for atom in atoms])
        weigh = limits.weights_without(gone) if gone else self.weigh
        entries = [self.entries(self.atoms.groups[atom]) for atom in atoms]
        part = Part(entries, self.order, weigh, self.information, self.settings.link_weight, self_weights=self.explain)
        for atom in atoms:
            self.cluster_of[atom] = atom
        joins = part.join(self.atoms.barriers(atoms)[0], self.settings.min_average, tally)
        self._take(atoms, joins)
        if tally is None:
            joins = self._hold(atoms, joins, limits, gone)
        if self.explain:
            self._explain_joins(atoms, part, joins)

    def _holding(self, atom: int, limits: Limits) -> Holding:
        return limits.holding(self.order[rank] for rank in self.atoms.groups[atom])

    def cut_apart(self, candidates: Candidates | None) -> None:
        """Raise the link threshold, where too many profiles hang together, until the parts fit; then cut each."""
        self.reviews = ("component_size", *self.reviews)
        groups = self.atoms.groups
        atom_of = np.empty(len(self.order), dtype=np.int64)
        for atom, ranks in enumerate(groups):
            atom_of[[self.order[rank] for rank in ranks]] = atom
        left, right, weight = self._all_links() if candidates is None else self._links_of(candidates)
        a, b = np.minimum(atom_of[left], atom_of[right]), np.maximum(atom_of[left], atom_of[right])
        kept = (a != b) & (weight >= self.settings.link_weight)
        kept[kept] = ~self.atoms.are_barred(a[kept], b[kept])
        a, b, weight, left, right = a[kept], b[kept], weight[kept], left[kept], right[kept]
        profiles = [len(self.entries(ranks)) for ranks in groups]
        for part in parts_that_fit(profiles, a, b, weight, self.settings.max_component):
            self.cut_part(part)
        if self.explain:
            self._explain_size_cuts(a, b, (left, right, weight))

    def _distinct(self) -> NDArray[np.int32]:
        """Give a position of every profile."""
        _, ranks = np.unique(self.point_of, return_index=True)
        return np.asarray(self.order, dtype=np.int32)[ranks]

    def _links_of(self, candidates: Candidates) -> Links:
        """Weigh candidate pairs of profiles."""
        positions = self._distinct()
        left, right = (positions[places] for places in candidates(positions))
        return left, right, self.weigh(left, right)

    def _all_links(self) -> Links:
        """Weigh all pairs of profiles, some rows at a time, and keep those that are links."""
        positions = self._distinct()
        k = len(positions)
        found: list[Links] = []
        rows = max(1, _CHUNK // k)
        for at in range(0, k, rows):
            upper, lower = np.nonzero(np.arange(at, min(at + rows, k))[:, None] < np.arange(k))
            left, right = positions[upper + at], positions[lower]
            weight = self.weigh(left, right)
            strong = weight >= self.settings.link_weight
            found.append((left[strong], right[strong], weight[strong]))
        left, right, weight = (np.concatenate(column) for column in zip(*found, strict=True))
        return left, right, weight

    def weigh(self, left: NDArray[np.int32], right: NDArray[np.int32]) -> NDArray[np.int64]:
        """Weigh pairs of member positions."""
        if isinstance(self.weights, np.ndarray):
            return np.asarray(self.weights[left, right], dtype=np.int64)
        if len(left) <= _CHUNK:
            return self.weights(left, right)
        weights = self.weights
        pieces = range(0, len(left), _CHUNK)
        return np.concatenate([weights(left[at : at + _CHUNK], right[at : at + _CHUNK]) for at in pieces])

    def clustering(self) -> Clustering:
        """Number the clusters by smallest order key and hand out labels, steps and cuts."""
        number: dict[int, int] = {}
        labels = [0] * len(self.order)
        for atom, ranks in enumerate(self.atoms.groups):
            label = number.setdefault(self.cluster_of[atom], len(number))
            for rank in ranks:
                labels[self.order[rank]] = label
        steps = [step for _, step in sorted(self.steps, key=lambda step: step[0])]
        cuts = [
            Cut(number[left], number[right], cut.strongest, cut.weight, cut.by, cut.subject)
            for left, right, cut in sorted(self.cuts, key=lambda cut: cut[:2])
        ]
        return Clustering(labels, steps, cuts, self.reviews, self.limited)

    def _positions(self, ranks: Sequence[int]) -> tuple[int, ...]:
        return tuple(self.order[rank] for rank in ranks)

    def _explain_atoms(self, atoms: Sequence[int], part: Part) -> None:
        home = {self.atoms.groups[atom][0]: atom for atom in atoms}
        atom_of = {rank: atom for atom in home.values() for rank in self.atoms.groups[atom]} if self.atoms.joins else {}
        for left, right, by_decision in self.atoms.joins:
            if left[0] in atom_of:
                one, other = self.entries(left), self.entries(right)
                _, i, j = part.strongest(one, other)
                step = JoinStep(
                    self._positions(left),
                    self._positions(right),
                    part.average(one, other),
                    (self.order[i], self.order[j]),
                    "decision" if by_decision else "match",
                )
                self.steps.append((self.cluster_of[atom_of[left[0]]], step))

    def _explain_joins(self, atoms: Sequence[int], part: Part, joins: list[Join]) -> None:
        groups = {slot: self.atoms.groups[atom] for slot, atom in enumerate(atoms)} if joins else {}
        for stays, goes, average in joins:
            left, right = groups[stays], groups.pop(goes)
            _, i, j = part.strongest(self.entries(left), self.entries(right))
            step = JoinStep(self._positions(left), self._positions(right), average, (self.order[i], self.order[j]), "match")
            self.steps.append((self.cluster_of[atoms[stays]], step))
            groups[stays] = sorted(left + right)

    def _explain_cuts(
        self,
        atoms: Sequence[int],
        part: Part,
        barriers: list[tuple[int, int, int]],
        subjects: Mapping[tuple[int, int], Subject],
    ) -> None:
        ends = {self.cluster_of[atom] for atom in atoms}
        if len(ends) == 1:
            return
        ranks_of: dict[int, list[int]] = {end: [] for end in sorted(ends)}
        for atom in atoms:
            ranks_of[self.cluster_of[atom]] += self.atoms.groups[atom]
        why: dict[tuple[int, int], int] = {}
        veto_of: dict[tuple[int, int], Subject] = {}
        for a, b, reason in barriers:
            x, y = sorted((self.cluster_of[atoms[a]], self.cluster_of[atoms[b]]))
            why[x, y] = why.get((x, y), 0) | reason
            if reason == VETO:
                veto_of[x, y] = min(subjects[a, b], veto_of.get((x, y), subjects[a, b]))
        end_of = [self.cluster_of[atom] for atom in atoms]
        for left, right in part.linked_ends(end_of):
            one, other = self.entries(sorted(ranks_of[left])), self.entries(sorted(ranks_of[right]))
            weight, i, j = part.strongest(one, other)
            reason = why.get((left, right), 0)
            by: CutBy = "decision" if reason & CANNOT else "veto" if reason & VETO else "average"
            subject = veto_of[left, right] if by == "veto" else None
            parted = self.parted.get(left)
            if by == "average" and parted is not None and parted == self.parted.get(right):
                by, subject = "limit", parted[1]
            self.cuts.append((left, right, Cut(left, right, (self.order[i], self.order[j]), weight, by, subject)))

    def _explain_size_cuts(self, a: NDArray[np.int64], b: NDArray[np.int64], links: Links) -> None:
        ends = np.asarray(self.cluster_of)
        known = {(left, right) for left, right, _ in self.cuts}
        rank_of = np.empty(len(self.order), dtype=np.int64)
        rank_of[self.order] = np.arange(len(self.order))
        # Of each link the member in the left cluster comes first; of equal weights the smallest ranks.
        swap = ends[a] > ends[b]
        one, other = np.where(swap, links[1], links[0]), np.where(swap, links[0], links[1])
        left_end, right_end = np.minimum(ends[a], ends[b]), np.maximum(ends[a], ends[b])
        order = np.lexsort((rank_of[other], rank_of[one], -links[2]))
        for i in order[(left_end != right_end)[order]].tolist():
            left, right = int(left_end[i]), int(right_end[i])
            if (left, right) not in known:
                known.add((left, right))
                pair = (int(one[i]), int(other[i]))
                self.cuts.append((left, right, Cut(left, right, pair, int(links[2][i]), "size")))
