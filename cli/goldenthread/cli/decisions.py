"""decisions: make, list, show and undo what stewards decide."""

from __future__ import annotations

import datetime as dt
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
    from goldenthread.client import Decision, DecisionEffect
    from goldenthread.v1.decision_service_pb2 import CreateDecisionResponse

__all__ = ["DryRunOption", "ExpiresOption", "OverrideOption", "ReasonOption", "add_commands", "expire_time", "show_effect"]

decisions = typer.Typer(help="Make, list, show and undo what stewards decide.", no_args_is_help=True)

ReasonOption = Annotated[str, typer.Option("--reason", help="Why, without personal data; it is kept.", show_default=False)]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would come of it.")]
ExpiresOption = Annotated[
    str, typer.Option("--expires", help="When it ends by itself, as 2025-12-31T12:00; never unless said.", show_default=False)
]
OverrideOption = Annotated[bool, typer.Option("--override-vetoes", help="Join them also where a guard rail keeps them apart.")]
NameArgument = Annotated[str, typer.Argument(help="Name of the decision, or its last part.", show_default=False)]
LeftArgument = Annotated[str, typer.Argument(help="A record, by name or source:id.", show_default=False)]
RightArgument = Annotated[list[str], typer.Argument(help="Other records.", show_default=False)]

_KINDS = ("merge", "split", "must_link", "cannot_link", "not_household", "pin")


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(decisions, name="decisions")


def expire_time(text: str) -> dt.datetime | None:
    """Read when a decision ends; empty means never.

    Raises UsageError when it is no time.
    """
    from goldenthread.cli.errors import UsageError

    if not text:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--expires {text} is no time.", "Give one such as 2025-12-31T12:00.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def show_effect(effect: DecisionEffect, *, dry_run: bool) -> None:
    """Show which identities change, and how."""
    from goldenthread.cli import output
    from goldenthread.cli.keys import short
    from goldenthread.v1.decision_service_pb2 import IdentityFate

    rows = [
        [
            short(one.name) if one.name else "(new)",
            IdentityFate.Name(one.fate).removeprefix("IDENTITY_FATE_").lower(),
            f"{len(one.records_before)} → {len(one.records_after)}",
            ", ".join(one.golden_fields),
        ]
        for one in effect.identities
    ]
    if not rows:
        output.show("No identity would change." if dry_run else "No identity changed.")
        return
    title = "What would change" if dry_run else "What changed"
    output.show(output.table(title, ["identity", "becomes", "records", "golden values that change"], rows))


