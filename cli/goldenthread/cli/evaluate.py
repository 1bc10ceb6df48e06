"""evaluate: measure who is who against the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goldenthread.cli.connect import JsonOption
from goldenthread.cli.errors import CommandError

if TYPE_CHECKING:
    from goldenthread.resolver.bulk.read import Table

__all__ = ["add_commands"]

IDENTITY_COLUMN = "identity_id"
RECORD_COLUMN = "record_id"


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("evaluate")(evaluate)


def evaluate(
    out: Annotated[Path, typer.Argument(help="What `link` wrote: record_id, source, identity_id.", show_default=False)],
    truth: Annotated[Path, typer.Option("--truth", help="File that says who each record really is.", show_default=False)],
    truth_column: Annotated[str, typer.Option("--truth-column", help="Its column that says who.")] = "truth_id",
    record_id: Annotated[str, typer.Option("--record-id", help="Its column with the record's own id.")] = RECORD_COLUMN,
    json: JsonOption = False,
) -> None:
    """Measure what link said against the truth.

    Precision, recall and F1, by pairs of records and by records (B-cubed).

    Example:

      goldenthread evaluate people.parquet --truth customers.csv --truth-column truth_id
    """
    import msgspec

    from goldenthread.cli import output
    from goldenthread.resolver.bulk.read import read_table
    from goldenthread.resolver.evaluate import evaluate as measure

    said = read_table(out)
    true = read_table(truth)
    _need(out, said, (RECORD_COLUMN, IDENTITY_COLUMN))
    _need(truth, true, (record_id, truth_column))
    # Ids may be unique within their source only.
    with_source = len(set(said.columns[RECORD_COLUMN])) < said.rows
    labels = _by_record(out, said, RECORD_COLUMN, IDENTITY_COLUMN, with_source=with_source)
    people = _by_record(truth, true, record_id, truth_column, with_source=with_source)
    missing = len(labels.keys() ^ people.keys())
    if missing:
        raise CommandError(
            f"{missing:,} records are in only one of {out} and {truth}.",
            "Give the truth of exactly the records that were linked.",
        )
    result = measure([people[key] for key in labels], list(labels.values()))
    if json:
        output.print_json(msgspec.to_builtins(result))
        return
    rows = [
        ["pairs", f"{result.pairwise_precision:.4f}", f"{result.pairwise_recall:.4f}", f"{result.pairwise_f1:.4f}"],
        ["records (B-cubed)", f"{result.bcubed_precision:.4f}", f"{result.bcubed_recall:.4f}", f"{result.bcubed_f1:.4f}"],
        ["exact identities", f"{result.exact_precision:.4f}", f"{result.exact_recall:.4f}", ""],
    ]
    columns = ["by", "precision", "recall", "F1"]
    title = f"{result.records:,} records, {result.clusters:,} identities of {result.true_clusters:,} people"
    output.show(output.table(title, columns, rows, numbers=columns[1:]))


def _need(file: Path, table: Table, columns: Sequence[str]) -> None:
    """Check that a file has the columns needed.

    Raises MissingColumns.
    """
    from goldenthread.resolver.bulk.errors import MissingColumns

    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise MissingColumns(missing, list(table.columns), file=file.name)


def _by_record(file: Path, table: Table, record_id: str, label: str, *, with_source: bool) -> Mapping[tuple[str, str], str]:
    """Read a label for each record.

    Raises CommandError when one record comes twice.
    """
    sources = table.columns[table.source_column] if with_source else [""] * table.rows
    labels = dict(zip(zip(sources, table.columns[record_id], strict=True), table.columns[label], strict=True))
    if len(labels) < table.rows:
        raise CommandError(
            f"{file} has {table.rows - len(labels):,} records whose {record_id} comes more than once.",
            "Give a column that is unique, within its source at least.",
        )
    return labels
