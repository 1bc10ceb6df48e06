"""Turn profiles into rows of small integers, so that scoring a batch is arithmetic on columns.

Each comparison numbers the values it meets. A profile's row holds, for each comparison, the number of its one value, NONE, or
SEVERAL. Rows are remembered by the profile object they were made from, since hashing a profile costs more than scoring a pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from goldenthread.resolver.comparisons import MISSING, Comparison
from goldenthread.resolver.normalise import Profile
from goldenthread.resolver.scoring.model import AnyComparison

__all__ = ["NONE", "SEVERAL", "CodedProfiles", "Column"]

F = TypeVar("F")

NONE, SEVERAL = -1, -2
_MOST_VALUES = 1_000_000
"""Numbered values of one comparison after which everything is forgotten and numbered anew."""


class Column(Generic[F]):
    """The values that one comparison met, numbered as they came."""

    def __init__(self, comparison: Comparison[F]) -> None:
        self.comparison = comparison
        self._code_of: dict[F, int] = {}
        self._values: list[F] = []

    def __len__(self) -> int:
        return len(self._values)

    def code(self, profile: Profile) -> int:
        """Number a profile's value."""
        values = self.comparison.values(profile)
        if len(values) != 1:
            return SEVERAL if values else NONE
        code = self._code_of.setdefault(values[0], len(self._values))
        if code == len(self._values):
            self._values.append(values[0])
        return code

    def levels(self, x: NDArray[np.int32], y: NDArray[np.int32]) -> NDArray[np.int8]:
        """Compare pairs of numbered values, each distinct pair once; NONE and SEVERAL give MISSING."""
        found = np.zeros(len(x), np.int8)
        known = np.flatnonzero((x >= 0) & (y >= 0))
        if not len(known):
            return found
        low, high = np.minimum(x[known], y[known]), np.maximum(x[known], y[known])
        packed, inverse = np.unique(low.astype(np.int64) * len(self._values) + high, return_inverse=True)
        first, second = np.divmod(packed, len(self._values))
        values = self._values
        ones, others = [values[i] for i in first.tolist()], [values[i] for i in second.tolist()]
        for place, (one, other) in enumerate(zip(ones, others, strict=True)):
            if other < one:  # a comparison takes the smaller value first
                ones[place], others[place] = other, one
        found[known] = self.comparison.compare_many(ones, others)[inverse]
        return found

    def several(self, a: Profile, b: Profile) -> int:
        """Compare two profiles of which at least one has several values."""
        left, right = self.comparison.values(a), self.comparison.values(b)
        return self.comparison.level(left, right) if left and right else MISSING


class CodedProfiles:
    """Rows of profiles under the comparisons of one model. Not safe for use by several threads at once."""

    def __init__(self, comparisons: Sequence[AnyComparison], remembered: int) -> None:
        self._comparisons, self._remembered = comparisons, remembered
        self._forget()

    def _forget(self) -> None:
        self.columns = [Column(comparison) for comparison in self._comparisons]
        self._rows: dict[int, tuple[Profile, bytes]] = {}

    def rows(self, profiles: Sequence[Profile]) -> NDArray[np.int32]:
        """Give the rows of profiles: shape (profiles, comparisons)."""
        if len(self._rows) > self._remembered or any(len(column) > _MOST_VALUES for column in self.columns):
            self._forget()
        rows, columns = self._rows, self.columns
        parts: list[bytes] = []
        for profile in profiles:
            known = rows.get(id(profile))  # the profile is kept beside its row, so its id can't come to mean another
            if known is None:
                row = np.array([column.code(profile) for column in columns], np.int32).tobytes()
                known = rows[id(profile)] = (profile, row)
            parts.append(known[1])
        return np.frombuffer(b"".join(parts), np.int32).reshape(len(profiles), len(columns))
