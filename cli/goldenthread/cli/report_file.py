"""Write the report of a linking or an evaluation to a file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from goldenthread.cli.errors import CommandError, UsageError
from goldenthread.cli.whole_file import whole_file

if TYPE_CHECKING:
    from goldenthread.resolver.bulk.guess import ColumnGuess
    from goldenthread.resolver.bulk.link import LinkResult
    from goldenthread.resolver.bulk.read import Table
    from goldenthread.resolver.report import Findings

__all__ = ["check_report", "look_again", "shown_records", "today", "write_report"]


def check_report(report: Path | None) -> None:
    """Check, before the work, that a report can be written."""
    if report is None:
        return
    if report.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--report {report} is not .html.", "Give it this ending.")
    if not report.absolute().parent.is_dir():
        raise CommandError(f"There is no folder {report.parent}.", "Make it, or write elsewhere.")


def look_again(
    table: Table,
    guess: ColumnGuess,
    result: LinkResult,
    *,
    names: Sequence[str],
    report: Path | None,
    with_values: bool,
    pair: tuple[str, str] | None,
    sample: Path | None,
    sample_pairs: int,
) -> None:
    """Survey the pairs of a linking, then write its report, a sample of pairs to be labelled, or both."""
    from goldenthread.cli import output
    from goldenthread.cli.pair_labels import write_sample
    from goldenthread.resolver.report import Findings, survey

    types = {column.name: column.type for column in guess.attributes}
    asked = [] if pair is None else [(_row_of(result.record_ids, pair[0]), _row_of(result.record_ids, pair[1]))]
    with output.stages() as tell:
        tell("survey", 0.0)
        found = survey(table, types, result.identities, result.model, default_country=guess.default_country, asked=asked)
    values = {name: table.columns[name] for name in types} if with_values else {}
    if sample is not None:
        records = list(zip(result.sources, result.record_ids, strict=True))
        count = write_sample(sample, found, records, values, sample_pairs)
        output.note(
            f"Wrote {count} pairs to {sample}: write 1 (one person) or 0 into label, then `goldenthread evaluate --labels`."
        )
    if report is not None:
        findings = Findings(
            names=names,
            when=today(),
            identities=result.identities,
            shown=shown_records(result.record_ids, values),
            guess=guess,
            report=result.report,
            model=result.model,
            survey=found,
            warnings=(*table.warnings, *guess.warnings, *result.report.warnings),
        )
        write_report(report, findings)


def _row_of(record_ids: Sequence[str], record: str) -> int:
    """Find the first row of a record."""
    if record not in record_ids:
        raise CommandError("A record of --pair is not in the files.", "Give two record ids.")
    return record_ids.index(record)


def shown_records(
    record_ids: Sequence[str], values: Mapping[str, Sequence[str]]
) -> Callable[[int], tuple[str, Sequence[tuple[str, str]]]]:
    """Name records by their ids; list the values of these columns, which is none unless somebody asked."""

    def shown(row: int) -> tuple[str, Sequence[tuple[str, str]]]:
        return record_ids[row], [(name, column[row]) for name, column in values.items() if column[row]]

    return shown


def write_report(report: Path, findings: Findings) -> None:
    """Write the report; the file appears whole or not at all."""
    from goldenthread.resolver.report import render

    with whole_file(report) as file:
        file.write(render(findings))


def today() -> str:
    """Say when a report was made."""
    return f"{dt.datetime.now(dt.UTC):%d %B %Y, %H:%M} UTC"
