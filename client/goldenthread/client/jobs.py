"""Call JobService: the methods that `Client` and `AsyncClient` have for long work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Final, Protocol, TypeVar

import grpc

from goldenthread.client.requests import Requests, new_request_id
from goldenthread.v1 import job_service_pb2 as pb
from goldenthread.v1 import job_service_pb2_grpc as pb_grpc

__all__ = ["AsyncJobs", "SyncJobs", "is_ended"]

Q = TypeVar("Q")
A = TypeVar("A")

_ENDED: Final = frozenset({pb.JOB_STATE_SUCCEEDED, pb.JOB_STATE_FAILED, pb.JOB_STATE_CANCELLED})
_WAIT_SECONDS: Final = 10.0
"""How long one call waits; the methods here ask again until their own time is over."""


def is_ended(job: pb.Job) -> bool:
    """Say whether a job has ended, one way or another."""
    return job.state in _ENDED


class _Sync(Protocol):
    _requests: Requests
    _jobs: pb_grpc.JobServiceStub

    def _call(self, method: grpc.UnaryUnaryMultiCallable[Q, A], request: Q) -> A: ...

    def watch_job(self, name: str, *, timeout_seconds: float = ..., look_seconds: float = ...) -> Iterator[pb.Job]: ...


class _Async(Protocol):
    _requests: Requests
    _jobs: pb_grpc.JobServiceAsyncStub

    async def _call(self, method: grpc.aio.UnaryUnaryMultiCallable[Q, A], request: Q) -> A: ...

    def watch_job(self, name: str, *, timeout_seconds: float = ..., look_seconds: float = ...) -> AsyncIterator[pb.Job]: ...


class SyncJobs:
    """What `Client` can do with jobs."""

    def get_job(self: _Sync, name: str) -> pb.Job:
        """Return a job as it is now."""
        return self._call(self._jobs.GetJob, pb.GetJobRequest(name=self._requests.name("jobs", name))).job

    def list_jobs(self: _Sync, *, type: str = "", only_open: bool = False, page_size: int = 100) -> Iterator[pb.Job]:
        """List jobs, the oldest first."""
        request = pb.ListJobsRequest(parent=self._requests.parent, type=type, only_open=only_open, page_size=page_size)
        while True:
            page = self._call(self._jobs.ListJobs, request)
            yield from page.jobs
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def cancel_job(self: _Sync, name: str, *, request_id: str | None = None) -> pb.Job:
        """Cancel a job at its next checkpoint; what it did stays done."""
        request = pb.CancelJobRequest(name=self._requests.name("jobs", name), request_id=request_id or new_request_id())
        return self._call(self._jobs.CancelJob, request).job

    def resume_job(self: _Sync, name: str, *, request_id: str | None = None) -> pb.Job:
        """Queue a job again that failed or was cancelled, from its last checkpoint."""
        request = pb.ResumeJobRequest(name=self._requests.name("jobs", name), request_id=request_id or new_request_id())
        return self._call(self._jobs.ResumeJob, request).job

    def watch_job(
        self: _Sync, name: str, *, timeout_seconds: float = 3600.0, look_seconds: float = _WAIT_SECONDS
    ) -> Iterator[pb.Job]:
        """Return a job as it is, again and again, until it has ended or the time is over."""
        deadline = time.monotonic() + timeout_seconds
        name = self._requests.name("jobs", name)
        while True:
            left = max(0.0, min(look_seconds, deadline - time.monotonic()))
            job = self._call(self._jobs.WaitJob, pb.WaitJobRequest(name=name, timeout_seconds=left)).job
            yield job
            if is_ended(job) or time.monotonic() >= deadline:
                return

    def wait_job(self: _Sync, name: str, *, timeout_seconds: float = 3600.0) -> pb.Job:
        """Return a job once it has ended, or as it is when the time is over."""
        *_, last = self.watch_job(name, timeout_seconds=timeout_seconds)
        return last

    def wait_drained(self: _Sync, *, revision: int = 0, timeout_seconds: float = 3600.0) -> bool:
        """Wait until no deferred work is left that was asked for before a revision, 0 for now; False when the time is over."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            left = max(0.0, min(_WAIT_SECONDS, deadline - time.monotonic()))
            request = pb.WaitDrainedRequest(parent=self._requests.parent, revision=revision, timeout_seconds=left)
            if self._call(self._jobs.WaitDrained, request).is_drained:
                return True
            if time.monotonic() >= deadline:
                return False


class AsyncJobs:
    """What `AsyncClient` can do with jobs."""

    async def get_job(self: _Async, name: str) -> pb.Job:
        """Return a job as it is now."""
        return (await self._call(self._jobs.GetJob, pb.GetJobRequest(name=self._requests.name("jobs", name)))).job

    async def list_jobs(
        self: _Async, *, type: str = "", only_open: bool = False, page_size: int = 100
    ) -> AsyncIterator[pb.Job]:
        """List jobs, the oldest first."""
        request = pb.ListJobsRequest(parent=self._requests.parent, type=type, only_open=only_open, page_size=page_size)
        while True:
            page = await self._call(self._jobs.ListJobs, request)
            for job in page.jobs:
                yield job
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def cancel_job(self: _Async, name: str, *, request_id: str | None = None) -> pb.Job:
        """Cancel a job at its next checkpoint; what it did stays done."""
        request = pb.CancelJobRequest(name=self._requests.name("jobs", name), request_id=request_id or new_request_id())
        return (await self._call(self._jobs.CancelJob, request)).job

    async def resume_job(self: _Async, name: str, *, request_id: str | None = None) -> pb.Job:
        """Queue a job again that failed or was cancelled, from its last checkpoint."""
        request = pb.ResumeJobRequest(name=self._requests.name("jobs", name), request_id=request_id or new_request_id())
        return (await self._call(self._jobs.ResumeJob, request)).job

    async def watch_job(
        self: _Async, name: str, *, timeout_seconds: float = 3600.0, look_seconds: float = _WAIT_SECONDS
    ) -> AsyncIterator[pb.Job]:
        """Return a job as it is, again and again, until it has ended or the time is over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        name = self._requests.name("jobs", name)
        while True:
            left = max(0.0, min(look_seconds, deadline - loop.time()))
            job = (await self._call(self._jobs.WaitJob, pb.WaitJobRequest(name=name, timeout_seconds=left))).job
            yield job
            if is_ended(job) or loop.time() >= deadline:
                return

    async def wait_job(self: _Async, name: str, *, timeout_seconds: float = 3600.0) -> pb.Job:
        """Return a job once it has ended, or as it is when the time is over."""
        last = pb.Job()
        async for job in self.watch_job(name, timeout_seconds=timeout_seconds):
            last = job
        return last

    async def wait_drained(self: _Async, *, revision: int = 0, timeout_seconds: float = 3600.0) -> bool:
        """Wait until no deferred work is left that was asked for before a revision, 0 for now; False when the time is over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        while True:
            left = max(0.0, min(_WAIT_SECONDS, deadline - loop.time()))
            request = pb.WaitDrainedRequest(parent=self._requests.parent, revision=revision, timeout_seconds=left)
            if (await self._call(self._jobs.WaitDrained, request)).is_drained:
                return True
            if loop.time() >= deadline:
                return False
