"""Run the whole server as a process of its own, to be called, killed and started again.

Each server is a child of one process that has imported the server already (`multiprocessing`'s fork server), so that starting
one takes a fraction of a second. It is `goldenthread.server.main.serve` with settings, as `goldenthread serve` calls it.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from goldenthread.client import Client, GoldenThreadError, Retry
from goldenthread.client.errors import from_rpc
from goldenthread.server.access import Role, make_token, signing_key
from goldenthread.server.config import load_config
from goldenthread.server.main import Started, serve

__all__ = ["NO_RETRY", "RunningServer", "ServerEnded", "never_whole", "rpc_failure"]

T = TypeVar("T")

NO_RETRY = Retry(attempts=1)
"""Shows a test the first failure as it is."""

START_SECONDS = 120
STOP_SECONDS = 60
HEALTH_SECONDS = 120

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["wire.serving", "goldenthread.server.main"])


class ServerEnded(Exception):
    """The server ended before it was ready; `log` is what it wrote."""

    def __init__(self, code: int | None, log: str) -> None:
        self.code, self.log = code, log
        super().__init__(f"The server ended with {code} before it was ready:\n{log}")


@dataclass
class RunningServer:
    """A server in its folder: `data` is its data folder, `log_file` gets what it writes, over all its starts."""

    folder: Path
    tenant: str
    settings: Mapping[str, object]
    file_bytes: int | None = None
    """Largest file that the process may write, as a disk that is full."""
    address: str = ""
    metrics_address: str = ""
    was_serving: bool = False
    """Whether the store was there when it first told that it listens."""
    process: ForkServerProcess | None = field(default=None, repr=False)

    @property
    def data(self) -> Path:
        return Path(str(self.settings.get("data", self.folder / "data")))

    @property
    def log_file(self) -> Path:
        return self.folder / "log" / "server.log"

    def start(self) -> None:
        """Start it, and wait until it says that it listens; started again, it listens where it did.

        Raises:
            ServerEnded: it ended instead.
        """
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        settings = {
            "listen": self.address or "127.0.0.1:0",
            "data": str(self.data),
            "default_tenant": self.tenant,
            "log_level": "debug",
            "log_format": "json",
            "health_interval_seconds": 0.2,
            "start_processes": False,  # most tests send too little to need them
            **self.settings,
        }
        hearing, telling = _context.Pipe(duplex=False)
        process = _context.Process(target=_serve, args=(settings, str(self.log_file), telling, self.file_bytes))
        process.start()
        telling.close()
        self.process = process
        with hearing:
            if not wait([hearing, process.sentinel], START_SECONDS):
                self.kill()
                raise ServerEnded(None, self.log())
            try:
                self.address, self.was_serving, self.metrics_address = hearing.recv()
            except EOFError:
                process.join()
                raise ServerEnded(process.exitcode, self.log()) from None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server, by its process id."""
        assert self.process is not None
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        assert self.process is not None
        self.signal(signal.SIGKILL)
        self.process.join()

    def stop(self) -> int | None:
        """Ask it to end, wait until it did, and give its exit code."""
        assert self.process is not None
        if self.process.exitcode is None:
            self.signal(signal.SIGTERM)
            self.process.join(STOP_SECONDS)
        if self.process.exitcode is None:
            self.kill()
            raise AssertionError(f"The server did not stop within {STOP_SECONDS} s:\n{self.log()}")
        return self.process.exitcode

    def restart(self) -> None:
        """Stop it in order, and start it again."""
        self.stop()
        self.start()

    def log(self) -> str:
        """What it has written so far."""
        return self.log_file.read_text(encoding="utf-8") if self.log_file.exists() else ""

    def token(self, role: Role = "admin", *, tenant: str = "", seconds: int = 3600, subject: str = "tester") -> str:
        """Sign a token with the server's own development key."""
        key = signing_key(self.data / "keys" / "token.key")
        return make_token(key, subject=subject, tenant=tenant or self.tenant, role=role, seconds=seconds)

    def client(self, role: Role = "admin", *, tenant: str = "", retry: Retry = NO_RETRY, timeout_seconds: float = 60) -> Client:
        """Make a client, which by default does not try again."""
        return Client(self.address, token=self.token(role, tenant=tenant), retry=retry, timeout_seconds=timeout_seconds)

    def channel(self) -> grpc.Channel:
        """Open a bare channel, for what the client would not send."""
        return grpc.insecure_channel(
            self.address, [("grpc.max_send_message_length", -1), ("grpc.initial_reconnect_backoff_ms", 100)]
        )

    def authorized(self, role: Role = "admin") -> tuple[tuple[str, str], ...]:
        """What goes with a call on a bare channel."""
        return (("authorization", f"Bearer {self.token(role)}"),)

    def wait_for_health(self, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        """Watch its health until it is as wanted.

        Raises:
            TimeoutError: it did not become so.
        """
        deadline = time.monotonic() + HEALTH_SECONDS
        with self.channel() as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(
                health_pb2.HealthCheckRequest(), timeout=HEALTH_SECONDS, wait_for_ready=True
            )
            for answer in watch:
                if answer.status == status:
                    watch.cancel()
                    return
                if time.monotonic() > deadline:
                    break
        raise TimeoutError(f"Its health did not become {status} within {HEALTH_SECONDS} s.")


def rpc_failure(call: Callable[[], object]) -> GoldenThreadError:
    """Make a call on a bare channel that must fail, and read how it did."""
    try:
        call()
    except grpc.RpcError as error:
        if not isinstance(error, grpc.Call):
            raise
        trailing = [(str(key), value) for key, value in error.trailing_metadata() or ()]
        return from_rpc(error.code(), error.details() or "", trailing, "the server")
    raise AssertionError("the call did not fail")


@contextmanager
def never_whole(messages: Sequence[T]) -> Iterator[Iterator[T]]:
    """Give messages to stream, the last of them never: else a fast server may have answered them all before it is ended."""
    ended = threading.Event()

    def all_but_the_last() -> Iterator[T]:
        yield from messages[:-1]
        ended.wait()

    try:
        yield all_but_the_last()
    finally:
        ended.set()


def _serve(settings: dict[str, object], log_file: str, telling: Connection, file_bytes: int | None) -> None:
    """Be the server: in the child process."""
    log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    def tell(started: Started) -> None:
        telling.send((started.address, started.is_serving, started.metrics_address or ""))

    serve(load_config(settings), tell)
