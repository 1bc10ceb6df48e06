"""Linking and evaluating files, good ones and bad ones."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from command_line import Run

from goldenthread.cli.demo import write_csv
from goldenthread.cli.files import row_of


def few_customers(folder: Path, text: str, name: str = "customers.csv", encoding: str = "utf-8") -> Path:
    file = folder / name
    file.write_bytes(text.encode(encoding))
    return file


PEOPLE = (
    "id,first_name,surname,dob,email\n"
    "1,Ann,Müller,1980-02-29,ann@example.org\n"
    "2,Anne,Müller,1980-02-29,ann@example.org\n"
    "3,Bob,Jones,1975-05-05,bob@example.org\n"
)


@pytest.fixture
def simulated(tmp_path: Path) -> Path:
    file = tmp_path / "simulated.csv"
    write_csv(file, 400)
    return file


def test_files_are_linked_without_any_configuration_and_measured(simulated: Path, run: Run) -> None:
    linked = run("link", simulated, "--out", "out.parquet", "--ignore", "truth_id", "--json")
    measured = run("evaluate", "out.parquet", "--truth", simulated, "--json")

    table = pq.read_table("out.parquet")
    assert linked.code == measured.code == 0
    assert linked.err == "" or "warning" in linked.err
    assert table.column_names == ["record_id", "source", "identity_id"]
    assert table.num_rows == 400
    assert linked.facts["identities"] == len(set(table["identity_id"].to_pylist()))
    assert float(str(measured.facts["pairwise_f1"])) > 0.7


def test_people_are_told_what_columns_were_taken_for(tmp_path: Path, run: Run) -> None:
    ran = run("link", few_customers(tmp_path, PEOPLE), "--out", "out.csv")

    assert ran.code == 0
    for column, meaning in (("dob", "birth date"), ("email", "email"), ("id", "record id")):
        assert any(column in line and meaning in line for line in ran.err.splitlines())


def test_what_columns_mean_can_be_written_edited_and_given_back(tmp_path: Path, run: Run) -> None:
    file = few_customers(tmp_path, PEOPLE)
    run("link", file, "--out", "a.csv", "--write-columns", "columns.yaml")
    columns = Path("columns.yaml")
    columns.write_text(columns.read_text(encoding="utf-8").replace("email: email", "email: ignored"), encoding="utf-8")

    ran = run("link", file, "--out", "b.csv", "--columns", columns)

    assert ran.code == 0
    assert any("email" in line and "ignored" in line for line in ran.err.splitlines())


def test_a_model_that_was_written_links_the_same(simulated: Path, run: Run) -> None:
    run("link", simulated, "--out", "a.csv", "--ignore", "truth_id", "--write-model", "model.json")
    run("link", simulated, "--out", "b.csv", "--ignore", "truth_id", "--model", "model.json")

    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()


def test_the_output_as_csv_has_the_same_columns(tmp_path: Path, run: Run) -> None:
    run("link", few_customers(tmp_path, PEOPLE), "--out", "out.csv")

    with Path("out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["record_id"] for row in rows] == ["1", "2", "3"]
    assert {row["source"] for row in rows} == {"customers"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_a_mark_or_latin_1_bytes_do_not_spoil_names(encoding: str, tmp_path: Path, run: Run) -> None:
    few_customers(tmp_path, PEOPLE, "plain.csv")
    odd = few_customers(tmp_path, PEOPLE, "odd.csv", encoding)

    plain, other = run("link", "plain.csv", "--out", "a.csv", "--json"), run("link", odd, "--out", "b.csv", "--json")

    assert plain.code == other.code == 0
    assert plain.facts["identities"] == other.facts["identities"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("id,name\n", "no records"),
        ("1980-01-01,ann@example.org,5551234567\n1981-01-01,bob@example.org,5551234568\n", "add a first row"),
        ("id,name\n1,Ann\n2,Bob,extra\n", "row 3"),
        ('id,name\n1,"Ann\n', "row 2"),
        ("id,id\n1,2\n", "more than once"),
    ],
    ids=["empty", "header alone", "no header", "ragged", "open quote", "repeated column"],
)
def test_a_bad_file_is_told_with_its_place_and_remedy(text: str, said: str, tmp_path: Path, run: Run) -> None:
    ran = run("link", few_customers(tmp_path, text), "--out", "out.csv")

    assert ran.code == 1
    assert ran.out == ""
    assert said in ran.err
    assert "customers.csv" in ran.err
    assert not Path("out.csv").exists()


def test_ragged_rows_can_be_left_out(tmp_path: Path, run: Run) -> None:
    file = few_customers(tmp_path, PEOPLE + "4,Eve,Stone,1990-01-01,eve@example.org,extra\n")

    ran = run("link", file, "--out", "out.csv", "--skip-ragged", "--json")

    assert ran.code == 0
    assert ran.facts["records"] == 3
    assert "ragged" in ran.err


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path, run: Run) -> None:
    ran = run("link", few_customers(tmp_path, PEOPLE), "--out", "out.csv", "--ignore", "truthid")

    assert ran.code == 1
    assert "truthid" in ran.err
    assert "surname" in ran.err


@pytest.mark.parametrize("text", ["columns: [", "no", "columns:\n  email: nonsense\n"])
def test_a_damaged_columns_file_is_told(text: str, tmp_path: Path, run: Run) -> None:
    columns = few_customers(tmp_path, text, "columns.yaml")

    ran = run("link", few_customers(tmp_path, PEOPLE), "--out", "out.csv", "--columns", columns)

    assert ran.code == 1
    assert ran.err.startswith("error: ")
    assert "unexpectedly" not in ran.err


def test_a_model_that_is_none_is_told(tmp_path: Path, run: Run) -> None:
    model = few_customers(tmp_path, json.dumps({"a": 1}), "model.json")

    ran = run("link", few_customers(tmp_path, PEOPLE), "--out", "out.csv", "--model", model)

    assert ran.code == 1
    assert "no match model" in ran.err


def test_a_truth_of_other_records_is_refused(tmp_path: Path, run: Run) -> None:
    run("link", few_customers(tmp_path, PEOPLE), "--out", "out.csv")
    truth = few_customers(tmp_path, "record_id,truth_id\n1,a\n2,a\n", "truth.csv")

    ran = run("evaluate", "out.csv", "--truth", truth)

    assert ran.code == 1
    assert "1 records are in only one" in ran.err


def test_a_truth_without_its_column_is_told(tmp_path: Path, run: Run) -> None:
    run("link", few_customers(tmp_path, PEOPLE), "--out", "out.csv")

    ran = run("evaluate", "out.csv", "--truth", few_customers(tmp_path, PEOPLE, "truth.csv"), "--record-id", "id")

    assert ran.code == 1
    assert "truth_id" in ran.err


def test_rows_are_found_again_past_quoted_line_breaks_and_ragged_rows(tmp_path: Path) -> None:
    text = 'id;note\n1;"two\nlines"\n2;ragged;row\n3;plain\n'
    first, second = few_customers(tmp_path, text), few_customers(tmp_path, '{"id": 1}\n\n{"id": 2}\n', "more.jsonl")

    places = [row_of([first, second], index) for index in range(4)]

    assert places == [(first, 2), (first, 5), (second, 1), (second, 3)]


def test_a_demo_file_is_written_without_a_server(run: Run) -> None:
    ran = run("demo", "--records", "50", "--write-csv", "c.csv", "--json")

    assert ran.code == 0
    assert ran.facts["records"] == 50
    assert len(Path("c.csv").read_text(encoding="utf-8").splitlines()) == 51


def test_sources_are_declared_free_of_duplicates_by_a_flag_or_a_file(tmp_path: Path, run: Run) -> None:
    file = few_customers(tmp_path, PEOPLE)
    rails = tmp_path / "rails.yaml"
    rails.write_text("duplicate_free: [customers]\n", encoding="utf-8")

    freely = run("link", file, "--out", "out.csv", "--json")
    by_flag = run("link", file, "--out", "out.csv", "--duplicate-free", "customers", "--json")
    by_file = run("link", file, "--out", "out.csv", "--guard-rails", rails, "--json")

    assert (freely.facts["identities"], freely.facts["kept_apart"]) == (2, {})
    for declared in (by_flag, by_file):
        assert (declared.facts["identities"], declared.facts["kept_apart"]) == (3, {"duplicate_free": 1})


def test_limits_within_days_go_by_the_column_that_says_when_records_were_observed(tmp_path: Path, run: Run) -> None:
    seen = ["seen", "2026-01-01", "2026-03-01", "2026-03-01"]
    lines = [f"{line},{day}" for line, day in zip(PEOPLE.replace("ann@", "a@", 1).splitlines(), seen, strict=True)]
    file = few_customers(tmp_path, "\n".join(lines) + "\n")
    rails = tmp_path / "rails.yaml"
    rails.write_text("limits: [{type: email, most: 1, days: 30}]\n", encoding="utf-8")
    how = ["link", file, "--out", "out.csv", "--guard-rails", rails, "--json"]

    at_once = run(*how)
    observed = run(*how, "--observed-at", "seen", "--work", tmp_path / "work")
    again = run(*how, "--observed-at", "seen", "--work", tmp_path / "work")
    missing = run(*how, "--observed-at", "sen")

    assert (at_once.facts["identities"], at_once.facts["kept_apart"]) == (3, {"email_limit": 1})
    assert (observed.facts["identities"], observed.facts["kept_apart"]) == (2, {})
    assert again.facts["identities"] == 2
    assert missing.code == 1
    assert "perhaps seen is meant" in missing.err


def test_a_slip_in_declaring_sources_is_said(tmp_path: Path, run: Run) -> None:
    file = few_customers(tmp_path, PEOPLE)
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("duplicate_fre: [customers]\n", encoding="utf-8")

    unknown = run("link", file, "--out", "out.csv", "--duplicate-free", "custumers")
    lonely = run("link", file, "--out", "out.csv", "--never-overlap", "customers")
    unread = run("link", file, "--out", "out.csv", "--guard-rails", wrong)

    assert unknown.code == 0
    assert "No record is of the source custumers" in unknown.err
    assert lonely.code == 2
    assert "two sources or more" in lonely.err
    assert unread.code == 1
    assert "duplicate_fre" in unread.err
