"""Survivorship rules: what each criterion, condition, purpose, pin and aggregate does, and the laws they keep."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldenthread.graph.model import (
    AttributeDefinition,
    AttributeValue,
    Cardinality,
    DataModel,
    Party,
    PostalAddress,
    RecordContent,
    SemanticType,
    Survivorship,
    Value,
)
from goldenthread.resolver.golden import (
    Aggregate,
    AttributeGroup,
    Criterion,
    GoldenAttribute,
    Pin,
    PurposeLimit,
    RecordCondition,
    SourcedRecord,
    SourceTrust,
    SurvivorshipRule,
    SurvivorshipRules,
    Verifying,
    golden_record,
)
from goldenthread.resolver.golden.rules import DAY

T, C = SemanticType, Criterion
NOW = 20_000 * DAY


def one(name: str, kind: SemanticType, cardinality: Cardinality = Cardinality.ONE) -> AttributeDefinition:
    """An attribute of a data model, most recent by default."""
    return AttributeDefinition(name, kind, cardinality=cardinality, survivorship=Survivorship.MOST_RECENT)


MODEL = DataModel(
    (
        one("given_name", T.GIVEN_NAME),
        one("surname", T.SURNAME),
        one("birth_date", T.BIRTH_DATE),
        one("email", T.EMAIL, Cardinality.MANY),
        one("address", T.ADDRESS),
        one("occupation", T.OCCUPATION),
        one("city", T.CITY),
    )
)


def record(number: int, source: str = "crm", days_ago: int = 0, party: Party = Party.FIRST, **values: Value) -> SourcedRecord:
    """A record of a source, observed some days before NOW."""
    attributes = []
    for name, value in values.items():
        found = MODEL.definition(name)
        attributes.append(AttributeValue(name, found.type if found else T.FREE, value))
    content = RecordContent(source, str(number), party, NOW - days_ago * DAY, 0, tuple(attributes))
    return SourcedRecord(number.to_bytes(16, "big"), content)


def attribute(golden: tuple[GoldenAttribute, ...], name: str) -> GoldenAttribute:
    return next(found for found in golden if found.attribute == name)


def winners(golden: tuple[GoldenAttribute, ...], name: str) -> list[Value]:
    return [value.value.value for value in attribute(golden, name).values]


def by(*criteria: Criterion, **more: object) -> SurvivorshipRules:
    """One rule for everything."""
    return SurvivorshipRules((SurvivorshipRule("house", criteria=criteria, **more),))  # type: ignore[arg-type]  # fields of the rule


def pin(name: str, value: str, revision: int = 1) -> Pin:
    found = MODEL.definition(name)
    return Pin(AttributeValue(name, found.type if found else T.FREE, value), revision.to_bytes(16, "big"), revision)


OLD_AND_FULL = record(1, "registry", 900, Party.THIRD, occupation="head baker", birth_date="1980-02-29", city="Dover")
NEW_AND_SHORT = record(2, "shop", 1, Party.ZERO, occupation="cook", birth_date="1981", city="Ely")


@pytest.mark.parametrize(
    ("rules", "name", "winner", "because"),
    [
        (by(C.RECENCY), "occupation", "cook", "it is the most recent"),
        (by(C.LONGEST), "occupation", "head baker", "it is the longest"),
        (by(C.SPECIFICITY), "occupation", "head baker", "it is the most specific"),
        (by(C.SPECIFICITY), "birth_date", "1980-02-29", "it is the most specific"),
        (by(C.CLOSEST_PARTY), "occupation", "cook", "it comes from the closest party"),
        (by(C.COMPLETENESS), "occupation", "head baker", "it is the most complete"),
        (by(C.FRESHNESS, C.LONGEST, stale_after_days=365), "occupation", "cook", "it is not stale"),
        (by(C.SOURCE_TRUST, trust=(SourceTrust("registry", 90),)), "city", "Dover", "its source is trusted most"),
    ],
)
def test_each_criterion_chooses_and_says_so(rules: SurvivorshipRules, name: str, winner: str, because: str) -> None:
    golden = golden_record(MODEL, [OLD_AND_FULL, NEW_AND_SHORT], rules, at=NOW)

    assert winners(golden, name) == [winner]
    assert attribute(golden, name).values[0].because == because
    assert attribute(golden, name).rule == "house"


def test_a_rule_trusts_a_source_for_its_own_attributes_only() -> None:
    trusted = SurvivorshipRule("cities", ("city",), criteria=(C.SOURCE_TRUST,), trust=(SourceTrust("registry", 90),))

    golden = golden_record(MODEL, [OLD_AND_FULL, NEW_AND_SHORT], SurvivorshipRules((trusted,)), at=NOW)

    assert (winners(golden, "city"), winners(golden, "occupation")) == (["Dover"], ["cook"])
    assert attribute(golden, "occupation").rule == "most_recent"


def test_what_is_verified_goes_first_by_source_or_by_the_record_itself() -> None:
    checked = record(3, "desk", 5000, occupation="mason", kyc="Passed")
    rules = by(C.VERIFIED)

    by_source = SurvivorshipRules(rules.rules, verifying=Verifying(sources=("registry",)))
    by_record = SurvivorshipRules(rules.rules, verifying=Verifying(attribute="kyc", values=("passed",)))

    records = [OLD_AND_FULL, NEW_AND_SHORT, checked]
    assert winners(golden_record(MODEL, records, by_source, at=NOW), "occupation") == ["head baker"]
    assert winners(golden_record(MODEL, records, by_record, at=NOW), "occupation") == ["mason"]


def test_an_address_to_the_door_is_more_specific_than_a_city() -> None:
    door = PostalAddress(street="Elm Street", house_number="12", city="Dover", postcode="19901")
    records = [record(1, days_ago=9, address=door), record(2, address=PostalAddress(city="Dover", country="US", region="DE"))]

    assert winners(golden_record(MODEL, records, by(C.SPECIFICITY), at=NOW), "address") == [door]


def test_a_rule_that_admits_no_record_leaves_the_next_to_decide() -> None:
    recent = SurvivorshipRule("recent", condition=RecordCondition(max_age_days=30), criteria=(C.LONGEST,))
    trusted = SurvivorshipRule("registry", condition=RecordCondition(sources=("registry",)))
    records = [OLD_AND_FULL, record(2, "shop", 400, occupation="head of bakery")]

    golden = golden_record(MODEL, records, SurvivorshipRules((recent, trusted)), at=NOW)

    assert winners(golden, "occupation") == ["head baker"]
    assert attribute(golden, "occupation").rule == "registry"
    assert [value.because for value in attribute(golden, "occupation").losers] == ["the rule does not admit its record"]


def test_a_rule_for_a_purpose_decides_for_that_purpose_alone() -> None:
    rules = SurvivorshipRules(
        (SurvivorshipRule("billing", purposes=("billing",), criteria=(C.LONGEST,)),), purposes=(PurposeLimit("billing"),)
    )

    assert winners(golden_record(MODEL, [OLD_AND_FULL, NEW_AND_SHORT], rules, at=NOW), "occupation") == ["cook"]
    billing = golden_record(MODEL, [OLD_AND_FULL, NEW_AND_SHORT], rules, at=NOW, purpose="billing")
    assert winners(billing, "occupation") == ["head baker"]


def test_a_value_known_from_forbidden_records_alone_is_not_given_even_as_a_loser() -> None:
    limit = PurposeLimit("adverts", forbidden_parties=(Party.THIRD,), forbidden_attributes=("birth_date",))
    rules = SurvivorshipRules(purposes=(limit,))
    both = record(3, "shop", 700, occupation="Head Baker")

    golden = golden_record(MODEL, [OLD_AND_FULL, NEW_AND_SHORT, both], rules, at=NOW, purpose="adverts")

    texts = {str(v.value.value) for found in golden for v in (*found.values, *found.losers)}
    assert texts == {"cook", "Ely", "Head Baker"}


def test_declared_attributes_survive_together() -> None:
    rules = SurvivorshipRules(groups=(AttributeGroup(("occupation", "city")),))
    half = record(3, "web", 0, city="York")

    apart = golden_record(MODEL, [OLD_AND_FULL, half], at=NOW)
    together = golden_record(MODEL, [OLD_AND_FULL, half], rules, at=NOW)

    assert (winners(apart, "occupation"), winners(apart, "city")) == (["head baker"], ["York"])
    assert (winners(together, "occupation"), winners(together, "city")) == ([], ["York"])


@pytest.mark.parametrize(
    ("aggregate", "latest", "values"),
    [
        (Aggregate.MINIMUM, 0, ["7"]),
        (Aggregate.MAXIMUM, 0, ["1,200"]),
        (Aggregate.UNION, 0, ["many", "7", "1,200"]),
        (Aggregate.LATEST, 2, ["many", "7"]),
        (Aggregate.BEST, 0, ["many"]),
    ],
)
def test_numbers_and_sets_are_brought_together(aggregate: Aggregate, latest: int, values: list[str]) -> None:
    records = [record(1, days_ago=3, points="1,200"), record(2, days_ago=2, points="7"), record(3, points="many")]

    golden = golden_record(MODEL, records, by(aggregate=aggregate, latest=latest), at=NOW)

    assert winners(golden, "points") == values


def test_two_values_as_strong_as_each_other_are_in_conflict_and_vague_ones_are_not() -> None:
    records = [record(1, "a", birth_date="1980-02-29"), record(2, "b", birth_date="1971-05-05")]
    vague = [record(1, "a", birth_date="1980-02-29"), record(2, "b", birth_date="1980")]

    assert attribute(golden_record(MODEL, records, at=NOW), "birth_date").conflict == 1.0
    assert attribute(golden_record(MODEL, vague, at=NOW), "birth_date").conflict == 0.0


def test_a_weak_value_is_in_no_conflict_with_a_strong_one() -> None:
    strong = [record(number, f"source{number}", birth_date="1980-02-29") for number in range(3)]
    bought = record(9, "broker", 0, Party.THIRD, birth_date="1971-05-05")

    golden = golden_record(MODEL, [*strong, bought], by(C.FREQUENCY), at=NOW)

    assert attribute(golden, "birth_date").conflict == 0.0


def test_what_was_last_seen_before_the_horizon_is_stale() -> None:
    rules = by(C.LONGEST, stale_after_days=365)

    golden = golden_record(MODEL, [OLD_AND_FULL, NEW_AND_SHORT], rules, at=NOW)

    found = attribute(golden, "occupation")
    assert [value.is_stale for value in (*found.values, *found.losers)] == [True, False]


def test_a_pin_wins_over_all_and_says_so() -> None:
    golden = golden_record(MODEL, [OLD_AND_FULL, NEW_AND_SHORT], by(C.RECENCY), at=NOW, pins=[pin("occupation", "Pilot")])

    found = attribute(golden, "occupation")
    assert (winners(golden, "occupation"), found.rule) == (["Pilot"], "pinned")
    assert (found.values[0].because, found.values[0].decision) == ("a steward pinned it", (1).to_bytes(16, "big"))
    assert {value.because for value in found.losers} == {
        "a steward pinned another value",
        "a more recent record says otherwise",
    }


def test_the_latest_pin_counts_and_without_it_all_is_as_before() -> None:
    records = [OLD_AND_FULL, NEW_AND_SHORT]
    pins = [pin("occupation", "head baker", 1), pin("occupation", "Pilot", 2)]

    assert winners(golden_record(MODEL, records, at=NOW, pins=pins), "occupation") == ["Pilot"]
    assert winners(golden_record(MODEL, records, at=NOW, pins=pins[:1]), "occupation") == ["head baker"]
    assert golden_record(MODEL, records, at=NOW, pins=[]) == golden_record(MODEL, records, at=NOW)


def test_the_parts_beside_a_pinned_one_come_from_a_record_that_goes_with_it() -> None:
    ann = record(1, days_ago=9, given_name="Ann", surname="Lee")
    sue = record(2, given_name="Sue", surname="Low")

    golden = golden_record(MODEL, [ann, sue], at=NOW, pins=[pin("surname", "lee")])

    assert (winners(golden, "given_name"), winners(golden, "surname")) == (["Ann"], ["lee"])


def test_a_pinned_email_comes_first_and_the_others_stay() -> None:
    records = [record(1, email="new@example.org"), record(2, days_ago=5, email="old@example.org")]

    golden = golden_record(MODEL, records, at=NOW, pins=[pin("email", "old@example.org")])

    assert winners(golden, "email") == ["old@example.org", "new@example.org"]


def test_a_pin_gives_no_value_whose_only_origin_is_forbidden() -> None:
    rules = SurvivorshipRules(purposes=(PurposeLimit("adverts", forbidden_sources=("registry",)),))

    golden = golden_record(
        MODEL, [OLD_AND_FULL, NEW_AND_SHORT], rules, at=NOW, purpose="adverts", pins=[pin("occupation", "head baker")]
    )

    assert winners(golden, "occupation") == ["cook"]


# --- laws ---

WORDS = st.sampled_from(["Ann", "ann lee", " ANN ", "Bob", "1980-02-29", "1980", "7", "n/a", "", "a@b.example"])
NAMES = st.sampled_from([found.name for found in MODEL.attributes] + ["points"])
SOURCES = ["crm", "shop", "registry"]


@st.composite
def records_of(draw: st.DrawFn, first: int = 0, least: int = 0, most: int = 4) -> list[SourcedRecord]:
    return [
        record(
            number,
            draw(st.sampled_from(SOURCES)),
            draw(st.integers(0, 3)) * 200,
            draw(st.sampled_from(Party)),
            **draw(st.dictionaries(NAMES, WORDS, max_size=5)),
        )
        for number in range(first, first + draw(st.integers(least, most)))
    ]


def rule_of() -> st.SearchStrategy[SurvivorshipRule]:
    return st.builds(
        SurvivorshipRule,
        name=st.just("house"),
        attributes=st.lists(NAMES, max_size=2).map(tuple),
        condition=st.builds(
            RecordCondition,
            sources=st.lists(st.sampled_from(SOURCES), max_size=1).map(tuple),
            parties=st.lists(st.sampled_from(Party), max_size=2).map(tuple),
            max_age_days=st.sampled_from([0, 300]),
        ),
        criteria=st.lists(st.sampled_from(list(C)[1:]), max_size=4, unique=True).map(tuple),
        trust=st.lists(st.builds(SourceTrust, st.sampled_from(SOURCES), st.integers(0, 100)), max_size=2).map(tuple),
        stale_after_days=st.sampled_from([0, 300]),
        aggregate=st.sampled_from(Aggregate),
        latest=st.integers(0, 2),
    )


RULES = st.builds(
    SurvivorshipRules,
    rules=st.lists(rule_of(), max_size=3).map(tuple),
    groups=st.sampled_from([(), (AttributeGroup(("occupation", "city")),)]),
    purposes=st.builds(
        PurposeLimit,
        purpose=st.just("p"),
        forbidden_sources=st.lists(st.sampled_from(SOURCES), max_size=2).map(tuple),
        forbidden_parties=st.lists(st.sampled_from(Party), max_size=1).map(tuple),
        forbidden_attributes=st.lists(NAMES, max_size=1).map(tuple),
    ).map(lambda limit: (limit,)),
    verifying=st.builds(Verifying, sources=st.lists(st.sampled_from(SOURCES), max_size=1).map(tuple)),
)
PINS = st.lists(st.builds(pin, NAMES, st.sampled_from(["Ann", "Zoe"]), st.integers(1, 3)), max_size=2)


@given(records_of(), RULES, PINS)
@settings(max_examples=60)
def test_neither_the_order_of_records_nor_of_pins_matters(
    records: list[SourcedRecord], rules: SurvivorshipRules, pins: list[Pin]
) -> None:
    distinct = {p.decision: p for p in pins}.values()

    found = {
        golden_record(MODEL, order, rules, at=NOW, pins=some)
        for order in permutations(records)
        for some in permutations(distinct)
    }

    assert len(found) == 1


@given(records_of(), RULES, PINS)
def test_every_value_has_an_origin_that_the_purpose_allows(
    records: list[SourcedRecord], rules: SurvivorshipRules, pins: list[Pin]
) -> None:
    golden = golden_record(MODEL, records, rules, at=NOW, purpose="p", pins=pins)

    by_id = {found.record: found.content for found in records}
    (limit,) = rules.purposes
    for found in golden:
        assert found.attribute not in limit.forbidden_attributes
        for value in (*found.values, *found.losers):
            if value.record:
                content = by_id[value.record]
                assert value.decision or value.value in content.attributes
                assert content.source not in limit.forbidden_sources
                assert content.party not in limit.forbidden_parties
            else:
                assert value.decision in {p.decision for p in pins}
                assert all(str(value.value.value) != str(s.value) for r in records for s in r.content.attributes
                           if s.attribute == found.attribute)  # fmt: skip


@given(records_of(least=1), records_of(first=10, least=1, most=1), RULES, PINS)
@settings(max_examples=300)
def test_a_record_whose_values_all_lose_changes_no_winner(
    records: list[SourcedRecord], more: list[SourcedRecord], rules: SurvivorshipRules, pins: list[Pin]
) -> None:
    before = {found.attribute: found for found in golden_record(MODEL, records, rules, at=NOW, pins=pins)}
    after = {found.attribute: found for found in golden_record(MODEL, [*records, *more], rules, at=NOW, pins=pins)}

    for name, found in after.items():
        support = {v.records for v in found.values}
        own = {str(s.value).strip().casefold() for s in more[0].content.attributes if s.attribute == name}
        if name not in before or not own or any(str(v.value.value).strip().casefold() in own for v in found.values):
            continue
        if {v.record for v in found.values} & {more[0].record} or support != {v.records for v in before[name].values}:
            continue
        assert [v.value for v in found.values] == [v.value for v in before[name].values]


@given(records_of(), RULES, PINS)
def test_a_pinned_value_wins_whatever_the_rules_say(
    records: list[SourcedRecord], rules: SurvivorshipRules, pins: list[Pin]
) -> None:
    golden = golden_record(MODEL, records, rules, at=NOW, pins=pins)

    for name in {p.value.attribute for p in pins}:
        latest = max((p for p in pins if p.value.attribute == name), key=lambda p: (p.revision, p.decision))
        found = attribute(golden, name)
        assert found.rule == "pinned"
        assert found.values[0].value.value == latest.value.value
