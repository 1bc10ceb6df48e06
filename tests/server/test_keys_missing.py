"""A tenant whose keys are gone is never given new ones: what it holds would be out of reach for good."""

from __future__ import annotations

from pathlib import Path

import pytest

from goldenthread.graph.errors import KeysMissing
from goldenthread.graph.store import Capability
from goldenthread.graph.stores.sqlite import SqliteStore
from goldenthread.graph.vault import open_vault
from goldenthread.server.commands import Engine
from goldenthread.server.config import Config
from goldenthread.server.errors import FailedPrecondition


class SharedStore(SqliteStore):
    """A store that others with keys of their own may write too."""

    capabilities = SqliteStore.capabilities | {Capability.MANY_WRITERS}


async def open_engine(store: type[SqliteStore], folder: Path, keys: str) -> Engine:
    return await Engine.open(store(folder / "graph"), await open_vault(folder / keys), Config(data=folder))


async def close(engine: Engine) -> None:
    await engine.close()
    await engine.store.close()
    await engine.vault.close()


async def test_a_store_of_ones_own_is_not_opened_with_other_keys(tmp_path: Path) -> None:
    engine = await open_engine(SqliteStore, tmp_path, "keys")
    await engine.tenant("acme")
    await close(engine)
    store, vault = SqliteStore(tmp_path / "graph"), await open_vault(tmp_path / "new")

    with pytest.raises(KeysMissing, match="acme"):
        await Engine.open(store, vault, Config(data=tmp_path))

    assert not await vault.has_keys("acme")
    await store.close()
    await vault.close()


async def test_in_a_shared_store_a_tenant_of_other_keys_is_refused_and_a_new_one_is_not(tmp_path: Path) -> None:
    engine = await open_engine(SqliteStore, tmp_path, "keys")
    await engine.tenant("acme")
    await close(engine)
    other = await open_engine(SharedStore, tmp_path, "others")

    with pytest.raises(FailedPrecondition, match="keys are missing"):
        await other.tenant("acme")

    assert not await other.vault.has_keys("acme")
    assert (await other.tenant("emca")).name == "emca"
    await close(other)
