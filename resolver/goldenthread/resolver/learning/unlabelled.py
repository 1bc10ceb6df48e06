"""Learn without labels: the latent classes from patterns of levels, then self-training on the groups that they find."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from goldenthread.resolver.learning.em import MATCH, fit, patterns
from goldenthread.resolver.learning.evidence import gather_evidence
from goldenthread.resolver.learning.own_values import most_mistakes
from goldenthread.resolver.learning.seen import Comparable, Lesson
from goldenthread.resolver.learning.self_training import self_train
from goldenthread.resolver.scoring.model import WEIGHT_SCALE, fixed_point
from goldenthread.resolver.scoring.scorer import weigh_by_classes

__all__ = ["learn_without_labels"]

_CHUNK = 1 << 21
_MOST_ROUNDS = 4
"""Fits with ever fewer mistakes, as fewer related people are taken for one."""
_LEAST_PRIOR = 1e-12
_ANCHORED = "That fit was dropped; learning was repeated with what identifies a person held to what is usual."


def learn_without_labels(table: Comparable, seed: int, progress: Callable[[str, float], None]) -> Lesson:
    """Learn from a table of at least two distinct profiles; `warnings` says where the fit is doubtful."""
    levels = _candidate_levels(table, progress)
    progress("learn", 0.0)
    evidence = gather_evidence(table.features, table.profiles, table.levels, seed)
    seen, counts, pattern_of = patterns(levels)
    total = table.profiles * (table.profiles - 1) / 2
    fitted = fit(seen, counts, evidence, total)
    limits: dict[str, float] = {}
    for _ in range(_MOST_ROUNDS):
        found = most_mistakes(table, levels, fitted.posteriors[pattern_of, MATCH], evidence)
        if all(most > limits.get(name, 1.0) * 0.8 for name, most in found.items()):
            break
        limits |= found
        fitted = fit(seen, counts, evidence, total, limits=limits)
    warnings = fitted.warnings
    if not fitted.is_of_people:
        fitted = fit(seen, counts, evidence, total, is_anchored=True, limits=limits)
        warnings = (*warnings, _ANCHORED, *(w for w in fitted.warnings if w not in warnings))
    priors = tuple(round(float(np.log2(max(p, _LEAST_PRIOR))) * WEIGHT_SCALE) for p in fitted.priors)
    tables = [tuple(fixed_point(row.tolist()) for row in rows) for rows in fitted.tables]
    weights = weigh_by_classes(seen, priors, tables)[pattern_of]
    trained = self_train(table, levels, weights, priors, tables, seed)
    progress("learn", 1.0)
    return Lesson(
        priors=trained.priors,
        tables=trained.tables,
        refinement=trained.refinement,
        link_weight=trained.link_weight,
        min_average=trained.min_average,
        matches=fitted.posteriors[pattern_of, MATCH],
        fit=fitted,
        warnings=warnings,
    )


def _candidate_levels(table: Comparable, progress: Callable[[str, float], None]) -> NDArray[np.int8]:
    """Compare the candidate pairs, some at a time."""
    left, right = table.left, table.right
    levels = np.zeros((len(left), len(table.features)), np.int8)
    for start in range(0, len(left), _CHUNK):
        progress("compare", start / len(left))
        part = slice(start, start + _CHUNK)
        levels[part] = table.levels(left[part], right[part])
    progress("compare", 1.0)
    return levels
