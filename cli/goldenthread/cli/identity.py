"""identity, identities, lineage, merge, split: read identities, and correct them."""

from __future__ import annotations

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
from goldenthread.cli.decisions import DryRunOption, ExpiresOption, OverrideOption, ReasonOption, expire_time, show_effect

if TYPE_CHECKING:
    from rich.console import RenderableType

    from goldenthread.client import Client, Identity

__all__ = ["AsOfOption", "KeyArgument", "add_commands"]

KeyArgument = Annotated[
    str, typer.Argument(help="Identity's name, source:id, an email, a phone or type=value.", show_default=False)
]
AsOfOption = Annotated[
    str, typer.Option("--as-of", help="Read as of a revision or a time such as 2025-01-31T12:00.", show_default=False)
]

RECORDS_SHOWN = 25


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("identity")(identity)
    app.command("identities")(identities)
    app.command("lineage")(lineage)
    app.command("merge")(merge)
    app.command("split")(split)


def identity(
    key: KeyArgument,
    as_of: AsOfOption = "",
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Show one identity with its records.

    Examples:

      goldenthread identity ann@example.org

      goldenthread identity crm:42 --as-of 2025-01-31
    """
    from goldenthread.cli import output
    from goldenthread.cli.keys import fetch_identity, short
    from goldenthread.cli.moments import parse_as_of
    from goldenthread.client import to_dict

    moment = parse_as_of(as_of)
    with connect(server, token, tenant, tls_ca, data) as client:
        answer = fetch_identity(client, key, moment)
        if json:
            output.print_json(to_dict(answer))
            return
        if answer.superseded_name:
            output.note(f"{short(answer.superseded_name)} is now {short(answer.identity.name)}.")
        if answer.history_was_cut:
            output.note("Part of what was asked for has been deleted since.")
        output.show(_laid_out(client, answer.identity))
        if answer.others:
            output.show("The identifier is shared with " + ", ".join(short(name) for name in answer.others))


def identities(
    min_records: Annotated[int, typer.Option("--min-records", help="Only those with at least so many records.", min=0)] = 0,
    limit: Annotated[int, typer.Option("--limit", help="At most so many.", min=1)] = 50,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """List identities.

    Example:

      goldenthread identities --min-records 3 --limit 20
    """
    from goldenthread.cli import output
    from goldenthread.cli.keys import short
    from goldenthread.client import to_dict

    with connect(server, token, tenant, tls_ca, data) as client:
        found = output.limited(client.list_identities(min_records=min_records, page_size=min(limit + 1, 1000)), limit)
    if json:
        output.print_json([to_dict(each) for each in found])
        return
    rows = [[short(each.name), str(len(each.records)), str(len(each.households)), str(each.revision)] for each in found]
    columns = ["identity", "records", "households", "revision"]
    output.show(output.table("", columns, rows, numbers=columns[1:]))


def lineage(
    key: KeyArgument,
    as_of: AsOfOption = "",
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Tell the history of an identity's name: what it gained and lost, when, and by what.

    A retired name has its history too.

    Example:

      goldenthread lineage crm:42
    """
    from goldenthread.cli import output
    from goldenthread.cli.keys import find_identity_name, short
    from goldenthread.cli.moments import parse_as_of
    from goldenthread.client import to_dict
    from goldenthread.v1.decision_service_pb2 import IdentityFate
    from goldenthread.v1.resolution_service_pb2 import LineageCause

    moment = parse_as_of(as_of)
    with connect(server, token, tenant, tls_ca, data) as client:
        name = find_identity_name(client, key)
        answer = client.get_identity_lineage(name, as_of=moment)
        while answer.next_page_token:
            page = client.get_identity_lineage(name, page_token=answer.next_page_token, as_of=moment)
            answer.steps.extend(page.steps)
            answer.next_page_token = page.next_page_token
    if json:
        output.print_json(to_dict(answer))
        return
    rows = [
        [
            str(step.revision),
            output.time_text(step.time),
            IdentityFate.Name(step.fate).removeprefix("IDENTITY_FATE_").lower(),
            f"+{len(step.records_added)} −{len(step.records_removed)}",  # noqa: RUF001 - a minus sign
            ", ".join(short(other) for other in step.gained_from),
            ", ".join(short(other) for other in step.lost_to),
            LineageCause.Name(step.cause).removeprefix("LINEAGE_CAUSE_").lower(),
        ]
        for step in answer.steps
    ]
    columns = ["revision", "time", "", "records", "from", "to", "by"]
    output.show(output.table(short(answer.identity.name), columns, rows, numbers=["revision"]))
    if answer.history_was_cut:
        output.note("Part of what was asked for has been deleted since.")
    if list(answer.parts) != [answer.identity.name]:
        output.show("Its records are now in " + (", ".join(short(part) for part in answer.parts) or "no identity"))


def merge(
    keys: Annotated[list[str], typer.Argument(help="Two or more identities.", show_default=False)],
    reason: ReasonOption,
    expires: ExpiresOption = "",
    override_vetoes: OverrideOption = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Merge identities, to stay so.

    The decision outlives later loads; `goldenthread decisions undo` takes it back.

    Example:

      goldenthread merge crm:42 webshop:977 --reason "same passport seen in store" --dry-run
    """
    from goldenthread.cli import output
    from goldenthread.cli.keys import find_identity_name, short
    from goldenthread.client import to_dict

    until = expire_time(expires)
    with connect(server, token, tenant, tls_ca, data) as client:
        names = [find_identity_name(client, key) for key in keys]
        answer = client.merge_identities(
            names, reason=reason, validate_only=dry_run, expire_time=until, overrides_veto=override_vetoes
        )
    if json:
        output.print_json(to_dict(answer))
        return
    done = "They would be" if dry_run else "They are now"
    output.show(f"{done} {short(answer.identity.name)}, of {len(answer.identity.records)} records.")
    if answer.superseded:
        output.show("Retired: " + ", ".join(short(name) for name in answer.superseded))
    show_effect(answer.effect, dry_run=dry_run)


def split(
    key: KeyArgument,
    records: Annotated[list[str], typer.Argument(help="Records to split off, by name or source:id.", show_default=False)],
    reason: ReasonOption,
    expires: ExpiresOption = "",
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Split records off an identity, to stay so.

    The decision outlives later loads; `goldenthread decisions undo` takes it back.

    Example:

      goldenthread split crm:42 webshop:977 --reason "father and son"
    """
    from goldenthread.cli import output
    from goldenthread.cli.keys import find_identity_name, record_name, short
    from goldenthread.client import to_dict

    until = expire_time(expires)
    with connect(server, token, tenant, tls_ca, data) as client:
        names = [record_name(client, each) for each in records]
        name = find_identity_name(client, key)
        answer = client.split_identity(name, names, reason=reason, validate_only=dry_run, expire_time=until)
    if json:
        output.print_json(to_dict(answer))
        return
    rows = [[short(each.name) if each.name else "(new)", str(len(each.records))] for each in answer.identities]
    title = "They would be" if dry_run else "They are now"
    output.show(output.table(title, ["identity", "records"], rows, numbers=["records"]))
    show_effect(answer.effect, dry_run=dry_run)


def _laid_out(client: Client, found: Identity) -> RenderableType:
    """Lay an identity out as a tree of its records and what they say."""
    from rich.text import Text
    from rich.tree import Tree

    from goldenthread.cli.keys import short
    from goldenthread.client import value_text

    tree = Tree(Text(short(found.name), style="bold"))
    for name in found.records[:RECORDS_SHOWN]:
        record = client.get_record(name).record
        label = Text.assemble((record.source, "cyan"), " ", record.source_record_id, (f"  {short(name)}", "dim"))
        branch = tree.add(label)
        for value in record.attributes:
            branch.add(Text.assemble((f"{value.attribute}: ", "dim"), value_text(value)))
    if len(found.records) > RECORDS_SHOWN:
        tree.add(f"and {len(found.records) - RECORDS_SHOWN} more records")
    for name in found.households:
        tree.add(Text(short(name), style="magenta"))
    return tree
