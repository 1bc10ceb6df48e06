"""Take blocked values out of profiles: a shop's own phone, the address of an office, a birth date that a form fills in.

What is taken out makes no candidates, is no evidence and no identifier; the record keeps it as its source said it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Final, cast

from msgspec.structs import replace

from goldenthread.graph.model import DOCUMENT_TYPES, AttributeValue, SemanticType
from goldenthread.resolver.normalise import Profile, address_text, profile_of
from goldenthread.resolver.normalise.places import Place

__all__ = ["BLOCKABLE", "Blocker", "blocked_text"]

_FIELDS: Final[Mapping[SemanticType, str]] = {
    SemanticType.EMAIL: "emails",
    SemanticType.PHONE: "phones",
    SemanticType.ADDRESS: "addresses",
    SemanticType.BIRTH_DATE: "birth_dates",
    SemanticType.GIVEN_NAME: "given",
    SemanticType.SURNAME: "surname",
    SemanticType.ORGANISATION_NAME: "organisations",
    **dict.fromkeys(DOCUMENT_TYPES, "documents"),
}

BLOCKABLE: Final = {kind.name.lower(): kind for kind in _FIELDS}
"""Types of values that can be blocked, by name."""


def _text_of(kind: SemanticType, value: Hashable) -> str:
    """Write a normalised value as the text it is blocked by; of a number whatever issuer it has."""
    if kind is SemanticType.ADDRESS:
        return address_text(cast(Place, value))
    if kind in DOCUMENT_TYPES:
        return cast("tuple[int, str]", value)[1].partition("|")[2]
    return cast(str, value)


def blocked_text(kind: SemanticType, value: str, default_country: str) -> str | None:
    """Normalise a value that is to be blocked; None when it can't be read as its type."""
    found = getattr(profile_of([AttributeValue("", kind, value)], default_country), _FIELDS[kind])
    return _text_of(kind, found[0]) if found else None


class Blocker:
    """Know which values are blocked: for each type that has any, a function that says so of a normalised text."""

    def __init__(self, is_blocked: Mapping[SemanticType, Callable[[str], bool]]) -> None:
        self._is_blocked = is_blocked
        self._by_field: dict[str, list[SemanticType]] = {}
        for kind in sorted(is_blocked):
            self._by_field.setdefault(_FIELDS[kind], []).append(kind)

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields of profiles that may hold blocked values."""
        return tuple(self._by_field)

    def left(self, field: str, values: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
        """Answer the values of a field that are not blocked; the same object when none is."""
        kept = tuple(value for value in values if not self._blocks(field, value))
        return kept if len(kept) < len(values) else values

    def _blocks(self, field: str, value: Hashable) -> bool:
        for kind in self._by_field[field]:
            if field == "documents" and cast("tuple[int, str]", value)[0] != kind:
                continue
            if self._is_blocked[kind](_text_of(kind, value)):
                return True
        return False

    def cleaned(self, profile: Profile) -> Profile:
        """Answer a profile without blocked values; the same object when it has none."""
        changes: dict[str, tuple[Hashable, ...]] = {}
        for field in self._by_field:
            values = getattr(profile, field)
            if values and (kept := self.left(field, values)) is not values:
                changes[field] = kept
        return replace(profile, **changes) if changes else profile
