"""Households: same address and surname."""

from __future__ import annotations

import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from goldenthread.graph.model import AttributeValue, PersonName, PostalAddress, SemanticType
from goldenthread.resolver.households import (
    SAME_ADDRESS_AND_SURNAME,
    SHARED_LANDLINE,
    HouseholdKey,
    household_keys,
    household_keys_of,
)
from goldenthread.resolver.normalise import profile_of
from goldenthread.resolver.normalise.national_numbers import is_landline


def keys_of(given: str, surname: str, **address: str) -> set[HouseholdKey]:
    """The household keys of a person at an address."""
    attributes = [
        AttributeValue("name", SemanticType.PERSON_NAME, PersonName(given, "", surname, "")),
        AttributeValue("address", SemanticType.ADDRESS, PostalAddress(**address)),
    ]
    return set(household_keys_of(profile_of(attributes, "US")))


HOME = {"street": "Elm Street", "house_number": "12", "city": "Dover", "postcode": "19901"}


def test_people_of_one_surname_at_one_door_share_a_household() -> None:
    shared = keys_of("Ann", "O'Brien", **HOME) & keys_of("Tom", "OBRIEN", **HOME)

    assert [key.reason for key in shared] == [SAME_ADDRESS_AND_SURNAME]


def test_other_surnames_or_flats_share_none() -> None:
    ann = keys_of("Ann", "O'Brien", **HOME)

    assert not ann & keys_of("Tom", "Bryan", **HOME)
    assert not ann & keys_of("Tom", "O'Brien", **HOME, unit="7")


def test_a_city_alone_makes_no_household() -> None:
    assert not keys_of("Ann", "O'Brien", city="Dover")


def test_names_that_sound_alike_are_not_one_surname() -> None:
    assert not set(household_keys(["Smith"], ["12|elm st||19901"])) & set(household_keys(["Smyth"], ["12|elm st||19901"]))


@pytest.mark.parametrize("region", ["DE", "GB", "FR", "IT", "ES", "NL", "AT", "CH", "PL", "SE", "IN", "JP", "BR", "AU", "ZA"])
def test_a_landline_is_what_the_numbering_plan_says(region: str) -> None:
    for kind in (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE):
        number = phonenumbers.example_number_for_type(region, kind)
        assert number is not None

        is_fixed = phonenumbers.number_type(number) == PhoneNumberType.FIXED_LINE
        assert is_landline(phonenumbers.format_number(number, PhoneNumberFormat.E164)) == is_fixed


@pytest.mark.parametrize("number", ["+12125550187", "+0", "+", "+999123456789"])
def test_where_landlines_cannot_be_told_there_is_none(number: str) -> None:
    assert not is_landline(number)


def test_people_on_one_landline_share_a_household_and_organisations_do_not() -> None:
    people = household_keys(["Lee"], [], ["+493012345678", "+4915112345678"])

    assert [(key.reason, key.shared_text) for key in people] == [(SHARED_LANDLINE, "+493012345678")]
    assert people == household_keys(["Ng"], [], ["+493012345678"])
    assert not household_keys([], [], ["+493012345678"])


def test_keys_are_distinct_and_do_not_depend_on_order() -> None:
    keys = household_keys(["Lee", "Ng", "lee", "x"], ["b", "a", "b", " "])

    assert keys == household_keys(["Ng", "x", "Lee"], ["a", "b"])
    assert len(keys) == 4
