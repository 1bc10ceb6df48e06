"""Seal what is personal before a store sees it, and find it again by keyed digests.

Root key -> a tenant's keys (one a sealing epoch, one for blind keys, one for suppression; independent and random) -> one random
data key a sealed node, kept wrapped in the key store. A sealed node opens only with its data key and only where it was put:
tenant, kind and key id are authenticated with it.

Sealed bytes: version (1) | nonce (12) | ciphertext | tag (16), AES-256-GCM.
Wrapped data key: epoch (2, big endian) | AES-256-GCM-SIV of the key (RFC 8452) with the key id as nonce and in the associated
data. GCM-SIV because a tenant key wraps without limit and an id's key can be destroyed and made again: a nonce that comes back
costs it nothing, where GCM would break.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV
from msgspec import Struct

from goldenthread.graph.errors import StoreUnavailable, Tampered, VaultError, WrongKey
from goldenthread.graph.model import NodeKind
from goldenthread.graph.vault.blinding import Blinder
from goldenthread.graph.vault.key_store import KEY_ID_BYTES, WRAPPED_BYTES, KeyPurpose, KeyStore, StoredTenant, TenantKey
from goldenthread.graph.vault.root_key import FileRootKey, RootKey
from goldenthread.graph.vault.sqlite_key_store import SqliteKeyStore

__all__ = ["SEAL_OVERHEAD", "Prepared", "SealRequest", "TenantVault", "Vault", "open_vault"]

_FORMAT = b"\x01"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_HEAD_BYTES = len(_FORMAT) + _NONCE_BYTES
_MAX_EPOCH = 0xFFFF

SEAL_OVERHEAD = _HEAD_BYTES + _TAG_BYTES
"""How many bytes sealed bytes are longer than what they seal."""


class SealRequest(Struct, frozen=True):
    """Something to seal: `kind` is a NodeKind's value, `key_id` the node's id (16 bytes)."""

    key_id: bytes
    kind: int
    plaintext: bytes

    def __repr__(self) -> str:
        return f"SealRequest(key_id={self.key_id.hex()}, kind={self.kind}, {len(self.plaintext)} bytes)"


@dataclass(frozen=True, slots=True, repr=False)
class Prepared:
    """Items sealed under fresh data keys that are not stored yet: use nothing of it before `commit` has returned."""

    items: tuple[SealRequest, ...]
    sealed: tuple[bytes, ...]
    data_keys: dict[bytes, bytes] = field(default_factory=dict)
    """Key id -> data key."""
    wrapped: dict[bytes, bytes] = field(default_factory=dict)
    """Key id -> wrapped data key."""

    def __repr__(self) -> str:
        return f"Prepared({len(self.items)} items)"


class TenantVault(Blinder):
    """Seal, open and blind for one tenant. Only the tenant's keys are kept in memory; data keys are fetched for each call."""

    def __init__(self, name: str, stored: StoredTenant, root: RootKey, store: KeyStore, opened: dict[TenantKey, bytes]) -> None:
        """Use `Vault.tenant`, which opens the keys."""
        super().__init__(next((material for key, material in opened.items() if key.purpose is KeyPurpose.INDEX), b""))
        self._name = name
        self._number = stored.number
        self._root = root
        self._store = store
        tenant = _prefixed(name.encode())
        self._seal_context = b"goldenthread seal" + _FORMAT + tenant
        self._wrap_context = b"goldenthread data key" + _FORMAT + tenant
        self._kind_contexts: dict[int, bytes] = {}
        self._wrappers: dict[int, AESGCMSIV] = {}
        self._take(opened)

    def __repr__(self) -> str:
        return f"TenantVault(number={self._number}, epoch={self.epoch})"

    @property
    def epoch(self) -> int:
        """The epoch whose key wraps new data keys."""
        return max(self._wrappers)

    async def seal(self, items: Sequence[SealRequest]) -> list[bytes]:
        """Seal each item under the data key of its id, which is made and durable first if there is none yet.

        Raises:
            StoreFull, StoreUnavailable: the keys were not kept; use nothing of it.
        """
        return (await self.commit([self.prepare(items)]))[0]

    def prepare(self, items: Sequence[SealRequest]) -> Prepared:
        """Seal under fresh data keys without touching the key store; hand the result to `commit`."""
        items = tuple(items)
        epoch = self.epoch
        wrapper = self._wrappers[epoch]
        mark = epoch.to_bytes(2, "big")
        wrap_context = self._wrap_context + mark
        random = os.urandom(len(items) * (_KEY_BYTES + _NONCE_BYTES))
        data_keys: dict[bytes, bytes] = {}
        wrapped: dict[bytes, bytes] = {}
        sealed: list[bytes] = []
        at = 0
        for item in items:
            key_id = item.key_id
            key = data_keys.get(key_id)
            if key is None:
                if len(key_id) != KEY_ID_BYTES:
                    raise ValueError(f"A key id has {KEY_ID_BYTES} bytes.")
                key = data_keys[key_id] = random[at : at + _KEY_BYTES]
                wrapped[key_id] = mark + wrapper.encrypt(key_id[:_NONCE_BYTES], key, wrap_context + key_id)
            at += _KEY_BYTES
            nonce = random[at : at + _NONCE_BYTES]
            at += _NONCE_BYTES
            body = AESGCM(key).encrypt(nonce, item.plaintext, self._context(item.kind) + key_id)
            sealed.append(_FORMAT + nonce + body)
        return Prepared(items, tuple(sealed), data_keys, wrapped)

    async def commit(self, prepared: Sequence[Prepared]) -> list[list[bytes]]:
        """Store the data keys of all in one transaction, then give the sealed bytes of each, in order.

        An id that has a data key already keeps it, and its items are sealed again under that one; so calling it twice, or from
        two places at once, is safe.

        Raises:
            StoreFull, StoreUnavailable: the keys were not kept; use nothing of it.
        """
        keys: dict[bytes, bytes] = {}
        fresh: dict[bytes, bytes] = {}
        for one in prepared:
            for key_id, wrapped in one.wrapped.items():
                if key_id not in keys:
                    keys[key_id] = wrapped
                    fresh[key_id] = one.data_keys[key_id]
        earlier = await self._store.put(self._number, keys)
        await self._load_epochs(earlier)
        for key_id, wrapped in earlier.items():
            fresh[key_id] = self._unwrap(key_id, wrapped)
        return [self._under(one, fresh) for one in prepared]

    async def open(self, items: Sequence[tuple[bytes, int, bytes]]) -> list[bytes | None]:
        """Open (key id, kind, sealed bytes), in order; None when the data key is gone, for what it sealed is gone with it.

        Raises:
            Tampered: sealed bytes were changed, or are not where they were put.
            StoreUnavailable: the key store does not answer.
        """
        keys = await self._store.get(self._number, list({key_id for key_id, _, _ in items}))
        await self._load_epochs(keys)
        opened: dict[bytes, AESGCM] = {}
        plain: list[bytes | None] = []
        for key_id, kind, sealed in items:
            cipher = opened.get(key_id)
            if cipher is None:
                wrapped = keys.get(key_id)
                if wrapped is None:
                    plain.append(None)
                    continue
                cipher = opened[key_id] = AESGCM(self._unwrap(key_id, wrapped))
            if len(sealed) < SEAL_OVERHEAD or sealed[:1] != _FORMAT:
                raise Tampered(_kind_name(kind))
            try:
                plain.append(cipher.decrypt(sealed[1:_HEAD_BYTES], sealed[_HEAD_BYTES:], self._context(kind) + key_id))
            except InvalidTag:
                raise Tampered(_kind_name(kind)) from None
        return plain

    async def destroy(self, key_ids: Sequence[bytes]) -> int:
        """Destroy data keys: what they sealed can never be opened again. Return how many there were.

        When it returns, the keys are in no file of the key store; when it raises, call it again.
        """
        return await self._store.destroy(self._number, list(dict.fromkeys(key_ids)))

    async def existing(self, key_ids: Sequence[bytes]) -> set[bytes]:
        """Say which of the ids have a data key."""
        return set(await self._store.get(self._number, list(dict.fromkeys(key_ids))))

    async def rotate(self) -> int:
        """Begin a new sealing epoch and return it: new data keys are wrapped under its key, older ones keep opening.

        Other processes go on with the epoch they know until they open the tenant again.
        """
        stored = await self._stored()
        epoch = 1 + max(key.epoch for key in stored.keys if key.purpose is KeyPurpose.SEAL)
        if epoch > _MAX_EPOCH:
            raise VaultError(f"A tenant has at most {_MAX_EPOCH} sealing epochs; begin one less often.")
        key = await asyncio.to_thread(_new_tenant_key, self._root, self._name, KeyPurpose.SEAL, epoch)
        await self._load(await self._store.add_tenant_keys(self._name, [key]))
        return self.epoch

    def _context(self, kind: int) -> bytes:
        context = self._kind_contexts.get(kind)
        if context is None:
            context = self._kind_contexts[kind] = self._seal_context + kind.to_bytes(2, "big")
        return context

    def _under(self, prepared: Prepared, keys: dict[bytes, bytes]) -> list[bytes]:
        """Take the sealed bytes, sealing those again whose id has another data key than was prepared."""
        sealed = list(prepared.sealed)
        for i, item in enumerate(prepared.items):
            key = keys[item.key_id]
            if key is not prepared.data_keys[item.key_id]:
                nonce = os.urandom(_NONCE_BYTES)
                body = AESGCM(key).encrypt(nonce, item.plaintext, self._context(item.kind) + item.key_id)
                sealed[i] = _FORMAT + nonce + body
        return sealed

    def _unwrap(self, key_id: bytes, wrapped: bytes) -> bytes:
        mark = wrapped[:2]
        wrapper = self._wrappers.get(int.from_bytes(mark, "big"))
        if wrapper is None or len(wrapped) != WRAPPED_BYTES:
            raise Tampered("data key")
        try:
            return wrapper.decrypt(key_id[:_NONCE_BYTES], wrapped[2:], self._wrap_context + mark + key_id)
        except InvalidTag:
            raise Tampered("data key") from None

    async def _load_epochs(self, keys: dict[bytes, bytes]) -> None:
        """Open the keys of epochs that another process has begun since."""
        if all(int.from_bytes(wrapped[:2], "big") in self._wrappers for wrapped in keys.values()):
            return
        await self._load(await self._stored())

    async def _stored(self) -> StoredTenant:
        stored = await self._store.tenant(self._name)
        if stored is None:
            raise StoreUnavailable("key", "it has lost a tenant; restore it from your backup of the keys")
        return stored

    async def _load(self, stored: StoredTenant) -> None:
        missing = [k for k in stored.keys if k.purpose is KeyPurpose.SEAL and k.epoch not in self._wrappers]
        self._take(await asyncio.to_thread(_open_keys, self._root, self._name, missing))

    def _take(self, opened: dict[TenantKey, bytes]) -> None:
        for key, material in opened.items():
            if key.purpose is KeyPurpose.SEAL:
                self._wrappers[key.epoch] = AESGCMSIV(material)


