"""Wake those who wait for a commit."""

from __future__ import annotations

import asyncio

__all__ = ["Commits"]


class Commits:
    """Tell of commits that this process made, tenant by tenant."""

    def __init__(self) -> None:
        self._coming: dict[str, asyncio.Event] = {}

    def next(self, tenant: str) -> asyncio.Event:
        """Get what is set at the tenant's next commit. Ask for it before reading, so that no commit falls in between."""
        return self._coming.setdefault(tenant, asyncio.Event())

    def tell(self, tenant: str) -> None:
        """Wake everybody who waits for a commit of the tenant."""
        coming = self._coming.pop(tenant, None)
        if coming is not None:
            coming.set()
