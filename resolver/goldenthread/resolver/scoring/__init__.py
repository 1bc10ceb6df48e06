"""Score pairs under an immutable match model, shipped or learned."""

from __future__ import annotations

from goldenthread.resolver.scoring.model import CLASSES, WEIGHT_SCALE, MatchModel, ModelUnreadable
from goldenthread.resolver.scoring.scorer import Contribution, PairExplanation, Scorer

__all__ = ["CLASSES", "WEIGHT_SCALE", "Contribution", "MatchModel", "ModelUnreadable", "PairExplanation", "Scorer"]
