"""Sealing, opening, blinding and shredding."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goldenthread.graph.errors import Tampered, WrongKey
from goldenthread.graph.model import NodeKind
from goldenthread.graph.vault import SEAL_OVERHEAD, FileRootKey, SealRequest, SqliteKeyStore, TenantVault, Vault, open_vault

VERSION = int(NodeKind.RECORD_VERSION)
IDENTIFIER = int(NodeKind.IDENTIFIER)


def requests(*plaintexts: bytes, kind: int = VERSION) -> list[SealRequest]:
    return [SealRequest(os.urandom(16), kind, plaintext) for plaintext in plaintexts]


def as_stored(items: list[SealRequest], sealed: list[bytes]) -> list[tuple[bytes, int, bytes]]:
    return [(item.key_id, item.kind, one) for item, one in zip(items, sealed, strict=True)]


async def test_what_was_sealed_opens_after_a_restart(tmp_path: Path) -> None:
    items = requests(b"", b"Ada Lovelace", os.urandom(100_000))
    vault = await open_vault(tmp_path)
    stored = as_stored(items, await (await vault.tenant("acme")).seal(items))
    await vault.close()

    again = await open_vault(tmp_path)

    assert await (await again.tenant("acme")).open(stored) == [item.plaintext for item in items]
    await again.close()


async def test_sealed_bytes_show_nothing_and_differ_each_time(acme: TenantVault) -> None:
    text = b"Ada Lovelace, 12 St James's Square"
    items = requests(text, text)

    one, other = await acme.seal(items)

    assert text not in one
    assert one != other
    assert len(one) == len(text) + SEAL_OVERHEAD


async def test_a_blind_key_is_the_same_after_a_restart_and_another_for_another_tenant(tmp_path: Path) -> None:
    vault = await open_vault(tmp_path)
    before = (await vault.tenant("acme")).blind("email", "ada@example.org")
    await vault.close()

    again = await open_vault(tmp_path)

    assert (await again.tenant("acme")).blind("email", "ada@example.org") == before
    assert (await again.tenant("bolt")).blind("email", "ada@example.org") != before
    await again.close()


async def test_a_str_is_blinded_as_its_utf_8(acme: TenantVault) -> None:
    assert acme.blind("name", "Zoë") == acme.blind("name", "Zoë".encode())
    assert acme.blind("name", "Zoë") == acme.digest("name", "Zoë".encode())
    assert len(acme.blind("name", "Zoë")) == 16


async def test_digests_of_two_sizes_have_nothing_in_common(acme: TenantVault) -> None:
    assert acme.digest("profile", b"x", 16)[:8] != acme.digest("profile", b"x", 8)
    assert len(acme.digest("profile", b"x", 32)) == 32


pairs = st.tuples(st.text(max_size=6), st.text(max_size=6))


@given(one=pairs, other=pairs)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_two_pairs_of_domain_and_text_share_a_blind_key(
    acme: TenantVault, one: tuple[str, str], other: tuple[str, str]
) -> None:
    assert (acme.blind(*one) == acme.blind(*other)) == (one == other)


@given(text=st.text(min_size=1, max_size=12), cut=st.integers(0, 12), other_cut=st.integers(0, 12))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_moving_the_border_between_domain_and_text_changes_the_blind_key(
    acme: TenantVault, text: str, cut: int, other_cut: int
) -> None:
    one, other = (text[:cut], text[cut:]), (text[:other_cut], text[other_cut:])

    assert (acme.blind(*one) == acme.blind(*other)) == (one == other)


@given(plaintexts=st.lists(st.binary(max_size=200), max_size=20), kind=st.sampled_from(list(NodeKind)))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_prepared_bytes_hide_every_plaintext(acme: TenantVault, plaintexts: list[bytes], kind: NodeKind) -> None:
    items = requests(*plaintexts, kind=int(kind))

    prepared = acme.prepare(items)

    for item, sealed in zip(items, prepared.sealed, strict=True):
        assert len(sealed) == len(item.plaintext) + SEAL_OVERHEAD
        assert len(item.plaintext) < 4 or item.plaintext not in sealed
    assert prepared.wrapped.keys() == {item.key_id for item in items}


async def test_ciphertexts_that_changed_places_are_tampered(acme: TenantVault) -> None:
    items = requests(b"mine", b"yours")
    (mine, kind, sealed_mine), (yours, _, sealed_yours) = as_stored(items, await acme.seal(items))

    for swapped in ([(mine, kind, sealed_yours)], [(yours, kind, sealed_mine)], [(mine, IDENTIFIER, sealed_mine)]):
        with pytest.raises(Tampered):
            await acme.open(swapped)


async def test_every_changed_byte_is_noticed(acme: TenantVault) -> None:
    items = requests(b"Ada")
    ((key_id, kind, sealed),) = as_stored(items, await acme.seal(items))

    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises(Tampered, match="record version"):
            await acme.open([(key_id, kind, bytes(changed))])
    for cut in (b"", sealed[:1], sealed[:-1]):
        with pytest.raises(Tampered):
            await acme.open([(key_id, kind, cut)])


async def test_another_tenants_bytes_do_not_open_even_with_the_key_moved_over(tmp_path: Path) -> None:
    store = SqliteKeyStore(tmp_path / "keys.db")
    vault = Vault(FileRootKey.open_or_create(tmp_path / "root.key"), store)
    acme, bolt = await vault.tenant("acme"), await vault.tenant("bolt")
    items = requests(b"of acme")
    stored = as_stored(items, await acme.seal(items))
    assert await bolt.open(stored) == [None]
    await store.put(2, await store.get(1, [items[0].key_id]))

    with pytest.raises(Tampered, match="data key"):
        await bolt.open(stored)

    await vault.close()


async def test_a_wrapped_key_that_changed_places_is_tampered(tmp_path: Path) -> None:
    store = SqliteKeyStore(tmp_path / "keys.db")
    vault = Vault(FileRootKey.open_or_create(tmp_path / "root.key"), store)
    acme = await vault.tenant("acme")
    one, other = requests(b"one", b"other")
    sealed = (await acme.seal([one]))[0]
    wrapped = acme.prepare([other]).wrapped[other.key_id]
    await acme.destroy([one.key_id])
    await store.put(1, {one.key_id: wrapped})

    with pytest.raises(Tampered, match="data key"):
        await acme.open([(one.key_id, one.kind, sealed)])

    await vault.close()


async def test_a_wrong_root_key_opens_nothing(tmp_path: Path) -> None:
    vault = await open_vault(tmp_path)
    await vault.tenant("acme")
    await vault.close()
    store = SqliteKeyStore(tmp_path / "keys.db")

    wrong = Vault(FileRootKey.open_or_create(tmp_path / "another.key"), store)

    with pytest.raises(WrongKey):
        await wrong.tenant("acme")
    await wrong.close()


async def test_a_destroyed_key_reads_as_absent_and_its_neighbours_open(acme: TenantVault) -> None:
    items = requests(b"stays", b"goes", b"stays too")
    stored = as_stored(items, await acme.seal(items))

    assert await acme.destroy([items[1].key_id, items[1].key_id]) == 1

    assert await acme.open(stored) == [b"stays", None, b"stays too"]
    assert await acme.existing([item.key_id for item in items]) == {items[0].key_id, items[2].key_id}


async def test_a_destroyed_key_is_in_no_byte_of_any_file(acme: TenantVault, bytes_on_disk: Callable[[], bytes]) -> None:
    items = requests(*(b"person %d" % i for i in range(300)))
    prepared = acme.prepare(items)
    await acme.commit([prepared])
    doomed = [item.key_id for item in items[::3]]

    await acme.destroy(doomed)

    content = bytes_on_disk()
    assert not any(prepared.wrapped[key_id][2:] in content for key_id in doomed)
    assert not any(key in content for key in prepared.data_keys.values())
    assert all(prepared.wrapped[item.key_id] in content for i, item in enumerate(items) if i % 3)


async def test_sealing_again_under_an_id_uses_its_key_and_both_open(acme: TenantVault) -> None:
    first = requests(b"ada@example.org", kind=IDENTIFIER)
    again = [SealRequest(first[0].key_id, IDENTIFIER, b"ada@example.org")]

    stored = as_stored(first, await acme.seal(first)) + as_stored(again, await acme.seal(again))

    assert await acme.open(stored) == [b"ada@example.org"] * 2


async def test_one_id_twice_in_a_batch_and_across_batches_has_one_key(acme: TenantVault) -> None:
    item = requests(b"a value")[0]
    twice, once = acme.prepare([item, item]), acme.prepare([item])

    (one, two), (three,) = await acme.commit([twice, once])

    assert await acme.open(as_stored([item] * 3, [one, two, three])) == [b"a value"] * 3
    assert len({one, two, three}) == 3


async def test_all_that_seal_one_id_at_once_can_be_opened(acme: TenantVault) -> None:
    ids = [os.urandom(16) for _ in range(40)]
    batches = [[SealRequest(key_id, IDENTIFIER, b"%d" % n) for key_id in ids] for n in range(10)]

    sealed = await asyncio.gather(*(acme.seal(batch) for batch in batches))

    for n, (batch, result) in enumerate(zip(batches, sealed, strict=True)):
        assert await acme.open(as_stored(batch, result)) == [b"%d" % n] * len(ids)


async def test_committing_twice_gives_bytes_that_open(acme: TenantVault) -> None:
    items = requests(b"a", b"b")
    prepared = acme.prepare(items)

    first = await acme.commit([prepared])
    second = await acme.commit([prepared])

    assert first == second
    assert await acme.open(as_stored(items, second[0])) == [b"a", b"b"]


async def test_sealing_nothing_gives_nothing(acme: TenantVault) -> None:
    assert await acme.seal([]) == []
    assert await acme.open([]) == []
    assert await acme.commit([]) == []


async def test_a_new_epoch_seals_and_the_old_one_still_opens(tmp_path: Path) -> None:
    vault = await open_vault(tmp_path)
    acme = await vault.tenant("acme")
    old, new = requests(b"old"), requests(b"new")
    blind = acme.blind("email", "ada@example.org")
    stored = as_stored(old, await acme.seal(old))

    assert await acme.rotate() == 2

    stored += as_stored(new, await acme.seal(new))
    assert acme.prepare(new).wrapped[new[0].key_id][:2] == b"\0\2"
    assert await acme.open(stored) == [b"old", b"new"]
    assert acme.blind("email", "ada@example.org") == blind
    await vault.close()
    again = await open_vault(tmp_path)
    reopened = await again.tenant("acme")
    assert reopened.epoch == 2
    assert await reopened.open(stored) == [b"old", b"new"]
    await again.close()


async def test_an_epoch_begun_elsewhere_is_learnt_when_it_is_met(tmp_path: Path) -> None:
    root, store = FileRootKey.open_or_create(tmp_path / "root.key"), SqliteKeyStore(tmp_path / "keys.db")
    here, there = await Vault(root, store).tenant("acme"), await Vault(root, store).tenant("acme")
    await there.rotate()
    items = requests(b"sealed there")
    stored = as_stored(items, await there.seal(items))

    assert await here.open(stored) == [b"sealed there"]
    assert here.epoch == 2
    await store.close()


async def test_callers_that_open_a_new_tenant_at_once_share_its_keys(tmp_path: Path) -> None:
    root, store = FileRootKey.open_or_create(tmp_path / "root.key"), SqliteKeyStore(tmp_path / "keys.db")
    vaults = [Vault(root, store) for _ in range(6)]

    tenants = await asyncio.gather(*(vault.tenant("acme") for vault in vaults))

    assert len({tenant.blind("email", "ada@example.org") for tenant in tenants}) == 1
    assert await vaults[0].tenant("acme") is tenants[0]
    await store.close()


async def test_representations_show_no_plaintext_and_no_key(acme: TenantVault) -> None:
    item = requests(b"Ada Lovelace")[0]
    prepared = acme.prepare([item])

    shown = f"{item!r} {prepared!r} {acme!r}"

    assert "Lovelace" not in shown
    assert prepared.data_keys[item.key_id].hex() not in shown
    assert repr(prepared.data_keys[item.key_id]) not in shown
