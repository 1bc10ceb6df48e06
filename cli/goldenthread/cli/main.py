"""The `goldenthread` command: put its groups together, and end every failure in one sentence and an exit code.

Exit codes: 0 done, 1 failed, 2 used wrongly, 130 stopped by Ctrl-C. Modules of commands import what is heavy only when one
runs.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup

from goldenthread.cli import (
    decisions,
    doctor,
    evaluate,
    events,
    explain,
    explore,
    golden,
    guards,
    household,
    identity,
    jobs,
    link,
    load,
    model,
    profile,
    record,
    resolve,
    review,
    serve,
    train,
)
from goldenthread.cli.demo import command as demo
from goldenthread.cli.errors import explain as explain_error

if TYPE_CHECKING:
    from typer._click.core import Context  # what a group's methods take; typer.Context is more than that

__all__ = ["app", "main"]


class _Commands(TyperGroup):
    """Commands that end well when they are stopped, or when nobody reads on."""

    def invoke(self, ctx: Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.stderr.write("Stopped.\n")
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # Whoever read our output, as `head`, has seen enough; nothing more can be written, not even at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit from None


app = typer.Typer(
    cls=_Commands,
    name="goldenthread",
    help="Golden Thread keeps customers straight.",
    no_args_is_help=True,
    rich_markup_mode=None,  # the plain help starts in half the time
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _print_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"goldenthread {version('goldenthread')}\n")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", help="Show the version and exit.", is_eager=True, callback=_print_version),
) -> None:
    """Golden Thread keeps customers straight: which records are the same person, and what is best known of them.

    Try it: goldenthread demo · Link files: goldenthread link FILES… --out out.parquet · Run it: goldenthread serve
    """


for group in (
    serve,
    demo,
    doctor,
    profile,
    link,
    train,
    evaluate,
    load,
    resolve,
    identity,
    decisions,
    record,
    golden,
    guards,
    explain,
    explore,
    household,
    events,
    review,
    model,
    jobs,
):
    group.add_commands(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, with what was typed unless told otherwise; ends with SystemExit and the exit code."""
    atexit.register(gc.freeze)  # looking for cycles once more at the end takes a quarter of a second
    try:
        app(args=arguments)
    except Exception as error:
        if os.environ.get("GOLDENTHREAD_TRACEBACK"):
            raise
        sentence, code = explain_error(error)
        sys.stderr.write(f"error: {sentence}\n")
        sys.exit(code)


if __name__ == "__main__":
    main()
