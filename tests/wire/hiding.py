"""A server in the test's own process, whose administrators see everybody and whose other callers do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from wire.conftest import new_tenant

from goldenthread.graph.model import PiiCategory
from goldenthread.graph.store import Reader
from goldenthread.server.access import Caller, Role, make_token, signing_key
from goldenthread.server.commands import engine
from goldenthread.server.config import Config, load_config
from goldenthread.server.main import Started, run

__all__ = ["HidingServer", "HidingSight", "hiding_server"]


class HidingSight:
    """See everybody as an administrator, and else everybody but some."""

    hidden: Collection[bytes] = ()

    def __init__(self, caller: Caller) -> None:
        self.categories: Collection[PiiCategory] = frozenset(PiiCategory)
        self.sees_everybody = caller.role == "admin"
        self._hidden = frozenset(() if self.sees_everybody else self.hidden)

    async def identities(self, reader: Reader, ids: Sequence[bytes]) -> frozenset[bytes]:
        return frozenset(ids) - self._hidden


@dataclass
class HidingServer:
    """A server that runs, and how to call it."""

    config: Config
    address: str
    tenant: str

    def token(self, role: Role) -> str:
        """Sign a token for a caller of a role."""
        key = signing_key(self.config.token_key_file)
        return make_token(key, subject=role, tenant=self.tenant, role=role, seconds=600)


@asynccontextmanager
async def hiding_server(
    folder: Path, store_url: str, monkeypatch: pytest.MonkeyPatch, **more: object
) -> AsyncIterator[HidingServer]:
    """Run a server on a free port; whom it hides is said by `HidingSight.hidden`."""
    monkeypatch.setattr(engine, "RoleSight", HidingSight)
    tenant, stop = str(more.pop("tenant", "")) or new_tenant(), asyncio.Event()
    settings = {"listen": "127.0.0.1:0", "data": str(folder), "default_tenant": tenant, "start_processes": False, **more}
    config = load_config({**settings, **({"store": store_url} if store_url else {})})
    listening: asyncio.Future[Started] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(run(config, listening.set_result, stop=stop))
    await asyncio.wait((serving, listening), return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        await serving
    try:
        yield HidingServer(config, listening.result().address, tenant)
    finally:
        stop.set()
        await serving
