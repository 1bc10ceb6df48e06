"""The job that learns a match model from a tenant's own records."""

from __future__ import annotations

import asyncio
import datetime as dt

import msgspec
from msgspec import Struct

from goldenthread.graph.model import NodeKind
from goldenthread.graph.store import ChangeSet, Transaction
from goldenthread.resolver.normalise import Profile
from goldenthread.server.commands.model_artefacts import ModelEntry, keep_model
from goldenthread.server.errors import FailedPrecondition
from goldenthread.server.jobs.kind import JobContext, Step
from goldenthread.server.jobs.labelled import LabelledKeys, find_labelled

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


class TrainModel:
    """Learn a model: read every record's profile, and learn from them in a thread.

    What is learned follows from the records, labels and seed alone, so it needs no checkpoint before it is kept.
    """

    name, unit = TRAIN_MODEL, "records"

    async def run(self, context: JobContext, checkpoint: bytes) -> Struct | None:
        """Learn, and keep the model with its card."""
        from goldenthread.resolver.bulk.train import LabelledRows, TooFewRecords, train_profiles
        from goldenthread.resolver.learning.labelled import TooFewLabels

        tenant, training = context.tenant, context.parameters(Training)
        ids, profiles = await self._profiles(context)
        place = {record: row for row, record in enumerate(ids)}
        async with context.engine.reader(tenant) as reader:
            labelled = await find_labelled(reader, tenant, training.labels)
        rows = [LabelledRows(place[a], place[b], yes) for a, b, yes in labelled.pairs if a in place and b in place]

        try:
            trained = await asyncio.to_thread(
                train_profiles,
                profiles,
                rows,
                name=training.name or "trained",
                made_on=f"{dt.datetime.now(dt.UTC):%Y-%m-%d}",
                default_country=tenant.data_model.default_country,
                seed=training.seed,
            )
        except (TooFewLabels, TooFewRecords) as error:
            raise FailedPrecondition(str(error).rstrip(".")) from None
        if not rows and trained.card.expected_matches < _LEAST_MATCHES:
            raise FailedPrecondition("the records hold too few duplicates to learn from; label some pairs and send them")
        model, card = trained.model, msgspec.json.encode(trained.card).decode()

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
            trained.card.expected_matches,
            trained.card.warnings,
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
