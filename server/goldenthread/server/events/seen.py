"""Leave out of events whom a caller may not see."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from goldenthread.graph.store import Reader
from goldenthread.server.commands.seen import hidden_records
from goldenthread.server.events.outbox import Event
from goldenthread.server.sight import Sight

__all__ = ["seen_events"]


async def seen_events(reader: Reader, sight: Sight, events: Sequence[Event]) -> Sequence[Event]:
    """Leave out the events of whom a caller may not see now, and out of the others their names and those of their records."""
    if sight.sees_everybody or not events:
        return events
    seen = await sight.identities(reader, sorted({id for one in events for id in (one.identity, *one.former, *one.into)}))
    kept = [event for event in events if event.identity in seen]
    named = (record for one in kept for record in (*one.before, *one.after, *one.added, *one.removed))
    hidden = await hidden_records(reader, sight, named)

    def shown(records: Sequence[bytes]) -> list[bytes]:
        return [record for record in records if record not in hidden]

    return [
        replace(
            event,
            before=shown(event.before),
            after=shown(event.after),
            added=shown(event.added),
            removed=shown(event.removed),
            former=[id for id in event.former if id in seen],
            into=[id for id in event.into if id in seen],
        )
        for event in kept
    ]
