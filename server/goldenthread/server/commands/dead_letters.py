"""Keep, list and replay the events that sinks could not deliver."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from goldenthread.graph.model import Node, NodeKind
from goldenthread.graph.store import ChangeSet, Reader, Transaction
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import FailedPrecondition
from goldenthread.server.events.position import Position
from goldenthread.server.events.seen import seen_events
from goldenthread.server.events.sinks.cloud_events import message_of
from goldenthread.server.events.sinks.dead_letter import DeadLetter
from goldenthread.server.events.sinks.sink import DeliveryFailed
from goldenthread.server.sight import Sight

__all__ = ["Replayed", "count_dead_letters", "list_dead_letters", "put_dead_letter", "replay_dead_letters"]

_PREFIX: Final = 4
_REPLAYED_AT_ONCE: Final = 1_000
MOST_COUNTED: Final = 1_000
"""Dead letters of one sink that are counted; with more the count stays there."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(DeadLetter).decode


class Replayed(Struct, frozen=True):
    """How many dead letters were delivered, and how many failed again."""

    delivered: int
    failed: int


def put_dead_letter(changes: ChangeSet, tenant: Tenant, sink: str, letter: DeadLetter) -> None:
    """Put a dead letter in place of an earlier one of the same event."""
    id = _id(tenant, sink, _place_of(letter))
    changes.delete_nodes.append(id)
    changes.put_nodes.append(Node(NodeKind.DEAD_LETTER, id, {"body": _encode(letter)}))


async def count_dead_letters(reader: Reader, tenant: Tenant, sink: str, sight: Sight) -> int:
    """Count the dead letters of a sink about whom the caller may see, among the most that are counted."""
    ids = await _ids(reader, tenant, sink, b"", MOST_COUNTED)
    return len(ids) if sight.sees_everybody else len(await _seen(reader, sight, await _letters(reader, ids)))


async def list_dead_letters(
    engine: Engine, tenant: Tenant, sink: str, after: bytes, limit: int, sight: Sight
) -> tuple[Sequence[DeadLetter], bytes]:
    """Read a page of a sink's dead letters about whom the caller may see, oldest first, and where the next page starts."""
    async with engine.reader(tenant) as reader:
        ids = await _ids(reader, tenant, sink, after, limit + 1)
        letters = await _seen(reader, sight, await _letters(reader, ids[:limit]))
    return letters, ids[limit - 1] if len(ids) > limit else b""


async def replay_dead_letters(engine: Engine, tenant: Tenant, sink: str, events: frozenset[Position], sight: Sight) -> Replayed:
    """Deliver dead letters again, once each and in order: those of some events, or all when empty.

    Those about somebody whom the caller may not see are left alone. What was delivered is no dead letter any more, so replaying
    twice delivers once.

    Raises:
        FailedPrecondition: this server has no such sink.
    """
    target = engine.sinks.get((tenant.name, sink))
    if target is None:
        raise FailedPrecondition("this server's settings have no sink of that name; ask one that has, or add it")
    after, delivered, failed = b"", 0, 0
    while True:
        async with engine.reader(tenant) as reader:
            ids = await _ids(reader, tenant, sink, after, _REPLAYED_AT_ONCE)
            letters = await _letters(reader, ids)
            seen = {_place_of(letter) for letter in await _seen(reader, sight, letters)}
        if not ids:
            return Replayed(delivered, failed)
        after = ids[-1]
        changes = ChangeSet()
        for letter in letters:
            place = _place_of(letter)
            if place not in seen or (events and place not in events):
                continue
            try:
                await target.deliver([message_of(tenant.name, letter.event)])
            except DeliveryFailed as error:
                failed += 1
                tried = DeadLetter(letter.event, letter.attempts + 1, error.problem, letter.given_up_at)
                put_dead_letter(changes, tenant, sink, tried)
            else:
                delivered += 1
                changes.delete_nodes.append(_id(tenant, sink, place))
        await _apply(engine, tenant, changes)


async def _apply(engine: Engine, tenant: Tenant, changes: ChangeSet) -> None:
    if not changes.delete_nodes:
        return

    async def work(transaction: Transaction, at: int) -> None:
        await transaction.lock(changes.delete_nodes)
        still = await transaction.nodes(changes.delete_nodes)
        await transaction.apply(
            ChangeSet(
                delete_nodes=[id for id in changes.delete_nodes if id in still],
                put_nodes=[node for node in changes.put_nodes if node.id in still],
            )
        )

    await engine.write(tenant, work)


def _id(tenant: Tenant, sink: str, place: Position) -> bytes:
    """Name a dead letter: by its sink first, then in the order of events."""
    return _sink_prefix(tenant, sink) + struct.pack(">QI", place.revision, place.index)


def _sink_prefix(tenant: Tenant, sink: str) -> bytes:
    return tenant.vault.blind("dead-letters", sink)[:_PREFIX]


async def _ids(reader: Reader, tenant: Tenant, sink: str, after: bytes, limit: int) -> list[bytes]:
    prefix = _sink_prefix(tenant, sink)
    start = after or prefix + bytes(16 - _PREFIX)
    return [id for id in await reader.page(NodeKind.DEAD_LETTER, start, limit, {}) if id.startswith(prefix)]


async def _seen(reader: Reader, sight: Sight, letters: Sequence[DeadLetter]) -> Sequence[DeadLetter]:
    if sight.sees_everybody:
        return letters
    events = {Position(e.revision, e.index): e for e in await seen_events(reader, sight, [letter.event for letter in letters])}
    return [msgspec.structs.replace(one, event=events[place]) for one in letters if (place := _place_of(one)) in events]


def _place_of(letter: DeadLetter) -> Position:
    return Position(letter.event.revision, letter.event.index)


async def _letters(reader: Reader, ids: Sequence[bytes]) -> list[DeadLetter]:
    return list(_opened(await reader.nodes(ids), ids))


def _opened(nodes: dict[bytes, Node], ids: Sequence[bytes]) -> Iterator[DeadLetter]:
    for id in ids:
        body = nodes[id].properties["body"] if id in nodes else None
        if isinstance(body, bytes):
            yield _decode(body)
