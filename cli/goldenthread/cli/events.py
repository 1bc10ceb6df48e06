"""events: follow what happens to identities, list it, and keep how far a subscription has come."""

from __future__ import annotations

import json as jsonlib
import re
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from goldenthread.cli.connect import (
    DEFAULT_DATA,
    DEFAULT_SERVER,
    DataOption,
    JsonOption,
    ServerOption,
    TenantOption,
    TlsCaOption,
    TokenOption,
    connect,
)

if TYPE_CHECKING:
    from goldenthread.client import Event, EventType, Following, Subscription

__all__ = ["add_commands"]

events = typer.Typer(help="Follow what happens to identities.", no_args_is_help=True)

CursorOption = Annotated[
    str, typer.Option("--cursor", help="Start after this cursor; with the oldest event by default.", show_default=False)
]
TypeOption = Annotated[
    list[str] | None,
    typer.Option("--type", help="Only events of this type, as identities-merged; may be repeated.", show_default=False),
]
IdentityOption = Annotated[
    list[str] | None,
    typer.Option("--identity", help="Only events of this identity, by name; may be repeated.", show_default=False),
]
SubscriptionArgument = Annotated[str, typer.Argument(help="Subscription's name.", show_default=False)]

SinkArgument = Annotated[str, typer.Argument(help="Sink's name.", show_default=False)]

_CURSOR = re.compile(r"[0-9]{1,18}(-[0-9]{1,9})?")
_RECORDS_NAMED = 3
_REPLAY_SECONDS = 600.0


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(events, name="events")


