"""A command line without settings from outside."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Ran, Run, run_main


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("SERVER", "TOKEN", "TENANT", "DATA", "TLS_CA", "STORE", "TRACEBACK"):
        monkeypatch.delenv(f"GOLDENTHREAD_{name}", raising=False)

    def run(*arguments: str | Path) -> Ran:
        return run_main(capsys, arguments)

    return run