class Vault:
    """Open tenants' vaults with one root key and one key store."""

    def __init__(self, root: RootKey, keys: KeyStore) -> None:
        self._root = root
        self._keys = keys
        self._tenants: dict[str, TenantVault] = {}
        self._lock = asyncio.Lock()

    async def tenant(self, name: str) -> TenantVault:
        """Open a tenant's vault; the first time ever, make its keys, durable before it is used.

        Raises:
            WrongKey: the root key is not the one that the tenant's keys were made with.
            StoreFull, StoreUnavailable: the keys could not be kept.
        """
        known = self._tenants.get(name)
        if known is not None:
            return known
        async with self._lock:
            if name not in self._tenants:
                stored = await self._keys.tenant(name)
                if stored is None or {key.purpose for key in stored.keys} != set(KeyPurpose):
                    stored = await self._keys.add_tenant_keys(name, await asyncio.to_thread(_first_keys, self._root, name))
                opened = await asyncio.to_thread(_open_keys, self._root, name, stored.keys)
                self._tenants[name] = TenantVault(name, stored, self._root, self._keys, opened)
            return self._tenants[name]

    async def has_keys(self, name: str) -> bool:
        """Say whether a tenant has keys here, without making any."""
        return name in self._tenants or await self._keys.tenant(name) is not None

    async def check(self) -> None:
        """Open one tenant that exists, so that a wrong root key is known at start.

        Raises:
            WrongKey: the root key is not the one that the tenant's keys were made with.
        """
        names = await self._keys.tenants()
        if names:
            await self.tenant(names[0])

    async def close(self) -> None:
        """Forget every key and close the key store."""
        self._tenants.clear()
        await self._keys.close()


