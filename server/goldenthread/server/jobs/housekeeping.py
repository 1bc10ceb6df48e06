"""Take away, every while, what was kept long enough: answers of requests, ended jobs with their lists, edges of old staging.

Nothing of this says who anybody is, and nothing that is read as of the past. Every step is one transaction, so a job that is
killed goes on where it was; what is looked at without finding anything is no commit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from goldenthread.graph.model import LIVE, EdgeKind, NodeKind
from goldenthread.graph.store import ChangeSet, EdgeRef, Reader, Transaction
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.model_artefacts import change_deployment
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.events.cursors import KEPT_HOUSE_ID
from goldenthread.server.jobs.job import job_of
from goldenthread.server.jobs.kind import JobContext, Step
from goldenthread.server.jobs.previewing import PREVIEW_ACTIVATION, preview_artefacts
from goldenthread.server.jobs.regular import put_when_due
from goldenthread.server.jobs.renormalising import RENORMALISE

__all__ = ["HOUSEKEEPING", "Housekeeping", "HousekeepingAt", "keep_house_when_due"]

HOUSEKEEPING: Final = "housekeeping"
_PAGE: Final = 1_000
_PAGES: Final = 50
"""Pages that are looked through without finding anything before a checkpoint is kept."""
_HOUR: Final = 3_600_000_000
_DAY: Final = 24 * _HOUR
_STAGED: Final = frozenset({EdgeKind.STAGED})


class HousekeepingAt(Struct, frozen=True):
    """The time, in microseconds, by which ages are measured."""

    at: int


class _Place(Struct, frozen=True, array_like=True):
    """Where the job is, and what it took away so far; `deployed` is what was deployed when it came to edges."""

    phase: str = "requests"
    after: bytes = b""
    looked: int = 0
    requests: int = 0
    jobs: int = 0
    edges: int = 0
    deployed: bytes = b""


class _Done(Struct, frozen=True):
    """The job's result: how many answers of requests, jobs and ended edges were taken away."""

    requests: int
    jobs: int
    staged_edges: int


class _Found(Struct):
    """What a look came to: ids or edges to take away, where it ended (empty at the end), and how many it looked at."""

    ids: Sequence[bytes] = ()
    edges: Sequence[EdgeRef] = ()
    after: bytes = b""
    looked: int = 0


async def keep_house_when_due(engine: Engine, tenant: Tenant) -> bool:
    """Put the job when it is time; return whether it was put."""
    pause = int(engine.config.housekeeping_hours * _HOUR)

    async def due(reader: Reader, at: int, last: int) -> HousekeepingAt | None:
        since = last or (await reader.commit_times([1])).get(1, at)
        return HousekeepingAt(at) if at - since >= pause else None

    return bool(pause) and await put_when_due(engine, tenant, KEPT_HOUSE_ID, HOUSEKEEPING, due)


class Housekeeping:
    """The kind of job that takes away what was kept long enough."""

    name = HOUSEKEEPING
    unit = "entries"

    async def run(self, context: JobContext, checkpoint: bytes) -> _Done:
        """Go through requests, jobs and staged edges."""
        place = msgspec.msgpack.decode(checkpoint, type=_Place) if checkpoint else _Place()
        rooms = _Rooms(context)
        while place.phase != "end":
            place = await rooms.step(place)
        return _Done(place.requests, place.jobs, place.edges)


