"""model: read and change the data model and the match models."""

from __future__ import annotations

import re
from pathlib import Path
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
from goldenthread.cli.jobs import follow, show_job

if TYPE_CHECKING:
    from goldenthread.client import Client, PairLabel

__all__ = ["add_commands"]

VersionArgument = Annotated[str, typer.Argument(help="Version of the model, or the name it was given.", show_default=False)]
LabelsOption = Annotated[
    Path | None,
    typer.Option("--labels", help="CSV of pairs labelled 1 or 0, as `goldenthread label` writes it.", show_default=False),
]
StewardsOption = Annotated[bool, typer.Option("--with-stewards-labels", help="Also use what stewards answered and decided.")]
_VERSION = re.compile(r"[0-9a-f]{16}")
WaitOption = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is done, with a bar on a terminal.")]

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
    remove: Annotated[
        list[str] | None, typer.Option("--remove", help="Attribute to take out; may be repeated.", show_default=False)
    ] = None,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Declare attributes, also with another type, or change how their values survive; those left out stay as they are.

    Where values that are kept get another type, a job reads and resolves all records again.

    Examples:

      goldenthread model update data-model.yaml

      goldenthread model update data-model.yaml --remove fax
    """
    from goldenthread.cli import output
    from goldenthread.cli.data_model import definition_rows, from_yaml
    from goldenthread.client import to_dict

    declared = from_yaml(file)
    with connect(server, token, tenant, tls_ca, data) as client:
        answer = client.update_data_model(declared, removed_attributes=remove or ())
    if json:
        output.print_json(to_dict(answer))
        return
    columns = ["attribute", "type", "category", "values", "survivorship"]
    output.show(output.table("", columns, definition_rows(answer.data_model)))
    if answer.HasField("job"):
        output.show(f"{answer.job.name} reads all records again.")


@model.command("list")
def list_(
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """List the match models, the oldest first, and where each stands.

    Example:

      goldenthread model list
    """
    from goldenthread.cli import output
    from goldenthread.client import ModelState, to_dict

    with connect(server, token, tenant, tls_ca, data) as client:
        found = list(client.list_models())
    if json:
        output.print_json([to_dict(one) for one in found])
        return
    rows = [
        [
            one.version,
            one.display_name,
            ModelState.Name(one.state).removeprefix("MODEL_STATE_").lower() + (", outdated" if one.outdated else ""),
            one.origin,
            output.time_text(one.created_at),
        ]
        for one in found
    ]
    output.show(output.table("", ["version", "name", "state", "origin", "kept"], rows))


@model.command("add")
def add(
    file: Annotated[Path, typer.Argument(help="JSON file of a match model, as train writes it.", show_default=False)],
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Keep a match model that was learned from files; its card is taken from beside it.

    Example:

      goldenthread model add model.json
    """
    from goldenthread.cli import output
    from goldenthread.cli.errors import CommandError
    from goldenthread.client import to_dict

    card = file.with_name(f"{file.stem}.card.json")
    try:
        artefact = file.read_bytes()
        said = card.read_text(encoding="utf-8") if card.exists() else ""
    except OSError as error:
        raise CommandError(f"{error.filename} can't be read.", "Give a file that exists.") from error
    with connect(server, token, tenant, tls_ca, data) as client:
        kept = client.create_model(artefact, card=said)
    if json:
        output.print_json(to_dict(kept))
    else:
        output.show(f"Kept as {kept.version}; stage it to see what it would change, or activate it.")


