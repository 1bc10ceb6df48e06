"""Start the service, keep it serving, and stop it without losing what it has acknowledged.

The port opens first. While the store was never reached, calls answer STORE_UNAVAILABLE and health says NOT_SERVING; the server
keeps trying. On SIGTERM or SIGINT it takes no new calls, ends those in flight within the grace, drains its commits, and only
then closes the store. A call whose deadline passes is cancelled; a commit that has begun is not.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Protocol, TypeVar, cast
from urllib.parse import urlsplit

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from msgspec import Struct

from goldenthread.graph.errors import StoreUnavailable
from goldenthread.graph.store import Store
from goldenthread.graph.vault import Vault, open_vault
from goldenthread.server.access import open_verifier, write_local_token
from goldenthread.server.calls import CallInterceptor, Gate, LateServices
from goldenthread.server.commands import Engine
from goldenthread.server.config import Address, Config, ConfigError, parse_address
from goldenthread.server.contract import SERVICES
from goldenthread.server.events.keeper import EventKeeper
from goldenthread.server.events.sinks.opening import Deliveries
from goldenthread.server.expiry import Expiry
from goldenthread.server.health import HealthWatch
from goldenthread.server.jobs import Jobs
from goldenthread.server.jobs.kinds import JOB_KINDS
from goldenthread.server.limits import Limiter
from goldenthread.server.logs import configure_logs, logger
from goldenthread.server.metrics import MeteredStore, Metrics, MetricsServer
from goldenthread.server.services import Preparer, Searcher, add_services
from goldenthread.server.stores import open_store
from goldenthread.server.tls import server_credentials
from goldenthread.server.upkeep import Upkeep

__all__ = ["Application", "Started", "run", "serve"]

T = TypeVar("T")

_log = logger()

_GC_THRESHOLD: Final = 200_000
_SWITCH_SECONDS: Final = 0.0005
_FIRST_RETRY_SECONDS: Final = 0.25
_LONGEST_RETRY_SECONDS: Final = 5.0
_MILLISECOND: Final = 1000


class Started(Struct, frozen=True):
    """What a server that listens has to say."""

    address: str
    """host:port that it listens on."""
    is_serving: bool
    """False when the store could not be reached yet; the server keeps trying."""
    store: str
    """The store's URL without user and password."""
    token_file: Path | None
    """Where the local administrator's token is; None with another issuer."""
    metrics_address: str | None
    """host:port of the metrics, if they are on."""


class Application(Protocol):
    """The use cases behind the services."""

    def add_services(self, server: grpc.aio.Server) -> None:
        """Register every service's handlers."""
        ...

    async def close(self) -> None:
        """End what was begun; afterwards every acknowledged change is durable."""
        ...


OpenApplication = Callable[[Store, Vault, Config, Metrics], Awaitable[Application]]


