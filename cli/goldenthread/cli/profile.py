"""profile: say what the columns of files mean and what they are good for, before anything is linked or loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goldenthread.cli.connect import JsonOption
from goldenthread.cli.files import (
    ColumnsOption,
    FilesArgument,
    IgnoreOption,
    RecordIdOption,
    SkipRaggedOption,
    SourceColumnOption,
)

if TYPE_CHECKING:
    from goldenthread.resolver.bulk.profiling import ColumnProfile

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("profile")(profile)


def profile(
    files: FilesArgument,
    columns: ColumnsOption = None,
    ignore: IgnoreOption = None,
    record_id: RecordIdOption = None,
    source_column: SourceColumnOption = None,
    write_columns: Annotated[
        Path | None,
        typer.Option("--write-columns", help="YAML to write, for `link` and `load` to take.", show_default=False),
    ] = None,
    skip_ragged: SkipRaggedOption = False,
    json: JsonOption = False,
) -> None:
    """Say what the columns of files mean, how complete and valid they are, and which identify.

    Shows placeholder values as well, columns derived from others, and the country that numbers and dates are read as of.

    Examples:

      goldenthread profile customers.csv

      goldenthread profile crm.csv shop.parquet --write-columns columns.yaml
    """
    from datetime import UTC, datetime

    from msgspec import to_builtins

    from goldenthread.cli import output
    from goldenthread.cli.files import read_files
    from goldenthread.graph.model import PartialDate
    from goldenthread.resolver.bulk.clean_sources import clean_sources
    from goldenthread.resolver.bulk.guess_file import to_yaml
    from goldenthread.resolver.bulk.profiling import profile_columns

    table, guess = read_files(
        files, columns, record_id=record_id, source_column=source_column, ignore=ignore or (), skip_ragged=skip_ragged
    )
    now = datetime.now(UTC)
    found = profile_columns(table, guess, PartialDate(now.year, now.month, now.day))
    clean = clean_sources(table, guess)
    if write_columns is not None:
        write_columns.write_text(to_yaml(guess), encoding="utf-8")
    warnings = [*table.warnings, *guess.warnings]
    if json:
        output.print_json(
            {
                "records": table.rows,
                "sources": list(found[0].sources) if found else [],
                "country": guess.default_country,
                "columns": to_builtins(found),
                "clean_sources": to_builtins(clean),
                "warnings": warnings,
            }
        )
        return
    rows = [_row(column) for column in found]
    heads = ["column", "meaning", "use", "filled", "valid", "distinct", "agree by chance", "remarks"]
    title = f"{table.rows:,} records, read as of {guess.default_country}"
    output.show(output.table(title, heads, rows, numbers=["filled", "valid", "distinct", "agree by chance"]))
    for one in clean:
        output.note(
            f"The source {one.source} looks free of duplicates: of {one.records:,} people nobody comes twice, while "
            f"{one.shared:,} are in other sources too. If it is, say so with --duplicate-free {one.source}."
        )
    for warning in warnings:
        output.warn(warning)
    if write_columns is not None:
        output.note(f"Wrote {write_columns}.")


def _row(column: ColumnProfile) -> list[str]:
    chance = ""
    if column.chance is not None and column.distinct > 1:
        chance = f"1 in {1 / column.chance:,.0f}" if column.chance else "never"
    return [
        column.name,
        column.meaning.replace("_", " "),
        column.use,
        _percent(column.completeness),
        "" if column.validity is None else _percent(column.validity),
        f"{column.distinct:,}",
        chance,
        "; ".join(_remarks(column)),
    ]


def _percent(share: float) -> str:
    """Write a share in whole percent, never rounding to all or nothing what is not."""
    if 0.995 <= share < 1 or 0 < share < 0.005:
        return ">99%" if share > 0.5 else "<1%"
    return f"{share:.0%}"


def _remarks(column: ColumnProfile) -> list[str]:
    remarks = [column.why] if column.why else []
    if column.format:
        remarks.append({"dmy": "day first", "mdy": "month first", "serial": "spreadsheet dates"}.get(column.format, "12345.0"))
    if column.numbers:
        remarks.append(f"check digits of {column.numbers}")
    if column.placeholders:
        shown = ", ".join(f"{p.value[:40]} ({p.records:,})" for p in column.placeholders[:3])
        more = f" and {len(column.placeholders) - 3} more" if len(column.placeholders) > 3 else ""
        remarks.append(f"placeholders: {shown}{more}")
    without = [source for source, share in column.sources.items() if not share]
    if column.filled and without:
        remarks.append(f"not in {', '.join(without[:3])}")
    return remarks
