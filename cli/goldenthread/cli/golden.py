"""golden: the best value of everything known of somebody, and the rules by which it is the best."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

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
from goldenthread.cli.export import export
from goldenthread.cli.identity import AsOfOption, KeyArgument

if TYPE_CHECKING:
    from rich.console import RenderableType
    from typer._click.core import Context  # where typer keeps the click that it brings

    from goldenthread.client import GoldenRecord, SurvivorshipRules

__all__ = ["add_commands", "golden_table"]


PurposeOption = Annotated[
    str, typer.Option("--purpose", help="What it is for: one of the purposes of the rules.", show_default=False)
]


class GoldenGroup(TyperGroup):
    """The group's commands, of which `show` is meant when none is named."""

    default_name = "show"

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Put in the command that is meant."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [self.default_name, *args]
        return super().parse_args(ctx, args)


golden = typer.Typer(cls=GoldenGroup, help="Show golden records, and change how values survive.", no_args_is_help=True)


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    golden.command("export")(export)
    app.add_typer(golden, name="golden")


@golden.command("show")
def show(
    key: KeyArgument,
    losers: Annotated[bool, typer.Option("--losers", help="Also show the values that lost, and why.")] = False,
    purpose: PurposeOption = "",
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
        answer = client.get_golden_record(find_identity_name(client, key), purpose=purpose, as_of=moment)
    if json:
        output.print_json(to_dict(answer))
        return
    if answer.history_was_cut:
        output.note("Part of what was asked for has been deleted since.")
    output.show(golden_table(answer.golden_record, losers=losers))


@golden.command("rules")
def rules(
    out: Annotated[Path | None, typer.Option("--out", help="YAML file to write, for update-rules.", show_default=False)] = None,
    as_of: AsOfOption = "",
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Show the survivorship rules, or write them to a file.

    Example:

      goldenthread golden rules --out rules.yaml
    """
    import yaml

    from goldenthread.cli import output
    from goldenthread.cli.moments import parse_as_of
    from goldenthread.client import plain_survivorship_rules, to_dict

    moment = parse_as_of(as_of)
    with connect(server, token, tenant, tls_ca, data) as client:
        answer = client.get_survivorship_rules(as_of=moment)
    plain = plain_survivorship_rules(answer.survivorship_rules)
    written = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    if out is not None:
        out.write_text(written, encoding="utf-8")
    if json:
        output.print_json(to_dict(answer))
    elif out is not None:
        output.show(f"Wrote {out}.")
    elif not plain:
        output.show("There are none: the data model decides.")
    else:
        output.show(written.rstrip())


@golden.command("update-rules")
def update_rules(
    file: Annotated[Path, typer.Argument(help="YAML file, as rules --out writes it.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many golden records would change.")] = False,
    sample: Annotated[int, typer.Option("--sample", help="Identities that --dry-run looks at.", min=1, max=5000)] = 500,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until subscribers were told what changes.")] = False,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Replace the survivorship rules, or say what other rules would change.

    Examples:

      goldenthread golden update-rules rules.yaml --dry-run

      goldenthread golden update-rules rules.yaml
    """
    from goldenthread.cli import output
    from goldenthread.cli.errors import UsageError
    from goldenthread.cli.jobs import follow
    from goldenthread.cli.unknown_attributes import warn_of_unknown_attributes
    from goldenthread.client import to_dict

    if dry_run and wait:
        raise UsageError("--dry-run changes nothing that could be waited for.", "Leave out --wait.")
    wanted = _read_rules(file)
    named = {name for rule in wanted.rules for name in rule.attributes}
    named |= {name for limit in wanted.purposes for name in limit.forbidden_attributes}
    with connect(server, token, tenant, tls_ca, data) as client:
        warn_of_unknown_attributes(client.get_data_model(), named, "rules that name it speak of a free attribute")
        answer = client.update_survivorship_rules(wanted, validate_only=dry_run, sample=sample)
        if wait:
            answer.job.CopyFrom(follow(client, answer.job.name))
    if json:
        output.print_json(to_dict(answer))
    elif dry_run:
        output.show(f"{answer.changed:,} of {answer.sampled:,} golden records would change.")
        if answer.changed_by_attribute:
            rows = sorted(answer.changed_by_attribute.items(), key=lambda row: (-row[1], row[0]))
            output.show(output.table("", ["attribute", "changed"], [[n, f"{c:,}"] for n, c in rows], numbers=["changed"]))
    else:
        output.show(f"The rules hold from revision {answer.revision}; {answer.job.name} tells subscribers what they change.")


def _read_rules(file: Path) -> SurvivorshipRules:
    """Read rules from a YAML file.

    Raises CommandError saying what is wrong with it; OSError when it can't be read.
    """
    import yaml

    from goldenthread.cli.errors import CommandError
    from goldenthread.client import survivorship_rules

    try:
        plain = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        raise CommandError(f"{file} is not YAML.", "Start from what `goldenthread golden rules --out` writes.") from None
    if plain is None:
        raise CommandError(f"{file} is empty.", "Write {} into it to have no rules.")
    if not isinstance(plain, dict):
        raise CommandError(f"{file} has no rules.", "Start from what `goldenthread golden rules --out` writes.")
    try:
        return survivorship_rules(plain)
    except ValueError as error:
        raise CommandError(f"{file} can't be read as rules: {error}.", "See docs/topics/golden-record.md.") from None


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
                said = f"{value.because} (stale)" if value.stale else value.because
                if won and attribute.conflict:
                    said += f"; another value is {attribute.conflict:.0%} as strong"
                rows.append([name, text, value.source, seen, said])
    return output.table(short(record.name), ["attribute", "value", "source", "observed", "because"], rows)
