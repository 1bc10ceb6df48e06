"""train and label: learn a match model from labelled pairs, and choose the pairs to label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goldenthread.cli.connect import JsonOption
from goldenthread.cli.errors import CommandError, UsageError
from goldenthread.cli.files import (
    ColumnsOption,
    FilesArgument,
    IgnoreOption,
    RecordIdOption,
    SkipRaggedOption,
    SourceColumnOption,
)
from goldenthread.cli.pair_labels import labelled_pairs, write_pairs

if TYPE_CHECKING:
    from goldenthread.resolver.bulk.guess import ColumnGuess
    from goldenthread.resolver.bulk.read import Table
    from goldenthread.resolver.bulk.train import LabelledRows, RowsToLabel

__all__ = ["add_commands"]

LabelsOption = Annotated[
    Path | None,
    typer.Option("--labels", help="CSV of pairs labelled 1 or 0, as `goldenthread label` writes it.", show_default=False),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Another seed chooses other pairs.")]


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("label")(label)
    app.command("train")(train)


def label(
    files: FilesArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV to write the pairs to.", show_default=False)],
    pairs: Annotated[int, typer.Option("--pairs", min=1, help="How many pairs to choose.")] = 300,
    labels: LabelsOption = None,
    columns: ColumnsOption = None,
    ignore: IgnoreOption = None,
    record_id: RecordIdOption = None,
    source_column: SourceColumnOption = None,
    with_values: Annotated[
        bool, typer.Option("--with-values", help="Write the records' values too, which are personal.")
    ] = False,
    skip_ragged: SkipRaggedOption = False,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Choose the pairs of records that are most worth labelling.

    They are in random order and without their weights, so that who labels them is not led. Write 1 for one person, 0 for two,
    and nothing where you can't tell, into the column label; give the file to `goldenthread train`. With --labels, pairs that
    are in it are not asked again.

    Example:

      goldenthread label customers.csv --pairs 300 --with-values --out to_label.csv
    """
    from goldenthread.cli import output
    from goldenthread.resolver.bulk.train import choose_pairs

    table, guess = _read(files, columns, ignore, record_id, source_column, skip_ragged=skip_ragged)
    known = _read_labels(labels, table) if labels is not None else []
    types = {column.name: column.type for column in guess.attributes}
    with output.stages() as tell:
        chosen = choose_pairs(table, types, pairs, known, default_country=guess.default_country, seed=seed, progress=tell)
    shown = {column.name: table.columns[column.name] for column in guess.attributes} if with_values else {}
    write_pairs(out, _records(table), [(pair.left, pair.right, ()) for pair in chosen], shown)
    if json:
        output.print_json({"pairs": len(chosen), "out": str(out)})
    else:
        output.show(f"{len(chosen):,} pairs to label. Wrote {out}: write 1 or 0 into its column label.")


