"""`goldenthread demo`, from its start to its end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = [sys.executable, "-m", "goldenthread.cli.main", "demo"]


def test_the_demo_finds_people_and_leaves_nothing_behind(tmp_path: Path) -> None:
    scratch = {**os.environ, "TMPDIR": str(tmp_path)}

    ran = subprocess.run(
        [*DEMO, "--records", "800", "--exit", "--json"], capture_output=True, text=True, env=scratch, check=True
    )

    found = json.loads(ran.stdout)
    assert found["records"] == 800
    assert found["duplicates_consolidated"] == 800 - found["identities"] > 200
    assert found["households"] > 20
    assert found["f1"] > 0.85
    assert list(tmp_path.iterdir()) == []


def test_the_demo_shows_a_golden_record_and_an_explained_match(tmp_path: Path) -> None:
    ran = subprocess.run(
        [*DEMO, "--records", "300", "--exit", "--data", str(tmp_path / "d")], capture_output=True, text=True, check=True
    )

    for said in ("What was found", "households", "precision", "goldenRecord", "because", "prior", "weight"):
        assert said in ran.stdout
    assert (tmp_path / "d" / "token").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_the_demo_serves_until_it_is_stopped_and_what_it_says_to_try_works(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [*DEMO, "--records", "100", "--data", str(tmp_path / "d")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    address, tried = "", []
    for line in process.stdout:
        if found := re.search(r"Serving on (\S+)", line):
            address = found[1]
        if address and re.match(r"  (\.|export|goldenthread) ", line):
            tried.append(line)
        if line.strip().count(".") == 2 and line.strip().startswith("ey"):
            break
    asked = subprocess.run(["/bin/bash", "-ec", "".join(tried)], capture_output=True, text=True, check=False)

    process.send_signal(number)
    process.communicate(timeout=60)

    assert [line.split()[0] for line in tried] == [".", "export", "goldenthread", "goldenthread", "goldenthread"]
    assert asked.returncode == 0, asked.stderr
    assert "somebody new" not in asked.stdout
    assert process.returncode == 0
    with pytest.raises(ConnectionRefusedError), socket.create_connection((address.split(":")[0], int(address.split(":")[1]))):
        pass


def test_a_demo_whose_server_can_not_start_says_why(tmp_path: Path) -> None:
    ran = subprocess.run(
        [*DEMO, "--exit", "--data", str(tmp_path / "d"), "--listen", "0.0.0.0:0"], capture_output=True, text=True, check=False
    )

    assert ran.returncode == 1
    assert "without TLS" in ran.stderr


@pytest.mark.slow
def test_the_whole_demo_ends_within_a_minute(tmp_path: Path) -> None:
    ran = subprocess.run([*DEMO, "--exit", "--json"], capture_output=True, text=True, check=True, timeout=60)

    assert json.loads(ran.stdout)["f1"] > 0.9
