"""The embedded store: one SQLite file in a folder, owned by one process."""

from __future__ import annotations

from goldenthread.graph.stores.sqlite.store import SqliteStore, open_store

__all__ = ["SqliteStore", "open_store"]
