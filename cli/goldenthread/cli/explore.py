"""explore, path: walk the graph around somebody."""

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
    from rich.text import Text
    from rich.tree import Tree

    from goldenthread.client import GraphNode, NodeKind, Subgraph

__all__ = ["add_commands"]

# Every record hangs on its source, so that walking through one reaches everybody.
_SHOWN = ("record", "identifier", "identity", "household", "consent", "decision", "relation")
_STYLES = {"identity": "bold green", "record": "cyan", "identifier": "yellow", "household": "magenta", "source": "blue"}


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("explore")(explore)
    app.command("path")(path)


def explore(
    key: KeyArgument,
    hops: Annotated[int, typer.Option("--hops", help="How far to walk.", min=1, max=4)] = 2,
    limit: Annotated[int, typer.Option("--limit", help="At most so many nodes.", min=1, max=2000)] = 100,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", help="Only nodes of this kind, as identifier; all but sources by default.", show_default=False),
    ] = None,
    as_of: AsOfOption = "",
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Show what lies around somebody.

    Records, identifiers, households, and who shares them.

    Example:

      goldenthread explore crm:42 --hops 3
    """
    from goldenthread.cli import output
    from goldenthread.cli.keys import find_identity_name, node_name
    from goldenthread.cli.moments import parse_as_of
    from goldenthread.client import to_dict

    moment = parse_as_of(as_of)
    with connect(server, token, tenant, tls_ca, data) as client:
        start = node_name(client, key) if "/records/" in f"/{key}" else find_identity_name(client, key)
        graph = client.expand_nodes([start], hops=hops, limit=limit, kinds=_kinds(kind or _SHOWN), as_of=moment)
    if json:
        output.print_json(to_dict(graph))
        return
    output.show(_tree(graph, start))
    if graph.truncated:
        output.note(f"There is more; this is cut at {limit} nodes. Give --limit to see more.")


def path(
    start: Annotated[str, typer.Argument(help="A record or identity.", show_default=False)],
    end: Annotated[str, typer.Argument(help="Another one.", show_default=False)],
    max_hops: Annotated[int, typer.Option("--max-hops", help="At most so many steps.", min=1, max=12)] = 8,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Show a shortest path between two.

    Example:

      goldenthread path crm:42 webshop:977
    """
    from goldenthread.cli import output
    from goldenthread.cli.keys import node_name
    from goldenthread.client import to_dict

    with connect(server, token, tenant, tls_ca, data) as client:
        found = client.find_path(node_name(client, start), node_name(client, end), max_hops=max_hops)
    if json:
        output.print_json(to_dict(found))
        return
    if not found.nodes:
        output.show(f"There is no path of at most {max_hops} steps.")
        return
    output.show(_tree(found, found.nodes[0].name))


def _kinds(words: Sequence[str]) -> list[NodeKind.ValueType]:
    """Read kinds of nodes.

    Raises UsageError when one is not known.
    """
    from goldenthread.cli.errors import UsageError
    from goldenthread.client import NodeKind

    known = {name.removeprefix("NODE_KIND_").lower(): number for name, number in NodeKind.items() if number}
    for word in words:
        if word.lower() not in known:
            raise UsageError(f"--kind {word} is not known.", f"Use one of {', '.join(known)}.")
    return [known[word.lower()] for word in words]


def _tree(graph: Subgraph, start: str) -> Tree:
    """Lay a graph out as a tree from one node, each node once, nearest first."""
    from rich.text import Text
    from rich.tree import Tree

    from goldenthread.client import RelationshipKind

    nodes = {node.name: node for node in graph.nodes}
    near: dict[str, list[tuple[str, str]]] = {}
    for edge in graph.edges:
        words = [RelationshipKind(kind).name.lower() for kind in edge.relationships]
        said = f"{edge.kind} {edge.weight:+.1f}" if edge.weight else " ".join([edge.kind, *words])
        near.setdefault(edge.source, []).append((said, edge.target))
        near.setdefault(edge.target, []).append((said, edge.source))
    tree = Tree(_label(nodes[start]) if start in nodes else Text(start))
    branches = {start: tree}
    queue = [start]
    for name in queue:
        for said, other in sorted(near.get(name, ())):
            if other in branches or other not in nodes:
                continue
            branches[other] = branches[name].add(Text.assemble((f"{said} ", "dim"), _label(nodes[other])))
            queue.append(other)
    return tree


def _label(node: GraphNode) -> Text:
    """Write a node as one coloured line."""
    from rich.text import Text

    from goldenthread.cli.keys import short
    from goldenthread.client import NodeKind

    kind = NodeKind.Name(node.kind).removeprefix("NODE_KIND_").lower()
    facts = ", ".join(
        f"{name} {value}" for name, value in sorted(node.facts.items()) if name != "revision" and value not in node.label
    )
    shown = f" {node.label.removesuffix(f' {kind}')}" if node.label not in ("", kind) else ""
    return Text.assemble(
        (kind, _STYLES.get(kind, "")), shown, (f"  {facts}" if facts else "", "dim"), (f"  {short(node.name)}", "dim")
    )
