"""model: read the data model and the match model, declare attributes."""

from __future__ import annotations

from pathlib import Path
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

model = typer.Typer(help="Show, export and change models.", no_args_is_help=True)


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(model, name="model")


@model.command("show")
def show(
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Show the tenant's attributes and the version of its match model.

    Example:

      goldenthread model show
    """
    from goldenthread.cli import output
    from goldenthread.cli.data_model import definition_rows
    from goldenthread.client import to_dict

    with connect(server, token, tenant, tls_ca, data) as client:
        data_model = client.get_data_model()
        match_model = client.get_match_model()
    if json:
        output.print_json({"data_model": to_dict(data_model), "match_model_version": match_model.version})
        return
    columns = ["attribute", "type", "category", "values", "survivorship"]
    output.show(output.table("", columns, definition_rows(data_model)))
    output.show(f"Default country {data_model.default_country}. Match model {match_model.version}.")


@model.command("export")
def export(
    data_model: Annotated[Path | None, typer.Option("--data-model", help="YAML file to write.", show_default=False)] = None,
    match_model: Annotated[
        Path | None, typer.Option("--model", help="JSON file to write, for link --model.", show_default=False)
    ] = None,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Write the models to files, so that files are linked exactly as the server links.

    Example:

      goldenthread model export --data-model data-model.yaml --model model.json
    """
    from goldenthread.cli import output
    from goldenthread.cli.data_model import to_yaml
    from goldenthread.cli.errors import UsageError

    if data_model is None and match_model is None:
        raise UsageError("Nothing to write.", "Give --data-model, --model or both.")
    written: dict[str, str] = {}
    with connect(server, token, tenant, tls_ca, data) as client:
        if data_model is not None:
            data_model.write_text(to_yaml(client.get_data_model()), encoding="utf-8")
            written["data_model"] = str(data_model)
        if match_model is not None:
            exported = client.get_match_model()
            match_model.write_bytes(exported.artefact)
            written["model"] = str(match_model)
            written["version"] = exported.version
    if json:
        output.print_json(written)
        return
    output.show("Wrote " + " and ".join(path for name, path in written.items() if name != "version") + ".")


@model.command("update")
def update(
    file: Annotated[Path, typer.Argument(help="YAML file, as export writes it.", show_default=False)],
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Declare attributes or change how their values survive; attributes left out stay as they are.

    Example:

      goldenthread model update data-model.yaml
    """
    from goldenthread.cli import output
    from goldenthread.cli.data_model import definition_rows, from_yaml
    from goldenthread.client import to_dict

    declared = from_yaml(file)
    with connect(server, token, tenant, tls_ca, data) as client:
        now = client.update_data_model(declared)
    if json:
        output.print_json(to_dict(now))
        return
    columns = ["attribute", "type", "category", "values", "survivorship"]
    output.show(output.table("", columns, definition_rows(now)))
