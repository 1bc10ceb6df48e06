"""Read guard rails as the command line declares them: in a file, and by flags that add to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goldenthread.resolver.guards import GuardRails

__all__ = ["check_guard_rails", "declared", "read_guard_rails"]


def read_guard_rails(file: Path) -> GuardRails:
    """Read guard rails from a file.

    Raises:
        CommandError: it is none, with what is wrong.
    """
    from goldenthread.cli.errors import CommandError
    from goldenthread.resolver.guards import GuardRails, GuardRailsUnreadable

    try:
        text = file.read_text(encoding="utf-8")
        if not text.strip():
            raise CommandError(f"{file} is empty.", "Write {} into it to have no guard rails.")
        return GuardRails.read(text)
    except OSError as error:
        raise CommandError(f"{file} can't be read ({error.strerror}).", "Give another file.") from None
    except (GuardRailsUnreadable, UnicodeDecodeError) as error:
        problem = error.problem if isinstance(error, GuardRailsUnreadable) else "it is not UTF-8"
        raise CommandError(f"{file} is no guard rails: {problem}.", "Start from `goldenthread guards show`.") from None


def declared(
    file: Path | None, duplicate_free: Sequence[str], never_overlap: Sequence[str], verifying: Sequence[str]
) -> GuardRails:
    """Join what a file declares and what flags do.

    Raises:
        CommandError: the file is no guard rails.
        UsageError: a set of sources that never overlap names fewer than two.
    """
    from msgspec.structs import replace

    from goldenthread.cli.errors import UsageError
    from goldenthread.resolver.guards import GuardRails

    rails = GuardRails() if file is None else read_guard_rails(file)
    sets = [tuple(part.strip() for part in text.split(",")) for text in never_overlap]
    if any(len(set(sources)) < 2 or not all(sources) for sources in sets):
        raise UsageError("--never-overlap needs two sources or more.", "Write it as --never-overlap crm,shop.")
    return replace(
        rails,
        duplicate_free=tuple(dict.fromkeys((*rails.duplicate_free, *duplicate_free))),
        never_overlap=tuple(dict.fromkeys((*rails.never_overlap, *sets))),
        verifying=tuple(dict.fromkeys((*rails.verifying, *verifying))),
    )


def check_guard_rails(rails: GuardRails, sources: Sequence[str], default_country: str) -> None:
    """Warn of sources that are declared and of which there is no record: most likely a slip of the pen.

    Raises:
        CommandError: a blocked value can't be used.
    """
    from goldenthread.cli import output
    from goldenthread.cli.errors import CommandError
    from goldenthread.resolver.bulk.text_column import TextColumn
    from goldenthread.resolver.guards import GuardRailsUnreadable, Guards

    try:
        Guards.in_the_clear(rails, default_country)
    except GuardRailsUnreadable as error:
        raise CommandError(f"The guard rails can't be used: {error.problem}.", "Correct them.") from None
    known = set(TextColumn.of(sources).words())
    named = {*rails.duplicate_free, *rails.verifying, *(source for sources in rails.never_overlap for source in sources)}
    for source in sorted(named - known):
        output.warn(
            f"No record is of the source {source}, which the guard rails name; there are: {', '.join(sorted(known)[:10])}."
        )
