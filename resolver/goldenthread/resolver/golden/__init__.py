"""Compute golden records: of everything that an identity's records say, the best value of each attribute, and why."""

from __future__ import annotations

from goldenthread.resolver.golden.record import golden_record
from goldenthread.resolver.golden.rules import (
    DAY,
    Aggregate,
    AttributeGroup,
    Criterion,
    Pin,
    PurposeLimit,
    RecordCondition,
    SourceTrust,
    SurvivorshipRule,
    SurvivorshipRules,
    Verifying,
)
from goldenthread.resolver.golden.values import GoldenAttribute, SourcedRecord, SourcedValue

__all__ = [
    "DAY",
    "Aggregate",
    "AttributeGroup",
    "Criterion",
    "GoldenAttribute",
    "Pin",
    "PurposeLimit",
    "RecordCondition",
    "SourceTrust",
    "SourcedRecord",
    "SourcedValue",
    "SurvivorshipRule",
    "SurvivorshipRules",
    "Verifying",
    "golden_record",
]
