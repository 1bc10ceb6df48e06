"""Read files of records for the commands, and find what their columns mean."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goldenthread.cli.errors import CommandError

if TYPE_CHECKING:
    from goldenthread.graph.model import SemanticType
    from goldenthread.resolver.bulk.guess import ColumnGuess
    from goldenthread.resolver.bulk.read import Table

__all__ = [
    "ColumnsOption",
    "FilesArgument",
    "IgnoreOption",
    "RecordIdOption",
    "SkipRaggedOption",
    "SourceColumnOption",
    "read_files",
    "row_of",
    "show_guess",
]

FilesArgument = Annotated[
    list[Path], typer.Argument(help="CSV, TSV, Parquet or JSON lines, gzipped or not.", show_default=False)
]
ColumnsOption = Annotated[
    Path | None, typer.Option("--columns", help="YAML that says what columns mean, instead of guessing.", show_default=False)
]
IgnoreOption = Annotated[
    list[str] | None, typer.Option("--ignore", help="Column to leave out, as one that holds the answer.", show_default=False)
]
RecordIdOption = Annotated[str | None, typer.Option("--record-id", help="Column with the record's own id.", show_default=False)]
SkipRaggedOption = Annotated[bool, typer.Option("--skip-ragged", help="Leave out rows with too many or few fields.")]
SourceColumnOption = Annotated[
    str | None,
    typer.Option(
        "--source-column", help="Column that says the source; by default `source`, else the file's name.", show_default=False
    ),
]


def read_files(
    files: Sequence[Path],
    columns: Path | None,
    *,
    record_id: str | None,
    source_column: str | None,
    ignore: Sequence[str],
    skip_ragged: bool,
    declared: Callable[[], Mapping[str, SemanticType]] = dict,
) -> tuple[Table, ColumnGuess]:
    """Read files into one table, and find what its columns mean: as a YAML file says, or by guessing.

    `declared` is asked what a data model says of attributes, which goes before guesses.

    Raises ReadError naming file, row, column and remedy.
    """
    from goldenthread.resolver.bulk.guess import guess_columns
    from goldenthread.resolver.bulk.read import SOURCE, check_columns, read_table

    told = _read_columns(columns) if columns is not None else None
    if told is not None:
        record_id = record_id or told.record_id or None
        # A column named `source` is found by itself, and where there is none the file's name stands in for it.
        source_column = source_column or (told.source if told.source.casefold() != SOURCE else None) or None
    table = read_table(
        files, record_id=record_id, source=source_column, ignore=ignore, on_ragged="skip" if skip_ragged else "error"
    )
    if told is None:
        return table, guess_columns(table, declared())
    check_columns(table, [column.name for column in told.attributes])
    return table, told


def _read_columns(file: Path) -> ColumnGuess:
    """Read an edited guess."""
    from goldenthread.resolver.bulk.errors import GuessInvalid
    from goldenthread.resolver.bulk.guess_file import from_yaml

    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise CommandError(f"{file} is not text in UTF-8.", "Start from what --write-columns writes.") from None
    try:
        return from_yaml(text)
    except GuessInvalid as error:
        raise GuessInvalid(error.problem, error.remedy, file=str(file), row=error.row, column=error.column) from None


def show_guess(guess: ColumnGuess, *, guessed: bool) -> None:
    """Tell people on standard error what the columns were taken for."""
    from goldenthread.cli import output

    rows = []
    for column in guess.columns:
        meaning = column.type.name.lower().replace("_", " ") if column.role == "attribute" else column.role.replace("_", " ")
        facts = [f"{column.completeness:.0%}", str(column.distinct), column.why] if guessed else []
        rows.append([column.name, meaning, *facts])
    title = "What the columns were taken for" if guessed else "What the columns are, as told"
    columns = ["column", "meaning", "filled", "distinct", "why"][: 5 if guessed else 2]
    output.error_console().print(output.table(title, columns, rows, numbers=["filled", "distinct"]))


def row_of(files: Sequence[Path], index: int) -> tuple[Path, int]:
    """Find the file and its row (a line of it, the header being row 1) that became the record at an index of the table.

    Ragged rows, which are no records, are passed over. Reads the files again, because this is asked only for bad records.
    """
    before = 0
    for file in files:
        rows = _rows(file)
        if index < before + len(rows):
            return file, rows[index - before]
        before += len(rows)
    return files[-1], 0


def _rows(file: Path) -> Sequence[int]:
    """List the rows of a file that are records, in order."""
    raw = file.read_bytes()
    if raw.startswith(b"\x1f\x8b"):
        raw = gzip.decompress(raw)
    if raw.startswith(b"PAR1"):
        import pyarrow.parquet as pq

        return range(1, pq.read_metadata(file).num_rows + 1)
    encoding = "utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    text = raw.decode(encoding, errors="replace")
    if file.name.casefold().removesuffix(".gz").endswith(("jsonl", "ndjson", "json")):
        return [row for row, line in enumerate(text.splitlines(), start=1) if line.strip()]
    header = text[: text.find("\n")]
    delimiter = max(",;\t|", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    width = len(next(reader, []))
    rows: list[int] = []
    start = reader.line_num + 1
    for fields in reader:
        if len(fields) == width:
            rows.append(start)
        start = reader.line_num + 1
    return rows
