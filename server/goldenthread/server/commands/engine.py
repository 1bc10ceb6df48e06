"""Bring store, vault and tenants together: what every command runs on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import TypeVar

from goldenthread.graph.errors import Conflict, KeysMissing
from goldenthread.graph.model import DataModel, NodeKind
from goldenthread.graph.store import Capability, Reader, Store, Transaction
from goldenthread.graph.vault import TenantVault, Vault
from goldenthread.server.access import Caller
from goldenthread.server.commands.artefacts import artefact_root
from goldenthread.server.commands.guards import follow_guards
from goldenthread.server.commands.ids import now
from goldenthread.server.commands.model_artefacts import DEPLOYMENT, deploying
from goldenthread.server.commands.models import (
    DefaultModels,
    keep_defaults,
    load_deployed,
    read_data_model,
    read_default_models,
)
from goldenthread.server.commands.prepare_record import PreparedUpsert
from goldenthread.server.commands.tenants import Deployed, Tenant
from goldenthread.server.commands.together import Together
from goldenthread.server.commands.upsert_records import Upserted, commit_upserts
from goldenthread.server.config import Config
from goldenthread.server.errors import FailedPrecondition, ServerError
from goldenthread.server.events.commits import Commits
from goldenthread.server.events.sinks.sink import Sink
from goldenthread.server.logs import logger
from goldenthread.server.sight import RoleSight, Sight

__all__ = ["Engine"]

_log = logger()

T = TypeVar("T")


class Engine:
    """Run commands for tenants on one store and vault."""

    def __init__(self, store: Store, vault: Vault, config: Config, defaults: DefaultModels) -> None:
        self.store, self.vault, self.config = store, vault, config
        self.commits = Commits()
        self.sinks: dict[tuple[str, str], Sink] = {}  # by tenant and name, as the settings name them
        self._defaults = defaults
        self._tenants: dict[str, Tenant] = {}
        self._commits: dict[str, Together[PreparedUpsert, Upserted | ServerError]] = {}
        self._opening = asyncio.Lock()
        self._unopened: set[str] = set()
        self.sight_of: Callable[[Caller], Sight] = RoleSight
        self._closing: list[Callable[[], Awaitable[None]]] = []
        self.jobs_queued = asyncio.Event()  # set by whoever queues a job, once it is committed
        self._job_change = asyncio.Event()

    @classmethod
    async def open(cls, store: Store, vault: Vault, config: Config) -> Engine:
        """Open an engine; tenants are opened when first asked for.

        Raises:
            KeysMissing: a store that nobody else writes holds a tenant whose keys are gone.
        """
        if Capability.MANY_WRITERS not in store.capabilities:
            for name in await store.tenants(NodeKind.ARTEFACT):
                if not await vault.has_keys(name):
                    raise KeysMissing(name)
        return cls(store, vault, config, await asyncio.to_thread(read_default_models, config))

    async def tenant(self, name: str) -> Tenant:
        """Get a tenant, made at its first use with the default data model and match model."""
        tenant = self._tenants.get(name)
        if tenant is not None:
            return tenant
        async with self._opening:
            if name not in self._tenants:
                vault = await self._vault_of(name)
                deployed = await self._deployed(name, vault)
                tenant = Tenant(name, vault, deployed, cache_records=self.config.cache_records)
                async with self.reader(tenant) as reader:
                    await follow_guards(reader, tenant)
                self.commits.tell("")  # there may be a tenant that nobody looks after yet
                self._tenants[name] = tenant
            return self._tenants[name]

    async def _vault_of(self, name: str) -> TenantVault:
        async with self.store.reader(name) as reader:
            is_stored = reader.revision.number > 0
        # Keys are kept before the first revision is, so whoever finds that finds them too, if they were not lost.
        if is_stored and not await self.vault.has_keys(name):
            raise FailedPrecondition(
                "the tenant's data are stored but its keys are missing; bring keys.db back from its backup"
            )
        return await self.vault.tenant(name)

    async def _deployed(self, name: str, vault: TenantVault) -> Deployed:
        async with self.store.reader(name) as reader:
            found = await load_deployed(reader, vault)
        if found is None:
            await self.store.write(name, now(), lambda transaction: keep_defaults(transaction, vault, self._defaults))
            async with self.store.reader(name) as reader:
                found = await load_deployed(reader, vault)
        if found is None:
            raise FailedPrecondition("the tenant's models can't be read; restore its keys from a backup")
        return found

    async def follow(self, reader: Reader, tenant: Tenant) -> None:
        """Go on with the models that a reader finds deployed, and with its guard rails."""
        await follow_guards(reader, tenant)
        node = await reader.artefact(artefact_root(tenant.vault, DEPLOYMENT))
        if node is None or node.id == tenant.deployed.id:
            return
        deployed = await load_deployed(reader, tenant.vault, tenant.deployed)
        if deployed is not None:
            tenant.take(deployed)

    async def notice(self, tenant: Tenant) -> None:
        """Go on with the models that are deployed now, if another server changed them."""
        async with self.reader(tenant) as reader:
            await self.follow(reader, tenant)

    async def notice_all(self) -> None:
        """Go on with the models that are deployed now, for every tenant that is open here."""
        for tenant in list(self._tenants.values()):
            await self.notice(tenant)

    async def open_again(self, name: str) -> Tenant:
        """Get a tenant as it is stored now, where another process has changed its models."""
        tenant = await self.tenant(name)
        await self.notice(tenant)
        return tenant

    async def tenants_having(self, kind: NodeKind) -> list[Tenant]:
        """Get the tenants that have a node of a kind of which there are few, and whose keys are here.

        A store may hold tenants of servers with other keys: opening those would make new ones for them. One that can't be
        opened, as it says to who calls for it, is left out, so that work for the others goes on.
        """
        opened: list[Tenant] = []
        for name in await self.store.tenants(kind):
            if not await self.vault.has_keys(name):
                continue
            try:
                opened.append(await self.tenant(name))
            except FailedPrecondition:
                if name not in self._unopened:
                    _log.warning("a tenant can't be opened; call for it to see why", tenant=name)
                self._unopened.add(name)
        return opened

    async def data_model(self, tenant: Tenant) -> tuple[DataModel, int]:
        """Read a tenant's data model as it is stored now, and the revision of its last change."""
        async with self.reader(tenant) as reader:
            return await read_data_model(reader, tenant.vault)

    def reader(self, tenant: Tenant, *, revision: int | None = None) -> AbstractAsyncContextManager[Reader]:
        """Open a reader of a tenant's graph."""
        return self.store.reader(tenant.name, revision=revision)

    async def write(self, tenant: Tenant, work: Callable[[Transaction, int], Awaitable[T]]) -> T:
        """Run work in a transaction; it is also given the time, in microseconds.

        It runs under the models that are deployed: where one process writes they are looked at first, where several do last,
        when nobody can change them any more, and what was done under others is done again.
        """
        at = now()

        async def alone(transaction: Transaction) -> T:
            await self.follow(transaction, tenant)
            return await work(transaction, at)

        async def beside_others(transaction: Transaction) -> T:
            before = tenant.deployed.id
            deploying.set(b"")
            answer = await work(transaction, at)
            node = await transaction.artefact(artefact_root(tenant.vault, DEPLOYMENT))
            if node is not None and node.id not in (before, deploying.get()):
                await self.follow(transaction, tenant)
                raise Conflict("graph")
            return answer

        has_others = Capability.MANY_WRITERS in self.store.capabilities
        answer = await self.store.write(tenant.name, at, beside_others if has_others else alone)
        self.commits.tell(tenant.name)
        return answer

    async def upsert(self, tenant: Tenant, upserts: Sequence[PreparedUpsert]) -> list[asyncio.Future[Upserted | ServerError]]:
        """Let prepared records in to be committed with others'; each future is done when its record is durable."""
        commit = self._commits.get(tenant.name)
        if commit is None:

            async def run(batch: list[PreparedUpsert]) -> Sequence[Upserted | ServerError]:
                return await self.write(tenant, lambda transaction, at: commit_upserts(transaction, tenant, batch, at))

            commit = Together(run, batch=self.config.batch_records, linger_ms=self.config.batch_linger_ms)
            self._commits[tenant.name] = commit
            self.on_close(commit.close)
        return await commit.put(upserts)

    def tell_job_changed(self) -> None:
        """Tell who waits for jobs to look again."""
        self._job_change.set()
        self._job_change = asyncio.Event()

    async def job_changed(self, seconds: float) -> None:
        """Wait until a job of this process changes, but not longer than some seconds: others' jobs are not heard of."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._job_change.wait()

    def cache_counts(self) -> dict[str, tuple[int, int]]:
        """Count the hits and misses of all tenants' caches, by the cache's name."""
        tenants = list(self._tenants.values())
        return {
            "members": (sum(t.members.hits for t in tenants), sum(t.members.misses for t in tenants)),
            "profiles": (sum(t.profiles.hits for t in tenants), sum(t.profiles.misses for t in tenants)),
        }

    def guards_fired(self) -> Counter[str]:
        """Count how often each guard fired, for all tenants."""
        return sum((tenant.guards_fired for tenant in self._tenants.values()), Counter())

    def on_close(self, close: Callable[[], Awaitable[None]]) -> None:
        """Have something closed with the engine."""
        self._closing.append(close)

    async def close(self) -> None:
        """Finish what waits and stop. The store and the vault stay open: who opened them closes them."""
        await asyncio.gather(*(close() for close in self._closing))
