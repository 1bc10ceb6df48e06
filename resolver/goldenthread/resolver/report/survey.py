"""Look at the pairs of a linking again: their weights, what made them, and which are worth a look.

A linking of many records is surveyed on a sample of its identities. Each pair then counts for the pairs it stands for: by the
chance of one identity to be drawn within an identity, of two between identities (Horvitz and Thompson).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import minimum_spanning_tree

from goldenthread.graph.model import AttributeValue, SemanticType
from goldenthread.resolver.bulk.frame import Frame
from goldenthread.resolver.bulk.link import Records
from goldenthread.resolver.bulk.packed import KeyPairs, candidate_pairs, merge, pairs_in_groups, unpack
from goldenthread.resolver.normalise import Profile, profile_of
from goldenthread.resolver.scoring import MatchModel, PairExplanation, Scorer
from goldenthread.resolver.scoring.model import WEIGHT_SCALE

__all__ = ["MOST_ROWS", "NotedPair", "RuleFindings", "Survey", "survey"]

MOST_ROWS = 100_000
"""Records above which a survey takes a sample of identities."""

_LARGEST = 200
"""Profiles of one identity up to which all its pairs are looked at."""

_NOTED = 8
_BRIDGED = 60

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


class RuleFindings(Struct, frozen=True):
    """What one blocking rule found in the survey: pairs, pairs it alone made, and how many of either are expected matches."""

    rule: str
    pairs: float
    only_here: float
    matches: float
    matches_only_here: float
    generic_keys: int


class NotedPair(Struct, frozen=True):
    """A pair worth a look, by rows of the table. For a bridge, `sides` is how many records it holds together."""

    left: int
    right: int
    explanation: PairExplanation
    sides: tuple[int, int] = (1, 1)


class Survey(Struct):
    """Pairs of records, each standing for `times` pairs of the whole.

    `left` and `right` are rows of the table, `bits` weights, `probabilities` the model's. `candidate` pairs were made by a
    rule; the others are of one identity that clustering found. `true` is known only with the truth, and `true_pairs` counts
    the pairs of all records that are one person. `lost` estimates the share of all matches that no rule makes: a lower bound
    (Chao, "Estimating the population size for capture-recapture data with unequal catchability", 1987).
    """

    rows: int
    share: float
    left: Rows
    right: Rows
    bits: Floats
    probabilities: Floats
    times: Floats
    same_identity: NDArray[np.bool_]
    candidate: NDArray[np.bool_]
    true: NDArray[np.bool_] | None
    true_pairs: int | None
    rules: tuple[RuleFindings, ...]
    lost: float
    weakest_links: tuple[NotedPair, ...]
    kept_apart: tuple[NotedPair, ...]
    bridges: tuple[NotedPair, ...]
    asked: tuple[NotedPair, ...] = ()


class _Units(Struct):
    """Groups of records with one profile, identity and truth, ordered by profile: they count alike."""

    point: Rows
    identity: Rows
    truth: Rows
    count: Rows
    row: Rows


def survey(
    table: Records,
    types: Mapping[str, SemanticType | None],
    identities: NDArray[np.int64],
    model: MatchModel,
    *,
    default_country: str = "US",
    truth: Sequence[str] | None = None,
    asked: Sequence[tuple[int, int]] = (),
    seed: int = 0,
    most_rows: int = MOST_ROWS,
) -> Survey:
    """Look at the pairs that a linking of this table with this model compared or joined.

    `identities`, numbers from 0, and `truth` are one label a row; `asked` are pairs of rows to explain whatever they
    weigh. The same input and seed give the same survey.
    """
    scorer = Scorer(model)
    rows, share = _sampled_rows(identities, seed, most_rows)
    number: dict[Profile, int] = {}
    profiles = _profiles(table, types, rows, default_country)
    point_of = np.fromiter((number.setdefault(p, len(number)) for p in profiles), np.int64, len(rows))
    distinct = list(number)
    people = np.zeros(len(rows), np.int64) if truth is None else _codes([truth[row] for row in rows.tolist()])
    units = _units(rows, point_of, identities[rows], people)
    left, right, made = candidate_pairs(model.rules, Frame.of_profiles(distinct), model.generic_limit)
    n_candidates = len(left)
    further = _within_identities(units, made, len(distinct))
    left, right = np.concatenate([left, further[0]]), np.concatenate([right, further[1]])
    weights = scorer.weights(distinct, left, right)
    known, inverse = np.unique(weights, return_inverse=True)
    chances = np.array([scorer.probability(w) for w in known.tolist()])[inverse] if len(known) else np.zeros(0)
    a, b, pair_of = _expand(units, left, right, len(distinct))
    own_a, own_b, own_times = _of_one_profile(units, len(distinct))
    own_points = units.point[own_a]
    own = scorer.weights(distinct, own_points.astype(np.int32), own_points.astype(np.int32))
    own_chances = np.array([scorer.probability(w) for w in own.tolist()])
    first, second = np.concatenate([a, own_a]), np.concatenate([b, own_b])
    same = units.identity[first] == units.identity[second]
    times = np.concatenate([(units.count[a] * units.count[b]).astype(np.float64), own_times])
    times *= np.where(same, 1 / share, 1 / share**2)
    findings, lost = _rules(made, chances[:n_candidates], len(distinct), share, times, same, pair_of, n_candidates)
    picker = _Picker(units, distinct, scorer, left, right, weights, rows)
    return Survey(
        rows=len(rows),
        share=share,
        left=units.row[first],
        right=units.row[second],
        bits=np.concatenate([weights[pair_of], own]) / WEIGHT_SCALE,
        probabilities=np.concatenate([chances[pair_of], own_chances]),
        times=times,
        same_identity=same,
        candidate=np.concatenate([pair_of < n_candidates, np.ones(len(own), np.bool_)]),
        true=None if truth is None else units.truth[first] == units.truth[second],
        true_pairs=None if truth is None else _pairs(np.bincount(_codes(truth))),
        rules=findings,
        lost=lost,
        weakest_links=picker.weakest_links(),
        kept_apart=picker.kept_apart(n_candidates, model),
        bridges=picker.bridges(model),
        asked=tuple(
            NotedPair(i, j, scorer.explain(*_profiles(table, types, np.array([i, j]), default_country))) for i, j in asked
        ),
    )


def _sampled_rows(identities: Rows, seed: int, most_rows: int) -> tuple[Rows, float]:
    """Draw whole identities, so that about `most_rows` rows are taken; answer the rows and the chance of an identity."""
    if len(identities) <= most_rows:
        return np.arange(len(identities)), 1.0
    share = most_rows / len(identities)
    drawn = np.random.default_rng(seed).random(int(identities.max()) + 1) < share
    return np.flatnonzero(drawn[identities]), share


def _profiles(table: Records, types: Mapping[str, SemanticType | None], rows: Rows, default_country: str) -> list[Profile]:
    columns = [(name, kind, table.columns[name]) for name, kind in types.items() if kind is not None]
    return [
        profile_of([AttributeValue(name, kind, values[row]) for name, kind, values in columns if values[row]], default_country)
        for row in rows.tolist()
    ]


def _codes(labels: Sequence[str]) -> Rows:
    return np.unique(np.asarray(labels), return_inverse=True)[1].astype(np.int64)


def _pairs(sizes: NDArray[np.int64]) -> int:
    return int((sizes.astype(np.int64) * (sizes - 1) // 2).sum())


def _units(rows: Rows, points: Rows, identities: Rows, truth: Rows) -> _Units:
    keys = np.stack([points, identities, truth])
    found, first, counts = np.unique(keys, axis=1, return_index=True, return_counts=True)
    return _Units(found[0], found[1], found[2], counts.astype(np.int64), rows[first])


def _within_identities(units: _Units, made: Sequence[KeyPairs], n: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Pair the profiles of one identity that no rule paired."""
    keys = np.unique(np.stack([units.identity, units.point]), axis=1)
    packed = pairs_in_groups(keys[1], keys[0], n, _LARGEST)
    return unpack(np.setdiff1d(packed, merge(made), assume_unique=True), n)


