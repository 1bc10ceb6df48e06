"""Learn from what stewards said of some pairs, on top of what was learned without them, and choose which pairs to ask about.

The labels bend the weights that were there: logistic regressions on the same levels, averaged with those weights themselves by
how likely each makes labels held out (pseudo-Bayesian averaging; Geisser and Eddy, "A predictive approach to model selection",
1979). In each, candidates that nobody labelled speak for those weights, fewer or more of them (Huang et al., "Catalytic prior
distributions with application to generalized linear models", 2020): labels are of doubtful pairs, and would move the weights of
all others unseen. So a few labels change little, and none change nothing. Logistic regression on levels may be fitted to
labels of any choice of pairs, because the choice looks at levels alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from msgspec import Struct, UnsetType
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from goldenthread.resolver.learning.collective import probabilities, share_related
from goldenthread.resolver.learning.em import patterns
from goldenthread.resolver.learning.refine import LN2, Correction, fit_correction, in_fixed_point, log_odds
from goldenthread.resolver.learning.seen import Comparable, Lesson
from goldenthread.resolver.learning.self_training import (
    Pool,
    choose_operating_point,
    refined,
    sample_pool,
    what_counts,
)
from goldenthread.resolver.scoring.model import WEIGHT_SCALE
from goldenthread.resolver.scoring.refinement import Interaction, Refinement

__all__ = ["Labels", "Metrics", "PairToLabel", "TooFewLabels", "learn_with_labels", "pairs_to_label"]

Floats = NDArray[np.float64]

_LEAST_LABELS = 20
_LEAST_OF_EACH = 5
_FOLDS = 5
_PENALTY = 1.0
_CONSTANT_PENALTY = 20.0
"""Holds the prior to what it was: labels of chosen pairs say less of how common matches are than of what levels are worth."""

_KEPT_BY = (3000.0, 300.0, 30.0)
"""As how many labels the candidates that speak for the weights as they were count together, most first."""

_SPEAKERS = 2000
"""Candidates that speak, evenly over the weights, for as many as there are of their weight."""

_MOST_BITS = 40
"""Weights are clipped to so many bits either way, so that no pair is beyond all doubt."""

_RANDOM_SHARE = 0.25
"""Share of the pairs asked about that is drawn evenly over the weights, to see how well calibrated they are."""

_BINS = 10
_WEIGHT_BINS = 17


class TooFewLabels(ValueError):
    """There are too few labels of a kind to learn from; label more pairs."""

    def __init__(self, matches: int, others: int) -> None:
        self.matches, self.others = matches, others
        super().__init__(
            f"There are {matches} pairs labelled one person and {others} labelled two; at least {_LEAST_LABELS} labels are "
            f"needed, {_LEAST_OF_EACH} of each: label more pairs."
        )


class Labels(Struct):
    """Pairs of profiles, by number, and whether they are one person."""

    left: NDArray[np.int32]
    right: NDArray[np.int32]
    is_match: NDArray[np.bool_]


class Metrics(Struct, frozen=True):
    """How well the weights tell the labelled pairs apart, before and after; those after are of folds not trained on.

    `calibration_error` is the expected calibration error over ten equal bins of probability, estimated for all candidates:
    labels of each bin of weight stand for the candidates of it, since doubtful pairs are asked about more often. `kept` is the
    share that the weights as they were have in the average, from 0 to 1.
    """

    labels: int
    matches: int
    log_loss_before: float
    log_loss_after: float
    calibration_error_before: float
    calibration_error_after: float
    kept: float
    expected_f1: float


class PairToLabel(Struct, frozen=True):
    """A pair of profiles to ask about, its probability of being one person, and why it is asked: `doubt` or `calibration`."""

    left: int
    right: int
    probability: float
    why: str


def learn_with_labels(table: Comparable, lesson: Lesson, labels: Labels, seed: int) -> tuple[Lesson, Metrics]:
    """Learn from labels on top of a lesson without; the rules of the lesson stand.

    Raises: TooFewLabels.
    """
    yes = labels.is_match.astype(np.float64)
    if len(yes) < _LEAST_LABELS or min(yes.sum(), len(yes) - yes.sum()) < _LEAST_OF_EACH:
        raise TooFewLabels(int(yes.sum()), int(len(yes) - yes.sum()))
    sizes = [len(rows[0]) for rows in lesson.tables]
    levels = table.levels(labels.left, labels.right)
    base = _weigh(lesson, levels) / WEIGHT_SCALE * LN2
    candidates = _candidates(table, lesson)
    said = _Said(levels, base, yes, 1.0 - yes)
    speakers = _speakers(*candidates, seed)
    shares, held_out = _weigh_corrections(said, speakers, sizes, seed)
    loss, new_loss = _log_loss(base, yes), _log_loss(held_out, yes)
    learned = _bent(lesson, _averaged(said, speakers, sizes, shares))
    pool = sample_pool(table, *candidates, seed)
    link_weight, min_average, expected = learned.link_weight, learned.min_average, 0.0
    if len(pool.own):
        weights = (_weigh(learned, pool.own), _weigh(learned, pool.outside))
        related = share_related(pool.own, learned.priors, learned.tables)
        # Labels keep the scale of trained weights, so their point stands; the latent classes alone had a mere default.
        stands = None if isinstance(lesson.refinement, UnsetType) else (link_weight, min_average)
        chosen = choose_operating_point(pool, *weights, related, what_counts(table, learned.tables), stands)
        link_weight, min_average, expected = chosen[:3]
    learned = msgspec.structs.replace(learned, link_weight=link_weight, min_average=min_average)
    each = _stand_for(base / LN2 * WEIGHT_SCALE, candidates[1])
    metrics = Metrics(
        len(yes), int(yes.sum()), loss, new_loss, calibration_error(_sigmoid(base), yes, each),
        calibration_error(_sigmoid(held_out), yes, each), shares[0], expected,
    )  # fmt: skip
    return learned, metrics


def _weigh(lesson: Lesson, levels: NDArray[np.int8]) -> NDArray[np.int64]:
    return refined(levels, lesson.priors, lesson.tables, lesson.refinement)


def _candidates(table: Comparable, lesson: Lesson) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    levels = table.levels(table.left, table.right)
    return levels, _weigh(lesson, levels)


class _Said(Struct):
    """Levels of pairs, their log-odds as they were, and as how many labels each counts that says one person, and two."""

    levels: NDArray[np.int8]
    base: Floats
    yes: Floats
    no: Floats

    def only(self, rows: NDArray[np.int64]) -> _Said:
        return _Said(self.levels[rows], self.base[rows], self.yes[rows], self.no[rows])


def _speakers(levels: NDArray[np.int8], weights: NDArray[np.int64], seed: int) -> _Said:
    """Let some candidates say of all what the weights say; together they count as one label."""
    rng = np.random.default_rng(seed)
    rows = np.array(_evenly(np.arange(len(weights)), weights, _SPEAKERS, rng), np.int64)
    each = _stand_for(weights[rows], weights) / max(len(weights), 1)
    base = weights[rows] / WEIGHT_SCALE * LN2
    return _Said(levels[rows], base, each * _sigmoid(base), each * _sigmoid(-base))


def _weigh_corrections(said: _Said, speakers: _Said, sizes: Sequence[int], seed: int) -> tuple[list[float], Floats]:
    """Say what share each correction has by how likely it makes held-out labels; the first is that of the weights as they are.

    Answers them with the held-out log-odds of their average.
    """
    folds = list(StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(said.levels, said.yes))
    tried = [said.base]
    for kept_by in _KEPT_BY:
        log_odds_of = np.zeros(len(said.yes))
        for train, test in folds:
            fitted = _fitted(said.only(train), speakers, sizes, kept_by)
            log_odds_of[test] = log_odds(fitted, said.levels[test], said.base[test])
        tried.append(log_odds_of)
    losses = np.array([_losses(z, said.yes).sum() for z in tried])
    likely = np.exp(losses.min() - losses)
    shares: list[float] = (likely / likely.sum()).tolist()
    held_out: Floats = np.sum([share * z for share, z in zip(shares, tried, strict=True)], axis=0)
    return shares, held_out


def _fitted(said: _Said, speakers: _Said, sizes: Sequence[int], kept_by: float) -> Correction:
    """Fit to labels and to the speakers, who count as so many labels."""
    return fit_correction(
        np.concatenate([said.levels, speakers.levels]),
        np.concatenate([said.base, speakers.base]),
        np.concatenate([said.yes, kept_by * speakers.yes]),
        np.concatenate([said.no, kept_by * speakers.no]),
        sizes,
        most_interactions=0,
        penalty=_PENALTY,
        constant_penalty=_CONSTANT_PENALTY,
    )


def _averaged(said: _Said, speakers: _Said, sizes: Sequence[int], shares: Sequence[float]) -> Correction:
    """Average the corrections; log-odds are linear in what a correction holds, so this averages them too."""
    constant, scale, tables = 0.0, shares[0], [np.zeros(size) for size in sizes]
    for kept_by, share in zip(_KEPT_BY, shares[1:], strict=True):
        fitted = _fitted(said, speakers, sizes, kept_by)
        constant += share * fitted.constant
        scale += share * fitted.scale
        tables = [table + share * other for table, other in zip(tables, fitted.tables, strict=True)]
    return Correction(constant, scale, tables, [])


def _bent(lesson: Lesson, fitted: Correction) -> Lesson:
    """Add a correction to a lesson: all of its parts are scaled, then the tables are added."""
    scale = fitted.scale
    added = in_fixed_point(fitted)
    old = lesson.refinement
    if isinstance(old, UnsetType):
        old = Refinement(0, tuple((0,) * len(rows[0]) for rows in lesson.tables))
    tables = tuple(
        tuple(round(a * scale) + b for a, b in zip(one, other, strict=True))
        for one, other in zip(old.tables, added.tables, strict=True)
    )
    interactions = tuple(
        Interaction(i.left, i.right, tuple(tuple(round(cell * scale) for cell in row) for row in i.table))
        for i in old.interactions
    )
    most = _MOST_BITS * WEIGHT_SCALE
    return msgspec.structs.replace(
        lesson,
        priors=tuple(round(p * scale) for p in lesson.priors),
        tables=[tuple(tuple(round(cell * scale) for cell in row) for row in rows) for rows in lesson.tables],
        refinement=Refinement(
            round(old.constant * scale) + added.constant, tables, interactions, ((-most, -most), (most, most))
        ),
    )


def _sigmoid(z: Floats) -> Floats:
    out: Floats = 1.0 / (1.0 + np.exp(-np.clip(z, -50.0, 50.0)))
    return out


def _losses(z: Floats, yes: Floats) -> Floats:
    out: Floats = np.logaddexp(0.0, z) - yes * z
    return out


def _log_loss(z: Floats, yes: Floats) -> float:
    return float(_losses(z, yes).mean())


def calibration_error(probable: Floats, yes: Floats, each: Floats | None = None) -> float:
    """Compute the expected calibration error: how far probabilities are from shares, over ten bins, weighted by their size.

    `each` says how many pairs each stands for; without it, for itself alone.
    """
    standing = np.ones(len(yes)) if each is None else each
    place = np.minimum((probable * _BINS).astype(np.int64), _BINS - 1)
    gaps = np.bincount(place, weights=(probable - yes) * standing, minlength=_BINS)
    return float(np.abs(gaps).sum() / max(float(standing.sum()), 1e-12))


def _stand_for(weights: Floats | NDArray[np.int64], candidates: NDArray[np.int64]) -> Floats:
    """Say how many candidates each labelled pair stands for: those of its bin of weight, shared by the labels there."""
    place, every = _bin_of_weight(weights), _bin_of_weight(candidates)
    labelled = np.bincount(place, minlength=_WEIGHT_BINS)
    return np.bincount(every, minlength=_WEIGHT_BINS)[place] / labelled[place]


def _bin_of_weight(weights: Floats | NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the bins of two bits that weights fall in, from 0."""
    half = _WEIGHT_BINS // 2
    return np.clip(np.floor(weights / (2 * WEIGHT_SCALE)), -half, half).astype(np.int64) + half


