"""link: resolve files without a server."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goldenthread.cli.bounds import MemoryOption, WorkOption
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
    from collections.abc import Callable, Sequence

    from goldenthread.resolver.bulk.guess import ColumnGuess
    from goldenthread.resolver.bulk.link import LinkResult
    from goldenthread.resolver.bulk.read import Table
    from goldenthread.resolver.guards import GuardRails
    from goldenthread.resolver.scoring import MatchModel

__all__ = ["add_commands"]


class Engine(Enum):
    """What runs a linking; the results are equal."""

    MACHINE = "machine"
    SPARK = "spark"


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("link")(link)


def link(
    files: FilesArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write, .parquet or .csv.", show_default=False)],
    columns: ColumnsOption = None,
    ignore: IgnoreOption = None,
    record_id: RecordIdOption = None,
    source_column: SourceColumnOption = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="Match model to use, as `model export` writes it.", show_default=False)
    ] = None,
    write_columns: Annotated[
        Path | None, typer.Option("--write-columns", help="YAML to write what columns were taken for.", show_default=False)
    ] = None,
    write_model: Annotated[
        Path | None, typer.Option("--write-model", help="JSON to write the match model to.", show_default=False)
    ] = None,
    report_to: Annotated[
        Path | None, typer.Option("--report", help="HTML file to report to: charts, doubtful pairs.", show_default=False)
    ] = None,
    pair: Annotated[
        tuple[str, str] | None, typer.Option("--pair", help="Two record ids to explain in the report.", show_default=False)
    ] = None,
    sample: Annotated[
        Path | None,
        typer.Option("--sample", help="CSV to write pairs to label to, for `evaluate --labels`.", show_default=False),
    ] = None,
    sample_pairs: Annotated[int, typer.Option("--sample-pairs", min=10, help="How many pairs to label.")] = 300,
    with_values: Annotated[
        bool, typer.Option("--with-values", help="Write values of records into report and sample, which are personal.")
    ] = False,
    skip_ragged: SkipRaggedOption = False,
    guard_rails: Annotated[
        Path | None,
        typer.Option(
            "--guard-rails", help="YAML of what must never be one person, as `guards show` writes it.", show_default=False
        ),
    ] = None,
    duplicate_free: Annotated[
        list[str] | None,
        typer.Option("--duplicate-free", help="A source that holds nobody twice; repeatable.", show_default=False),
    ] = None,
    never_overlap: Annotated[
        list[str] | None,
        typer.Option("--never-overlap", help="Sources that hold nobody in common, as A,B; repeatable.", show_default=False),
    ] = None,
    verifying: Annotated[
        list[str] | None,
        typer.Option(
            "--verifying", help="A source whose birth dates and numbers are verified; repeatable.", show_default=False
        ),
    ] = None,
    observed_at: Annotated[
        str | None,
        typer.Option(
            "--observed-at", help="The column that says when each record was observed, for limits of days.", show_default=False
        ),
    ] = None,
    work: WorkOption = None,
    memory: MemoryOption = None,
    engine: Annotated[Engine, typer.Option("--engine", help="Run on this machine, or on Spark with equal results.")] = (
        Engine.MACHINE
    ),
    master: Annotated[
        str | None,
        typer.Option("--master", help="Spark's master, as spark://host:7077 or yarn; else local[*].", show_default=False),
    ] = None,
    spark_conf: Annotated[
        list[str] | None,
        typer.Option("--spark-conf", help="NAME=VALUE for Spark, as spark.driver.memory=12g.", show_default=False),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Say who is who in files, without a server.

    Needs no configuration: it says what it took each column for; --write-columns writes that down, to be edited and given
    back with --columns. The output has record_id, source and identity_id.

    Examples:

      goldenthread link customers.csv --out people.parquet

      goldenthread link crm.csv shop.parquet --out people.csv --ignore truth_id --write-columns columns.yaml

      goldenthread link crm.csv bank.csv --out people.csv --duplicate-free crm --duplicate-free bank --verifying bank

      goldenthread link customers.parquet --out people.parquet --memory 8GiB --work linking

      goldenthread link customers.parquet --out people.parquet --engine spark --master spark://host:7077
    """
    from concurrent.futures import ThreadPoolExecutor
    from functools import partial
    from importlib import import_module
    from time import perf_counter

    from goldenthread.cli import output
    from goldenthread.cli.bounds import bounded, lean, size_of, work_folder
    from goldenthread.cli.errors import CommandError, UsageError
    from goldenthread.cli.files import read_files
    from goldenthread.cli.guard_rails import check_guard_rails, declared
    from goldenthread.cli.report_file import check_report, look_again
    from goldenthread.resolver.guards import GUARDS
    from goldenthread.resolver.scoring import MatchModel

    if out.suffix.lower() not in (".parquet", ".csv"):
        raise UsageError(f"--out {out} is neither .parquet nor .csv.", "Give it one of these endings.")
    if not out.absolute().parent.is_dir():
        raise CommandError(f"There is no folder {out.parent}.", "Make it, or write elsewhere.")
    check_report(report_to)
    settings = _spark_settings(engine, master, spark_conf or [])
    given = None
    if model is not None:
        try:
            given = MatchModel.from_json(model.read_bytes())
        except ValueError:
            raise CommandError(f"{model} is no match model.", "Export one with `goldenthread model export`.") from None
    rails = declared(guard_rails, duplicate_free or (), never_overlap or (), verifying or ())
    if engine is Engine.SPARK and (work is not None or memory is not None):
        raise UsageError("--work and --memory are for this machine.", "Leave them out, or --engine spark.")
    most = size_of(memory) if memory is not None else None
    began = perf_counter()
    read = partial(
        read_files,
        files, columns, record_id=record_id, source_column=source_column, ignore=ignore or (), skip_ragged=skip_ragged,
    )  # fmt: skip
    contents = [file.read_bytes() if file is not None else None for file in (columns, model)]
    options = [record_id, source_column, ignore, skip_ragged, rails, observed_at, *contents]
    if engine is Engine.MACHINE:
        lean()
    show = partial(_show, quiet=json, guessed=columns is None, write_columns=write_columns)
    table = None
    with bounded(most, work), work_folder(work, most, files, options) as kept, ThreadPoolExecutor(1) as aside:
        # While files are read, which keeps Python free, what comes after is imported.
        import_module("goldenthread.resolver.bulk.guess")
        was_read = kept is not None and kept.done("profiles")
        reading = read if was_read else aside.submit(read).result
        from goldenthread.cli.link_here import link_here, meant

        if engine is Engine.SPARK:
            table, guess = reading()
            show(guess, (*table.warnings, *guess.warnings))
            check_guard_rails(rails, meant(table, guess).columns[table.source_column], guess.default_country)
            with output.stages() as tell:
                result = _link_on_spark(table, guess, given, rails, tell, master, settings, observed_at or "")
        else:
            result, guess = link_here(reading, show, kept, given, rails, observed_at or "")
    for warning in result.report.warnings:
        output.warn(warning)
    _write(result, out)
    if report_to is not None or sample is not None:
        look_again(
            table or meant(read()[0], guess), guess, result, names=[file.name for file in files],
            report=report_to, with_values=with_values, pair=pair, sample=sample, sample_pairs=sample_pairs,
        )  # fmt: skip
    if write_model is not None:
        write_model.write_bytes(result.model.to_json())
    report = result.report
    facts = {
        "records": report.records,
        "identities": report.identities,
        "duplicates": report.records - report.identities,
        "candidate_pairs": report.candidate_pairs,
        "learned": report.learned,
        "needs_review": report.needs_review,
        "kept_apart": dict(report.guarded),
        "seconds": round(perf_counter() - began, 2),
        "out": str(out),
    }
    if json:
        output.print_json(facts)
        return
    output.show(
        f"{output.counted(report.records, 'record is', 'records are')} "
        f"{output.counted(report.identities, 'identity', 'identities')} "
        f"({report.candidate_pairs:,} pairs compared, {facts['seconds']} s). Wrote {out}."
    )
    for guard, count in report.guarded:
        what = f"kept {count:,} pairs of records apart" if guard in GUARDS else f"fired for {count:,} identities"
        output.show(f"The guard {guard} {what}.")


