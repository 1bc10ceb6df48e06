"""Evaluation from the command line: with truth, from labels, against another result, and as a report."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Run


@pytest.fixture
def customers(write_customers: Callable[[int, int], Path]) -> Path:
    return write_customers(300, 5)


@pytest.fixture
def linked(customers: Path, run: Run) -> Path:
    ran = run("link", customers, "--out", "people.csv", "--ignore", "person", "--sample", "pairs.csv", "--sample-pairs", "60",
              "--report", "link.html", "--write-model", "model.json")  # fmt: skip
    assert ran.code == 0, ran.err
    return customers.with_name("people.csv")


def label(folder: Path, said: str | None = None) -> Path:
    """Label a sample by the truth, or all alike."""
    with (folder / "customers.csv").open(newline="") as file:
        person = {row["record_id"]: row["person"] for row in csv.DictReader(file)}
    with (folder / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["label"] = str(int(person[row["left_record_id"]] == person[row["right_record_id"]])) if said is None else said
    out = folder / "labelled.csv"
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return out


def test_truth_gives_measures_and_errors_by_id(linked: Path, run: Run) -> None:
    ran = run("evaluate", linked, "--truth", "customers.csv", "--truth-column", "person", "--differences", "d.csv", "--json")

    found = json.loads(ran.out)
    rows = list(csv.DictReader((linked.parent / "d.csv").read_text().splitlines()))
    assert ran.code == 0
    assert 0 < found["cluster_f1"] <= 1
    assert len({row["group"] for row in rows}) == sum(found["errors"].values())
    assert {row["kind"] for row in rows} <= {"joined wrongly", "missed", "both"}


def test_labelled_pairs_estimate_what_the_truth_measures(linked: Path, run: Run) -> None:
    measured = json.loads(run("evaluate", linked, "--truth", "customers.csv", "--truth-column", "person", "--json").out)

    estimated = json.loads(run("evaluate", linked, "--labels", label(linked.parent), "--json").out)["estimate"]

    precision = estimated["precision"]
    assert precision["low"] - 0.02 <= measured["pairwise_precision"] <= precision["high"] + 0.02
    assert estimated["recall"]["low"] <= estimated["recall"]["value"] <= estimated["recall"]["high"]


def test_the_sample_holds_ids_and_no_other_value(linked: Path) -> None:
    sample = (linked.parent / "pairs.csv").read_text()

    assert "@" not in sample
    assert "surname" not in sample


def test_values_are_written_when_they_are_asked_for(customers: Path, run: Run) -> None:
    ran = run("link", customers, "--out", "people.csv", "--ignore", "person", "--sample", "pairs.csv", "--with-values")

    assert ran.code == 0
    assert "left.surname" in (customers.parent / "pairs.csv").read_text()


def test_a_result_equals_itself_and_differs_from_another(customers: Path, linked: Path, run: Run) -> None:
    run("link", customers, "--out", "other.csv", "--ignore", "person", "--ignore", "email")

    same = json.loads(run("evaluate", linked, "--against", linked, "--json").out)
    other = json.loads(run("evaluate", linked, "--against", "other.csv", "--json").out)

    assert set(same["changes"].values()) == {0}
    assert sum(other["changes"].values()) > 0


def test_reports_are_written_whole_without_personal_values(linked: Path, run: Run) -> None:
    ran = run("evaluate", linked, "--truth", "customers.csv", "--truth-column", "person", "--labels", label(linked.parent),
              "--model", "model.json", "--report", "evaluation.html")  # fmt: skip

    pages = [(linked.parent / name).read_text() for name in ("link.html", "evaluation.html")]
    assert ran.code == 0, ran.err
    assert all(page.endswith("</html>\n") and ".example" not in page for page in pages)
    assert "Estimated from the model" in pages[0]
    assert "Measured against the truth" in pages[1]
    assert not list(linked.parent.glob("*.part"))


def test_a_pair_that_was_asked_for_is_explained(customers: Path, run: Run) -> None:
    ran = run("link", customers, "--out", "people.csv", "--ignore", "person", "--report", "r.html", "--pair", "n1", "n250")

    assert ran.code == 0, ran.err
    assert "<code>n1</code> and <code>n250</code>" in (customers.parent / "r.html").read_text()


def test_a_pair_of_unknown_records_is_refused(customers: Path, run: Run) -> None:
    ran = run("link", customers, "--out", "people.csv", "--ignore", "person", "--report", "r.html", "--pair", "n1", "secret")

    assert ran.code == 1
    assert "--pair" in ran.err
    assert "secret" not in ran.err


@pytest.mark.parametrize(
    ("said", "problem"),
    [("maybe", "row 2: the label is none of 1, 0 and empty"), ("", "has no label yet")],
)
def test_labels_that_are_wrong_are_named(said: str, problem: str, linked: Path, run: Run) -> None:
    ran = run("evaluate", linked, "--labels", label(linked.parent, said))

    assert ran.code == 1
    assert problem in ran.err


@pytest.mark.parametrize("break_it", ["columns", "record", "number"])
def test_a_label_file_that_was_broken_is_refused_without_its_values(break_it: str, linked: Path, run: Run) -> None:
    file = label(linked.parent)
    rows = list(csv.reader(file.read_text().splitlines()))
    if break_it == "columns":
        rows = [row[1:] for row in rows]
    elif break_it == "record":
        rows[1][2] = "secret@example.org"
    else:
        rows[1][rows[0].index("draws")] = "many"
    with file.open("w", newline="") as out:
        csv.writer(out).writerows(rows)

    ran = run("evaluate", linked, "--labels", file)

    assert ran.code == 1
    assert "secret" not in ran.err


@pytest.mark.parametrize(
    "further",
    [
        [],
        ["--report", "x.html"],
        ["--model", "m.json", "--against", "people.csv"],
        ["--against", "people.csv", "--report", "x.pdf"],
    ],
)
def test_use_without_sense_is_refused(further: list[str], linked: Path, run: Run) -> None:
    assert run("evaluate", linked, *further).code == 2
