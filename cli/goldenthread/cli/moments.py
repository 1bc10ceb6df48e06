"""Read moments as people write them."""

from __future__ import annotations

import datetime as dt

from goldenthread.cli.errors import UsageError

__all__ = ["parse_as_of"]


def parse_as_of(text: str) -> int | dt.datetime | None:
    """Read a revision or an ISO 8601 time (UTC when it names no zone); empty means now.

    Raises UsageError when it is neither.
    """
    if not text:
        return None
    if text.isdecimal() and int(text) > 0:
        return int(text)
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--as-of {text} is no moment.", "Give a revision or a time such as 2025-01-31T12:00.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
