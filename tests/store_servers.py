"""Servers without what listens, several on one store: for what they do together."""

from __future__ import annotations

import secrets
from pathlib import Path

from goldenthread.graph.model import NodeKind
from goldenthread.graph.store import Store
from goldenthread.graph.vault import Vault
from goldenthread.server.commands import Engine
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.config import load_config

__all__ = ["StoreServers"]


class StoreServers:
    """One store and vault, with as many servers as a test wants."""

    def __init__(self, store: Store, vault: Vault, folder: Path) -> None:
        self.store, self.vault, self.folder = store, vault, folder
        self.tenant_name = "jobs-" + secrets.token_hex(6)

    async def engine(self, **settings: object) -> tuple[Engine, Tenant]:
        """Start one more server, without what listens, and open the tenant on it."""
        chosen = {"data": str(self.folder), "job_look_seconds": 60, "job_lease_seconds": 60, **settings}
        engine = await Engine.open(self.store, self.vault, load_config(chosen))
        return engine, await engine.tenant(self.tenant_name)

    async def blocks(self) -> int:
        """Count the blocks of the tenant."""
        async with self.store.reader(self.tenant_name) as reader:
            return len(await reader.page(NodeKind.BLOCK, b"", 1000, {}))
