"""List what people said of pairs of records: their answers, then what their decisions teach a match model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from goldenthread.graph.model import NodeKind
from goldenthread.graph.store import Reader
from goldenthread.server.commands.decisions.kept import DecisionView, view_decisions
from goldenthread.server.commands.decisions.seen import seen_decisions
from goldenthread.server.commands.decisions.taught import taught_by
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.labels import Answer, Opinion, list_labels, read_labels
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.sight import Sight

__all__ = ["DECISIONS", "TaughtLabel", "list_all_labels"]

DECISIONS = b"\x01"
"""What the place of a page begins with that lists what decisions teach; a place among answers is a label's id."""
_CHUNK = 50
"""Decisions that are read at once."""


class TaughtLabel(Struct, frozen=True):
    """What a decision teaches of two records, the smaller id first."""

    decision: DecisionView
    left: bytes
    right: bytes
    answer: Answer
    levels: tuple[int, ...]
    """Level of each comparison of the model in use."""


async def list_all_labels(
    engine: Engine, tenant: Tenant, start: bytes, limit: int, sight: Sight
) -> tuple[Sequence[Opinion | TaughtLabel], bytes]:
    """Read a page, of whom the caller may see; the second value is where the next one starts, empty on the last.

    A place is a label's id or, past the answers, DECISIONS, a decision's id and which of its pairs comes next.
    """
    found: list[Opinion | TaughtLabel] = []
    if len(start) != 18:
        opinions, after = await list_labels(engine, tenant, start, limit, sight)
        found += opinions
        if after:
            return found, after
        start = DECISIONS + bytes(17)
        if len(found) >= limit:
            return found, start
    first = (start[1:17], start[17])
    async with engine.reader(tenant) as reader:
        after = _before(first[0])
        while ids := await reader.page(NodeKind.DECISION, after, _CHUNK, {}):
            given: Counter[bytes] = Counter()
            for label in await _taught(reader, tenant, ids, sight):
                place = (label.decision.id, given[label.decision.id])
                given[label.decision.id] += 1
                if place < first:
                    continue
                if len(found) == limit:
                    return found, DECISIONS + place[0] + bytes(place[1:])
                found.append(label)
            after = ids[-1]
    return found, b""


def _before(id: bytes) -> bytes:
    """Give the greatest id that is smaller than one, so that a page after it begins with that one."""
    return (max(1, int.from_bytes(id, "big")) - 1).to_bytes(16, "big")


async def _taught(reader: Reader, tenant: Tenant, ids: Sequence[bytes], sight: Sight) -> list[TaughtLabel]:
    """Read what decisions teach, but for those that an answer came to."""
    taught = await taught_by(reader, tenant, ids)
    records = sorted({record for pairs in taught.values() for pair in pairs for record in pair})
    if not records:
        return []
    answered = {label.decision for label in read_labels(await reader.labels(records))}
    nodes = await reader.nodes([id for id in taught if id not in answered])
    seen = await seen_decisions(reader, sight, await view_decisions(reader, tenant, list(nodes.values())))
    views = {view.id: view for view in seen}
    members = await tenant.members_of((await reader.records(records)).values())
    return [
        TaughtLabel(
            views[decision],
            left,
            right,
            Answer.SAME_PERSON if is_match else Answer.DIFFERENT_PEOPLE,
            tuple(tenant.scorer.levels(members[left].profile, members[right].profile)),
        )
        for decision, pairs in taught.items()
        if decision in views
        for (left, right), is_match in pairs.items()
    ]
