"""Choosing pairs and training on their labels from the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Run

from goldenthread.resolver.scoring import MatchModel


@pytest.fixture
def customers(write_customers: Callable[[int, int], Path]) -> Path:
    return write_customers(400, 7)


def chosen(customers: Path, run: Run, *further: object) -> list[dict[str, str]]:
    ran = run("label", customers, "--ignore", "person", "--pairs", "80", "--out", "pairs.csv", *further)
    assert ran.code == 0, ran.err
    with customers.with_name("pairs.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def labelled(customers: Path, rows: list[dict[str, str]]) -> Path:
    """Label pairs by the truth."""
    with customers.open(newline="") as file:
        person = {row["record_id"]: row["person"] for row in csv.DictReader(file)}
    out = customers.with_name("labelled.csv")
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(
            {**row, "label": str(int(person[row["left_record_id"]] == person[row["right_record_id"]]))} for row in rows
        )
    return out


def test_chosen_pairs_hold_no_values_unless_asked_and_train_a_model_with_a_card(customers: Path, run: Run) -> None:
    rows = chosen(customers, run)

    ran = run(
        "train", customers, "--ignore", "person", "--labels", labelled(customers, rows), "--write-model", "m.json", "--json"
    )

    card = json.loads(customers.with_name("m.card.json").read_text())
    model = MatchModel.from_json(customers.with_name("m.json").read_bytes())
    assert set(rows[0]) == {"label", "left_source", "left_record_id", "right_source", "right_record_id"}
    assert ran.code == 0, ran.err
    assert json.loads(ran.out) == card
    assert card["version"] == model.version
    assert card["metrics"]["labels"] > 60
    assert run("link", customers, "--model", "m.json", "--out", "people.csv").code == 0


def test_pairs_labelled_before_are_not_asked_again(customers: Path, run: Run) -> None:
    before = chosen(customers, run)

    after = chosen(customers, run, "--labels", labelled(customers, before), "--with-values")

    pairs = [{(row["left_record_id"], row["right_record_id"]) for row in rows} for rows in (before, after)]
    assert pairs[0].isdisjoint(pairs[1])
    assert "left.surname" in after[0]


def test_a_truth_column_answers_what_a_steward_would(customers: Path, run: Run) -> None:
    ran = run("train", customers, "--truth-column", "person", "--pairs", "80", "--write-model", "m.json", "--json")

    assert ran.code == 0, ran.err
    assert "person" not in json.loads(ran.out)["comparisons"]


def test_bad_labels_are_told_by_row_and_remedy(customers: Path, run: Run) -> None:
    file = customers.with_name("wrong.csv")
    file.write_text("label,left_source,left_record_id,right_source,right_record_id\nmaybe,crm,n1,crm,n2\n")

    ran = run("train", customers, "--ignore", "person", "--labels", file, "--write-model", "m.json")

    assert ran.code == 1
    assert "row 2" in ran.err
    assert "Write 1 for one person, 0 for two." in ran.err


def test_too_few_labels_say_how_many_are_needed(customers: Path, run: Run) -> None:
    rows = chosen(customers, run)[:8]

    ran = run("train", customers, "--ignore", "person", "--labels", labelled(customers, rows), "--write-model", "m.json")

    assert ran.code == 1
    assert "at least 20 labels are needed" in " ".join(ran.err.split())


def test_labels_come_from_one_place(customers: Path, run: Run) -> None:
    assert run("train", customers, "--write-model", "m.json").code == 2


def test_the_truth_of_several_files_is_read_from_all(customers: Path, run: Run) -> None:
    head, *rows = customers.read_text(encoding="utf-8").splitlines(keepends=True)
    half = len(rows) // 2
    Path("a.csv").write_text(head + "".join(rows[:half]), encoding="utf-8")
    Path("b.csv").write_text(head + "".join(rows[half:]) + "ragged\n", encoding="utf-8")

    ran = run(
        "train",
        "a.csv",
        "b.csv",
        "--truth-column",
        "person",
        "--pairs",
        "80",
        "--skip-ragged",
        "--write-model",
        "m.json",
        "--json",
    )

    assert ran.code == 0, ran.err
