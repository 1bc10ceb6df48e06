"""Read when records were observed, as a column of a file says it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from goldenthread.resolver.bulk.errors import ValueInvalid
from goldenthread.resolver.bulk.text_column import TextColumn

__all__ = ["observed_times"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def observed_times(texts: Sequence[str], column: str) -> NDArray[np.int64]:
    """Read dates or times as ISO 8601 writes them into microseconds since 1970; those without a zone are UTC.

    Raises:
        ValueInvalid: one is missing or no such time, by its record's number.
    """
    coded = TextColumn.of(texts)
    times = np.zeros(len(coded.distinct_texts), np.int64)
    used = np.unique(coded.codes)
    words = coded.words()
    for code in used.tolist():
        try:
            found = datetime.fromisoformat(words[code].strip())
        except ValueError:
            row = int(np.flatnonzero(coded.codes == code)[0]) + 1
            raise ValueInvalid(
                f"record {row} does not say when it was observed",
                "write it as 2026-01-31 or 2026-01-31T12:30:00Z",
                column=column,
            ) from None
        times[code] = (found.replace(tzinfo=found.tzinfo or UTC) - _EPOCH) // _MICROSECOND
    return times[coded.codes]
