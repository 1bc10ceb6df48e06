"""Run the command line as a person would, inside the test's process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from goldenthread.cli.main import main

__all__ = ["Facts", "Ran", "Run", "facts", "run_main"]

Facts = dict[str, object]


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> Facts:
        """Its answer, when that is one JSON object."""
        return facts(json.loads(self.out))

    @property
    def items(self) -> list[Facts]:
        """Its answer, when that is a list of JSON objects."""
        read = json.loads(self.out)
        assert isinstance(read, list)
        return [facts(item) for item in read]


class Run(Protocol):
    """Run a command with its arguments."""

    def __call__(self, *arguments: str | Path) -> Ran: ...


def facts(value: object) -> Facts:
    """Take what must be a JSON object."""
    assert isinstance(value, dict)
    return value


def run_main(capsys: pytest.CaptureFixture[str], arguments: tuple[str | Path, ...]) -> Ran:
    """Run the command line to its end."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    code = ended.value.code
    return Ran(code if isinstance(code, int) else 0 if code is None else 1, captured.out, captured.err)
