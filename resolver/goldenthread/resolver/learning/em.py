"""Learn a model's probabilities from data without labels, by expectation maximisation over patterns of levels.

A pair is one of five latent classes: the same person; family, who share surname, address and phone while given name, birth
date, numbers and email agree only by chance; two people at one address; namesakes, who share a given name and what goes with
one (gender, second name, generation, origin); strangers. All pairs of the data count, not only the candidates: a pair that
blocking did not make is taken for strangers. So the prior is learned as well, and what blocking selects on does not bias it.

Fellegi and Sunter, "A theory for record linkage", 1969; Winkler, "Using the EM algorithm for weight computation", 1988.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.resolver.comparisons import MISSING
from goldenthread.resolver.learning.evidence import Evidence

__all__ = ["ADDRESS", "FAMILY", "MATCH", "Fit", "fit", "patterns"]

Floats = NDArray[np.float64]

MATCH, FAMILY, ADDRESS, NAMESAKES, STRANGERS = range(5)
_ADDRESS_SHARES = frozenset({"street", "area", "region", "phone"})
_FAMILY_SHARES = _ADDRESS_SHARES | {"surname"}
_FAMILY_TELLS = frozenset({"street", "phone"})
_LONE_NAME = "lone_name"
"""Family shares it too, but where only an area tells of family: it may as well be a given name, and would make one person's
records a family."""
_COHORT_LEVELS = frozenset({"near", "year", "two_parts", "different", "partial"})
"""Levels of a birth date that namesakes may share more often than chance: names go in fashions."""

_FAMILY_COINCIDENCES = frozenset({"birth_date", "given_name", "email"})
_LEAST_COINCIDENCE, _MOST_COINCIDENCE = 0.002, 0.05
"""Bounds of the chance, beyond accident, that two of a family have one birth date (twins), given name or mailbox."""

_NEVER_NAMESAKES = frozenset(
    {
        "surname",
        "whole_name",
        "lone_name",
        "organisation",
        "street",
        "area",
        "region",
        "phone",
        "email",
        "government_number",
        "account_number",
    }
)
_IDENTIFYING = frozenset({"given_name", "surname", "birth_date", "government_number", "organisation"})
_MOST_DISAGREEMENT = 0.1
"""The largest chance that one person's name, birth date or number differs, beyond slips, short forms and the like, which are
levels of their own. Were it more, the class would take in fathers and sons where many records lack what tells them apart."""

_ALSO_IDENTIFYING = frozenset({"email", "phone", "account_number", "street", "middle_name", "organisation", "area"})
_LEAST_IDENTIFYING = 2
_MOSTLY = 0.5
_LEAST_MATCHED = 5.0
_MOST_OF_ONE = 50.0
"""Different records of one person, on average, above which the class of one person is no longer that."""

_MOST_GENERATIONS = 0.005
"""The largest chance that one person is written down as of two generations, as Sr and Jr are."""

_TRIED = 12
_LEAST_FAMILY = 0.2
"""Family that only an area tells of, as surname and town may, is dropped if after some rounds it has a smaller share of what
matches have: then it takes in people whose other fields are bad."""

_MAX_ITERATIONS = 200
_TOLERANCE, _OTHER_TOLERANCE = 1e-4, 5e-3
"""Relative changes of the expected matches, and of the other classes, below which learning has settled."""

_NO_LIMITS: Mapping[str, float] = {}
_LEAST = 1e-9
_CHANCE_FLOOR = 0.02
"""Share of all agreements that must remain chance: the matches' share is itself only estimated."""


class Fit(Struct):
    """What was learned: class priors over all pairs, level probabilities `tables[k][class, level]`, and how it went.

    Where `is_of_people` is false, the class of one person is one of something else, as families, and must not be used.
    """

    priors: Floats
    tables: list[Floats]
    expected_matches: float
    iterations: int
    converged: bool
    posteriors: Floats
    warnings: tuple[str, ...]
    is_of_people: bool


