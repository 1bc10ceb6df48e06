"""golden: the best value of everything known of somebody."""

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
from goldenthread.cli.identity import AsOfOption, KeyArgument

if TYPE_CHECKING:
    from rich.console import RenderableType

    from goldenthread.client import GoldenRecord

__all__ = ["add_commands", "golden_table"]


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("golden")(golden)


def golden(
    key: KeyArgument,
    losers: Annotated[bool, typer.Option("--losers", help="Also show the values that lost, and why.")] = False,
    as_of: AsOfOption = "",
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Show the best values known of somebody.

    Each comes with the record it is from and the reason it won.

    Example:

      goldenthread golden ann@example.org --losers
    """
    from goldenthread.cli import output
    from goldenthread.cli.keys import find_identity_name
    from goldenthread.cli.moments import parse_as_of
    from goldenthread.client import to_dict

    moment = parse_as_of(as_of)
    with connect(server, token, tenant, tls_ca, data) as client:
        answer = client.get_golden_record(find_identity_name(client, key), as_of=moment)
    if json:
        output.print_json(to_dict(answer))
        return
    if answer.history_was_cut:
        output.note("Part of what was asked for has been deleted since.")
    output.show(golden_table(answer.golden_record, losers=losers))


def golden_table(record: GoldenRecord, *, losers: bool) -> RenderableType:
    """Lay a golden record out with its lineage."""
    from goldenthread.cli import output
    from goldenthread.cli.keys import short
    from goldenthread.client import value_text

    rows: list[list[str]] = []
    for attribute in record.attributes:
        for won, values in ((True, attribute.values), (False, attribute.losers if losers else ())):
            for value in values:
                seen = f"{value.observed_at.ToDatetime():%Y-%m-%d}" if value.HasField("observed_at") else ""
                name = attribute.attribute if won else ""
                text = value_text(value.value) if won else f"not {value_text(value.value)}"
                rows.append([name, text, value.source, seen, value.because])
    return output.table(short(record.name), ["attribute", "value", "source", "observed", "because"], rows)
