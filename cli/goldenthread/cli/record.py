"""record, records, delete: read and delete what sources said."""

from __future__ import annotations

from typing import Annotated

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
from goldenthread.cli.identity import AsOfOption

__all__ = ["add_commands"]

RecordArgument = Annotated[str, typer.Argument(help="Record's name or source:id.", show_default=False)]


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("record")(record)
    app.command("records")(records)
    app.command("delete")(delete)


def record(
    key: RecordArgument,
    history: Annotated[bool, typer.Option("--history", help="Also show earlier versions, newest first.")] = False,
    as_of: AsOfOption = "",
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Show one record, as it is or was.

    Example:

      goldenthread record crm:42 --history
    """
    from goldenthread.cli import output
    from goldenthread.cli.keys import record_key, short
    from goldenthread.cli.moments import parse_as_of
    from goldenthread.client import to_dict, value_text

    moment = parse_as_of(as_of)
    with connect(server, token, tenant, tls_ca, data) as client:
        answer = client.get_record(record_key(client, key), as_of=moment, include_history=history)
    if json:
        output.print_json(to_dict(answer))
        return
    if answer.history_was_cut:
        output.note("Part of what was asked for has been deleted since.")
    for version in [answer.record, *answer.history]:
        title = f"{version.source} {version.source_record_id}, observed {version.observed_at.ToDatetime():%Y-%m-%d %H:%M}"
        rows = [[value.attribute, value_text(value)] for value in version.attributes]
        rows += [
            [f"consent {c.purpose}", f"{_state(c.state)} on {c.event_time.ToDatetime():%Y-%m-%d}"] for c in version.consents
        ]
        rows += [["identity", short(version.identity)]] if version.identity else []
        output.show(output.table(title, ["attribute", "value"], rows))


def records(
    source: Annotated[str, typer.Option("--source", help="Only of this source.", show_default=False)] = "",
    limit: Annotated[int, typer.Option("--limit", help="At most so many.", min=1)] = 50,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """List records.

    Example:

      goldenthread records --source crm --limit 10
    """
    from goldenthread.cli import output
    from goldenthread.cli.keys import short
    from goldenthread.client import to_dict

    with connect(server, token, tenant, tls_ca, data) as client:
        found = output.limited(client.list_records(source=source, page_size=min(limit + 1, 1000)), limit)
    if json:
        output.print_json([to_dict(each) for each in found])
        return
    rows = [[each.source, each.source_record_id, short(each.identity), short(each.name)] for each in found]
    output.show(output.table("", ["source", "id", "identity", "record"], rows))


def delete(
    key: RecordArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Delete a record with its history and destroy its keys. This can't be undone.

    Example:

      goldenthread delete crm:42 --yes
    """
    from goldenthread.cli import output
    from goldenthread.cli.keys import record_key, short
    from goldenthread.client import to_dict

    if not yes:
        typer.confirm("Delete the record with its history? This can't be undone", abort=True, err=True)
    with connect(server, token, tenant, tls_ca, data) as client:
        answer = client.delete_record(record_key(client, key))
    if json:
        output.print_json(to_dict(answer))
        return
    output.show(f"{short(answer.record)} is deleted, at revision {answer.revision}.")


def _state(state: int) -> str:
    """Write a consent's state as a word."""
    from goldenthread.client import ConsentState

    return ConsentState(state).name.lower().replace("_", " ")
