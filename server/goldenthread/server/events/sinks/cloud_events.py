"""Write events as CloudEvents 1.0 in JSON (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from goldenthread.server.commands.ids import name_of
from goldenthread.server.events.outbox import Event, EventType
from goldenthread.server.events.sinks.sink import Message

__all__ = ["CONTENT_TYPE", "message_of"]

CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"
_MICROS: Final = 1_000_000


def message_of(tenant: str, event: Event) -> Message:
    """Write an event; `sequence` and `partitionkey` are the extensions of those names."""
    place = f"{event.revision}-{event.index}"
    body = {
        "specversion": "1.0",
        "id": place,
        "source": f"/goldenthread/tenants/{tenant}",
        "type": f"goldenthread.v1.{event.type.name.lower()}",
        "subject": name_of(tenant, "identities", event.identity),
        "time": datetime.fromtimestamp(event.at / _MICROS, UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "sequence": f"{event.revision:019d}-{event.index:010d}",
        "partitionkey": event.identity.hex(),
        "data": _data(tenant, event, place),
    }
    return Message(f"{tenant}-{place}", event.identity.hex(), msgspec.json.encode(body))


def _data(tenant: str, event: Event, place: str) -> dict[str, object]:
    """Write what the event says, with the names that the proto has; what is empty is left out."""

    def names(collection: str, ids: Sequence[bytes]) -> list[str]:
        return [name_of(tenant, collection, id) for id in ids]

    said: dict[str, object] = {
        "name": f"tenants/{tenant}/events/{place}",
        "revision": event.revision,
        "index": event.index,
        "type": f"EVENT_TYPE_{event.type.name}",
        "identity": name_of(tenant, "identities", event.identity),
    }
    if event.type is not EventType.GOLDEN_VALUES_CHANGED:
        said |= {"before": names("records", event.before), "after": names("records", event.after)}
    more: dict[str, Sequence[str]] = {
        "added": names("records", event.added),
        "removed": names("records", event.removed),
        "former": names("identities", event.former),
        "into": names("identities", event.into),
        "fields": list(event.fields),
    }
    return said | {name: values for name, values in more.items() if values}
