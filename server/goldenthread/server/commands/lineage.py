"""Tell the history of an identity's id: what it gained and lost, when, and by what.

Nothing is kept for it: records' memberships are edges that end and are never rewritten, and decisions keep when they were made
and when they ended. What a deletion removed is not told any more, and that it did is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from goldenthread.graph.model import LIVE, Edge, EdgeKind
from goldenthread.graph.store import Reader, StoredIdentity
from goldenthread.server.commands.as_of import Moment, read_at
from goldenthread.server.commands.decisions.effects import Fate
from goldenthread.server.commands.decisions.kept import BOUND, end_id
from goldenthread.server.commands.decisions.seen import hidden_decisions
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.seen import hidden_records
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import NotFound
from goldenthread.server.sight import Sight

__all__ = ["Cause", "Lineage", "LineageStep", "get_lineage"]

Cause = Literal["record", "match", "decision", "undo", "expiry", "deletion"]

_OWN = frozenset({EdgeKind.RESOLVED_TO, EdgeKind.SUPERSEDED_BY, EdgeKind.CUT})
_MEMBERSHIP = frozenset({EdgeKind.RESOLVED_TO})


class LineageStep(Struct, frozen=True):
    """What one commit did to an identity; `at` in UTC microseconds, `decision` empty unless one caused it."""

    revision: int
    at: int
    fate: Fate
    added: Sequence[bytes]
    removed: Sequence[bytes]
    gained_from: Sequence[bytes]
    lost_to: Sequence[bytes]
    cause: Cause
    decision: bytes


class Lineage(Struct, frozen=True):
    """An identity's history, and the identities that records it ever had are in."""

    identity: StoredIdentity
    steps: Sequence[LineageStep]
    parts: Sequence[bytes]


async def get_lineage(
    engine: Engine, tenant: Tenant, id: bytes, after: int, limit: int, moment: Moment | None, sight: Sight
) -> tuple[Lineage, int]:
    """Read the steps of an identity's history after a revision; the second value is where the next page starts, 0 on the last.

    Raises:
        NotFound: there was no such identity by then, or the caller may not see it.
    """
    async with read_at(engine, tenant, moment) as reader:
        identity = (await reader.identities([id])).get(id)
        node = (await reader.nodes([id])).get(id)
        if identity is None or node is None or not await sight.identities(reader, [id]):
            raise NotFound("identity")
        own = await reader.history([id], _OWN)
        records = sorted({edge.source for edge in own if edge.kind is EdgeKind.RESOLVED_TO})
        # An identity without any edge left was erased with all its records, and is gone.
        if not own:
            raise NotFound("identity")
        moves = await reader.history(records, _MEMBERSHIP) if records else []
        causes = await _causes(reader, tenant, records)
        told = _Told(id, node.recorded_from, own, moves, causes)
        revisions = [revision for revision in told.revisions() if revision > after]
        times = await reader.commit_times(revisions[:limit])
        all_steps = [told.step(revision, times.get(revision, 0)) for revision in revisions[:limit]]
        parts = sorted({edge.target for edge in moves if edge.recorded_to == LIVE})
        named = {other for step in all_steps for other in (*step.gained_from, *step.lost_to)}
        seen = await sight.identities(reader, sorted({*parts, *named}))
        hidden = await hidden_records(reader, sight, (one for step in all_steps for one in (*step.added, *step.removed)))
        unseen = await hidden_decisions(reader, sight, {step.decision for step in all_steps if step.decision})
    parts = [part for part in parts if part in seen]
    steps = [
        replace(
            step,
            added=[record for record in step.added if record not in hidden],
            removed=[record for record in step.removed if record not in hidden],
            decision=b"" if step.decision in unseen else step.decision,
            gained_from=[other for other in step.gained_from if other in seen],
            lost_to=[other for other in step.lost_to if other in seen],
        )
        for step in all_steps
    ]
    return Lineage(identity, steps, parts), revisions[limit - 1] if len(revisions) > limit else 0


async def _causes(reader: Reader, tenant: Tenant, records: Sequence[bytes]) -> dict[int, tuple[Cause, bytes]]:
    """Say at which revisions decisions about some records were made or ended."""
    ids = sorted({edge.target for edge in await reader.history(records, BOUND)}) if records else []
    ends = {end_id(tenant.vault, id): id for id in ids}
    causes: dict[int, tuple[Cause, bytes]] = {}
    for node in (await reader.nodes([*ids, *ends])).values():
        if node.id in ends:
            causes[node.recorded_from] = ("expiry" if node.properties["kind"] == "expiry" else "undo"), ends[node.id]
        else:
            causes[node.recorded_from] = "decision", node.id
    return causes


class _Told:
    """What is known of one identity, by revision."""

    def __init__(
        self,
        id: bytes,
        born: int,
        own: Sequence[Edge],
        moves: Sequence[Edge],
        causes: Mapping[int, tuple[Cause, bytes]],
    ) -> None:
        self._id, self._born, self._causes = id, born, causes
        self._added: dict[int, list[bytes]] = defaultdict(list)
        self._removed: dict[int, list[bytes]] = defaultdict(list)
        self._heirs: dict[int, list[bytes]] = defaultdict(list)
        self._cut: set[int] = set()
        for edge in own:
            if edge.kind is EdgeKind.CUT:
                self._cut.add(edge.recorded_from)
            elif edge.kind is EdgeKind.RESOLVED_TO:
                self._added[edge.recorded_from].append(edge.source)
                if edge.recorded_to < LIVE:
                    self._removed[edge.recorded_to].append(edge.source)
            elif edge.source == id:
                self._heirs[edge.recorded_from].append(edge.target)
        self._came: dict[tuple[bytes, int], bytes] = {(e.source, e.recorded_from): e.target for e in moves}
        self._left: dict[tuple[bytes, int], bytes] = {(e.source, e.recorded_to): e.target for e in moves}

    def revisions(self) -> list[int]:
        return sorted({self._born, *self._added, *self._removed, *self._heirs, *self._cut})

    def step(self, revision: int, at: int) -> LineageStep:
        added, removed = sorted(self._added.get(revision, ())), sorted(self._removed.get(revision, ()))
        gained = {self._left[record, revision] for record in added if (record, revision) in self._left}
        lost = {self._came[record, revision] for record in removed if (record, revision) in self._came}
        lost.update(self._heirs.get(revision, ()))
        cause, decision = self._cause(revision, bool(gained or lost))
        return LineageStep(
            revision,
            at,
            self._fate(revision),
            added,
            removed,
            sorted(gained - {self._id}),
            sorted(lost - {self._id}),
            cause,
            decision,
        )

    def _cause(self, revision: int, merged_or_split: bool) -> tuple[Cause, bytes]:
        if revision in self._causes:
            return self._causes[revision]
        if revision in self._cut:
            return "deletion", b""
        return ("match" if merged_or_split else "record"), b""

    def _fate(self, revision: int) -> Fate:
        if revision == self._born:
            return "created"
        if not self._members(revision):
            return "retired"
        return "changed" if self._members(revision - 1) else "restored"

    def _members(self, revision: int) -> int:
        return _count(self._added, revision) - _count(self._removed, revision)


def _count(records: Mapping[int, Iterable[bytes]], revision: int) -> int:
    return sum(len(list(some)) for since, some in records.items() if since <= revision)
