"""What every key store must do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from goldenthread.graph.vault import KEY_ID_BYTES, WRAPPED_BYTES, KeyPurpose, KeyStore, TenantKey


def some_keys(count: int) -> dict[bytes, bytes]:
    return {os.urandom(KEY_ID_BYTES): os.urandom(WRAPPED_BYTES) for _ in range(count)}


def a_tenant_key(purpose: KeyPurpose = KeyPurpose.SEAL, epoch: int = 1) -> TenantKey:
    return TenantKey(purpose, epoch, os.urandom(60), "root")


async def test_a_new_store_has_nothing(key_store: KeyStore) -> None:
    assert not await key_store.has_tenants()
    assert list(await key_store.tenants()) == []
    assert await key_store.tenant("acme") is None
    assert await key_store.get(1, list(some_keys(3))) == {}
    assert await key_store.count(1) == 0


async def test_a_tenant_keeps_its_number_and_keys(key_store: KeyStore, open_key_store: Callable[[], KeyStore]) -> None:
    keys = [a_tenant_key(KeyPurpose.SEAL), a_tenant_key(KeyPurpose.INDEX), a_tenant_key(KeyPurpose.SUPPRESSION)]
    added = await key_store.add_tenant_keys("acme", keys)
    other = await key_store.add_tenant_keys("bolt", [a_tenant_key()])
    await key_store.close()

    again = open_key_store()

    assert await again.tenant("acme") == added
    assert set(added.keys) == set(keys)
    assert other.number != added.number
    assert list(await again.tenants()) == ["acme", "bolt"]
    assert await again.has_tenants()
    await again.close()


async def test_the_first_tenant_key_of_an_epoch_stays(key_store: KeyStore) -> None:
    first, second, next_epoch = a_tenant_key(), a_tenant_key(), a_tenant_key(epoch=2)
    await key_store.add_tenant_keys("acme", [first])

    stored = await key_store.add_tenant_keys("acme", [second, next_epoch])

    assert set(stored.keys) == {first, next_epoch}


async def test_keys_are_there_after_reopening(key_store: KeyStore, open_key_store: Callable[[], KeyStore]) -> None:
    keys = some_keys(1000)
    assert await key_store.put(1, keys) == {}
    await key_store.close()

    again = open_key_store()

    assert await again.get(1, list(keys)) == keys
    assert await again.count(1) == 1000
    await again.close()


async def test_unknown_and_repeated_ids_are_no_trouble(key_store: KeyStore) -> None:
    keys = some_keys(2)
    await key_store.put(1, keys)

    assert await key_store.get(1, [*keys, *keys, *some_keys(2)]) == keys
    assert await key_store.get(1, []) == {}
    assert await key_store.put(1, {}) == {}
    assert await key_store.destroy(1, []) == 0


async def test_an_id_keeps_its_first_key(key_store: KeyStore) -> None:
    first = some_keys(3)
    await key_store.put(1, first)
    new = some_keys(2)

    kept = await key_store.put(1, {key_id: os.urandom(WRAPPED_BYTES) for key_id in first} | new)

    assert kept == first
    assert await key_store.get(1, [*first, *new]) == first | new


async def test_putting_the_same_again_changes_nothing(key_store: KeyStore) -> None:
    keys = some_keys(3)
    await key_store.put(1, keys)

    assert await key_store.put(1, keys) == {}
    assert await key_store.count(1) == 3


async def test_all_that_put_one_id_at_once_see_one_key(key_store: KeyStore) -> None:
    ids = list(some_keys(50))
    attempts = [{key_id: os.urandom(WRAPPED_BYTES) for key_id in ids} for _ in range(12)]

    kept = await asyncio.gather(*(key_store.put(1, attempt) for attempt in attempts))

    seen = [attempt | other for attempt, other in zip(attempts, kept, strict=True)]
    assert all(view == seen[0] for view in seen)
    assert await key_store.get(1, ids) == seen[0]


async def test_tenants_do_not_see_each_other(key_store: KeyStore) -> None:
    mine = some_keys(2)
    theirs = {key_id: os.urandom(WRAPPED_BYTES) for key_id in mine}
    await key_store.put(1, mine)

    assert await key_store.put(2, theirs) == {}
    assert await key_store.destroy(2, list(mine)) == 2

    assert await key_store.get(1, list(mine)) == mine
    assert await key_store.get(2, list(mine)) == {}


async def test_destroyed_keys_are_gone_and_the_rest_stay(key_store: KeyStore, open_key_store: Callable[[], KeyStore]) -> None:
    keys = some_keys(500)
    ids = list(keys)
    await key_store.put(1, keys)

    assert await key_store.destroy(1, [*ids[:100], *some_keys(5)]) == 100
    assert await key_store.destroy(1, ids[:100]) == 0

    assert await key_store.get(1, ids) == {key_id: keys[key_id] for key_id in ids[100:]}
    await key_store.close()
    again = open_key_store()
    assert await again.get(1, ids) == {key_id: keys[key_id] for key_id in ids[100:]}
    await again.close()


async def test_a_destroyed_id_can_have_a_new_key(key_store: KeyStore) -> None:
    keys = some_keys(1)
    await key_store.put(1, keys)
    await key_store.destroy(1, list(keys))
    new = {key_id: os.urandom(WRAPPED_BYTES) for key_id in keys}

    assert await key_store.put(1, new) == {}
    assert await key_store.get(1, list(keys)) == new


async def test_reads_and_destructions_side_by_side_end_well(key_store: KeyStore) -> None:
    keys = some_keys(2000)
    ids = list(keys)
    await key_store.put(1, keys)

    async def read() -> None:
        for _ in range(20):
            found = await key_store.get(1, ids)
            assert all(keys[key_id] == key for key_id, key in found.items())

    async def destroy() -> int:
        return sum([await key_store.destroy(1, ids[at : at + 100]) for at in range(0, 1000, 100)])

    _, _, destroyed = await asyncio.gather(read(), read(), destroy())

    assert destroyed == 1000
    assert await key_store.count(1) == 1000
