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
from goldenthread.cli.identity import AsOfOption, KeyArgument

if TYPE_CHECKING:
    from rich.console import RenderableType

    from goldenthread.client import Bridge, Match, Separation

__all__ = ["add_commands", "match_table", "words"]

_BRIDGES_SHOWN = 8


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("why")(why)
    app.command("how")(how)


def why(
    left: Annotated[str, typer.Argument(help="A record or identity: source:id, a name, an email.", show_default=False)],
    right: Annotated[str, typer.Argument(help="Another one.", show_default=False)],
    as_of: AsOfOption = "",
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Explain why two match, or do not.

    Every comparison adds or takes bits of evidence; with the prior they add up to the weight that was used. Of two that are
    not one identity it says what keeps them apart, and how much is missing.

    Example:

      goldenthread why crm:42 webshop:977
    """
    from goldenthread.cli import output
    from goldenthread.cli.keys import node_name, short
    from goldenthread.cli.moments import parse_as_of
    from goldenthread.client import to_dict

    moment = parse_as_of(as_of)
    with connect(server, token, tenant, tls_ca, data) as client:
        answer = client.explain_match(node_name(client, left), node_name(client, right), as_of=moment)
    if json:
        output.print_json(to_dict(answer))
        return
    output.show("They are one identity." if answer.same_identity else "They are not one identity.")
    output.show(match_table(" and ".join(short(name) for name in answer.records), answer.match))
    if answer.HasField("separation"):
        output.show(_apart(answer.separation))
    met = [rule.rule for rule in answer.rules if rule.outcome == "met"]
    rules = ", ".join(met)
    output.show(f"Compared because of: {rules}." if met else "They share no blocking key, so they would never be compared.")
    if generic := [rule.rule for rule in answer.rules if rule.outcome == "generic"]:
        output.show(f"Shared by too many to count: {', '.join(generic)}.")
    if differs := [rule.rule for rule in answer.rules if rule.outcome == "differs"]:
        output.show(f"Did not meet: {', '.join(differs)}.")
    if answer.history_was_cut:
        output.note("Part of what was asked for has been deleted since.")
    for decision in answer.decisions:
        output.show(f"The {decision.kind} decision {short(decision.name)}, of revision {decision.revision}, binds them.")


def how(
    key: KeyArgument,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", help="Say who would be one without this record.", show_default=False),
    ] = None,
    without_decision: Annotated[
        str, typer.Option("--without-decision", help="Say who would be one if this decision were undone.", show_default=False)
    ] = "",
    as_of: AsOfOption = "",
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Explain how an identity came to be.

    Shows the steps that joined its records, in order, and the evidence without which it would come apart.

    Examples:

      goldenthread how ann@example.org

      goldenthread how ann@example.org --without crm:42
    """
    from rich.text import Text
    from rich.tree import Tree

    from goldenthread.cli import output
    from goldenthread.cli.keys import find_identity_name, record_name, short
    from goldenthread.cli.moments import parse_as_of
    from goldenthread.client import to_dict

    moment = parse_as_of(as_of)
    with connect(server, token, tenant, tls_ca, data) as client:
        answer = client.explain_identity(
            find_identity_name(client, key),
            without_records=[record_name(client, each) for each in without or ()],
            without_decision=without_decision,
            as_of=moment,
        )
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
        said = f"the {decision.kind} decision {short(decision.name)}, of revision {decision.revision}, binds its records"
        tree.add(Text(said, style="magenta"))
    output.show(tree)
    for bridge in answer.bridges[:_BRIDGES_SHOWN]:
        output.show(_bridge(bridge))
    if answer.would_be:
        groups = [f"{short(g.identity) if g.identity else 'a new identity'} of {_count(g.records)}" for g in answer.would_be]
        those = "identity" if len(groups) == 1 else "identities"
        output.show(f"Without that, there would be {len(groups)} {those}: {', '.join(groups)}.")
    elif without or without_decision:
        output.show("Without that, there would be no identity.")
    if answer.history_was_cut:
        output.note("Part of what was asked for has been deleted since.")


def _apart(separation: Separation) -> str:
    """Say what keeps two identities apart."""
    missing = f"{separation.missing_weight:.1f} bits are missing"
    match separation.by:
        case "weight":
            return f"No two of their records link: {missing} to the {separation.link_weight:.1f} that a link needs."
        case "average":
            average = f"{separation.average_weight:+.1f} bits on average over all their records"
            return f"Two of their records link, but with {average} too little speaks for all of them: {missing}."
        case "blocking":
            return "Two of their records would link, but nothing that is not shared by too many brought them together."
        case "size":
            return "So many records hang together that weaker links were cut."
        case "veto":
            return f"Two of their records link, but the guard {separation.guard} ({separation.subject}) keeps them apart."
        case "limit":
            return f"Two of their records link, but together they would break the {separation.guard} of one identity."
        case by:
            return f"Two of their records link, but a {by} keeps them apart."


def _bridge(bridge: Bridge) -> str:
    """Say what would come apart without a piece of evidence."""
    from goldenthread.cli.keys import short

    match bridge.by:
        case "match":
            what = f"the match of {short(bridge.records[0])} and {short(bridge.records[1])} ({bridge.weight:+.1f} bits)"
        case "comparison":
            what = f"{words(bridge.comparison)} ({bridge.weight:+.1f} bits at least)"
        case _:
            what = f"the decision {short(bridge.decision)}"
    return f"Without {what} it would come apart into {' and '.join(_count(group.records) for group in bridge.groups)}."


def _count(names: Sequence[str]) -> str:
    return f"{len(names)} record{'s' * (len(names) != 1)}"


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
