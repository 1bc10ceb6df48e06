"""The programs that Golden Thread is measured against, each in a virtual environment of its own, far from ours."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["GOLDENMATCH", "GOLDENMATCH_PROBABILISTIC", "PEERS", "SPLINK", "Peer", "default_cache"]

_HERE = Path(__file__).parent


def default_cache() -> Path:
    """Answer where environments and results are kept, when nobody says."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "goldenthread-bench"


@dataclass(frozen=True)
class Peer:
    """A program to be measured: its requirements, the script that runs it, and the script's further arguments."""

    name: str
    environment: str
    arguments: tuple[str, ...] = ()

    def command(self, cache: Path, question: Path, answer: Path, further: Sequence[str] = ()) -> list[str]:
        """Say how to run it on a file without truth; installs it the first time."""
        script = _HERE / f"run_{self.environment}.py"
        return [str(_python(self.environment, cache)), str(script), str(question), str(answer), *self.arguments, *further]


SPLINK = Peer("splink", "splink")
GOLDENMATCH = Peer("goldenmatch", "goldenmatch")
GOLDENMATCH_PROBABILISTIC = Peer("goldenmatch, probabilistic", "goldenmatch", ("--probabilistic",))
PEERS = (SPLINK, GOLDENMATCH, GOLDENMATCH_PROBABILISTIC)


def _python(environment: str, cache: Path) -> Path:
    """Give the interpreter of an environment, made anew whenever its requirements change."""
    requirements = _HERE / f"requirements-{environment}.txt"
    folder = cache / f"{environment}-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    ready = folder / ".ready"
    if not ready.exists():
        print(f"Installing {environment} into {folder} …", file=sys.stderr)
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", requirements], check=True)
        ready.touch()
    return python
