"""Hold callers to what they may use: calls and records a second, calls at the same time, bytes a record.

A call over its limit is refused with the time to wait. A stream is slowed instead: its records wait for their turn, and gRPC's
flow control holds back the sender.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from google.protobuf.message import Message

from goldenthread.server.access import Caller
from goldenthread.server.config import Config
from goldenthread.server.errors import RateLimited, TooLarge

__all__ = ["Limiter", "TokenBucket", "check_record_size"]

_CALLERS: Final = 10_000
_BUSY_RETRY_MS: Final = 100


class TokenBucket:
    """Allow `rate` tokens a second, and at once what gathered in a second (at least one).

    Times are seconds of any steady clock.
    """

    def __init__(self, rate: float, now: float) -> None:
        self._rate, self._burst = rate, max(rate, 1.0)
        self._tokens, self._at = self._burst, now

    def take(self, count: int, now: float) -> float:
        """Take tokens if there are enough; else take none and say how many seconds until there are."""
        self._refill(now)
        needed = min(float(count), self._burst)
        if self._tokens >= needed:
            self._tokens -= count
            return 0.0
        return (needed - self._tokens) / self._rate

    def borrow(self, count: int, now: float) -> float:
        """Take tokens, into debt if need be, and say how many seconds to wait before using them."""
        self._refill(now)
        self._tokens -= count
        return max(0.0, -self._tokens / self._rate)

    def _refill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now


class Limiter:
    """Count what callers use, in memory of this process."""

    def __init__(self, config: Config, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._most, self._running = config.max_concurrent_calls, 0
        self._calls = _Buckets(config.max_calls_per_second)
        self._records = _Buckets(config.max_records_per_second)

    @contextmanager
    def call(self, caller: Caller) -> Iterator[None]:
        """Hold a place for one call.

        Raises:
            RateLimited: the caller started too many, or too many run.
        """
        if self._most and self._running >= self._most:
            raise RateLimited(_BUSY_RETRY_MS)
        _refuse_if(self._calls.take(caller, 1, self._clock()))
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    def admit_records(self, caller: Caller, count: int) -> None:
        """Admit the records of one call.

        Raises:
            RateLimited: the caller put too many.
        """
        _refuse_if(self._records.take(caller, count, self._clock()))

    async def slow_records(self, caller: Caller, count: int) -> None:
        """Wait until the records of one message of a stream have their turn."""
        wait = self._records.borrow(caller, count, self._clock())
        if wait > 0:
            await asyncio.sleep(wait)


class _Buckets:
    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._buckets: OrderedDict[tuple[str, str], TokenBucket] = OrderedDict()

    def take(self, caller: Caller, count: int, now: float) -> float:
        return self._of(caller, now).take(count, now) if self._rate else 0.0

    def borrow(self, caller: Caller, count: int, now: float) -> float:
        return self._of(caller, now).borrow(count, now) if self._rate else 0.0

    def _of(self, caller: Caller, now: float) -> TokenBucket:
        key = (caller.tenant, caller.subject)
        bucket = self._buckets.setdefault(key, TokenBucket(self._rate, now))
        self._buckets.move_to_end(key)
        if len(self._buckets) > _CALLERS:
            self._buckets.popitem(last=False)
        return bucket


def check_record_size(record: Message, limit: int) -> None:
    """Check a record's encoded size in bytes.

    Raises:
        TooLarge: it is over the limit.
    """
    size = record.ByteSize()
    if size > limit:
        raise TooLarge("record", limit, size)


def _refuse_if(wait: float) -> None:
    if wait > 0:
        raise RateLimited(max(1, round(wait * 1000)))
