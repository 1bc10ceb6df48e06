"""Spark makes the identities, the weights and the report of one machine, to the bit, and leaves nothing of a record behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldenthread.cli.demo import COLUMNS, shuffled, simulate_records
from goldenthread.graph.model import SemanticType
from goldenthread.resolver.bulk.frame import Frame
from goldenthread.resolver.bulk.guess import ColumnGuess, compared_columns, guess_columns
from goldenthread.resolver.bulk.link import LinkResult, link
from goldenthread.resolver.bulk.pairs import PairCounts, blocks_of, stream_pairs
from goldenthread.resolver.bulk.read import Table
from goldenthread.resolver.bulk.spark import (
    SparkFailed,
    SparkMissing,
    SparkUnavailable,
    WorkersDiffer,
    link_on_spark,
    spark_session,
    tasks,
)
from goldenthread.resolver.bulk.spark.link import weigh
from goldenthread.resolver.guards import GuardRails, Guards, IdentifierLimit
from goldenthread.resolver.normalise import Profile, profile_of
from goldenthread.resolver.scoring import MatchModel, Scorer
from goldenthread.resolver.scoring.refinement import Interaction, Refinement

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

QUICK = {  # a cold Java compiles far longer than a few thousand rows take
    "spark.driver.memory": "1g",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
}
MASTER = "local[2]"
NEEDLE = "Zzyzxneedle"


def java_is_there() -> str:
    """Say why Spark can't run here; empty when it can."""
    try:
        with spark_session("spark://127.0.0.1:1"):
            return ""
    except SparkMissing as error:
        return str(error)
    except SparkUnavailable:
        return ""


@pytest.fixture(scope="module")
def java() -> None:
    if reason := java_is_there():
        reason = f"NO SPARK, SO LINKING ON IT IS NOT TESTED: {reason}"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="module")
def spark(java: None) -> Iterator[SparkSession]:
    with spark_session(MASTER, QUICK) as session:
        yield session


def customers(count: int, seed: int) -> tuple[Table, ColumnGuess]:
    """Make a table of simulated customers of several sources, in random order, and guess its columns."""
    records = list(shuffled(simulate_records(count, seed), seed))
    columns = {name: [r.values.get(name, "") for r in records] for name in COLUMNS}
    columns = {name: values for name, values in columns.items() if any(values)}
    columns["source"], columns["record_id"] = [r.source for r in records], [r.record_id for r in records]
    table = Table(columns, len(records), ("customers",), "source", "record_id")
    guess = guess_columns(table)
    table.columns.update(compared_columns(table, guess))
    return table, guess


def types_of(guess: ColumnGuess) -> dict[str, SemanticType | None]:
    return {column.name: column.type for column in guess.attributes}


def small_table(**columns: list[str]) -> Table:
    rows = len(next(iter(columns.values())))
    ids = {"record_id": [str(i) for i in range(rows)], "source": ["s"] * rows}
    return Table({**columns, **ids}, rows, ("small",), "source", "record_id")


def both(
    session: SparkSession,
    table: Table,
    types: dict[str, SemanticType | None],
    model: MatchModel | None = None,
    rails: GuardRails | None = None,
    observed_at: str = "",
) -> tuple[LinkResult, LinkResult]:
    here = link(table, types, model=model, guard_rails=rails, observed_at=observed_at)
    return here, link_on_spark(session, table, types, model=model, guard_rails=rails, observed_at=observed_at)


def assert_equal(here: LinkResult, there: LinkResult) -> None:
    assert there.identities.tolist() == here.identities.tolist()
    assert (there.record_ids, there.sources) == (here.record_ids, here.sources)
    assert there.model.version == here.model.version
    assert there.report == here.report


@pytest.mark.spark
def test_without_a_model_spark_learns_and_links_as_one_machine_does(spark: SparkSession) -> None:
    table, guess = customers(2_000, seed=3)

    here, there = both(spark, table, types_of(guess))

    assert here.report.learned
    assert len(set(here.identities.tolist())) < 1_900
    assert_equal(here, there)
    assert spark.sparkContext._jsc.getPersistentRDDs().isEmpty()


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_fifty_thousand_customers_are_linked_as_on_one_machine(spark: SparkSession, seed: int) -> None:
    table, guess = customers(50_000, seed)

    assert_equal(*both(spark, table, types_of(guess)))


@pytest.mark.spark
def test_generic_keys_and_components_too_large_are_treated_alike(spark: SparkSession) -> None:
    table, guess = customers(600, seed=5)
    easy = msgspec.structs.replace(MatchModel.shipped(), generic_limit=4, max_component=3, link_weight=-(2 << 16))

    here, there = both(spark, table, types_of(guess), easy)

    assert here.report.needs_review
    assert any(rule.generic_keys for rule in here.report.rules)
    assert_equal(here, there)


