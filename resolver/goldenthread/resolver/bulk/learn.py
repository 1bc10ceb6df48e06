"""Learn a match model from the records themselves: choose comparisons and blocking rules by measurement, then fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from itertools import combinations, product
from random import Random
from typing import cast

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.resolver.blocking import PARTS, BlockingRule
from goldenthread.resolver.bulk.derived import is_lone
from goldenthread.resolver.bulk.frame import Feature as Values
from goldenthread.resolver.bulk.frame import Frame
from goldenthread.resolver.bulk.guarded import Apart
from goldenthread.resolver.bulk.levels import ColumnLevels, feature_of, known_of, levels_of
from goldenthread.resolver.bulk.numbering import united
from goldenthread.resolver.bulk.packed import packed_pairs
from goldenthread.resolver.bulk.pairs import (
    Block,
    PairCounts,
    block_of_codes,
    count_pairs,
    first_codes,
    identifier_block,
    part_feature,
    stream_pairs,
)
from goldenthread.resolver.bulk.texts import Texts
from goldenthread.resolver.bulk.threads import together
from goldenthread.resolver.comparisons import BINS, AnyComparison, LoneName, TextComparison, kinds
from goldenthread.resolver.learning import Comparable, Feature, Lesson, learn_without_labels
from goldenthread.resolver.scoring.frequencies import FrequencyTable, Lookup, bin_of, table_of_counts
from goldenthread.resolver.scoring.model import (
    ComparisonSpec,
    MatchModel,
    build_comparison,
    library_versions,
)

__all__ = ["Learned", "learn", "sketch_ahead"]

Floats = NDArray[np.float64]

_LEAST_COUNT = 5
"""A value borne by fewer profiles is never listed as common, so that no rare value can be looked up in a model."""

_PAIRS_PER_PROFILE = 60
_LEAST_PAIRS = 300_000
_MOST_PAIRS = 3_000_000
_LEAST_PAIRS_PER_PROFILE = 3
"""Pairs that learning may look at: so many a profile, at least and at most so many, but never fewer a profile than this."""

_MOST_RULES = 16
_GENERIC_LIMIT = 100
_LEAST_GENERIC_LIMIT = 10
_SAMPLED = 60_000
"""Distinct profiles above which learning looks at a random sample."""

_SAMPLED_SHARE = 8
"""The sample holds at least one profile in so many: of fewer, too few pairs would remain."""

_LEAST_NEW = 0.004
"""Share of the pairs so far that a further rule must add."""

_LEAST_GAIN = 0.001
"""Share of the expected matches that a rule must find which no other rule found."""

_FEW_VALUES = 40
_MANY_WORDS = 8

_MOST_CHOSEN = 63
"""Rules that learning looks at together: a bit each, identifiers included."""

_NEARLY_NONE = 1e-4
"""Probabilities of a match below this are left out where rules are weighed against each other."""

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
_WITH_LONE_NAMES = {"surname": "surname.or_only", "surname.prefix": "surname.or_only.prefix"}
"""What stands for parts where many have one name alone."""

_ALONE = ("birth_date", "name.words", "email.user", "street", "postcode", "surname", "middle.word", "organisation.words")
_TRIPLES = (
    ("given.initial", "surname.sound", "birth_year"),
    ("given.initial", "surname.sound", "area"),
    ("given.initial", "house", "street.prefix"),
    ("given.initial", "surname.initial", "birth_month_day"),
)


class Learned(Struct):
    """A model learned from profiles, and what learning says about it."""

    model: MatchModel
    lesson: Lesson
    expected_matches: float
    """How many pairs of all profiles are expected to match."""


class _Column(Struct):
    """One comparison with the levels of its values, and how common these are."""

    feature: Feature
    levels: ColumnLevels  # type: ignore[type-arg]  # of any values
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

    def known(self) -> NDArray[np.bool_]:
        return known_of([column.levels for column in self.columns], slice(None))

    def levels(self, left: NDArray[np.int32], right: NDArray[np.int32]) -> NDArray[np.int8]:
        return levels_of([column.levels for column in self.columns], left, right)


def learn(
    frame: Frame,
    counts: NDArray[np.int64],
    default_country: str,
    seed: int,
    progress: Callable[[str, float], None],
    name: str,
    further: Callable[[Comparable, Lesson], Lesson] | None = None,
    separate: Apart | None = None,
) -> Learned:
    """Learn from distinct profiles, at least two, each of which `counts` records have, without labels; `further` goes on.

    Pairs that are `separate` because of their sources are not looked at: nothing is to be learned of matches from them.

    Of very many profiles a random sample is looked at, unless `further` needs them all: a share of the profiles has the square
    of that share of the pairs, matches and others alike.
    """
    share = 1.0
    if further is None and frame.rows > _SAMPLED:
        rows = np.sort(np.random.default_rng(seed).permutation(frame.rows)[: max(_SAMPLED, frame.rows // _SAMPLED_SHARE)])
        share = len(rows) / frame.rows
        frame, counts = frame.only(rows), counts[rows]
        separate = separate.take(rows) if separate is not None else None
    rng = Random(seed)  # noqa: S311  # sampling and a salt that is stored beside its hashes: no secret
    progress("block", 0.0)
    columns = _columns(frame, rng)
    blocks = _choose_rules(frame, [c.feature.comparison.name for c in columns], share, progress)
    chunks = list(stream_pairs(blocks, frame.rows, PairCounts.zero(len(blocks))))
    left = np.concatenate([np.zeros(0, np.int32), *(c.left for c in chunks)])
    right = np.concatenate([np.zeros(0, np.int32), *(c.right for c in chunks)])
    masks = np.concatenate([np.zeros(0, np.uint64), *(c.masks for c in chunks)])
    del chunks
    if separate is not None:
        kept_pairs = ~separate.barred(left, right)
        left, right, masks = left[kept_pairs], right[kept_pairs], masks[kept_pairs]
    compared = _Compared(columns, counts, left, right)
    lesson = learn_without_labels(compared, seed, progress)
    if further is not None:
        lesson = further(compared, lesson)
    kept = _prune([block.pairs for block in blocks], masks, lesson.matches)
    rules = tuple(BlockingRule(blocks[i].rule, tuple(blocks[i].rule.split("+"))) for i in kept if i)
    return Learned(_model(columns, lesson, rules, default_country, name), lesson, lesson.fit.expected_matches / share**2)


def sketch_ahead(frame: Frame) -> None:
    """Make the sketches that comparing all of very many profiles will want, while learning looks at a sample of them."""
    if frame.rows > _SAMPLED:
        for kind, name in _available(frame):
            comparison = build_comparison(kind, name)
            values: Values[Hashable] = feature_of(comparison, frame)  # type: ignore[arg-type]  # of its own values
            if np.count_nonzero(values.codes) >= _least(frame):
                ColumnLevels(comparison, values).ready()  # type: ignore[misc]  # of its own values


def _least(frame: Frame) -> int:
    """Say how many profiles must have a feature for it to be compared."""
    return max(2, frame.rows // 200)


def _columns(frame: Frame, rng: Random) -> list[_Column]:
    """Choose what to compare: every feature that enough profiles have and that takes more than one value."""
    least = _least(frame)
    found = []
    for kind, name in _available(frame):
        comparison = build_comparison(kind, name)
        values: Values[Hashable] = feature_of(comparison, frame)  # type: ignore[arg-type]  # of its own values
        known = int(np.count_nonzero(values.codes))
        if known < least or len(_used(values)) < 2:
            continue
        common, pairs, borne = _agreements(comparison, values, known)
        table = table_of_counts(name, common, known, rng.randbytes(16), _LEAST_COUNT)
        comparison = build_comparison(kind, name, Lookup(table))
        found.append(_Column(Feature(comparison, pairs, borne), ColumnLevels(comparison, values), table))
    return found


def _used(values: Values[Hashable]) -> NDArray[np.integer]:
    """Number the values that some profile has."""
    there = np.bincount(values.codes, minlength=values.entries) > 0
    if values.starts is None:
        return np.flatnonzero(there[1:])
    return united([values.members[np.repeat(there, values.sizes())]])


def _agreements(
    comparison: AnyComparison, values: Values[Hashable], known: int
) -> tuple[dict[str, float], dict[str, float], list[float]]:
    """Count profiles by common text, pairs that agree exactly by level, and the share of each bin."""
    borne_by = np.bincount(values.codes, minlength=values.entries)
    if values.starts is None and getattr(type(comparison), "frequency_texts", None) is TextComparison.frequency_texts:
        texts, numbers = cast("Sequence[str]", values.values), borne_by[1:]
    else:
        counts = _counted(comparison, values, borne_by)
        texts, numbers = list(counts), np.fromiter(counts.values(), np.int64, len(counts))
    binned = comparison.binned
    exact: dict[str, float] = {}
    listed = np.flatnonzero(numbers >= _LEAST_COUNT)
    common = dict(zip(_some(texts, listed), numbers[listed].astype(np.float64).tolist(), strict=True))
    bins = np.zeros(len(numbers), np.int64)
    different, which = np.unique(numbers[listed], return_inverse=True)
    bins[listed] = np.array([bin_of(count / known) for count in different.tolist()], np.int64)[which]
    within = numbers * (numbers - 1) / 2
    if isinstance(comparison, LoneName):
        sides: Counter[Hashable] = Counter()
        for entry, count in zip(values.all_entries(), borne_by.tolist(), strict=True):
            for side in dict.fromkeys(entry):
                sides[side] += count
        within = np.array([sides[f"{text}|"] * sides[f"|{text}"] for text in texts], np.float64)
    heads = np.zeros(len(numbers), np.int64)
    if len(binned) > 1:
        heads[:] = [not text.startswith("P") for text in texts]
    for head, number in product(range(len(binned)), range(BINS)):
        if pairs := float(within[(heads == head) & (bins == number)].sum()):
            exact[f"{binned[head]}_{number}"] = pairs
    borne = np.bincount(bins, weights=numbers, minlength=BINS)
    return common, exact, (borne / (borne.sum() or 1.0)).tolist()


def _some(texts: Sequence[str], places: NDArray[np.integer]) -> list[str]:
    return texts.some(places) if isinstance(texts, Texts) else [texts[i] for i in places.tolist()]


def _counted(comparison: AnyComparison, values: Values[Hashable], borne_by: NDArray[np.integer]) -> dict[str, int]:
    """Count the profiles that have each text whose frequency matters."""
    texts_of: Callable[[Hashable], Sequence[str]] = comparison.frequency_texts  # type: ignore[assignment]  # its own values
    counts: dict[str, int] = {}
    if not comparison.binned:
        return counts
    get = counts.get
    for entry, count in zip(values.all_entries(), borne_by.tolist(), strict=True):
        if count:
            for text in texts_of(entry[0]) if len(entry) == 1 else {t for v in entry for t in texts_of(v)}:
                counts[text] = get(text, 0) + count
    return counts


def _available(frame: Frame) -> list[tuple[str, str]]:
    """List kinds and names of the comparisons that the profiles' features allow."""
    has_area = int(np.count_nonzero(part_feature(frame, "area").codes)) * 2 > frame.rows
    found = [
        ("name", "given_name"), ("name", "surname"), ("name", "middle_name"), ("whole_name", "whole_name"),
        ("generation", "name_suffix"),
        ("birth_date", "birth_date"), ("category", "gender"), ("email", "email"), ("phone", "phone"),
        ("number", "government_number"), ("number", "account_number"), ("street", "street"), ("area", "area"),
    ]  # fmt: skip
    firms = frame.fields.get("organisations")
    if firms is not None and int(np.count_nonzero(firms.codes)) >= _least(frame):
        found.append(("organisation", "organisation"))
    if "surname" in frame.fields and np.count_nonzero(is_lone(frame)) >= _least(frame):
        found.append(("lone_name", "lone_name"))
    if not has_area:
        found.append(("text", "region"))
    for key, values in frame.others.items():
        used = _used(values)  # type: ignore[arg-type]  # texts are values
        if len(used):
            found.append((_kind_of_texts(values.some(used)), key))
    told = {name: kind for kind, made in sorted(kinds().items()) for name in made.compares}
    return [(told.get(name, kind), name) for kind, name in found]


