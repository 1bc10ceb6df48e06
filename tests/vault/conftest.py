"""Worlds for the vault: key stores to test, a vault in a folder, and raw bytes of files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from vault.two_processes import TwoProcesses

from goldenthread.graph.vault import KeyStore, SqliteKeyStore, TenantVault, Vault, open_vault

KEY_STORES: dict[str, Callable[[Path], KeyStore]] = {
    "sqlite": lambda folder: SqliteKeyStore(folder / "keys.db"),
    "sqlite-of-two-processes": lambda folder: TwoProcesses(folder / "keys.db"),
}
"""Each key store by name: opens the store in a folder, the same one every time."""


@pytest.fixture(params=sorted(KEY_STORES))
def open_key_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], KeyStore]:
    """Open the key store under test; after closing it, open the same one again."""
    opener = KEY_STORES[request.param]
    return lambda: opener(tmp_path)


@pytest.fixture
async def key_store(open_key_store: Callable[[], KeyStore]) -> AsyncIterator[KeyStore]:
    """An open, empty key store."""
    store = open_key_store()
    yield store
    await store.close()


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[Vault]:
    """An open vault in a folder of its own."""
    opened = await open_vault(tmp_path)
    yield opened
    await opened.close()


@pytest.fixture
async def acme(vault: Vault) -> TenantVault:
    """The vault of a tenant."""
    return await vault.tenant("acme")


@pytest.fixture
def bytes_on_disk(tmp_path: Path) -> Callable[[], bytes]:
    """Read every byte of every file of the test's folder."""
    return lambda: b"\0".join(file.read_bytes() for file in sorted(tmp_path.rglob("*")) if file.is_file())
