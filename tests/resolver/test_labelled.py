"""Labels bend what was learned without them, and the pairs asked about are new, distinct and the same for a seed."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest

from goldenthread.resolver.learning import Feature, Lesson, learn_without_labels
from goldenthread.resolver.learning.labelled import Labels, TooFewLabels, calibration_error, learn_with_labels, pairs_to_label
from goldenthread.resolver.learning.self_training import refined
from goldenthread.resolver.scoring.model import WEIGHT_SCALE, build_comparison

PEOPLE, EACH = 150, 3


@dataclass
class Codes:
    """Profiles of four categories with equal or unequal codes: what learning sees of a table."""

    codes: np.ndarray
    person: np.ndarray
    left: np.ndarray = field(init=False)
    right: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        i, j = np.triu_indices(len(self.codes), 1)
        close = (self.codes[i] == self.codes[j]).sum(axis=1) >= 2
        self.left, self.right = i[close].astype(np.int32), j[close].astype(np.int32)

    @property
    def profiles(self) -> int:
        return len(self.codes)

    @property
    def counts(self) -> np.ndarray:
        return np.ones(len(self.codes), np.int64)

    @property
    def features(self) -> list[Feature]:
        names = ("surname", "given_name", "birth_date", "gender")
        kinds = ("name", "name", "category", "category")
        found = []
        for k, (kind, name) in enumerate(zip(kinds, names, strict=True)):
            sizes = np.bincount(self.codes[:, k])
            agreeing = {"exact_0": float((sizes * (sizes - 1) / 2).sum())}
            found.append(Feature(build_comparison(kind, name), agreeing, [1.0, 0.0, 0.0, 0.0, 0.0]))
        return found

    def known(self) -> np.ndarray:
        return np.ones(self.codes.shape, np.bool_)

    def levels(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        same = self.codes[left] == self.codes[right]
        last = np.array([len(feature.comparison.levels) - 1 for feature in self.features])
        return np.where(same, 1, last).astype(np.int8)

    def labels(self, left: np.ndarray, right: np.ndarray) -> Labels:
        return Labels(left, right, self.person[left] == self.person[right])


def town(seed: int = 0) -> Codes:
    """People with three records each, of which some fields are wrong."""
    rng = np.random.default_rng(seed)
    truth = np.stack([rng.integers(0, n, PEOPLE) for n in (40, 60, 400, 2)], axis=1)
    codes = np.repeat(truth, EACH, axis=0)
    wrong = rng.random(codes.shape) < 0.12
    codes[wrong] = rng.integers(0, 400, codes.shape)[wrong] % np.array([40, 60, 400, 2])[np.nonzero(wrong)[1]]
    return Codes(codes, np.repeat(np.arange(PEOPLE), EACH))


def learned(table: Codes) -> Lesson:
    return learn_without_labels(table, 0, lambda stage, share: None)


def weights(lesson: Lesson, levels: np.ndarray) -> np.ndarray:
    """Weigh pairs in bits."""
    return refined(levels, lesson.priors, lesson.tables, lesson.refinement) / WEIGHT_SCALE


def asked(table: Codes, lesson: Lesson, seed: int, known: Labels | None = None) -> tuple[np.ndarray, np.ndarray]:
    pairs = pairs_to_label(table, lesson, 80, seed, known)
    return np.array([p.left for p in pairs], np.int32), np.array([p.right for p in pairs], np.int32)


def test_what_few_records_teach_without_labels_does_not_depend_on_the_seed():
    table = town()

    lesson, other = (learn_without_labels(table, seed, lambda stage, share: None) for seed in (1, 2))

    assert (lesson.priors, lesson.tables, lesson.refinement) == (other.priors, other.tables, other.refinement)
    assert (lesson.link_weight, lesson.min_average) == (other.link_weight, other.min_average)


def test_pairs_to_label_are_distinct_the_same_for_a_seed_and_never_asked_twice():
    table = town()
    lesson = learned(table)

    left, right = asked(table, lesson, 1)
    again = asked(table, lesson, 1)
    others = asked(table, lesson, 1, table.labels(left, right))

    pairs = set(zip(left.tolist(), right.tolist(), strict=True))
    assert len(pairs) == 80
    assert np.array_equal(left, again[0])
    assert np.array_equal(right, again[1])
    assert pairs.isdisjoint(zip(others[0].tolist(), others[1].tolist(), strict=True))


def test_labels_that_agree_with_the_weights_change_little_and_those_that_do_not_change_them():
    table = town()
    lesson = learned(table)
    labels = table.labels(*asked(table, lesson, 2))
    turned = msgspec.structs.replace(labels, is_match=~labels.is_match)

    _, agreeing = learn_with_labels(table, lesson, labels, 0)
    _, disagreeing = learn_with_labels(table, lesson, turned, 0)

    assert agreeing.log_loss_after <= agreeing.log_loss_before
    assert disagreeing.kept < 0.01
    assert disagreeing.log_loss_after < 0.5 * disagreeing.log_loss_before


@pytest.mark.parametrize("seed", range(3))
def test_labels_of_doubtful_pairs_that_are_mere_chance_leave_plain_pairs_plain(seed):
    table = town()
    lesson = learned(table)
    left, right = asked(table, lesson, 2)
    before = weights(lesson, table.levels(table.left, table.right))
    doubtful = np.abs(weights(lesson, table.levels(left, right))) < 7.0
    answers = np.random.default_rng(seed).random(doubtful.sum()) < 0.5

    taught, _ = learn_with_labels(table, lesson, Labels(left[doubtful], right[doubtful], answers), 0)

    after = weights(taught, table.levels(table.left, table.right))
    plain = np.abs(before) > 10.0
    assert np.array_equal(before[plain] > 0, after[plain] > 0)
    assert np.abs(after[plain]).mean() > 2.0


def test_too_few_labels_of_a_kind_are_refused():
    table = town()
    lesson = learned(table)
    left, right = asked(table, lesson, 3)

    with pytest.raises(TooFewLabels, match="label more"):
        learn_with_labels(table, lesson, Labels(left, right, np.zeros(len(left), np.bool_)), 0)


def test_calibration_error_is_the_distance_of_probabilities_from_shares():
    yes = np.array([1.0, 0.0, 1.0, 1.0])

    assert calibration_error(np.array([0.75, 0.75, 0.75, 0.75]), yes) == pytest.approx(0.0)
    assert calibration_error(np.array([0.25, 0.25, 0.25, 0.25]), yes) == pytest.approx(0.5)


def test_calibration_error_counts_each_pair_as_often_as_it_stands_for():
    yes = np.array([1.0, 0.0])

    assert calibration_error(np.array([0.95, 0.55]), yes, np.array([100.0, 1.0])) == pytest.approx((5.0 + 0.55) / 101)


def test_labels_leave_the_operating_point_of_trained_weights_where_it_was():
    table = town()
    lesson = learned(table)

    taught, _ = learn_with_labels(table, lesson, table.labels(*asked(table, lesson, 2)), 0)

    assert lesson.refinement is not msgspec.UNSET
    assert (taught.link_weight, taught.min_average) == (lesson.link_weight, lesson.min_average)
