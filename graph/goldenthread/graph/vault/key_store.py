"""Say what a key store keeps: wrapped keys, outside the graph, so that destroying one shreds what it sealed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Protocol

from msgspec import Struct

__all__ = ["KEY_ID_BYTES", "WRAPPED_BYTES", "KeyPurpose", "KeyStore", "StoredTenant", "TenantKey"]

KEY_ID_BYTES = 16
"""Length of a data key's id: the id of the node it seals."""

WRAPPED_BYTES = 50
"""Length of a wrapped data key: its epoch (2 bytes), the encrypted key (32) and the tag (16)."""


class KeyPurpose(IntEnum):
    """What a tenant key is for; keys of different purposes are independent."""

    SEAL = 1
    INDEX = 2
    SUPPRESSION = 3


class TenantKey(Struct, frozen=True):
    """A tenant's key of one purpose and epoch (from 1), wrapped by the root key named `root`."""

    purpose: KeyPurpose
    epoch: int
    wrapped: bytes
    root: str


class StoredTenant(Struct, frozen=True):
    """A tenant with the number its data keys are kept under, and its keys by purpose and epoch."""

    number: int
    keys: Sequence[TenantKey]


class KeyStore(Protocol):
    """Keep wrapped keys. What a writing verb did survives a crash of the machine once it has returned.

    Data keys are `WRAPPED_BYTES` long, opaque, and named by `KEY_ID_BYTES` bytes within a tenant's number.
    Every verb raises StoreUnavailable when the store does not answer; the writing ones also StoreFull (nothing was kept).
    """

    async def has_tenants(self) -> bool:
        """Say whether any tenant was ever added."""
        ...

    async def tenants(self) -> Sequence[str]:
        """List the names of tenants, sorted."""
        ...

    async def tenant(self, name: str) -> StoredTenant | None:
        """Get a tenant, or None when it was never added."""
        ...

    async def add_tenant_keys(self, name: str, keys: Sequence[TenantKey]) -> StoredTenant:
        """Add keys, and the tenant if there is none; a (purpose, epoch) that is there keeps its key. Return what is stored."""
        ...

    async def put(self, tenant: int, keys: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Add data keys, all or none; an id that has a key keeps it. Return the stored keys of ids that had another."""
        ...

    async def get(self, tenant: int, key_ids: Sequence[bytes]) -> dict[bytes, bytes]:
        """Get data keys; ids without one are left out."""
        ...

    async def destroy(self, tenant: int, key_ids: Sequence[bytes]) -> int:
        """Destroy data keys and return how many there were.

        When it returns, the bytes of these keys are in no file of the store. When it raises, calling it again finishes it.
        """
        ...

    async def count(self, tenant: int) -> int:
        """Count a tenant's data keys."""
        ...

    async def close(self) -> None:
        """Close the store; running calls end first."""
        ...
