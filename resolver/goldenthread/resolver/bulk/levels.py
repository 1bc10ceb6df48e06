"""Compare pairs of profiles held in columns: each distinct pair of values once, and the surely different ones not at all.

Levels are exactly those of `Comparison.level`. A pair of equal values has the level of the value with itself; whether two are
surely different is told from sketches of the texts (see `sketches`); only what is left goes to the comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from operator import gt
from threading import Lock
from typing import Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from goldenthread.resolver.bulk.derived import lone_names, whole_names
from goldenthread.resolver.bulk.frame import Feature, Frame
from goldenthread.resolver.bulk.numbering import factorise, united
from goldenthread.resolver.bulk.sketches import Sketch, sketch_of
from goldenthread.resolver.bulk.threads import together
from goldenthread.resolver.comparisons import (
    MISSING,
    BirthDate,
    Category,
    Comparison,
    Email,
    LoneName,
    Name,
    Phone,
    Text,
    WholeName,
)
from goldenthread.resolver.scoring.frequencies import Lookup

__all__ = ["CHUNK", "ColumnLevels", "FrameLevels", "known_of", "levels_of"]

F = TypeVar("F", bound=Hashable)
Levels = NDArray[np.int8]
Codes = NDArray[np.int32]

_UNKNOWN = -1
_REMEMBERED = 2048
"""The values met first whose levels with each other are kept in a square."""

_NOTHING = 127
_PART = 1 << 17
"""Pairs that one of several threads compares at a time."""

CHUNK = 1 << 18
"""Pairs compared at a time: what is worked out of them stays near the processor."""


class ColumnLevels(Generic[F]):
    """The levels of one comparison between the values of one feature.

    Several threads may ask at once: what is remembered is the same whoever finds it.
    """

    def __init__(self, comparison: Comparison[F], feature: Feature[F]) -> None:
        self.comparison, self.feature = comparison, feature
        self._sketch: Sketch | None = None
        self._is_ready, self._making = False, Lock()
        self._own = np.full(len(feature.values), _UNKNOWN, np.int8)
        self._side = min(_REMEMBERED, len(feature.values))
        self._square = np.full(self._side * self._side, _UNKNOWN, np.int8)

    def levels(self, left: NDArray[np.integer], right: NDArray[np.integer]) -> Levels:
        """Compare pairs of rows."""
        x, y = self.feature.codes.take(left), self.feature.codes.take(right)
        known = np.flatnonzero((x > 0) & (y > 0))
        if len(known) == len(x):
            return self._known(x, y)
        out = np.zeros(len(x), np.int8)
        out[known] = self._known(x.take(known), y.take(known))
        return out

    def _known(self, x: Codes, y: Codes) -> Levels:
        """Compare entries that have values."""
        return self._single(x - 1, y - 1) if self.feature.starts is None else self._several(x, y)

    def _several(self, x: Codes, y: Codes) -> Levels:
        """Compare entries of several values: the strongest level of any with any."""
        starts, members = self.feature.bounds()
        sizes = self.feature.sizes()
        found = np.empty(len(x), np.int8)
        one = (sizes[x] == 1) & (sizes[y] == 1)
        plain = np.flatnonzero(one)
        found[plain] = self._single(members[starts[x[plain]]], members[starts[y[plain]]])
        rest = np.flatnonzero(~one)
        if not len(rest):
            return found
        entries = len(sizes)
        low, high = np.minimum(x[rest], y[rest]).astype(np.int64), np.maximum(x[rest], y[rest])
        keys = low * entries + high
        number, first_of = factorise(keys)
        a, b = np.divmod(keys[first_of], entries)
        wide = sizes[b]
        counts = sizes[a] * wide
        which = np.repeat(np.arange(len(a)), counts)
        offsets = np.cumsum(counts) - counts
        within = np.arange(len(which)) - offsets[which]
        first, second = np.divmod(within, wide[which])
        levels = self._single(members[starts[a[which]] + first], members[starts[b[which]] + second])
        best = np.minimum.reduceat(np.where(levels == MISSING, _NOTHING, levels).astype(np.int8), offsets)
        found[rest] = np.where(best == _NOTHING, MISSING, best).astype(np.int8)[number]
        return found

    def _single(self, x: Codes, y: Codes) -> Levels:
        """Compare pairs of values by number."""
        found = np.empty(len(x), np.int8)
        equal = x == y
        same = np.flatnonzero(equal)
        if len(same):
            found[same] = self._same(x.take(same))
        rest = np.flatnonzero(~equal)
        if not len(rest):
            return found
        x, y = x.take(rest), y.take(rest)
        levels = self._remembered(x, y)
        open_ = np.flatnonzero(levels == _UNKNOWN)
        if len(open_) and (sketch := self.ready()) is not None:
            levels[open_] = sketch.quickly(x.take(open_), y.take(open_))
            open_ = np.flatnonzero(levels == _UNKNOWN)
        if len(open_):
            levels[open_] = self._unequal(x.take(open_), y.take(open_))
        found[rest] = levels
        return found

    def ready(self) -> Sketch | None:
        """Make the sketch, when the first pair needs it or before."""
        if not self._is_ready:
            with self._making:
                sketches, kind = self.feature.sketches, self.comparison.kind
                if kind not in sketches:
                    sketches[kind] = sketch_of(self.comparison, self.feature.values)
                self._sketch = cast("Sketch | None", sketches[kind])
                self._is_ready = True
        return self._sketch

    def _same(self, codes: Codes) -> Levels:
        """Compare values with themselves."""
        levels = self._own.take(codes)
        unknown = np.flatnonzero(levels == _UNKNOWN)
        if len(unknown):
            fresh = united([codes.take(unknown)])
            self._own[fresh] = _with_themselves(self.comparison, self.feature.some(fresh))
            levels[unknown] = self._own.take(codes.take(unknown))
        return levels

    def _remembered(self, x: Codes, y: Codes) -> Levels:
        side = self._side
        if side == len(self.feature.values):
            found: Levels = self._square.take(x * side + y)
            return found
        inside = np.flatnonzero((x < side) & (y < side))
        levels = np.full(len(x), _UNKNOWN, np.int8)
        levels[inside] = self._square.take(x.take(inside) * side + y.take(inside))
        return levels

    def _unequal(self, x: Codes, y: Codes) -> Levels:
        """Compare pairs of different values, each once; a comparison takes the smaller value first."""
        size = len(self.feature.values)
        low, high = np.minimum(x, y).astype(np.int64), np.maximum(x, y)
        keys = low * size + high
        number, first_of = factorise(keys)
        first, second = np.divmod(keys[first_of], size)
        sketch = self.ready()
        if sketch is None or sketch.closely is None:
            levels = self._asked(first, second)
        else:
            levels = sketch.closely(first, second)
            open_ = np.flatnonzero(levels == _UNKNOWN)
            levels[open_] = self._asked(first[open_], second[open_])
        inside = np.flatnonzero(second < self._side)
        first, second, kept = first.take(inside), second.take(inside), levels.take(inside)
        self._square[first * self._side + second] = kept
        self._square[second * self._side + first] = kept
        found: Levels = levels.take(number)
        return found

    def _asked(self, x: NDArray[np.int64], y: NDArray[np.int64]) -> Levels:
        """Ask the comparison, the smaller value of each pair first."""
        xs, ys = self.feature.some(x), self.feature.some(y)
        for i in np.flatnonzero(np.fromiter(map(gt, xs, ys), np.bool_, len(xs))).tolist():  # type: ignore[arg-type]  # str or tuples of str
            xs[i], ys[i] = ys[i], xs[i]
        return self.comparison.compare_many(xs, ys)


class FrameLevels:
    """The levels of several comparisons between the profiles of a frame."""

    def __init__(self, comparisons: Sequence[Comparison], frame: Frame) -> None:  # type: ignore[type-arg]  # of any values
        self.columns = [ColumnLevels(c, feature_of(c, frame)) for c in comparisons]

    def levels(self, left: NDArray[np.integer], right: NDArray[np.integer]) -> Levels:
        """Compare pairs of rows; shape (pairs, comparisons)."""
        out = np.empty((len(left), len(self.columns)), np.int8, order="F")
        for k, column in enumerate(self.columns):
            out[:, k] = column.levels(left, right)
        return out

    def known(self, rows: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Say which comparisons rows have something for; shape (rows, comparisons)."""
        return known_of(self.columns, rows)


