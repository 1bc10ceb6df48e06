"""One Neo4j for all processes of a test run."""

from __future__ import annotations

import fcntl
from pathlib import Path

from goldenthread.graph.stores.neo4j.local import LocalNeo4j

__all__ = ["SharedNeo4j"]


class SharedNeo4j:
    """A Neo4j that the first process to need it starts, and that the same ends when no other is left."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._home, self._uri = folder / "home", folder / "uri"
        self._starting = (folder / "starting").open("w")
        self._using = (folder / "using").open("w")
        self._own: LocalNeo4j | None = None

    def join(self) -> str:
        """Say where it answers, starting it if nobody has; it stays until `leave`, or until this process ends.

        Raises:
            LocalNeo4jError: it can't be started.
        """
        fcntl.flock(self._using, fcntl.LOCK_SH)
        fcntl.flock(self._starting, fcntl.LOCK_EX)
        try:
            if not self._uri.exists():
                self._own = LocalNeo4j.start(self._home, heap="512m", page_cache="256m")
                self._uri.write_text(self._own.uri)
            return self._uri.read_text()
        finally:
            fcntl.flock(self._starting, fcntl.LOCK_UN)

    def leave(self) -> None:
        """Need it no more; who started it waits for the others and ends it."""
        if self._own is not None:
            fcntl.flock(self._using, fcntl.LOCK_EX)
            self._uri.unlink()
            self._own.kill()
        self._using.close()
        self._starting.close()
