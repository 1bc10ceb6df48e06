"""Estimate how the levels of a comparison are spread over all pairs, and what to expect of one person's pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.resolver.scoring.model import AnyComparison

__all__ = ["Evidence", "Feature", "gather_evidence"]

Floats = NDArray[np.float64]

_SAMPLED_PAIRS = 600_000
_ALL_PAIRS = 2_000_000
"""Up to so many pairs all are looked at, so that learning from few records leaves nothing to chance."""


class Feature(Struct):
    """What one comparison compares: the pairs of profiles that agree exactly, by level, and the share of each frequency bin."""

    comparison: AnyComparison
    exact: Mapping[str, float]
    borne: Sequence[float]


class Evidence(Struct):
    """What one comparison showed: of all pairs, and what is expected of one person's pairs before looking.

    `pairs` counts all pairs of the data by level (estimated, missing at 0); `expected` are level probabilities of a match,
    worth `strength` pairs; `disagreements` are the levels that say two values differ.
    """

    name: str
    levels: tuple[str, ...]
    pairs: Floats
    expected: Floats
    strength: float
    disagreements: tuple[int, ...]


def gather_evidence(
    features: Sequence[Feature],
    n: int,
    compare: Callable[[NDArray[np.int32], NDArray[np.int32]], NDArray[np.int8]],
    seed: int,
) -> list[Evidence]:
    """Estimate how the levels of each feature are spread over all pairs of `n`.

    Exact agreements are counted, the rest sampled; of few profiles all pairs are looked at.
    """
    total = n * (n - 1) / 2
    if total <= _ALL_PAIRS:
        left, right = (side.astype(np.int32) for side in np.triu_indices(n, 1))
    else:
        generator = np.random.default_rng(seed)
        left = generator.integers(0, n, _SAMPLED_PAIRS, dtype=np.int32)
        right = generator.integers(0, n, _SAMPLED_PAIRS, dtype=np.int32)
        distinct = left != right
        left, right = left[distinct], right[distinct]
    levels = compare(left, right)
    found = []
    for k, feature in enumerate(features):
        comparison = feature.comparison
        sampled = np.bincount(levels[:, k], minlength=len(comparison.levels)) + 0.5
        pairs: Floats = np.asarray(sampled * (total / max(len(left), 1)), np.float64)
        pairs[0] = 0.0
        exact_heads = comparison.binned[:1]
        for i, level in enumerate(comparison.levels):
            if level.rpartition("_")[0] in exact_heads:
                pairs[i] = max(feature.exact.get(level, 0.0), 0.5)
        found.append(
            Evidence(
                name=comparison.name,
                levels=comparison.levels,
                pairs=pairs,
                expected=_expected(comparison, feature.borne),
                strength=comparison.strength,
                disagreements=tuple(i for i, level in enumerate(comparison.levels) if level in comparison.disagreements),
            )
        )
    return found


def _expected(comparison: AnyComparison, borne: Sequence[float]) -> Floats:
    """Spread the expected levels of a match over the bins as the values are spread over profiles."""
    lines = comparison.expected
    out = np.zeros(len(comparison.levels))
    for i, level in enumerate(comparison.levels[1:], 1):
        head, _, tail = level.rpartition("_")
        out[i] = lines[head] * max(borne[int(tail)], 1e-4) if head in comparison.binned else lines[level]
    return out
