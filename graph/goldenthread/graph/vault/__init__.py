"""Envelope encryption: seal before a store sees it, keep the keys apart, destroy a key to shred what it sealed."""

from goldenthread.graph.vault.blinding import Blinder
from goldenthread.graph.vault.key_store import (
    KEY_ID_BYTES,
    WRAPPED_BYTES,
    KeyPurpose,
    KeyStore,
    StoredTenant,
    TenantKey,
)
from goldenthread.graph.vault.root_key import FileRootKey, RootKey
from goldenthread.graph.vault.sealing import SEAL_OVERHEAD, Prepared, SealRequest, TenantVault, Vault, open_vault
from goldenthread.graph.vault.sqlite_key_store import SqliteKeyStore

__all__ = [
    "KEY_ID_BYTES",
    "SEAL_OVERHEAD",
    "WRAPPED_BYTES",
    "Blinder",
    "FileRootKey",
    "KeyPurpose",
    "KeyStore",
    "Prepared",
    "RootKey",
    "SealRequest",
    "SqliteKeyStore",
    "StoredTenant",
    "TenantKey",
    "TenantVault",
    "Vault",
    "open_vault",
]