def pairs_to_label(table: Comparable, lesson: Lesson, count: int, seed: int, known: Labels | None = None) -> list[PairToLabel]:
    """Choose the pairs worth a steward's minute, in random order: doubtful ones on which much depends, no two alike.

    A quarter is drawn evenly over the weights, to see how well calibrated they are. Pairs that are `known` are left out.
    """
    pool = sample_pool(table, *_candidates(table, lesson), seed)
    left = np.concatenate([pool.sample.left, table.left[pool.kept]])
    right = np.concatenate([pool.sample.right, table.right[pool.kept]])
    weights = _weigh(lesson, np.concatenate([pool.own, pool.outside]))
    probable = probabilities(weights)
    n = table.profiles
    taken = set() if known is None else set(_packed(known.left, known.right, n).tolist())
    packed = _packed(left, right, n)
    fresh = np.fromiter((p not in taken for p in packed.tolist()), np.bool_, len(packed))
    rng = np.random.default_rng(seed)
    chosen = _doubtful(pool, probable, fresh, count - round(_RANDOM_SHARE * count), rng)
    chosen_set = set(chosen)
    rest = np.array([i for i in np.flatnonzero(fresh).tolist() if i not in chosen_set], np.int64)
    even = _evenly(rest, weights, count - len(chosen), rng)
    found = [PairToLabel(int(left[i]), int(right[i]), float(probable[i]), "doubt") for i in chosen]
    found += [PairToLabel(int(left[i]), int(right[i]), float(probable[i]), "calibration") for i in even]
    return [found[i] for i in rng.permutation(len(found)).tolist()]


