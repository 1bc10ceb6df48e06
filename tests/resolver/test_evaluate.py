"""Evaluation: against the definitions, counted pair by pair."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldenthread.resolver.evaluate import evaluate

COLUMNS = st.integers(1, 12).flatmap(
    lambda n: st.tuples(*[st.lists(st.sampled_from("abcd"), min_size=n, max_size=n) for _ in range(2)])
)


@given(COLUMNS)
def test_it_equals_the_definitions(columns: tuple[list[str], list[str]]) -> None:
    truth, labels = columns
    n = len(truth)
    pairs = list(combinations(range(n), 2))
    true = {(i, j) for i, j in pairs if truth[i] == truth[j]}
    claimed = {(i, j) for i, j in pairs if labels[i] == labels[j]}
    persons = [frozenset(j for j in range(n) if truth[j] == truth[i]) for i in range(n)]
    clusters = [frozenset(j for j in range(n) if labels[j] == labels[i]) for i in range(n)]

    found = evaluate(truth, labels)

    assert (found.true_pairs, found.claimed_pairs, found.correct_pairs) == (len(true), len(claimed), len(true & claimed))
    assert found.pairwise_precision == pytest.approx(len(true & claimed) / len(claimed) if claimed else 1)
    assert found.pairwise_recall == pytest.approx(len(true & claimed) / len(true) if true else 1)
    assert found.bcubed_precision == pytest.approx(sum(len(p & c) / len(c) for p, c in zip(persons, clusters, strict=True)) / n)
    assert found.bcubed_recall == pytest.approx(sum(len(p & c) / len(p) for p, c in zip(persons, clusters, strict=True)) / n)
    assert found.exact_clusters == len(set(persons) & set(clusters))
    assert (found.clusters, found.true_clusters, found.largest_cluster) == (
        len(set(clusters)), len(set(persons)), max(map(len, clusters)),
    )  # fmt: skip


def test_the_truth_itself_is_perfect() -> None:
    found = evaluate(["a", "a", "b"], np.array([7, 7, 3]))

    assert (found.pairwise_f1, found.bcubed_f1, found.exact_precision, found.exact_recall, found.cluster_f1) == (1, 1, 1, 1, 1)


def test_all_alone_has_no_wrong_pair_and_finds_none() -> None:
    found = evaluate(["a", "a"], ["1", "2"])

    assert (found.pairwise_precision, found.pairwise_recall, found.pairwise_f1) == (1, 0, 0)


@pytest.mark.parametrize(("truth", "labels"), [([], []), (["a"], ["a", "b"])])
def test_columns_that_do_not_match_are_refused(truth: list[str], labels: list[str]) -> None:
    with pytest.raises(ValueError, match="give one of each for every record"):
        evaluate(truth, labels)
