"""Find values that stand for no value: those on a list, and those that the data give away.

Of what should be each one's own, as a phone or a document number, a value that is borne far too often is nobody's.
"""

from __future__ import annotations

from collections.abc import Mapping

from goldenthread.graph.model import DOCUMENT_TYPES, SemanticType
from goldenthread.resolver.normalise import contacts, dates
from goldenthread.resolver.normalise.text import fold, is_placeholder

__all__ = ["LEAST_FREQUENT", "OWN", "far_too_frequent", "is_known_placeholder"]

OWN = DOCUMENT_TYPES | {SemanticType.EMAIL, SemanticType.PHONE}
"""Types whose values are somebody's own, or a few people's."""

LEAST_FREQUENT = 30
_TIMES = 20
"""A value is far too frequent from so many records on, and when it is so many times as frequent as the others on average."""


def is_known_placeholder(kind: SemanticType, text: str) -> bool:
    """Say whether a value is one that people and programs write for none: n/a, 000-00-0000, test@test.com, 1900-01-01."""
    if is_placeholder(fold(text)):
        return bool(text)
    if kind is SemanticType.EMAIL:
        return "@" in text and not contacts.email_address(text) and text.casefold().partition("@")[0].strip() != ""
    if kind is SemanticType.PHONE or kind in DOCUMENT_TYPES:
        kept = "".join(filter(str.isalnum, text.removesuffix(".0")))
        return len(kept) > 3 and contacts.is_made_up(kept)
    if kind is SemanticType.BIRTH_DATE:
        return dates.parse_date(text, "") is not None and not dates.birth_date(text, "")
    return False


def far_too_frequent(counts: Mapping[str, int]) -> list[str]:
    """List the values that far too many people have, by how many have each, the most frequent first; "" is not looked at.

    The bounds are so high that a family does not come near; count each person once, or as nearly so as can be told. A value
    that most have is one whatever the others are.
    """
    ranked = sorted(((count, value) for value, count in counts.items() if value), key=lambda pair: (-pair[0], pair[1]))
    found: list[str] = []
    rest = total = sum(count for count, _ in ranked)
    for place, (count, value) in enumerate(ranked):
        rest -= count
        others = len(ranked) - place - 1
        stands_out = others >= LEAST_FREQUENT and count * others >= _TIMES * rest
        if count < LEAST_FREQUENT or not (stands_out or 2 * count > total):
            break
        found.append(value)
    return found
