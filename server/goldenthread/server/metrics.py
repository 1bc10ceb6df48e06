"""Count and time what the service does, for Prometheus. Labels are methods, codes, outcomes and tenants: never a person."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar, cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.registry import Collector

from goldenthread.graph.model import NodeKind
from goldenthread.graph.store import Capability, ChangeSet, Reader, Revision, Store, Transaction
from goldenthread.server.config import Config, ConfigError, parse_address

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

__all__ = ["MeteredStore", "Metrics", "MetricsServer"]

T = TypeVar("T")

CacheCounts: TypeAlias = Callable[[], Mapping[str, tuple[int, int]]]
"""Hits and misses by the cache's name, since the start."""

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.04, 0.06, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)


class Metrics:
    """The service's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._calls = Counter(
            "goldenthread_calls", "Calls that ended, by method and gRPC code.", ["method", "code"], registry=self.registry
        )
        self._call_seconds = Histogram(
            "goldenthread_call_seconds", "How long calls took.", ["method"], buckets=_SECONDS, registry=self.registry
        )
        self._running = Gauge("goldenthread_calls_running", "Calls being served.", registry=self.registry)
        self._records = Counter(
            "goldenthread_records",
            "Records put, by outcome: changed, unchanged or the error's reason.",
            ["outcome"],
            registry=self.registry,
        )
        self._batches = Histogram(
            "goldenthread_commit_records", "Record versions that one transaction put.", buckets=_SIZES, registry=self.registry
        )
        self._store_seconds = Histogram(
            "goldenthread_store_seconds",
            "How long the store was used: read, write or check.",
            ["operation"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._store_errors = Counter(
            "goldenthread_store_errors", "Uses of the store that failed.", ["operation", "error"], registry=self.registry
        )
        self._serving = Gauge("goldenthread_serving", "1 while the store answers, else 0.", registry=self.registry)
        self._jobs = Counter(
            "goldenthread_jobs", "Jobs that ended, by type and state.", ["type", "state"], registry=self.registry
        )
        self._subscriptions: dict[str, frozenset[str]] = {}
        self._lag_revisions = Gauge(
            "goldenthread_subscription_lag_revisions",
            "Commits since the first event that a subscription has not acknowledged.",
            ["tenant", "subscription"],
            registry=self.registry,
        )
        self._lag_seconds = Gauge(
            "goldenthread_subscription_lag_seconds",
            "Age of the first event that a subscription has not acknowledged.",
            ["tenant", "subscription"],
            registry=self.registry,
        )
        self._revision = Gauge("goldenthread_revision", "A tenant's latest revision.", ["tenant"], registry=self.registry)

    def call_started(self) -> None:
        """Count a call as running."""
        self._running.inc()

    def call_ended(self, method: str, code: str, seconds: float) -> None:
        """Count a call that ended."""
        self._running.dec()
        self._calls.labels(method, code).inc()
        self._call_seconds.labels(method).observe(seconds)

    def records_put(self, outcome: str, count: int = 1) -> None:
        """Count records by what became of them."""
        self._records.labels(outcome).inc(count)

    def committed(self, tenant: str, records: int, revision: int) -> None:
        """Note a transaction that was committed."""
        self._batches.observe(records)
        self._revision.labels(tenant).set(revision)

    def job_ended(self, type: str, state: str) -> None:
        """Count a job that ended."""
        self._jobs.labels(type, state).inc()

    def subscription_lags(self, tenant: str, lags: Mapping[str, tuple[int, float]]) -> None:
        """Note how many commits and seconds each subscription of a tenant lags; those that are gone are shown no more."""
        for gone in self._subscriptions.get(tenant, frozenset()) - set(lags):
            self._lag_revisions.remove(tenant, gone)
            self._lag_seconds.remove(tenant, gone)
        for subscription, (revisions, seconds) in lags.items():
            self._lag_revisions.labels(tenant, subscription).set(revisions)
            self._lag_seconds.labels(tenant, subscription).set(seconds)
        self._subscriptions[tenant] = frozenset(lags)

    def watch_caches(self, counts: CacheCounts) -> None:
        """Ask for the look-ups in caches whenever the metrics are read."""
        self.registry.register(_Caches(counts))

    def watch_guards(self, counts: Callable[[], Mapping[str, int]]) -> None:
        """Ask how often guards fired whenever the metrics are read."""
        self.registry.register(_Guards(counts))

    def serving(self, is_serving: bool) -> None:
        """Note whether the store answers."""
        self._serving.set(1 if is_serving else 0)

    @contextmanager
    def store_used(self, operation: str) -> Iterator[None]:
        """Time a use of the store."""
        started = time.perf_counter()
        try:
            yield
        except Exception as error:
            self._store_errors.labels(operation, type(error).__qualname__).inc()
            raise
        finally:
            self._store_seconds.labels(operation).observe(time.perf_counter() - started)


class _Caches(Collector):
    """Look-ups in caches, as their owner counts them."""

    def __init__(self, counts: CacheCounts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Give the counts at this moment."""
        family = CounterMetricFamily("goldenthread_cache", "Look-ups in a cache, by outcome.", labels=["cache", "outcome"])
        for cache, (hits, misses) in self._counts().items():
            family.add_metric([cache, "hit"], hits)
            family.add_metric([cache, "miss"], misses)
        yield family


