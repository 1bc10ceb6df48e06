"""Gather the kinds of jobs that a server runs."""

from __future__ import annotations

from typing import Final

from goldenthread.server.jobs.ageing import AgeingGoldenValues
from goldenthread.server.jobs.deploying import ActivateModel, StageModel
from goldenthread.server.jobs.evaluating import EvaluateModel
from goldenthread.server.jobs.guarding import ResolvingUnderGuards
from goldenthread.server.jobs.housekeeping import Housekeeping
from goldenthread.server.jobs.kind import JobKind
from goldenthread.server.jobs.previewing import PreviewActivation
from goldenthread.server.jobs.renormalising import Renormalising
from goldenthread.server.jobs.telling import TellingGoldenValues
from goldenthread.server.jobs.training import TrainModel

__all__ = ["JOB_KINDS"]

JOB_KINDS: Final[tuple[JobKind, ...]] = (
    StageModel(),
    ActivateModel(),
    TrainModel(),
    EvaluateModel(),
    PreviewActivation(),
    ResolvingUnderGuards(),
    Renormalising(),
    TellingGoldenValues(),
    AgeingGoldenValues(),
    Housekeeping(),
)
"""Every kind of job; a new one is added here."""
