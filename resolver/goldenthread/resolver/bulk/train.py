"""Learn a match model from records and the labels of some pairs, and choose the pairs to label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b

import numpy as np
from msgspec import Struct

from goldenthread.graph.model import SemanticType
from goldenthread.resolver.bulk.frame import Frame
from goldenthread.resolver.bulk.learn import Learned, learn
from goldenthread.resolver.bulk.link import Records, silent
from goldenthread.resolver.bulk.normalise_columns import normalise_columns
from goldenthread.resolver.learning import Comparable, Lesson
from goldenthread.resolver.learning.labelled import Labels, Metrics, learn_with_labels, pairs_to_label
from goldenthread.resolver.normalise import Profile
from goldenthread.resolver.scoring import WEIGHT_SCALE, MatchModel

__all__ = ["LabelledRows", "ModelCard", "RowsToLabel", "TooFewRecords", "Trained", "choose_pairs", "train", "train_profiles"]

Progress = Callable[[str, float], None]


class TooFewRecords(ValueError):
    """There are fewer than two distinct records, so there is nothing to learn; give more."""

    def __init__(self) -> None:
        super().__init__("There are fewer than two distinct records, so there is nothing to learn: give more records.")


class LabelledRows(Struct, frozen=True):
    """Two rows of a table, and whether they are one person."""

    left: int
    right: int
    is_match: bool


class RowsToLabel(Struct, frozen=True):
    """Two rows to ask about, the probability that they are one person, and why: `doubt` or `calibration`."""

    left: int
    right: int
    probability: float
    why: str


class ModelCard(Struct, frozen=True):
    """What a model was learned from, how, and how well it did; it holds no value of a record.

    `data` and `labels` are digests of what was compared and of what was said; `metrics` is null when there were no labels.
    """

    model: str
    version: str
    made_on: str
    data: str
    labels: str
    records: int
    distinct_profiles: int
    comparisons: tuple[str, ...]
    blocking_rules: tuple[str, ...]
    expected_matches: float
    link_weight_bits: float
    min_average_bits: float
    seed: int
    metrics: Metrics | None
    warnings: tuple[str, ...]


class Trained(Struct):
    """A model learned from records and labels, and its card."""

    model: MatchModel
    card: ModelCard


def train(
    table: Records,
    columns: Mapping[str, SemanticType | None],
    labels: Sequence[LabelledRows] | Callable[[Sequence[RowsToLabel]], Sequence[LabelledRows]],
    *,
    made_on: str,
    default_country: str = "US",
    pairs: int = 300,
    seed: int = 0,
    progress: Progress | None = None,
) -> Trained:
    """Learn a model from a table and labelled pairs of its rows; two labels of equal pairs of records both count.

    `labels` may be a function that answers the labels of up to `pairs` pairs chosen as `choose_pairs` does.
    Raises: TooFewRecords; TooFewLabels.
    """
    said: list[LabelledRows] = []
    measured: list[Metrics] = []

    def with_labels(compared: Comparable, lesson: Lesson) -> Lesson:
        given = labels(_ask(compared, lesson, pairs, (), seed, rows)) if callable(labels) else labels
        said.extend(given)
        better, metrics = learn_with_labels(compared, lesson, _of_profiles(said, rows), seed)
        measured.append(metrics)
        return better

    rows = _Rows.of_table(table, columns, default_country, progress or silent)
    learned = rows.learn(default_country, seed, progress or silent, with_labels)
    return Trained(learned.model, _card(learned, rows, said, measured[0], made_on, seed))


def train_profiles(
    profiles: Sequence[Profile],
    labels: Sequence[LabelledRows],
    *,
    name: str,
    made_on: str,
    default_country: str = "US",
    seed: int = 0,
    progress: Progress | None = None,
) -> Trained:
    """Learn a model from records' profiles, with labelled pairs of them by their place, or without any.

    Raises: TooFewRecords; TooFewLabels.
    """
    digest = blake2b(digest_size=16)
    for profile in profiles:
        digest.update(profile.encode())
    rows = _Rows(Frame.of_profiles(profiles), digest.hexdigest())
    measured: list[Metrics] = []

    def with_labels(compared: Comparable, lesson: Lesson) -> Lesson:
        better, metrics = learn_with_labels(compared, lesson, _of_profiles(labels, rows), seed)
        measured.append(metrics)
        return better

    learned = rows.learn(default_country, seed, progress or silent, with_labels if labels else None, name)
    return Trained(learned.model, _card(learned, rows, labels, measured[0] if measured else None, made_on, seed))


def choose_pairs(
    table: Records,
    columns: Mapping[str, SemanticType | None],
    count: int,
    known: Sequence[LabelledRows] = (),
    *,
    default_country: str = "US",
    seed: int = 0,
    progress: Progress | None = None,
) -> list[RowsToLabel]:
    """Choose up to `count` pairs of rows worth a steward's minute, in random order, leaving out those already `known`.

    Raises: TooFewRecords.
    """
    found: list[RowsToLabel] = []

    def choose(compared: Comparable, lesson: Lesson) -> Lesson:
        found.extend(_ask(compared, lesson, count, known, seed, rows))
        return lesson

    rows = _Rows.of_table(table, columns, default_country, progress or silent)
    rows.learn(default_country, seed, progress or silent, choose)
    return found


class _Rows:
    """Rows as distinct profiles, by number, and the first row of each."""

    def __init__(self, frame: Frame, digest: str) -> None:
        self.point_of, self.distinct = frame.distinct()
        if self.distinct.rows < 2:
            raise TooFewRecords
        _, self.first_row = np.unique(self.point_of, return_index=True)
        self.digest = digest

    @staticmethod
    def of_table(table: Records, columns: Mapping[str, SemanticType | None], default_country: str, progress: Progress) -> _Rows:
        """Take the rows of a table."""
        frame = normalise_columns(
            table.columns, columns, default_country, table.rows, lambda share: progress("normalise", share)
        )
        digest = blake2b(digest_size=16)
        for name in sorted(name for name, kind in columns.items() if kind is not None):
            digest.update(f"{name}\x1d".encode())
            digest.update("\x1f".join(table.columns[name]).encode())
        return _Rows(frame, digest.hexdigest())

    def learn(
        self,
        default_country: str,
        seed: int,
        progress: Progress,
        further: Callable[[Comparable, Lesson], Lesson] | None,
        name: str = "trained",
    ) -> Learned:
        counts = np.bincount(self.point_of)
        return learn(self.distinct, counts, default_country, seed, progress, name, further)


def _of_profiles(labels: Sequence[LabelledRows], rows: _Rows) -> Labels:
    """Say of profiles what is said of rows; equal profiles tell nothing and are left out."""
    left = rows.point_of[[label.left for label in labels]].astype(np.int32) if labels else np.zeros(0, np.int32)
    right = rows.point_of[[label.right for label in labels]].astype(np.int32) if labels else np.zeros(0, np.int32)
    told = left != right
    is_match = np.array([label.is_match for label in labels], np.bool_)
    return Labels(np.minimum(left, right)[told], np.maximum(left, right)[told], is_match[told])


def _ask(
    compared: Comparable, lesson: Lesson, count: int, known: Sequence[LabelledRows], seed: int, rows: _Rows
) -> list[RowsToLabel]:
    pairs = pairs_to_label(compared, lesson, count, seed, _of_profiles(known, rows))
    first = rows.first_row
    return [RowsToLabel(int(first[p.left]), int(first[p.right]), p.probability, p.why) for p in pairs]


def _card(
    learned: Learned, rows: _Rows, said: Sequence[LabelledRows], metrics: Metrics | None, made_on: str, seed: int
) -> ModelCard:
    model = learned.model
    told = ",".join(f"{label.left}-{label.right}-{int(label.is_match)}" for label in said)
    return ModelCard(
        model=model.name,
        version=model.version,
        made_on=made_on,
        data=rows.digest,
        labels=blake2b(told.encode(), digest_size=16).hexdigest(),
        records=len(rows.point_of),
        distinct_profiles=rows.distinct.rows,
        comparisons=tuple(spec.name for spec in model.comparisons),
        blocking_rules=tuple(rule.name for rule in model.rules),
        expected_matches=learned.lesson.fit.expected_matches,
        link_weight_bits=model.link_weight / WEIGHT_SCALE,
        min_average_bits=model.min_average / WEIGHT_SCALE,
        seed=seed,
        metrics=metrics,
        warnings=learned.lesson.warnings,
    )
