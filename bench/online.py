"""Measure the service as its callers meet it: streamed upsert and resolve over gRPC, durable, one server process.

Records of the simulated customers are streamed into a real server on an empty store: first a tenth of them, then all into
another, each a whole population in random order; then 5,000 records of other customers into both, by turns, so that a machine
whose speed drifts slows both. Printed: records a second over the whole load, its first tenth, and of those 5,000; what one of
these cost on the large store against the small; `ResolveRecord` latency with eight callers, and bytes a record on disk. The
client runs on the same machine and is part of every figure.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench.measure import Failed
from goldenthread.cli.demo import shuffled, simulate_records
from goldenthread.client import AsyncClient, Record
from goldenthread.graph.stores.neo4j.local import LocalNeo4j

_SERVE = """
import os, sys
from goldenthread.server.config import load_config
from goldenthread.server.main import serve
serve(load_config({}, os.environ), lambda started: print(started.address, flush=True))
"""
_TENTHS = 10
_CALLERS = 8
_FURTHER = 5_000
_TURN = 1_250

Serving = tuple[subprocess.Popen[str], str, str]
"""A running server: its process, address and a token."""


@dataclass
class Figures:
    """What one run measured."""

    store: str
    records: int
    records_per_second: float
    first_tenth_per_second: float
    further_per_second: float
    """Records a second of 5,000 further ones, put when all these are stored."""
    cost_ratio: float
    """What each of them cost, to what it costs on a store a tenth as large."""
    server_cpu_microseconds_per_record: float
    server_peak_mib: float
    resolve_p50_ms: float
    resolve_p99_ms: float
    resolves_per_second: float
    bytes_per_record: float | None


@contextmanager
def running_server(data: Path, store: str) -> Iterator[Serving]:
    """Run a real server; give its process, address and a token.

    Raises:
        Failed: the server ended before it served; says what the server said.
    """
    environ = {**os.environ, "GOLDENTHREAD_DATA": str(data), "GOLDENTHREAD_LISTEN": "127.0.0.1:0"}
    if store:
        environ |= {"GOLDENTHREAD_STORE": store, "GOLDENTHREAD_DEFAULT_TENANT": f"bench-{time.time_ns()}"}
    data.mkdir(parents=True, exist_ok=True)
    log = data / "server.log"
    command = [sys.executable, "-c", _SERVE]
    with (
        log.open("w") as output,
        subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=output, text=True) as server,
    ):
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            if not address:
                raise Failed(f"The server ended with {server.wait(60)} before it served:\n{log.read_text().strip()}")
            yield server, address, (data / "token").read_text().strip()
        finally:
            server.terminate()


def cpu_seconds(pid: int) -> float:
    """Read how much processor time a process used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mib(pid: int) -> float:
    """Read the most memory a process held."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def customers(count: int, seed: int) -> list[Record]:
    """Simulate customers, in random order; those of one seed are nobody of another."""
    simulated = shuffled(simulate_records(count, seed=seed), seed)
    return [Record(f"{r.source}-{seed}", r.record_id, {k: v for k, v in r.values.items() if v}) for r in simulated]


@asynccontextmanager
async def calling(server: Serving) -> AsyncIterator[AsyncClient]:
    """Call a server when it is ready."""
    _, address, token = server
    async with AsyncClient(address, token=token) as client:
        await client.wait_until_ready(60)
        yield client


async def put(client: AsyncClient, records: Sequence[Record]) -> list[float]:
    """Stream records in; return the moments, in seconds, at which it began and at which each tenth was answered."""
    moments = [time.perf_counter()]
    done = 0
    async for result in client.upsert_stream(records):
        if result.error is not None:
            raise result.error
        done += 1
        if done % (len(records) // _TENTHS) == 0:
            moments.append(time.perf_counter())
            print(f"\r{done:>9,} records", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return moments


async def compare(small: AsyncClient, large: AsyncClient) -> tuple[float, float]:
    """Put the same further records on both, by turns; return how many seconds each took."""
    seconds = [0.0, 0.0]
    further = customers(_FURTHER, seed=8)
    for start in range(0, _FURTHER, _TURN):
        for place, client in enumerate((small, large)):
            moments = await put(client, further[start : start + _TURN])
            seconds[place] += moments[-1] - moments[0]
    return seconds[0], seconds[1]


async def resolve(client: AsyncClient, records: Sequence[Record], calls: int) -> tuple[list[float], float]:
    """Resolve some of the records again, with eight callers; return sorted latencies, and how long it took, in seconds.

    As many calls come before, that do not count: a store's virtual machine compiles what it runs for thousands of calls.
    """
    latencies: list[float] = []

    async def call(seed: int, times: int) -> None:
        chance = random.Random(seed)
        for _ in range(times):
            record = chance.choice(records)
            start = time.perf_counter()
            await client.resolve_record(record.attributes)
            latencies.append(time.perf_counter() - start)

    await asyncio.gather(*(call(100 + n, calls) for n in range(_CALLERS)))
    latencies.clear()
    start = time.perf_counter()
    await asyncio.gather(*(call(n, calls) for n in range(_CALLERS)))
    return sorted(latencies), time.perf_counter() - start


async def measure(small: Serving, large: Serving, store: str, count: int, calls: int) -> Figures:
    """Load a server with records and another with a tenth of them, add further ones to both, and search the larger one."""
    records = customers(count, seed=7)
    gc.freeze()  # a caller holds no hundred thousand records, so looking through them again and again is no part of a call
    pid = large[0].pid
    async with calling(small) as on_small, calling(large) as on_large:
        await put(on_small, customers(count // 10, seed=7))
        before = cpu_seconds(pid)
        moments = await put(on_large, records)
        used = cpu_seconds(pid) - before
        of_small, of_large = await compare(on_small, on_large)
        latencies, elapsed = await resolve(on_large, records, calls)
    return Figures(
        store=store,
        records=count,
        records_per_second=count / (moments[-1] - moments[0]),
        first_tenth_per_second=count / _TENTHS / (moments[1] - moments[0]),
        further_per_second=_FURTHER / of_large,
        cost_ratio=of_large / of_small,
        server_cpu_microseconds_per_record=used / count * 1e6,
        server_peak_mib=peak_mib(pid),
        resolve_p50_ms=latencies[len(latencies) // 2] * 1e3,
        resolve_p99_ms=latencies[int(len(latencies) * 0.99)] * 1e3,
        resolves_per_second=len(latencies) / elapsed,
        bytes_per_record=None,
    )


def run(store: str, count: int, calls: int) -> Figures:
    """Measure one store, empty at first: two servers, each with a folder and a tenant of its own."""
    with tempfile.TemporaryDirectory(prefix="goldenthread-bench-") as folder:
        data = Path(folder)
        with ExitStack() as running:
            url = running.enter_context(LocalNeo4j.start(data / "neo4j")).uri if store == "neo4j" else ""
            small, large = (running.enter_context(running_server(data / name, url)) for name in ("small", "large"))
            figures = asyncio.run(measure(small, large, store, count, calls))
        if store == "neo4j":
            return figures
        files = [path for path in (data / "large").rglob("*") if path.is_file() and path.suffix != ".log"]
        return replace(figures, bytes_per_record=sum(path.stat().st_size for path in files) / (count + _FURTHER))


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench online", description=__doc__)
    parser.add_argument("--store", choices=("sqlite", "neo4j", "both"), default="both")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--calls", type=int, default=500, help="resolve calls of each of the eight callers")
    parser.add_argument("--json", action="store_true", help="print JSON")
    chosen = parser.parse_args(arguments)
    for store in ("sqlite", "neo4j") if chosen.store == "both" else (chosen.store,):
        try:
            figures = asdict(run(store, chosen.records, chosen.calls))
        except Failed as failed:
            print(failed, file=sys.stderr)
            return 1
        if chosen.json:
            print(json.dumps(figures))
            continue
        for name, value in figures.items():
            print(f"{name.replace('_', ' '):<38} {f'{value:,.2f}' if isinstance(value, float) else value}")
    return 0
