"""Compute golden records from the records of identities, at the moment they are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from msgspec import Struct

from goldenthread.graph.model import DataModel
from goldenthread.graph.store import Reader, StoredIdentity
from goldenthread.resolver.golden import GoldenAttribute, Pin, SourcedRecord, SurvivorshipRules, golden_record
from goldenthread.server.commands.as_of import Moment, read_at
from goldenthread.server.commands.decisions.pins import pins_of
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.identities import living
from goldenthread.server.commands.ids import now
from goldenthread.server.commands.models import read_data_model
from goldenthread.server.commands.survivorship import read_rules
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import InvalidField, NotFound
from goldenthread.server.sight import Sight

__all__ = ["Golden", "GoldenView", "get_golden_record", "get_golden_records", "golden_records", "golden_view"]

_FEW_RECORDS = 20


class Golden(Struct, frozen=True):
    """The best values of an identity, and what they were computed from."""

    identity: StoredIdentity
    records: Sequence[bytes]
    """Records that the purpose allows."""
    attributes: Sequence[GoldenAttribute]
    revision: int


class GoldenView(Struct, frozen=True):
    """How golden records are computed: by which models and rules, for which purpose, and when age is measured."""

    data_model: DataModel
    rules: SurvivorshipRules
    purpose: str
    at: int


async def golden_view(reader: Reader, tenant: Tenant, moment: Moment | None, purpose: str) -> GoldenView:
    """Read what held at a moment, or holds now.

    Raises:
        InvalidField: the rules that held know no such purpose, so that nobody learns more by misspelling one.
    """
    rules, _ = await read_rules(reader, tenant)
    if purpose and rules.limit(purpose) is None:
        listed = ", ".join(sorted(one.purpose for one in rules.purposes)) or "none so far"
        raise InvalidField("purpose", f"must be one of the purposes of the survivorship rules: {listed}")
    if moment is None:
        return GoldenView(tenant.data_model, rules, purpose, now())
    data_model, _ = await read_data_model(reader, tenant.vault)
    return GoldenView(data_model, rules, purpose, moment.time or reader.revision.at)


async def golden_records(
    reader: Reader, tenant: Tenant, view: GoldenView, identities: Sequence[StoredIdentity]
) -> list[Golden]:
    """Compute the golden records of identities, all in one read."""
    states = await reader.records([record for identity in identities for record in identity.records])
    found = list(states.values())
    contents = await tenant.open_versions([state.version for state in found])
    opened = {
        state.record.id: SourcedRecord(state.record.id, content)
        for state, content in zip(found, contents, strict=True)
        if content is not None
    }
    pins: dict[bytes, list[Pin]] = {}
    for pin in await pins_of(reader, tenant, list(opened)):
        pins.setdefault(pin.record, []).append(Pin(pin.value, pin.decision, pin.revision))
    limit = view.rules.limit(view.purpose)
    revision = reader.revision.number

    def compute() -> list[Golden]:
        answers: list[Golden] = []
        for identity in identities:
            records = [opened[record] for record in identity.records if record in opened]
            allowed = [one.record for one in records if limit is None or limit.allows(one.content)]
            own = [pin for record in identity.records for pin in pins.get(record, ())]
            attributes = golden_record(view.data_model, records, view.rules, at=view.at, purpose=view.purpose, pins=own)
            answers.append(Golden(identity, allowed, attributes, revision))
        return answers

    # Many take long enough to keep other callers waiting.
    return compute() if len(opened) <= _FEW_RECORDS else await asyncio.to_thread(compute)


async def get_golden_record(
    engine: Engine, tenant: Tenant, id: bytes, moment: Moment | None, sight: Sight, purpose: str = ""
) -> Golden:
    """Compute the golden record of an identity as of a moment.

    Raises:
        NotFound: there is no such identity then, all of it was deleted, or the caller may not see it.
        InvalidField: there is no such purpose.
    """
    async with read_at(engine, tenant, moment) as reader:
        view = await golden_view(reader, tenant, moment, purpose)
        identity = (await living(reader, id)).identity
        if not await sight.identities(reader, [identity.id]):
            raise NotFound("identity")
        (golden,) = await golden_records(reader, tenant, view, [identity])
    return golden


async def get_golden_records(
    engine: Engine, tenant: Tenant, ids: Sequence[bytes], moment: Moment | None, sight: Sight, purpose: str = ""
) -> tuple[list[Golden], list[bytes], int]:
    """Compute golden records of several identities at one revision; also list the ids not found, and say the revision.

    One that the caller may not see is not found.

    Raises:
        InvalidField: there is no such purpose.
    """
    async with read_at(engine, tenant, moment) as reader:
        view = await golden_view(reader, tenant, moment, purpose)
        stored = await reader.identities(ids)
        found: dict[bytes, StoredIdentity] = {}
        asked: dict[bytes, list[bytes]] = {}
        missing: list[bytes] = []
        for id in dict.fromkeys(ids):
            identity = stored.get(id)
            try:
                current = identity if identity is not None and identity.records else (await living(reader, id)).identity
            except NotFound:
                missing.append(id)
            else:
                found[current.id] = current
                asked.setdefault(current.id, []).append(id)
        seen = await sight.identities(reader, list(found)) if found else frozenset[bytes]()
        hidden = {id for current, ids in asked.items() if current not in seen for id in ids}
        missing = [id for id in dict.fromkeys(ids) if id in hidden or id in missing] if hidden else missing
        found = {id: identity for id, identity in found.items() if id in seen}
        goldens = await golden_records(reader, tenant, view, list(found.values()))
        return goldens, missing, reader.revision.number
