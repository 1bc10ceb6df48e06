"""The server as a process: a signal ends it cleanly, a second start finds what was kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from goldenthread.client import Client, Record

SERVE = """
import sys
from goldenthread.server.config import load_config
from goldenthread.server.main import serve
serve(load_config({"listen": "127.0.0.1:0", "data": sys.argv[1]}), lambda started: print(started.address, flush=True))
"""


def start(data: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(data)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def end(process: subprocess.Popen[str], number: int) -> tuple[int, str]:
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    process, address = start(tmp_path / "data")
    assert address

    code, errors = end(process, number)

    assert (code, "Traceback" in errors, '"level": "warning"' in errors) == (0, False, False)


def test_what_was_acknowledged_is_there_after_a_restart(tmp_path: Path) -> None:
    data = tmp_path / "data"
    process, address = start(data)
    with Client(address, token=(data / "token").read_text().strip()) as client:
        name = client.upsert_record(Record("crm", "42", {"email": "ann@example.org"})).record
    end(process, signal.SIGTERM)

    process, address = start(data)
    with Client(address, token=(data / "token").read_text().strip()) as client:
        found = client.get_record(name).record.source_record_id
    end(process, signal.SIGTERM)

    assert found == "42"


def test_logs_of_a_running_server_hold_no_values(tmp_path: Path) -> None:
    data = tmp_path / "data"
    process, address = start(data)
    with Client(address, token=(data / "token").read_text().strip()) as client:
        client.upsert_record(Record("crm", "secret-id-4711", {"email": "ann-canary@example.org"}))

    _, errors = end(process, signal.SIGTERM)

    assert '"event": "listening"' in errors
    assert "canary" not in errors
    assert "secret-id" not in errors
