"""Normalise values by what they mean, and gather them into the profile that is blocked, compared and scored."""

from __future__ import annotations

from goldenthread.resolver.normalise.profile import (
    NORMALISER_VERSION,
    IdentifierValue,
    Profile,
    address_text,
    check_value,
    identifier_of,
    identifiers,
    profile_of,
)

__all__ = [
    "NORMALISER_VERSION",
    "IdentifierValue",
    "Profile",
    "address_text",
    "check_value",
    "identifier_of",
    "identifiers",
    "profile_of",
]
