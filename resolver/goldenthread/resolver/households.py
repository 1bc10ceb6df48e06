"""Find who lives together: people with the same surname at the same address.

A household is a hint, not an identity. Names are compared as folded text and never by sound, because a wrong household tells
one family about another.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from goldenthread.graph.model import SemanticType
from goldenthread.resolver.normalise import Profile, identifiers
from goldenthread.resolver.normalise.text import fold

__all__ = ["SAME_ADDRESS_AND_SURNAME", "HouseholdKey", "household_keys", "household_keys_of"]

SAME_ADDRESS_AND_SURNAME = "same address and surname"


class HouseholdKey(Struct, frozen=True):
    """What all members of a household have in common: why, in plain words, and the text, which is personal."""

    reason: str
    text: str


def household_keys(surnames: Sequence[str], addresses: Sequence[str]) -> tuple[HouseholdKey, ...]:
    """List the households that somebody of these surnames belongs to at these addresses (as identifiers write them).

    Distinct and in order. A surname of one letter, or an empty address, makes none.
    """
    names = {folded for surname in surnames if len(folded := fold(surname)) > 1}
    places = {stripped for address in addresses if (stripped := address.strip())}
    return tuple(
        HouseholdKey(SAME_ADDRESS_AND_SURNAME, f"{place}\x1f{name}") for place in sorted(places) for name in sorted(names)
    )


def household_keys_of(profile: Profile) -> tuple[HouseholdKey, ...]:
    """List the households of one record's profile: only a full address, naming one door, makes any."""
    addresses = [identifier.text for identifier in identifiers(profile) if identifier.type is SemanticType.ADDRESS]
    return household_keys(profile.surname, addresses)
