"""Compute a golden record from the records of an identity, at the moment it is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from goldenthread.graph.store import StoredIdentity
from goldenthread.resolver.golden import GoldenAttribute, SourcedRecord, golden_record
from goldenthread.server.commands.as_of import Moment, read_at
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.identities import living
from goldenthread.server.commands.tenants import Tenant

__all__ = ["Golden", "get_golden_record"]


class Golden(Struct, frozen=True):
    """The best values of an identity, and what they were computed from."""

    identity: StoredIdentity
    attributes: Sequence[GoldenAttribute]
    revision: int


async def get_golden_record(engine: Engine, tenant: Tenant, id: bytes, moment: Moment | None) -> Golden:
    """Compute the golden record of an identity as of a moment.

    Raises:
        NotFound: there is no such identity then, or all of it was deleted.
    """
    async with read_at(engine, tenant, moment) as reader:
        identity = (await living(reader, id)).identity
        states = await reader.records(identity.records)
        revision = reader.revision.number
    found = list(states.values())
    contents = await tenant.open_versions([state.version for state in found])
    sourced = [
        SourcedRecord(state.record.id, content) for state, content in zip(found, contents, strict=True) if content is not None
    ]
    return Golden(identity, golden_record(tenant.data_model, sourced), revision)
