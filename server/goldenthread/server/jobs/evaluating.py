"""The job that measures a match model against labelled pairs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from goldenthread.resolver.normalise import Profile
from goldenthread.resolver.scoring import MatchModel, Scorer
from goldenthread.server.commands.match_models import usable_model
from goldenthread.server.errors import FailedPrecondition
from goldenthread.server.jobs.kind import JobContext
from goldenthread.server.jobs.labelled import LabelledKeys, LabelledMembers, find_labelled

if TYPE_CHECKING:
    from goldenthread.resolver.learning.assessment import Assessment

__all__ = ["EVALUATE_MODEL", "EvaluateModel", "Evaluation"]

EVALUATE_MODEL = "evaluate-model"


class Evaluation(Struct, frozen=True):
    """What an evaluation is asked for with."""

    version: str
    labels: LabelledKeys


class _Evaluated(Struct, frozen=True):
    version: str
    labels_without_records: int
    assessment: Assessment


class EvaluateModel:
    """Weigh labelled pairs under a model, and say how well it tells them apart."""

    name, unit = EVALUATE_MODEL, "labels"

    async def run(self, context: JobContext, checkpoint: bytes) -> Struct | None:
        """Find the pairs, weigh them, and measure."""
        wanted = context.parameters(Evaluation)
        async with context.engine.reader(context.tenant) as reader:
            model = await usable_model(reader, context.tenant, wanted.version)
            labelled = await find_labelled(reader, context.tenant, wanted.labels)
        if not labelled.pairs:
            raise FailedPrecondition("no labelled pair has both its records here; send labels of records that are")
        assessment = await asyncio.to_thread(_assess, model, labelled)
        context.report(assessment.labels, assessment.labels)
        return _Evaluated(wanted.version, labelled.missing, assessment)


def _assess(model: MatchModel, labelled: LabelledMembers) -> Assessment:
    from goldenthread.resolver.learning.assessment import assess  # what learning needs is loaded when it is needed

    place = {record: row for row, record in enumerate(labelled.members)}
    profiles: list[Profile] = [member.profile for member in labelled.members.values()]
    left = np.array([place[a] for a, _, _ in labelled.pairs], np.int32)
    right = np.array([place[b] for _, b, _ in labelled.pairs], np.int32)
    weights = Scorer(model).weights(profiles, left, right)
    return assess(weights, np.array([yes for _, _, yes in labelled.pairs], np.bool_), model.link_weight)
