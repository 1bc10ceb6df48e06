"""household, households, relationships: who lives with whom, and what people are to each other."""

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
    from collections.abc import Sequence

    from rich.console import RenderableType

    from goldenthread.client import Household, Membership

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("household")(household)
    app.command("households")(households)
    app.command("relationships")(relationships)


def household(
    key: KeyArgument,
    history: Annotated[bool, typer.Option("--history", help="Show the households over time instead.")] = False,
    as_of: AsOfOption = "",
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Show the households somebody lives in, or lived in.

    Examples:

      goldenthread household ann@example.org

      goldenthread household crm:42 --history
    """
    from goldenthread.cli import output
    from goldenthread.cli.keys import find_identity_name
    from goldenthread.cli.moments import parse_as_of
    from goldenthread.client import to_dict

    moment = parse_as_of(as_of)
    with connect(server, token, tenant, tls_ca, data) as client:
        name = key if "households/" in key else find_identity_name(client, key)
        if history:
            memberships = client.list_memberships(name, as_of=moment)
            answer, shown = [to_dict(each) for each in memberships], _memberships_table(memberships)
        else:
            found = client.get_household(name, as_of=moment)
            answer, shown = [to_dict(each) for each in found], _households_table(found)
    if json:
        output.print_json(answer)
    elif not answer:
        output.show("No household is known.")
    else:
        output.show(shown)


def households(
    limit: Annotated[int, typer.Option("--limit", help="At most so many.", min=1)] = 50,
    as_of: AsOfOption = "",
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """List households.

    Example:

      goldenthread households --limit 20
    """
    from goldenthread.cli import output
    from goldenthread.cli.moments import parse_as_of
    from goldenthread.client import to_dict

    moment = parse_as_of(as_of)
    with connect(server, token, tenant, tls_ca, data) as client:
        found = output.limited(client.list_households(page_size=min(limit + 1, 1000), as_of=moment), limit)
    if json:
        output.print_json([to_dict(each) for each in found])
    elif not found:
        output.show("No household is known.")
    else:
        output.show(_households_table(found))


def relationships(
    key: KeyArgument,
    as_of: AsOfOption = "",
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Show what others are to somebody, as records state it.

    Example:

      goldenthread relationships crm:42
    """
    from goldenthread.cli import output
    from goldenthread.cli.keys import find_identity_name, short
    from goldenthread.cli.moments import parse_as_of
    from goldenthread.client import RelationshipKind, to_dict

    moment = parse_as_of(as_of)
    with connect(server, token, tenant, tls_ca, data) as client:
        found = client.list_relationships(find_identity_name(client, key), as_of=moment)
    if json:
        output.print_json([to_dict(each) for each in found])
        return
    if not found:
        output.show("No relationship is stated.")
        return
    rows = [
        [RelationshipKind(one.kind).name.lower(), short(one.identity) if one.identity else "?", one.source, one.because]
        for one in found
    ]
    output.show(output.table("", ["is", "identity", "stated by", "because"], rows))


def _households_table(found: Sequence[Household]) -> RenderableType:
    from goldenthread.cli import output
    from goldenthread.cli.keys import short
    from goldenthread.client import HouseholdRole

    rows = []
    for one in found:
        words = {role.identity: HouseholdRole.Name(role.role).removeprefix("HOUSEHOLD_ROLE_").lower() for role in one.roles}
        members = [short(name) + ("" if words[name] == "member" else f" ({words[name]})") for name in one.members]
        reason = f"{one.reason} ({one.shared})" if one.shared not in ("", "address") else one.reason
        rows.append([short(one.name), ", ".join(members), reason])
    return output.table("", ["household", "members", "reason"], rows)


def _memberships_table(memberships: Sequence[Membership]) -> RenderableType:
    from goldenthread.cli import output
    from goldenthread.cli.keys import short

    rows = [
        [
            short(one.household),
            one.reason,
            f"{one.from_time.ToDatetime():%Y-%m-%d %H:%M}",
            f"{one.to_time.ToDatetime():%Y-%m-%d %H:%M}" if one.to_revision else "",
        ]
        for one in memberships
    ]
    return output.table("", ["household", "reason", "from", "to"], rows)