@pytest.mark.spark
def test_equal_rows_are_one_person_only_where_they_say_enough(spark: SparkSession) -> None:
    table = small_table(
        first=["Konrad", "", "Ann", "", "Konrad", "Ann", "Konrad"], last=["Zuse", "", "", "", "Zuse", "", "Zuse"],
        born=["1960-06-22", "", "", "", "1960-06-22", "", "1960-06-22"],
    )  # fmt: skip
    types = {"first": SemanticType.GIVEN_NAME, "last": SemanticType.SURNAME, "born": SemanticType.BIRTH_DATE}

    here, there = both(spark, table, types, MatchModel.shipped())

    assert here.identities.tolist() == [0, 1, 2, 3, 0, 4, 0]
    assert_equal(here, there)


@pytest.mark.spark
@pytest.mark.parametrize("learned", [True, False])
def test_guard_rails_keep_the_same_records_apart(spark: SparkSession, learned: bool) -> None:
    table, guess = customers(1_500, seed=6)
    twice = [*range(table.rows), *range(0, table.rows, 3)]
    columns = {name: [column[i] for i in twice] for name, column in table.columns.items()}
    crm, shop, *_ = sorted(set(columns["source"]))
    columns["source"] = [shop if i >= table.rows and i % 2 else source for i, source in enumerate(columns["source"])]
    table = Table(columns, len(twice), ("customers",), "source", "record_id")
    columns["seen"] = [f"2026-01-{1 + i % 28:02}" for i in range(len(twice))]
    limits = (IdentifierLimit("phone", 1, days=7), IdentifierLimit("email", 1))
    rails = GuardRails((crm,), ((crm, shop),), (shop,), single_numbers=("national_id",), limits=limits)
    model = None if learned else MatchModel.shipped()

    here, there = both(spark, table, types_of(guess), model, rails, "seen")

    assert {"duplicate_free", "never_overlap", "email_limit", "phone_limit"} <= dict(here.report.guarded).keys()
    assert_equal(here, there)


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 3])
def test_tiny_tables_are_answered_alike(spark: SparkSession, rows: int) -> None:
    table = small_table(first=["Konrad"] * rows, last=["Zuse"] * rows, nothing=[""] * rows)
    types = {"first": SemanticType.GIVEN_NAME, "last": SemanticType.SURNAME, "nothing": SemanticType.EMAIL}

    assert_equal(*both(spark, table, types))


# --- one weight a pair, everywhere ---


@pytest.fixture(scope="module")
def strangers_and_friends() -> tuple[list[Profile], np.ndarray, np.ndarray]:
    """Make profiles, and 100,000 random pairs of them: half at large, half of neighbours, who are often one person."""
    records = list(simulate_records(20_000, seed=8))
    table = Table({n: [r.values.get(n, "") for r in records] for n in COLUMNS}, len(records), ("people",), "source")
    table.columns["source"] = [r.source for r in records]
    types = types_of(guess_columns(table))
    values = [(name, kind, table.columns[name]) for name, kind in types.items() if kind is not None]
    batch = pa.RecordBatch.from_pydict(
        {"row": np.arange(len(records)), "source": table.columns["source"], "record_id": table.columns["source"]}
        | {"observed_at": np.zeros(len(records), np.int64)}
        | {f"c{k}": column for k, (_, _, column) in enumerate(values)}
    )
    made = next(tasks.make_profiles(iter([batch]), [(name, kind) for name, kind, _ in values], "US"))
    profiles = [msgspec.msgpack.decode(text, type=Profile) for text in made.column("profile").to_pylist()]
    rng = np.random.default_rng(8)
    left = rng.integers(0, len(profiles), 100_000, dtype=np.int32)
    right = rng.integers(0, len(profiles), 100_000, dtype=np.int32)
    right[::2] = np.minimum(left[::2] + rng.integers(0, 3, 50_000, dtype=np.int32), len(profiles) - 1)
    return profiles, left, right


def refined_model() -> MatchModel:
    """Make a model that uses all there is: classes, tables of one and of two comparisons, calibration."""
    model, random = MatchModel.shipped(), Random(8)
    sizes = [len(spec.tables[0]) for spec in model.comparisons]
    tables = [tuple(0 if level == 0 else random.randint(-9_999, 9_999) for level in range(size)) for size in sizes]
    together = tuple(tuple(random.randint(-9_999, 9_999) for _ in range(sizes[1])) for _ in range(sizes[0]))
    calibration = ((-2_000_000, -1_500_000), (-70_001, -20_003), (65_537, 131_071), (3_000_000, 2_500_000))
    refinement = Refinement(-1_234, tuple(tables), (Interaction(0, 1, together),), calibration)
    return msgspec.structs.replace(model, refinement=refinement)