def serve(config: Config, ready: Callable[[Started], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT, on uvloop where it is available; returns when everything was closed.

    Raises:
        ConfigError: a setting can't be used.
        GraphError: the store or the vault can't be opened, and waiting would not help.
    """
    configure_logs(config)
    # Nearly everything a batch allocates is free of cycles and gone when it is committed: look for garbage seldom.
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD, 20, 50)
    # A thread that comes back from the store must not wait the usual 5 ms for the interpreter: it holds up everybody's commit.
    sys.setswitchinterval(_SWITCH_SECONDS)
    if sys.platform == "win32":
        asyncio.run(run(config, ready))
    else:
        import uvloop

        uvloop.run(run(config, ready))


async def run(
    config: Config,
    ready: Callable[[Started], None] | None = None,
    *,
    stop: asyncio.Event | None = None,
    open_application: OpenApplication | None = None,
) -> None:
    """Serve until `stop` is set or a signal comes; calls `ready` once, when the port is open and the store was first tried.

    Raises:
        ConfigError: a setting can't be used.
        GraphError: the store or the vault can't be opened, and waiting would not help.
    """
    stop = stop or asyncio.Event()
    _stop_on_signals(stop)
    async with AsyncExitStack() as opened:
        shell = await _Shell.open(config, opened, ready, open_application or _open_application)
        working = asyncio.create_task(shell.work())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            await shell.stop()
            working.cancel()
            [ended] = await asyncio.gather(working, return_exceptions=True)
        if isinstance(ended, BaseException) and not isinstance(ended, asyncio.CancelledError):
            raise ended


class _Shell:
    """A server that listens, and what belongs to it."""

    def __init__(
        self,
        config: Config,
        opened: AsyncExitStack,
        server: grpc.aio.Server,
        services: LateServices,
        gate: Gate,
        watch: HealthWatch,
        metrics: Metrics,
        open_application: OpenApplication,
        ready: Callable[[bool], None],
    ) -> None:
        self._config, self._opened, self._server, self._services = config, opened, server, services
        self._gate, self._watch, self._metrics = gate, watch, metrics
        self._open_application, self._ready = open_application, ready
        self._was_told = False

    @classmethod
    async def open(
        cls,
        config: Config,
        opened: AsyncExitStack,
        ready: Callable[[Started], None] | None,
        open_application: OpenApplication,
    ) -> _Shell:
        """Open the port; the store comes later, in `work`."""
        try:
            config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            verifier = open_verifier(config)
            token_file = write_local_token(config) if config.auth == "local" else None
        except OSError as error:
            problem = f"is {config.data}, which can't be written ({error.strerror})"
            raise ConfigError("data", problem, "make space, or choose another folder") from None
        credentials = server_credentials(config)
        metrics = Metrics()
        gate = Gate(urlsplit(config.store_url).scheme)
        watch = HealthWatch(SERVICES, metrics, config.health_interval_seconds)
        await watch.set(False)
        server = grpc.aio.server(
            interceptors=[CallInterceptor(verifier, Limiter(config), metrics, gate)], options=_options(config)
        )
        services = LateServices()
        server.add_generic_rpc_handlers((services,))
        health_pb2_grpc.add_HealthServicer_to_server(watch.servicer, server)
        reflection.enable_server_reflection(
            [*SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME], server
        )
        address = _bind(server, config, credentials)
        metrics_address = None
        if config.metrics_listen:
            metrics_server = MetricsServer(metrics, config)
            opened.callback(metrics_server.close)
            metrics_address = metrics_server.address
        await server.start()

        def tell(is_serving: bool) -> None:
            if ready is not None:
                ready(Started(address, is_serving, config.shown_store, token_file, metrics_address))

        _log.info(
            "listening",
            listen=address,
            store=config.shown_store,
            tls=credentials is not None,
            auth=config.auth,
            metrics=metrics_address,
        )
        return cls(config, opened, server, services, gate, watch, metrics, open_application, tell)

    async def work(self) -> None:
        """Open the vault, the store and the application, then keep health true until cancelled."""
        vault = await open_vault(self._config.data / "keys", key_file=self._config.root_key_file)
        self._opened.push_async_callback(vault.close)
        store = MeteredStore(await self._reach(lambda: open_store(self._config.store_url)), self._metrics)
        self._opened.push_async_callback(store.close)
        application = await self._reach(lambda: self._open_application(store, vault, self._config, self._metrics))
        self._opened.push_async_callback(application.close)
        application.add_services(cast(grpc.aio.Server, self._services))
        self._gate.opened.set()
        await self._watch.set(True)
        self._tell_once(True)
        _log.info("serving", store=store.name)
        await self._watch.run(store.check)

    async def stop(self) -> None:
        """Take no more calls, and let those in flight end within the grace."""
        _log.info("stopping", seconds=self._config.shutdown_grace_seconds)
        self._gate.stopping.set()
        await self._watch.end()
        await self._server.stop(self._config.shutdown_grace_seconds)
        _log.info("stopped")

    async def _reach(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until the store answers."""
        wait = _FIRST_RETRY_SECONDS
        while True:
            try:
                return await attempt()
            except StoreUnavailable as error:
                _log.warning(
                    "the store can't be reached yet", store=self._config.shown_store, problem=error.problem, seconds=wait
                )
            self._tell_once(False)
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_RETRY_SECONDS)

    def _tell_once(self, is_serving: bool) -> None:
        if not self._was_told:
            self._was_told = True
            self._ready(is_serving)


class _EngineApplication:
    """The engine with the services that speak for it."""

    def __init__(self, engine: Engine, config: Config, jobs: Jobs, keeper: EventKeeper, deliveries: Deliveries) -> None:
        self._engine, self._preparer, self._searcher, self._jobs = engine, Preparer(config), Searcher(engine), jobs
        self._keeper, self._deliveries = keeper, deliveries
        self._expiry, self._upkeep = Expiry(engine), Upkeep(engine)

    def add_services(self, server: grpc.aio.Server) -> None:
        add_services(server, self._engine, self._preparer, self._searcher)
        if self._engine.config.start_processes:
            self._preparer.start_soon()
            self._searcher.start_soon()
        self._jobs.start()
        self._keeper.start()
        self._expiry.start()
        self._upkeep.start()
        self._deliveries.start()

    async def close(self) -> None:
        await self._upkeep.close()
        await self._expiry.close()
        await self._deliveries.close()
        await self._keeper.close()
        await self._jobs.close()
        await self._searcher.close()
        await self._preparer.close()
        await self._engine.close()


async def _open_application(store: Store, vault: Vault, config: Config, metrics: Metrics) -> Application:
    engine = await Engine.open(store, vault, config)
    metrics.watch_caches(engine.cache_counts)
    metrics.watch_guards(engine.guards_fired)
    keeper = EventKeeper(engine, metrics.subscription_lags)
    return _EngineApplication(engine, config, Jobs(engine, JOB_KINDS, metrics.job_ended), keeper, Deliveries(engine))


def _bind(server: grpc.aio.Server, config: Config, credentials: grpc.ServerCredentials | None) -> str:
    address = parse_address("listen", config.listen)
    try:
        port = (
            server.add_insecure_port(str(address)) if credentials is None else server.add_secure_port(str(address), credentials)
        )
    except RuntimeError:
        port = 0
    if not port:
        raise ConfigError("listen", f"is {address}, which can't be listened on", "stop what uses it, or choose another")
    return str(Address(address.host, port))


def _options(config: Config) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", config.max_message_bytes),
        ("grpc.max_send_message_length", config.max_message_bytes),
        ("grpc.so_reuseport", 0),  # a second server on the same port must fail, not share its calls
        ("grpc.keepalive_time_ms", 60 * _MILLISECOND),
        ("grpc.keepalive_timeout_ms", 20 * _MILLISECOND),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10 * _MILLISECOND),
    ]


def _stop_on_signals(stop: asyncio.Event) -> None:
    if threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
