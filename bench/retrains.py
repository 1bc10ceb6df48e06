"""Follow identity ids across model retrains: `python -m bench retrains customers.csv --records 50000 --retrains 10`.

Each retrain learns from other labels, which the truth column gives, and is activated. Printed for each: how many identities
there are, how many records have another identity id than before, how many of those although their identity has the same records
as before (which must be none), and how many of all ids that ever were lead nowhere (none, too).
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from goldenthread.client import Record
from goldenthread.graph.model import NodeKind
from goldenthread.graph.stores.sqlite import SqliteStore
from goldenthread.graph.vault import open_vault
from goldenthread.server.commands import Engine
from goldenthread.server.commands.idempotency import Request
from goldenthread.server.commands.identities import living
from goldenthread.server.commands.prepare_record import PreparedUpsert
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.config import Config
from goldenthread.server.errors import InvalidAttribute
from goldenthread.server.jobs import Jobs, JobState, JobView
from goldenthread.server.jobs.kinds import JOB_KINDS
from goldenthread.server.jobs.labelled import LabelledKeys
from goldenthread.server.jobs.start_model_jobs import activate_model, train_model
from goldenthread.server.jobs.training import Training
from goldenthread.server.jobs.verbs import wait_job
from goldenthread.server.services import Preparer
from goldenthread.v1 import record_service_pb2 as pb

__all__ = ["main"]

_COLUMNS = {
    "first_name": "given_name",
    "surname": "surname",
    "dob": "birth_date",
    "birth_place": "birth_place",
    "postcode_fake": "postcode",
    "gender": "gender",
    "occupation": "occupation",
}
"""Columns of the historical test data, and the attributes that they are; a column of an attribute's own name is that."""

_CHUNK = 1000
_LABELS = 200
_DAY = 86_400.0
_NO_REQUEST = Request("", b"")

Key = tuple[str, str]


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m bench retrains", description=__doc__)
    parser.add_argument("file", type=Path, help="CSV with record_id, source and truth_id")
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--retrains", type=int, default=10)
    chosen = parser.parse_args(arguments)
    if not chosen.file.is_file():
        parser.error(f"there is no file {chosen.file}")
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_run(Path(folder), chosen.file, chosen.records, chosen.retrains))


async def _run(folder: Path, file: Path, records: int, retrains: int) -> int:
    store, vault = SqliteStore(folder / "graph"), await open_vault(folder / "keys")
    engine = await Engine.open(store, vault, Config(data=folder))
    tenant = await engine.tenant("bench")
    jobs = Jobs(engine, JOB_KINDS)
    jobs.start()
    truth = await _load(engine, tenant, file, records)
    ever: set[bytes] = set()
    before = await _identities(engine, tenant)
    failures = 0
    print(f"{len(before)} records, {len(set(before.values()))} identities under the model given")
    print("retrain  identities  ids changed  without reason  ids that lead nowhere  learning s  activating s (CPU)")
    for number in range(1, retrains + 1):
        ever |= set(before.values())
        started = time.process_time()
        training = Training(_labels(truth, Random(number)), f"retrain {number}", number)
        trained = await _ended(engine, tenant, await train_model(engine, tenant, training, "bench", _NO_REQUEST))
        learnt = time.process_time()
        version = trained.job.result.decode().partition('"version":"')[2].partition('"')[0]
        if version != tenant.match_model.version:
            await _ended(engine, tenant, await activate_model(engine, tenant, version, "bench", _NO_REQUEST))
        now = await _identities(engine, tenant)
        changed = [key for key in before if before[key] != now[key]]
        unreasoned = _without_reason(changed, before, now)
        async with engine.reader(tenant) as reader:
            lost = sum([not (await living(reader, id)).identity.records for id in sorted(ever)])
        failures += unreasoned + lost
        print(
            f"{number:7}  {len(set(now.values())):10}  {len(changed):11}  {unreasoned:14}  {lost:21}  "
            f"{learnt - started:10.1f}  {time.process_time() - learnt:13.1f}",
            flush=True,
        )
        before = now
    await jobs.close()
    await engine.close()
    await store.close()
    await vault.close()
    return 1 if failures else 0


