"""load: send files of records to a server."""

from __future__ import annotations

import json as json_format
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from pathlib import Path
from time import perf_counter
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
from goldenthread.cli.errors import CommandError, UsageError
from goldenthread.cli.files import ColumnsOption, FilesArgument, IgnoreOption, RecordIdOption, SourceColumnOption
from goldenthread.cli.whole_file import whole_file

if TYPE_CHECKING:
    import datetime as dt

    from goldenthread.cli.sent_columns import Attribute
    from goldenthread.client import Client, Party, Record, UpsertResult
    from goldenthread.graph import model as graph
    from goldenthread.resolver.bulk.guess import ColumnGuess
    from goldenthread.resolver.bulk.read import Table

__all__ = ["add_commands"]

_SOURCE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
_DECIMAL_ID = re.compile(r"[0-9]+\.0+")
ERRORS_SHOWN = 20
ERRORS_KEPT = 1000
STATE_SECONDS = 1.0
"""Time between two writings of how far a load came, so that one that is killed goes on from there."""


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("load")(load)


@dataclass(slots=True)
class Tally:
    """How a load went so far. `unchanged` are kept that changed nothing, `rejected` holds places in the table and what is
    wrong there. `revision` is the store's before the load: what was answered at it or earlier, an earlier load changed.
    """

    revision: int
    answered: int = 0
    kept: int = 0
    unchanged: int = 0
    rejected_count: int = 0
    rejected: list[tuple[int, str]] = field(default_factory=list)


