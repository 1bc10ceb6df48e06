"""Golden records: the best value of each attribute, laws and rules."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldenthread.graph.model import (
    AttributeDefinition,
    AttributeValue,
    Cardinality,
    DataModel,
    PartialDate,
    Party,
    PersonName,
    PostalAddress,
    RecordContent,
    SemanticType,
    Survivorship,
    Value,
)
from goldenthread.resolver.golden import GoldenAttribute, SourcedRecord, golden_record

T = SemanticType


def definition(
    name: str,
    kind: SemanticType,
    survivorship: Survivorship = Survivorship.MOST_RECENT,
    cardinality: Cardinality = Cardinality.ONE,
) -> AttributeDefinition:
    """An attribute of a data model."""
    return AttributeDefinition(name, kind, cardinality=cardinality, survivorship=survivorship)


MODEL = DataModel(
    (
        definition("given_name", T.GIVEN_NAME, Survivorship.MOST_FREQUENT),
        definition("middle_name", T.MIDDLE_NAME),
        definition("surname", T.SURNAME),
        definition("birth_date", T.BIRTH_DATE, Survivorship.MOST_FREQUENT),
        definition("email", T.EMAIL, cardinality=Cardinality.MANY),
        definition("phone", T.PHONE, cardinality=Cardinality.MANY),
        definition("street", T.STREET),
        definition("city", T.CITY),
        definition("postcode", T.POSTCODE),
        definition("employer", T.EMPLOYER, Survivorship.MOST_COMPLETE),
        definition("occupation", T.OCCUPATION, Survivorship.CLOSEST_PARTY),
    )
)


def record(number: int, at: int, party: Party = Party.FIRST, **values: Value) -> SourcedRecord:
    """A record observed at a time, with values by attribute name."""
    attributes = []
    for name, value in values.items():
        found = MODEL.definition(name)
        attributes.append(AttributeValue(name, found.type if found else T.FREE, value))
    content = RecordContent("crm", str(number), party, at, 0, tuple(attributes))
    return SourcedRecord(number.to_bytes(16, "big"), content)


def attribute(golden: tuple[GoldenAttribute, ...], name: str) -> GoldenAttribute:
    """One attribute of a golden record."""
    return next(one for one in golden if one.attribute == name)


def texts(golden: tuple[GoldenAttribute, ...], name: str) -> list[Value]:
    """The winning values of one attribute."""
    return [value.value.value for value in attribute(golden, name).values]


FEW = st.sampled_from(["Ann", "ann", " ANN ", "Bob", "Cy", "n/a", "", "5"])


@st.composite
def identities(draw: st.DrawFn) -> list[SourcedRecord]:
    """A few records that agree in part."""
    names = st.sampled_from([one.name for one in MODEL.attributes] + ["shoe_size", "colour"])
    return [
        record(
            number,
            draw(st.integers(0, 2)),
            draw(st.sampled_from(Party)),
            **draw(st.dictionaries(names, FEW, max_size=6)),
        )
        for number in range(draw(st.integers(0, 4)))
    ]


@given(identities())
def test_the_order_of_records_does_not_matter(records: list[SourcedRecord]) -> None:
    assert len({golden_record(MODEL, order) for order in permutations(records)}) == 1


@given(identities())
def test_every_value_is_of_a_record_given(records: list[SourcedRecord]) -> None:
    golden = golden_record(MODEL, records)

    by_id = {one.record: one.content for one in records}
    for one in golden:
        for value in (*one.values, *one.losers):
            content = by_id[value.record]
            assert value.value in content.attributes
            assert (value.source, value.party, value.observed_at) == (content.source, content.party, content.observed_at)


@given(identities())
def test_winners_and_losers_cover_all_distinct_values(records: list[SourcedRecord]) -> None:
    golden = golden_record(MODEL, records)

    said = {(one.attribute, str(one.value).strip()) for r in records for one in r.content.attributes if str(one.value).strip()}
    given_back = {(one.attribute, str(value.value.value).strip()) for one in golden for value in (*one.values, *one.losers)}
    assert given_back == said


@given(identities())
def test_the_parts_of_an_address_are_all_of_one_record(records: list[SourcedRecord]) -> None:
    golden = golden_record(MODEL, records)

    for group in (("street", "city", "postcode"), ("given_name", "middle_name", "surname")):
        assert len({value.record for one in golden if one.attribute in group for value in one.values}) <= 1


@given(identities())
def test_what_stands_for_no_value_never_wins(records: list[SourcedRecord]) -> None:
    golden = golden_record(MODEL, records)

    assert all(value.value.value not in ("n/a", "") for one in golden for value in one.values if value.value.type is not T.FREE)


def test_the_street_of_one_record_never_meets_the_postcode_of_another() -> None:
    old = record(1, 1, street="1 Elm St", city="Dover", postcode="11111")
    new = record(2, 2, street="9 Oak Rd", city="Leeds")

    golden = golden_record(MODEL, [old, new])

    assert texts(golden, "street") == ["9 Oak Rd"]
    assert texts(golden, "city") == ["Leeds"]
    assert texts(golden, "postcode") == []
    assert [value.because for value in attribute(golden, "postcode").losers] == [
        "a more recent record says otherwise; its parts stay together"
    ]


def test_a_later_city_alone_does_not_outdo_a_whole_address() -> None:
    whole = record(1, 1, street="1 Elm St", city="Dover", postcode="11111")
    partial = record(2, 2, city="Leeds")

    assert texts(golden_record(MODEL, [whole, partial]), "street") == ["1 Elm St"]


def test_a_record_with_fewer_of_the_same_parts_supports_the_fuller_name() -> None:
    full = record(1, 1, given_name="Maria", middle_name="Luz", surname="Ortega")
    short = record(2, 2, given_name="maria", surname="ortega")
    other = record(3, 3, given_name="Mary", surname="Ortega")

    golden = golden_record(MODEL, [full, short, other])

    assert texts(golden, "middle_name") == ["Luz"]
    assert attribute(golden, "given_name").values[0].because == "most records agree on it; its parts stay together"


def test_two_addresses_are_kept_apart_by_their_first_words() -> None:
    model = DataModel(
        tuple(definition(f"{use}_{part.name.lower()}", part) for use in ("home", "work") for part in (T.STREET, T.CITY))
    )
    values = [("home_street", T.STREET), ("home_city", T.CITY), ("work_street", T.STREET), ("work_city", T.CITY)]
    one = SourcedRecord(
        b"1", RecordContent("crm", "1", Party.FIRST, 1, 0, tuple(AttributeValue(n, t, f"{n} a") for n, t in values))
    )
    two = SourcedRecord(
        b"2", RecordContent("crm", "2", Party.FIRST, 2, 0, tuple(AttributeValue(n, t, f"{n} b") for n, t in values[2:]))
    )

    golden = golden_record(model, [one, two])

    assert [texts(golden, name) for name, _ in values] == [
        ["home_street a"],
        ["home_city a"],
        ["work_street b"],
        ["work_city b"],
    ]


@pytest.mark.parametrize(
    ("name", "winner"), [("birth_date", "1980-02-29"), ("employer", "Acme Trading Company"), ("occupation", "baker")]
)
def test_each_rule_chooses_its_value(name: str, winner: str) -> None:
    records = [
        record(1, 1, Party.FIRST, birth_date="1980-02-29", employer="Acme", occupation="cook"),
        record(2, 2, Party.THIRD, birth_date="1980-02-29", employer="Acme Trading Company", occupation="waiter"),
        record(3, 3, Party.SECOND, birth_date="1980-02-28", employer="Acme", occupation="waiter"),
        record(4, 0, Party.ZERO, occupation="baker"),
    ]

    assert texts(golden_record(MODEL, records), name) == [winner]


def test_the_same_phone_written_differently_is_one_value() -> None:
    records = [record(1, 1, phone="+1 212 555 0187"), record(2, 2, phone="(212) 555-0187")]

    phones = attribute(golden_record(MODEL, records), "phone")

    assert [value.value.value for value in phones.values] == ["(212) 555-0187"]
    assert [value.because for value in phones.losers] == ["it is another spelling of a value given here"]


def test_the_same_date_as_text_and_in_parts_is_one_value() -> None:
    records = [record(1, 1, birth_date="1980-02-29"), record(2, 2, birth_date=PartialDate(1980, 2, 29))]

    assert len(texts(golden_record(MODEL, records), "birth_date")) == 1


def test_a_name_in_mixed_case_is_spelt_better_than_in_capitals() -> None:
    records = [record(1, 1, surname="MacDonald"), record(2, 2, surname="MACDONALD"), record(3, 3, surname="macdonald")]

    assert texts(golden_record(MODEL, records), "surname") == ["MacDonald"]


def test_names_and_addresses_in_parts_are_whole_values() -> None:
    model = DataModel((definition("name", T.PERSON_NAME), definition("address", T.ADDRESS, cardinality=Cardinality.MANY)))
    name, address = PersonName("Ann", "", "Lee"), PostalAddress(street="1 Elm St", city="Dover")
    content = RecordContent(
        "crm", "1", Party.FIRST, 1, 0,
        (AttributeValue("name", T.PERSON_NAME, name), AttributeValue("address", T.ADDRESS, address),
         AttributeValue("address", T.ADDRESS, PostalAddress())),
    )  # fmt: skip

    golden = golden_record(model, [SourcedRecord(b"1", content)])

    assert [texts(golden, "name"), texts(golden, "address")] == [[name], [address]]


def test_many_values_come_best_first_and_free_attributes_last() -> None:
    records = [record(1, 1, zeal="high", email="a@old.example", colour="red"), record(2, 2, email="a@new.example")]

    golden = golden_record(MODEL, records)

    assert [one.attribute for one in golden] == ["email", "colour", "zeal"]
    assert texts(golden, "email") == ["a@new.example", "a@old.example"]


def test_reasons_hold_no_personal_data() -> None:
    records = [record(1, 1, surname="Xylander", city="Quux"), record(2, 2, surname="Ypsilanti", city="Zork")]

    golden = golden_record(MODEL, records)

    reasons = " ".join(value.because for one in golden for value in (*one.values, *one.losers))
    assert not any(text in reasons for text in ("Xylander", "Ypsilanti", "Quux", "Zork"))