@decisions.command("list")
def list_(
    identity: Annotated[str, typer.Option("--identity", help="Only what binds records of this one.", show_default=False)] = "",
    kind: Annotated[str, typer.Option("--kind", help=f"Only one of {', '.join(_KINDS)}.", show_default=False)] = "",
    state: Annotated[str, typer.Option("--state", help="Only live, undone or expired.", show_default=False)] = "",
    actor: Annotated[str, typer.Option("--actor", help="Only what this caller decided.", show_default=False)] = "",
    as_of: Annotated[str, typer.Option("--as-of", help="Read as of a revision or a time.", show_default=False)] = "",
    limit: Annotated[int, typer.Option("--limit", help="At most so many.", min=1)] = 50,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """List decisions in the order they were made.

    Example:

      goldenthread decisions list --identity crm:42 --state live
    """
    from goldenthread.cli import output
    from goldenthread.cli.errors import UsageError
    from goldenthread.cli.keys import find_identity_name
    from goldenthread.cli.moments import parse_as_of
    from goldenthread.client import DecisionState, to_dict

    known = {name.removeprefix("DECISION_STATE_").lower(): number for name, number in DecisionState.items() if number}
    if kind and kind not in _KINDS:
        raise UsageError(f"{kind} is no kind of decision.", f"Use one of {', '.join(_KINDS)}.")
    if state and state not in known:
        raise UsageError(f"{state} is no state of a decision.", f"Use one of {', '.join(known)}.")
    with connect(server, token, tenant, tls_ca, data) as client:
        wanted = client.list_decisions(
            identity=find_identity_name(client, identity) if identity else "",
            kind=kind,
            state=known.get(state, DecisionState.DECISION_STATE_UNSPECIFIED),
            actor=actor,
            page_size=min(limit + 1, 1000),
            as_of=parse_as_of(as_of),
        )
        found = output.limited(wanted, limit)
    if json:
        output.print_json([to_dict(one) for one in found])
        return
    rows = [[one.name.rpartition("/")[2], one.kind, _state(one), one.actor, one.reason, str(one.revision)] for one in found]
    output.show(output.table("", ["decision", "kind", "state", "by", "why", "revision"], rows, numbers=["revision"]))


@decisions.command("show")
def show(
    name: NameArgument,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Show one decision: what it binds, who made it and why, and how it ended.

    Example:

      goldenthread decisions show 0193f2…
    """
    with connect(server, token, tenant, tls_ca, data) as client:
        _show(client.get_decision(name), json=json)


@decisions.command("undo")
def undo(
    name: NameArgument,
    reason: ReasonOption,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Undo one decision; the others go on to hold, and identities get their names back.

    Example:

      goldenthread decisions undo 0193f2… --reason "the passport was her sister's" --dry-run
    """
    from goldenthread.cli import output
    from goldenthread.client import to_dict

    with connect(server, token, tenant, tls_ca, data) as client:
        answer = client.undo_decision(name, reason=reason, validate_only=dry_run)
    if json:
        output.print_json(to_dict(answer))
        return
    show_effect(answer.effect, dry_run=dry_run)


@decisions.command("link")
def link(
    left: LeftArgument,
    right: RightArgument,
    reason: ReasonOption,
    expires: ExpiresOption = "",
    override_vetoes: OverrideOption = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Decide that records are one person.

    Example:

      goldenthread decisions link crm:42 webshop:977 --reason "same passport" --expires 2026-12-31
    """
    from goldenthread.cli.keys import record_name

    until = expire_time(expires)
    with connect(server, token, tenant, tls_ca, data) as client:
        answer = client.link_records(
            [record_name(client, left)],
            [record_name(client, each) for each in right],
            reason=reason,
            expire_time=until,
            overrides_veto=override_vetoes,
            validate_only=dry_run,
        )
    _show_made(answer, dry_run=dry_run, json=json)


@decisions.command("unlink")
def unlink(
    left: LeftArgument,
    right: RightArgument,
    reason: ReasonOption,
    expires: ExpiresOption = "",
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Decide that a record is one person with none of the others.

    Example:

      goldenthread decisions unlink crm:42 webshop:977 --reason "twins"
    """
    from goldenthread.cli.keys import record_name

    until = expire_time(expires)
    with connect(server, token, tenant, tls_ca, data) as client:
        answer = client.unlink_records(
            [record_name(client, left)],
            [record_name(client, each) for each in right],
            reason=reason,
            expire_time=until,
            validate_only=dry_run,
        )
    _show_made(answer, dry_run=dry_run, json=json)


@decisions.command("leave-household")
def leave_household(
    key: Annotated[str, typer.Argument(help="The person: an identity's name, source:id or an email.", show_default=False)],
    household: Annotated[str, typer.Argument(help="Name of the household, or its last part.", show_default=False)],
    reason: ReasonOption,
    expires: ExpiresOption = "",
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Decide that a person is not of a household.

    Example:

      goldenthread decisions leave-household crm:42 households/7f3a… --reason "a namesake in the same house"
    """
    from goldenthread.cli.keys import find_identity_name

    until = expire_time(expires)
    with connect(server, token, tenant, tls_ca, data) as client:
        name = household if household.startswith("tenants/") else household.removeprefix("households/")
        answer = client.leave_household(
            find_identity_name(client, key), name, reason=reason, expire_time=until, validate_only=dry_run
        )
    _show_made(answer, dry_run=dry_run, json=json)


@decisions.command("pin")
def pin(
    record: LeftArgument,
    attribute: Annotated[str, typer.Argument(help="The attribute.", show_default=False)],
    reason: ReasonOption,
    value: Annotated[
        str, typer.Option("--value", help="Which of the record's values, when it has several.", show_default=False)
    ] = "",
    expires: ExpiresOption = "",
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Decide that the value a record has of an attribute is the golden one.

    Example:

      goldenthread decisions pin crm:42 email --value ann@example.org --reason "confirmed by phone"
    """
    from goldenthread.cli.keys import record_name

    until = expire_time(expires)
    with connect(server, token, tenant, tls_ca, data) as client:
        answer = client.pin_value(
            record_name(client, record), attribute, value or None, reason=reason, expire_time=until, validate_only=dry_run
        )
    _show_made(answer, dry_run=dry_run, json=json)


def _show_made(answer: CreateDecisionResponse, *, dry_run: bool, json: bool) -> None:
    from goldenthread.cli import output
    from goldenthread.cli.keys import short
    from goldenthread.client import to_dict

    if json:
        output.print_json(to_dict(answer))
        return
    if not dry_run:
        output.show(f"Decided: {short(answer.decision.name)}")
    show_effect(answer.effect, dry_run=dry_run)


def _show(decision: Decision, *, json: bool) -> None:
    from goldenthread.cli import output
    from goldenthread.cli.keys import short
    from goldenthread.client import to_dict

    if json:
        output.print_json(to_dict(decision))
        return
    facts = [
        ("kind", decision.kind),
        ("state", _state(decision)),
        ("by", decision.actor),
        ("why", decision.reason),
        ("made", f"{output.time_text(decision.create_time)} at revision {decision.revision}"),
        ("expires", output.time_text(decision.expire_time) if decision.HasField("expire_time") else ""),
        ("overrides vetoes", "yes" if decision.overrides_veto else ""),
        ("left", ", ".join(short(name) for name in decision.left)),
        ("right", ", ".join(short(name) for name in decision.right)),
        ("household", short(decision.household)),
        ("attribute", decision.attribute),
    ]
    if decision.HasField("end"):
        end = decision.end
        facts += [
            ("ended", f"{output.time_text(end.end_time)} at revision {end.revision}"),
            ("undone by", end.actor),
            ("undone because", end.reason),
        ]
    rows = [[name, text] for name, text in facts if text]
    output.show(output.table("", ["decision", short(decision.name)], rows))


def _state(decision: Decision) -> str:
    from goldenthread.client import DecisionState

    return DecisionState.Name(decision.state).removeprefix("DECISION_STATE_").lower()
