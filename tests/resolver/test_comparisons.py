"""Levels are symmetric, and the batched path gives exactly what the definition gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldenthread.resolver import comparisons
from goldenthread.resolver.comparisons import batch_levels
from goldenthread.resolver.scoring.model import build_comparison

WORDS = st.text("abcde ", min_size=1, max_size=8).map(lambda t: " ".join(t.split()) or "a")
DATES = st.builds("{:04d}-{:02d}-{:02d}".format, st.integers(1970, 1974), st.integers(0, 13), st.integers(0, 13))
EMAILS = st.builds("{}@{}.org".format, st.text("ab+c", min_size=1, max_size=6), st.text("xy", min_size=1, max_size=2))
PHONES = st.builds("+1{}".format, st.text("123", min_size=9, max_size=10))
NUMBERS = st.tuples(
    st.sampled_from([20, 21]), st.builds("{}|{}".format, st.sampled_from(["", "US"]), st.text("12", min_size=4))
)
PLACES = st.tuples(
    st.sampled_from(["", "1", "12", "123", "124"]), WORDS, st.sampled_from(["", "1", "2"]), st.sampled_from(["", "ely", "eli"]),
    st.just(""), st.sampled_from(["", "10001", "10002", "99999"]), st.just(""),
)  # fmt: skip


def by_length(text: str, /) -> int:
    return len(text) % comparisons.BINS


WHOLE_NAMES = st.builds("{}|{}|{}".format, WORDS, st.sampled_from(["", "a", "ab cd"]), WORDS)
LONE_NAMES = st.one_of(WORDS.map("{}|".format), WORDS.map("|{}".format))
SUFFIXES = st.sampled_from(["jr", "sr", "1", "2", "3"])
COMPANIES = st.lists(st.sampled_from(["acme", "bolt", "trans", "port", "ab", "a", "b"]), min_size=1, max_size=4).map(" ".join)
NAMED = st.one_of(COMPANIES, COMPANIES.map("\0{}".format))

KINDS = [
    (comparisons.Name("given_name", by_length), WORDS),
    (comparisons.Text("occupation", by_length), WORDS),
    (comparisons.Category("gender", by_length), WORDS),
    (comparisons.WholeName("whole_name", by_length), WHOLE_NAMES),
    (comparisons.LoneName("lone_name", by_length), LONE_NAMES),
    (comparisons.Generation("name_suffix", by_length), SUFFIXES),
    (comparisons.Organisation("organisation", by_length), NAMED),
    (comparisons.LongText("free:note", by_length), COMPANIES),
    (comparisons.BirthDate("birth_date", by_length), DATES),
    (comparisons.Email("email", by_length), EMAILS),
    (comparisons.Phone("phone", by_length), PHONES),
    (comparisons.Number("government_number", by_length), NUMBERS),
    (comparisons.Street("street", by_length), PLACES),
    (comparisons.Area("area", by_length), PLACES),
]


@pytest.mark.parametrize(("comparison", "values"), KINDS, ids=lambda v: getattr(v, "kind", ""))
@given(data=st.data())
@settings(max_examples=40)
def test_batched_levels_equal_the_definition_both_ways_round(comparison, values, data):
    features = data.draw(st.lists(st.lists(values, max_size=3).map(lambda v: tuple(sorted(set(v)))), min_size=2, max_size=8))
    left, right = (side.ravel().astype(np.int32) for side in np.indices((len(features), len(features))))

    batched = batch_levels(comparison, features, left, right)

    assert batched.tolist() == [comparison.level(features[i], features[j]) for i, j in zip(left, right, strict=True)]
    assert batched.tolist() == [comparison.level(features[j], features[i]) for i, j in zip(left, right, strict=True)]
    assert batched.max(initial=0) < len(comparison.levels)


@pytest.mark.parametrize(
    ("comparison", "a", "b", "level"),
    [
        (comparisons.Name("given_name"), "robert", "bob", "nickname"),
        (comparisons.Name("given_name"), "robert", "robrt", "close"),
        (comparisons.Name("given_name"), "robert", "r", "initial"),
        (comparisons.Name("surname"), "smith jones", "jones", "part"),
        (comparisons.Name("surname"), "smith", "okafor", "different"),
        (comparisons.BirthDate("birth_date"), "1980-03-04", "1980-04-03", "swapped"),
        (comparisons.BirthDate("birth_date"), "1980-03-04", "1980-03-05", "typo"),
        (comparisons.BirthDate("birth_date"), "1980-03-04", "1980-00-00", "partial"),
        (comparisons.BirthDate("birth_date"), "1980-03-04", "1962-11-04", "different"),
        (comparisons.Email("email"), "ann.berg@x.org", "ann.berg+shop@x.org", "exact_0"),
        (comparisons.Email("email"), "ann.berg@x.org", "ann.berg@elsewhere.com", "user"),
        (comparisons.Phone("phone"), "+14155552671", "+14155552672", "close"),
        (comparisons.Phone("phone"), "+14155552671", "+12125550199", "different"),
    ],
)
def test_levels_mean_what_they_say(comparison, a, b, level):
    assert comparison.levels[comparison.level((a,), (b,))] == level


def test_any_value_is_compared_with_any_and_the_strongest_level_counts():
    phone = comparisons.Phone("phone")

    level = phone.level(("+12125550199", "+14155552671"), ("+14155552671", "+16175550100"))

    assert phone.levels[level] == "exact_0"


def test_numbers_of_different_types_or_issuers_say_nothing():
    number = comparisons.Number("government_number")

    assert number.level(((20, "US|1234"),), ((21, "US|1234"),)) == comparisons.MISSING
    assert number.level(((22, "US|1234"),), ((22, "DE|9999"),)) == comparisons.MISSING
    assert number.levels[number.level(((22, "|1234"),), ((22, "DE|1234"),))] == "exact_0"


@pytest.mark.parametrize(
    ("comparison", "a", "b", "level"),
    [
        (comparisons.Name("surname"), "muller", "mueller", "spelling"),
        (comparisons.Name("surname"), "de la cruz", "delacruz", "spelling"),
        (comparisons.Name("given_name"), "yulia", "iuliia", "spelling"),
        (comparisons.Name("surname"), "chaikovskii", "tchaikovsky", "spelling"),
        (comparisons.Name("surname"), "de la cruz", "de la torre", "similar"),
        (comparisons.Name("given_name"), "bob", "r", "initial"),
        (comparisons.LoneName("lone_name"), "berg|", "|berg", "exact_0"),
        (comparisons.LoneName("lone_name"), "bergman|", "|bergmann", "close"),
        (comparisons.LoneName("lone_name"), "anna|", "|berg", "different"),
        (comparisons.LoneName("lone_name"), "|berg", "|berg", "missing"),
        (comparisons.LoneName("lone_name"), "anna|", "anna|", "missing"),
        (comparisons.WholeName("whole_name"), "anna||berg", "berg||anna", "swapped"),
        (comparisons.WholeName("whole_name"), "anna||bergmann", "bergman||anna", "swapped"),
        (comparisons.WholeName("whole_name"), "anna|maria|berg", "berg|anna|maria", "swapped"),
        (comparisons.WholeName("whole_name"), "anna||berg", "anna||stone", "straight"),
        (comparisons.WholeName("whole_name"), "anna||berg", "berg||otto", "straight"),
        (comparisons.Generation("name_suffix"), "jr", "sr", "different"),
        (comparisons.Generation("name_suffix"), "jr", "2", "compatible"),
        (comparisons.Organisation("organisation"), "international business machines", "ibm", "acronym"),
        (comparisons.Organisation("organisation"), "trans port nord", "nord transport", "word"),
        (comparisons.Organisation("organisation"), "nord bank", "bank nord", "order"),
        (comparisons.Organisation("organisation"), "nord bank", "nord bank leeds", "subset"),
        (comparisons.BirthDate("birth_date"), "1980-03-04", "1980-11-28", "year"),
        (comparisons.Email("email"), "ann.berg@gmail.com", "ann.berg@gmial.com", "domain_typo"),
        (comparisons.Email("email"), "ann@a-very-long-company.example", "bob@a-very-long-company.example", "domain"),
        (comparisons.Phone("phone"), "+493012345678", "+13012345678", "national"),
        (comparisons.LongText("free:note"), "call in the morning only", "call only in the evening", "overlap"),
    ],
)
def test_finer_levels_mean_what_they_say(comparison, a, b, level):
    assert comparison.levels[comparison.level((a,), (b,))] == level


def test_a_renamed_street_and_a_district_are_known():
    street, area = comparisons.Street("street"), comparisons.Area("area")
    a, b = ("12", "lenin st", "", "dresden", "", "01067", ""), ("12", "konrad zuse st", "", "dresden nord", "", "01069", "")

    assert street.levels[street.level((a,), ((*b[:5], "01067", ""),))] == "renamed"
    assert area.levels[area.level((a,), ((*b[:3], "ely", "", "01099", ""),))] == "district"


class Shade(comparisons.TextComparison):
    """A kind that somebody adds."""

    kind = "shade"
    levels = ("missing", *comparisons.EXACT, "family", "different")
    expected: ClassVar[Mapping[str, float]] = {"exact": 0.8, "family": 0.1, "different": 0.1}
    compares = ("free:colour",)

    def compare(self, x: str, y: str) -> int:
        if x == y:
            return 1 + self.rarity(x)
        return 6 if x.split()[-1] == y.split()[-1] else 7


@pytest.fixture
def shade(monkeypatch):
    monkeypatch.setattr("goldenthread.resolver.comparisons.registry._KINDS", dict(comparisons.kinds()))
    return comparisons.register(Shade)


def test_a_kind_of_ones_own_is_found_by_name_and_builds(shade):
    made = build_comparison("shade", "free:colour")

    assert made.levels[made.level(("dark red",), ("light red",))] == "family"


def test_a_kind_whose_name_is_taken_is_refused(shade):
    with pytest.raises(ValueError, match="shade is there already"):
        comparisons.register(type("Other", (Shade,), {}))


@pytest.mark.parametrize(
    "wrong", [{"levels": ("exact", "different")}, {"expected": {"exact": 1.0}}, {"expected": {**Shade.expected, "exact": 0.1}}]
)
def test_a_kind_with_levels_that_do_not_fit_is_refused(wrong):
    with pytest.raises(ValueError, match="odd"):
        comparisons.register(type("Odd", (Shade,), {"kind": "odd", **wrong}))


def test_a_kind_that_nobody_knows_is_named():
    with pytest.raises(comparisons.UnknownKind, match="no_such_kind"):
        comparisons.kind_named("no_such_kind")
