"""Link the records of a table on Spark: the same functions as on one machine, spread over executors in Arrow batches.

normalise   rows become profiles; equal ones are one point, known by its first row
block       points become candidate keys, sorted by key, so that pairs are made of a stream; generic keys are dropped as counted
score       pairs meet their profiles and are weighed
cluster     links become components (GraphX), and each is cut

Only numbers come back, and profiles if a model must be learned, which one machine does as it would for itself.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial, reduce
from threading import Event, Thread
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from goldenthread.graph.model import SemanticType
from goldenthread.resolver.bulk.guarded import apart, too_large
from goldenthread.resolver.bulk.link import (
    Choice,
    LinkReport,
    LinkResult,
    Progress,
    Records,
    RuleReport,
    choose_model,
    record_ids_of,
    silent,
)
from goldenthread.resolver.bulk.observed import observed_times
from goldenthread.resolver.bulk.pairs import IDENTIFIERS
from goldenthread.resolver.bulk.spark import tasks
from goldenthread.resolver.bulk.spark.components import connected_components
from goldenthread.resolver.bulk.spark.errors import SparkFailed, WorkersDiffer
from goldenthread.resolver.bulk.text_column import TextColumn, integers
from goldenthread.resolver.clusters import ClusterSettings, cluster
from goldenthread.resolver.guards import IDENTITY_SIZE, GuardRails, Guards
from goldenthread.resolver.normalise import Profile
from goldenthread.resolver.scoring import MatchModel

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["link_on_spark", "weigh"]

Longs = NDArray[np.int64]

_PARTS = "spark.sql.shuffle.partitions"
_ROWS_PER_PART = 50_000
_POLL_SECONDS = 0.5


def link_on_spark(
    session: SparkSession,
    table: Records,
    columns: Mapping[str, SemanticType | None],
    *,
    model: MatchModel | None = None,
    guard_rails: GuardRails | None = None,
    default_country: str = "US",
    progress: Progress | None = None,
    seed: int = 0,
    observed_at: str = "",
) -> LinkResult:
    """Link all rows of a table, with exactly the result of `goldenthread.resolver.bulk.link.link`.

    Raises:
        SparkFailed: a stage failed.
        WorkersDiffer: executors have other versions of what normalises and scores.
    """
    linking = _Linking(session, Guards.in_the_clear(guard_rails or GuardRails(), default_country), progress or silent)
    with _parted(session, table.rows):
        try:
            return linking.link(table, columns, model, default_country, seed, observed_at)
        finally:
            linking.forget()


class _Linking:
    """One linking: what it keeps on executors until it ends."""

    def __init__(self, session: SparkSession, guards: Guards, report: Progress) -> None:
        self.session, self.guards, self.report = session, guards, report
        self.kept: list[DataFrame] = []

    def keep(self, frame: DataFrame) -> DataFrame:
        """Have executors keep a frame, on disk where memory is short, so that it is made once."""
        from pyspark import StorageLevel

        self.kept.append(frame.persist(StorageLevel.MEMORY_AND_DISK))
        return frame

    def forget(self) -> None:
        """Let go of what is kept, unless the session is already gone."""
        if self.session.sparkContext._jsc is not None:
            for frame in self.kept:
                frame.unpersist()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Run a stage: tell how far it is, and tell a failure without what Spark says of it."""
        from pyspark.errors import PySparkException

        self.report(name, 0.0)
        with _watched(self.session.sparkContext, name, self.report):
            try:
                yield
            except Exception as error:  # py4j's errors have no types of their own; others pass
                if isinstance(error, PySparkException) or type(error).__module__.startswith("py4j"):
                    raise _told(name, str(error)) from None
                raise
        self.report(name, 1.0)

    def link(
        self,
        table: Records,
        columns: Mapping[str, SemanticType | None],
        model: MatchModel | None,
        default_country: str,
        seed: int,
        observed_at: str,
    ) -> LinkResult:
        sources = table.columns[table.source_column]
        record_ids = record_ids_of(table)
        times = observed_times(table.columns[observed_at], observed_at) if observed_at else np.zeros(table.rows, np.int64)
        with self.stage("normalise"):
            rows = _rows(self.session, table, columns, sources, record_ids, times)
            placed = self.keep(self._placed(rows, [(n, k) for n, k in columns.items() if k is not None], default_country))
            again = placed.where("row <> point").select("row", "point").toArrow()
        point_of = np.arange(table.rows, dtype=np.int64)
        point_of[again.column("row").to_numpy()] = again.column("point").to_numpy()
        points = np.flatnonzero(point_of == np.arange(table.rows))
        choice = Choice(model) if model is not None else self._choose(placed, point_of, sources, default_country, seed)
        model = choice.model
        self.max_component = model.max_component
        carried = self.session.sparkContext.broadcast(model.to_json())
        try:
            pairs, rules, candidates = self._block(placed, carried, model)
            links, tied = self._score(placed, pairs, carried, model)
            first_of, reviews, fired = self._cluster(placed, links, carried, point_of, tied, sources, record_ids)
        finally:
            carried.unpersist()
        large = too_large(self.guards.rails, first_of, point_of)
        fired += Counter({IDENTITY_SIZE: large})
        _, identities = np.unique(first_of, return_inverse=True)
        return LinkResult(
            record_ids=list(record_ids),
            sources=list(sources),
            identities=identities.astype(np.int64),
            model=model,
            report=LinkReport(
                records=table.rows,
                distinct_profiles=len(points),
                identities=int(identities.max(initial=-1)) + 1,
                candidate_pairs=candidates,
                links=self.link_count,
                rules=rules,
                expected_matches=choice.expected_matches,
                iterations=choice.iterations,
                learned=choice.learned,
                needs_review=reviews + large,
                warnings=choice.warnings,
                guarded=tuple(sorted(fired.items())),
            ),
        )

    def _placed(self, rows: DataFrame, columns: list[tuple[str, SemanticType]], default_country: str) -> DataFrame:
        """Normalise rows and find the point of each; a profile stays with its first row alone."""
        from pyspark.sql import Window
        from pyspark.sql import functions as F  # noqa: N812  # the name it has wherever Spark is used

        profiled = _on_executors(
            rows,
            partial(tasks.make_profiles, columns=columns, default_country=default_country, blocker=self.guards.blocker),
            "row long, high long, low long, source string, record_id string, observed_at long, profile binary",
        )
        equal = Window.partitionBy("high", "low").orderBy("row")
        # A frame that runs from the first row to this one is computed in passing, however many rows are equal.
        placed = profiled.select(
            "row",
            F.min("row").over(equal.rowsBetween(Window.unboundedPreceding, Window.currentRow)).alias("point"),
            F.lead("row").over(equal).isNotNull().alias("repeated"),
            "source",
            "record_id",
            "observed_at",
            "profile",
        )
        return placed.withColumn("profile", F.when(F.col("row") == F.col("point"), F.col("profile")))

    def _choose(self, placed: DataFrame, point_of: Longs, sources: Sequence[str], default_country: str, seed: int) -> Choice:
        """Fetch the distinct profiles, in order of first row, and learn from them as one machine does."""
        with self.stage("fetch"):
            found = placed.where("row = point").select("row", "profile").toArrow()
        rows = found.column("row").to_numpy()
        order = np.argsort(rows)
        decoder = msgspec.msgpack.Decoder(Profile)
        distinct = [decoder.decode(text) for text in found.column("profile").take(pa.array(order)).to_pylist()]
        number_of = np.searchsorted(rows[order], point_of)
        counts = np.bincount(number_of, minlength=len(distinct))
        separate = apart(self.guards, number_of, sources)
        return choose_model(distinct, counts, default_country, seed, self.report, separate)

    def _block(
        self, placed: DataFrame, carried: tasks.ModelBytes, model: MatchModel
    ) -> tuple[DataFrame, tuple[RuleReport, ...], int]:
        """Make the candidate pairs, each once with a bit for every rule that made it; and the report on the rules."""
        from pyspark.sql import Observation
        from pyspark.sql import functions as F  # noqa: N812

        words = tasks.mask_words(len(model.rules))
        masks = [f"mask{w}" for w in range(words)]
        bits = [(masks[r // tasks.RULES_PER_WORD], 1 << r % tasks.RULES_PER_WORD) for r in range(len(model.rules) + 1)]
        keys = _on_executors(
            placed.where("row = point").select("point", "repeated", "profile"),
            partial(tasks.make_keys, model=carried),
            "high long, low long, rule int, point long, repeated boolean",
        )
        made = _on_executors(
            keys.repartition("high", "low").sortWithinPartitions("high", "low", "point"),
            partial(tasks.make_pairs, generic_limit=model.generic_limit, words=words),
            ", ".join(["left long", "right long", *(f"{m} long" for m in masks)]),
        )
        seen = Observation("generic keys")
        counted = made.observe(
            seen, *[F.sum((F.col("left") < 0).cast("int") * (F.col(m) == b).cast("int")).alias(f"rule{r}")
                    for r, (m, b) in enumerate(bits)],
        )  # fmt: skip
        pairs = self.keep(
            counted.where("left >= 0").groupBy("left", "right").agg(*[F.expr(f"bit_or({m})").alias(m) for m in masks])
        )
        between = F.col("left") < F.col("right")
        with self.stage("block"):
            figures = pairs.agg(
                F.count(F.when(between, 1)).alias("all"),
                *[F.count(F.when(between & (F.col(m).bitwiseAND(b) != 0), 1)).alias(f"by{r}") for r, (m, b) in enumerate(bits)],
                *[
                    F.count(F.when(between & reduce(lambda x, y: x & y, [F.col(o) == (b if o == m else 0) for o in masks]), 1))
                    .alias(f"only{r}")
                    for r, (m, b) in enumerate(bits)
                ],
            ).collect()[0]  # fmt: skip
            generic = seen.get
        names = [IDENTIFIERS, *(rule.name for rule in model.rules)]
        reports = tuple(
            RuleReport(name, figures[f"by{r}"], figures[f"only{r}"], int(generic[f"rule{r}"] or 0))
            for r, name in enumerate(names)
        )
        return pairs, reports, figures["all"]

    def _score(
        self, placed: DataFrame, pairs: DataFrame, carried: tasks.ModelBytes, model: MatchModel
    ) -> tuple[DataFrame, Longs]:
        """Weigh the pairs; answer those that are links, and the repeated points whose rows are one person."""
        profiles = placed.where("row = point").select("point", "profile")
        strong = self.keep(weigh(pairs, profiles, carried).where(f"weight >= {model.link_weight}").select("left", "right"))
        with self.stage("score"):
            links = strong.where("left < right")
            self.link_count = links.count()
            tied: Longs = strong.where("left = right").select("left").toArrow().column("left").to_numpy()
        return links, tied

    def _cluster(
        self,
        placed: DataFrame,
        links: DataFrame,
        carried: tasks.ModelBytes,
        point_of: Longs,
        tied: Longs,
        sources: Sequence[str],
        record_ids: Sequence[str],
    ) -> tuple[Longs, int, Counter[str]]:
        """Answer for each row the first row of its identity, how many components need a review, and what guards kept apart."""
        rows = np.arange(len(point_of), dtype=np.int64)
        # Equal rows are one person where their profile says enough, and where it is linked to others.
        is_tied = np.isin(point_of, tied)
        first_of = np.where(is_tied, point_of, rows)
        reviews, fired = 0, Counter[str]()
        if self.link_count:
            with self.stage("connect"), connected_components(self.session, links) as labelled:
                of_points = self.keep(labelled)
                of_points.count()
            with self.stage("cluster"):
                told = ["component", "row", "point", "source", "record_id", "observed_at", "profile"]
                members = placed.join(of_points, "point").select(*told)
                cut = _on_executors(
                    members.repartition("component").sortWithinPartitions("component", "row"),
                    partial(tasks.cut_components, model=carried, guards=self.guards),
                    "row long, first long, review boolean, fired array<long>",
                ).toArrow()
            linked = cut.column("row").to_numpy()
            first_of[linked] = cut.column("first").to_numpy()
            is_tied[linked] = False
            reviews = int(cut.column("review").to_numpy(zero_copy_only=False).sum())
            for counts in cut.column("fired").drop_null().to_pylist():
                fired.update(dict(zip(self.guards.names, counts, strict=True)))
        more, counted = self._cut_equal(first_of, np.flatnonzero(is_tied), sources, record_ids)
        return first_of, reviews + more, +(fired + counted)

    def _cut_equal(
        self, first_of: Longs, rows: Longs, sources: Sequence[str], record_ids: Sequence[str]
    ) -> tuple[int, Counter[str]]:
        """Cut the rows of points that nothing links: only their sources can keep them apart, and nothing need be weighed."""
        settings = ClusterSettings(1, 0, self.max_component)
        reviews, fired = 0, Counter[str]()
        declared = np.fromiter((sources[r] in self.guards.sources for r in rows.tolist()), np.bool_, len(rows))
        rows = rows[np.isin(first_of[rows], first_of[rows[declared]])]
        rows = rows[np.argsort(first_of[rows], kind="stable")]
        for mine in np.split(rows, np.flatnonzero(np.diff(first_of[rows])) + 1) if len(rows) else ():
            keys = [(sources[r], record_ids[r]) for r in mine.tolist()]
            vetoes = self.guards.vetoes((source, Profile()) for source, _ in keys)
            if vetoes is not None:
                cutting = cluster(
                    keys, [b""] * len(keys), lambda i, _: np.zeros(len(i), np.int64), (), settings, vetoes, explain=False
                )
                _, first, inverse = np.unique(cutting.labels, return_index=True, return_inverse=True)
                first_of[mine] = mine[first[inverse]]
                reviews += cutting.needs_review
                fired += vetoes.fired()
        return reviews, fired


def weigh(pairs: DataFrame, profiles: DataFrame, model: tasks.ModelBytes) -> DataFrame:
    """Weigh pairs (left, right) of points, whose profiles are (point, profile): left, right, weight."""
    of_left = profiles.withColumnsRenamed({"point": "left", "profile": "left_profile"})
    of_right = profiles.withColumnsRenamed({"point": "right", "profile": "right_profile"})
    met = pairs.select("left", "right").join(of_left, "left").join(of_right, "right")
    return _on_executors(
        met.select("left", "right", "left_profile", "right_profile"),
        partial(tasks.weigh_pairs, model=model),
        "left long, right long, weight long",
    )


def _rows(
    session: SparkSession,
    table: Records,
    columns: Mapping[str, SemanticType | None],
    sources: Sequence[str],
    record_ids: Sequence[str],
    times: Longs,
) -> DataFrame:
    """Hand a table to Spark; columns get numbers for names, because names show in plans."""
    used = [name for name, kind in columns.items() if kind is not None]
    texts = {f"c{k}": TextColumn.of(table.columns[name]).to_arrow() for k, name in enumerate(used)}
    whole = pa.table(
        {
            "row": pa.array(np.arange(table.rows, dtype=np.int64)),
            "source": TextColumn.of(sources).to_arrow(),
            "record_id": TextColumn.of(record_ids).to_arrow(),
            "observed_at": integers(times),
            **texts,
        }
    )
    return session.createDataFrame(whole)


def _on_executors(frame: DataFrame, task: tasks.Task, schema: str) -> DataFrame:
    """Have executors work through a frame in Arrow batches."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PySpark's remarks on the versions of pandas, of which nothing is used
        return frame.mapInArrow(tasks.Guarded(task, tasks.installed()), schema)


def _told(stage: str, message: str) -> SparkFailed | WorkersDiffer:
    """Tell a failure by what our task said of it, or by the first type of error that Spark names."""
    if found := re.search(re.escape(tasks.DIFFERENT) + r"([^\n]*)", message):
        return WorkersDiffer(found[1])
    found = re.search(re.escape(tasks.FAILED) + r"([\w.: ]*)", message) or re.search(
        r"\b([A-Za-z]*OutOfMemoryError)\b", message
    ) or re.search(r"([A-Za-z]+(?:Exception|Error))\b", message)  # fmt: skip
    return SparkFailed(stage, found[1].strip() if found else "")


@contextmanager
def _parted(session: SparkSession, rows: int) -> Iterator[None]:
    """Part what is shuffled by how much there is, unless the user said how: Spark's 200 parts are many for few rows."""
    if session.sparkContext.getConf().contains(_PARTS):
        yield
        return
    before = session.conf.get(_PARTS)
    session.conf.set(_PARTS, max(2 * session.sparkContext.defaultParallelism, rows // _ROWS_PER_PART))
    try:
        yield
    finally:
        if session.sparkContext._jsc is not None and before is not None:
            session.conf.set(_PARTS, before)


@contextmanager
def _watched(context: SparkContext, name: str, report: Progress) -> Iterator[None]:
    """Report the share of finished tasks while Spark works."""
    done = Event()

    def watch() -> None:
        tracker = context.statusTracker()
        while not done.wait(_POLL_SECONDS):
            known = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
            tasks_of = [(info.numCompletedTasks, info.numTasks) for info in known if info]
            if tasks_of:
                report(name, sum(ready for ready, _ in tasks_of) / max(1, sum(total for _, total in tasks_of)))

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
