"""The side-by-side benchmark: what programs are shown, how they are measured, and what it says of those that fail."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from bench.measure import Failed, run_program
from bench.quality import ask, labelled_files, our_command, question, show
from bench.speed import exponent, loosened

from goldenthread.resolver.scoring import MatchModel

PEOPLE = """id,truth_id,name,zip
1,t1,Ann Lee,01234
2,t1,Ann Leigh,01234
3,t2,Bo Chan,
"""
ANSWER = """
import sys, pyarrow as pa, pyarrow.parquet as pq
pq.write_table(pa.table({"record_id": ["1", "2"], "cluster": ["c", "c"]}), sys.argv[1])
"""


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    (tmp_path / "people.csv").write_text(PEOPLE)
    (tmp_path / "other.csv").write_text("id,name\n1,x\n")
    (tmp_path / "notes.txt").write_text("truth_id\n")
    return tmp_path


def test_only_files_with_truth_are_asked_about(labelled: Path) -> None:
    assert [file.name for file in labelled_files(labelled, "truth_id")] == ["people.csv"]


def test_programs_are_shown_all_but_the_truth(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    asked = question(labelled / "people.csv", tmp_path_factory.mktemp("bare"), "id", "truth_id")

    shown = asked.file.read_text()

    assert asked.truth == ["t1", "t1", "t2"]
    assert "t1" not in shown
    assert "truth" not in shown
    assert "01234" in shown
    assert pa_csv.read_csv(asked.file).column_names == ["record_id", "name", "zip"]


def test_ids_that_repeat_are_refused_because_answers_could_not_be_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "people.parquet"
    pq.write_table(pa.table({"id": ["1", "1"], "truth_id": ["a", "b"]}), file)

    with pytest.raises(SystemExit, match="--record-id"):
        question(file, tmp_path, "id", "truth_id")


def test_an_answer_is_measured_and_records_it_leaves_out_are_alone(
    labelled: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    asked = question(labelled / "people.csv", tmp_path_factory.mktemp("bare"), "id", "truth_id")

    row = ask(asked, "peer", lambda answer: [sys.executable, "-c", ANSWER, str(answer)], 60)

    assert row.measures is not None
    assert (row.measures.pairwise_f1, row.measures.clusters) == (1.0, 2)
    assert row.seconds > 0
    assert row.peak_mib > 1


def test_a_program_that_fails_has_its_last_words_in_the_table(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    asked = question(labelled / "people.csv", tmp_path_factory.mktemp("bare"), "id", "truth_id")

    row = ask(asked, "peer", lambda _: [sys.executable, "-c", "raise SystemExit('no rule | found a pair')"], 60)

    assert row.measures is None
    assert "| people | peer | no rule / found a pair |" in show([row])


def test_a_program_that_does_not_end_is_ended() -> None:
    with pytest.raises(Failed, match="not done after 1 s"):
        run_program([sys.executable, "-c", "import time; time.sleep(60)"], timeout=1)


def test_memory_of_children_counts() -> None:
    child = "import time; held = bytearray(200 << 20); time.sleep(2)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"

    assert run_program([sys.executable, "-c", parent], timeout=60).peak_mib > 200


def test_ours_is_run_as_a_user_would(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    asked = question(labelled / "people.csv", tmp_path_factory.mktemp("bare"), "id", "truth_id")

    row = ask(asked, "goldenthread", lambda answer: our_command(asked.file, answer), 60)

    assert row.failure == ""
    assert row.measures is not None
    assert row.measures.records == 3


def test_time_that_grows_tenfold_with_rows_has_the_exponent_one() -> None:
    assert exponent([1_000, 100, 10], [5.0, 0.5, 0.4]) == pytest.approx(1.0)


def test_loose_rules_leave_no_key_out() -> None:
    model = loosened(MatchModel.shipped())

    assert [rule.name for rule in model.rules] == ["birth_date", "postcode", "given+surname"]
    assert model.generic_limit > 1_000_000
