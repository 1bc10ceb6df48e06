"""Decide whether and when a failed call is tried again."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass, replace

from goldenthread.client.errors import DeadlineExceeded, GoldenThreadError, Retryable, StoreFull

__all__ = ["Retry"]

_MOST_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how patiently a retryable failure is tried again; `attempts` counts tries without any progress."""

    attempts: int = 6
    first_wait_seconds: float = 0.1
    longest_wait_seconds: float = 5.0

    def endless(self) -> Retry:
        """Try as patiently, and never give up."""
        return replace(self, attempts=sys.maxsize)

    def wait_seconds(self, failures: int, error: GoldenThreadError, chance: random.Random) -> float | None:
        """Say how long to wait after so many failures in a row, or None to give up.

        Waits double, half of each by chance so that callers do not return in step, and are never shorter than the server asks.
        A deadline that ran out would run out again, and a full store needs somebody's hand: neither is tried again.
        """
        if failures >= self.attempts or not isinstance(error, Retryable) or isinstance(error, (DeadlineExceeded, StoreFull)):
            return None
        ceiling = min(self.longest_wait_seconds, self.first_wait_seconds * 2.0 ** min(max(0, failures - 1), _MOST_DOUBLINGS))
        return max(error.retry_after_seconds, ceiling / 2 + chance.random() * ceiling / 2)
