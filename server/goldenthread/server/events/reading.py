"""Read events from a position on, in order and without gaps, as far as they are kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from goldenthread.graph.model import Node
from goldenthread.graph.store import Reader
from goldenthread.server.errors import CursorTooOld, InvalidField
from goldenthread.server.events.cursors import retained_after
from goldenthread.server.events.outbox import Event, EventType, unfold
from goldenthread.server.events.position import Position
from goldenthread.server.events.seen import seen_events
from goldenthread.server.sight import Sight

__all__ = ["Batch", "Wanted", "oldest_position", "parse_position", "read_batch"]

_POSITION = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,9}))?")
_COMMITS_AT_ONCE: Final = 32
_NAMES_AT_ONCE: Final = 20_000
"""Names of records in a batch past which it is full, so that events of large identities make no message too large."""


class Wanted(Struct, frozen=True):
    """Which events are asked for; all where a set is empty."""

    types: frozenset[EventType] = frozenset()
    identities: frozenset[bytes] = frozenset()

    def takes(self, event: Event) -> bool:
        """Say whether an event is asked for."""
        if self.types and event.type not in self.types:
            return False
        return not self.identities or not self.identities.isdisjoint((event.identity, *event.former, *event.into))


class Batch(Struct, frozen=True):
    """The next events that are asked for, and how far they were looked for; `is_end` when nothing is stored after that."""

    events: Sequence[Event]
    position: Position
    is_end: bool


def parse_position(text: str, field: str = "cursor") -> Position:
    """Read a cursor.

    Raises:
        InvalidField: it is none.
    """
    match = _POSITION.fullmatch(text)
    if match is None:
        raise InvalidField(field, "must be a cursor of a message or the last part of an event's name")
    return Position.after(int(match[1])) if match[2] is None else Position(int(match[1]), int(match[2]))


async def oldest_position(reader: Reader) -> Position:
    """Say where the oldest event that is kept begins."""
    return Position.after(await retained_after(reader))


async def read_batch(reader: Reader, position: Position, wanted: Wanted, limit: int, sight: Sight) -> Batch:
    """Read the events after a position, up to `limit` that are asked for and that the caller may see.

    The position passes over the others.

    Raises:
        CursorTooOld: events after the position are no longer kept.
        InvalidField: the position lies in the future.
    """
    latest = reader.revision.number
    if position.revision > latest:
        raise InvalidField("cursor", f"lies after the latest revision, {latest}")
    most = min(_COMMITS_AT_ONCE, limit + 1)
    commits = await reader.events(max(position.revision - 1, 0), most)
    # Looked at after the events were read: what was taken away meanwhile is noticed.
    oldest = await retained_after(reader)
    if position.revision < oldest:
        raise CursorTooOld(str(position), str(Position.after(oldest)))
    times = await reader.commit_times([commit.recorded_from for commit in commits]) if commits else {}
    found: list[Event] = []
    names = 0
    for commit in commits:
        told = _events_of(commit, times.get(commit.recorded_from, 0))
        for event in await seen_events(reader, sight, told):
            place = Position(event.revision, event.index)
            if place <= position:
                continue
            if len(found) == limit or names > _NAMES_AT_ONCE:
                return Batch(found, position, False)
            position = place
            if wanted.takes(event):
                found.append(event)
                names += len(event.before) + len(event.after)
        position = max(position, Position.after(commit.recorded_from))
    if len(commits) == most:
        return Batch(found, position, False)
    return Batch(found, Position.after(latest), True)


def _events_of(commit: Node, at: int) -> list[Event]:
    body = commit.properties["body"]
    return unfold(commit.recorded_from, at, body if isinstance(body, bytes) else b"")
