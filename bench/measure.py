"""Run a program and measure it from outside: wall time, and the memory of the whole tree of processes."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Failed", "Run", "run_program"]

_PAUSE = 0.02
"""Seconds between two looks at the memory."""


class Failed(Exception):
    """A program that was measured ended in error or took too long; says how."""


@dataclass(frozen=True)
class Run:
    """What one run took: wall seconds from start to end, and peak resident memory of all its processes together."""

    seconds: float
    peak_mib: float
    output: str


def run_program(command: Sequence[str | Path], *, timeout: float, environ: Mapping[str, str] | None = None) -> Run:
    """Run a program to its end and measure it.

    Pages that processes share count for each. Raises Failed.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        program = subprocess.Popen(
            [str(part) for part in command], stdout=out, stderr=err, env={**os.environ, **(environ or {})}
        )
        peak = 0
        try:
            while program.poll() is None:
                peak = max(peak, sum(_resident(pid) for pid in _tree(program.pid)), _high_water(program.pid))
                if time.perf_counter() - began > timeout:
                    raise Failed(f"not done after {timeout:,.0f} s")
                time.sleep(_PAUSE)
            seconds = time.perf_counter() - began
        finally:
            if program.poll() is None:
                program.kill()
                program.wait()
        out.seek(0)
        err.seek(0)
        if program.returncode:
            told = err.read().decode(errors="replace").strip().splitlines() or [f"exit code {program.returncode}"]
            raise Failed(told[-1][:200])
        return Run(seconds, peak / 2**20, out.read().decode(errors="replace"))


def _tree(pid: int) -> list[int]:
    """List a process and all that descend from it; those that end meanwhile are passed over."""
    found, rest = [], [pid]
    while rest:
        one = rest.pop()
        found.append(one)
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                rest += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found


def _resident(pid: int) -> int:
    """Read how many bytes a process holds in memory; 0 when it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _high_water(pid: int) -> int:
    """Read the most that one process ever held, which looks in between might have missed."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)
