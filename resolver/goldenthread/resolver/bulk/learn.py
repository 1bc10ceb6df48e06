"""Learn a match model from the records themselves: choose comparisons and blocking rules by measurement, then fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations
from random import Random

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.resolver.blocking import BlockingRule, part_values
from goldenthread.resolver.bulk.pairs import KeyPairs, candidate_pairs, key_pairs, merge, pairs_in_groups, unpack
from goldenthread.resolver.comparisons import BINS, batch_levels, kinds
from goldenthread.resolver.learning import Feature, Lesson, learn_without_labels
from goldenthread.resolver.normalise import Profile
from goldenthread.resolver.scoring.frequencies import FrequencyTable, Lookup, bin_of, table_of_counts
from goldenthread.resolver.scoring.model import (
    ComparisonSpec,
    MatchModel,
    build_comparison,
    library_versions,
)

__all__ = ["Learned", "learn"]

Floats = NDArray[np.float64]

_LEAST_COUNT = 5
"""A value borne by fewer profiles is never listed as common, so that no rare value can be looked up in a model."""

_PAIRS_PER_PROFILE = 60
_LEAST_PAIRS = 300_000
_MOST_PAIRS = 6_000_000
_MOST_RULES = 16
_GENERIC_LIMIT = 100
_LEAST_NEW = 0.004
"""Share of the pairs so far that a further rule must add."""

_LEAST_GAIN = 0.001
"""Share of the expected matches that a rule must find which no other rule found."""

_FEW_VALUES = 40
_MANY_WORDS = 8

_PARTS_OF = {
    "given_name": ("given.sound", "given.initial"),
    "surname": ("surname.sound", "surname.prefix"),
    "middle_name": ("middle",),
    "birth_date": ("birth_date", "birth_year", "birth_month_day"),
    "email": ("email.user",),
    "street": ("street", "house"),
    "area": ("postcode", "city"),
    "organisation": ("organisation.words", "organisation.word", "organisation.prefix"),
}
_ALONE = ("birth_date", "name.words", "email.user", "street", "postcode", "surname", "middle.word", "organisation.words")
_TRIPLES = (
    ("given.initial", "surname.sound", "birth_year"),
    ("given.initial", "surname.sound", "area"),
    ("given.initial", "house", "street.prefix"),
    ("given.initial", "surname.initial", "birth_month_day"),
)


class Learned(Struct):
    """A model learned from profiles, the pairs it makes of them, and what the report says about it."""

    model: MatchModel
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    made: tuple[KeyPairs, ...]
    lesson: Lesson


class _Column(Struct):
    """One comparison with the feature of every profile and how common its values are."""

    feature: Feature
    values: list[tuple[object, ...]]
    table: FrequencyTable


class _Compared(Struct):
    """Distinct profiles as learning sees them; see `learning.Comparable`."""

    columns: list[_Column]
    counts: NDArray[np.int64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]

    @property
    def profiles(self) -> int:
        return len(self.counts)

    @property
    def features(self) -> list[Feature]:
        return [column.feature for column in self.columns]

    def levels(self, left: NDArray[np.int32], right: NDArray[np.int32]) -> NDArray[np.int8]:
        levels = np.zeros((len(left), len(self.columns)), np.int8)
        for k, column in enumerate(self.columns):
            levels[:, k] = batch_levels(column.feature.comparison, column.values, left, right)  # type: ignore[misc]  # its own
        return levels


def learn(
    profiles: Sequence[Profile],
    counts: NDArray[np.int64],
    default_country: str,
    seed: int,
    progress: Callable[[str, float], None],
    name: str,
) -> Learned:
    """Learn from distinct profiles, at least two, each of which `counts` records have, without labels."""
    rng = Random(seed)  # noqa: S311  # sampling and a salt that is stored beside its hashes: no secret
    columns = _columns(profiles, rng)
    progress("block", 0.0)
    made = _choose_rules(profiles, [c.feature.comparison.name for c in columns], progress)
    left, right = unpack(merge(made), len(profiles))
    lesson = learn_without_labels(_Compared(columns, counts, left, right), seed, progress)
    kept = _prune(made, left, right, lesson.matches, len(profiles))
    # First values were enough to choose by; the pairs that count are those any program makes from the chosen rules.
    rules = tuple(BlockingRule(made[i].rule, tuple(made[i].rule.split("+"))) for i in kept if i)
    left, right, made = candidate_pairs(rules, profiles, _GENERIC_LIMIT)
    return Learned(_model(columns, lesson, rules, default_country, name), left, right, made, lesson)


def _columns(profiles: Sequence[Profile], rng: Random) -> list[_Column]:
    """Choose what to compare: every feature that enough profiles have and that takes more than one value."""
    least = max(2, len(profiles) // 200)
    found = []
    for kind, name in _available(profiles):
        comparison = build_comparison(kind, name)
        features: list[tuple[object, ...]] = [comparison.values(p) for p in profiles]
        known = sum(1 for f in features if f)
        if known < least or len({v for f in features for v in f}) < 2:
            continue
        counts: Counter[str] = Counter()
        for f in features:
            counts.update({t for v in f for t in comparison.frequency_texts(v)})  # type: ignore[arg-type]  # its own values
        table = table_of_counts(name, counts, known, rng.randbytes(16), _LEAST_COUNT)
        pairs, borne = _agreements(comparison.binned, counts, known)
        found.append(_Column(Feature(build_comparison(kind, name, Lookup(table)), pairs, borne), features, table))
    return found


def _agreements(binned: Sequence[str], counts: Counter[str], known: int) -> tuple[dict[str, float], list[float]]:
    """Count the pairs of profiles that agree exactly, by level, and the share of profiles bearing a value of each bin."""
    exact: dict[str, float] = {}
    borne = [0.0] * BINS
    for text, count in counts.items():
        head = binned[0] if len(binned) == 1 or text.startswith("P") else binned[1]
        number = bin_of(count / known) if count >= _LEAST_COUNT else 0
        exact[f"{head}_{number}"] = exact.get(f"{head}_{number}", 0.0) + count * (count - 1) / 2
        borne[number] += count
    total = sum(borne) or 1.0
    return exact, [b / total for b in borne]


def _available(profiles: Sequence[Profile]) -> list[tuple[str, str]]:
    """List kinds and names of the comparisons that the profiles' features allow."""
    has_area = sum(1 for p in profiles if any(a[3] or a[5] for a in p.addresses)) * 2 > len(profiles)
    found = [
        ("name", "given_name"), ("name", "surname"), ("name", "middle_name"), ("whole_name", "whole_name"),
        ("generation", "name_suffix"),
        ("birth_date", "birth_date"), ("category", "gender"), ("email", "email"), ("phone", "phone"),
        ("number", "government_number"), ("number", "account_number"), ("street", "street"), ("area", "area"),
    ]  # fmt: skip
    if sum(1 for p in profiles if p.organisations) >= max(2, len(profiles) // 200):
        found.append(("organisation", "organisation"))
    if not has_area:
        found.append(("text", "region"))
    values: dict[str, set[str]] = {}
    for p in profiles:
        for key, text in p.others:
            values.setdefault(key, set()).add(text)
    found += [(_kind_of_texts(texts), key) for key, texts in sorted(values.items())]
    told = {name: kind for kind, made in sorted(kinds().items()) for name in made.compares}
    return [(told.get(name, kind), name) for kind, name in found]


def _kind_of_texts(texts: set[str]) -> str:
    """Choose how a free attribute is compared, by how many different texts it has and how long they are."""
    if len(texts) <= _FEW_VALUES:
        return "category"
    return "long_text" if sum(text.count(" ") + 1 for text in texts) >= _MANY_WORDS * len(texts) else "text"


def _model(
    columns: Sequence[_Column], lesson: Lesson, rules: tuple[BlockingRule, ...], default_country: str, name: str
) -> MatchModel:
    compared = [column.feature.comparison for column in columns]
    return MatchModel(
        name=name,
        default_country=default_country,
        priors=lesson.priors,
        comparisons=tuple(ComparisonSpec(c.kind, c.name, rows) for c, rows in zip(compared, lesson.tables, strict=True)),
        rules=rules,
        frequencies=tuple(column.table for column in columns),
        generic_limit=_GENERIC_LIMIT,
        link_weight=lesson.link_weight,
        min_average=lesson.min_average,
        libraries=library_versions(),
        refinement=lesson.refinement,
    )


def _choose_rules(
    profiles: Sequence[Profile], compared: Sequence[str], progress: Callable[[str, float], None]
) -> tuple[KeyPairs, ...]:
    """Choose blocking rules by measured pairs, cheapest first, until the budget is spent; a rule must add pairs of its own."""
    n = len(profiles)
    budget = min(_MOST_PAIRS, max(_LEAST_PAIRS, _PAIRS_PER_PROFILE * n))
    others = {key for p in profiles for key, _ in p.others}
    fields = {name: _PARTS_OF.get(name, (f"other:{name}",)) for name in compared if name in _PARTS_OF or name in others}
    candidates: list[tuple[str, ...]] = [(part,) for part in _ALONE]
    for a, b in combinations(fields.values(), 2):
        candidates += [(x, y) for x in a for y in b]
    candidates += [("birth_date", "gender"), ("given.formal", "surname"), ("name", "birth_date"), *_TRIPLES]
    codes: dict[str, NDArray[np.int64]] = {}
    measured = []
    for parts in candidates:
        for part in parts:
            if part not in codes:
                codes[part] = _first_codes(part, profiles)
        pairs, covered = _measure([codes[p] for p in parts])
        if pairs and covered * 20 > n:
            measured.append((pairs, parts))
    measured.sort()
    chosen = [key_pairs(None, profiles, _GENERIC_LIMIT)]
    united = merge(chosen)
    for step, (pairs, parts) in enumerate(measured):
        if pairs > budget:
            break
        if pairs < _LEAST_NEW * len(united):
            continue
        packed = _pairs_of_codes([codes[p] for p in parts])
        new = packed[~_is_in(packed, united)]
        if len(united) + len(new) > budget or len(new) < _LEAST_NEW * len(united):
            continue
        united = np.sort(np.concatenate([united, new]), kind="stable")
        chosen.append(KeyPairs("+".join(parts), packed, 0, np.zeros(0, np.int64)))
        progress("block", (step + 1) / len(measured))
    return tuple(chosen)


def _prune(
    made: Sequence[KeyPairs], left: NDArray[np.int32], right: NDArray[np.int32], posteriors: Floats, n: int
) -> list[int]:
    """Choose the rules that together find nearly all expected matches, the most at each step for what they cost.

    Identifiers, the first of `made`, are always kept. Answers positions in `made`.
    """
    packed = left.astype(np.int64) * n + right
    places = [np.searchsorted(packed, m.packed) for m in made]
    open_mass = posteriors.copy()
    kept = [0]
    open_mass[places[0]] = 0.0
    total = float(posteriors.sum())
    rest = set(range(1, len(made)))
    while rest and len(kept) <= _MOST_RULES:
        gains = {r: float(open_mass[places[r]].sum()) for r in sorted(rest)}
        best = max(gains, key=lambda r: gains[r] / (len(places[r]) + len(packed) * 0.02) ** 0.5)
        if gains[best] < _LEAST_GAIN * total:
            rest.discard(best)
            continue
        kept.append(best)
        rest.discard(best)
        open_mass[places[best]] = 0.0
    return kept


def _first_codes(part: str, profiles: Sequence[Profile]) -> NDArray[np.int64]:
    """Code each profile's first value of a part, -1 where it has none: enough to measure by."""
    code_of: dict[str, int] = {}
    out = np.full(len(profiles), -1, np.int64)
    for row, profile in enumerate(profiles):
        values = part_values(part, profile)
        if values and values[0]:
            out[row] = code_of.setdefault(values[0], len(code_of))
    return out


def _is_in(values: NDArray[np.int64], ordered: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say which values occur in a sorted array."""
    if not len(ordered):
        return np.zeros(len(values), np.bool_)
    places = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    found: NDArray[np.bool_] = ordered[places] == values
    return found


def _pairs_of_codes(columns: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Make the pairs of a conjunction of first values, packed, sorted and distinct."""
    rows = np.flatnonzero(np.logical_and.reduce([c >= 0 for c in columns]))
    packed = np.zeros(len(rows), np.int64)
    for column in columns:
        packed = packed * (int(column.max(initial=0)) + 1) + column[rows]
    return pairs_in_groups(rows, packed, len(columns[0]), _GENERIC_LIMIT)[0]


def _measure(columns: Sequence[NDArray[np.int64]]) -> tuple[int, int]:
    """Count the pairs a conjunction makes below the generic limit, and the profiles that have all its parts."""
    known = np.logical_and.reduce([c >= 0 for c in columns])
    packed = np.zeros(int(known.sum()), np.int64)
    for column in columns:
        packed = packed * (int(column.max(initial=0)) + 1) + column[known]
    packed.sort()
    sizes = np.diff(np.flatnonzero(np.diff(packed, prepend=-1)), append=len(packed))
    sizes = sizes[sizes <= _GENERIC_LIMIT]
    return int((sizes * (sizes - 1) // 2).sum()), len(packed)
