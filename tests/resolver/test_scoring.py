"""Weights are exact, symmetric and explained; the shipped model knows relatives from duplicates."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldenthread.graph.model import AttributeValue, SemanticType
from goldenthread.resolver.blocking import candidate_keys
from goldenthread.resolver.normalise import Profile, profile_of
from goldenthread.resolver.scoring import WEIGHT_SCALE, MatchModel, ModelUnreadable, Scorer
from goldenthread.resolver.scoring.frequencies import Lookup, table_of_counts

TYPES = {
    "given": SemanticType.GIVEN_NAME,
    "surname": SemanticType.SURNAME,
    "suffix": SemanticType.NAME_SUFFIX,
    "born": SemanticType.BIRTH_DATE,
    "email": SemanticType.EMAIL,
    "phone": SemanticType.PHONE,
    "address": SemanticType.ADDRESS,
}
HOME = "12 Main Street, Springfield, IL 62704"
LINE = "415 555 2671"


def person(**values: str) -> Profile:
    return profile_of([AttributeValue(name, TYPES[name], value) for name, value in values.items()], "US")


ONE_PERSON = {
    "rare_name_and_birth_date": (
        {"given": "Konrad", "surname": "Zuse", "born": "1960-06-22"},
        {"given": "Konrad", "surname": "Zuse", "born": "1960-06-22"},
    ),
    "nickname_with_email": (
        {"given": "Bob", "surname": "Zuse", "born": "1960-06-22", "email": "bz@x.com"},
        {"given": "Robert", "surname": "Zuse", "born": "1960-06-22", "email": "bz@x.com"},
    ),
    "nickname_with_phone": (
        {"given": "Bob", "surname": "Smith", "born": "1960-06-22", "phone": LINE},
        {"given": "Robert", "surname": "Smith", "born": "1960-06-22", "phone": LINE},
    ),
    "married": (
        {"given": "Anna", "surname": "Zuse", "born": "1960-06-22", "email": "az@x.com"},
        {"given": "Anna", "surname": "Miller", "born": "1960-06-22", "email": "az@x.com"},
    ),
    "moved": (
        {"given": "Karen", "surname": "Zuse", "born": "1960-06-22", "address": HOME},
        {"given": "Karen", "surname": "Zuse", "born": "1960-06-22", "address": "77 Elm St, Boston, MA 02110"},
    ),
}
TWO_PEOPLE = {
    "family": (
        {"given": "Anna", "surname": "Zuse", "born": "1960-06-22", "address": HOME, "phone": LINE},
        {"given": "Peter", "surname": "Zuse", "born": "1962-01-02", "address": HOME, "phone": LINE},
    ),
    "family_without_birth_dates": (
        {"given": "Anna", "surname": "Zuse", "address": HOME, "phone": LINE},
        {"given": "Peter", "surname": "Zuse", "address": HOME, "phone": LINE},
    ),
    "twins": (
        {"given": "Anna", "surname": "Zuse", "born": "1960-06-22", "address": HOME, "phone": LINE},
        {"given": "Peter", "surname": "Zuse", "born": "1960-06-22", "address": HOME, "phone": LINE},
    ),
    "twins_with_names_alike": (
        {"given": "Jayden", "surname": "Zuse", "born": "1960-06-22", "address": HOME, "phone": LINE},
        {"given": "Hayden", "surname": "Zuse", "born": "1960-06-22", "address": HOME, "phone": LINE},
    ),
    "twins_with_one_mailbox": (
        {"given": "Anna", "surname": "Zuse", "born": "1960-06-22", "address": HOME, "email": "zuse@x.com"},
        {"given": "Peter", "surname": "Zuse", "born": "1960-06-22", "address": HOME, "email": "zuse@x.com"},
    ),
    "junior_and_senior_by_birth_date": (
        {"given": "Konrad", "surname": "Zuse", "born": "1960-06-22", "address": HOME, "phone": LINE},
        {"given": "Konrad", "surname": "Zuse", "born": "1930-02-21", "address": HOME, "phone": LINE},
    ),
    "junior_and_senior_by_suffix": (
        {"given": "Robert", "surname": "Zuse", "suffix": "Jr", "address": HOME, "phone": LINE},
        {"given": "Robert", "surname": "Zuse", "suffix": "Sr", "address": HOME, "phone": LINE},
    ),
    "a_shared_phone_alone": ({"phone": LINE}, {"phone": LINE}),
    "a_common_name_alone": ({"given": "John", "surname": "Smith"}, {"given": "John", "surname": "Smith"}),
}


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(MatchModel.shipped())


@pytest.mark.parametrize("case", ONE_PERSON)
def test_the_shipped_model_links_one_person(scorer, case):
    a, b = (person(**values) for values in ONE_PERSON[case])

    assert scorer.explain(a, b).weight >= scorer.model.link_weight


@pytest.mark.parametrize("case", TWO_PEOPLE)
def test_the_shipped_model_keeps_two_people_apart(scorer, case):
    a, b = (person(**values) for values in TWO_PEOPLE[case])

    assert scorer.explain(a, b).weight < scorer.model.link_weight


@pytest.mark.parametrize("case", ONE_PERSON)
def test_one_person_is_a_candidate_by_composite_keys_or_shares_an_identifier(scorer, case):
    a, b = (person(**values) for values in ONE_PERSON[case])

    shared = set(candidate_keys(a, scorer.model)) & set(candidate_keys(b, scorer.model))

    assert shared or set(a.emails) & set(b.emails) or set(a.phones) & set(b.phones)


def test_swapped_names_share_a_key(scorer):
    a, b = (
        person(given="Anna", surname="Zuse", born="1960-06-22"),
        person(given="Zuse", surname="Anna", born="1960-06-22"),
    )

    assert set(candidate_keys(a, scorer.model)) & set(candidate_keys(b, scorer.model))


def test_a_rich_record_has_few_composite_keys(scorer):
    profile = person(given="Anna", surname="Zuse", born="1960-06-22", email="az@x.com", phone=LINE, address=HOME)

    keys = candidate_keys(profile, scorer.model)

    assert 5 <= len(keys) <= 8
    assert len(set(keys)) == len(keys)


PROFILES = st.builds(
    lambda g, s, b, e, p, a: person(
        **{k: v for k, v in (("given", g), ("surname", s), ("born", b), ("email", e), ("phone", p), ("address", a)) if v}
    ),
    st.sampled_from(["", "Anna", "Ana", "Bob", "Robert", "James", "J"]),
    st.sampled_from(["", "Smith", "Smyth", "Zuse", "Smith Jones"]),
    st.sampled_from(["", "1960-06-22", "1960-06-23", "1960", "1933-01-02"]),
    st.sampled_from(["", "az@x.com", "az@y.com", "bob.smith@x.com"]),
    st.sampled_from(["", LINE, "415 555 2672", "212 555 0199"]),
    st.sampled_from(["", HOME, "12 Main St, Springfield", "77 Elm St, Boston, MA 02110"]),
)


@given(st.lists(PROFILES, min_size=12, max_size=16))
@settings(max_examples=30)
def test_weights_are_symmetric_the_same_in_any_batch_and_explained_exactly(profiles):
    scorer = Scorer(MatchModel.shipped())
    pairs = np.array(list(combinations(range(len(profiles)), 2)), np.int32)
    left, right = pairs[:, 0], pairs[:, 1]

    many = scorer.weights(profiles, left, right)
    few = np.concatenate([scorer.weights(profiles, left[i : i + 20], right[i : i + 20]) for i in range(0, len(left), 20)])
    turned = scorer.weights(profiles, right, left)

    assert many.tolist() == few.tolist() == turned.tolist()
    for i, j, weight in zip(left, right, many.tolist(), strict=True):
        explanation = scorer.explain(profiles[i], profiles[j])
        assert explanation.weight == weight
        assert explanation.prior + sum(c.weight for c in explanation.contributions) == weight


def test_a_model_survives_json_with_its_version_and_scores(scorer):
    model = MatchModel.from_json(scorer.model.to_json())

    a, b = (person(**values) for values in ONE_PERSON["married"])
    assert model == scorer.model
    assert model.version == scorer.model.version
    assert Scorer(model).explain(a, b) == scorer.explain(a, b)


def test_another_operating_point_is_another_version(scorer):
    from msgspec.structs import replace

    assert replace(scorer.model, link_weight=7).version != scorer.model.version


@pytest.mark.parametrize("data", [b"", b"{}", b"not json", b"[]"])
def test_what_is_no_model_is_refused(data):
    with pytest.raises(ModelUnreadable):
        MatchModel.from_json(data)


def test_a_model_of_a_newer_normaliser_is_refused_and_an_older_one_is_outdated(scorer):
    from msgspec.structs import replace

    with pytest.raises(ModelUnreadable, match="normaliser"):
        MatchModel.from_json(replace(scorer.model, normaliser_version=999).to_json())
    assert MatchModel.from_json(replace(scorer.model, normaliser_version=1).to_json()).is_outdated
    assert not scorer.model.is_outdated


def test_the_artefact_holds_no_name_in_the_clear(scorer):
    artefact = scorer.model.to_json().lower()

    assert not [n for n in (b"smith", b"johnson", b"christopher", b"patricia", b"williams") if n in artefact]


def test_values_rarer_than_the_least_count_are_not_listed():
    table = table_of_counts("surname", {"zuse": 2, "smith": 40}, 100, b"0123456789abcdef", least_count=5)

    lookup = Lookup(table)

    assert lookup("zuse") == 0
    assert lookup("smith") == 4


def test_a_shared_rare_name_weighs_more_than_a_shared_common_one(scorer):
    born = "1960-06-22"
    rare = scorer.explain(person(given="Anna", surname="Zuse", born=born), person(given="Hugo", surname="Zuse", born=born))
    common = scorer.explain(person(given="Anna", surname="Smith", born=born), person(given="Hugo", surname="Smith", born=born))

    assert rare.weight >= common.weight


def test_probability_is_half_at_weight_zero_and_grows(scorer):
    assert scorer.probability(0) == 0.5
    assert scorer.probability(-(10**9)) == 0.0
    assert scorer.probability(10 * WEIGHT_SCALE) > 0.999
