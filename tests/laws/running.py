"""An engine in this process, on a store, with nothing between it and the test."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TypeVar

import msgspec
from laws.oracle import Key

from goldenthread.graph.model import NodeKind, RecordContent
from goldenthread.graph.store import Reader, Store
from goldenthread.graph.vault import Vault, open_vault
from goldenthread.resolver.scoring import MatchModel
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.prepare_record import prepare, record_alias
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.commands.upsert_records import Upserted, commit_upserts
from goldenthread.server.config import load_config

__all__ = ["Running"]

T = TypeVar("T")

_MOST = 10_000


class Running:
    """An engine on a store and a vault, in an event loop of its own."""

    def __init__(self, store_url: str, folder: Path, *, generic_limit: int) -> None:
        self._runner = asyncio.Runner()
        model = folder / "model.json"
        model.write_bytes(msgspec.structs.replace(MatchModel.shipped(), generic_limit=generic_limit).to_json())
        self._settings = {"data": str(folder), "store": store_url, "match_model": str(model)}
        self.store: Store
        self.vault: Vault
        self.engine: Engine
        self.run(self._open(folder))

    async def _open(self, folder: Path) -> None:
        config = load_config(self._settings)
        url = config.store_url
        (point,) = entry_points(group="goldenthread.stores", name=url.partition(":")[0])
        opener: Callable[[str], Coroutine[object, object, Store]] = point.load()
        self.store, self.vault = await opener(url), await open_vault(folder / "keys")
        self.engine = await Engine.open(self.store, self.vault, config)

    def run(self, work: Coroutine[object, object, T]) -> T:
        """Run something to its end."""
        return self._runner.run(work)

    def close(self) -> None:
        """Close all of it."""

        async def close() -> None:
            await self.engine.close()
            await self.store.close()
            await self.vault.close()

        self.run(close())
        self._runner.close()

    def new_tenant(self) -> Tenant:
        """Make a tenant that nobody else has."""
        return self.run(self.engine.tenant(f"law-{secrets.token_hex(8)}"))

    def upsert(self, tenant: Tenant, contents: Sequence[RecordContent]) -> list[Upserted]:
        """Put records in one transaction."""
        batch = [prepare(tenant, content, True, "", b"") for content in contents]
        outcomes = self.run(self.engine.write(tenant, lambda transaction, at: commit_upserts(transaction, tenant, batch, at)))
        return [outcome for outcome in outcomes if isinstance(outcome, Upserted)]

    def read(self, tenant: Tenant, work: Callable[[Reader], Coroutine[object, object, T]], revision: int | None = None) -> T:
        """Read with a reader at a revision."""

        async def read() -> T:
            async with self.engine.reader(tenant, revision=revision) as reader:
                return await work(reader)

        return self.run(read())

    def partition(self, tenant: Tenant, keys: Sequence[Key], revision: int | None = None) -> dict[bytes, frozenset[Key]]:
        """Read the identities and the keys of their records."""
        key_of = {record_alias(tenant, *key): key for key in keys}

        async def read(reader: Reader) -> dict[bytes, frozenset[Key]]:
            ids = await reader.page(NodeKind.IDENTITY, b"", _MOST, {})
            identities = await reader.identities(ids)
            states = await reader.records([record for identity in identities.values() for record in identity.records])
            return {
                id: frozenset(key_of[states[record].record.alias or b""] for record in identity.records)
                for id, identity in identities.items()
                if identity.records
            }

        return self.read(tenant, read, revision)
