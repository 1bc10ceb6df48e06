"""Callers from whom some people are hidden."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from goldenthread.graph.model import PiiCategory
from goldenthread.graph.store import Reader

__all__ = ["SightWithout"]


class SightWithout:
    """See everybody but some."""

    sees_everybody = False

    def __init__(self, *hidden: bytes) -> None:
        self.hidden = hidden
        self.categories: Collection[PiiCategory] = frozenset(PiiCategory)

    async def identities(self, reader: Reader, ids: Sequence[bytes]) -> frozenset[bytes]:
        return frozenset(ids) - frozenset(self.hidden)
