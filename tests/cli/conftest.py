"""A command line without settings from outside."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Ran, Run, run_main

from goldenthread.cli.demo import simulate_records

NAMES = ["record_id", "source", "person", "given_name", "surname", "birth_date", "email", "phone"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("SERVER", "TOKEN", "TENANT", "DATA", "TLS_CA", "STORE", "TRACEBACK"):
        monkeypatch.delenv(f"GOLDENTHREAD_{name}", raising=False)

    def run(*arguments: str | Path) -> Ran:
        return run_main(capsys, arguments)

    return run


@pytest.fixture
def write_customers(tmp_path: Path) -> Callable[[int, int], Path]:
    """Write so many simulated customers of a seed as a file whose column `person` is the truth."""

    def write(count: int, seed: int) -> Path:
        file = tmp_path / "customers.csv"
        with file.open("w", newline="") as out:
            writer = csv.DictWriter(out, NAMES, extrasaction="ignore", restval="")
            writer.writeheader()
            for number, record in enumerate(simulate_records(count, seed=seed)):
                writer.writerow(
                    {**record.values, "record_id": f"n{number}", "source": record.source, "person": f"p{record.person}"}
                )
        return file

    return write