@pytest.mark.spark
def test_a_pair_has_one_weight_online_in_bulk_and_on_spark(
    spark: SparkSession, strangers_and_friends: tuple[list[Profile], np.ndarray, np.ndarray]
) -> None:
    profiles, left, right = strangers_and_friends
    scorer = Scorer(refined_model())

    in_bulk = scorer.weights(profiles, left, right)
    online = np.concatenate(
        [scorer.weights(profiles, left[at : at + 20], right[at : at + 20]) for at in range(0, len(left), 20)]
    )
    pairs = spark.createDataFrame(pa.table({"left": left.astype(np.int64), "right": right.astype(np.int64)}))
    texts = [p.encode() for p in profiles]
    rows = spark.createDataFrame(pa.table({"point": np.arange(len(profiles)), "profile": pa.array(texts, pa.binary())}))
    carried = spark.sparkContext.broadcast(scorer.model.to_json())
    found = weigh(pairs, rows, carried).toArrow()
    columns = [found.column(name).to_pylist() for name in ("left", "right", "weight")]
    on_spark = {(i, j): weight for i, j, weight in zip(*columns, strict=True)}

    assert len(left) == 100_000
    assert (in_bulk >= scorer.model.link_weight).sum() > 10_000
    assert online.tolist() == in_bulk.tolist()
    assert [on_spark[pair] for pair in zip(left.tolist(), right.tolist(), strict=True)] == in_bulk.tolist()


# --- what executors do, without Spark ---


def in_batches(table: pa.Table, sizes: list[int]) -> Iterator[pa.RecordBatch]:
    at, turn = 0, 0
    while at < table.num_rows:
        size = sizes[turn % len(sizes)]
        yield from table.slice(at, size).to_batches()
        at, turn = at + size, turn + 1


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 7), min_size=1, max_size=3), st.integers(1, 6))
def test_pairs_of_a_stream_are_those_of_one_machine_wherever_batches_end(seed: int, sizes: list[int], limit: int) -> None:
    random = Random(seed)
    choices = [(g, s, b) for g in "abc" for s in "xyz" for b in ("1960-01-01", "1970-02-02")]
    profiles = [Profile((g,), (), (s,), birth_dates=(b,)) for g, s, b in random.sample(choices, random.randint(2, 14))]
    model = msgspec.structs.replace(MatchModel.shipped(), generic_limit=limit)
    everyone = pa.RecordBatch.from_pydict(
        {
            "point": np.arange(len(profiles)),
            "repeated": np.zeros(len(profiles), np.bool_),
            "profile": pa.array([p.encode() for p in profiles], pa.binary()),
        }
    )

    keys = pa.Table.from_batches(tasks.make_keys(iter([everyone]), SimpleNamespace(value=model.to_json())))
    keys = keys.sort_by([("high", "ascending"), ("low", "ascending"), ("point", "ascending")])
    made = [m for batch in tasks.make_pairs(in_batches(keys, sizes), limit, 1) for m in batch.to_pylist()]

    blocks = blocks_of(model.rules, Frame.of_profiles(profiles), limit)
    counts = PairCounts.zero(len(blocks))
    chunks = list(stream_pairs(blocks, len(profiles), counts))
    expected = {pair for c in chunks for pair in zip(c.left.tolist(), c.right.tolist(), strict=True)}
    assert {(m["left"], m["right"]) for m in made if m["left"] >= 0} == expected
    for number, rule in enumerate(blocks):
        mine = [m for m in made if m["mask0"] == 1 << number]
        assert len({(m["left"], m["right"]) for m in mine if m["left"] >= 0}) == counts.pairs[number]
        assert sum(m["left"] < 0 for m in mine) == rule.generic_keys


@settings(max_examples=40)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=3))
def test_components_are_cut_alike_wherever_batches_end(sizes: list[int]) -> None:
    names = ["Konrad", "Konrad", "Conrad", "Anna", "Grace", "Grace", "Gracie"]
    people = [
        profile_of([], "US") if i is None else Profile((names[i].lower(),), (), ("zuse",), birth_dates=("1960-06-22",))
        for i in range(len(names))
    ]
    rows = pa.table(
        {
            "component": [0, 0, 0, 3, 4, 4, 4],
            "row": np.arange(7),
            "point": [0, 0, 2, 3, 4, 4, 6],
            "source": ["s"] * 7,
            "record_id": [str(i) for i in range(7)],
            "observed_at": [0] * 7,
            "profile": pa.array([None if i in (1, 5) else p.encode() for i, p in enumerate(people)], pa.binary()),
        }
    )
    model = SimpleNamespace(value=MatchModel.shipped().to_json())

    whole = pa.Table.from_batches(tasks.cut_components(iter(rows.to_batches()), model, Guards(GuardRails())))
    parts = pa.Table.from_batches(tasks.cut_components(in_batches(rows, sizes), model, Guards(GuardRails())))

    assert parts.to_pydict() == whole.to_pydict()
    assert whole.column("first").to_pylist()[:2] == [0, 0]