def patterns(levels: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.int64], NDArray[np.int64]]:
    """Reduce level vectors (pairs by comparisons) to the distinct ones, how often each occurs, and which each pair has."""
    sizes = levels.max(axis=0).astype(np.int64) + 1 if len(levels) else np.ones(levels.shape[1], np.int64)
    packed = np.zeros(len(levels), np.int64)
    for k, size in enumerate(sizes.tolist()):
        packed = packed * size + levels[:, k]
    if not len(packed):
        return levels, packed, packed
    # As np.unique, but sorting plain integers is many times faster than sorting places.
    bits = max(len(packed) - 1, 1).bit_length()
    if int(packed.max()).bit_length() + bits > 63:
        packed = np.unique(packed, return_inverse=True)[1]
    packed = (packed << bits) | np.arange(len(packed))
    packed.sort()
    order = packed & ((1 << bits) - 1)
    new = np.diff(packed >> bits, prepend=-1) != 0
    starts = np.flatnonzero(new)
    inverse = np.empty(len(packed), np.int64)
    inverse[order] = np.cumsum(new) - 1
    return levels[order[starts]], np.diff(starts, append=len(packed)), inverse


def _normalised(weights: Floats) -> Floats:
    """Scale probabilities of the levels but missing to 1; that of missing is 1, so that it never counts."""
    weights = np.maximum(weights, _LEAST)
    weights[MISSING] = 0.0
    total = weights.sum()
    weights = weights / total
    weights[MISSING] = 1.0
    return weights


def _bounded(probabilities: Floats, disagreements: Sequence[int], most: float) -> Floats:
    """Hold the chance of disagreement to at most `most`."""
    worst = list(disagreements)
    share = float(probabilities[worst].sum())
    if share <= most:
        return probabilities
    out = probabilities.copy()
    rest = [i for i in range(1, len(out)) if i not in worst]
    out[worst] *= most / share
    out[rest] *= (1 - most) / max(float(out[rest].sum()), _LEAST)
    return out


def _shares(*, by_area_alone: bool) -> dict[int, Set[str]]:
    """Say what family and people at one address share."""
    return {FAMILY: _FAMILY_SHARES if by_area_alone else _FAMILY_SHARES | {_LONE_NAME}, ADDRESS: _ADDRESS_SHARES}


def _start(evidence: Sequence[Evidence], shares: Mapping[int, Set[str]]) -> list[Floats]:
    """Begin with the expected match, chance as all pairs show it, and related people sharing what they share."""
    tables = []
    for e in evidence:
        chance = _normalised(e.pairs.copy())
        match = _normalised(e.expected.copy())
        shared = _normalised(0.8 * match + 0.2 * chance)
        tables.append(
            np.stack(
                [
                    match,
                    shared if e.name in shares[FAMILY] else chance,
                    shared if e.name in shares[ADDRESS] else chance,
                    shared if e.name == "given_name" else chance,
                    chance,
                ]
            )
        )
    return tables


