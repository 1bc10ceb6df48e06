"""Keep, read and delete subscriptions: how far named readers of the events have come."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from goldenthread.graph.model import NodeKind
from goldenthread.graph.store import ChangeSet, Reader, Transaction
from goldenthread.server.commands.dead_letters import count_dead_letters
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.idempotency import Request, once
from goldenthread.server.commands.ids import now
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import CursorTooOld, InvalidField, NotFound
from goldenthread.server.events.cursors import Cursor, cursor_of, cursors, put_cursor, retained_after
from goldenthread.server.events.position import Position
from goldenthread.server.events.reading import Wanted, oldest_position, read_batch
from goldenthread.server.sight import EVERYBODY, Sight

__all__ = [
    "SubscriptionDeleted",
    "SubscriptionView",
    "acknowledge",
    "delete_subscription",
    "get_subscription",
    "list_subscriptions",
    "stored_position",
    "subscription_id",
]


class SubscriptionView(Struct, frozen=True):
    """A subscription and how far it lags: commits and microseconds since the first event that waits."""

    name: str
    cursor: Cursor
    lag_revisions: int
    lag_micros: int
    dead_letters: int
    revision: int


class SubscriptionDeleted(Struct, frozen=True):
    """The revision at which a subscription was deleted."""

    revision: int


def subscription_id(tenant: Tenant, name: str) -> bytes:
    """Get the id of a subscription's node."""
    return tenant.vault.blind("cursor", name)


async def stored_position(reader: Reader, tenant: Tenant, name: str) -> Position | None:
    """Get how far a subscription has come; None when it was never acknowledged."""
    id = subscription_id(tenant, name)
    node = (await reader.nodes([id])).get(id)
    return cursor_of(node).position if node is not None else None


async def acknowledge(
    engine: Engine, tenant: Tenant, name: str, position: Position, sight: Sight, *, rewind: bool
) -> SubscriptionView:
    """Keep how far a subscription has come; it goes back only when told to rewind.

    Raises:
        InvalidField: the position lies in the future.
        CursorTooOld: events after the position are no longer kept.
    """
    id = subscription_id(tenant, name)

    async def work(transaction: Transaction, at: int) -> None:
        await transaction.lock([id])
        latest = transaction.revision.number
        if position.revision > latest:
            raise InvalidField("cursor", f"lies after the latest revision, {latest}")
        oldest = await retained_after(transaction)
        node = (await transaction.nodes([id])).get(id)
        former = cursor_of(node) if node is not None else None
        if former is not None and (position == former.position or (position < former.position and not rewind)):
            return
        if position.revision < oldest:
            raise CursorTooOld(str(position), str(Position.after(oldest)))
        changes = ChangeSet()
        put_cursor(changes, id, name, _moved(former, position, at))
        await transaction.apply(changes)

    await engine.write(tenant, work)
    return await get_subscription(engine, tenant, name, sight)


def _moved(former: Cursor | None, position: Position, at: int) -> Cursor:
    if former is None:
        return Cursor(position, at, at)
    return Cursor(position, former.created_at, at, former.is_sink, former.holder, former.held_until)


async def get_subscription(engine: Engine, tenant: Tenant, name: str, sight: Sight) -> SubscriptionView:
    """Read a subscription.

    Raises:
        NotFound: nothing was acknowledged under that name.
    """
    id = subscription_id(tenant, name)
    async with engine.reader(tenant) as reader:
        node = (await reader.nodes([id])).get(id)
        if node is None:
            raise NotFound("subscription")
        return await _view(reader, tenant, name, cursor_of(node), sight)


async def list_subscriptions(
    engine: Engine, tenant: Tenant, after: bytes, limit: int, sight: Sight
) -> tuple[Sequence[SubscriptionView], bytes]:
    """Read a page of subscriptions; the second value is where the next page starts, empty on the last."""
    async with engine.reader(tenant) as reader:
        found = await cursors(reader, after, limit + 1)
        views = [await _view(reader, tenant, name, cursor, sight) for _, name, cursor in found[:limit]]
    return views, found[limit - 1][0] if len(found) > limit else b""


async def delete_subscription(engine: Engine, tenant: Tenant, name: str, request: Request) -> SubscriptionDeleted:
    """Forget how far a subscription has come.

    Raises:
        NotFound: nothing was acknowledged under that name.
    """
    id = subscription_id(tenant, name)

    async def work(transaction: Transaction, at: int) -> SubscriptionDeleted:
        async def change() -> tuple[ChangeSet, SubscriptionDeleted]:
            await transaction.lock([id])
            node = (await transaction.nodes([id])).get(id)
            if node is None or node.kind is not NodeKind.CURSOR:
                raise NotFound("subscription")
            return ChangeSet(delete_nodes=[id]), SubscriptionDeleted(transaction.revision.number + 1)

        return await once(transaction, tenant, request, at, SubscriptionDeleted, change)

    return await engine.write(tenant, work)


async def _view(reader: Reader, tenant: Tenant, name: str, cursor: Cursor, sight: Sight) -> SubscriptionView:
    """Say how far a subscription lags: since when the first event that is kept and not acknowledged has waited, anybody's."""
    latest = reader.revision.number
    letters = await count_dead_letters(reader, tenant, name, sight) if cursor.is_sink else 0
    position = max(cursor.position, await oldest_position(reader))
    waiting = (await read_batch(reader, position, Wanted(), 1, EVERYBODY)).events
    if not waiting:
        return SubscriptionView(name, cursor, 0, 0, letters, latest)
    behind = latest - waiting[0].revision + 1
    return SubscriptionView(name, cursor, behind, max(now() - waiting[0].at, 0), letters, latest)
