"""Say how far a reader of the events has come."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

__all__ = ["Position"]

_WHOLE: Final = (1 << 31) - 1
"""Index after every event of a commit."""


class Position(Struct, frozen=True, order=True, array_like=True):
    """A place among all events: after the one of this revision and index."""

    revision: int = 0
    index: int = _WHOLE

    @classmethod
    def after(cls, revision: int) -> Position:
        """Stand after all events of a revision."""
        return cls(revision, _WHOLE)

    def __str__(self) -> str:
        return str(self.revision) if self.index == _WHOLE else f"{self.revision}-{self.index}"
