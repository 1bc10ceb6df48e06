"""Know the values that records say: how they are spelt, which are the same, how specific each is."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from goldenthread.graph.model import (
    DOCUMENT_TYPES,
    AttributeValue,
    Document,
    PartialDate,
    Party,
    PersonName,
    PostalAddress,
    RecordContent,
    SemanticType,
    Value,
)
from goldenthread.resolver.normalise.contacts import document_number, email_address, phone_number
from goldenthread.resolver.normalise.dates import birth_date
from goldenthread.resolver.normalise.places import address_line
from goldenthread.resolver.normalise.text import fold, is_placeholder

__all__ = ["GoldenAttribute", "Said", "SourcedRecord", "SourcedValue", "agree", "key_of", "parts_of", "specificity", "spelling"]

_T = SemanticType
_DEPTH = {_T.COUNTRY: 1, _T.REGION: 2, _T.CITY: 3, _T.POSTCODE: 4, _T.STREET: 5, _T.HOUSE_NUMBER: 6, _T.UNIT: 7}
"""How close each part of an address comes to one door."""
_PLACE_DEPTH = (6, 5, 7, 3, 2, 4, 1)
"""The same, in the order of a normalised place."""
_ADDRESS_DEPTH = (5, 6, 7, 3, 2, 4, 1)
"""The same, in the order of a postal address."""


class SourcedRecord(Struct, frozen=True):
    """One record of an identity: its id and what it says, every value typed."""

    record: bytes
    content: RecordContent


class SourcedValue(Struct, frozen=True):
    """A value with the record it comes from, and why it won or lost, in words without personal data.

    A pinned value that no record says comes from no record, only from its `decision`. `records` counts those that agree.
    """

    value: AttributeValue
    record: bytes
    source: str
    party: Party
    observed_at: int
    because: str
    records: int = 0
    is_stale: bool = False
    decision: bytes = b""


class GoldenAttribute(Struct, frozen=True):
    """One attribute: the values that won (none when all stand for no value), the rule, and the values that lost.

    `conflict` says how strong the strongest loser that disagrees is beside the winner, from 0.5 to 1; 0 when none is.
    """

    attribute: str
    values: tuple[SourcedValue, ...]
    rule: str
    losers: tuple[SourcedValue, ...]
    conflict: float = 0.0


class Said(Struct, frozen=True):
    """A value that a record holds; `key` is empty when it stands for no value."""

    value: AttributeValue
    record: SourcedRecord
    spelling: str
    key: str

    def sourced(self, because: str, records: int = 1, is_stale: bool = False, decision: bytes = b"") -> SourcedValue:
        """Give it back with its origin."""
        content = self.record.content
        return SourcedValue(
            self.value, self.record.record, content.source, content.party, content.observed_at, because, records, is_stale,
            decision,
        )  # fmt: skip


def spelling(value: Value) -> str:
    """Write a value as one text; empty when it says nothing."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, PartialDate):
        return f"{value.year:04d}-{value.month:02d}-{value.day:02d}" if value.year or value.month or value.day else ""
    if isinstance(value, Document):
        return f"{value.number} {value.issuer}".strip() if value.number.strip() else ""
    return "\x1f".join(parts_of(value)).strip() if any(part.strip() for part in parts_of(value)) else ""


def parts_of(value: Value) -> tuple[str, ...]:
    """List the parts of a value, each as text."""
    if isinstance(value, str):
        return (value,)
    return tuple(str(getattr(value, field) or "") for field in value.__struct_fields__)


def key_of(value: AttributeValue, default_country: str) -> str:
    """Say what two equal values have in common; empty when the value stands for none, as `n/a` does."""
    kind, content = value.type, value.value
    text = spelling(content)
    if kind is not _T.FREE and is_placeholder(fold(text)):
        return ""
    if kind is _T.BIRTH_DATE and isinstance(content, str | PartialDate):
        return birth_date(content, default_country) or _folded(text)
    if kind is _T.EMAIL:
        return email_address(text) or _folded(text)
    if kind is _T.PHONE:
        return phone_number(text, default_country) or _folded(text)
    if kind in DOCUMENT_TYPES:
        number, issuer = (content.number, content.issuer) if isinstance(content, Document) else (text, "")
        return document_number(kind, number, issuer) or _folded(text)
    if isinstance(content, str):
        return _folded(content)
    return "\x1f".join(map(_folded, parts_of(content)))


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def specificity(said: Sequence[Said]) -> int:
    """Rank how much values pin down: a full date over a year, an address to the door over a city, names over initials."""
    degrees = [_degree(one) for one in said]
    return max(degrees, default=0) * 1_000 + sum(degrees)


def _degree(said: Said) -> int:
    kind, content = said.value.type, said.value.value
    if kind in _DEPTH:
        return _DEPTH[kind]
    if isinstance(content, PostalAddress):
        return _depth(parts_of(content), _ADDRESS_DEPTH)
    if kind is _T.ADDRESS and isinstance(content, str):
        return _depth(address_line(content), _PLACE_DEPTH)
    if kind is _T.BIRTH_DATE and len(dated := said.key.split("-")) == 3:
        return sum(part.strip("0") != "" for part in dated)
    if isinstance(content, PersonName):
        return sum(2 if len(part.strip(". ")) > 1 else 1 for part in parts_of(content) if part.strip())
    if isinstance(content, Document):
        return 2 if content.issuer.strip() else 1
    return len(said.key.split())


def _depth(parts: Sequence[str], depths: Sequence[int]) -> int:
    known = [depth for part, depth in zip(parts, depths, strict=True) if part.strip()]
    return max(known, default=0) * 10 + len(known)


def agree(kind: SemanticType, one: str, other: str) -> bool:
    """Say whether two keys can both be true: one says the same as the other, in less detail."""
    if one == other:
        return True
    if kind is _T.BIRTH_DATE and len(one) == len(other) == 10:
        return all(a == b or "00" in (a, b) for a, b in zip(one.split("-"), other.split("-"), strict=False))
    a, b = (fold(key.replace("\x1f", " ")).split() for key in (one, other))
    few, many = sorted((a, b), key=len)
    return all(any(word == long or (len(word) == 1 and long.startswith(word)) for long in many) for word in few)
