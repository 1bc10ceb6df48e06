"""Keep cursors in the graph: how far each named reader of the events has come, and up to where old events were taken away.

A cursor is a node without edges that each change deletes and puts again. Its id is a blind digest of its name, so that two who
keep the same one meet at the same lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from goldenthread.graph.model import Node, NodeKind
from goldenthread.graph.store import ChangeSet, Reader, Transaction
from goldenthread.server.events.position import Position

__all__ = [
    "AGED_ID",
    "GOLDEN_ID",
    "KEPT_HOUSE_ID",
    "Cursor",
    "cursor_of",
    "cursors",
    "hold_cursor",
    "put_cursor",
    "read_cursor",
    "retained_after",
    "retention_changes",
]

_RETENTION_ID: Final = bytes(16)
GOLDEN_ID: Final = (1).to_bytes(16, "big")
"""Cursor up to which changed golden values were told."""
_NO_REVISION: Final = bytes(8) + b"\xff" * 7
"""Ids that begin so are no ids of events, which are revisions."""
AGED_ID: Final = _NO_REVISION + b"\x01"
"""Cursor that notes when golden values were last looked at for what time alone changes."""
KEPT_HOUSE_ID: Final = _NO_REVISION + b"\x02"
"""Cursor that notes when what is kept too long was last taken away."""
_LAST_OWN_ID: Final = _NO_REVISION + b"\xff"
"""Ids up to it are cursors that the service keeps for itself."""


class Cursor(Struct, frozen=True, array_like=True):
    """How far a named reader has come. Times are UTC microseconds."""

    position: Position
    created_at: int
    updated_at: int
    is_sink: bool = False
    holder: str = ""
    """The process that delivers to a sink at present, and until when nobody else does."""
    held_until: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Cursor).decode


def cursor_of(node: Node) -> Cursor:
    """Read a cursor out of its node."""
    body = node.properties["body"]
    return _decode(body if isinstance(body, bytes) else b"")


async def cursors(reader: Reader, after: bytes, limit: int) -> Sequence[tuple[bytes, str, Cursor]]:
    """List cursors with their ids and names, by id."""
    ids = await reader.page(NodeKind.CURSOR, max(after, _LAST_OWN_ID), limit, {})
    nodes = await reader.nodes(ids)
    return [(id, str(nodes[id].properties["name"]), cursor_of(nodes[id])) for id in ids if id in nodes]


def put_cursor(changes: ChangeSet, id: bytes, name: str, cursor: Cursor) -> None:
    """Put a cursor in place of the one that is stored."""
    changes.delete_nodes.append(id)
    changes.put_nodes.append(Node(NodeKind.CURSOR, id, {"name": name, "body": _encode(cursor)}))


async def retained_after(reader: Reader) -> int:
    """Get the revision up to which events were taken away; 0 when all are kept."""
    node = (await reader.nodes([_RETENTION_ID])).get(_RETENTION_ID)
    return cursor_of(node).position.revision if node is not None else 0


def retention_changes(changes: ChangeSet, revision: int, at: int) -> None:
    """Note that events up to a revision are taken away."""
    put_cursor(changes, _RETENTION_ID, "", Cursor(Position.after(revision), at, at))


async def read_cursor(reader: Reader, id: bytes) -> Cursor | None:
    """Read a cursor by its id; None when there is none."""
    node = (await reader.nodes([id])).get(id)
    return cursor_of(node) if node is not None else None


async def hold_cursor(
    transaction: Transaction, id: bytes, name: str, holder: str, at: int, micros: int, *, first: Position, takes_over: bool
) -> Cursor | None:
    """Hold a sink's cursor for a while, so that one process alone delivers from it; None when another one holds it.

    A cursor that is not there yet begins at `first`. With `takes_over`, whoever held it is known to be gone.
    """
    await transaction.lock([id])
    cursor = await read_cursor(transaction, id) or Cursor(first, at, at)
    if not takes_over and cursor.holder not in ("", holder) and cursor.held_until > at:
        return None
    held = replace(cursor, is_sink=True, holder=holder, held_until=at + micros)
    changes = ChangeSet()
    put_cursor(changes, id, name, held)
    await transaction.apply(changes)
    return held
