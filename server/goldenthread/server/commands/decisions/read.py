"""Read decisions: one by name, or pages of them in the order they were made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from goldenthread.graph.model import Node, NodeKind
from goldenthread.graph.store import Reader
from goldenthread.server.commands.as_of import Moment, read_at
from goldenthread.server.commands.decisions.kept import BOUND, DecisionView, view_decisions
from goldenthread.server.commands.decisions.seen import seen_decisions
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.identities import living_seen
from goldenthread.server.commands.seen import place_after
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import NotFound
from goldenthread.server.sight import Sight

__all__ = ["DecisionFilter", "DecisionState", "get_decision", "list_decisions", "state_of"]

DecisionState = Literal["live", "undone", "expired"]

_MOST_CHUNKS = 10
"""Pages that are looked through for one page of a filtered list, so that no call reads without end."""


class DecisionFilter(Struct, frozen=True):
    """Which decisions to list; what is empty does not matter."""

    identity: bytes = b""
    kind: str = ""
    state: DecisionState | None = None
    actor: str = ""

    def keeps(self, view: DecisionView) -> bool:
        """Say whether a decision is one of these, whatever it binds."""
        return self.kind in ("", view.kind) and self.actor in ("", view.actor) and self.state in (None, state_of(view))


def state_of(view: DecisionView) -> DecisionState:
    """Say whether a decision holds."""
    return "live" if view.end is None else "expired" if view.end.kind == "expiry" else "undone"


async def get_decision(engine: Engine, tenant: Tenant, id: bytes, moment: Moment | None, sight: Sight) -> DecisionView:
    """Read a decision as of a moment.

    Raises:
        NotFound: there was none by then, or it binds somebody whom the caller may not see.
    """
    async with read_at(engine, tenant, moment) as reader:
        views = await _views(reader, tenant, sight, [id])
    if not views:
        raise NotFound("decision")
    return views[0]


async def list_decisions(
    engine: Engine, tenant: Tenant, after: bytes, limit: int, wanted: DecisionFilter, moment: Moment | None, sight: Sight
) -> tuple[Sequence[DecisionView], bytes]:
    """Read a page of decisions about whom the caller may see; the second value is where the next starts, empty on the last.

    A page may hold fewer than `limit` though more follow.

    Raises:
        NotFound: there is no such identity, or the caller may not see it.
    """
    found: list[DecisionView] = []
    async with read_at(engine, tenant, moment) as reader:
        of_identity = await _of_identity(reader, sight, wanted.identity) if wanted.identity else None
        for _ in range(_MOST_CHUNKS):
            if of_identity is None:
                ids = await reader.page(NodeKind.DECISION, after, limit + 1, {})
            else:
                ids = [id for id in of_identity if id > after][: limit + 1]
            views = {view.id: view for view in await _views(reader, tenant, sight, ids[:limit])}
            for id in ids[:limit]:
                after = id
                if id in views and wanted.keeps(views[id]):
                    found.append(views[id])
                    if len(found) == limit:
                        return found, after if id != ids[-1] else b""
            if len(ids) <= limit:
                return found, b""
    return found, place_after(ids, limit, views)


async def _of_identity(reader: Reader, sight: Sight, id: bytes) -> list[bytes]:
    records = (await living_seen(reader, sight, id)).records
    return sorted({edge.target for edge in await reader.history(records, BOUND)})


async def _views(reader: Reader, tenant: Tenant, sight: Sight, ids: Sequence[bytes]) -> list[DecisionView]:
    nodes: list[Node] = [node for node in (await reader.nodes(ids)).values() if node.kind is NodeKind.DECISION]
    return await seen_decisions(reader, sight, await view_decisions(reader, tenant, nodes))
