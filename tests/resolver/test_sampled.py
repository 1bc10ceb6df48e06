"""Sampled evaluation: unbiased, and intervals that hold what they promise, against populations whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from goldenthread.resolver.sampled import LabelledPair, draw_sample, estimate


class Population:
    """Weighted pairs whose truth is drawn from their probability, sharpened or blunted by `skew`."""

    def __init__(self, seed: int, size: int = 20_000, skew: float = 1.0) -> None:
        rng = np.random.default_rng(seed)
        self.bits = np.where(rng.random(size) < 0.1, rng.normal(5, 4, size), rng.normal(-9, 4, size))
        self.probabilities = 1 / (1 + np.exp2(-self.bits))
        self.true: NDArray[np.bool_] = rng.random(size) < 1 / (1 + np.exp2(-self.bits * skew))
        self.claimed = self.bits + rng.normal(0, 1, size) > 0.5
        self.times = np.ones(size)

    @property
    def precision(self) -> float:
        return float(self.true[self.claimed].mean())

    @property
    def recall(self) -> float:
        return float(self.claimed[self.true].mean())

    def labelled(self, size: int, seed: int, claimed: NDArray[np.bool_] | None = None) -> list[LabelledPair]:
        said = self.claimed if claimed is None else claimed
        return [
            LabelledPair(s.stratum, s.stratum_pairs, s.expected, s.draws, bool(said[s.pair]), bool(self.true[s.pair]))
            for s in draw_sample(self.bits, self.probabilities, self.times, self.claimed, size, seed)
        ]


@pytest.mark.parametrize("skew", [1.0, 0.7])
def test_estimates_are_right_on_average_and_intervals_hold_the_truth(skew: float) -> None:
    people = Population(1, skew=skew)

    found = [estimate(people.labelled(300, seed), seed=seed) for seed in range(100)]

    assert np.mean([f.precision.value for f in found]) == pytest.approx(people.precision, abs=0.01)
    assert np.mean([f.recall.value for f in found]) == pytest.approx(people.recall, abs=0.015)
    assert np.mean([f.precision.low <= people.precision <= f.precision.high for f in found]) >= 0.88
    assert np.mean([f.recall.low <= people.recall <= f.recall.high for f in found]) >= 0.85


def test_all_pairs_labelled_give_the_exact_figures() -> None:
    people = Population(2, size=300)

    found = estimate(people.labelled(10_000, 0))

    assert found.precision.value == pytest.approx(people.precision)
    assert (found.recall.low, found.recall.high) == (pytest.approx(people.recall), pytest.approx(people.recall))


def test_labels_drawn_for_one_result_measure_another() -> None:
    people = Population(3)
    stricter = people.bits > 4
    precision = people.true[stricter].mean()

    found = [estimate(people.labelled(400, seed, stricter), seed=seed) for seed in range(20)]

    assert np.mean([f.precision.value for f in found]) == pytest.approx(precision, abs=0.02)


def test_labels_that_all_agree_leave_room_for_doubt() -> None:
    agreeing = [LabelledPair(9, 1000.0, 0.9, 1, True, True) for _ in range(20)]

    found = estimate(agreeing)

    assert found.precision.value == 1.0
    assert 0.8 < found.precision.low < 1.0


def test_a_stratum_that_nobody_labelled_counts_as_the_model_says() -> None:
    told = [LabelledPair(9, 100.0, 0.9, 1, True, True) for _ in range(20)]
    untold = [LabelledPair(3, 100.0, 0.5, 1, False, None) for _ in range(5)]

    found = estimate([*told, *untold])

    assert found.recall.value == pytest.approx(100 / 150)
    assert found.warnings


def test_a_pair_that_stands_for_many_records_counts_so_often() -> None:
    bits, claimed = np.array([5.0, 5.0]), np.array([True, True])

    drawn = draw_sample(bits, np.array([0.97, 0.97]), np.array([900.0, 100.0]), claimed, 100)

    assert {d.pair: d.draws for d in drawn}[0] == pytest.approx(90, abs=1)


def test_without_a_label_there_is_no_estimate() -> None:
    with pytest.raises(ValueError, match="label"):
        estimate([LabelledPair(1, 10.0, 0.5, 1, True, None)])


def test_the_sample_is_the_same_for_a_seed_and_about_as_large_as_asked() -> None:
    people = Population(4)

    drawn = draw_sample(people.bits, people.probabilities, people.times, people.claimed, 300, seed=5)

    assert drawn == draw_sample(people.bits, people.probabilities, people.times, people.claimed, 300, seed=5)
    assert 270 <= sum(d.draws for d in drawn) <= 330
