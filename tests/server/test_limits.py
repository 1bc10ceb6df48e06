"""Limits: who is refused, who is slowed, and for how long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldenthread.server.access import Caller
from goldenthread.server.config import Config
from goldenthread.server.errors import RateLimited, TooLarge
from goldenthread.server.limits import Limiter, TokenBucket, check_record_size
from goldenthread.v1.record_pb2 import Record

CRM = Caller("crm", "acme", "writer")
SHOP = Caller("shop", "acme", "writer")


def test_without_limits_nothing_is_refused() -> None:
    limiter = Limiter(Config(), clock=lambda: 0.0)

    for _ in range(2000):
        with limiter.call(CRM):
            limiter.admit_records(CRM, 1)


def test_a_caller_over_its_calls_is_told_when_to_come_back() -> None:
    now = 0.0
    limiter = Limiter(Config(max_calls_per_second=2), clock=lambda: now)
    for _ in range(2):
        with limiter.call(CRM):
            pass

    with pytest.raises(RateLimited) as caught, limiter.call(CRM):
        pass

    now += caught.value.retry_after_ms / 1000
    with limiter.call(CRM):
        pass


def test_one_caller_does_not_use_up_anothers_calls() -> None:
    limiter = Limiter(Config(max_calls_per_second=1), clock=lambda: 0.0)
    with limiter.call(CRM):
        pass

    with limiter.call(SHOP):
        pass


def test_calls_at_the_same_time_are_bounded_and_freed() -> None:
    limiter = Limiter(Config(max_concurrent_calls=1), clock=lambda: 0.0)

    with limiter.call(CRM), pytest.raises(RateLimited), limiter.call(SHOP):
        pass

    with limiter.call(SHOP):
        pass


def test_a_refused_record_takes_nothing() -> None:
    now = 0.0
    limiter = Limiter(Config(max_records_per_second=1), clock=lambda: now)
    limiter.admit_records(CRM, 1)
    for _ in range(5):
        with pytest.raises(RateLimited):
            limiter.admit_records(CRM, 1)

    now = 1.0

    limiter.admit_records(CRM, 1)


def test_a_message_larger_than_a_second_is_still_admitted_once_the_bucket_is_full() -> None:
    bucket = TokenBucket(10, now=0.0)

    assert bucket.take(1000, now=0.0) == 0.0
    assert bucket.take(1, now=0.0) > 0


@given(st.floats(1, 10_000), st.lists(st.tuples(st.integers(1, 1000), st.floats(0, 10)), min_size=1, max_size=50))
def test_a_stream_never_runs_faster_than_its_rate(rate: float, messages: list[tuple[int, float]]) -> None:
    bucket, now, passed = TokenBucket(rate, now=0.0), 0.0, 0

    for count, pause in messages:
        now += pause
        now += bucket.borrow(count, now)
        passed += count
        assert passed <= rate + rate * now + 1e-6 * passed


def test_a_record_over_its_size_names_limit_and_size() -> None:
    record = Record(source="crm", source_record_id="x" * 500)

    with pytest.raises(TooLarge) as caught:
        check_record_size(record, 256)

    assert (caught.value.field, caught.value.limit, caught.value.size) == ("record", 256, record.ByteSize())


def test_a_record_of_exactly_the_limit_is_taken() -> None:
    record = Record(source="crm", source_record_id="x" * 500)

    check_record_size(record, record.ByteSize())
