"""Compare dates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from rapidfuzz.distance import OSA
from rapidfuzz.process import cpdist

from goldenthread.resolver.comparisons.comparison import BINS, EXACT, Levels, TextComparison, exact_levels, pair_codes

__all__ = ["BirthDate"]


class BirthDate(TextComparison):
    """Compare dates `YYYY-MM-DD`, 00 for unknown parts.

    `partial`: what both know agrees. `typo`: one digit, or two next to each other swapped. `swapped`: day for month.
    `two_parts`: two of year, month and day agree. `year`: only the year does. `near`: a year apart.
    """

    kind = "birth_date"
    levels = ("missing", *EXACT, "partial", "typo", "swapped", "two_parts", "year", "near", "different")
    expected: ClassVar[Mapping[str, float]] = {
        "exact": 0.85, "partial": 0.02, "typo": 0.06, "swapped": 0.01, "two_parts": 0.02, "year": 0.005, "near": 0.005,
        "different": 0.03,
    }  # fmt: skip

    def compare(self, x: str, y: str) -> int:
        """Compare two normalised dates."""
        if x == y:
            return 1 + self.rarity(x)
        (xy, xm, xd), (yy, ym, yd) = (x[:4], x[5:7], x[8:]), (y[:4], y[5:7], y[8:])
        if xd == "00" or yd == "00":
            if xy == yy and (xm == ym or "00" in (xm, ym)):
                return BINS + 1
        elif OSA.distance(x, y, score_cutoff=1) <= 1:
            return BINS + 2
        elif xy == yy and xm == yd and xd == ym:
            return BINS + 3
        if (xy == yy) + (xm == ym) + (xd == yd) >= 2:
            return BINS + 4
        if xy == yy:
            return BINS + 5
        return BINS + 6 if abs(int(xy) - int(yy)) <= 1 else BINS + 7

    def compare_many(self, xs: Sequence[str], ys: Sequence[str]) -> Levels:
        """Compare pairs of normalised dates."""
        values, x, y = pair_codes(xs, ys)
        year, month, day = (np.fromiter((int(v[part]) for v in values), np.int64, len(values)) for part in _PARTS)
        (xy, xm, xd), (yy, ym, yd) = (year[x], month[x], day[x]), (year[y], month[y], day[y])
        same_year, same_month, same_day = xy == yy, xm == ym, xd == yd
        unknown = (xd == 0) | (yd == 0)
        found = np.full(len(xs), BINS + 7, np.int8)
        found[np.abs(xy - yy) <= 1] = BINS + 6
        found[same_year] = BINS + 5
        found[same_year.astype(np.int8) + same_month + same_day >= 2] = BINS + 4
        found[~unknown & same_year & (xm == yd) & (xd == ym)] = BINS + 3
        # A typo leaves two parts as they are.
        perhaps = np.flatnonzero(~unknown & (x != y) & (found == BINS + 4))
        if len(perhaps):
            rows = perhaps.tolist()
            near = cpdist([xs[i] for i in rows], [ys[i] for i in rows], scorer=OSA.distance, score_cutoff=1, dtype=np.int32)
            found[perhaps[near <= 1]] = BINS + 2
        found[unknown & same_year & (same_month | (xm == 0) | (ym == 0))] = BINS + 1
        exact_levels(self, found, values, x, y)
        return found


_PARTS = (slice(0, 4), slice(5, 7), slice(8, None))
