"""Normalise email addresses, phone numbers and document numbers."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import phonenumbers

from goldenthread.graph.model import SemanticType
from goldenthread.resolver.normalise.national_numbers import national_number
from goldenthread.resolver.normalise.text import CACHE_SIZE, fold, is_placeholder

__all__ = [
    "GUESSABLE",
    "NORTH_AMERICA",
    "PLACEHOLDER_USERS",
    "document_number",
    "email_address",
    "is_made_up",
    "mailbox",
    "phone_number",
]

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")
PLACEHOLDER_USERS = frozenset(
    {
        "test", "noemail", "no-email", "no.email", "nomail", "no-mail", "none", "na", "n/a", "unknown", "noreply", "no-reply",
        "donotreply", "nobody", "null", "keine", "unbekannt", "xxx",
    }
)  # fmt: skip
DOTS_IGNORED = frozenset({"gmail.com", "googlemail.com"})
_E164 = re.compile(r"\+[1-9]\d{7,14}")
_NORTH_AMERICAN = re.compile(r"(\+1[ .-]?)?\(?([2-9]\d\d)(?:\) ?|[ .-]?)([2-9]\d\d)[ .-]?(\d{4})")
NORTH_AMERICA = frozenset({"US", "CA"})
GUESSABLE = frozenset({"1234567890", "0123456789", "123456789", "987654321", "9876543210"})


@lru_cache(CACHE_SIZE)
def email_address(text: str) -> str:
    """Normalise an email address to lower case; empty when it is none or stands for none."""
    lowered = unicodedata.normalize("NFKC", text).strip().strip("<>\"'").casefold().removeprefix("mailto:").rstrip(".")
    if not _EMAIL.fullmatch(lowered):
        return ""
    return "" if lowered.partition("@")[0] in PLACEHOLDER_USERS else lowered


@lru_cache(CACHE_SIZE)
def mailbox(email: str) -> tuple[str, str]:
    """Split a normalised address into the user, without a plus tag (at Gmail also without dots), and the domain."""
    user, _, domain = email.partition("@")
    user = user.partition("+")[0] or user
    if domain in DOTS_IGNORED:
        return user.replace(".", "") or user, "gmail.com"
    return user, domain


def is_made_up(number: str) -> bool:
    """Say whether a number without separators is one that people write for none: one digit all along, or all in order."""
    return len(set(number)) == 1 or number in GUESSABLE


@lru_cache(CACHE_SIZE)
def phone_number(text: str, default_country: str) -> str:
    """Normalise a phone number to E.164, read as of `default_country`; empty when it cannot be one."""
    stripped = text.strip()
    digits = "".join(filter(str.isdecimal, stripped))
    if len(digits) < 7 or is_made_up(digits) or len(stripped) > 40:
        return ""
    if _E164.fullmatch(stripped):
        return stripped
    # The commonest shape needs no table; what phonenumbers makes of it is the same.
    found = _NORTH_AMERICAN.fullmatch(stripped)
    if found and stripped.isascii() and (found[1] or default_country in NORTH_AMERICA):
        return f"+1{found[2]}{found[3]}{found[4]}"
    plain = national_number(stripped, default_country)
    if plain is not None:
        return plain
    try:
        parsed = phonenumbers.parse(stripped, default_country or None)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_possible_number(parsed):
        return ""
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(CACHE_SIZE)
def document_number(type: SemanticType, number: str, issuer: str) -> str:
    """Normalise a number with its issuer to `ISSUER|NUMBER`; empty when too short or all one character.

    Devices keep their case: a cookie id is case-sensitive.
    """
    kept = "".join(c for c in unicodedata.normalize("NFKC", number.strip().removesuffix(".0")) if c.isalnum())
    if type is not SemanticType.DEVICE:
        kept = kept.upper()
    if not 4 <= len(kept) <= 200 or is_made_up(kept) or is_placeholder(fold(number)):
        return ""
    return f"{fold(issuer).upper()}|{kept}"
