"""Differences of two partitions: against the definition, pair by pair."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldenthread.resolver.differences import differences

COLUMNS = st.integers(0, 12).flatmap(
    lambda n: st.tuples(*[st.lists(st.sampled_from("abcde"), min_size=n, max_size=n) for _ in range(2)])
)


@given(COLUMNS)
def test_pairs_that_changed_are_counted_once_and_all(columns: tuple[list[str], list[str]]) -> None:
    before, after = columns
    pairs = list(combinations(range(len(before)), 2))
    old = {(i, j) for i, j in pairs if before[i] == before[j]}
    new = {(i, j) for i, j in pairs if after[i] == after[j]}

    found = differences(before, after)

    assert sum(d.lost_pairs for d in found) == len(old - new)
    assert sum(d.new_pairs for d in found) == len(new - old)
    assert {row for pair in old ^ new for row in pair} <= {row for d in found for row in d.rows}


@given(COLUMNS)
def test_the_other_way_round_what_merged_has_split(columns: tuple[list[str], list[str]]) -> None:
    before, after = columns
    turned = {"merged": "split", "split": "merged", "rearranged": "rearranged"}

    forth, back = differences(before, after), differences(after, before)

    assert {(turned[d.kind], d.rows, d.before, d.after) for d in forth} == {(d.kind, d.rows, d.after, d.before) for d in back}


def test_kinds_are_told_apart_and_equal_groups_left_out() -> None:
    before = ["a", "a", "b", "b", "c", "d", "e", "e", "f", "f"]
    after = ["1", "1", "2", "3", "4", "4", "5", "6", "6", "6"]

    found = {d.kind: d for d in differences(before, after)}

    assert (found["split"].rows, found["merged"].rows, found["rearranged"].rows) == ((2, 3), (4, 5), (6, 7, 8, 9))
    assert (found["rearranged"].lost_pairs, found["rearranged"].new_pairs) == (1, 2)


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="one of each"):
        differences(["a"], [])