def _show(guess: ColumnGuess, warnings: Sequence[str], *, quiet: bool, guessed: bool, write_columns: Path | None) -> None:
    """Tell people what columns were taken for and what is odd about the files, and write it down where they want that."""
    from goldenthread.cli import output
    from goldenthread.cli.files import show_guess
    from goldenthread.resolver.bulk.guess_file import to_yaml

    if not quiet:
        show_guess(guess, guessed=guessed)
    for warning in warnings:
        output.warn(warning)
    if write_columns is not None:
        write_columns.write_text(to_yaml(guess), encoding="utf-8")


def _link_on_spark(
    table: Table,
    guess: ColumnGuess,
    model: MatchModel | None,
    rails: GuardRails,
    tell: Callable[[str, float], None],
    master: str | None,
    settings: dict[str, str],
    observed_at: str,
) -> LinkResult:
    from goldenthread.cli.link_here import types_of
    from goldenthread.resolver.bulk.spark import LOCAL, link_on_spark, spark_session

    types = types_of(table, guess, observed_at)
    with spark_session(master or LOCAL, settings) as session:
        return link_on_spark(
            session, table, types, model=model, guard_rails=rails, default_country=guess.default_country, progress=tell,
            observed_at=observed_at,
        )  # fmt: skip


def _spark_settings(engine: Engine, master: str | None, given: list[str]) -> dict[str, str]:
    """Read settings for Spark."""
    from goldenthread.cli.errors import UsageError

    if engine is not Engine.SPARK and (master or given):
        raise UsageError("--master and --spark-conf are for Spark.", "Add --engine spark, or leave them out.")
    settings = {}
    for setting in given:
        name, equals, value = setting.partition("=")
        if not (name and equals):
            raise UsageError(f"--spark-conf {setting} is not NAME=VALUE.", "Write it as spark.driver.memory=12g.")
        settings[name] = value
    return settings


def _write(result: LinkResult, out: Path) -> None:
    """Write who is who; the file appears whole or not at all."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    from goldenthread.resolver.bulk.text_column import TextColumn, integers

    answer = pa.table(
        {
            "record_id": TextColumn.of(result.record_ids).to_arrow(),
            "source": TextColumn.of(result.sources).to_arrow(),
            "identity_id": integers(result.identities),
        }
    )
    aside = out.with_name(out.name + ".part")
    if out.suffix.lower() == ".csv":
        pa_csv.write_csv(answer, aside)
    else:
        # Where hardly a value repeats, dictionaries of them cost time and are given up.
        pq.write_table(answer, aside, use_dictionary=["source"])
    aside.replace(out)
