"""Say what a job is: long work of one tenant, kept as a node, so that it outlives the process that does it.

A job's node changes with every step: one change set deletes it and puts it again, together with what the step changed. So its
checkpoint and the graph can never disagree, whenever the process ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TypeVar

import msgspec
from msgspec import Struct

from goldenthread.graph.model import Node, NodeKind
from goldenthread.graph.store import ChangeSet, Reader
from goldenthread.graph.vault import SealRequest
from goldenthread.server.commands.ids import new_id
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import NotFound

__all__ = ["Job", "JobAsked", "JobState", "change_job", "job_of", "new_job", "node_of", "open_asked", "open_jobs", "read_job"]

S = TypeVar("S", bound=Struct)

_PAGE = 1000


class JobState(IntEnum):
    """Where a job stands; the values are those of the proto."""

    UNSPECIFIED = 0
    QUEUED = 1
    RUNNING = 2
    SUCCEEDED = 3
    FAILED = 4
    CANCELLED = 5

    @property
    def is_open(self) -> bool:
        """Whether there is work left to do."""
        return self in (JobState.QUEUED, JobState.RUNNING)


class Job(Struct, frozen=True, kw_only=True):
    """A job as it is now. Times are UTC microseconds since 1970, 0 for never.

    `checkpoint` is what its kind resumes by, empty at first; `result` is JSON. Neither they nor `error` hold anything personal.
    `revision` is the tenant's when the job was asked for, or a little before. `attempts` counts how often it was taken up since
    it last came further. `lease_until` is when whoever runs it must have renewed its lease, and of a queued job the time before
    which it is not taken up. `is_deferred` work is part of what the partition waits for (see `drained`).
    """

    id: bytes
    type: str
    state: JobState
    is_deferred: bool = False
    is_cancelling: bool = False
    done: int = 0
    total: int = 0
    unit: str = ""
    checkpoint: bytes = b""
    result: bytes = b""
    error: str = ""
    attempts: int = 0
    owner: str = ""
    lease_until: int = 0
    revision: int = 0
    created_at: int = 0
    started_at: int = 0
    ended_at: int = 0
    sealed: bytes = b""


class JobAsked(Struct, frozen=True, array_like=True):
    """What is sealed of a job: who asked for it, and with which parameters."""

    actor: str
    parameters: bytes


def job_of(node: Node) -> Job:
    """Read a job off its node."""
    known = {name: value for name, value in node.properties.items() if name != "is_open"}
    return msgspec.convert({**known, "id": node.id}, Job, strict=False, builtin_types=(bytes,))


def node_of(job: Job) -> Node:
    """Write a job as a node."""
    properties: dict[str, int | str | bytes] = {name: getattr(job, name) for name in Job.__struct_fields__ if name != "id"}
    for name in ("state", "is_deferred", "is_cancelling"):
        properties[name] = int(properties[name])
    properties["is_open"] = int(job.state.is_open)
    return Node(NodeKind.JOB, job.id, properties)


async def new_job(
    tenant: Tenant,
    reader: Reader,
    at: int,
    type: str,
    parameters: Struct,
    actor: str,
    *,
    is_deferred: bool = False,
    not_before: int = 0,
) -> Job:
    """Make a job that changes can put, by `node_of`; whoever commits them then sets the engine's `jobs_queued`.

    `not_before` is the time, in microseconds, at which it is due; until then it waits, and nothing waits for it.
    """
    id = new_id(at)
    asked = msgspec.msgpack.encode(JobAsked(actor, msgspec.msgpack.encode(parameters)))
    (sealed,) = await tenant.vault.seal([SealRequest(id, NodeKind.JOB, asked)])
    return Job(
        id=id,
        type=type,
        state=JobState.QUEUED,
        is_deferred=is_deferred,
        revision=reader.revision.number,
        lease_until=not_before,
        created_at=at,
        sealed=sealed,
    )


def change_job(changes: ChangeSet, job: Job) -> None:
    """Have a change set put a job as it is now."""
    changes.delete_nodes.append(job.id)
    changes.put_nodes.append(node_of(job))


async def read_job(reader: Reader, id: bytes) -> Job:
    """Read a job.

    Raises:
        NotFound: there is none of that id.
    """
    node = (await reader.nodes([id])).get(id)
    if node is None or node.kind is not NodeKind.JOB:
        raise NotFound("job")
    return job_of(node)


async def open_jobs(reader: Reader) -> list[Job]:
    """Read every job that is queued or running, the oldest first."""
    found: list[Job] = []
    after = b""
    while ids := await reader.page(NodeKind.JOB, after, _PAGE, {"is_open": 1}):
        nodes = await reader.nodes(ids)
        found += [job_of(nodes[id]) for id in ids if id in nodes]
        after = ids[-1]
    return [job for job in found if job.state.is_open]


async def open_asked(tenant: Tenant, jobs: Sequence[Job]) -> list[JobAsked | None]:
    """Open who asked for jobs, and with which parameters; None where the key is gone."""
    opened = await tenant.vault.open([(job.id, NodeKind.JOB, job.sealed) for job in jobs])
    return [msgspec.msgpack.decode(plain, type=JobAsked) if plain is not None else None for plain in opened]
