"""A store that an older normaliser wrote: it is served at once, and its records are read and resolved again."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from random import Random

import pytest
from job_world import World
from msgspec.structs import replace
from store_servers import StoreServers
from wire.partitions import difference

from goldenthread.cli.demo.sending import to_record
from goldenthread.cli.demo.sources import simulate_records
from goldenthread.graph.model import AttributeValue, NodeKind
from goldenthread.graph.store import ChangeSet, Transaction
from goldenthread.resolver.normalise import NORMALISER_VERSION, Profile, profile_of
from goldenthread.resolver.scoring import MatchModel
from goldenthread.server.commands import models, prepare_record, tenants
from goldenthread.server.commands.artefacts import put_artefact, read_artefact
from goldenthread.server.commands.deployment import Deployment
from goldenthread.server.commands.match_models import list_models
from goldenthread.server.commands.model_artefacts import DEPLOYMENT
from goldenthread.server.errors import FailedPrecondition
from goldenthread.server.jobs import JobState, generations, renormalising
from goldenthread.server.jobs.job import job_of
from goldenthread.server.jobs.renormalising import RENORMALISE, take_over
from goldenthread.server.jobs.verbs import wait_drained


def coarser(attributes: Sequence[AttributeValue], default_country: str) -> Profile:
    """Normalise as an older version might have: surnames by their sound alone, emails not at all."""
    profile = profile_of(attributes, default_country)
    return replace(profile, surname=tuple(name[:2] for name in profile.surname), emails=(), phones=profile.phones[:1])


@pytest.fixture
async def old_world(store_servers: StoreServers, monkeypatch: pytest.MonkeyPatch) -> World:
    """A tenant as the version before left it, opened by this one."""
    monkeypatch.setattr(renormalising, "_PAGE", 40)
    model = replace(MatchModel.shipped(), normaliser_version=NORMALISER_VERSION - 1)
    (store_servers.folder / "older.json").write_bytes(model.to_json())
    records = [to_record(simulated) for simulated in simulate_records(400)]
    with monkeypatch.context() as older:
        for module in (prepare_record, models, tenants):
            older.setattr(module, "NORMALISER_VERSION", NORMALISER_VERSION - 1)
        for module in (prepare_record, tenants):
            older.setattr(module, "profile_of", coarser)
        engine, tenant = await store_servers.engine(match_model=str(store_servers.folder / "older.json"))
        world = World(engine, tenant, records)
        await world.upsert(200 if store_servers.store.name == "sqlite" else 100)
        await engine.close()
    newer, opened = await store_servers.engine()
    there, coming = world.there, world.coming
    world = World(newer, opened, coming)
    world.there = there
    return world


async def test_records_of_an_older_normaliser_are_resolved_as_bulk_does_whatever_comes_in_meanwhile(old_world: World) -> None:
    rng, world = Random(7), old_world
    model = world.tenant.match_model
    older = await world.partition()
    await world.change(rng)
    assert await take_over(world.engine, world.tenant)
    assert not await take_over(world.engine, world.tenant)
    assert (await wait_drained(world.engine, world.tenant, 0, 0))[0] is False

    (job,) = await renormalisations(world)
    ended = await world.run_job(RENORMALISE, job, lambda: world.change(rng))

    assert ended.state is JobState.SUCCEEDED
    assert difference(await world.partition(), world.linked(model)) == [[], []]
    assert older != await world.partition()
    assert (await wait_drained(world.engine, world.tenant, 0, 0))[0] is True
    deployment = world.tenant.deployed.deployment
    assert (deployment.normaliser, deployment.is_renormalising) == (NORMALISER_VERSION, False)
    assert not await take_over(world.engine, world.tenant)
    (view,), _ = await list_models(world.engine, world.tenant, 0, 10)
    assert view.is_outdated


async def test_a_model_that_is_activated_in_between_finds_what_bulk_finds(
    old_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generations, "_PAGE", 60)
    world, strict = old_world, replace(MatchModel.shipped(), name="strict", link_weight=9 << 16)
    await take_over(world.engine, world.tenant)
    (job,) = await renormalisations(world)

    await world.run("stage-model", strict)
    await world.run_job(RENORMALISE, job)
    await world.run("activate-model", strict)

    assert difference(await world.partition(), world.linked(strict)) == [[], []]


async def test_ids_stay_where_records_stay_together(old_world: World) -> None:
    world = old_world
    before = await world.identities()
    await take_over(world.engine, world.tenant)
    (job,) = await renormalisations(world)
    await world.run_job(RENORMALISE, job)
    now = await world.identities()

    same = [key for key in before if members(before, key) == members(now, key)]
    assert same
    assert [key for key in same if before[key] != now[key]] == []


async def test_a_tenant_of_a_newer_version_is_not_served_by_an_older_one(old_world: World, store_servers: StoreServers) -> None:
    tenant = old_world.tenant

    async def work(transaction: Transaction, at: int) -> None:
        found = await read_artefact(transaction, tenant.vault, DEPLOYMENT)
        assert found is not None
        changes, newer = ChangeSet(), replace(Deployment.from_json(found.body), normaliser=NORMALISER_VERSION + 1)
        await put_artefact(changes, tenant.vault, DEPLOYMENT, found.node, newer.to_json())
        await transaction.apply(changes)

    await store_servers.store.write(tenant.name, 0, lambda transaction: work(transaction, 0))

    with pytest.raises(FailedPrecondition, match="upgrade this server"):
        await store_servers.engine()
    refused, store_servers.tenant_name = store_servers.tenant_name, "other-" + secrets.token_hex(6)
    engine, other = await store_servers.engine()
    names = [one.name for one in await engine.tenants_having(NodeKind.ARTEFACT)]
    assert other.name in names
    assert refused not in names


def members(identities: dict[tuple[str, str], bytes], key: tuple[str, str]) -> set[tuple[str, str]]:
    return {other for other, identity in identities.items() if identity == identities[key]}


async def renormalisations(world: World) -> list[bytes]:
    async with world.engine.reader(world.tenant) as reader:
        ids = await reader.page(NodeKind.JOB, b"", 10, {"type": RENORMALISE})
        nodes = await reader.nodes(ids)
    return [id for id in ids if job_of(nodes[id]).state.is_open]