class _Guards(Collector):
    """How often guards fired, as their owner counts it."""

    def __init__(self, counts: Callable[[], Mapping[str, int]]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Give the counts at this moment."""
        told = "Pairs of records that a guard kept apart, or identities that it marked, each time they were resolved."
        family = CounterMetricFamily("goldenthread_guard", told, labels=["guard"])
        for guard, count in self._counts().items():
            family.add_metric([guard], count)
        yield family


class _Observed:
    """A transaction that notes what it applied; everything else passes through."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self.applied: tuple[int, int] | None = None

    def __getattr__(self, name: str) -> object:
        return getattr(self._transaction, name)

    async def apply(self, changes: ChangeSet) -> Revision:
        """Apply, and note how many record versions were put, at which revision."""
        revision = await self._transaction.apply(changes)
        versions = sum(node.kind is NodeKind.RECORD_VERSION for node in changes.put_nodes)
        self.applied = (versions, revision.number)
        return revision


class MeteredStore:
    """A store whose uses are timed and whose commits are counted.

    A write that has begun goes on to its end when its caller goes away, so that no deadline cuts a change in the middle.
    """

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store, self._metrics = store, metrics
        self._writing: set[asyncio.Task[object]] = set()

    @property
    def name(self) -> str:
        """Short name of the store."""
        return self._store.name

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the store can do beyond the least."""
        return self._store.capabilities

    def reader(self, tenant: str, *, revision: int | None = None) -> AbstractAsyncContextManager[Reader]:
        """Open a reader, timed from opening to closing."""
        return self._timed_reader(tenant, revision)

    async def write(self, tenant: str, at: int, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run work in a transaction, timed with its retries and its commit."""
        writing = asyncio.create_task(self._write(tenant, at, work))
        self._writing.add(cast("asyncio.Task[object]", writing))
        writing.add_done_callback(lambda _: self._writing.discard(cast("asyncio.Task[object]", writing)))
        return await asyncio.shield(writing)

    async def tenants(self, having: NodeKind) -> Sequence[str]:
        """Name the tenants that have a node of a kind, timed."""
        with self._metrics.store_used("read"):
            return await self._store.tenants(having)

    async def check(self) -> None:
        """Check the store, timed."""
        with self._metrics.store_used("check"):
            await self._store.check()

    async def close(self) -> None:
        """Close the store, after the writes that run."""
        if self._writing:
            await asyncio.wait(self._writing)
        await self._store.close()

    async def _write(self, tenant: str, at: int, work: Callable[[Transaction], Awaitable[T]]) -> T:
        last: list[_Observed] = []

        async def observed(transaction: Transaction) -> T:
            last[:] = [_Observed(transaction)]
            return await work(cast(Transaction, last[0]))

        with self._metrics.store_used("write"):
            result = await self._store.write(tenant, at, observed)
        if last and last[0].applied is not None:
            self._metrics.committed(tenant, *last[0].applied)
        return result

    @asynccontextmanager
    async def _timed_reader(self, tenant: str, revision: int | None) -> AsyncIterator[Reader]:
        with self._metrics.store_used("read"):
            async with self._store.reader(tenant, revision=revision) as reader:
                yield reader


class MetricsServer:
    """Serve the metrics over HTTP on an address of their own, until closed."""

    def __init__(self, metrics: Metrics, config: Config) -> None:
        address = parse_address("metrics_listen", config.metrics_listen)
        try:
            self._server, self._thread = self._start(metrics, config, address.host, address.port)
        except OSError as error:
            raise ConfigError(
                "metrics_listen", f"is {address}, which can't be listened on ({error.strerror})", "choose another"
            ) from None
        self.address = f"{address.host}:{self._server.server_port}"

    @staticmethod
    def _start(metrics: Metrics, config: Config, host: str, port: int) -> tuple[WSGIServer, threading.Thread]:
        if not config.tls_client_ca:
            return start_http_server(port, host, registry=metrics.registry)
        return start_http_server(
            port,
            host,
            registry=metrics.registry,
            certfile=config.tls_cert,
            keyfile=config.tls_key,
            client_cafile=config.tls_client_ca,
            client_auth_required=True,
        )

    def close(self) -> None:
        """Stop serving and wait for the thread."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
