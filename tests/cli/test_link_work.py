"""A linking can be bounded in memory, stopped, killed, and gone on with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from command_line import Run

from goldenthread.cli.bounds import bounded, size_of
from goldenthread.cli.errors import CommandError, UsageError

LINK = ("--out", "people.parquet", "--ignore", "person", "--json")

DIES_IN_THE_CUT = """
import os, signal, sys
from goldenthread.cli.main import main
from goldenthread.resolver.bulk import link
link.cut = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
main(sys.argv[1:])
"""


def unwanted(*arguments: object, **named: object) -> None:
    raise AssertionError("it was done before")


def test_a_killed_linking_goes_on_after_its_last_finished_stage(
    run: Run, write_customers: Callable[[int, int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_customers(600, 3)
    whole = run("link", file, *LINK)
    expected = pq.read_table("people.parquet")
    died = subprocess.run(
        [sys.executable, "-c", DIES_IN_THE_CUT, "link", file, *LINK, "--work", "work"], cwd=tmp_path, check=False
    )
    for stage in ("goldenthread.cli.files.read_files", "goldenthread.resolver.bulk.link.choose_model",
                  "goldenthread.resolver.bulk.link.stream_pairs"):  # fmt: skip
        monkeypatch.setattr(stage, unwanted)

    again = run("link", file, *LINK, "--work", "work")

    assert (whole.code, died.returncode, again.code) == (0, -9, 0), again.err
    assert pq.read_table("people.parquet").equals(expected)


def test_an_interrupted_linking_says_where_it_goes_on(
    run: Run, write_customers: Callable[[int, int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_customers(300, 3)

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("goldenthread.resolver.bulk.link.choose_model", interrupted)
        stopped = run("link", file, *LINK, "--work", "work")
    again = run("link", file, *LINK, "--work", "work")

    assert stopped.code == 130
    assert "kept in work" in stopped.err
    assert again.code == 0, again.err


@pytest.mark.parametrize("memory", [(), ("--memory", "3GiB"), ("--memory", "3GiB", "--work", "work")])
def test_bounds_do_not_change_who_is_who(
    run: Run, write_customers: Callable[[int, int], Path], memory: tuple[str, ...]
) -> None:
    file = write_customers(300, 4)
    run("link", file, *LINK)
    expected = pq.read_table("people.parquet")

    done = run("link", file, *LINK, *memory)

    assert done.code == 0, done.err
    assert pq.read_table("people.parquet").equals(expected)


def test_a_folder_of_another_linking_is_refused(run: Run, write_customers: Callable[[int, int], Path], tmp_path: Path) -> None:
    file = write_customers(100, 5)
    run("link", file, *LINK, "--work", "work")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("")

    other = run("link", file, *LINK, "--ignore", "email", "--work", "work")
    mine = run("link", file, *LINK, "--work", "mine")

    assert (other.code, mine.code) == (1, 1)
    assert "other options" in other.err
    assert "empty folder" in mine.err


def test_damaged_work_is_said_and_how_to_go_on(run: Run, write_customers: Callable[[int, int], Path], tmp_path: Path) -> None:
    file = write_customers(100, 5)
    run("link", file, *LINK, "--work", "work")
    (tmp_path / "work" / "profiles" / "point_of.npy").write_bytes(b"")

    again = run("link", file, *LINK, "--work", "work")

    assert again.code == 1
    assert "remove the folder" in again.err


def test_work_and_memory_are_not_for_spark(run: Run, write_customers: Callable[[int, int], Path]) -> None:
    done = run("link", write_customers(10, 5), *LINK, "--engine", "spark", "--memory", "4GiB")

    assert done.code == 2
    assert "this machine" in done.err


@pytest.mark.parametrize(
    ("text", "size"), [("8GiB", 8 << 30), ("500MB", 500_000_000), ("1.5g", 1_500_000_000), ("2t", 2 * 10**12)]
)
def test_sizes_of_memory_are_read(text: str, size: int) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["much", "-1GiB", "1MiB"])
def test_what_is_no_size_of_memory_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--memory"):
        size_of(text)


def test_more_memory_than_the_bound_is_refused_in_one_sentence() -> None:
    with pytest.raises(CommandError, match=r"more than 1\.0 GiB"), bounded(1 << 30, None):
        np.ones(1 << 31, np.uint8)
