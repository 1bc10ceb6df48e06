"""Move what the write-ahead log holds into the file beside the writer, whose commits would wait for it otherwise."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, ThreadPoolExecutor

import apsw

__all__ = ["Checkpoints"]

_PAGES = 8_000
_MOST_PAGES = 32_000


class Checkpoints:
    """Look at the log after every commit of one connection; when it is long, move it through another, on a thread.

    From `pages` on it is moved while writing goes on; from `most_pages` on a commit moves the rest itself, or a log that is
    never quiet would grow and grow. What can't be moved, because a reader needs it or the disk is full, stays in the log
    until a later commit.
    """

    def __init__(
        self, writing: apsw.Connection, beside: apsw.Connection, *, pages: int = _PAGES, most_pages: int = _MOST_PAGES
    ) -> None:
        """Watch `writing`; `beside` is another connection to the same file, and is closed at the end."""
        self._beside = beside
        self._pages, self._most_pages = pages, most_pages
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-checkpoint")
        self._moving: Future[None] | None = None
        writing.set_wal_hook(self._committed)

    def _committed(self, writing: apsw.Connection, _: str, pages: int) -> int:
        if pages >= self._most_pages:
            _move(writing)
        elif pages >= self._pages and (self._moving is None or self._moving.done()):
            self._moving = self._thread.submit(_move, self._beside)
        return apsw.SQLITE_OK

    def close(self) -> None:
        """Wait for what is being moved."""
        self._thread.shutdown()
        self._beside.close()


def _move(connection: apsw.Connection) -> None:
    with contextlib.suppress(apsw.Error):
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
