"""The bookkeeping of a stream: chunks, order, and what is sent again."""

from __future__ import annotations

import random

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldenthread.client import Record, Retry
from goldenthread.client.errors import (
    DeadlineExceeded,
    GoldenThreadError,
    InvalidField,
    RateLimited,
    ServerUnreachable,
    StoreFull,
    TooLarge,
)
from goldenthread.client.window import MAX_RECORD_BYTES, ChunkBuilder, UpsertResult, Window
from goldenthread.v1 import record_service_pb2 as pb


def record(at: int, size: int = 0) -> Record:
    return Record("crm", str(at), {"note": "x" * size} if size else {})


def kept(name: str) -> pb.UpsertRecordResult:
    return pb.UpsertRecordResult(response=pb.UpsertRecordResponse(record=name, changed=True))


def answers_for(message: pb.BatchUpsertRecordsRequest) -> list[pb.UpsertRecordResult]:
    return [kept(request.record.source_record_id) for request in message.requests]


def run_stream(count: int, per_chunk: int, in_flight: int, breaks: random.Random) -> tuple[list[UpsertResult], list[str]]:
    """Drive a window against a server that breaks off at will, and keep what it was sent."""
    builder = ChunkBuilder(per_chunk, lambda at, _: f"r{at}")
    chunks = [chunk for at in range(count) for chunk in builder.add(record(at))] + builder.finish()
    window, results, seen = Window(in_flight), [], []
    todo = iter(chunks)
    exhausted = False
    while not (exhausted and window.is_empty):
        # A new connection: what is unanswered goes first.
        line = list(window.unanswered())
        while True:
            while window.has_room and (chunk := next(todo, None)) is not None:
                window.put(chunk)
                line.append(pb.BatchUpsertRecordsRequest(requests=chunk.requests))
            exhausted = not window.has_room or exhausted or chunk is None
            if not line:
                break
            message = line.pop(0)
            seen += [request.request_id for request in message.requests]
            answers = answers_for(message)
            cut = breaks.randrange(len(answers) + 1) if breaks.random() < 0.4 else len(answers)
            results += window.settle(answers[:cut])
            if cut < len(answers):
                break
    return results, seen


@given(st.integers(0, 60), st.integers(1, 7), st.integers(1, 4), st.integers())
def test_however_often_a_stream_breaks_every_record_is_answered_once_and_in_order(
    count: int, per_chunk: int, in_flight: int, seed: int
) -> None:
    results, seen = run_stream(count, per_chunk, in_flight, random.Random(seed))

    assert [(r.index, r.record) for r in results] == [(at, str(at)) for at in range(count)]
    assert set(seen) == {f"r{at}" for at in range(count)}


def test_a_record_without_a_request_id_gets_one_that_stays_when_sent_again() -> None:
    [chunk] = ChunkBuilder(1, None).add(record(0))
    window = Window(1)
    window.put(chunk)

    first, second = window.unanswered(), window.unanswered()

    assert first[0].requests[0].request_id == second[0].requests[0].request_id != ""


def test_chunks_are_closed_by_count_and_by_size() -> None:
    builder = ChunkBuilder(3, None)

    by_count = [chunk for at in range(4) for chunk in builder.add(record(at))]
    by_size = [chunk for at in range(4, 6) for chunk in builder.add(record(at, 900_000))]
    rest = builder.finish()

    assert [len(c.requests) for c in by_count] == [3]
    assert [len(c.requests) for c in by_size] == [2]
    assert [c.first_index for c in (*by_count, *by_size, *rest)] == [0, 3, 5]


def test_a_record_too_large_for_any_message_fails_alone_and_in_its_turn() -> None:
    builder = ChunkBuilder(2, None)
    window = Window(10)
    chunks = [c for at, size in enumerate((0, MAX_RECORD_BYTES, 0)) for c in builder.add(record(at, size))] + builder.finish()
    for chunk in chunks:
        window.put(chunk)

    results = window.settle([kept("0"), kept("2")])

    assert [r.index for r in results] == [0, 1, 2]
    assert isinstance(results[1].error, TooLarge)
    assert results[0].error is results[2].error is None
    assert window.is_empty


def test_more_answers_than_records_are_refused() -> None:
    with pytest.raises(GoldenThreadError):
        Window(1).settle([kept("0")])


@pytest.mark.parametrize("count", [0, 1001])
def test_a_chunk_of_a_size_no_server_takes_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 1000"):
        ChunkBuilder(count, None)


def test_waits_double_up_to_the_longest_and_then_end() -> None:
    retry = Retry(attempts=6, first_wait_seconds=1, longest_wait_seconds=4)
    away = ServerUnreachable("", code=grpc.StatusCode.UNAVAILABLE)
    chance = random.Random(1)

    waits = [retry.wait_seconds(failures, away, chance) for failures in range(1, 7)]

    assert all(w is not None and c / 2 <= w <= c for w, c in zip(waits[:5], (1, 2, 4, 4, 4), strict=True))
    assert waits[5] is None


def test_a_server_that_says_when_to_come_back_is_obeyed() -> None:
    limited = RateLimited("", code=grpc.StatusCode.RESOURCE_EXHAUSTED, metadata={"retry_after_ms": "9000"})

    assert Retry().wait_seconds(1, limited, random.Random(1)) == 9.0


@pytest.mark.parametrize("kind", [InvalidField, StoreFull, DeadlineExceeded])
def test_what_would_fail_again_is_not_tried_again(kind: type[GoldenThreadError]) -> None:
    assert Retry().wait_seconds(1, kind("", code=grpc.StatusCode.UNKNOWN), random.Random(1)) is None
