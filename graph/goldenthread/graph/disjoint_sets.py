"""Join things into sets, pair by pair."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["DisjointSets"]

T = TypeVar("T", bound=Hashable)


class DisjointSets(Generic[T]):
    """Sets that share nothing (Tarjan, 1975, with paths halved); what was never joined is a set by itself."""

    def __init__(self) -> None:
        self._parent: dict[T, T] = {}

    def join(self, one: T, other: T) -> None:
        """Make one set of those that these two are in."""
        self._parent[self.root(one)] = self.root(other)

    def root(self, thing: T) -> T:
        """Name the set that a thing is in by one of its own; joining may change the name."""
        parent = self._parent
        while (above := parent.get(thing, thing)) != thing:
            parent[thing] = thing = parent.get(above, above)
        return thing
