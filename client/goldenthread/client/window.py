"""Keep account of a stream of records: what was sent, what was acknowledged, and what to send again.

Pure bookkeeping without I/O: the two clients drive it. Records are cut into chunks, at most `max_chunks_in_flight` of them
are unanswered at any time, so memory stays flat however long the stream. A chunk is forgotten once every record in it is
answered; after a broken connection the rest is sent again, with the same request ids, so nothing is done twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import grpc

from goldenthread.client.errors import GoldenThreadError, TooLarge, from_status
from goldenthread.client.record import Record
from goldenthread.client.requests import upsert
from goldenthread.v1 import error_reason_pb2, record_service_pb2

__all__ = ["ChunkBuilder", "UpsertResult", "Window"]

MAX_RECORDS_PER_CHUNK = 1000
"""The contract's limit of records a message."""

MAX_CHUNK_BYTES = 1 << 20
"""A chunk is closed when it grows past this, well under a server's usual message limit of 4 MiB."""

MAX_RECORD_BYTES = 3 << 20
"""A larger record is refused here: its message would end the whole stream instead of failing alone."""

Request = record_service_pb2.UpsertRecordRequest


@dataclass(frozen=True, slots=True)
class UpsertResult:
    """What became of the record at `index` of the input, from 0: kept (`error` is None) or not."""

    index: int
    record: str = ""
    identity: str = ""
    revision: int = 0
    changed: bool = False
    error: GoldenThreadError | None = None


@dataclass(slots=True)
class Chunk:
    """Records that travel in one message, those of them that were refused here, and how many were answered."""

    first_index: int
    requests: list[Request]
    refused: UpsertResult | None = None
    answered: int = 0


class ChunkBuilder:
    """Cut records into chunks, by count and by size."""

    def __init__(self, records_per_chunk: int, request_id_of: Callable[[int, Record], str] | None) -> None:
        if not 1 <= records_per_chunk <= MAX_RECORDS_PER_CHUNK:
            raise ValueError(f"records_per_chunk must be 1 to {MAX_RECORDS_PER_CHUNK}.")
        self._limit = records_per_chunk
        self._request_id_of = request_id_of
        self._index = 0
        self._bytes = 0
        self._open: list[Request] = []

    def add(self, record: Record) -> list[Chunk]:
        """Take one record; return the chunks that it closes, in order."""
        index = self._index
        self._index += 1
        request = upsert(record, self._request_id_of(index, record) if self._request_id_of else None)
        size = request.ByteSize()
        if size > MAX_RECORD_BYTES:
            return [*self._close(index), Chunk(index, [], refused=_refusal(index, size))]
        closed = self._close(index) if self._open and self._bytes + size > MAX_CHUNK_BYTES else []
        self._open.append(request)
        self._bytes += size
        return closed + (self._close(index + 1) if len(self._open) >= self._limit else [])

    def finish(self) -> list[Chunk]:
        """Return what is left."""
        return self._close(self._index)

    def _close(self, next_index: int) -> list[Chunk]:
        """Close the open chunk, if it holds anything; `next_index` is the index after its last record."""
        if not self._open:
            return []
        chunk = Chunk(next_index - len(self._open), self._open)
        self._open, self._bytes = [], 0
        return [chunk]


class Window:
    """Keep the chunks that are not answered yet, and match answers with them."""

    def __init__(self, max_chunks_in_flight: int) -> None:
        if max_chunks_in_flight < 1:
            raise ValueError("max_chunks_in_flight must be at least 1.")
        self._limit = max_chunks_in_flight
        self._pending: deque[Chunk] = deque()

    @property
    def has_room(self) -> bool:
        """Say whether another chunk may be sent."""
        return len(self._pending) < self._limit

    @property
    def is_empty(self) -> bool:
        """Say whether everything was answered."""
        return not self._pending

    def put(self, chunk: Chunk) -> None:
        """Take a chunk into account before it is sent."""
        self._pending.append(chunk)

    def unanswered(self) -> list[record_service_pb2.BatchUpsertRecordsRequest]:
        """Write again, in order, what a new connection has to send."""
        return [message_of(chunk) for chunk in self._pending if chunk.requests]

    def settle(self, results: Iterable[record_service_pb2.UpsertRecordResult]) -> list[UpsertResult]:
        """Match answers, which come in the order of the requests, with what was sent; return them with the input's indexes.

        Raises GoldenThreadError when the server answers more than it was asked.
        """
        out = self.settle_refused()
        for result in results:
            if not self._pending:
                raise GoldenThreadError("The server answered more records than were sent.", code=grpc.StatusCode.INTERNAL)
            chunk = self._pending[0]
            index = chunk.first_index + chunk.answered
            # What was answered is dropped from the chunk, so that it is never sent again.
            chunk.answered += 1
            if result.HasField("error"):
                out.append(UpsertResult(index, error=from_status(result.error)))
            else:
                done = result.response
                out.append(UpsertResult(index, done.record, done.identity, done.revision, done.changed))
            if chunk.answered == len(chunk.requests):
                self._pending.popleft()
                out.extend(self.settle_refused())
        return out

    def settle_refused(self) -> list[UpsertResult]:
        """Return the records refused here whose turn has come."""
        out: list[UpsertResult] = []
        while self._pending and (refused := self._pending[0].refused):
            out.append(refused)
            self._pending.popleft()
        return out


def message_of(chunk: Chunk) -> record_service_pb2.BatchUpsertRecordsRequest:
    """Write the part of a chunk that was not answered."""
    return record_service_pb2.BatchUpsertRecordsRequest(requests=chunk.requests[chunk.answered :])


def _refusal(index: int, size: int) -> UpsertResult:
    """Answer a record that is too large for any message, as the server would."""
    error = TooLarge(
        f"The record is larger than allowed: {size} bytes of at most {MAX_RECORD_BYTES}.",
        code=grpc.StatusCode.RESOURCE_EXHAUSTED,
        reason=error_reason_pb2.ErrorReason.Name(error_reason_pb2.ERROR_REASON_TOO_LARGE),
        metadata={"field": "record", "limit": str(MAX_RECORD_BYTES), "size": str(size)},
    )
    return UpsertResult(index, error=error)