@events.command("watch")
def watch(
    subscription: Annotated[
        str, typer.Option("--subscription", help="Go on where this one was acknowledged.", show_default=False)
    ] = "",
    ack: Annotated[bool, typer.Option("--ack", help="Acknowledge what was written, for the subscription.")] = False,
    cursor: CursorOption = "",
    only_new: Annotated[bool, typer.Option("--new", help="Only what is committed from now on.")] = False,
    type: TypeOption = None,
    identity: IdentityOption = None,
    count: Annotated[
        int | None, typer.Option("--count", help="End after so many events; never by default.", min=1, show_default=False)
    ] = None,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Write events as they are committed, one a line, until Ctrl-C; with --json an object a line.

    Examples:

      goldenthread events watch --new

      goldenthread events watch --subscription crm --ack --type identities-merged --json
    """
    from goldenthread.cli import output
    from goldenthread.cli.errors import UsageError
    from goldenthread.client.errors import Retryable

    if ack and not subscription:
        raise UsageError("--ack needs to know whose cursor to keep.", "Give --subscription too.")
    wanted = _following(type, identity, cursor, subscription=subscription, only_new=only_new)
    left = count
    with connect(server, token, tenant, tls_ca, data) as client:
        for heard in client.subscribe(wanted):
            taken = heard.events if left is None else heard.events[:left]
            _write(taken, json=json)
            if ack and (taken or left is None):
                try:
                    client.acknowledge(subscription, heard if len(taken) == len(heard.events) else taken[-1])
                except Retryable:
                    output.note("What was written last is not acknowledged yet; that goes with what comes next.")
            if left is not None:
                left -= len(taken)
                if not left:
                    return


@events.command("list")
def list_(
    cursor: CursorOption = "",
    type: TypeOption = None,
    identity: IdentityOption = None,
    limit: Annotated[int, typer.Option("--limit", help="At most so many.", min=1)] = 50,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """List stored events, oldest first.

    Example:

      goldenthread events list --cursor 120 --limit 20
    """
    from goldenthread.cli import output
    from goldenthread.client import to_dict

    wanted = _following(type, identity, cursor)
    with connect(server, token, tenant, tls_ca, data) as client:
        found = output.limited(client.list_events(wanted, page_size=min(limit + 1, 1000)), limit)
    if json:
        output.print_json([to_dict(event) for event in found])
        return
    _write(found, json=False)


@events.command("ack")
def ack(
    subscription: SubscriptionArgument,
    cursor: Annotated[str, typer.Argument(help="Cursor: everything up to it is done.", show_default=False)],
    rewind: Annotated[bool, typer.Option("--rewind", help="Let it go back, so that events are sent again.")] = False,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Keep how far a subscription has come; makes it when there is none of that name.

    Examples:

      goldenthread events ack crm 120-3

      goldenthread events ack crm 0 --rewind
    """
    from goldenthread.cli import output
    from goldenthread.client import to_dict

    _check_cursor(cursor)
    with connect(server, token, tenant, tls_ca, data) as client:
        kept = client.acknowledge(subscription, cursor.rpartition("/")[2], rewind=rewind)
    if json:
        output.print_json(to_dict(kept))
        return
    _show([kept])
    if kept.cursor != cursor.rpartition("/")[2] and not rewind:
        output.note(f"It had come further, so it stays at {kept.cursor}; --rewind sets it back.")


@events.command("subscriptions")
def subscriptions(
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """List subscriptions with how far they lag.

    Example:

      goldenthread events subscriptions
    """
    from goldenthread.cli import output
    from goldenthread.client import to_dict

    with connect(server, token, tenant, tls_ca, data) as client:
        found = list(client.list_subscriptions())
    if json:
        output.print_json([to_dict(each) for each in found])
        return
    _show(found)


@events.command("dead-letters")
def dead_letters(
    sink: SinkArgument,
    limit: Annotated[int, typer.Option("--limit", help="At most so many.", min=1)] = 50,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """List the events that a sink could not deliver, oldest first.

    Example:

      goldenthread events dead-letters crm
    """
    from goldenthread.cli import output
    from goldenthread.client import to_dict

    with connect(server, token, tenant, tls_ca, data) as client:
        found = output.limited(client.list_dead_letters(sink, page_size=min(limit + 1, 1000)), limit)
    if json:
        output.print_json([to_dict(letter) for letter in found])
        return
    rows = [[_line(letter.event), str(letter.attempts), letter.problem] for letter in found]
    output.show(output.table("", ["event", "tries", "problem"], rows, numbers=["tries"]))


@events.command("replay")
def replay(
    sink: SinkArgument,
    event: Annotated[
        list[str] | None,
        typer.Option("--event", help="Only this event, as 120-3; may be repeated; all by default.", show_default=False),
    ] = None,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Have a sink's dead letters delivered again.

    Examples:

      goldenthread events replay crm

      goldenthread events replay crm --event 120-3
    """
    from goldenthread.cli import output
    from goldenthread.client import to_dict

    with connect(server, token, tenant, tls_ca, data, timeout_seconds=_REPLAY_SECONDS) as client:
        done = client.replay_dead_letters(sink, event or ())
    if json:
        output.print_json(to_dict(done))
        return
    output.show(f"Delivered {done.delivered}; {done.failed} failed again.")


@events.command("forget")
def forget(
    subscription: SubscriptionArgument,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Delete a subscription; its events stay.

    Example:

      goldenthread events forget crm
    """
    from goldenthread.cli import output
    from goldenthread.client import to_dict

    with connect(server, token, tenant, tls_ca, data) as client:
        deleted = client.delete_subscription(subscription)
    if json:
        output.print_json(to_dict(deleted))
        return
    output.show(f"Deleted the subscription {subscription}.")


def _following(
    types: Iterable[str] | None,
    identities: Iterable[str] | None,
    cursor: str,
    *,
    subscription: str = "",
    only_new: bool = False,
) -> Following:
    from goldenthread.client import Following

    _check_cursor(cursor)
    return Following(subscription, cursor, only_new, [_type_of(text) for text in types or ()], list(identities or ()))


def _check_cursor(cursor: str) -> None:
    """Raise UsageError when it is no cursor, nor the name of an event."""
    from goldenthread.cli.errors import UsageError

    if cursor and not _CURSOR.fullmatch(cursor.rpartition("/")[2]):
        raise UsageError(f"{cursor} is no cursor.", "Give a revision, as 120, or an event's last part, as 120-3.")


def _type_of(text: str) -> EventType.ValueType:
    from goldenthread.cli.errors import UsageError
    from goldenthread.client import EventType

    known = {_word(name): value for name, value in EventType.items() if value}
    if text.lower() not in known:
        raise UsageError(f"--type {text} is no type of event.", f"Use one of {', '.join(known)}.")
    return known[text.lower()]


def _word(type: str) -> str:
    """Write a type as people do: identities-merged."""
    return type.removeprefix("EVENT_TYPE_").lower().replace("_", "-")


def _write(found: Iterable[Event], *, json: bool) -> None:
    """Write events as lines, at once, so that a pipe gets each when it happens."""
    from goldenthread.client import to_dict

    for event in found:
        sys.stdout.write((jsonlib.dumps(to_dict(event)) if json else _line(event)) + "\n")
    sys.stdout.flush()


def _line(event: Event) -> str:
    from goldenthread.cli.keys import short
    from goldenthread.client import EventType

    place = f"{event.revision}-{event.index}"
    return "  ".join(
        [f"{place:<10}", f"{_word(EventType.Name(event.type)):<22}", short(event.identity), ", ".join(_details(event))]
    ).rstrip()


def _details(event: Event) -> Iterator[str]:
    from goldenthread.cli.keys import short

    for sign, names in (("+", event.added), ("-", event.removed)):
        shown = " ".join(sign + short(name) for name in names[:_RECORDS_NAMED])
        if names:
            yield shown + (f" and {len(names) - _RECORDS_NAMED} more" if len(names) > _RECORDS_NAMED else "")
    if event.former and list(event.former) != [event.identity]:
        yield "from " + " ".join(short(name) for name in event.former)
    if event.into and list(event.into) != [event.identity]:
        yield "into " + " ".join(short(name) for name in event.into)
    if event.fields:
        yield "changed " + " ".join(event.fields)


def _show(found: Iterable[Subscription]) -> None:
    from goldenthread.cli import output

    rows = [[each.name.rpartition("/")[2], each.cursor, str(each.lag_revisions), f"{each.lag_seconds:,.1f}"] for each in found]
    columns = ["subscription", "cursor", "commits behind", "seconds behind"]
    output.show(output.table("", columns, rows, numbers=columns[1:]))
