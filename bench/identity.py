"""Measure what one more record costs an identity that is large, beside one that is small.

An identity of 1,000 records with 200 distinct profiles and one of 10 with 2 are loaded into one tenant, by the engine in this
process. Then records are put one by one, each its own transaction, in turn into the one and the other: some say what a record
there said already, some what none did. Printed: milliseconds a record, and the ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from pathlib import Path

from goldenthread.graph.model import AttributeValue, PartialDate, Party, PostalAddress, RecordContent, SemanticType
from goldenthread.graph.stores.neo4j.local import LocalNeo4j
from goldenthread.graph.vault import open_vault
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.prepare_record import prepare
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.commands.upsert_records import Upserted, commit_upserts
from goldenthread.server.config import Config, load_config

__all__ = ["main"]

_LARGE, _SMALL = 1_000, 10
_RECORDS_A_PROFILE = 5
_BATCH = 100
_BEGIN = 1_600_000_000_000_000

_NAMES = {"large": ("Anna", "Zuse"), "small": ("Robert", "Noether")}


@dataclass
class Figures:
    """What one more record costs, in milliseconds, and how many times as much in the large identity."""

    store: str
    identity_records: int
    identity_profiles: int
    small_ms: float
    large_ms: float
    ratio: float
    same_profile_ratio: float
    """The same for records that say what a record there said already."""


def content(who: str, number: int, profile: int) -> RecordContent:
    """Say what a record of a person says. Twenty profiles share a mailbox, twenty others a phone, so none is generic."""
    given, surname = _NAMES[who]
    lead = "1" if who == "large" else "2"
    attributes = (
        AttributeValue("given_name", SemanticType.GIVEN_NAME, given),
        AttributeValue("surname", SemanticType.SURNAME, surname),
        AttributeValue("birth_date", SemanticType.BIRTH_DATE, PartialDate(1970, 3, 14)),
        AttributeValue("email", SemanticType.EMAIL, f"{surname.lower()}{profile // 20}@example.com"),
        AttributeValue("phone", SemanticType.PHONE, f"+1202{lead}{(profile + 10) // 20:06d}"),
        AttributeValue(
            "address", SemanticType.ADDRESS, PostalAddress("Main Street", f"{profile + 1}", "", "Salem", "OR", "97301", "US")
        ),
    )
    return RecordContent(who, f"{number}", Party.FIRST, _BEGIN + number, -1, attributes)


@asynccontextmanager
async def open_engine(config: Config) -> AsyncIterator[Engine]:
    """Open an engine on the store that the settings name."""
    url = config.store_url
    (point,) = entry_points(group="goldenthread.stores", name=url.partition(":")[0].replace("bolt", "neo4j"))
    store, vault = await point.load()(url), await open_vault(config.data / "keys")
    engine = await Engine.open(store, vault, config)
    yield engine
    await engine.close()
    await store.close()
    await vault.close()


async def put(engine: Engine, tenant: Tenant, contents: Sequence[RecordContent]) -> tuple[list[bytes], float]:
    """Put records in one transaction; return their identities and the milliseconds it took."""
    batch = [prepare(tenant, one, True, "", b"") for one in contents]
    start = time.perf_counter()
    outcomes = await engine.write(tenant, lambda transaction, at: commit_upserts(transaction, tenant, batch, at))
    taken = (time.perf_counter() - start) * 1e3
    return [outcome.identity for outcome in outcomes if isinstance(outcome, Upserted)], taken


async def measure(store: str, data: Path, url: str, count: int) -> Figures:
    """Load both identities, and put further records into each."""
    config = load_config({"data": str(data), **({"store": url} if url else {})})
    times: dict[tuple[str, bool], list[float]] = {(who, fresh): [] for who in _NAMES for fresh in (False, True)}
    async with open_engine(config) as engine:
        tenant = await engine.tenant("identity")
        sizes = {"large": _LARGE, "small": _SMALL}
        for who, size in sizes.items():
            for at in range(0, size, _BATCH):
                numbers = range(at, min(at + _BATCH, size))
                # Those of one profile do not come together.
                await put(engine, tenant, [content(who, n, n % (size // _RECORDS_A_PROFILE)) for n in numbers])
        homes: dict[str, set[bytes]] = {who: set() for who in sizes}
        for turn in range(count):
            for who, size in sizes.items():
                for fresh in (False, True):
                    number = size + 2 * turn + fresh
                    profiles = size // _RECORDS_A_PROFILE
                    one = content(who, number, profiles + turn % 10 if fresh else turn % profiles)
                    found, taken = await put(engine, tenant, [one])
                    homes[who].update(found)
                    if turn:  # the first finds nothing in memory
                        times[who, fresh].append(taken)
        assert all(len(found) == 1 for found in homes.values()), "the records of a person are several identities"
    medians = {key: statistics.median(taken) for key, taken in times.items()}
    small, large = (sum(medians[who, fresh] for fresh in (False, True)) / 2 for who in ("small", "large"))
    same = medians["large", False] / medians["small", False]
    return Figures(store, _LARGE, _LARGE // _RECORDS_A_PROFILE, small, large, large / small, same)


def run(store: str, count: int) -> Figures:
    """Measure one store on an empty folder of its own."""
    with tempfile.TemporaryDirectory(prefix="goldenthread-bench-") as folder:
        data = Path(folder)
        if store == "sqlite":
            return asyncio.run(measure(store, data, "", count))
        with LocalNeo4j.start(data / "neo4j") as neo4j:
            return asyncio.run(measure(store, data, neo4j.uri, count))


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench identity", description=__doc__)
    parser.add_argument("--store", choices=("sqlite", "neo4j", "both"), default="both")
    parser.add_argument("--count", type=int, default=30, help="records of each kind put into each identity")
    parser.add_argument("--json", action="store_true", help="print JSON")
    chosen = parser.parse_args(arguments)
    for store in ("sqlite", "neo4j") if chosen.store == "both" else (chosen.store,):
        figures = asdict(run(store, chosen.count))
        if chosen.json:
            print(json.dumps(figures))
            continue
        for name, value in figures.items():
            print(f"{name.replace('_', ' '):<38} {f'{value:,.2f}' if isinstance(value, float) else value}")
    return 0
