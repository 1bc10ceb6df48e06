"""Link files on this machine, stage by stage; what is heavy is imported with this module."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from goldenthread.cli import output
from goldenthread.cli.guard_rails import check_guard_rails
from goldenthread.graph.model import SemanticType
from goldenthread.resolver.bulk.errors import MissingColumns
from goldenthread.resolver.bulk.guess import ColumnGuess, compared_columns
from goldenthread.resolver.bulk.link import LinkResult, link_read, read_profiles, without_collector
from goldenthread.resolver.bulk.read import Table
from goldenthread.resolver.bulk.work import Read, Work
from goldenthread.resolver.guards import GuardRails
from goldenthread.resolver.scoring import MatchModel

__all__ = ["link_here", "meant", "types_of"]

Show = Callable[[ColumnGuess, Sequence[str]], None]


class _WasRead(Struct):
    """What is said of files when they are read."""

    guess: ColumnGuess
    warnings: tuple[str, ...]


def meant(table: Table, guess: ColumnGuess) -> Table:
    """Write the columns of a table as a guess says they are meant."""
    table.columns.update(compared_columns(table, guess))
    table.record_id_column = guess.record_id
    return table


def types_of(table: Table, guess: ColumnGuess, observed_at: str) -> dict[str, SemanticType | None]:
    """Say what is compared: not the column that says when records were observed.

    Raises:
        MissingColumns: it is not there.
    """
    if observed_at and observed_at not in table.columns:
        raise MissingColumns([observed_at], list(table.columns))
    return {column.name: column.type for column in guess.attributes if column.name != observed_at}


def link_here(
    read_files: Callable[[], tuple[Table, ColumnGuess]],
    show: Show,
    work: Work | None,
    model: MatchModel | None,
    rails: GuardRails,
    observed_at: str,
) -> tuple[LinkResult, ColumnGuess]:
    """Link files, and keep in `work` what stages find; those that are done there are skipped."""
    with without_collector():
        read, guess = _read(read_files, show, work, rails, observed_at)
        with output.stages() as tell:
            country = guess.default_country
            result = link_read(read, model=model, guard_rails=rails, default_country=country, progress=tell, work=work)
    return result, guess


def _read(
    read_files: Callable[[], tuple[Table, ColumnGuess]], show: Show, work: Work | None, rails: GuardRails, observed_at: str
) -> tuple[Read, ColumnGuess]:
    """Read files into profiles, or take those that were."""
    if work is not None and work.done("profiles"):
        said = work.about_read(_WasRead)
        show(said.guess, said.warnings)
        return work.read(), said.guess
    table, guess = read_files()
    warnings = (*table.warnings, *guess.warnings)
    show(guess, warnings)
    meant(table, guess)
    check_guard_rails(rails, table.columns[table.source_column], guess.default_country)
    types = types_of(table, guess, observed_at)
    with output.stages() as tell:
        read = read_profiles(table, types, rails, guess.default_country, tell, observed_at)
    return (read if work is None else work.keep_read(read, _WasRead(guess, warnings))), guess
