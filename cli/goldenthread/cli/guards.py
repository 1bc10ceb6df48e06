"""guards: show and change what must never be one person, and count how often it fired."""

from __future__ import annotations

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

if TYPE_CHECKING:
    from goldenthread.client import GuardRails as Message
    from goldenthread.resolver.guards import GuardRails

__all__ = ["add_commands", "guard_rails_message"]

guards = typer.Typer(help="Show and change guard rails: what must never be one person.", no_args_is_help=True)


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(guards, name="guards")


@guards.command("show")
def show(
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Write the guard rails as YAML, to be edited and given back; blocked values are digests.

    Example:

      goldenthread guards show > guard-rails.yaml
    """
    from goldenthread.cli import output
    from goldenthread.client import to_dict

    with connect(server, token, tenant, tls_ca, data) as client:
        answer = client.get_guard_rails()
    if json:
        output.print_json({"guard_rails": to_dict(answer.guard_rails), "revision": answer.revision})
        return
    output.show(_of_message(answer.guard_rails).to_yaml().rstrip())


@guards.command("update")
def update(
    file: Annotated[Path, typer.Argument(help="YAML file, as `guards show` writes it.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many identities would merge or split.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until all identities follow.")] = False,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Replace the guard rails; a job resolves again whatever they touch, while reads and upserts go on.

    Example:

      goldenthread guards update guard-rails.yaml --dry-run
    """
    from goldenthread.cli import output
    from goldenthread.cli.errors import UsageError
    from goldenthread.cli.guard_rails import read_guard_rails
    from goldenthread.cli.jobs import follow
    from goldenthread.cli.keys import short
    from goldenthread.client import to_dict

    if dry_run and wait:
        raise UsageError("--dry-run changes nothing that could be waited for.", "Leave out --wait.")
    wanted = guard_rails_message(read_guard_rails(file))
    with connect(server, token, tenant, tls_ca, data) as client:
        answer = client.update_guard_rails(wanted, validate_only=dry_run)
        if wait:
            answer.job.CopyFrom(follow(client, answer.job.name))
    if json:
        output.print_json(to_dict(answer))
        return
    if dry_run:
        effect = answer.effect
        output.show(
            f"{effect.identities_split:,} identities would come apart, {effect.identities_merged:,} would be one with others: "
            f"{effect.identities_after:,} instead of {effect.identities_before:,}."
        )
        return
    what = "all identities follow them" if wait else f"{short(answer.job.name)} resolves again what they touch"
    output.show(f"They hold from revision {answer.revision}; {what}.")


@guards.command("counts")
def counts(
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Show how often each guard fired since the server started.

    Example:

      goldenthread guards counts
    """
    from goldenthread.cli import output
    from goldenthread.client import to_dict

    with connect(server, token, tenant, tls_ca, data) as client:
        answer = client.get_guard_counts()
    if json:
        output.print_json(to_dict(answer))
        return
    rows = [[one.guard, f"{one.count:,}", one.description] for one in answer.counts]
    output.show(output.table("", ["guard", "fired", "keeps apart"], rows))


def guard_rails_message(rails: GuardRails) -> Message:
    """Write guard rails as the contract has them."""
    from goldenthread.client import BlockedValue, IdentifierLimit, SourceSet
    from goldenthread.client import GuardRails as Message
    from goldenthread.v1.record_pb2 import SemanticType

    def type_of(name: str) -> SemanticType.ValueType:
        return SemanticType.Value(f"SEMANTIC_TYPE_{name.upper()}")

    return Message(
        duplicate_free=rails.duplicate_free,
        never_overlap=[SourceSet(sources=sources) for sources in rails.never_overlap],
        verifying=rails.verifying,
        verified_birth_dates=rails.verified_birth_dates,
        verified_numbers=[type_of(name) for name in rails.verified_numbers],
        single_numbers=[type_of(name) for name in rails.single_numbers],
        blocked=[BlockedValue(type=type_of(one.type), value=one.value, digest=one.digest) for one in rails.blocked],
        max_records=rails.max_records,
        max_profiles=rails.max_profiles,
        limits=[IdentifierLimit(type=type_of(one.type), most=one.most, days=one.days) for one in rails.limits],
        priority=[type_of(name) for name in rails.priority],
    )


def _of_message(message: Message) -> GuardRails:
    """Read guard rails as the contract has them."""
    from goldenthread.resolver.guards import BlockedValue, GuardRails, IdentifierLimit
    from goldenthread.v1.record_pb2 import SemanticType

    def name_of(kind: SemanticType.ValueType) -> str:
        return SemanticType.Name(kind).removeprefix("SEMANTIC_TYPE_").lower()

    return GuardRails(
        duplicate_free=tuple(message.duplicate_free),
        never_overlap=tuple(tuple(one.sources) for one in message.never_overlap),
        verifying=tuple(message.verifying),
        verified_birth_dates=message.verified_birth_dates,
        verified_numbers=tuple(map(name_of, message.verified_numbers)),
        single_numbers=tuple(map(name_of, message.single_numbers)),
        blocked=tuple(BlockedValue(name_of(one.type), digest=one.digest) for one in message.blocked),
        max_records=message.max_records,
        max_profiles=message.max_profiles,
        limits=tuple(IdentifierLimit(name_of(one.type), one.most, one.days) for one in message.limits),
        priority=tuple(map(name_of, message.priority)),
    )
