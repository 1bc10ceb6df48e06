"""Tell, every while, which golden values time alone has changed: a record came of age by which a rule leaves it out.

A rule may admit no record older than some days, or call what it says stale. Nothing is committed when that day passes, so a job
compares the golden records of then and now, over the records of now, of those identities of which a record came of age. A value
that a commit changed in between is told for that as well; then an attribute may be told twice. Without such rules, or while
nobody has subscribed, there is nothing to do. Pins that end are commits, and told as such.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from goldenthread.graph.model import NodeKind
from goldenthread.graph.store import ChangeSet, Reader, Transaction
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.survivorship import read_rules
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.events.cursors import AGED_ID
from goldenthread.server.events.golden import aged_between, subscribed_since
from goldenthread.server.events.outbox import pack_fields
from goldenthread.server.jobs.kind import JobContext, Step
from goldenthread.server.jobs.regular import put_when_due

__all__ = ["AGE_GOLDEN_VALUES", "AgedBetween", "AgeingGoldenValues", "age_when_due"]

AGE_GOLDEN_VALUES: Final = "age-golden-values"
_PAGE: Final = 500
"""Identities that one step looks at."""
_HOUR: Final = 3_600_000_000


class AgedBetween(Struct, frozen=True):
    """The times that are compared, in microseconds."""

    since: int
    until: int


class _Place(Struct, frozen=True, array_like=True):
    after: bytes = b""
    done: int = 0
    told: int = 0


class _Done(Struct, frozen=True):
    """The job's result: identities that were looked at, and those of which a golden value changed."""

    identities: int
    changed: int


async def age_when_due(engine: Engine, tenant: Tenant) -> bool:
    """Put the job when it is time; return whether it was put."""
    pause = int(engine.config.golden_ageing_hours * _HOUR)

    async def due(reader: Reader, at: int, last: int) -> AgedBetween | None:
        """Say what is to be compared: from the last look on, but not from before somebody subscribed or the rules changed."""
        rules, changed_at = await read_rules(reader, tenant)
        subscribed = await subscribed_since(reader) if rules.horizons else None
        if subscribed is None:
            return None
        since = max(subscribed, (await reader.commit_times([changed_at])).get(changed_at, 0), last)
        return AgedBetween(since, at) if at - since >= pause else None

    return bool(pause) and await put_when_due(engine, tenant, AGED_ID, AGE_GOLDEN_VALUES, due)


class AgeingGoldenValues:
    """The kind of job that tells which golden values time alone has changed."""

    name = AGE_GOLDEN_VALUES
    unit = "identities"

    async def run(self, context: JobContext, checkpoint: bytes) -> _Done:
        """Go through all identities."""
        asked, tenant = context.parameters(AgedBetween), context.tenant
        place = msgspec.msgpack.decode(checkpoint, type=_Place) if checkpoint else _Place()
        async with context.engine.reader(tenant) as reader:
            total = (await reader.counts()).get(NodeKind.IDENTITY, 0)
        while True:
            before = place

            async def work(transaction: Transaction, at: int, here: _Place = before) -> Step:
                ids = await transaction.page(NodeKind.IDENTITY, here.after, _PAGE, {})
                if not ids:
                    return Step(msgspec.msgpack.encode(here), ChangeSet(), here.done, here.done)
                told = await aged_between(transaction, tenant, asked.since, asked.until, ids)
                after = replace(here, after=ids[-1], done=here.done + len(ids), told=here.told + len(told))
                changes = ChangeSet(events=pack_fields(told))
                return Step(msgspec.msgpack.encode(after), changes, after.done, max(total, after.done))

            place = msgspec.msgpack.decode((await context.step(work)).checkpoint, type=_Place)
            if place.after == before.after:
                return _Done(place.done, place.told)
