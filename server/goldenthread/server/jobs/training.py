"""The job that learns a match model from a tenant's own records."""

from __future__ import annotations

import datetime as dt

import msgspec
from msgspec import Struct

from goldenthread.graph.model import NodeKind
from goldenthread.graph.store import ChangeSet, Transaction
from goldenthread.resolver.normalise import Profile
from goldenthread.resolver.scoring import MatchModel
from goldenthread.server.commands.model_artefacts import ModelEntry, keep_model
from goldenthread.server.errors import FailedPrecondition
from goldenthread.server.jobs.kind import JobContext, Step
from goldenthread.server.jobs.labelled import LabelledKeys, find_labelled
from goldenthread.server.side_process import Answering, SideProcess, SideProcessEnded

__all__ = ["TRAIN_MODEL", "TrainModel", "Training"]

TRAIN_MODEL = "train-model"
_PAGE = 1000
_KEPT = b"kept"
_LEAST_MATCHES = 5.0
"""Expected matches below which a fit without labels is guesswork."""


class Training(Struct, frozen=True):
    """What a training is asked for with."""

    labels: LabelledKeys
    name: str = ""
    seed: int = 0


class _Learned(Struct, frozen=True):
    version: str
    records: int
    labels: int
    labels_without_records: int
    expected_matches: float
    warnings: tuple[str, ...]


class _Task(Struct, array_like=True):
    """What learning is given: profiles, and labelled pairs of them by place."""

    profiles: list[Profile]
    labels: list[tuple[int, int, bool]]
    name: str
    default_country: str
    seed: int


class _Lesson(Struct, frozen=True, array_like=True):
    """What learning came to: a model with its card, or what kept it from learning."""

    model: bytes = b""
    card: bytes = b""
    expected_matches: float = 0.0
    warnings: tuple[str, ...] = ()
    problem: str = ""


async def _learn_beside(task: _Task) -> _Lesson:
    """Learn in a process of its own, which is ended when nobody waits for it any more."""
    side = await SideProcess.start(_begin)
    try:
        return msgspec.msgpack.decode(await side.ask(msgspec.msgpack.encode(task)), type=_Lesson)
    except SideProcessEnded:
        raise FailedPrecondition("the process that learned ended; it may have had too little memory") from None
    finally:
        await side.kill()


async def _begin() -> Answering:
    """Learn, in the other process."""

    async def answer(message: bytes) -> bytes:
        return msgspec.msgpack.encode(_learn(msgspec.msgpack.decode(message, type=_Task)))

    return answer


def _learn(task: _Task) -> _Lesson:
    from goldenthread.resolver.bulk.train import LabelledRows, TooFewRecords, train_profiles
    from goldenthread.resolver.learning.labelled import TooFewLabels

    try:
        trained = train_profiles(
            task.profiles,
            [LabelledRows(*label) for label in task.labels],
            name=task.name,
            made_on=f"{dt.datetime.now(dt.UTC):%Y-%m-%d}",
            default_country=task.default_country,
            seed=task.seed,
        )
    except (TooFewLabels, TooFewRecords) as error:
        return _Lesson(problem=str(error).rstrip("."))
    card = trained.card
    return _Lesson(trained.model.to_json(), msgspec.json.encode(card), card.expected_matches, card.warnings)


class TrainModel:
    """Learn a model: read every record's profile, and learn from them in a process beside the server.

    What is learned follows from the records, labels and seed alone, so it needs no checkpoint before it is kept.
    """

    name, unit = TRAIN_MODEL, "records"

    async def run(self, context: JobContext, checkpoint: bytes) -> Struct | None:
        """Learn, and keep the model with its card."""
        tenant, training = context.tenant, context.parameters(Training)
        ids, profiles = await self._profiles(context)
        place = {record: row for row, record in enumerate(ids)}
        async with context.engine.reader(tenant) as reader:
            labelled = await find_labelled(reader, tenant, training.labels)
        rows = [(place[a], place[b], yes) for a, b, yes in labelled.pairs if a in place and b in place]
        task = _Task(profiles, rows, training.name or "trained", tenant.data_model.default_country, training.seed)
        learnt = await _learn_beside(task)
        if learnt.problem:
            raise FailedPrecondition(learnt.problem)
        if not rows and learnt.expected_matches < _LEAST_MATCHES:
            raise FailedPrecondition("the records hold too few duplicates to learn from; label some pairs and send them")
        model, card = MatchModel.from_json(learnt.model), learnt.card.decode()

        async def keep(transaction: Transaction, at: int) -> Step:
            changes = ChangeSet()
            entry = ModelEntry(model.version, model.name, "trained", at, card)
            await keep_model(transaction, changes, tenant.vault, entry, model)
            return Step(_KEPT, changes, len(profiles), len(profiles))

        await context.step(keep)
        return _Learned(
            model.version,
            len(profiles),
            len(rows),
            labelled.missing,
            learnt.expected_matches,
            learnt.warnings,
        )

    async def _profiles(self, context: JobContext) -> tuple[list[bytes], list[Profile]]:
        ids: list[bytes] = []
        profiles: list[Profile] = []
        async with context.engine.reader(context.tenant) as reader:
            total = (await reader.counts())[NodeKind.RECORD]
        after = b""
        while True:
            async with context.engine.reader(context.tenant) as reader:
                page = await reader.page(NodeKind.RECORD, after, _PAGE, {})
                if not page:
                    return ids, profiles
                members = await context.tenant.members_of((await reader.records(page)).values())
            for id in page:
                if id in members:
                    ids.append(id)
                    profiles.append(members[id].profile)
            after = page[-1]
            context.report(len(ids), max(total, len(ids)))
            await context.check()
