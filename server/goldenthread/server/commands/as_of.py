"""Open a reader as of a revision or a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

from goldenthread.graph.store import Reader
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.tenants import Tenant

__all__ = ["Moment", "read_at"]


class Moment(Struct, frozen=True):
    """A past moment: a revision, or a time in microseconds when the revision is 0."""

    revision: int = 0
    time: int = 0


@asynccontextmanager
async def read_at(engine: Engine, tenant: Tenant, moment: Moment | None) -> AsyncIterator[Reader]:
    """Open a reader as of a moment, or of now when None."""
    if moment is None:
        async with engine.reader(tenant) as reader:
            yield reader
        return
    revision = moment.revision
    if not revision:
        async with engine.reader(tenant) as reader:
            revision = (await reader.revision_at(moment.time)).number
    async with engine.reader(tenant, revision=revision) as reader:
        yield reader
