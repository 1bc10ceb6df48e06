"""Remember the weights of all pairs of profiles in large components, so that a record that joins one is weighed by itself.

A table belongs to one model and never goes stale: it is about profiles, by their digests, whoever has them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.resolver.normalise import Profile

__all__ = ["PairWeights", "Weighing"]

_MOST_CELLS = 8_000_000


class Weighing(Protocol):
    """What weighs pairs of profiles."""

    def weights(self, profiles: Sequence[Profile], left: NDArray[np.int32], right: NDArray[np.int32]) -> NDArray[np.int64]:
        """Weigh the pairs (profiles[left[i]], profiles[right[i]])."""
        ...


class _Table(Struct):
    place: dict[bytes, int]
    matrix: NDArray[np.int64]


class PairWeights:
    """Tables of weights, up to a number of cells (8 bytes each); those used last stay. Threads may share it."""

    def __init__(self, most_cells: int = _MOST_CELLS) -> None:
        self._most_cells = most_cells
        self._cells = 0
        self._tables: OrderedDict[int, _Table] = OrderedDict()
        self._table_of: dict[bytes, int] = {}
        self._number = 0
        self._lock = Lock()

    def table(self, scorer: Weighing, digests: Sequence[bytes], profiles: Sequence[Profile]) -> NDArray[np.int64]:
        """Give the symmetric matrix of weights of distinct profiles, by place; the diagonal is 0. It must not be written to."""
        with self._lock:
            known = self._find(digests)
        at = np.array([known.place.get(digest, -1) if known is not None else -1 for digest in digests], dtype=np.int64)
        matrix = np.zeros((len(digests), len(digests)), dtype=np.int64)
        old = np.flatnonzero(at >= 0)
        if known is not None and len(old):
            if len(old) == len(digests) == len(known.place) and np.array_equal(at, np.arange(len(at))):
                return known.matrix
            matrix[np.ix_(old, old)] = known.matrix[np.ix_(at[old], at[old])]
        left, right = (side.astype(np.int32) for side in np.triu_indices(len(digests), 1))
        fresh = (at[left] < 0) | (at[right] < 0)
        left, right = left[fresh], right[fresh]
        if len(left):
            matrix[left, right] = matrix[right, left] = scorer.weights(profiles, left, right)
        with self._lock:
            self._keep(_Table({digest: i for i, digest in enumerate(digests)}, matrix))
        return matrix

    def _find(self, digests: Sequence[bytes]) -> _Table | None:
        """Find the table that has the first known of some profiles."""
        number = next((self._table_of[digest] for digest in digests if digest in self._table_of), None)
        if number is None:
            return None
        self._tables.move_to_end(number)
        return self._tables[number]

    def _keep(self, table: _Table) -> None:
        self._number += 1
        # Whatever shared a profile with it is part of it now, or the component came apart: it is made anew when it is met.
        for number in {self._table_of[digest] for digest in table.place if digest in self._table_of}:
            self._drop(number)
        self._tables[self._number] = table
        self._cells += table.matrix.size
        self._table_of.update(dict.fromkeys(table.place, self._number))
        while self._cells > self._most_cells and len(self._tables) > 1:
            self._drop(next(iter(self._tables)))

    def _drop(self, number: int) -> None:
        table = self._tables.pop(number)
        self._cells -= table.matrix.size
        for digest in table.place:
            if self._table_of.get(digest) == number:
                del self._table_of[digest]
