"""why, how: explain matches and identities."""

from __future__ import annotations

from collections.abc import Sequence
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
from goldenthread.cli.identity import KeyArgument

if TYPE_CHECKING:
    from rich.console import RenderableType

    from goldenthread.client import Match

__all__ = ["add_commands", "match_table", "words"]


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("why")(why)
    app.command("how")(how)


def why(
    left: Annotated[str, typer.Argument(help="A record or identity: source:id, a name, an email.", show_default=False)],
    right: Annotated[str, typer.Argument(help="Another one.", show_default=False)],
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Explain why two match, or do not.

    Every comparison adds or takes bits of evidence; with the prior they add up to the weight that was used.

    Example:

      goldenthread why crm:42 webshop:977
    """
    from goldenthread.cli import output
    from goldenthread.cli.keys import node_name, short
    from goldenthread.client import to_dict

    with connect(server, token, tenant, tls_ca, data) as client:
        answer = client.explain_match(node_name(client, left), node_name(client, right))
    if json:
        output.print_json(to_dict(answer))
        return
    output.show("They are one identity." if answer.same_identity else "They are not one identity.")
    output.show(match_table(" and ".join(short(name) for name in answer.records), answer.match))
    rules = ", ".join(answer.shared_rules)
    output.show(f"Compared because of: {rules}." if rules else "They share no blocking key, so they would never be compared.")
    for decision in answer.decisions:
        output.show(f"A {decision.kind} decision at revision {decision.revision} binds them.")


def how(
    key: KeyArgument,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Explain how an identity came to be.

    Shows the steps that joined its records, in order.

    Example:

      goldenthread how ann@example.org
    """
    from rich.text import Text
    from rich.tree import Tree

    from goldenthread.cli import output
    from goldenthread.cli.keys import find_identity_name, short
    from goldenthread.client import to_dict

    with connect(server, token, tenant, tls_ca, data) as client:
        answer = client.explain_identity(find_identity_name(client, key))
    if json:
        output.print_json(to_dict(answer))
        return
    count = len(answer.identity.records)
    tree = Tree(Text(f"{short(answer.identity.name)}, of {count} record{'s' * (count != 1)}", style="bold"))
    for number, step in enumerate(answer.steps, start=1):
        by = "a steward's decision" if step.by == "decision" else f"{step.strongest.weight:+.1f} bits at best"
        sides = f"{_side(step.left)} and {_side(step.right)}"
        branch = tree.add(
            Text.assemble((f"{number}. ", "dim"), f"{sides} joined by {by}, {step.average_weight:+.1f} on average")
        )
        for part in _strongest_first(step.strongest):
            branch.add(Text(part))
    for decision in answer.decisions:
        tree.add(Text(f"a {decision.kind} decision at revision {decision.revision} binds its records", style="magenta"))
    output.show(tree)


def match_table(title: str, match: Match) -> RenderableType:
    """Lay a match out, contribution by contribution, down to its sum."""
    from goldenthread.cli import output

    rows = [["prior", "", f"{match.prior:+.2f}", ""]]
    for part in match.contributions:
        rarity = f"{part.rarity:+.2f}" if part.rarity else ""
        rows.append([words(part.comparison), words(part.level), f"{part.weight:+.2f}", rarity])
    rows.append(["weight", f"probability {match.probability:.4f}, against {match.against}", f"{match.weight:+.2f}", ""])
    return output.table(
        title, ["comparison", "level", "bits", "of them for rarity"], rows, numbers=["bits", "of them for rarity"]
    )


def words(name: str) -> str:
    """Write the name of a comparison or level in words, without the number that tells grades of rarity apart."""
    stem, _, grade = name.rpartition("_")
    return (stem if grade.isdecimal() else name).replace("_", " ")


def _side(names: Sequence[str]) -> str:
    """Name one side of a step: its record, or how many it has."""
    from goldenthread.cli.keys import short

    return short(names[0]) if len(names) == 1 else f"{len(names)} records"


def _strongest_first(match: Match) -> list[str]:
    """Tell the three contributions that weigh most."""
    parts = sorted(match.contributions, key=lambda part: -abs(part.weight))[:3]
    return [f"{words(part.comparison)}: {words(part.level)} ({part.weight:+.1f})" for part in parts]
