"""Pairs are reviewed at the command line: one key each, or by name, and what was answered can be trained with."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Ran, Run, run_main

from goldenthread.cli.demo.server import OwnServer, start_server
from goldenthread.client import Client, Record


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    server = start_server(tmp_path_factory.mktemp("review") / "data", "127.0.0.1:0")
    yield server
    server.stop()


@pytest.fixture
def run(server: OwnServer, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GOLDENTHREAD_SERVER", server.address)
    monkeypatch.setenv("GOLDENTHREAD_TOKEN", server.token)

    def run(*arguments: str | Path) -> Ran:
        return run_main(capsys, arguments)

    return run


def put_doubtful(server: OwnServer, *surnames: str) -> None:
    """Put, for each surname, two records that share a name and a city: too little to link, too much to leave."""
    with Client(server.address, token=server.token) as client:
        for surname in surnames:
            known = {"given_name": "Ada", "surname": surname, "city": "Springfield"}
            client.upsert_record(Record("crm", surname, {**known, "email": f"ada@{surname.lower()}.example"}))
            client.upsert_record(Record("shop", surname, {**known, "phone": f"+1 212 555 01{len(surname):02}"}))


def test_pairs_are_answered_one_key_each_undone_and_exported(
    server: OwnServer, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put_doubtful(server, "Lovelace", "Quillfeather", "Abernathy")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\nwhat\nu\ny\nn\ns\ny\nq\n"))

    shown = run("review", "start")
    stats = run("review", "stats", "--json")
    run("review", "labels", "--out", tmp_path / "labels.csv")

    assert "Springfield" in shown.out
    assert "3 pairs done." in shown.out
    assert stats.facts["same_person"] == 1
    assert stats.facts["different_people"] == 1
    assert stats.facts["skipped_by_caller"] == 1
    with (tmp_path / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["label"] for row in rows) == ["0", "1"]
    assert all(row["left_record_id"] == row["right_record_id"] for row in rows)


def test_a_pair_is_claimed_decided_and_undone_by_name(server: OwnServer, run: Run) -> None:
    put_doubtful(server, "Zanetti")

    listed = run("review", "list", "--why", "nearly-linked", "--json").items
    name = str(next(item["name"] for item in listed if not item.get("skipped_by_caller")))
    claimed = run("review", "claim", "--json").items
    decided = run("review", "decide", name, "same", "--reason", "same signature")
    undone = run("review", "undo", name)

    assert [item["name"] for item in claimed] == [name]
    assert decided.out.startswith("Decided: decisions/")
    assert undone.out.startswith("Undone: decisions/")
    assert run("review", "skip", name).out == "Skipped; others are still asked.\n"
