"""A process that is killed leaves a key store that is whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from goldenthread.graph.vault import FileRootKey, SqliteKeyStore, Vault

BATCH = 50

# Seals batches for ever. A line is printed when a batch's keys are said to be durable; the sealed bytes go with it.
WRITER = """
import asyncio, os, sys
from goldenthread.graph.vault import SealRequest, open_vault

async def main():
    vault = await open_vault(sys.argv[1])
    tenant = await vault.tenant("acme")
    n = 0
    while True:
        items = [SealRequest(os.urandom(16), 3, b"%d" % (n + i)) for i in range(50)]
        sealed = await tenant.seal(items)
        for i, (item, one) in enumerate(zip(items, sealed)):
            print(n + i, item.key_id.hex(), one.hex())
        print("batch", flush=True)
        n += 50
        if n % 500 == 0:
            await tenant.destroy([items[0].key_id])
            print("destroyed", items[0].key_id.hex(), flush=True)

asyncio.run(main())
"""


def seal_until_killed(folder: Path, batches: int) -> list[list[str]]:
    """Run the writer, kill it after some batches, and give every whole line it printed, in words."""
    with subprocess.Popen([sys.executable, "-c", WRITER, folder], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        printed: list[str] = []
        while printed.count("batch\n") < batches:
            printed.append(writer.stdout.readline())
        writer.kill()
        rest = writer.stdout.read()
    return [line.split() for line in [*printed, *rest[: rest.rfind("\n") + 1].splitlines()]]


async def test_keys_said_to_be_durable_open_after_a_kill_and_batches_are_whole(tmp_path: Path) -> None:
    plain: dict[bytes, bytes] = {}
    sealed: dict[bytes, bytes] = {}
    destroyed: set[bytes] = set()
    for batches in (3, 12, 31):
        for line in seal_until_killed(tmp_path, batches):
            if line[0] == "destroyed":
                destroyed.add(bytes.fromhex(line[1]))
            elif line[0] != "batch":
                key_id = bytes.fromhex(line[1])
                plain[key_id], sealed[key_id] = line[0].encode(), bytes.fromhex(line[2])
        store = SqliteKeyStore(tmp_path / "keys.db")
        tenant = await Vault(FileRootKey.open_or_create(tmp_path / "root.key"), store).tenant("acme")

        opened = dict(zip(sealed, await tenant.open([(key_id, 3, one) for key_id, one in sealed.items()]), strict=True))

        gone = {key_id for key_id, value in opened.items() if value is None}
        assert {key_id: value for key_id, value in opened.items() if value is not None} == {
            key_id: value for key_id, value in plain.items() if key_id not in gone
        }
        assert destroyed <= gone
        assert len(gone - destroyed) <= 1  # the kill may come between a destruction and its announcement
        assert (await store.count(1) + len(gone)) % BATCH == 0
        await store.close()
        destroyed = gone