def _packed(left: NDArray[np.int32], right: NDArray[np.int32], n: int) -> NDArray[np.int64]:
    return np.minimum(left, right).astype(np.int64) * n + np.maximum(left, right)


def _doubtful(pool: Pool, probable: Floats, fresh: NDArray[np.bool_], count: int, rng: np.random.Generator) -> list[int]:
    """Take pairs of the most doubtful patterns of levels, the more so the more pairs have them: any pair of a pattern alike.

    Were pairs taken for what their component says, the labels would not tell what the levels are worth elsewhere.
    """
    _, counts, pattern_of = patterns(np.concatenate([pool.own, pool.outside]))
    shuffled = rng.permutation(len(pattern_of))
    shuffled = shuffled[fresh[shuffled]]
    # The n-th pair of a pattern is worth as much less as n pairs tell of it already.
    order = shuffled[np.argsort(pattern_of[shuffled], kind="stable")]
    firsts = np.flatnonzero(np.diff(pattern_of[order], prepend=-1))
    turn = np.arange(len(order)) - np.repeat(firsts, np.diff(firsts, append=len(order)))
    worth = probable[order] * (1.0 - probable[order]) * counts[pattern_of[order]] ** 0.5 / (1.0 + turn)
    chosen: list[int] = order[np.argsort(-worth, kind="stable")[:count]].tolist()
    return chosen


def _evenly(rows: NDArray[np.int64], weights: NDArray[np.int64], count: int, rng: np.random.Generator) -> list[int]:
    """Draw rows evenly over bins of their weight."""
    if count <= 0 or not len(rows):
        return []
    place = _bin_of_weight(weights[rows])
    shuffled = rng.permutation(len(rows))
    order = shuffled[np.argsort(place[shuffled], kind="stable")]
    firsts = np.flatnonzero(np.diff(place[order], prepend=-1))
    turn = np.arange(len(order)) - np.repeat(firsts, np.diff(firsts, append=len(order)))
    chosen: list[int] = rows[order[np.argsort(turn, kind="stable")[:count]]].tolist()
    return chosen
