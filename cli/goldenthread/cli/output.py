"""Write answers: tables and trees for people, JSON for scripts, progress on a terminal only.

Answers go to standard output; progress, warnings and errors to standard error. Colour is used on a terminal only and never
when NO_COLOR is set. Rich is imported when something is shown with it, because starting up must stay fast.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp
    from rich.console import Console, RenderableType

__all__ = [
    "counted",
    "error_console",
    "heading",
    "limited",
    "note",
    "print_json",
    "progress",
    "show",
    "stages",
    "table",
    "time_text",
    "warn",
]

T = TypeVar("T")

WIDTH = 120
"""Columns of what is not written to a terminal."""


def output_console() -> Console:
    """Open a console on standard output."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)


def error_console() -> Console:
    """Open a console on standard error."""
    from rich.console import Console

    return Console(stderr=True, width=None if sys.stderr.isatty() else WIDTH, highlight=False)


def print_json(value: object) -> None:
    """Write one JSON value, indented on a terminal, as one line elsewhere."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None)
    sys.stdout.write("\n")


def show(*what: RenderableType) -> None:
    """Show something to people on standard output; text is shown as it is, whatever brackets it holds."""
    console = output_console()
    for part in what:
        if isinstance(part, str):
            console.print(part, markup=False, soft_wrap=True)
        else:
            console.print(part)


def heading(text: str) -> None:
    """Show a line that stands out, before what it is about."""
    from rich.text import Text

    show(Text(text, style="bold"))


def note(text: str) -> None:
    """Write a remark to standard error."""
    sys.stderr.write(text + "\n")


def warn(text: str) -> None:
    """Write a warning to standard error."""
    from rich.text import Text

    error_console().print(Text.assemble(("warning: ", "yellow"), text), soft_wrap=True)


def limited(found: Iterable[T], limit: int) -> list[T]:
    """Take so many of what is listed, and say on standard error when there are more."""
    taken = list(islice(found, limit + 1))
    if len(taken) > limit:
        note(f"There are more than {'this one' if limit == 1 else f'these {limit:,}'}; --limit shows them.")
    return taken[:limit]


def counted(count: int, one: str, many: str) -> str:
    """Write how many of something there are, as "1 record" and "2,000 records"."""
    return f"{count:,} {one if count == 1 else many}"


def time_text(moment: Timestamp) -> str:
    """Write a time for people, in UTC to the second; empty when there is none."""
    return f"{moment.ToDatetime():%Y-%m-%d %H:%M:%S}" if moment.seconds else ""


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[str] = ()) -> RenderableType:
    """Lay rows out as a table; columns named in `numbers` stand to the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    laid = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        laid.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        laid.add_row(*[Text(cell) for cell in row])
    if not rows:
        laid.add_row(Text("none", style="dim"))
    return laid


@contextmanager
def progress(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a bar with rate and time left on a terminal, and nothing elsewhere; call what it yields with what was done more."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:>9,.0f}/s"),
        TimeRemainingColumn(),
        console=error_console(),
    )
    with bar:
        task = bar.add_task(label, total=total, rate=0.0)

        def advance(count: int) -> None:
            shown = bar.tasks[0]
            done = shown.completed + count
            bar.update(task, advance=count, rate=done / shown.elapsed if shown.elapsed else 0.0)

        yield advance


@contextmanager
def stages() -> Iterator[Callable[[str, float], None]]:
    """Show how far each stage of a long work is (0 to 1) and how long it will still take, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda _stage, _share: None
        return
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    tasks: dict[str, TaskID] = {}
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=error_console(),
        transient=True,
    )
    with bar:

        def tell(stage: str, share: float) -> None:
            if stage not in tasks:
                for earlier in tasks.values():
                    bar.update(earlier, completed=1.0)
                tasks[stage] = bar.add_task(stage, total=1.0)
            bar.update(tasks[stage], completed=share)

        yield tell