def load(
    files: FilesArgument,
    columns: ColumnsOption = None,
    ignore: IgnoreOption = None,
    record_id: RecordIdOption = None,
    number_rows: Annotated[
        bool, typer.Option("--number-rows", help="Number records by their place where no column is their id.")
    ] = False,
    source: Annotated[str, typer.Option("--source", help="Source of all records, as crm.", show_default=False)] = "",
    source_column: SourceColumnOption = None,
    observed_at: Annotated[
        str | None,
        typer.Option(
            "--observed-at", help="The column that says when each record was observed; now by default.", show_default=False
        ),
    ] = None,
    party: Annotated[
        str, typer.Option("--party", help="How close the source is: zero, first, second or third.", show_default=False)
    ] = "",
    resume: Annotated[
        Path | None, typer.Option("--resume", help="File that keeps how far a load came, to go on from.", show_default=False)
    ] = None,
    chunk: Annotated[int, typer.Option("--chunk", help="Records a message.", min=1, max=1000)] = 500,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Send files of records to a server.

    Each record is durable and resolved when it is counted.

    Loading the same files again, or going on after an interruption, changes nothing twice. Bad rows are listed and left out,
    all others are kept; the exit code is 1 when there were any.

    Examples:

      goldenthread load customers.csv --source crm --record-id customer_no

      goldenthread load shop.parquet --columns columns.yaml --resume shop.state
    """
    from goldenthread.cli import output
    from goldenthread.cli.files import show_guess
    from goldenthread.cli.sent_columns import attribute_names, count_unreadable, declared_types, take_observed_times
    from goldenthread.client import Party, Retry
    from goldenthread.resolver.bulk.guess import NUMBERED, compared_columns

    if party and party.upper() not in Party.__members__:
        raise UsageError(f"--party {party} is not known.", "Use zero, first, second or third.")
    if source and not _SOURCE.match(source):
        raise UsageError(f"--source {source} is no name of a source.", "Use letters, digits, dots, dashes and underscores.")
    if source and source_column:
        raise UsageError("--source and --source-column both say where records come from.", "Give one of them.")
    # Longer than the client's own patience, because nobody is waiting: a server that restarts is back within a minute.
    patience = Retry(attempts=12, longest_wait_seconds=10.0)
    with connect(server, token, tenant, tls_ca, data, retry=patience) as client:
        model = cache(client.get_data_model)
        table, guess, ragged = _read(files, columns, record_id, source_column, ignore or (), lambda: declared_types(model()))
        guess, times = take_observed_times(table, guess, observed_at)
        if not json:
            show_guess(guess, guessed=columns is None)
        for warning in (*table.warnings, *guess.warnings):
            if warning != NUMBERED:
                output.warn(warning)
        if not guess.record_id and not number_rows:
            raise CommandError(
                "No column is the records' own id.", "Name it with --record-id, or number them by place with --number-rows."
            )
        if not source:
            _check_sources(table)
        _warn_of_decimal_ids(table, guess)
        values = compared_columns(table, guess)
        options = f"{source}|{source_column}|{party}|{ignore}"
        digest = _digest(files, guess, f"{options}|{observed_at}" if observed_at else options)
        done = _read_state(resume, digest)
        began = kept_at = perf_counter()
        tally = Tally(_latest_revision(client), answered=done)
        sender = Party[party.upper()] if party else Party.UNSPECIFIED
        records = _records(table, guess, values, attribute_names(guess, model()), source, sender, times, done)
        try:
            with output.progress("loading", table.rows) as advance:
                advance(done)

                def tell(count: int) -> None:
                    nonlocal kept_at
                    advance(count)
                    if resume is not None and perf_counter() - kept_at >= STATE_SECONDS:
                        kept_at = perf_counter()
                        _write_state(resume, digest, tally)

                _send(client, records, digest, chunk, tally, tell)
        except KeyboardInterrupt:
            file = _write_state(resume, digest, tally)
            raise CommandError(
                f"Stopped; {tally.kept:,} records were kept.", f"To go on, give the same command with --resume {file}."
            ) from None
        except BaseException:
            file = _write_state(resume, digest, tally)
            output.note(f"{tally.kept:,} records were kept. To go on, give the same command with --resume {file}.")
            raise
    if resume is not None:
        resume.unlink(missing_ok=True)
    seconds = perf_counter() - began
    unreadable = count_unreadable(guess, values, model().default_country)
    _report(files, table, tally, done, ragged, unreadable, seconds, json=json)
    if tally.rejected_count or ragged:
        raise typer.Exit(1)


def _read(
    files: Sequence[Path],
    columns: Path | None,
    record_id: str | None,
    source_column: str | None,
    ignore: Sequence[str],
    declared: Callable[[], Mapping[str, graph.SemanticType]],
) -> tuple[Table, ColumnGuess, str]:
    """Read the files and find what their columns mean; ragged rows are left out, and told of by the last answer."""
    from goldenthread.cli.files import read_files
    from goldenthread.resolver.bulk.errors import RowsRagged

    def read(*, skip_ragged: bool) -> tuple[Table, ColumnGuess]:
        return read_files(
            files, columns, record_id=record_id, source_column=source_column, ignore=ignore, skip_ragged=skip_ragged,
            declared=declared,
        )  # fmt: skip

    try:
        return *read(skip_ragged=False), ""
    except RowsRagged as error:
        table, guess = read(skip_ragged=True)
        rows = ", ".join(str(row) for row in error.rows)
        problem = f"{error.found} fields in the first of them instead of {error.expected}"
        remedy = "Look for unquoted separators or an unclosed quote there."
        return (
            table,
            guess,
            f"{error.file}, row {rows}{' and more' if error.count > len(error.rows) else ''}: {problem}. {remedy}",
        )


def _warn_of_decimal_ids(table: Table, guess: ColumnGuess) -> None:
    """Warn of ids that a spreadsheet or a data frame made decimals of: sent so, they are other records than 12345 is."""
    from goldenthread.cli import output

    if guess.record_id and all(_DECIMAL_ID.fullmatch(id) for id in table.columns[guess.record_id]):
        output.warn(
            f"All ids of column {guess.record_id} end in .0 and are sent so; if they are whole numbers, save them as text."
        )


def _check_sources(table: Table) -> None:
    """Refuse names of sources that no server takes, before anything is sent."""
    for name in sorted(set(table.columns[table.source_column])):
        if not _SOURCE.match(name):
            raise CommandError(
                f"{name!r} is no name of a source." if name else "Some records have no source.",
                "Name one for all records with --source, or the column with --source-column.",
            )


def _records(
    table: Table,
    guess: ColumnGuess,
    values: Mapping[str, Sequence[str]],
    attributes: Mapping[str, Attribute],
    source: str,
    party: Party,
    times: Sequence[dt.datetime] | None,
    first: int,
) -> Iterator[Record]:
    """Make the records of a table, from a place on."""
    from goldenthread.client import AttributeInput, Record, Typed

    ids = table.columns[guess.record_id] if guess.record_id else None
    sources = table.columns[table.source_column]
    used = [(attributes[name].name, attributes[name].type, column) for name, column in values.items()]
    for row in range(first, table.rows):
        said: dict[str, list[str | Typed]] = {}
        for name, kind, column in used:
            text = column[row]
            if text:
                said.setdefault(name, []).append(text if kind is None else Typed(text, kind))
        given: dict[str, AttributeInput] = dict(said)
        observed_at = times[row] if times is not None else None
        yield Record(source or sources[row], ids[row] if ids else str(row + 1), given, party, observed_at)


def _latest_revision(client: Client) -> int:
    """Read the revision that the store is at, which comes with every golden record, even of nobody."""
    return client.batch_get_golden_records([f"tenants/{client.tenant}/identities/{'0' * 32}"]).revision


def _send(
    client: Client, records: Iterator[Record], digest: str, chunk: int, tally: Tally, advance: Callable[[int], None]
) -> None:
    """Stream the records and count what became of them.

    Raises the error of a record that the server could not keep for reasons of its own, as a full store: what follows it is
    sent again by the next run.
    """
    from goldenthread.client.errors import Invalid

    first = tally.answered
    shown = first
    for result in client.upsert_stream(
        records, request_id_of=lambda index, _: f"{digest}-{first + index}", records_per_chunk=chunk
    ):
        if result.error is not None and (result.error.is_retryable or not isinstance(result.error, Invalid)):
            raise result.error
        _count(result, first, tally)
        if tally.answered - shown >= chunk:
            advance(tally.answered - shown)
            shown = tally.answered
    advance(tally.answered - shown)


def _count(result: UpsertResult, first: int, tally: Tally) -> None:
    """Count one answer."""
    tally.answered = first + result.index + 1
    if result.error is None:
        tally.kept += 1
        tally.unchanged += not result.changed or result.revision <= tally.revision
        return
    tally.rejected_count += 1
    if len(tally.rejected) < ERRORS_KEPT:
        tally.rejected.append((first + result.index, f"{result.error.message} {result.error.advice}".strip()))


def _digest(files: Sequence[Path], guess: ColumnGuess, options: str) -> str:
    """Name this load: the same files, meanings and options have the same name, whatever else is in the world.

    Request ids are made of it and the row, so that none of them is a hash of a single value.
    """
    digest = blake2b(options.encode(), digest_size=12)
    for column in guess.columns:
        digest.update(f"{column.name}|{column.role}|{int(column.type)}|{column.format}\n".encode())
    digest.update(guess.default_country.encode())
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _read_state(resume: Path | None, digest: str) -> int:
    """Read how many records an earlier run of this load got answers for.

    Raises CommandError when the file is of another load.
    """
    if resume is None or not resume.exists():
        return 0
    try:
        state = json_format.loads(resume.read_text(encoding="utf-8"))
        same, answered = state["load"] == digest, int(state["answered"])
    except (ValueError, KeyError, TypeError):
        raise CommandError(f"{resume} does not hold how far a load came.", "Name another file with --resume.") from None
    if not same:
        raise CommandError(
            f"{resume} is of a load of other files, columns or options.", "Give the same ones, or another file with --resume."
        )
    return answered


def _write_state(resume: Path | None, digest: str, tally: Tally) -> Path:
    """Write how far the load came; a kill leaves what was there before, or this."""
    file = resume or Path(f"goldenthread-load-{digest[:8]}.state")
    with whole_file(file) as state:
        state.write(json_format.dumps({"load": digest, "answered": tally.answered}) + "\n")
    return file


def _report(
    files: Sequence[Path],
    table: Table,
    tally: Tally,
    done: int,
    ragged: str,
    unreadable: Mapping[str, int],
    seconds: float,
    *,
    json: bool,
) -> None:
    """Say how the load went: what was kept, at what rate, and which rows were not, with their remedies."""
    from goldenthread.cli import output
    from goldenthread.cli.files import row_of

    rejected = [(*row_of(files, place), what) for place, what in tally.rejected[: None if json else ERRORS_SHOWN]]
    rate = (tally.answered - done) / seconds if seconds else 0.0
    if json:
        output.print_json(
            {
                "records": table.rows,
                "answered_before": done,
                "kept": tally.kept,
                "unchanged": tally.unchanged,
                "rejected_count": tally.rejected_count,
                "rejected": [{"file": file.name, "row": row, "problem": what} for file, row, what in rejected],
                "ragged_rows": table.skipped,
                "ragged": ragged,
                "unreadable": unreadable,
                "seconds": round(seconds, 3),
                "records_per_second": round(rate, 1),
            }
        )
        return
    for file, row, what in rejected:
        output.note(f"{file.name}, row {row}: {what}")
    if tally.rejected_count > len(rejected):
        output.note(f"and {tally.rejected_count - len(rejected):,} more rows that were not kept.")
    if ragged:
        output.note(ragged)
    refused = tally.rejected_count + table.skipped
    lost = f" {output.counted(refused, 'row was', 'rows were')} not kept." if refused else ""
    before = f" ({done:,} were answered for by an earlier run)" if done else ""
    same = f"; {tally.unchanged:,} of them changed nothing" if tally.unchanged else ""
    output.show(f"Kept {output.counted(tally.kept, 'record', 'records')} at {rate:,.0f} a second{same}{before}.{lost}")
    for column, count in unreadable.items():
        output.note(f"{column}: {output.counted(count, 'value', 'values')} could not be read; kept as written.")
    if tally.rejected_count:
        output.note("Mend those rows and load the file again: records that are kept already stay as they are.")