def test_a_key_shared_by_everybody_is_not_held() -> None:
    size, batch = 50_000, 1_000
    held: list[int] = []

    def stream() -> Iterator[pa.RecordBatch]:
        for at in range(0, size, batch):
            one = np.zeros(batch, np.int64)
            yield pa.RecordBatch.from_pydict(
                {"high": one, "low": one, "rule": one.astype(np.int32), "point": np.arange(at, at + batch),
                 "repeated": one.astype(np.bool_)}
            )  # fmt: skip
            held.append(pa.total_allocated_bytes())

    made = list(tasks.make_pairs(stream(), 100, 1))

    assert [m.to_pylist() for m in made] == [[{"left": -1, "right": -1, "mask0": 1}]]
    assert max(held) - held[0] < 50 * batch


# --- failures ---


@pytest.mark.spark
def test_a_failure_names_stage_and_place_and_no_value(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    table = small_table(first=["Konrad", NEEDLE])
    broken = partial(tasks.make_profiles, columns=[(NEEDLE, SemanticType.GIVEN_NAME)] * 9, default_country="US")
    monkeypatch.setattr("goldenthread.resolver.bulk.spark.link.partial", lambda *_, **__: broken)

    with pytest.raises(SparkFailed) as failed:
        link_on_spark(spark, table, {"first": SemanticType.GIVEN_NAME})

    assert failed.value.stage == "normalise"
    assert "KeyError at" in failed.value.cause
    assert NEEDLE not in str(failed.value)
    assert failed.value.__cause__ is None
    assert failed.value.__suppress_context__


@pytest.mark.spark
def test_executors_with_other_versions_are_named(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "installed", lambda: (("rapidfuzz", "0.0.1"),))

    with pytest.raises(WorkersDiffer) as failed:
        link_on_spark(spark, small_table(first=["Konrad", "Ann"]), {"first": SemanticType.GIVEN_NAME})

    assert "not 0.0.1" in failed.value.differences
    assert "rapidfuzz" in str(failed.value)


@pytest.mark.spark
def test_an_interrupt_leaves_nothing_running_and_nothing_kept(spark: SparkSession) -> None:
    table, guess = customers(200, seed=2)

    def interrupt(stage: str, share: float) -> None:
        if stage == "score":
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        link_on_spark(spark, table, types_of(guess), model=MatchModel.shipped(), progress=interrupt)

    assert spark.sparkContext.statusTracker().getActiveJobsIds() == []
    assert spark.sparkContext._jsc.getPersistentRDDs().isEmpty()


def test_without_pyspark_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)

    with pytest.raises(SparkMissing, match=r"goldenthread\[spark\]"), spark_session():
        pass


def test_without_java_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    with pytest.raises(SparkMissing, match="install Java 17"), spark_session():
        pass


@pytest.mark.parametrize("master", ["spark://127.0.0.1:1", "spark://nowhere"])
def test_a_master_that_does_not_answer_is_named_at_once(java: None, master: str) -> None:
    with pytest.raises(SparkUnavailable) as failed, spark_session(master):
        pass

    assert failed.value.master == master


# --- the command ---


@pytest.mark.spark
def test_the_command_writes_the_bytes_of_one_machine_and_leaves_no_file_and_no_value(java: None, tmp_path: Path) -> None:
    table, _ = customers(300, seed=4)
    table.columns["surname"][0] = NEEDLE
    file, events, temporary = tmp_path / "customers.csv", tmp_path / "events", tmp_path / "tmp"
    pa_csv.write_csv(pa.table(table.columns), file)
    events.mkdir()
    temporary.mkdir()
    spark_options = ["--engine", "spark", "--master", MASTER]
    logging = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": str(events), "spark.eventLog.compress": "false"}
    for setting in (f"{name}={value}" for name, value in {**QUICK, **logging}.items()):
        spark_options += ["--spark-conf", setting]
    environment = {**os.environ, "TMPDIR": str(temporary)}

    ran = [
        subprocess.run(
            [sys.executable, "-m", "goldenthread.cli.main", "link", file, "--out", tmp_path / out, *options],
            capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=280, check=False,
        )
        for out, options in (("here.csv", []), ("there.csv", spark_options))
    ]  # fmt: skip

    assert [r.returncode for r in ran] == [0, 0], ran[1].stderr
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()
    assert list(temporary.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"customers.csv", "here.csv", "there.csv", "events", "tmp"}
    told = [path.read_text() for path in events.rglob("*") if path.is_file()]
    assert any("SparkListenerJobStart" in text for text in told)
    assert not [text for text in [*told, ran[1].stderr, ran[1].stdout] if NEEDLE in text]
