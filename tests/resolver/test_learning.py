"""Learning refines a model in integers that add up, and leaves it alone where the data are too few to tell."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldenthread.graph.model import AttributeValue, SemanticType
from goldenthread.resolver.learning.collective import collective, contests, probabilities, through_others
from goldenthread.resolver.learning.em import MATCH, fit
from goldenthread.resolver.learning.evidence import Evidence
from goldenthread.resolver.learning.groups import Sample, groups_at, join_all, sample_components
from goldenthread.resolver.learning.refine import fit_correction, log_odds
from goldenthread.resolver.learning.self_training import Pool, choose_operating_point
from goldenthread.resolver.normalise import Profile, profile_of
from goldenthread.resolver.scoring import MatchModel, ModelUnreadable, Scorer
from goldenthread.resolver.scoring.model import WEIGHT_SCALE, build_comparison
from goldenthread.resolver.scoring.refinement import Interaction, Refinement, Refiner

SIZES = (3, 4, 2)
CELLS = st.integers(-1_000_000, 1_000_000)


@st.composite
def refinements(draw: st.DrawFn) -> Refinement:
    befores = sorted(draw(st.sets(CELLS, max_size=5)))
    afters = sorted(draw(st.lists(CELLS, min_size=len(befores), max_size=len(befores))))
    return Refinement(
        constant=draw(CELLS),
        tables=tuple(tuple(draw(CELLS) for _ in range(size)) for size in SIZES),
        interactions=(Interaction(0, 2, tuple(tuple(draw(CELLS) for _ in range(SIZES[2])) for _ in range(SIZES[0]))),),
        calibration=tuple(zip(befores, afters, strict=True)),
    )


def refined_model(constant: int = 5) -> MatchModel:
    """The shipped model with a refinement of every kind of part."""
    model = MatchModel.shipped()
    sizes = [len(spec.tables[0]) for spec in model.comparisons]
    cells = tuple(tuple(100 * i - 7 * j for j in range(sizes[1])) for i in range(sizes[0]))
    tables = tuple(tuple(3 * k + level for level in range(size)) for k, size in enumerate(sizes))
    knots = ((-5_000_000, -2_000_000), (0, 10), (5_000_000, 900_000))
    return msgspec.structs.replace(model, refinement=Refinement(constant, tables, (Interaction(0, 1, cells),), knots))


@given(refinements(), st.lists(st.tuples(*(st.integers(0, n - 1) for n in SIZES), CELLS), min_size=1, max_size=20))
@settings(max_examples=60)
def test_one_pair_and_many_are_refined_alike_and_a_heavier_pair_never_gets_lighter(refinement, pairs):
    refiner = Refiner(refinement)
    levels = np.array([pair[:3] for pair in pairs], np.int8)
    weights = np.array([pair[3] for pair in pairs], np.int64)

    many = refiner.refine_many(levels, weights).tolist()

    assert refinement.fits(SIZES)
    assert many == [refiner.refine(pair[:3], pair[3]) for pair in pairs]
    assert all(refiner.refine(pair[:3], pair[3] + 1000) >= weight for pair, weight in zip(pairs, many, strict=True))


def test_a_refined_model_survives_json_and_one_without_is_as_before():
    model = refined_model()

    again = MatchModel.from_json(model.to_json())

    assert again == model
    assert again.version != MatchModel.shipped().version
    assert b"refinement" not in MatchModel.shipped().to_json()


def test_a_refinement_of_other_levels_is_refused():
    model = refined_model()
    broken = msgspec.structs.replace(model, refinement=Refinement(0, ((0,),)))

    with pytest.raises(ModelUnreadable):
        MatchModel.from_json(broken.to_json())


@given(st.data())
@settings(max_examples=30)
def test_the_parts_of_a_refined_weight_add_up_and_a_batch_gives_the_same(data):
    def person(given: str, surname: str, born: str) -> Profile:
        kinds = (SemanticType.GIVEN_NAME, SemanticType.SURNAME, SemanticType.BIRTH_DATE)
        values = zip(kinds, (given, surname, born), strict=True)
        return profile_of([AttributeValue(kind.name, kind, text) for kind, text in values if text], "US")

    names = st.sampled_from(["", "Anna", "Ana", "Robert", "Bob"])
    surnames, dates = st.sampled_from(["", "Smith", "Smyth", "Zuse"]), st.sampled_from(["", "1960-06-22"])
    people = [person(data.draw(names), data.draw(surnames), data.draw(dates)) for _ in range(2)]
    scorer = Scorer(refined_model())

    explanation = scorer.explain(people[0], people[1])

    many = scorer.weights(people, np.zeros(60, np.int32), np.ones(60, np.int32))
    assert explanation.weight == scorer.weights(people, np.array([0], np.int32), np.array([1], np.int32))[0]
    assert set(many.tolist()) == {explanation.weight}
    assert explanation.prior + sum(c.weight for c in explanation.contributions) == explanation.weight


def test_without_data_a_correction_leaves_the_latent_classes_as_they_are():
    levels = np.array([[1, 1], [2, 2]], np.int8)
    base = np.array([3.0, -3.0])

    correction = fit_correction(levels, base, np.zeros(2), np.zeros(2), (3, 3))

    assert log_odds(correction, levels, base) == pytest.approx(base)


def test_a_correction_learns_what_two_comparisons_say_only_together():
    levels = np.array([[x, y] for x in (1, 2) for y in (1, 2)], np.int8)
    yes, no = np.array([900.0, 100.0, 100.0, 900.0]), np.array([100.0, 900.0, 900.0, 100.0])

    correction = fit_correction(levels, np.zeros(4), yes, no, (3, 3))

    assert [(a, b) for a, b, _ in correction.interactions] == [(0, 1)]
    assert (log_odds(correction, levels, np.zeros(4)) > 0).tolist() == [True, False, False, True]


def chain_of_three() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights of the pairs 0-1, 0-2, 1-2: the ends of the chain look apart."""
    return np.array([0, 0, 1], np.int32), np.array([1, 2, 2], np.int32), np.array([500, -300, 400], np.int64)