def fit(
    seen: NDArray[np.int8],
    counts: NDArray[np.int64],
    evidence: Sequence[Evidence],
    total_pairs: float,
    *,
    is_anchored: bool = False,
    limits: Mapping[str, float] = _NO_LIMITS,
) -> Fit:
    """Fit class priors and level probabilities to patterns of levels `seen`, each occurring `counts` times among candidates.

    Anchored, what identifies one person is held to what is expected of it, so that the class cannot become another. `limits`
    are the largest chances, by comparison, that one person's values differ, where less than usual.
    Does not raise on data that cannot tell the classes apart: `warnings` says so.
    """
    by_area_alone = not any(e.name in _FAMILY_TELLS for e in evidence)
    shares = _shares(by_area_alone=by_area_alone)
    tables = _start(evidence, shares)
    masses = _start_masses(evidence, float(counts.sum()), total_pairs)
    weights = counts.astype(np.float64)
    posteriors = np.zeros((len(seen), STRANGERS + 1))
    converged = False
    is_on_trial = by_area_alone and masses[FAMILY] > 0.0
    iteration = 0
    for iteration in range(1, _MAX_ITERATIONS + 1):
        if is_on_trial and iteration > _TRIED:
            is_on_trial = False
            if masses[FAMILY] < _LEAST_FAMILY * masses[MATCH]:
                tables, masses = _start(evidence, shares), _start_masses(evidence, float(counts.sum()), total_pairs)
                masses[FAMILY] = 0.0
        posteriors = _posteriors(seen, tables, masses / masses.sum())
        mass = posteriors * weights[:, None]
        related = mass[:, :STRANGERS].sum(axis=0)
        new = np.array([*related, max(total_pairs - related.sum(), 1.0)])
        shifts = np.abs(np.log((new + 10) / (masses + 10)))
        masses = new
        for k, e in enumerate(evidence):
            most = min(limits.get(e.name, 1.0), _MOST_DISAGREEMENT)
            tables[k] = _maximised(e, seen[:, k], mass, tables[k], shares, most, is_anchored=is_anchored)
        # A small class may wither away for long; what matters when time is up is that the matches have settled.
        converged = bool(shifts[MATCH] < _TOLERANCE)
        if converged and shifts.max() < _OTHER_TOLERANCE and iteration > 5 and not is_on_trial:
            break
    posteriors = _posteriors(seen, tables, masses / masses.sum())
    profiles = (1.0 + (1.0 + 8.0 * total_pairs) ** 0.5) / 2.0
    warnings, is_of_people = _judge(evidence, seen, profiles, masses, weights, posteriors, converged)
    return Fit(masses / masses.sum(), tables, float(masses[MATCH]), iteration, converged, posteriors, warnings, is_of_people)


def _start_masses(evidence: Sequence[Evidence], candidates: float, total_pairs: float) -> Floats:
    """Begin with some pairs of every class that the data could show."""
    names = {e.name for e in evidence}
    guess = max(1.0, min(candidates / 10, total_pairs / 100))
    family = guess if "surname" in names and names & _ADDRESS_SHARES else 0.0
    address = guess if "street" in names else 0.0
    namesakes = candidates / 10 if "given_name" in names else 0.0
    return np.array([guess, family, address, namesakes, max(total_pairs - guess - family - address - namesakes, 1.0)])


def _posteriors(seen: NDArray[np.int8], tables: Sequence[Floats], priors: Floats) -> Floats:
    logs = np.tile(np.log(np.maximum(priors, 1e-300)), (len(seen), 1))
    for k, table in enumerate(tables):
        logs += np.log(table).T[seen[:, k]]
    logs -= logs.max(axis=1, keepdims=True)
    out: Floats = np.exp(logs)
    out /= out.sum(axis=1, keepdims=True)
    return out


def _maximised(
    e: Evidence,
    levels: NDArray[np.int8],
    mass: Floats,
    old: Floats,
    shares: Mapping[int, Set[str]],
    most: float,
    *,
    is_anchored: bool,
) -> Floats:
    """Estimate one comparison's probabilities from the classes' shares of the patterns; of a match at `most` differs."""
    size = len(e.levels)
    by_class = np.stack([np.bincount(levels, weights=mass[:, c], minlength=size) for c in range(STRANGERS)])
    remaining = e.pairs - by_class.sum(axis=0)
    chance = _normalised(np.maximum(remaining, np.maximum(_CHANCE_FLOOR * e.pairs, 0.5)))
    match = _normalised(by_class[MATCH] + e.strength * e.expected)
    if e.name in _IDENTIFYING:
        match = _normalised(e.expected.copy()) if is_anchored else _bounded(match, e.disagreements, most)
    elif e.name == "name_suffix":
        match = _bounded(match, e.disagreements, _MOST_GENERATIONS)
    out = np.stack([match, chance, chance, chance, chance])
    for c, shared in shares.items():
        if e.name in shared:
            out[c] = _normalised(by_class[c] + e.strength * old[c] * (old[c] < 1.0) + 0.5 * chance)
    if e.name in _FAMILY_COINCIDENCES:
        out[FAMILY] = _coincidences(e, by_class[FAMILY], chance, match)
    if e.name not in _NEVER_NAMESAKES:
        out[NAMESAKES] = _namesakes(e, by_class[NAMESAKES], chance, old[NAMESAKES])
    return out


