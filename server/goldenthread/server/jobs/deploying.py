"""The jobs that stage a model and activate one, in phases whose every step can be the last before a crash."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from msgspec import Struct

from goldenthread.graph.model import NodeKind
from goldenthread.graph.store import ChangeSet, Transaction
from goldenthread.server.commands.deployment import Generation
from goldenthread.server.errors import FailedPrecondition
from goldenthread.server.jobs import generations
from goldenthread.server.jobs.generations import Stepped
from goldenthread.server.jobs.kind import JobContext, Step

__all__ = ["ACTIVATE_MODEL", "STAGE_MODEL", "ActivateModel", "Deployed", "StageModel", "WantedModel"]

STAGE_MODEL = "stage-model"
ACTIVATE_MODEL = "activate-model"
_END = "end"


class WantedModel(Struct, frozen=True):
    """Which model is to be staged or used."""

    version: str


class Deployed(Struct, frozen=True):
    """What came of it: the model, and how many records were looked at in all phases."""

    version: str
    records: int


class _Place(Struct, frozen=True, array_like=True):
    """Where a job is: the phase, the record it came to, and how many it has looked at in all."""

    phase: str
    after: bytes = b""
    records: int = 0

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self)

    @staticmethod
    def decode(checkpoint: bytes) -> _Place:
        return msgspec.msgpack.decode(checkpoint, type=_Place)


class _Phases:
    """Walk through phases from a place on; each method is one step of a phase, and says where the next one is."""

    def __init__(self, context: JobContext, version: str, checkpoint: bytes, start: str, passes: int) -> None:
        """Begin at the checkpoint, or at `start` without one; all records are looked at in so many `passes`."""
        self._context, self._tenant, self._version = context, context.tenant, version
        self._place = _Place.decode(checkpoint) if checkpoint else _Place(start)
        self._passes, self._total = passes, 0
        self._linked: set[bytes] = set()
        self._settled: set[bytes] = set()
        """Records still to be come to that were linked in a step before, by this process."""

    async def run(self, last: str) -> Deployed:
        """Go on until a phase is reached, which is not begun."""
        async with self._context.engine.reader(self._tenant) as reader:
            self._total = self._place.records + (await reader.counts())[NodeKind.RECORD] * self._passes
        steps: dict[str, Callable[[Transaction, int], Awaitable[Step]]] = {
            "begin": self._begin,
            "clear former": self._clear,
            "index": self._index,
            "judge": self._judge,
            "complete": self._complete,
            "switch": self._switch,
            "settle": self._settle,
            "finish": self._finish,
            "clear": self._clear,
        }
        while self._place.phase not in (last, _END):
            step = await self._context.step(steps[self._place.phase])
            self._place = _Place.decode(step.checkpoint)
            self._settled = {record for record in self._settled | self._linked if record > self._place.after}
            await self._context.engine.notice(self._tenant)
        return Deployed(self._version, self._place.records)

    async def _begin(self, transaction: Transaction, at: int) -> Step:
        deployment = self._tenant.deployed.deployment
        if deployment.active == self._version:
            return self._to("settle" if deployment.is_switching else "clear")
        if deployment.staged == self._version:
            return self._to("switch" if deployment.is_complete else "index")
        changes = await generations.begin_staging(transaction, self._tenant, self._version)
        return self._to("index" if deployment.is_clear and not deployment.staged else "clear former", changes)

    async def _clear(self, transaction: Transaction, at: int) -> Step:
        stepped = await generations.clear(transaction, self._tenant, self._place.after)
        if stepped.records:
            return self._on(stepped)
        changes = await generations.end_clearing(transaction, self._tenant)
        return self._to(_END if self._place.phase == "clear" else "begin", changes)

    async def _index(self, transaction: Transaction, at: int) -> Step:
        stepped = await generations.index(transaction, self._tenant, self._staged(), self._place.after)
        return self._on(stepped) if stepped.records else self._to("judge")

    async def _judge(self, transaction: Transaction, at: int) -> Step:
        stepped = await generations.judge(transaction, self._tenant, self._staged(), self._place.after)
        return self._on(stepped) if stepped.records else self._to("complete")

    async def _complete(self, transaction: Transaction, at: int) -> Step:
        return self._to("switch", await generations.end_staging(transaction, self._tenant, self._version))

    async def _switch(self, transaction: Transaction, at: int) -> Step:
        return self._to("settle", await generations.switch(transaction, self._tenant, self._version))

    async def _settle(self, transaction: Transaction, at: int) -> Step:
        if self._tenant.match_model.version != self._version:
            raise FailedPrecondition("another model is in use by now")
        stepped = await generations.settle(transaction, self._tenant, self._place.after, at, self._settled)
        self._linked = set(stepped.linked)
        return self._on(stepped) if stepped.records else self._to("finish")

    async def _finish(self, transaction: Transaction, at: int) -> Step:
        return self._to("clear", await generations.finish(transaction, self._tenant))

    def _staged(self) -> Generation:
        staged = self._tenant.staged
        if staged is None or staged.model.version != self._version:
            raise FailedPrecondition("another model was staged meanwhile")
        return staged

    def _to(self, phase: str, changes: ChangeSet | None = None) -> Step:
        records = self._place.records
        total = records if phase == _END else max(self._total, records)
        return Step(_Place(phase, b"", records).encode(), changes or ChangeSet(), records, total)

    def _on(self, stepped: Stepped) -> Step:
        records = self._place.records + stepped.records
        place = _Place(self._place.phase, stepped.after, records)
        return Step(place.encode(), stepped.changes, records, max(self._total, records))


class StageModel:
    """Build the generation of a model beside the one in use."""

    name, unit = STAGE_MODEL, "records looked at"

    async def run(self, context: JobContext, checkpoint: bytes) -> Struct | None:
        """Give every record its keys, and judge every pair."""
        version = context.parameters(WantedModel).version
        return await _Phases(context, version, checkpoint, "begin", passes=2).run("switch")


class ActivateModel:
    """Use another model: stage it unless it is, switch to it, settle every identity, and clear what is left of the former."""

    name, unit = ACTIVATE_MODEL, "records looked at"

    async def run(self, context: JobContext, checkpoint: bytes) -> Struct | None:
        """Go through all phases."""
        version = context.parameters(WantedModel).version
        return await _Phases(context, version, checkpoint, "begin", passes=4).run(_END)
