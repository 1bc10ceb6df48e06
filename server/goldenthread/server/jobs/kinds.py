"""Gather the kinds of jobs that a server runs."""

from __future__ import annotations

from typing import Final

from goldenthread.server.jobs.deploying import ActivateModel, StageModel
from goldenthread.server.jobs.guarding import ResolvingUnderGuards
from goldenthread.server.jobs.kind import JobKind

__all__ = ["JOB_KINDS"]

JOB_KINDS: Final[tuple[JobKind, ...]] = (StageModel(), ActivateModel(), ResolvingUnderGuards())
"""Every kind of job; a new one is added here."""
