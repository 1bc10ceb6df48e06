"""Score pairs of profiles: integers in, integers out, so that the same pair has the same weight everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from threading import Lock

import numpy as np
from msgspec import UNSET, Struct
from numpy.typing import NDArray

from goldenthread.resolver.comparisons import MISSING
from goldenthread.resolver.normalise import Profile
from goldenthread.resolver.scoring.coded import NONE, SEVERAL, CodedProfiles
from goldenthread.resolver.scoring.information import Information
from goldenthread.resolver.scoring.model import CLASSES, WEIGHT_SCALE, AnyComparison, MatchModel
from goldenthread.resolver.scoring.refinement import CALIBRATION, Refiner

__all__ = ["Contribution", "PairExplanation", "Scorer", "totals_by_classes", "weigh_by_classes"]

_SMALL_BATCH = 48
"""Pairs up to which a plain loop beats NumPy's call overhead."""

_CHUNK = 1 << 20
"""Pairs compared at a time in large batches, to bound memory."""

_REMEMBERED = 20_000
"""Profiles whose features are remembered between calls."""

_CODED = 200_000
"""Profiles whose rows of codes are remembered between calls: a row is small."""

_KINDS = 10_000
"""Combinations of levels whose weight and explanation are remembered."""


def weigh_by_classes(
    levels: NDArray[np.int8], priors: Sequence[int], tables: Sequence[Sequence[Sequence[int]]]
) -> NDArray[np.int64]:
    """Weigh pairs by the latent classes alone: one person against the best other; `levels` has shape (pairs, comparisons)."""
    totals = totals_by_classes(levels, priors, tables)
    weights: NDArray[np.int64] = totals[0] - totals[1:].max(axis=0)
    return weights


def totals_by_classes(
    levels: NDArray[np.int8], priors: Sequence[int], tables: Sequence[Sequence[Sequence[int]]]
) -> NDArray[np.int64]:
    """Sum what every latent class has of pairs, of shape (classes, pairs): log2 of its prior and of what it makes of them."""
    totals = np.repeat(np.asarray(priors, np.int64)[:, None], len(levels), axis=1)
    for k, table in enumerate(tables):
        if levels[:, k].any():
            totals += np.asarray(table, np.int64)[:, levels[:, k]]
    return totals


_Row = tuple[int, ...] | None


def _with_refinement(model: MatchModel) -> tuple[tuple[int, ...], list[list[_Row]]]:
    """Give priors, and by comparison and level what each class adds, with a refinement's tables added to the match.

    None stands for nothing to add, as for a missing value that says nothing.
    """
    rows: list[list[_Row]] = [list(zip(*spec.tables, strict=True)) for spec in model.comparisons]
    priors = model.priors
    if model.refinement is not UNSET:
        priors = (priors[0] + model.refinement.constant, *priors[1:])
        rows = [
            [(m[0] + extra, *m[1:]) for m, extra in zip(zip(*spec.tables, strict=True), table, strict=True)]
            for spec, table in zip(model.comparisons, model.refinement.tables, strict=True)
        ]
    return priors, [[row if row is not None and any(row) else None for row in levels] for levels in rows]


class Contribution(Struct, frozen=True):
    """What one comparison adds to a pair's weight.

    `rarity` is the part of the weight that is due to term frequency: what an agreement on this value weighs more than one on
    the commonest values would.
    """

    comparison: str
    level: str
    weight: int
    rarity: int


class PairExplanation(Struct, frozen=True):
    """Why a pair weighs what it weighs: `prior` plus the contributions' weights is exactly `weight`.

    `against` names what else the pair most probably is: `strangers`, `namesakes`, `family` or `same_address`.
    """

    weight: int
    prior: int
    against: str
    probability: float
    contributions: tuple[Contribution, ...]