def test_one_run_of_joins_answers_every_least_average():
    left, right, weights = chain_of_three()
    sample = sample_components(4, left, right, lambda at: weights >= at, (100,), 0)

    joins = join_all(sample, weights, np.ones(4, np.int64), 100)

    assert groups_at(4, joins, 0).tolist() == [0, 0, 0, 3]
    assert groups_at(4, joins, 60).tolist() == [0, 0, 2, 3]
    assert groups_at(4, joins, 501).tolist() == [0, 1, 2, 3]


def test_two_ends_are_as_probable_as_the_way_over_the_middle():
    left, right, weights = chain_of_three()
    sample = sample_components(3, left, right, lambda at: weights >= at, (100,), 0)

    ways = through_others(sample, np.array([0.9, 0.1, 0.8]))

    assert ways == pytest.approx([0.08, 0.72, 0.09])


def father_son_and_a_record_that_fits_both() -> tuple[Sample, np.ndarray]:
    """Weights of the pairs 0-1, 0-2, 1-2, where 2 lacks what tells 0 and 1 apart."""
    left, right, weights = np.array([0, 0, 1], np.int32), np.array([1, 2, 2], np.int32), np.array([-5, 3, 3]) * WEIGHT_SCALE
    return sample_components(3, left, right, lambda at: weights >= at, (0,), 0), weights


def test_a_record_that_fits_two_related_people_does_not_make_them_one():
    sample, weights = father_son_and_a_record_that_fits_both()

    related = collective(sample, weights, np.ones(3), np.ones(3, np.int64))

    assert related[0] == pytest.approx(probabilities(weights)[0])
    assert (related[1:] < 0.6).all()  # it belongs to one of them at most; 0.89 by themselves


def test_a_record_that_fits_two_who_are_not_related_makes_them_one_more_probably():
    sample, weights = father_son_and_a_record_that_fits_both()

    strangers = collective(sample, weights, np.zeros(3), np.ones(3, np.int64))

    assert strangers[0] > 4 * probabilities(weights)[0]
    assert strangers[1:] == pytest.approx(probabilities(weights)[1:])


@given(st.tuples(*[st.floats(-8.0, 8.0)] * 3))
def test_what_a_third_says_against_a_pair_is_what_all_ways_to_part_the_three_say(bits):
    left, right = np.array([0, 0, 1], np.int32), np.array([1, 2, 2], np.int32)
    sample = sample_components(3, left, right, lambda at: np.ones(3, np.bool_), (0,), 0)
    own = np.array(bits)
    one = np.exp2(own)

    lowered = contests(sample, own, own, np.ones(3, np.int64))

    for pair in range(3):
        together, apart = one[pair] + one.prod(), 1.0 + one.sum() - one[pair]
        expected = min(np.log2(together / apart) - own[pair], 0.0) if own.min() < 0.0 else 0.0
        assert lowered[pair] == pytest.approx(expected, abs=1e-6)


