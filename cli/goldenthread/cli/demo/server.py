"""Run a server of one's own as a child process, from its start to its graceful end."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from goldenthread.cli.errors import CommandError

__all__ = ["OwnServer", "start_server"]

STOP_SECONDS = 20


@dataclass(frozen=True, slots=True)
class OwnServer:
    """A server that this process started."""

    process: subprocess.Popen[str]
    address: str
    token: str

    def wait(self) -> int:
        """Wait until it ends; return its exit code."""
        return self.process.wait()

    def stop(self) -> None:
        """Ask it to end, and wait until it has; what it acknowledged is durable."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_server(data: Path, listen: str, store: str = "") -> OwnServer:
    """Start `goldenthread serve` and wait until it says that it serves. Its log goes to `server.log` in the data folder.

    Raises CommandError when it ends before.
    """
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = data / "server.log"
    command = [sys.executable, "-m", "goldenthread.cli.main", "serve", "--json", "--listen", listen, "--data", str(data)]
    if store:
        command += ["--store", store]
    with log.open("ab") as errors:
        # A session of its own: Ctrl-C reaches this process alone, which then ends the server in order.
        process = subprocess.Popen(  # noqa: S603 - our own command, its arguments as they are
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        )
    line = ""
    if process.stdout is not None:
        # It says one line there in its life; whatever comes later goes to the log.
        with process.stdout as said_once:
            line = said_once.readline()
    try:
        facts = json.loads(line)
    except ValueError:
        process.wait()
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        said = last[0].removeprefix("error: ") if last else "it said nothing."
        raise CommandError(f"The server did not start: {said}") from None
    token_file = facts["token_file"]
    token = Path(token_file).read_text(encoding="utf-8").strip() if token_file else ""
    return OwnServer(process, facts["address"], token)
