"""Say what a caller may see: the one place where answers, ids and counts are filtered by who asks.

Today a caller sees every identity of the tenant, and in bulk the categories of its role. Services ask the engine for a caller's
sight (`Engine.sight_of`), so that another one is put in one place. Who sees everybody says so, and pays for no filter.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Protocol

from goldenthread.graph.model import PiiCategory
from goldenthread.graph.store import Reader
from goldenthread.server.access import Caller, Role

__all__ = ["EVERYBODY", "RoleSight", "Sight"]

_READER: Final = frozenset({PiiCategory.NONE, PiiCategory.PERSONAL})
_SEEN: Final[dict[Role, frozenset[PiiCategory]]] = {
    "reader": _READER,
    "writer": _READER | {PiiCategory.CONTACT},
    "admin": frozenset(PiiCategory),
}


class Sight(Protocol):
    """What somebody may see."""

    @property
    def categories(self) -> Collection[PiiCategory]:
        """Categories of attributes that are given whole in bulk."""
        ...

    @property
    def sees_everybody(self) -> bool:
        """Whether every identity of the tenant may be seen, so that nobody needs to be asked for."""
        ...

    async def identities(self, reader: Reader, ids: Sequence[bytes]) -> frozenset[bytes]:
        """Say which of these identities may be seen, or even counted."""
        ...


class _Everybody:
    categories: Collection[PiiCategory] = frozenset(PiiCategory)
    sees_everybody = True

    async def identities(self, reader: Reader, ids: Sequence[bytes]) -> frozenset[bytes]:
        """Let every identity of the tenant be seen."""
        return frozenset(ids)


class RoleSight(_Everybody):
    """What a role may see: everybody, and in bulk the categories of the role."""

    def __init__(self, caller: Caller) -> None:
        self.categories = _SEEN[caller.role]


EVERYBODY: Final[Sight] = _Everybody()
"""What the service itself sees, where it works for no caller."""
