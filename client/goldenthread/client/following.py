"""Say which events are followed, and how to go on with what was heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from goldenthread.v1.event_service_pb2 import Event, EventType, SubscribeResponse

__all__ = ["Events", "Following", "cursor_of"]


@dataclass(frozen=True, slots=True)
class Following:
    """Which events are asked for, and from where on.

    A `subscription` starts where it was last acknowledged; a `cursor`, which has precedence, after that event. Without either
    the oldest event that is kept is the first, or with `only_new` the next one that is committed.
    """

    subscription: str = ""
    cursor: str = ""
    only_new: bool = False
    types: Sequence[EventType.ValueType] = ()
    identities: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Events:
    """Some events in order, none in a heartbeat; everything up to `cursor` was heard."""

    events: Sequence[Event] = field(default_factory=tuple)
    cursor: str = ""
    revision: int = 0

    @classmethod
    def of(cls, message: SubscribeResponse) -> Events:
        """Read a message of the stream."""
        return cls(tuple(message.events), message.cursor, message.revision)


def cursor_of(event: Event | Events | str) -> str:
    """Get the cursor after an event, after some, or as it is given."""
    if isinstance(event, Events):
        return event.cursor
    return event if isinstance(event, str) else f"{event.revision}-{event.index}"
