"""Find who lives together: people with the same surname at the same address, and people on the same landline.

A household is a hint, not an identity. Names are compared as folded text and never by sound, because a wrong household tells
one family about another. A household follows from records alone: each record's keys say which it belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from goldenthread.graph.model import SemanticType
from goldenthread.resolver.normalise import Profile, identifiers
from goldenthread.resolver.normalise.national_numbers import is_landline
from goldenthread.resolver.normalise.text import fold

__all__ = [
    "LARGEST_LANDLINE",
    "SAME_ADDRESS_AND_SURNAME",
    "SHARED_LANDLINE",
    "STATED_FAMILY",
    "HouseholdKey",
    "household_keys",
    "household_keys_of",
]

SAME_ADDRESS_AND_SURNAME = "same address and surname"
SHARED_LANDLINE = "shared landline"
STATED_FAMILY = "stated family"
LARGEST_LANDLINE = 12
"""People on one landline that may be a household: more of them are an office."""


class HouseholdKey(Struct, frozen=True):
    """What all members of a household have in common: why, in plain words, the text, which is personal, and what it is of."""

    reason: str
    text: str
    shared: SemanticType
    shared_text: str


def household_keys(surnames: Sequence[str], addresses: Sequence[str], phones: Sequence[str] = ()) -> tuple[HouseholdKey, ...]:
    """List the households of somebody of these surnames at these addresses (as identifiers write them), on these phones.

    Distinct and in order. A surname of one letter, or an empty address, makes none; nor does a phone that may be a mobile, or
    one without a surname, which an organisation has.
    """
    names = {folded for surname in surnames if len(folded := fold(surname)) > 1}
    places = {stripped for address in addresses if (stripped := address.strip())}
    homes = [
        HouseholdKey(SAME_ADDRESS_AND_SURNAME, f"{place}\x1f{name}", SemanticType.ADDRESS, place)
        for place in sorted(places)
        for name in sorted(names)
    ]
    lines = sorted({phone for phone in phones if is_landline(phone)}) if names else []
    return (*homes, *(HouseholdKey(SHARED_LANDLINE, phone, SemanticType.PHONE, phone) for phone in lines))


def household_keys_of(profile: Profile) -> tuple[HouseholdKey, ...]:
    """List the households of one record's profile: only a full address, naming one door, makes any."""
    addresses = [identifier.text for identifier in identifiers(profile) if identifier.type is SemanticType.ADDRESS]
    return household_keys(profile.surname, addresses, profile.phones)