class Scorer:
    """Weigh pairs under one model.

    A weight is the evidence for one person against the best other explanation: strangers, namesakes, family, or one address.
    """

    def __init__(self, model: MatchModel) -> None:
        self.model = model
        self.comparisons: tuple[AnyComparison, ...] = model.build_comparisons()
        self._tables = [spec.tables for spec in model.comparisons]
        self._priors, self._by_level = _with_refinement(model)
        self._refiner = None if model.refinement is UNSET else Refiner(model.refinement)
        self._information = Information(self._tables, WEIGHT_SCALE)
        self._coded = CodedProfiles(self.comparisons, _CODED)
        self._coding = Lock()
        # What is forgotten is forgotten one by one: all of it at once would hold up a search for a tenth of a second.
        self._features_of = lru_cache(_REMEMBERED)(self._take_features)
        # Pairs of few kinds are many: what their levels weigh, and why, is told once.
        self._weight = lru_cache(_KINDS)(self._weight_of)
        self._explanation = lru_cache(_KINDS)(self._explanation_of)

    def _take_features(self, profile: Profile) -> list[tuple[object, ...]]:
        return [c.values(profile) for c in self.comparisons]

    def _totals(self, levels: Sequence[int]) -> tuple[int, ...]:
        """Total by class of one pair; the tables of a refinement are in that of the match."""
        match, family, address, namesakes, strangers = self._priors
        for by_level, level in zip(self._by_level, levels, strict=True):
            row = by_level[level]
            if row is not None:
                m, f, s, k, u = row
                match += m
                family += f
                address += s
                namesakes += k
                strangers += u
        return match, family, address, namesakes, strangers

    def _weight_of(self, levels: tuple[int, ...]) -> int:
        totals = self._totals(levels)
        weight = totals[0] - max(totals[1:])
        return weight if self._refiner is None else self._refiner.finish(levels, weight)

    def weights(self, profiles: Sequence[Profile], left: NDArray[np.int32], right: NDArray[np.int32]) -> NDArray[np.int64]:
        """Weigh the pairs (profiles[left[i]], profiles[right[i]]).

        Symmetric, and independent of what else is in the batch. Shape of the result: that of `left`.
        """
        if len(left) <= _SMALL_BATCH:
            pairs = zip(left.tolist(), right.tolist(), strict=True)
            return np.fromiter((self._weight(self.levels(profiles[i], profiles[j])) for i, j in pairs), np.int64, len(left))
        with self._coding:
            coded = self._coded if len(profiles) <= _CODED else CodedProfiles(self.comparisons, len(profiles))
            rows = coded.rows(profiles)
            out = np.empty(len(left), np.int64)
            for start in range(0, len(left), _CHUNK):
                part = slice(start, start + _CHUNK)
                out[part] = self._weigh(coded, profiles, rows, left[part], right[part])
        return out

    def _weigh(
        self,
        coded: CodedProfiles,
        profiles: Sequence[Profile],
        rows: NDArray[np.int32],
        left: NDArray[np.int32],
        right: NDArray[np.int32],
    ) -> NDArray[np.int64]:
        levels = np.zeros((len(left), len(self.comparisons)), np.int8)
        for k, column in enumerate(coded.columns):
            x, y = rows[left, k], rows[right, k]
            levels[:, k] = column.levels(x, y)
            for i in np.flatnonzero(((x == SEVERAL) & (y != NONE)) | ((y == SEVERAL) & (x != NONE))).tolist():
                levels[i, k] = column.several(profiles[left[i]], profiles[right[i]])
        return self.weigh_levels(levels)

    def weigh_levels(self, levels: NDArray[np.int8]) -> NDArray[np.int64]:
        """Weigh pairs by their levels, of shape (pairs, comparisons): what every path to a weight ends in."""
        weights = weigh_by_classes(levels, self.model.priors, self._tables)
        return weights if self._refiner is None else self._refiner.refine_many(levels, weights)

    def information(self, profiles: Sequence[Profile]) -> NDArray[np.int64]:
        """Say what records count by what they know of their persons; of shape (profiles,)."""
        return self.information_of(np.array([[bool(v) for v in self._features_of(p)] for p in profiles], np.bool_))

    def information_of(self, known: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Say the same by which comparisons each has something for, of shape (profiles, comparisons)."""
        return self._information.of(known)

    def levels(self, a: Profile, b: Profile) -> tuple[int, ...]:
        """Tell the level of every comparison of one pair."""
        rows = zip(self.comparisons, self._features_of(a), self._features_of(b), strict=True)
        return tuple([c.level(x, y) if x and y else MISSING for c, x, y in rows])  # type: ignore[arg-type]  # its own features

    def explain(self, a: Profile, b: Profile) -> PairExplanation:
        """Explain the weight of one pair; comparisons without evidence (a side missing) are left out."""
        return self._explanation(self.levels(a, b))

    def _explanation_of(self, levels: tuple[int, ...]) -> PairExplanation:
        totals = self._totals(levels)
        best = max(totals[1:])
        # On a tie the plainest explanation is named.
        against = next(c for c in (4, 3, 1, 2) if totals[c] == best)
        refinement = self.model.refinement
        contributions = []
        for k, (c, level) in enumerate(zip(self.comparisons, levels, strict=True)):
            weight = self._adds(k, level, against)
            if level != MISSING or weight:
                commonest = _commonest(c.levels, level)
                contributions.append(Contribution(c.name, c.levels[level], weight, weight - self._adds(k, commonest, against)))
        prior = self.model.priors[0] - self.model.priors[against]
        if refinement is not UNSET:
            prior += refinement.constant
            contributions += self._together(levels)
        weight = self._weight(levels)
        calibration = weight - prior - sum(c.weight for c in contributions)
        if calibration:
            contributions.append(Contribution(CALIBRATION, "", calibration, 0))
        return PairExplanation(weight, prior, CLASSES[against], self.probability(weight), tuple(contributions))

    def _adds(self, k: int, level: int, against: int) -> int:
        """Say what a level of the k-th comparison adds to a weight, measured against a class."""
        tables, refinement = self._tables[k], self.model.refinement
        weight = tables[0][level] - tables[against][level] if level != MISSING else 0
        return weight if refinement is UNSET else weight + refinement.tables[k][level]

    def _together(self, levels: Sequence[int]) -> list[Contribution]:
        """List what pairs of comparisons say beyond what each says; what is nothing is left out."""
        found = []
        refinement = self.model.refinement
        for i in () if refinement is UNSET else refinement.interactions:
            one, other = self.comparisons[i.left], self.comparisons[i.right]
            x, y = levels[i.left], levels[i.right]
            if weight := i.table[x][y]:
                found.append(Contribution(f"{one.name} & {other.name}", f"{one.levels[x]}, {other.levels[y]}", weight, 0))
        return found

    def probability(self, weight: int) -> float:
        """Turn a weight into the probability that the pair is one person."""
        bits = weight / WEIGHT_SCALE
        if bits < -60:
            return 0.0
        return 1.0 / (1.0 + float(2.0 ** min(60.0, -bits)))


def _commonest(names: Sequence[str], level: int) -> int:
    """Find the level of the same agreement on the commonest values; the level itself when it knows no frequency."""
    stem, _, grade = names[level].rpartition("_")
    if not grade.isdigit():
        return level
    grades = {int(name.rpartition("_")[2]): place for place, name in enumerate(names) if name.startswith(f"{stem}_")}
    return grades[max(grades)]