async def open_vault(folder: str | os.PathLike[str], *, key_file: str | os.PathLike[str] | None = None) -> Vault:
    """Open the vault in a data folder: `keys.db`, and the root key in `key_file` (`root.key` in the folder when None).

    The first time both are made; a key store that has tenants never gets a new root key.

    Raises:
        KeyFileUnsafe: the root key file is missing while there are tenants, damaged, or readable by others.
        WrongKey: the root key is not the one that the key store was made with.
        StoreInUse, StoreTooNew, StoreFull, StoreUnavailable: the key store cannot be opened.
    """
    keys = await asyncio.to_thread(SqliteKeyStore, Path(folder) / "keys.db")
    try:
        may_create = not await keys.has_tenants()
        file = Path(folder) / "root.key" if key_file is None else Path(key_file)
        vault = Vault(await asyncio.to_thread(FileRootKey.open_or_create, file, may_create=may_create), keys)
        await vault.check()
    except BaseException:
        await keys.close()
        raise
    return vault


def _first_keys(root: RootKey, tenant: str) -> list[TenantKey]:
    return [_new_tenant_key(root, tenant, purpose, 1) for purpose in KeyPurpose]


def _new_tenant_key(root: RootKey, tenant: str, purpose: KeyPurpose, epoch: int) -> TenantKey:
    wrapped = root.wrap(os.urandom(_KEY_BYTES), _tenant_key_context(tenant, purpose, epoch))
    return TenantKey(purpose, epoch, wrapped, root.key_id)


def _open_keys(root: RootKey, tenant: str, keys: Sequence[TenantKey]) -> dict[TenantKey, bytes]:
    """Unwrap a tenant's keys, but for the suppression key, which is opened by those who need it."""
    opened: dict[TenantKey, bytes] = {}
    for key in keys:
        if key.purpose is KeyPurpose.SUPPRESSION:
            continue
        material = root.unwrap(key.wrapped, _tenant_key_context(tenant, key.purpose, key.epoch))
        if len(material) != _KEY_BYTES:
            raise WrongKey(root.key_id)
        opened[key] = material
    return opened


def _tenant_key_context(tenant: str, purpose: KeyPurpose, epoch: int) -> bytes:
    return b"goldenthread tenant key" + _FORMAT + _prefixed(tenant.encode()) + bytes([purpose]) + epoch.to_bytes(4, "big")


def _prefixed(value: bytes) -> bytes:
    """Put a value's length before it, so that it cannot run into what follows."""
    return len(value).to_bytes(4, "big") + value


def _kind_name(kind: int) -> str:
    return NodeKind(kind).name.lower().replace("_", " ") if kind in NodeKind.__members__.values() else "node"