def train(
    files: FilesArgument,
    write_model: Annotated[Path, typer.Option("--write-model", help="JSON to write the match model to.", show_default=False)],
    labels: LabelsOption = None,
    columns: ColumnsOption = None,
    ignore: IgnoreOption = None,
    record_id: RecordIdOption = None,
    source_column: SourceColumnOption = None,
    truth_column: Annotated[
        str | None,
        typer.Option("--truth-column", help="For experiments: label --pairs pairs by this column.", show_default=False),
    ] = None,
    pairs: Annotated[int, typer.Option("--pairs", min=1, help="How many pairs --truth-column labels.")] = 300,
    skip_ragged: SkipRaggedOption = False,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Learn a match model from files and labelled pairs of their records.

    Beside the model its card is written, as NAME.card.json: what it was learned from, when, and how well it did.

    Examples:

      goldenthread train customers.csv --labels to_label.csv --write-model model.json

      goldenthread link customers.csv --model model.json --out people.parquet
    """
    import datetime as dt

    import msgspec

    from goldenthread.cli import output
    from goldenthread.resolver.bulk.read import read_table
    from goldenthread.resolver.bulk.train import LabelledRows, TooFewRecords
    from goldenthread.resolver.bulk.train import train as learn
    from goldenthread.resolver.learning.labelled import TooFewLabels

    if (labels is None) == (truth_column is None):
        raise UsageError("Labels come from one place.", "Give either --labels or --truth-column.")
    if not write_model.absolute().parent.is_dir():
        raise CommandError(f"There is no folder {write_model.parent}.", "Make it, or write elsewhere.")
    # The truth is read apart, so that it can't be compared.
    left_out = [*(ignore or ()), *([truth_column] if truth_column else [])]
    table, guess = _read(files, columns, left_out, record_id, source_column, skip_ragged=skip_ragged)
    truth: Sequence[str] = []
    if truth_column is not None:
        truth = read_table(files, on_ragged="skip" if skip_ragged else "error").columns[truth_column]

    def told(asked: Sequence[RowsToLabel]) -> list[LabelledRows]:
        return [LabelledRows(pair.left, pair.right, truth[pair.left] == truth[pair.right]) for pair in asked]

    types = {column.name: column.type for column in guess.attributes}
    given = _read_labels(labels, table) if labels is not None else told
    try:
        with output.stages() as tell:
            trained = learn(
                table, types, given, made_on=f"{dt.datetime.now(dt.UTC):%Y-%m-%d}",
                default_country=guess.default_country, pairs=pairs, seed=seed, progress=tell,
            )  # fmt: skip
    except (TooFewLabels, TooFewRecords) as error:
        raise CommandError(str(error)) from None
    card = write_model.with_name(f"{write_model.stem}.card.json")
    write_model.write_bytes(trained.model.to_json())
    card.write_bytes(msgspec.json.format(msgspec.json.encode(trained.card), indent=2) + b"\n")
    for warning in trained.card.warnings:
        output.warn(warning)
    if json:
        output.print_json(msgspec.to_builtins(trained.card))
        return
    metrics = trained.card.metrics
    if metrics is not None:
        output.show(
            f"Model {trained.card.version}, from {metrics.labels:,} labels: log loss {metrics.log_loss_before:.3f} before, "
            f"{metrics.log_loss_after:.3f} after, on pairs held out. Wrote {write_model} and {card}."
        )


def _read(
    files: Sequence[Path],
    columns: Path | None,
    ignore: Sequence[str] | None,
    record_id: str | None,
    source_column: str | None,
    *,
    skip_ragged: bool,
) -> tuple[Table, ColumnGuess]:
    from goldenthread.cli import output
    from goldenthread.cli.files import read_files
    from goldenthread.resolver.bulk.guess import compared_columns

    table, guess = read_files(
        files, columns, record_id=record_id, source_column=source_column, ignore=ignore or (), skip_ragged=skip_ragged
    )
    for warning in (*table.warnings, *guess.warnings):
        output.warn(warning)
    table.columns.update(compared_columns(table, guess))
    table.record_id_column = guess.record_id
    return table, guess


def _records(table: Table) -> list[tuple[str, str]]:
    """List source and id of each row."""
    from goldenthread.resolver.bulk.link import record_ids_of

    return list(zip(table.columns[table.source_column], record_ids_of(table), strict=True))


def _read_labels(file: Path, table: Table) -> list[LabelledRows]:
    """Read labelled pairs; those without a label are left out.

    Raises CommandError, naming row, column and remedy, and never a value of a record.
    """
    from goldenthread.resolver.bulk.train import LabelledRows

    row_of: Mapping[tuple[str, str], int] = {record: row for row, record in enumerate(_records(table))}
    found = []
    for at, row, is_match in labelled_pairs(file, "goldenthread label"):
        left = row_of.get((row["left_source"], row["left_record_id"]))
        right = row_of.get((row["right_source"], row["right_record_id"]))
        if left is None or right is None:
            raise CommandError(f"{at}: a record of the pair is not in the files.", "Give the files that the pairs came from.")
        if is_match is not None:
            found.append(LabelledRows(left, right, is_match))
    return found
