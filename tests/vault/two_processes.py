"""A key store that two processes share: every other call is made by the other one."""

from __future__ import annotations

import asyncio
import itertools
import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from goldenthread.graph.vault import SqliteKeyStore, StoredTenant, TenantKey

__all__ = ["TwoProcesses"]

OTHER = """
import asyncio, pickle, sys
from goldenthread.graph.vault import SqliteKeyStore

async def main():
    store = SqliteKeyStore(sys.argv[1])
    while True:
        try:
            name, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            break
        pickle.dump(await getattr(store, name)(*arguments), sys.stdout.buffer)
        sys.stdout.buffer.flush()
    await store.close()

asyncio.run(main())
"""


class TwoProcesses:
    """A KeyStore on one file that this process and another have open."""

    def __init__(self, path: Path) -> None:
        self._own = SqliteKeyStore(path)
        self._other = subprocess.Popen([sys.executable, "-c", OTHER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._calls = itertools.count()
        self._turn = asyncio.Lock()

    async def has_tenants(self) -> bool:
        return cast(bool, await self._call("has_tenants"))

    async def tenants(self) -> Sequence[str]:
        return cast("Sequence[str]", await self._call("tenants"))

    async def tenant(self, name: str) -> StoredTenant | None:
        return cast("StoredTenant | None", await self._call("tenant", name))

    async def add_tenant_keys(self, name: str, keys: Sequence[TenantKey]) -> StoredTenant:
        return cast(StoredTenant, await self._call("add_tenant_keys", name, keys))

    async def put(self, tenant: int, keys: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        return cast("dict[bytes, bytes]", await self._call("put", tenant, keys))

    async def get(self, tenant: int, key_ids: Sequence[bytes]) -> dict[bytes, bytes]:
        return cast("dict[bytes, bytes]", await self._call("get", tenant, key_ids))

    async def destroy(self, tenant: int, key_ids: Sequence[bytes]) -> int:
        return cast(int, await self._call("destroy", tenant, key_ids))

    async def count(self, tenant: int) -> int:
        return cast(int, await self._call("count", tenant))

    async def close(self) -> None:
        await self._own.close()
        await asyncio.to_thread(self._other.communicate)

    async def _call(self, name: str, *arguments: object) -> object:
        if next(self._calls) % 2 == 0:
            return await getattr(self._own, name)(*arguments)
        async with self._turn:
            return await asyncio.to_thread(self._ask, pickle.dumps((name, arguments)))

    def _ask(self, question: bytes) -> object:
        assert self._other.stdin is not None
        assert self._other.stdout is not None
        self._other.stdin.write(question)
        self._other.stdin.flush()
        return pickle.load(self._other.stdout)