@model.command("train")
def train(
    labels: LabelsOption = None,
    with_stewards_labels: StewardsOption = False,
    name: Annotated[str, typer.Option("--name", help="What to call the model.", show_default=False)] = "",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed learns from other samples.")] = 0,
    wait: WaitOption = True,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Learn a match model from the server's records, with labels or without.

    Example:

      goldenthread model train --labels to_label.csv --name autumn
    """
    told = _read_labels(labels)
    with connect(server, token, tenant, tls_ca, data) as client:
        job = client.train_model(told, display_name=name, with_stewards_labels=with_stewards_labels, seed=seed)
        show_job(follow(client, job.name) if wait else job, json=json)


@model.command("evaluate")
def evaluate(
    version: VersionArgument,
    labels: LabelsOption = None,
    with_stewards_labels: StewardsOption = False,
    wait: WaitOption = True,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Measure a match model against labelled pairs: precision, recall, F1 with an interval, calibration.

    Example:

      goldenthread model evaluate 0123456789abcdef --labels to_label.csv
    """
    told = _read_labels(labels)
    with connect(server, token, tenant, tls_ca, data) as client:
        job = client.evaluate_model(_named(client, version), told, with_stewards_labels=with_stewards_labels)
        show_job(follow(client, job.name) if wait else job, json=json)


@model.command("stage")
def stage(
    version: VersionArgument,
    wait: WaitOption = True,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Build a model's keys and edges beside those in use; identities stay as they are.

    Example:

      goldenthread model stage 0123456789abcdef
    """
    with connect(server, token, tenant, tls_ca, data) as client:
        job = client.stage_model(_named(client, version))
        show_job(follow(client, job.name) if wait else job, json=json)


@model.command("preview")
def preview(
    version: VersionArgument,
    changes: Annotated[int, typer.Option("--changes", min=0, help="How many changes to list.")] = 20,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Say which identities would merge or split if the staged model were activated.

    Example:

      goldenthread model preview 0123456789abcdef
    """
    from itertools import islice
    from json import loads

    from goldenthread.cli import output
    from goldenthread.client import to_dict

    with connect(server, token, tenant, tls_ca, data) as client:
        job = follow(client, client.preview_activation(_named(client, version)).name)
        listed = list(islice(client.list_activation_changes(job.name), changes))
    if json:
        output.print_json({**loads(job.result), "job": job.name, "listed": [to_dict(one) for one in listed]})
        return
    show_job(job, json=False)
    rows = [
        [" ".join(name.rpartition("/")[2] for name in one.identities), " + ".join(str(size) for size in one.parts)]
        for one in listed
    ]
    if rows:
        output.show(output.table("", ["identities", "would be, in records"], rows))


@model.command("activate")
def activate(
    version: VersionArgument,
    wait: WaitOption = True,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Use another match model, and resolve every record again while reads and upserts go on.

    Example:

      goldenthread model activate 0123456789abcdef
    """
    with connect(server, token, tenant, tls_ca, data) as client:
        job = client.activate_model(_named(client, version))
        show_job(follow(client, job.name) if wait else job, json=json)


@model.command("rollback")
def rollback(
    wait: WaitOption = True,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Use the match model again that was in use before.

    Example:

      goldenthread model rollback
    """
    with connect(server, token, tenant, tls_ca, data) as client:
        job = client.rollback_model()
        show_job(follow(client, job.name) if wait else job, json=json)


def _named(client: Client, text: str) -> str:
    """Find the version of the model that somebody means: a version and a resource name are taken at their word.

    Raises CommandError when no model, or more than one, was given that name.
    """
    from goldenthread.cli.errors import CommandError

    if "/" in text or _VERSION.fullmatch(text):
        return text
    versions = [one.version for one in client.list_models() if one.display_name == text]
    if len(versions) == 1:
        return versions[0]
    if versions:
        raise CommandError(f"{len(versions)} models are named {text}.", f"Give one of the versions {', '.join(versions)}.")
    raise CommandError(f"No model is named {text}.", "Give a version or a name that `goldenthread model list` shows.")


def _read_labels(file: Path | None) -> list[PairLabel]:
    """Read labelled pairs; those without a label are left out.

    Raises CommandError when none has a label: to learn without labels nobody gives a file of them.
    """
    from goldenthread.cli.errors import CommandError
    from goldenthread.cli.pair_labels import labelled_pairs
    from goldenthread.client import SourceKey

    if file is None:
        return []
    found = [
        (
            SourceKey(row["left_source"], row["left_record_id"]),
            SourceKey(row["right_source"], row["right_record_id"]),
            is_match,
        )
        for _, row, is_match in labelled_pairs(file, "goldenthread label")
        if is_match is not None
    ]
    if not found:
        raise CommandError(f"{file} has no label yet.", "Write 1 for one person and 0 for two into the column label.")
    return found
