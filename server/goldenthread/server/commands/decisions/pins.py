"""Read which golden values stewards pinned.

A pin says that a value which one record holds is the right one. It keeps a keyed digest of the value and not the value, so it
keeps nothing alive that its record no longer says: then it waits until the record says it again.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from goldenthread.graph.model import LIVE, AttributeValue, EdgeKind
from goldenthread.graph.store import Reader
from goldenthread.server.commands.decisions.kept import open_decisions
from goldenthread.server.commands.tenants import Tenant

__all__ = ["Pin", "pin_digest", "pins_of"]

_BINDS = frozenset({EdgeKind.BINDS})


class Pin(Struct, frozen=True):
    """A value that a steward pinned as golden: just as `record`, which it was pinned for, has it now."""

    attribute: str
    value: AttributeValue
    record: bytes
    decision: bytes
    revision: int


def pin_digest(tenant: Tenant, value: AttributeValue) -> bytes:
    """Digest a value as a pin keeps it."""
    return tenant.vault.digest("pin", msgspec.msgpack.encode((value.attribute, value.value)))


async def pins_of(reader: Reader, tenant: Tenant, records: Sequence[bytes]) -> Sequence[Pin]:
    """Read the live pins of records, in order of revision: of two for one attribute the later holds.

    A pin whose record does not have the value now is left out.
    """
    bound = [edge for edge in await reader.history(records, _BINDS) if edge.recorded_to == LIVE]
    if not bound:
        return []
    nodes = await reader.nodes(sorted({edge.target for edge in bound}))
    views = {view.id: view for view in await open_decisions(tenant, list(nodes.values())) if view.kind == "pin"}
    pinned = {edge.source for edge in bound if edge.target in views}
    states = list((await reader.records(sorted(pinned))).values()) if pinned else []
    contents = await tenant.open_versions([state.version for state in states])
    held = {
        (state.record.id, pin_digest(tenant, value)): value
        for state, content in zip(states, contents, strict=True)
        if content is not None
        for value in content.attributes
    }
    pins = [
        Pin(value.attribute, value, edge.source, view.id, view.revision)
        for edge in bound
        if (view := views.get(edge.target)) is not None and (value := held.get((edge.source, view.value))) is not None
    ]
    return sorted(pins, key=lambda pin: (pin.revision, pin.decision))
