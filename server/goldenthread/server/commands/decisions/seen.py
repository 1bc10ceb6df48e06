"""Leave out the decisions about whom a caller may not see."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from goldenthread.graph.store import Reader
from goldenthread.server.commands.decisions.kept import BOUND, DecisionView
from goldenthread.server.commands.seen import hidden_records
from goldenthread.server.errors import NotFound
from goldenthread.server.sight import Sight

__all__ = ["check_decision_seen", "hidden_decisions", "seen_decisions"]


async def seen_decisions(reader: Reader, sight: Sight, views: Sequence[DecisionView]) -> list[DecisionView]:
    """Keep the decisions that bind no record of anybody whom the caller may not see."""
    hidden = await hidden_records(reader, sight, (record for view in views for record in (*view.left, *view.right)))
    return [view for view in views if hidden.isdisjoint(view.left) and hidden.isdisjoint(view.right)]


async def hidden_decisions(reader: Reader, sight: Sight, ids: Collection[bytes]) -> frozenset[bytes]:
    """Find the decisions that bind a record of somebody whom the caller may not see."""
    if sight.sees_everybody or not ids:
        return frozenset()
    bound = await reader.history(sorted(ids), BOUND)
    hidden = await hidden_records(reader, sight, (edge.source for edge in bound))
    return frozenset(edge.target for edge in bound if edge.source in hidden)


async def check_decision_seen(reader: Reader, sight: Sight, id: bytes) -> None:
    """Refuse a decision that binds a record of somebody whom the caller may not see.

    Raises:
        NotFound: it does, which answers as one that is missing.
    """
    if await hidden_decisions(reader, sight, [id]):
        raise NotFound("decision")