def test_components_of_one_size_are_contested_each_by_its_own():
    sizes = [3, 4, 3]
    starts = np.cumsum([0, *sizes])
    ends = [np.triu_indices(size, 1) for size in sizes]
    left = np.concatenate([at + i for at, (i, _) in zip(starts, ends, strict=False)]).astype(np.int32)
    right = np.concatenate([at + j for at, (_, j) in zip(starts, ends, strict=False)]).astype(np.int32)
    sample = sample_components(10, left, right, lambda at: np.ones(len(left), np.bool_), (0,), 0)
    own = np.where(sample.left + sample.right == 2 * sample.left + 1, 3.0, -4.0) + sample.left / 10
    counting = np.arange(1, 11, dtype=np.int64)

    together = contests(sample, own, own, counting)

    for group in sample.groups:
        alone = msgspec.structs.replace(sample, groups=[group])
        here = slice(group.start, group.end)
        assert together[here] == pytest.approx(contests(alone, own, own, counting)[here])
    assert (together < 0.0).any()


class Profiles(msgspec.Struct):
    """As much of a table as an operating point is chosen by; see `Comparable`."""

    counts: np.ndarray
    left: np.ndarray
    right: np.ndarray
    features: tuple[()] = ()

    @property
    def profiles(self) -> int:
        return len(self.counts)

    def known(self) -> np.ndarray:
        return np.ones((self.profiles, 0), np.bool_)

    def levels(self, left: np.ndarray, _right: np.ndarray) -> np.ndarray:
        return np.zeros((len(left), 0), np.int8)


def fives(count: int) -> tuple[Pool, np.ndarray]:
    """Components of two records of each of two people, who look apart, and one that fits both; and weights of their pairs."""
    first, second = np.triu_indices(5, 1)
    left, right = ((np.arange(count)[:, None] * 5 + ends).ravel().astype(np.int32) for ends in (first, second))
    bits = np.where(second == 4, 3, np.where(first // 2 == second // 2, 10, -5))
    profiles = Profiles(np.ones(5 * count, np.int64), left, right)
    sample = sample_components(5 * count, left, right, lambda at: np.ones(len(left), np.bool_), (-WEIGHT_SCALE,), 0)
    own = np.zeros((len(left), 0), np.int8)
    weights = np.tile(bits, count) * WEIGHT_SCALE
    return Pool(profiles, sample, own, np.zeros(0, np.int64), own[:0]), weights


def parted_of(pool: Pool, weights: np.ndarray, share: float) -> int:
    """Count the components that the operating point parts, of pairs that if two are related people with that probability."""
    nothing, counting = np.zeros(0, np.int64), np.ones(pool.table.profiles, np.int64)
    *_, groups = choose_operating_point(pool, weights, nothing, np.full(len(weights), share), counting)
    return sum(len(set(groups[group.profiles].tolist())) > 1 for group in pool.sample.groups)


def test_related_people_are_parted_whom_only_a_record_that_fits_both_holds_together():
    pool, weights = fives(40)

    assert parted_of(pool, weights, 1.0) == 40


def test_records_that_look_apart_stay_together_over_a_third_where_nobody_is_related():
    pool, weights = fives(40)

    assert parted_of(pool, weights, 0.0) == 0


def test_the_default_stands_where_components_were_cut_and_the_gain_is_within_the_error_of_all_pairs():
    pool, weights = fives(1)
    partly = msgspec.structs.replace(pool, sample=msgspec.structs.replace(pool.sample, weakest=2 * WEIGHT_SCALE))

    assert parted_of(pool, weights, 1.0) == 1
    assert parted_of(partly, weights, 1.0) == 0


def shown(kind: str, name: str) -> Evidence:
    """What a comparison shows of 1,000,000 pairs that mostly differ."""
    comparison = build_comparison(kind, name)
    last = len(comparison.levels) - 1
    pairs = np.full(last + 1, 100.0)
    pairs[0], pairs[last] = 0.0, 1_000_000.0
    expected = np.array([0.0, *(comparison.expected.get(level.removesuffix("_0"), 0.0) for level in comparison.levels[1:])])
    apart = tuple(i for i, level in enumerate(comparison.levels) if level in comparison.disagreements)
    return Evidence(name, comparison.levels, pairs, expected, comparison.strength, apart)


def test_people_of_one_name_and_many_birth_dates_do_not_make_the_class_of_one_person_lax():
    evidence = [shown("name", "given_name"), shown("name", "surname"), shown("birth_date", "birth_date")]
    agree, apart = 1, len(evidence[2].levels) - 1
    seen = np.array([[agree, agree, agree], [agree, agree, apart], [agree, agree, 0]], np.int8)

    fitted = fit(seen, np.array([600, 300, 500]), evidence, 1_000_000.0)

    lax = fitted.tables[2][MATCH][list(evidence[2].disagreements)].sum()
    assert lax == pytest.approx(0.1)