def _coincidences(e: Evidence, seen: Floats, chance: Floats, match: Floats) -> Floats:
    """Estimate how often family agree in what is each one's own: twins, sons named after fathers, a shared mailbox."""
    exact = np.array([level.startswith("exact") for level in e.levels])
    share = float(seen[exact].sum()) / max(float(seen[1:].sum()), 1.0)
    extra = min(max(share - float(chance[exact].sum()), _LEAST_COINCIDENCE), _MOST_COINCIDENCE)
    agreeing = np.where(exact, match, 0.0)
    return _normalised((1.0 - extra) * chance * (chance < 1.0) + extra * agreeing / float(agreeing.sum()))


def _namesakes(e: Evidence, seen: Floats, chance: Floats, old: Floats) -> Floats:
    """Estimate what namesakes share; their birth dates may be near, but equal only by chance."""
    if e.name != "birth_date":
        return _normalised(seen + e.strength * old * (old < 1.0) + 0.5 * chance)
    cohort = np.array([level in _COHORT_LEVELS for level in e.levels])
    free = _normalised(np.where(cohort, seen + e.strength * chance, 0.0))
    held = float(chance[1:][~cohort[1:]].sum())
    out = np.where(cohort, free * (1.0 - held), chance)
    out[MISSING] = 1.0
    return out


def _judge(
    evidence: Sequence[Evidence],
    seen: NDArray[np.int8],
    profiles: float,
    masses: Floats,
    weights: Floats,
    posteriors: Floats,
    converged: bool,
) -> tuple[tuple[str, ...], bool]:
    """Say what is wrong with a fit, in plain words, and whether its class of one person still is that."""
    found = []
    is_of_people = True
    if not converged:
        found.append(f"Learning did not settle in {_MAX_ITERATIONS} rounds; results may be poor.")
    each = 1.0 + 2.0 * float(masses[MATCH]) / max(profiles, 1.0)
    if each > _MOST_OF_ONE:
        is_of_people = False
        found.append(
            f"There would be {each:,.0f} different records of each person on average; are columns missing that tell them apart?"
        )
    matched = posteriors[:, MATCH] * weights
    for k, e in enumerate(evidence):
        known = float(matched[seen[:, k] != MISSING].sum())
        apart = float(matched[np.isin(seen[:, k], e.disagreements)].sum())
        is_telling = e.name in _IDENTIFYING and known > max(0.5 * float(matched.sum()), _LEAST_MATCHED)
        if is_telling and apart > _MOSTLY * known:
            is_of_people = False
            found.append(f"Pairs that look like one person mostly differ in {e.name}; they may be related people.")
    unsure = float(((posteriors[:, MATCH] > 0.05) & (posteriors[:, MATCH] < 0.95)) @ weights)
    if unsure > 0.5 * max(masses[MATCH], 1.0):
        found.append("Many pairs can be told neither one person nor two; more columns would help.")
    told = [e for e in evidence if e.name in _IDENTIFYING or e.name in _ALSO_IDENTIFYING]
    if len(told) < _LEAST_IDENTIFYING:
        names = " and ".join(e.name for e in told) or "nothing that does"
        found.append(f"Only {names} could be compared of what tells people apart; namesakes may be taken for one person.")
    return tuple(found), is_of_people