class _Rooms:
    """What is kept, kind by kind: how to find what is too old, and what comes next."""

    def __init__(self, context: JobContext) -> None:
        config, at = context.engine.config, context.parameters(HousekeepingAt).at
        self._context, self._tenant = context, context.tenant
        self._requests_before = at - int(config.request_retention_days * _DAY) if config.request_retention_days else 0
        self._jobs_before = at - int(config.job_retention_days * _DAY) if config.job_retention_days else 0
        self._looks: Mapping[str, tuple[Callable[[Reader, bytes], Awaitable[_Found]], str]] = {
            "requests": (self._old_requests, "jobs"),
            "jobs": (self._old_jobs, "edges"),
            "edges": (self._ended_edges, "end"),
        }

    async def step(self, place: _Place) -> _Place:
        """Look until something is found, and take it away; or go on to the next room."""
        if place.phase == "edges" and not place.deployed:
            await self._context.engine.notice(self._tenant)
            place = replace(place, deployed=self._tenant.deployed.id)
        look, following = self._looks[place.phase]
        found = _Found(after=place.after)
        for _ in range(_PAGES):
            async with self._context.engine.reader(self._tenant) as reader:
                looked = found.looked
                found = await look(reader, found.after)
                found.looked += looked
            if found.ids or found.edges or not found.after:
                break
        after = self._after(place, found, following)
        if place.phase == "jobs" and found.ids:
            # First their keys: a job that is killed in between is taken away the next time.
            await self._tenant.vault.destroy(found.ids)

        async def work(transaction: Transaction, at: int) -> Step:
            changes = ChangeSet(delete_nodes=list(found.ids), forget_edges=list(found.edges))
            await transaction.lock(found.ids)
            if after.phase == "end":
                await self._note(transaction, place, changes)
            return Step(msgspec.msgpack.encode(after), changes, after.looked, after.looked)

        await self._context.step(work)
        return after

    def _after(self, place: _Place, found: _Found, following: str) -> _Place:
        requests, jobs = (len(found.ids) if place.phase == phase else 0 for phase in ("requests", "jobs"))
        return replace(
            place,
            phase=place.phase if found.after else following,
            after=found.after,
            looked=place.looked + found.looked,
            requests=place.requests + requests,
            jobs=place.jobs + jobs,
            edges=place.edges + len(found.edges),
        )

    async def _old_requests(self, reader: Reader, after: bytes) -> _Found:
        if not self._requests_before:
            return _Found()
        ids = await reader.page(NodeKind.REQUEST, after, _PAGE, {})
        nodes = await reader.nodes(ids) if ids else {}
        before = self._requests_before
        old = [id for id, node in nodes.items() if node.kind is NodeKind.REQUEST and int(node.properties["at"]) < before]
        return _Found(ids=old, after=ids[-1] if len(ids) == _PAGE else b"", looked=len(ids))

    async def _old_jobs(self, reader: Reader, after: bytes) -> _Found:
        if not self._jobs_before:
            return _Found()
        ids = await reader.page(NodeKind.JOB, after, _PAGE, {"is_open": 0})
        nodes = await reader.nodes(ids) if ids else {}
        # While records are still to be read again, the job that does it can be resumed.
        is_kept = self._tenant.deployed.deployment.is_renormalising
        old: list[bytes] = []
        for job in map(job_of, nodes.values()):
            if job.state.is_open or job.ended_at >= self._jobs_before or (is_kept and job.type == RENORMALISE):
                continue
            old.append(job.id)
            if job.type == PREVIEW_ACTIVATION:
                old += await preview_artefacts(reader, self._tenant, job)
        return _Found(ids=old, after=ids[-1] if len(ids) == _PAGE else b"", looked=len(ids))

    async def _ended_edges(self, reader: Reader, after: bytes) -> _Found:
        deployment = self._tenant.deployed.deployment
        if not deployment.keeps_staged or deployment.staged or deployment.is_switching or not deployment.is_clear:
            return _Found()
        ids = await reader.page(NodeKind.RECORD, after, _PAGE, {})
        edges = await reader.history(ids, _STAGED) if ids else ()
        ended = {(edge.source, edge.target) for edge in edges if edge.recorded_to < LIVE}
        refs = [EdgeRef(EdgeKind.STAGED, *pair) for pair in sorted(ended)]
        return _Found(edges=refs, after=ids[-1] if len(ids) == _PAGE else b"", looked=len(ids))

    async def _note(self, transaction: Transaction, place: _Place, changes: ChangeSet) -> None:
        """Note that no ended edge is left, unless models were staged meanwhile."""
        deployed = self._tenant.deployed
        is_rest = not (deployed.deployment.staged or deployed.deployment.is_switching) and deployed.deployment.is_clear
        if deployed.id == place.deployed and deployed.deployment.keeps_staged and is_rest:
            await change_deployment(transaction, self._tenant, changes, lambda one: replace(one, keeps_staged=False))
