"""What learning sees of a table, and what it gives back: levels of pairs in, the numbers of a match model out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from msgspec import Struct, UnsetType
from numpy.typing import NDArray

from goldenthread.resolver.learning.em import Fit
from goldenthread.resolver.learning.evidence import Feature
from goldenthread.resolver.scoring.refinement import Refinement

__all__ = ["Comparable", "Lesson"]


class Comparable(Protocol):
    """A table that can be compared: distinct profiles by number, their features, and the pairs worth looking at."""

    @property
    def profiles(self) -> int:
        """How many distinct profiles there are."""
        ...

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many records have each profile; shape (profiles,)."""
        ...

    @property
    def features(self) -> Sequence[Feature]:
        """What is compared, in the order of the columns of levels."""
        ...

    @property
    def left(self) -> NDArray[np.int32]:
        """The smaller profile of each candidate pair."""
        ...

    @property
    def right(self) -> NDArray[np.int32]:
        """The larger profile of each candidate pair."""
        ...

    def known(self) -> NDArray[np.bool_]:
        """Say which features each profile has something for; shape (profiles, features)."""
        ...

    def levels(self, left: NDArray[np.int32], right: NDArray[np.int32]) -> NDArray[np.int8]:
        """Compare any pairs of profiles; shape (pairs, features)."""
        ...


class Lesson(Struct):
    """What was learned: all of a match model but its comparisons, rules and frequencies; and how it went.

    `priors` and `tables` (one a feature, by class and level) are log2 in fixed point. `matches` is the probability that each
    candidate pair is one person.
    """

    priors: tuple[int, ...]
    tables: list[tuple[tuple[int, ...], ...]]
    refinement: Refinement | UnsetType
    link_weight: int
    min_average: int
    matches: NDArray[np.float64]
    fit: Fit
    warnings: tuple[str, ...]
