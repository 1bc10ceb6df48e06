"""Clusters: laws of cutting a component, and a brute-force reference it must equal."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from goldenthread.resolver.clusters import Clustering, ClusterSettings, Decision, cluster, components
from goldenthread.resolver.constraints import gather
from goldenthread.resolver.linkage import link_few, link_many
from goldenthread.resolver.vetoes import Subject, Vetoes

BIT = 1000
SETTINGS = ClusterSettings(link_weight=2 * BIT, min_average=0, max_component=50)


def keys(n: int) -> list[tuple[str, str]]:
    """Order keys whose order is that of their positions."""
    return [("crm", f"{i:05}") for i in range(n)]


def distinct(n: int) -> list[bytes]:
    """Profile digests of n records that differ."""
    return [i.to_bytes(8, "big") for i in range(n)]


def matrix(n: int, pairs: dict[tuple[int, int], int], otherwise: int) -> NDArray[np.int64]:
    """A symmetric matrix of weights, given its unusual pairs."""
    full = np.full((n, n), otherwise, dtype=np.int64)
    for (i, j), weight in pairs.items():
        full[i, j] = full[j, i] = weight
    np.fill_diagonal(full, 20 * BIT)
    return full


def groups_of(labels: list[int]) -> set[frozenset[int]]:
    """The partition that labels stand for."""
    return {frozenset(i for i, label in enumerate(labels) if label == one) for one in set(labels)}


def reference(
    weights: NDArray[np.int64], profiles: list[bytes], chosen: ClusterSettings, counts: list[int] | None = None
) -> set[frozenset[int]]:
    """Average linkage as its definition says, all pairs of members summed anew each time, as often as both count."""
    says = counts or [1] * len(profiles)
    equal: dict[bytes, list[int]] = {}
    for i, profile in enumerate(profiles):
        equal.setdefault(profile, []).append(i)
    groups = list(equal.values())
    while True:
        options = []
        for left in groups:
            for right in groups:
                if min(left) < min(right):
                    between = [int(weights[i, j]) for i in left for j in right]
                    total = sum(int(weights[i, j]) * says[i] * says[j] for i in left for j in right)
                    average = total // (sum(says[i] for i in left) * sum(says[j] for j in right))
                    if average >= chosen.min_average and max(between) >= chosen.link_weight:
                        options.append((-average, min(left), min(right), left, right))
        if not options:
            return {frozenset(group) for group in groups}
        _, _, _, left, right = min(options)
        groups = [group for group in groups if group not in (left, right)] + [left + right]


@st.composite
def worlds(draw: st.DrawFn, most: int = 9) -> tuple[NDArray[np.int64], list[bytes]]:
    """Weights among few profiles, some of which several members share; small integers, so that ties are common."""
    n = draw(st.integers(1, most))
    points = draw(st.integers(1, n))
    point_of = draw(st.lists(st.integers(0, points - 1), min_size=n, max_size=n))
    values = draw(st.lists(st.integers(-4, 6), min_size=points * points, max_size=points * points))
    table = np.array(values, dtype=np.int64).reshape(points, points) * BIT
    table = np.triu(table) + np.triu(table, 1).T
    np.fill_diagonal(table, 20 * BIT)
    return table[np.ix_(point_of, point_of)], [p.to_bytes(8, "big") for p in point_of]


@given(worlds())
def test_it_equals_the_definition(world: tuple[NDArray[np.int64], list[bytes]]) -> None:
    weights, profiles = world

    found = cluster(keys(len(profiles)), profiles, weights, (), SETTINGS)

    assert groups_of(found.labels) == reference(weights, profiles, SETTINGS)
    assert not found.needs_review


@given(worlds(), st.data())
def test_who_knows_more_counts_for_more(world: tuple[NDArray[np.int64], list[bytes]], data: st.DataObject) -> None:
    weights, profiles = world
    said = {profile: data.draw(st.integers(1, 5)) for profile in sorted(set(profiles))}
    counts = [said[profile] for profile in profiles]

    found = cluster(
        keys(len(profiles)), profiles, weights, (), SETTINGS, information=lambda at: np.array([counts[i] for i in at.tolist()])
    )

    assert groups_of(found.labels) == reference(weights, profiles, SETTINGS, counts)


def test_a_father_and_a_son_stay_apart_whom_a_record_that_knows_neither_resembles() -> None:
    father, son, either = 0, 1, 2
    weights = matrix(3, {(father, son): -8 * BIT, (father, either): 11 * BIT, (son, either): 10 * BIT}, 0)

    outvoted = cluster(keys(3), distinct(3), weights, (), SETTINGS)
    found = cluster(keys(3), distinct(3), weights, (), SETTINGS, information=lambda at: np.array([16, 16, 4])[at])

    assert groups_of(outvoted.labels) == {frozenset({father, son, either})}
    assert groups_of(found.labels) == {frozenset({father, either}), frozenset({son})}


@given(worlds(), st.randoms(use_true_random=False), st.data())
def test_the_order_of_members_does_not_matter(
    world: tuple[NDArray[np.int64], list[bytes]], random: Random, data: st.DataObject
) -> None:
    weights, profiles = world
    n = len(profiles)
    decisions = data.draw(decisions_on(n))
    vetoes = data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=2))
    order = list(range(n))
    random.shuffle(order)
    place = {member: i for i, member in enumerate(order)}
    limit = ClusterSettings(2 * BIT, 0, data.draw(st.integers(1, 9)))

    straight = cluster(keys(n), profiles, weights, decisions, limit, apart(n, vetoes))
    shuffled = cluster(
        [keys(n)[i] for i in order],
        [profiles[i] for i in order],
        weights[np.ix_(order, order)],
        [
            Decision(d.revision, d.must, tuple(place[i] for i in d.left), tuple(place[i] for i in d.right), d.overrides_veto)
            for d in reversed(decisions)
        ],
        limit,
        apart(n, [(place[j], place[i]) for i, j in vetoes]),
    )

    assert [shuffled.labels[place[i]] for i in range(n)] == straight.labels
    assert shuffled.needs_review == straight.needs_review
    assert [tuple(order[i] for i in step.left) for step in shuffled.steps] == [step.left for step in straight.steps]
    assert [tuple(order[i] for i in step.strongest) for step in shuffled.steps] == [step.strongest for step in straight.steps]
    assert [tuple(order[i] for i in cut.strongest) for cut in shuffled.cuts] == [cut.strongest for cut in straight.cuts]
    assert [cut.by for cut in shuffled.cuts] == [cut.by for cut in straight.cuts]


@st.composite
def decisions_on(draw: st.DrawFn, n: int) -> list[Decision]:
    """A few decisions, each at a revision of its own, which may well conflict."""
    count = draw(st.integers(0, 3))
    members = st.lists(st.integers(0, n - 1), min_size=1, max_size=3, unique=True)
    return [
        Decision(revision, draw(st.booleans()), tuple(draw(members)), tuple(draw(members)), draw(st.booleans()))
        for revision in range(count)
    ]


def apart(n: int, pairs: Sequence[tuple[int, int]]) -> Vetoes:
    """Veto pairs: each is a subject of its own, of which the two claim different values."""
    claims: list[dict[Subject, frozenset[Hashable]]] = [{} for _ in range(n)]
    for number, pair in enumerate(pairs):
        for member in pair:
            claims[member]["pair", str(number)] = frozenset({member})
    return Vetoes(claims)


@given(worlds(), st.data())
def test_the_latest_decision_always_holds(world: tuple[NDArray[np.int64], list[bytes]], data: st.DataObject) -> None:
    weights, profiles = world
    n = len(profiles)
    older = data.draw(decisions_on(n))
    must = data.draw(st.booleans())
    left = data.draw(st.sets(st.integers(0, n - 1), min_size=1))
    right = data.draw(st.sets(st.integers(0, n - 1), min_size=1)) - left
    latest = Decision(99, must, tuple(left), tuple(right))

    labels = cluster(keys(n), profiles, weights, [latest, *older], SETTINGS).labels

    if must:
        assert len({labels[i] for i in left | right}) == 1
    else:
        assert not {labels[i] for i in left} & {labels[i] for i in right}


@given(worlds(), st.data())
def test_vetoed_members_are_never_together_unless_decided(
    world: tuple[NDArray[np.int64], list[bytes]], data: st.DataObject
) -> None:
    weights, profiles = world
    n = len(profiles)
    i, j = data.draw(st.integers(0, n - 1)), data.draw(st.integers(0, n - 1))

    veto = apart(n, [(i, j)])

    vetoed = cluster(keys(n), profiles, weights, [Decision(1, True, (i,), (j,))], SETTINGS, veto)
    decided = cluster(keys(n), profiles, weights, [Decision(1, True, (i,), (j,), overrides_veto=True)], SETTINGS, veto)

    assert i == j or vetoed.labels[i] != vetoed.labels[j]
    assert decided.labels[i] == decided.labels[j]
    assert decided.reviews == (("veto_overridden",) if i != j else ())


@given(worlds())
def test_the_steps_tell_how_each_cluster_came_to_be(world: tuple[NDArray[np.int64], list[bytes]]) -> None:
    weights, profiles = world

    found = cluster(keys(len(profiles)), profiles, weights, (), SETTINGS)

    groups = {frozenset([i]) for i in range(len(profiles))}
    for step in found.steps:
        left, right = frozenset(step.left), frozenset(step.right)
        # Equal profiles are joined in one step.
        groups -= {left} | ({right} if right in groups else {frozenset([i]) for i in right})
        groups.add(left | right)
        between = [int(weights[i, j]) for i in left for j in right]
        assert step.average == sum(between) // len(between)
        assert int(weights[step.strongest]) == max(between)
    assert groups == groups_of(found.labels)


@given(worlds())
def test_a_link_between_clusters_is_explained_as_a_cut(world: tuple[NDArray[np.int64], list[bytes]]) -> None:
    weights, profiles = world
    n = len(profiles)

    found = cluster(keys(n), profiles, weights, (), SETTINGS)

    linked = {
        (found.labels[i], found.labels[j])
        for i in range(n)
        for j in range(n)
        if found.labels[i] < found.labels[j] and weights[i, j] >= SETTINGS.link_weight
    }
    assert {(cut.left, cut.right) for cut in found.cuts} == linked


@given(worlds())
def test_a_function_of_positions_gives_the_same_as_a_matrix(world: tuple[NDArray[np.int64], list[bytes]]) -> None:
    weights, profiles = world

    by_function = cluster(keys(len(profiles)), profiles, lambda i, j: weights[i, j], (), SETTINGS)

    assert by_function == cluster(keys(len(profiles)), profiles, weights, (), SETTINGS)


@given(worlds())
def test_labels_are_the_same_without_explanations(world: tuple[NDArray[np.int64], list[bytes]]) -> None:
    weights, profiles = world

    bare = cluster(keys(len(profiles)), profiles, weights, (), SETTINGS, explain=False)

    assert bare.labels == cluster(keys(len(profiles)), profiles, weights, (), SETTINGS).labels
    assert not bare.steps
    assert not bare.cuts


@given(st.integers(21, 60), st.integers(-2, 1), st.booleans(), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_labels_of_many_profiles_are_the_same_without_explanations(k: int, low: int, is_decided: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    table = np.triu(np.where(random.random((k, k)) < 0.1, 3, random.integers(low, 3, (k, k))), 1) * BIT
    point = random.permutation(np.append(np.arange(k), random.integers(0, k, k)))
    weights = (table + table.T)[point][:, point]
    profiles = [int(one).to_bytes(8, "big") for one in point]
    apart = [Decision(1, False, (0,), (len(point) - 1,))] if is_decided else []
    roomy = ClusterSettings(SETTINGS.link_weight, SETTINGS.min_average, 1000)

    bare = cluster(keys(len(point)), profiles, weights, apart, roomy, explain=False)

    assert bare.labels == cluster(keys(len(point)), profiles, weights, apart, roomy).labels


@given(st.integers(2, 60), st.integers(0, 2**32 - 1), st.integers(1, 6))
@settings(max_examples=60)
def test_arrays_and_lists_join_alike(k: int, seed: int, spread: int) -> None:
    random = np.random.default_rng(seed)
    table = random.integers(-3, spread, (k, k))
    table = np.triu(table, 1) + np.triu(table, 1).T
    sizes = random.integers(1, 4, k)
    states = (table >= 1).astype(np.uint8)
    barred = np.triu(random.random((k, k)) < 0.02, 1)
    states[barred | barred.T] |= 2
    sums = table * sizes[:, None] * sizes

    many = link_many(sums.copy(), states.copy(), sizes.copy(), 0)

    assert many == link_few(sums.tolist(), states.tolist(), sizes.tolist(), 0)


def chain_of_strangers() -> Clustering:
    """Two groups of three, each well linked inside, with one doubtful link between them."""
    pairs = {(i, j): 9 * BIT for group in ((0, 1, 2), (3, 4, 5)) for i in group for j in group if i < j}
    return cluster(keys(6), distinct(6), matrix(6, pairs | {(2, 3): 3 * BIT}, -8 * BIT), (), SETTINGS)


def test_strangers_are_not_chained_through_one_weak_link() -> None:
    found = chain_of_strangers()

    assert found.labels == [0, 0, 0, 1, 1, 1]
    assert [(cut.left, cut.right, cut.strongest, cut.by) for cut in found.cuts] == [(0, 1, (2, 3), "average")]


def test_many_doubtful_pairs_without_a_link_are_not_joined() -> None:
    weights = matrix(3, {}, BIT)

    assert cluster(keys(3), distinct(3), weights, (), SETTINGS).labels == [0, 1, 2]


def test_a_thousand_equal_records_are_weighed_once() -> None:
    asked: list[int] = []

    def weigh(left: NDArray[np.int32], right: NDArray[np.int32]) -> NDArray[np.int64]:
        asked.append(len(left))
        return np.full(len(left), 5 * BIT, dtype=np.int64)

    found = cluster(keys(1001), [b"equal"] * 1000 + [b"other"], weigh, (), SETTINGS, explain=False)

    assert found.labels == [0] * 1001
    assert asked == [1]


def test_splitting_equal_records_keeps_the_rest_of_them_together() -> None:
    found = cluster(keys(4), [b"equal"] * 4, matrix(4, {}, 20 * BIT), [Decision(7, False, (1,), (0, 2, 3))], SETTINGS)

    assert found.labels == [0, 1, 0, 0]
    assert found.cuts[0].by == "decision"


def test_a_later_split_takes_one_record_out_of_an_earlier_merge() -> None:
    merge = Decision(1, True, (0, 1), (2, 3))
    split = Decision(2, False, (3,), (0, 1, 2))

    found = cluster(keys(4), distinct(4), matrix(4, {}, -9 * BIT), [merge, split], SETTINGS)

    assert found.labels == [0, 0, 0, 1]
    assert {step.by for step in found.steps} == {"decision"}


def test_a_later_merge_undoes_an_earlier_split() -> None:
    split = Decision(1, False, (0,), (1,))
    merge = Decision(2, True, (0,), (1,))

    assert cluster(keys(2), distinct(2), matrix(2, {}, -9 * BIT), [split, merge], SETTINGS).labels == [0, 0]


def large_chain(n: int) -> NDArray[np.int64]:
    """Groups of five, each linked to the next by one weaker link: one component by closure."""
    pairs = {(i, j): 12 * BIT for i in range(n) for j in range(i + 1, n) if i // 5 == j // 5}
    pairs |= {(i, i + 1): 3 * BIT for i in range(4, n - 1, 5)}
    return matrix(n, pairs, -10 * BIT)


def test_a_component_too_large_is_cut_by_a_higher_threshold_and_reviewed() -> None:
    found = cluster(keys(100), distinct(100), large_chain(100), (), SETTINGS)

    assert found.labels == [i // 5 for i in range(100)]
    assert found.needs_review
    assert {cut.by for cut in found.cuts} == {"size"}
    assert found.cuts[0].strongest == (4, 5)


def test_candidates_spare_weighing_all_pairs_of_a_component_too_large() -> None:
    weights = large_chain(100)
    left, right = (side.astype(np.int32) for side in np.nonzero(np.triu(weights, 1) >= SETTINGS.link_weight))
    asked: list[int] = []

    def weigh(one: NDArray[np.int32], other: NDArray[np.int32]) -> NDArray[np.int64]:
        asked.append(len(one))
        return weights[one, other]

    found = cluster(keys(100), distinct(100), weigh, (), SETTINGS, candidates=lambda positions: (left, right))

    assert found == cluster(keys(100), distinct(100), weights, (), SETTINGS)
    assert sum(asked) == len(left) + 20 * 10


def test_a_component_that_fits_gets_the_same_from_lists_and_arrays() -> None:
    roomy = ClusterSettings(SETTINGS.link_weight, SETTINGS.min_average, 1000)

    found = cluster(keys(100), distinct(100), large_chain(100), (), roomy)

    assert found.labels == [i // 5 for i in range(100)]
    assert not found.needs_review


def test_merged_decisions_survive_a_component_too_large() -> None:
    found = cluster(keys(100), distinct(100), large_chain(100), [Decision(1, True, (0,), (99,))], SETTINGS)

    assert found.labels[0] == found.labels[99]


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_and_one_record_need_no_weights(n: int) -> None:
    found = cluster(keys(n), distinct(n), np.zeros((n, n), dtype=np.int64), (), SETTINGS)

    assert found.labels == [0] * n


def test_components_are_numbered_by_their_smallest_member() -> None:
    labels = components(6, np.array([5, 1], np.int32), np.array([3, 2], np.int32))

    assert labels.tolist() == [0, 1, 1, 2, 3, 2]


def test_gathering_keeps_profiles_in_order_of_appearance() -> None:
    assert gather([0, 1, 0], 2).groups == [[0, 2], [1]]
