"""Keys, tokens and a whole server with a small application, on a free port, for the tests of the server's shell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from conformance.conftest import STORES, store_urls
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from store_servers import StoreServers

from goldenthread.graph.store import Store
from goldenthread.graph.vault import Vault, open_vault
from goldenthread.server.access import Role, make_token, signing_key
from goldenthread.server.config import Config, load_config
from goldenthread.server.main import Started, run
from goldenthread.server.metrics import Metrics
from goldenthread.server.stores import open_store
from goldenthread.v1 import record_service_pb2 as pb
from goldenthread.v1 import record_service_pb2_grpc as pb_grpc

Behaviour = Callable[[], Awaitable[None]]


async def do_nothing() -> None:
    """Let a call succeed."""


class ScriptedRecords(pb_grpc.RecordServiceServicer):
    """A RecordService whose GetRecord does what a test says, and whose stream answers every request."""

    def __init__(self) -> None:
        self.behaviour: Behaviour = do_nothing

    async def GetRecord(self, request: pb.GetRecordRequest, context: object) -> pb.GetRecordResponse:  # noqa: N802 - the RPC's name
        await self.behaviour()
        return pb.GetRecordResponse()

    async def UpsertRecord(self, request: pb.UpsertRecordRequest, context: object) -> pb.UpsertRecordResponse:  # noqa: N802 - the RPC's name
        await self.behaviour()
        return pb.UpsertRecordResponse(changed=True)

    async def BatchUpsertRecords(  # noqa: N802 - the RPC's name
        self, requests: AsyncIterator[pb.BatchUpsertRecordsRequest], context: object
    ) -> AsyncIterator[pb.BatchUpsertRecordsResponse]:
        async for message in requests:
            yield pb.BatchUpsertRecordsResponse(
                results=[pb.UpsertRecordResult(response=pb.UpsertRecordResponse(changed=True)) for _ in message.requests]
            )


@dataclass
class ScriptedApplication:
    """An application with only that service; remembers that it was closed."""

    records: ScriptedRecords = field(default_factory=ScriptedRecords)
    was_closed: bool = False

    def add_services(self, server: grpc.aio.Server) -> None:
        pb_grpc.add_RecordServiceServicer_to_server(self.records, server)

    async def close(self) -> None:
        self.was_closed = True


@dataclass
class RunningServer:
    """A server of a test, and how to call and stop it."""

    config: Config
    started: Started
    application: ScriptedApplication
    stop: asyncio.Event
    ended: asyncio.Task[None]

    def token(self, role: Role = "writer", tenant: str = "default", seconds: int = 60) -> str:
        key = signing_key(self.config.token_key_file)
        return make_token(key, subject="tester", tenant=tenant, role=role, seconds=seconds)

    def authorized(self, role: Role = "writer") -> tuple[tuple[str, str]]:
        return (("authorization", f"Bearer {self.token(role)}"),)


StartServer = Callable[..., AbstractAsyncContextManager[RunningServer]]


@pytest.fixture
def start_server(tmp_path: Path) -> StartServer:
    """Start a server with settings on a free port; it is stopped when the context ends."""

    @asynccontextmanager
    async def start(**settings: object) -> AsyncIterator[RunningServer]:
        config = load_config({"listen": "127.0.0.1:0", "data": str(tmp_path / "data"), "shutdown_grace_seconds": 5, **settings})
        application = ScriptedApplication()
        stop = asyncio.Event()
        listening: asyncio.Future[Started] = asyncio.get_running_loop().create_future()

        async def open_application(store: Store, vault: Vault, config: Config, metrics: Metrics) -> ScriptedApplication:
            return application

        ended = asyncio.create_task(run(config, listening.set_result, stop=stop, open_application=open_application))
        await asyncio.wait((ended, listening), return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            await ended
        try:
            yield RunningServer(config, listening.result(), application, stop, ended)
        finally:
            stop.set()
            await ended

    return start


@pytest.fixture
def signer() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture(params=STORES)
async def store_servers(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StoreServers]:
    """Open each store in turn, with a vault, for the servers of a test."""
    store = await open_store(store_urls(request.param, request, tmp_path / "graph").replace("bolt://", "neo4j://"))
    vault = await open_vault(tmp_path / "keys")
    yield StoreServers(store, vault, tmp_path)
    await vault.close()
    await store.close()