def _expand(units: _Units, left: NDArray[np.int32], right: NDArray[np.int32], n: int) -> tuple[Rows, Rows, Rows]:
    """Turn pairs of profiles into pairs of units; answer both, and which pair of profiles each comes from."""
    counts = np.bincount(units.point, minlength=n)
    starts = np.cumsum(counts) - counts
    repeats = counts[left] * counts[right]
    pair_of = np.repeat(np.arange(len(left)), repeats)
    place = np.arange(len(pair_of)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    i, j = left[pair_of], right[pair_of]
    return starts[i] + place // counts[j], starts[j] + place % counts[j], pair_of


def _of_one_profile(units: _Units, n: int) -> tuple[Rows, Rows, Floats]:
    """Pair records that are written alike: within a unit, and between units of one profile."""
    within = np.flatnonzero(units.count > 1)
    packed = pairs_in_groups(np.arange(len(units.point)), units.point, len(units.point), _LARGEST)
    a, b = (side.astype(np.int64) for side in unpack(packed, len(units.point)))
    times = np.concatenate(
        [units.count[within] * (units.count[within] - 1) / 2, (units.count[a] * units.count[b]).astype(float)]
    )
    return np.concatenate([within, a]), np.concatenate([within, b]), times


def _rules(
    made: Sequence[KeyPairs],
    chances: Floats,
    n: int,
    share: float,
    times: Floats,
    same: NDArray[np.bool_],
    pair_of: Rows,
    n_candidates: int,
) -> tuple[tuple[RuleFindings, ...], float]:
    """Count what each rule found, in pairs of records, and estimate what all of them miss."""
    expanded = pair_of < n_candidates
    size = np.bincount(pair_of[expanded], weights=times[: len(pair_of)][expanded], minlength=n_candidates)
    matches = size * chances
    every = merge(made)
    places = [np.searchsorted(every, m.packed) for m in made]
    by = np.zeros(n_candidates, np.int64)
    for place in places:
        by[place] += 1
    findings = tuple(
        RuleFindings(
            m.rule,
            float(size[place].sum()),
            float(size[place][by[place] == 1].sum()),
            float(matches[place].sum()),
            float(matches[place][by[place] == 1].sum()),
            m.generic_keys,
        )
        for m, place in zip(made, places, strict=True)
    )
    once, twice, total = float(matches[by == 1].sum()), float(matches[by == 2].sum()), float(matches.sum())
    unseen = once * max(once - 1.0, 0.0) / (2 * (twice + 1.0))
    return findings, unseen / (total + unseen) if total + unseen else 0.0


class _Picker:
    """Pick the pairs that are worth a look, over distinct profiles."""

    def __init__(
        self,
        units: _Units,
        distinct: Sequence[Profile],
        scorer: Scorer,
        left: NDArray[np.int32],
        right: NDArray[np.int32],
        weights: Rows,
        rows: Rows,
    ) -> None:
        self.distinct, self.scorer, self.left, self.right, self.weights = distinct, scorer, left, right, weights
        _, first = np.unique(units.point, return_index=True)
        self.row, self.identity = units.row[first], units.identity[first]
        self.count = np.bincount(units.point, weights=units.count).astype(np.int64)
        self.joined = np.flatnonzero(self.identity[left] == self.identity[right])
        self.tree = self._tree()

    def _tree(self) -> Rows:
        """Find the pairs that hold identities together: a spanning tree of each by the strongest pairs."""
        if not len(self.joined):
            return self.joined
        i, j, w = self.left[self.joined], self.right[self.joined], self.weights[self.joined]
        costs = (w.max() - w + 1).astype(np.float64)
        n = len(self.distinct)
        tree = minimum_spanning_tree(csr_array((costs, (i, j)), shape=(n, n))).tocoo()
        order = np.argsort(i.astype(np.int64) * n + j)
        packed = (i.astype(np.int64) * n + j)[order]
        found: Rows = self.joined[order[np.searchsorted(packed, tree.row.astype(np.int64) * n + tree.col)]]
        return found

    def _note(self, pair: int, sides: tuple[int, int] = (1, 1)) -> NotedPair:
        i, j = int(self.left[pair]), int(self.right[pair])
        explanation = self.scorer.explain(self.distinct[i], self.distinct[j])
        return NotedPair(int(self.row[i]), int(self.row[j]), explanation, sides)

    def weakest_links(self) -> tuple[NotedPair, ...]:
        """Take the weakest pair that holds an identity together, of the identities where it is weakest."""
        order = self.tree[np.lexsort((self.tree, self.weights[self.tree]))]
        _, first = np.unique(self.identity[self.left[order]], return_index=True)
        return tuple(self._note(pair) for pair in order[np.sort(first)[:_NOTED]].tolist())

    def kept_apart(self, n_candidates: int, model: MatchModel) -> tuple[NotedPair, ...]:
        """Take the strongest pairs of two identities, one for each two, that would be links by themselves or nearly so."""
        apart = np.flatnonzero(
            (self.identity[self.left[:n_candidates]] != self.identity[self.right[:n_candidates]])
            & (self.weights[:n_candidates] >= model.review_weight)
        )
        order = apart[np.lexsort((apart, -self.weights[apart]))]
        i, j = self.identity[self.left[order]], self.identity[self.right[order]]
        _, first = np.unique(np.stack([np.minimum(i, j), np.maximum(i, j)]), axis=1, return_index=True)
        return tuple(self._note(pair) for pair in order[np.sort(first)[:_NOTED]].tolist())

    def bridges(self, model: MatchModel) -> tuple[NotedPair, ...]:
        """Take the links that alone hold two groups of several profiles in one identity, between the largest first."""
        sizes = np.bincount(self.identity)
        found = []
        links = self.joined[self.weights[self.joined] >= model.link_weight]
        by_identity = _grouped(self.identity[self.left[links]], links)
        for edges in _grouped(self.identity[self.left[self.tree]], self.tree).values():
            identity = int(self.identity[self.left[edges[0]]])
            if 4 <= sizes[identity] <= _BRIDGED:
                found += self._bridges_of(edges, by_identity.get(identity, self.tree[:0]))
        found.sort(key=lambda f: (-min(f[1]), -int(self.weights[f[0]]), f[0]))
        return tuple(self._note(pair, sides) for pair, sides in found[:_NOTED])

    def _bridges_of(self, tree: Rows, links: Rows) -> list[tuple[int, tuple[int, int]]]:
        found = []
        for pair in tree.tolist():
            side = _side(int(self.left[pair]), [(int(self.left[e]), int(self.right[e])) for e in tree.tolist() if e != pair])
            others = {int(p) for e in tree.tolist() for p in (self.left[e], self.right[e])} - side
            crossing = sum((int(self.left[e]) in side) != (int(self.right[e]) in side) for e in links.tolist())
            if crossing <= 1 and min(len(side), len(others)) > 1:
                found.append((pair, (int(self.count[sorted(side)].sum()), int(self.count[sorted(others)].sum()))))
        return found


def _grouped(keys: Rows, values: Rows) -> dict[int, Rows]:
    order = np.argsort(keys, kind="stable")
    bounds = np.flatnonzero(np.diff(keys[order], prepend=-1, append=-1))
    return {int(keys[order[a]]): values[order[a:b]] for a, b in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)}


def _side(start: int, edges: Sequence[tuple[int, int]]) -> set[int]:
    """Collect what is reached from a profile."""
    reached, grown = {start}, True
    while grown:
        grown = False
        for a, b in edges:
            if (a in reached) != (b in reached):
                reached |= {a, b}
                grown = True
    return reached
