"""Read relationships that records state, and say what they are seen from the other side."""

from __future__ import annotations

import re
from collections.abc import Iterable

from goldenthread.graph.model import Relationship, RelationshipKind

__all__ = ["FAMILY", "INVERSES", "kinds_of", "mask_of", "read_relationship"]

_K = RelationshipKind
_WORDS = {
    **dict.fromkeys(("spouse", "husband", "wife", "partner"), _K.SPOUSE),
    **dict.fromkeys(("parent", "mother", "father"), _K.PARENT),
    **dict.fromkeys(("child", "son", "daughter"), _K.CHILD),
    **dict.fromkeys(("sibling", "brother", "sister"), _K.SIBLING),
    **dict.fromkeys(("guardian",), _K.GUARDIAN),
    **dict.fromkeys(("ward",), _K.WARD),
    **dict.fromkeys(("employer",), _K.EMPLOYER),
    **dict.fromkeys(("employee",), _K.EMPLOYEE),
    **dict.fromkeys(("other", "relationship"), _K.OTHER),
}
_RECORD = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]{0,99}):(\S.{0,999})", re.DOTALL)

FAMILY = frozenset({_K.SPOUSE, _K.PARENT, _K.CHILD, _K.GUARDIAN, _K.WARD})
"""Relationships that make a household."""

INVERSES = {
    _K.SPOUSE: _K.SPOUSE,
    _K.PARENT: _K.CHILD,
    _K.CHILD: _K.PARENT,
    _K.SIBLING: _K.SIBLING,
    _K.GUARDIAN: _K.WARD,
    _K.WARD: _K.GUARDIAN,
    _K.EMPLOYER: _K.EMPLOYEE,
    _K.EMPLOYEE: _K.EMPLOYER,
    _K.OTHER: _K.OTHER,
}
"""What one is to the other, when the other is this to the one."""


def read_relationship(attribute: str, text: str) -> Relationship | None:
    """Read a relationship as text: `spouse:crm:42` names a record, `spouse:Ann Lee` a person; None when it says nothing.

    Where no known word comes first, the attribute's own name is looked at, so that a column `spouse` may hold `crm:42`.
    """
    word, colon, rest = text.partition(":")
    kind = _WORDS.get(word.strip().lower()) if colon else None
    if kind is None:
        kind, rest = _WORDS.get(attribute.lower(), _K.OTHER), text
    rest = rest.strip()
    if not rest:
        return None
    found = _RECORD.fullmatch(rest)
    return Relationship(kind, found[1], found[2].strip()) if found else Relationship(kind, name=rest)


def mask_of(kinds: Iterable[RelationshipKind]) -> int:
    """Write kinds as bits of one number."""
    return sum(1 << kind for kind in set(kinds))


def kinds_of(mask: int) -> list[RelationshipKind]:
    """Read kinds from the bits of a number."""
    return [kind for kind in RelationshipKind if mask >> kind & 1]