async def _load(engine: Engine, tenant: Tenant, file: Path, most: int) -> dict[Key, str]:
    """Put the records; return who each is of."""
    preparer = Preparer(Config(prepare_processes=0))
    truth: dict[Key, str] = {}
    waiting: list[PreparedUpsert] = []
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if len(truth) == most:
                break
            key = (row["source"], row["record_id"])
            truth[key] = row["truth_id"]
            known = {attribute.name for attribute in tenant.data_model.attributes}
            values = {_COLUMNS.get(name, name): text for name, text in row.items() if text}
            record = Record(*key, {name: text for name, text in values.items() if name in known})
            waiting.append(_prepared(preparer, tenant, record))
            if len(waiting) == _CHUNK:
                await asyncio.gather(*await engine.upsert(tenant, waiting))
                waiting = []
    if waiting:
        await asyncio.gather(*await engine.upsert(tenant, waiting))
    return truth


def _prepared(preparer: Preparer, tenant: Tenant, record: Record) -> PreparedUpsert:
    """Prepare a record without what can't be read, as a date that is only a word."""
    values = dict(record.attributes)
    while True:
        like = Record(record.source, record.source_record_id, values)
        prepared = preparer.prepare(tenant, pb.UpsertRecordRequest(record=like.to_proto()))
        if isinstance(prepared, PreparedUpsert):
            return prepared
        if not isinstance(prepared, InvalidAttribute):
            raise prepared
        del values[prepared.attribute]


def _labels(truth: Mapping[Key, str], rng: Random) -> LabelledKeys:
    """Label pairs of one person, and as many of two persons who are near each other in the file."""
    groups: dict[str, list[Key]] = defaultdict(list)
    for key, person in truth.items():
        groups[person].append(key)
    several = [keys for keys in groups.values() if len(keys) > 1]
    pairs: list[tuple[Key, Key, bool]] = []
    for keys in rng.sample(several, min(_LABELS, len(several))):
        left, right = rng.sample(keys, 2)
        pairs.append((left, right, True))
    persons = list(groups.values())
    for at in rng.sample(range(len(persons) - 1), min(_LABELS, len(persons) - 1)):
        pairs.append((rng.choice(persons[at]), rng.choice(persons[at + 1]), False))
    return LabelledKeys(tuple(pairs))


async def _ended(engine: Engine, tenant: Tenant, asked: JobView) -> JobView:
    view = await wait_job(engine, tenant, asked.job.id, _DAY)
    if view.job.state is not JobState.SUCCEEDED:
        raise RuntimeError(view.job.error)
    return view


async def _identities(engine: Engine, tenant: Tenant) -> dict[Key, bytes]:
    found: dict[Key, bytes] = {}
    after = b""
    async with engine.reader(tenant) as reader:
        while ids := await reader.page(NodeKind.RECORD, after, _CHUNK, {}):
            states = await reader.records(ids)
            members = await tenant.members_of(states.values())
            found.update((members[id].order_key, s.identity) for id, s in states.items() if s.identity is not None)
            after = ids[-1]
    return found


def _without_reason(changed: Sequence[Key], before: Mapping[Key, bytes], now: Mapping[Key, bytes]) -> int:
    """Count records whose identity has the same records as before under another id."""

    def members(identities: Mapping[Key, bytes]) -> dict[bytes, frozenset[Key]]:
        groups: dict[bytes, set[Key]] = defaultdict(set)
        for key, identity in identities.items():
            groups[identity].add(key)
        return {identity: frozenset(keys) for identity, keys in groups.items()}

    then, today = members(before), members(now)
    return sum(then[before[key]] == today[now[key]] for key in changed)
