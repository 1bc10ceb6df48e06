"""Open the store that a URL names: its scheme says which kind, as an entry point of the group `goldenthread.stores`."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Protocol
from urllib.parse import urlsplit

from goldenthread.graph.store import Store
from goldenthread.server.config import ConfigError

__all__ = ["OpenStore", "open_store"]


class OpenStore(Protocol):
    """What an entry point names."""

    async def __call__(self, url: str, *, reads_only: bool = False) -> Store:
        """Open the store; one that only reads may be open beside the one that writes."""
        ...


async def open_store(url: str, *, reads_only: bool = False) -> Store:
    """Open the store at a URL.

    Raises:
        ConfigError: no store of its kind is installed.
        GraphError: it can't be opened.
    """
    scheme = urlsplit(url).scheme
    known = {point.name: point for point in entry_points(group="goldenthread.stores")}
    name = scheme.partition("+")[0]
    if name not in known:
        raise ConfigError("store", f"names the unknown kind {scheme}", f"use one of {', '.join(sorted(known))}")
    opening: OpenStore = known[name].load()
    return await opening(url, reads_only=reads_only)
