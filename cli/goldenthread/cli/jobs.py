"""jobs: list long work, show it, wait for it, cancel it and resume it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

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
    from goldenthread.client import Client, Job

__all__ = ["add_commands", "follow", "show_job"]

jobs = typer.Typer(help="Show and steer long work.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="Name of the job, or its last part.", show_default=False)]

_LOOK_SECONDS = 0.5


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(jobs, name="jobs")


def show_job(job: Job, *, json: bool) -> None:
    """Write a job as JSON, its result taken apart, or for people."""
    from json import loads

    from goldenthread.cli import output
    from goldenthread.client import to_dict

    result = loads(job.result) if job.result else None
    if json:
        plain = to_dict(job)
        assert isinstance(plain, dict)
        output.print_json({**plain, **({"result": result} if result is not None else {})})
        return
    rows = [[name, text] for name, text in _facts(job) if text]
    if isinstance(result, dict):
        rows += [[name.replace("_", " "), _plain(value)] for name, value in result.items()]
    output.show(output.table("", ["job", job.name], rows))


def follow(client: Client, name: str, *, timeout_seconds: float = 7 * 86_400.0) -> Job:
    """Wait for a job, with a bar on a terminal.

    Raises CommandError when it fails, is cancelled, or the time is over; Ctrl-C leaves the job to the server.
    """
    from goldenthread.cli import output
    from goldenthread.cli.errors import CommandError, StoppedError
    from goldenthread.client import JobState, is_ended

    job = client.get_job(name)
    try:
        with output.stages() as tell:
            for now in client.watch_job(name, timeout_seconds=timeout_seconds, look_seconds=_LOOK_SECONDS):
                tell(now.type, now.done / now.total if now.total else 0.0)
                job = now
    except KeyboardInterrupt:
        raise StoppedError(
            f"The job {job.name} goes on at the server.",
            "Wait for it with `goldenthread jobs wait`, end it with `jobs cancel`.",
        ) from None
    if not is_ended(job):
        raise CommandError(f"The job {job.name} has not ended yet.", f"Ask `goldenthread jobs wait {job.name}` again.")
    if job.state == JobState.JOB_STATE_CANCELLED:
        raise CommandError(f"The job {job.name} was cancelled.", f"Go on with `goldenthread jobs resume {job.name}`.")
    if job.state == JobState.JOB_STATE_FAILED:
        raise CommandError(
            f"The job {job.name} failed: {job.error}", f"Once that is mended, go on with `goldenthread jobs resume {job.name}`."
        )
    return job


@jobs.command("list")
def list_(
    type: Annotated[str, typer.Option("--type", help="Only jobs of this type.", show_default=False)] = "",
    only_open: Annotated[bool, typer.Option("--open", help="Only jobs that are queued or running.")] = False,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """List jobs, the oldest first.

    Example:

      goldenthread jobs list --open
    """
    from goldenthread.cli import output
    from goldenthread.client import to_dict

    with connect(server, token, tenant, tls_ca, data) as client:
        found = list(client.list_jobs(type=type, only_open=only_open))
    if json:
        output.print_json([to_dict(job) for job in found])
        return
    rows = [[job.name.rpartition("/")[2], job.type, _state(job), _progress(job)] for job in found]
    output.show(output.table("", ["job", "type", "state", "progress"], rows))


@jobs.command("show")
def show(
    name: NameArgument,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Show one job: its state, its progress, and what came of it.

    Example:

      goldenthread jobs show 0193f2…
    """
    with connect(server, token, tenant, tls_ca, data) as client:
        show_job(client.get_job(name), json=json)


@jobs.command("wait")
def wait(
    name: NameArgument,
    timeout: Annotated[float, typer.Option("--timeout", min=0, help="Longest wait, in seconds.")] = 7 * 86_400.0,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Wait until a job has ended, with a bar on a terminal; fails when the job did.

    Example:

      goldenthread jobs wait 0193f2…
    """
    with connect(server, token, tenant, tls_ca, data) as client:
        show_job(follow(client, name, timeout_seconds=timeout), json=json)


@jobs.command("cancel")
def cancel(
    name: NameArgument,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Cancel a job at its next checkpoint; what it did stays done.

    Example:

      goldenthread jobs cancel 0193f2…
    """
    with connect(server, token, tenant, tls_ca, data) as client:
        show_job(client.cancel_job(name), json=json)


@jobs.command("resume")
def resume(
    name: NameArgument,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Queue a job again that failed or was cancelled; it goes on from its last checkpoint.

    Example:

      goldenthread jobs resume 0193f2…
    """
    with connect(server, token, tenant, tls_ca, data) as client:
        show_job(client.resume_job(name), json=json)


def _state(job: Job) -> str:
    from goldenthread.client import JobState

    name = JobState.Name(job.state).removeprefix("JOB_STATE_").lower()
    return "cancelling" if job.is_cancelling else name


def _progress(job: Job) -> str:
    if not job.total:
        return f"{job.done:,} {job.unit}" if job.done else ""
    return f"{job.done:,} of {job.total:,} {job.unit}"


def _facts(job: Job) -> list[tuple[str, str]]:
    from goldenthread.cli.output import time_text

    def when(name: Literal["created_at", "due_at", "started_at", "ended_at"]) -> str:
        return time_text(getattr(job, name)) if job.HasField(name) else ""

    return [
        ("type", job.type),
        ("state", _state(job)),
        ("progress", _progress(job)),
        ("error", job.error),
        ("requested by", job.requested_by),
        ("created", when("created_at")),
        ("due", when("due_at")),
        ("started", when("started_at")),
        ("ended", when("ended_at")),
    ]


def _plain(value: object) -> str:
    if isinstance(value, list):
        return "; ".join(map(_plain, value)) or "none"
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
