"""Say whether a text can be read as what its attribute means; what can't is kept as it is, and hardly counts."""

from __future__ import annotations

import re

from goldenthread.graph.model import PartialDate, SemanticType
from goldenthread.resolver.normalise import contacts, dates
from goldenthread.resolver.normalise.text import fold, is_placeholder

__all__ = ["READ", "is_readable"]

READ = frozenset({SemanticType.BIRTH_DATE, SemanticType.EMAIL, SemanticType.PHONE})
"""Types of which not every text says something."""

_LAST_DAY = PartialDate(9999, 12, 31)
_USUAL_PHONE = re.compile(r"\+?(?:[ ()/.-]*\d){8,13}")


def is_readable(kind: SemanticType, text: str, default_country: str) -> bool:
    """Say whether a text reads as a date that exists, an email address or a phone number; of other types any text does.

    What people write for none, as n/a, is read as that. A date that lies in the future or too long ago is readable, but
    refused. A phone number of a usual shape is taken at its word, because looking up the numbers of each country takes long.
    """
    if kind not in READ or is_placeholder(fold(text)):
        return True
    if kind is SemanticType.BIRTH_DATE:
        date = dates.parse_date(text, default_country)
        if date is None:
            return False
        rule = dates.broken_date_rule(date, default_country, _LAST_DAY)
        return rule is None or rule.startswith("lies")
    if kind is SemanticType.EMAIL:
        return bool(contacts.email_address(text)) or text.strip().casefold().partition("@")[0] in contacts.PLACEHOLDER_USERS
    if _USUAL_PHONE.fullmatch(text.strip()) or contacts.is_made_up("".join(filter(str.isdecimal, text))):
        return True
    return bool(contacts.phone_number(text, default_country))