def _kind_of_texts(texts: Sequence[str]) -> str:
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


def _choose_rules(frame: Frame, compared: Sequence[str], share: float, progress: Callable[[str, float], None]) -> list[Block]:
    """Choose blocking rules by measured pairs, cheapest first, until the budget is spent; a rule must add pairs of its own.

    First values are enough to choose by; identifiers, which are always blocked on, come first. `share` says which share of
    all profiles these are: limits are for all.
    """
    n = frame.rows
    whole = n / share
    most = max(_MOST_PAIRS, _LEAST_PAIRS_PER_PROFILE * whole)
    budget = int(min(most, max(_LEAST_PAIRS, _PAIRS_PER_PROFILE * whole)) * share**2)
    limit = max(_LEAST_GENERIC_LIMIT, round(_GENERIC_LIMIT * share))
    instead = _WITH_LONE_NAMES if "lone_name" in compared else {}
    fields = {name: _PARTS_OF.get(name, (f"other:{name}",)) for name in compared if name in _PARTS_OF or name in frame.others}
    candidates: list[tuple[str, ...]] = [(part,) for part in _ALONE]
    for a, b in combinations(fields.values(), 2):
        candidates += [(x, y) for x in a for y in b]
    candidates += [("birth_date", "gender"), ("given.formal", "surname"), ("name", "birth_date"), *_TRIPLES]
    candidates = [tuple(instead.get(part, part) for part in parts) for parts in candidates]
    needed = list(dict.fromkeys(part for parts in candidates for part in parts))
    codes = dict(zip(needed, together(partial(first_codes, frame, part) for part in needed), strict=True))
    counted = together(partial(count_pairs, [codes[part] for part in parts], limit) for parts in candidates)
    measured = sorted(
        (pairs, parts) for parts, (pairs, n_known) in zip(candidates, counted, strict=True) if pairs and n_known * 20 > n
    )
    chosen = [identifier_block(frame, limit)]
    every = packed_pairs(chosen[0], n)
    for step, (pairs, parts) in enumerate(measured):
        if pairs > budget or len(chosen) > _MOST_CHOSEN:
            break
        if pairs < _LEAST_NEW * len(every):
            continue
        block = block_of_codes("+".join(parts), [codes[p] for p in parts], limit)
        both = united([every, packed_pairs(block, n)])
        if len(both) > budget or len(both) - len(every) < _LEAST_NEW * len(every):
            continue
        every = both
        chosen.append(block)
        progress("block", (step + 1) / len(measured))
    frame.forget(PARTS[part] for block in chosen[1:] for part in block.rule.split("+") if part in PARTS)
    return chosen


def _prune(pairs: Sequence[int], masks: NDArray[np.uint64], matches: Floats) -> list[int]:
    """Choose the rules that together find nearly all expected matches, the most at each step for what they cost.

    `masks` say which rules make each candidate. Identifiers, the first, are always kept. Answers numbers of rules.
    """
    likely = np.flatnonzero(matches > _NEARLY_NONE)
    open_mass, masks_of = matches[likely].copy(), masks[likely]
    made = [np.flatnonzero(masks_of >> np.uint64(rule) & np.uint64(1)) for rule in range(len(pairs))]
    total = float(matches.sum())
    kept = [0]
    open_mass[made[0]] = 0.0
    rest = set(range(1, len(pairs)))
    while rest and len(kept) <= _MOST_RULES:
        gains = {rule: float(open_mass[made[rule]].sum()) for rule in sorted(rest)}
        best = max(gains, key=lambda rule: gains[rule] / (pairs[rule] + len(masks) * 0.02) ** 0.5)
        rest.discard(best)
        if gains[best] < _LEAST_GAIN * total:
            continue
        kept.append(best)
        open_mass[made[best]] = 0.0
    return kept
