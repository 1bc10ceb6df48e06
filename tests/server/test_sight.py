"""What a caller may not see is neither named nor counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from narrower_sight import SightWithout

from goldenthread.client import Record, Relationship, RelationshipKind
from goldenthread.graph.model import AttributeDefinition, DataModel, SemanticType
from goldenthread.graph.stores.sqlite import SqliteStore
from goldenthread.graph.vault import open_vault
from goldenthread.server.access import Caller, Role
from goldenthread.server.commands import Engine
from goldenthread.server.commands.decisions.identities import merge_identities
from goldenthread.server.commands.decisions.kept import DecisionTerms
from goldenthread.server.commands.decisions.read import get_decision
from goldenthread.server.commands.decisions.undo import undo_decision
from goldenthread.server.commands.export_golden import Export, export_golden
from goldenthread.server.commands.households import get_households, list_households, list_memberships
from goldenthread.server.commands.idempotency import Request
from goldenthread.server.commands.prepare_record import PreparedUpsert
from goldenthread.server.commands.relationships import list_relationships
from goldenthread.server.commands.seen import place_after
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.config import Config
from goldenthread.server.errors import NotFound
from goldenthread.server.events.position import Position
from goldenthread.server.events.reading import Wanted, oldest_position, read_batch
from goldenthread.server.jobs.renormalising import update_data_model
from goldenthread.server.services import Preparer
from goldenthread.server.sight import EVERYBODY, RoleSight
from goldenthread.v1 import record_service_pb2 as pb

NO_REQUEST = Request("", b"")
HOME = {"street": "4 Mill Lane", "postcode": "62704", "city": "Springfield", "surname": "Lister"}


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    store, vault = SqliteStore(tmp_path / "graph"), await open_vault(tmp_path / "keys")
    engine = await Engine.open(store, vault, Config(data=tmp_path))
    yield engine
    await engine.close()
    await store.close()
    await vault.close()


@pytest.fixture
async def tenant(engine: Engine) -> Tenant:
    tenant = await engine.tenant("test")
    declared = DataModel((AttributeDefinition("relative", SemanticType.RELATIONSHIP),))
    await update_data_model(engine, tenant, declared, (), "ann", Request("", b""))
    return tenant


async def family_of_three(engine: Engine, tenant: Tenant) -> list[bytes]:
    """Ann, Tom and Kim at one door; Ann's record names Tom's."""
    ann = Record("crm", "1", {**HOME, "given_name": "Ann", "relative": Relationship(RelationshipKind.SPOUSE, "crm", "2")})
    others = [Record("crm", id, {**HOME, "given_name": name}) for id, name in (("2", "Tom"), ("3", "Kim"))]
    requests = [pb.UpsertRecordRequest(record=record.to_proto()) for record in (ann, *others)]
    prepared = [Preparer(Config()).prepare(tenant, request) for request in requests]
    done = [await one for one in await engine.upsert(tenant, [one for one in prepared if isinstance(one, PreparedUpsert)])]
    return [getattr(one, "identity", b"") for one in done]


async def test_a_hidden_member_is_in_no_household_and_in_no_count(engine: Engine, tenant: Tenant) -> None:
    ann, tom, kim = await family_of_three(engine, tenant)

    without_tom = await get_households(engine, tenant, "identities", ann, None, SightWithout(tom))
    alone = await get_households(engine, tenant, "identities", ann, None, SightWithout(tom, kim))
    listed, _ = await list_households(engine, tenant, b"", 10, None, SightWithout(tom, kim))

    assert [[member.identity for member in home.members] for home in without_tom.views] == [sorted([ann, kim])]
    assert list(alone.views) == listed == []
    with pytest.raises(NotFound):
        await get_households(engine, tenant, "households", without_tom.views[0].id, None, SightWithout(tom, kim))


async def test_a_hidden_person_answers_as_one_that_is_not_there(engine: Engine, tenant: Tenant) -> None:
    _, tom, _ = await family_of_three(engine, tenant)

    for ask in (list_memberships, list_relationships):
        with pytest.raises(NotFound):
            await ask(engine, tenant, tom, None, SightWithout(tom))
    with pytest.raises(NotFound):
        await get_households(engine, tenant, "identities", tom, None, SightWithout(tom))


async def test_history_and_relationships_leave_hidden_people_out(engine: Engine, tenant: Tenant) -> None:
    ann, tom, kim = await family_of_three(engine, tenant)

    seen = await list_relationships(engine, tenant, ann, None, SightWithout())
    hidden = await list_relationships(engine, tenant, ann, None, SightWithout(tom))
    memberships = await list_memberships(engine, tenant, ann, None, SightWithout(tom, kim))

    assert [(one.kind.name, one.identity) for one in seen] == [("SPOUSE", tom)]
    assert hidden == memberships == []


async def test_an_export_leaves_hidden_people_out(engine: Engine, tenant: Tenant) -> None:
    _, tom, _ = await family_of_three(engine, tenant)

    parts = [part async for part in export_golden(engine, tenant, Export(is_csv=True), None, "", SightWithout(tom))]

    assert sum(part.rows for part in parts) == 2
    assert b"Tom" not in b"".join(part.data for part in parts)


@pytest.mark.parametrize("role", ["reader", "writer", "admin"])
async def test_every_role_sees_everybody_of_its_tenant(engine: Engine, tenant: Tenant, role: Role) -> None:
    people = await family_of_three(engine, tenant)

    async with engine.reader(tenant) as reader:
        assert await RoleSight(Caller("somebody", "test", role)).identities(reader, people) == set(people)


async def test_what_a_decision_changes_names_nobody_hidden(engine: Engine, tenant: Tenant) -> None:
    couple = (await family_of_three(engine, tenant))[:2]
    terms = DecisionTerms("steward", "told so")
    merged = await merge_identities(engine, tenant, couple, terms, NO_REQUEST, EVERYBODY, preview=False)
    stays, retired = sorted(couple, key=lambda id: id != merged.identities[0][0])
    sight = SightWithout(retired)
    undo = partial(undo_decision, engine, tenant, merged.decision, "steward", "misheard", NO_REQUEST)

    whole = await undo(EVERYBODY, preview=True)
    preview = await undo(sight, preview=True)
    undone = await undo(sight, preview=False)

    assert {effect.identity for effect in whole.effect.identities} == {stays, retired}
    for decided in (preview, undone):
        assert [(one.identity, list(one.loses_to)) for one in decided.effect.identities] == [(stays, [])]
        assert [id for id, _ in decided.identities] == [stays]
        assert decided.effect.moves == []
    (off,) = next(effect.after for effect in whole.effect.identities if effect.identity == retired)
    assert off in preview.effect.identities[0].before
    assert off not in undone.effect.identities[0].before
    with pytest.raises(NotFound):
        await get_decision(engine, tenant, merged.decision, None, sight)
    assert await get_decision(engine, tenant, merged.decision, None, EVERYBODY)


async def test_a_cursor_passes_over_events_of_hidden_people(engine: Engine, tenant: Tenant) -> None:
    ann, tom, kim = await family_of_three(engine, tenant)
    told: list[bytes] = []
    async with engine.reader(tenant) as reader:
        batch = await read_batch(reader, await oldest_position(reader), Wanted(), 1, SightWithout(tom))
        told += [event.identity for event in batch.events]
        while not batch.is_end:
            batch = await read_batch(reader, batch.position, Wanted(), 1, SightWithout(tom))
            told += [event.identity for event in batch.events]
        asked = await read_batch(
            reader, await oldest_position(reader), Wanted(identities=frozenset({tom})), 10, SightWithout(tom)
        )
        latest = reader.revision.number

    assert sorted(told) == sorted([ann, kim])
    assert asked.events == []
    assert batch.position == asked.position == Position.after(latest)


async def test_a_place_of_a_page_names_nobody_hidden() -> None:
    ids = [bytes([n]) * 16 for n in range(1, 5)]

    hidden = place_after(ids, 2, {ids[0]})

    assert ids[1] < hidden < ids[2]
    assert place_after(ids, 2, ids) == ids[1]
    assert place_after(ids, 4, ids) == b""