def levels_of(columns: Sequence[ColumnLevels], left: NDArray[np.integer], right: NDArray[np.integer]) -> Levels:  # type: ignore[type-arg]  # of any values
    """Compare pairs of rows by several comparisons, some pairs beside others; shape (pairs, comparisons)."""
    out = np.empty((len(left), len(columns)), np.int8, order="F")

    def write(part: slice) -> None:
        for k, column in enumerate(columns):
            out[part, k] = column.levels(left[part], right[part])

    # Each thread has all columns of some pairs: with some columns of all pairs, threads wait for each other.
    together(partial(write, slice(start, start + _PART)) for start in range(0, len(left), _PART))
    return out


def known_of(columns: Sequence[ColumnLevels], rows: NDArray[np.integer] | slice) -> NDArray[np.bool_]:  # type: ignore[type-arg]  # of any values
    """Say which of several comparisons rows have something for; shape (rows, comparisons)."""
    return np.stack([column.feature.codes[rows] > 0 for column in columns], axis=1)


_AS_RARE_AS_IT_IS = frozenset({Name, BirthDate, Email, Phone, Text, Category})
"""Comparisons to which a value compared with itself is an exact agreement on that value."""


def _with_themselves(comparison: Comparison[F], values: Sequence[F]) -> Levels:
    """Compare values with themselves."""
    rarity, compare = comparison.rarity, comparison.compare
    if type(comparison) is WholeName:
        return np.full(len(values), comparison.levels.index("straight"), np.int8)
    if type(comparison) in _AS_RARE_AS_IT_IS and isinstance(rarity, Lookup):
        return np.asarray(rarity.bins_of(cast("Sequence[str]", values)), np.int8) + np.int8(1)
    return np.fromiter((compare(v, v) for v in values), np.int8, len(values))


def feature_of(comparison: Comparison[F], frame: Frame) -> Feature[F]:
    """Work out what a comparison looks at for all profiles; of `others` it may read those under its own name."""
    read = cast("Callable[..., Sequence[F]]", comparison.values)
    written = _WRITTEN_AT_ONCE.get(type(comparison))
    at_once = cast("Callable[[], Feature[F] | None]", lambda: written(frame) if written is not None else None)
    return frame.derive(read, comparison.name, f"{comparison.kind} comparison", at_once)


_WRITTEN_AT_ONCE: dict[type, Callable[[Frame], Feature[str] | None]] = {WholeName: whole_names, LoneName: lone_names}
