"""resolve: say who somebody is by what is known of them."""

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

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("resolve")(resolve)


def resolve(
    attributes: Annotated[list[str], typer.Argument(help="What is known, as attribute=value.", show_default=False)],
    limit: Annotated[int, typer.Option("--limit", help="At most so many candidates.", min=1, max=100)] = 10,
    min_probability: Annotated[float, typer.Option("--min-probability", help="Leave out those below.", min=0, max=1)] = 0.0,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Say who somebody is, by what is known.

    Nothing is stored.

    Example:

      goldenthread resolve given_name=Ann surname=Smith email=ann@example.org
    """
    from goldenthread.cli import output
    from goldenthread.cli.explain import words
    from goldenthread.cli.keys import parse_attributes, short
    from goldenthread.cli.unknown_attributes import warn_of_unknown_attributes, warn_of_unreadable_values
    from goldenthread.client import to_dict

    known = parse_attributes(attributes)
    with connect(server, token, tenant, tls_ca, data) as client:
        model = client.get_data_model()
        warn_of_unknown_attributes(model, known, "it plays no part")
        warn_of_unreadable_values(model, known)
        answer = client.resolve_record(known, max_candidates=limit, min_probability=min_probability)
    if json:
        output.print_json(to_dict(answer))
        return
    output.show(f"This is {short(answer.identity)}." if answer.identity else "This would be somebody new.")
    rows = []
    for candidate in answer.candidates:
        parts = sorted(candidate.match.contributions, key=lambda part: -abs(part.weight))[:3]
        reasons = ", ".join(f"{words(part.comparison)} {words(part.level)} {part.weight:+.1f}" for part in parts)
        rows.append(
            [short(candidate.identity), f"{candidate.match.probability:.4f}", f"{candidate.match.weight:+.1f}", reasons]
        )
    if rows:
        columns = ["identity", "probability", "bits", "because"]
        output.show(output.table("", columns, rows, numbers=["probability", "bits"]))
