"""evaluate: measure who is who, against the truth, from labelled pairs, or against another result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goldenthread.cli.connect import JsonOption
from goldenthread.cli.errors import CommandError, UsageError
from goldenthread.cli.files import ColumnsOption
from goldenthread.cli.whole_file import whole_file

if TYPE_CHECKING:
    from rich.console import RenderableType

    from goldenthread.resolver.bulk.read import Table
    from goldenthread.resolver.differences import Difference
    from goldenthread.resolver.report import Findings

__all__ = ["add_commands"]

IDENTITY_COLUMN = "identity_id"
RECORD_COLUMN = "record_id"

_CHANGES = {"merged": "merged", "split": "split", "rearranged": "rearranged"}
_ERRORS = {"merged": "joined wrongly", "split": "missed", "rearranged": "both"}

Record = tuple[str, str]


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("evaluate")(evaluate)


def evaluate(
    out: Annotated[Path, typer.Argument(help="What `link` wrote: record_id, source, identity_id.", show_default=False)],
    truth: Annotated[
        Path | None, typer.Option("--truth", help="File that says who each record really is.", show_default=False)
    ] = None,
    truth_column: Annotated[str, typer.Option("--truth-column", help="Its column that says who.")] = "truth_id",
    record_id: Annotated[str, typer.Option("--record-id", help="Its column with the record's own id.")] = RECORD_COLUMN,
    pair_labels: Annotated[
        Path | None,
        typer.Option("--labels", help="Pairs of `link --sample`, labelled, instead of the truth.", show_default=False),
    ] = None,
    against: Annotated[
        Path | None, typer.Option("--against", help="Another result: what merged, what split.", show_default=False)
    ] = None,
    write_differences: Annotated[
        Path | None, typer.Option("--differences", help="CSV to write errors and changes to, by record id.", show_default=False)
    ] = None,
    report: Annotated[Path | None, typer.Option("--report", help="HTML file to report to.", show_default=False)] = None,
    with_values: Annotated[
        bool, typer.Option("--with-values", help="Show values of doubtful pairs in the report, which are personal.")
    ] = False,
    model: Annotated[
        Path | None,
        typer.Option("--model", help="Model of `link --write-model`: the report then has real curves.", show_default=False),
    ] = None,
    columns: ColumnsOption = None,
    json: JsonOption = False,
) -> None:
    """Measure what link said, against the truth, from labelled pairs, or against another result.

    With the truth: precision, recall and F1, by pairs of records, by records (B-cubed) and by whole identities (cluster F1).
    Without it: estimates with their intervals, from a sample of pairs that somebody labelled.

    Examples:

      goldenthread evaluate people.parquet --truth customers.csv --truth-column truth_id

      goldenthread evaluate people.parquet --labels pairs.csv

      goldenthread evaluate people.parquet --against earlier.parquet --differences changes.csv
    """
    import numpy as np

    from goldenthread.cli import output
    from goldenthread.cli.pair_labels import read_labels
    from goldenthread.cli.report_file import check_report, shown_records, today, write_report
    from goldenthread.resolver.bulk.read import read_table
    from goldenthread.resolver.differences import differences as differing
    from goldenthread.resolver.evaluate import evaluate as measure
    from goldenthread.resolver.report import Findings
    from goldenthread.resolver.sampled import estimate

    if truth is None and pair_labels is None and against is None:
        raise UsageError("There is nothing to measure against.", "Give --truth, --labels or --against.")
    if model is not None and (truth is None or report is None):
        raise UsageError("--model is for a report with the truth.", "Give --truth and --report as well.")
    check_report(report)
    said = read_table(out)
    _need(out, said, (RECORD_COLUMN, IDENTITY_COLUMN))
    # Ids may be unique within their source only.
    with_source = len(set(said.columns[RECORD_COLUMN])) < said.rows
    labels_of = _by_record(out, said, RECORD_COLUMN, IDENTITY_COLUMN, with_source=with_source)
    people: Mapping[Record, str] | None = None
    if truth is not None:
        true = read_table(truth)
        _need(truth, true, (record_id, truth_column))
        people = _by_record(truth, true, record_id, truth_column, with_source=with_source)
        _check_same(labels_of, people, out, truth, "Give the truth of exactly the records that were linked.")
    records = list(people if people is not None else labels_of)
    identities = [labels_of[record] for record in records]
    findings = Findings(
        names=[out.name],
        when=today(),
        identities=np.unique(np.asarray(identities), return_inverse=True)[1],
        shown=shown_records([record for _, record in records], {}),
    )
    if people is not None:
        findings.truth = list(people.values())
        findings.evaluation = measure(findings.truth, identities)
        findings.errors = differing(findings.truth, identities)
    if against is not None:
        other = read_table(against)
        _need(against, other, (RECORD_COLUMN, IDENTITY_COLUMN))
        before = _by_record(against, other, RECORD_COLUMN, IDENTITY_COLUMN, with_source=with_source)
        _check_same(labels_of, before, out, against, "Compare results of the same records.")
        findings.changes, findings.other = differing([before[record] for record in records], identities), against.name
    if pair_labels is not None:
        sources = _by_record(out, said, RECORD_COLUMN, IDENTITY_COLUMN, with_source=True)
        findings.estimate = estimate(read_labels(pair_labels, sources))
    if write_differences is not None:
        source_of = dict(zip(said.columns[RECORD_COLUMN], said.columns[said.source_column], strict=True))
        named = [(source or source_of[record], record) for source, record in records]
        _write_differences(write_differences, findings, named, identities)
    if report is not None:
        if model is not None and truth is not None:
            _survey(findings, truth, truth_column, record_id, model, columns, with_values=with_values)
        write_report(report, findings)
    if json:
        output.print_json(_facts(findings))
    else:
        _show(findings)


def _survey(
    findings: Findings, truth: Path, truth_column: str, record_id: str, model: Path, columns: Path | None, *, with_values: bool
) -> None:
    """Look at the pairs of the records again, with the model that linked them, and add what is found."""
    from goldenthread.cli.files import read_files
    from goldenthread.cli.report_file import shown_records
    from goldenthread.resolver.bulk.guess import compared_columns
    from goldenthread.resolver.report import survey
    from goldenthread.resolver.scoring import MatchModel

    try:
        findings.model = MatchModel.from_json(model.read_bytes())
    except ValueError:
        raise CommandError(f"{model} is no match model.", "Write one with `goldenthread link --write-model`.") from None
    table, guess = read_files(
        [truth], columns, record_id=record_id, source_column=None, ignore=[truth_column], skip_ragged=False
    )
    table.columns.update(compared_columns(table, guess))
    types = {column.name: column.type for column in guess.attributes}
    findings.guess = guess
    findings.survey = survey(
        table, types, findings.identities, findings.model, default_country=guess.default_country, truth=findings.truth
    )
    findings.shown = shown_records(
        table.columns[record_id], {name: table.columns[name] for name in types} if with_values else {}
    )


def _check_same(a: Mapping[Record, str], b: Mapping[Record, str], one: Path, other: Path, remedy: str) -> None:
    """Check that two files are of the same records.

    Raises CommandError.
    """
    missing = len(a.keys() ^ b.keys())
    if missing:
        raise CommandError(f"{missing:,} records are in only one of {one} and {other}.", remedy)


def _facts(findings: Findings) -> dict[str, object]:
    """Put what was found into one JSON object."""
    import msgspec

    found: dict[str, object] = dict(msgspec.to_builtins(findings.evaluation)) if findings.evaluation is not None else {}
    if findings.estimate is not None:
        found["estimate"] = msgspec.to_builtins(findings.estimate)
    for name, those in (("errors", findings.errors), ("changes", findings.changes)):
        if those is not None:
            found[name] = {kind: len([d for d in those if d.kind == kind]) for kind in _CHANGES}
    return found


def _show(findings: Findings) -> None:
    """Show what was found to people."""
    from goldenthread.cli import output

    if findings.evaluation is not None:
        e = findings.evaluation
        rows = [
            ["pairs", e.pairwise_precision, e.pairwise_recall, e.pairwise_f1],
            ["records (B-cubed)", e.bcubed_precision, e.bcubed_recall, e.bcubed_f1],
            ["exact identities (cluster)", e.exact_precision, e.exact_recall, e.cluster_f1],
        ]
        columns = ["by", "precision", "recall", "F1"]
        title = f"{e.records:,} records, {e.clusters:,} identities of {e.true_clusters:,} people"
        cells = [[str(name), *(f"{share:.4f}" for share in shares)] for name, *shares in rows]
        output.show(output.table(title, columns, cells, numbers=columns[1:]))
    if findings.estimate is not None:
        found = findings.estimate
        columns = ["measure", "estimate", "from", "to"]
        measures = (("precision", found.precision), ("recall", found.recall), ("F1", found.f1))
        cells = [[name, f"{m.value:.4f}", f"{m.low:.4f}", f"{m.high:.4f}"] for name, m in measures]
        title = (
            f"Estimated from {found.labelled:,} labelled pairs, {found.confidence:.0%} intervals; recall of the pairs compared"
        )
        output.show(output.table(title, columns, cells, numbers=columns[1:]))
        for warning in found.warnings:
            output.warn(warning)
    for those, title, names in (
        (findings.errors, "Errors", _ERRORS),
        (findings.changes, f"Changes since {findings.other}", _CHANGES),
    ):
        if those is not None:
            output.show(_counted(title, names, those))


def _counted(title: str, names: Mapping[str, str], found: Sequence[Difference]) -> RenderableType:
    """Count differences by kind."""
    from goldenthread.cli import output

    rows = []
    for kind, name in names.items():
        those = [d for d in found if d.kind == kind]
        joined, parted = sum(d.new_pairs for d in those), sum(d.lost_pairs for d in those)
        rows.append([name, f"{len(those):,}", f"{sum(len(d.rows) for d in those):,}", f"{joined:,}", f"{parted:,}"])
    columns = ["what", "groups", "records", "pairs joined", "pairs parted"]
    return output.table(title, columns, rows, numbers=columns[1:])


def _write_differences(out: Path, findings: Findings, records: Sequence[Record], identities: Sequence[str]) -> None:
    """Write the records of every difference by their ids; the file appears whole or not at all."""
    import csv

    with whole_file(out) as file:
        writer = csv.writer(file)
        writer.writerow(["compared_with", "kind", "group", "source", RECORD_COLUMN, IDENTITY_COLUMN])
        for name, those, kinds in (("truth", findings.errors, _ERRORS), (findings.other, findings.changes, _CHANGES)):
            for group, difference in enumerate(those or (), start=1):
                for row in difference.rows:
                    writer.writerow([name, kinds[difference.kind], group, *records[row], identities[row]])


def _need(file: Path, table: Table, columns: Sequence[str]) -> None:
    """Check that a file has the columns needed.

    Raises MissingColumns.
    """
    from goldenthread.resolver.bulk.errors import MissingColumns

    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise MissingColumns(missing, list(table.columns), file=file.name)


def _by_record(file: Path, table: Table, record_id: str, label: str, *, with_source: bool) -> Mapping[Record, str]:
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
