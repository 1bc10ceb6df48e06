"""Measure who finds the right people: Golden Thread and its peers on every labelled file of a folder, in one table.

A labelled file is a CSV or Parquet file with a column of record ids and one of truth (equal: same person). The programs are
given a copy without the truth. Each runs as its users would run it, from start to end, one after the other: Golden Thread as
`goldenthread link FILE`, without configuration; the peers with the settings of their documentation, see bench/peers.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from bench.measure import Failed, run_program
from bench.peers import PEERS, default_cache
from goldenthread.resolver.evaluate import Evaluation, evaluate

__all__ = ["OURS", "Question", "Row", "ask", "labelled_files", "main", "our_command", "show"]

OURS = "goldenthread"
_ALONE = "\x00"


@dataclass(frozen=True)
class Question:
    """A file without its truth, and the truth by record."""

    name: str
    file: Path
    record_ids: list[str]
    truth: list[str]


@dataclass(frozen=True)
class Row:
    """How one program did on one file; `failure` says why there are no figures."""

    file: str
    program: str
    measures: Evaluation | None
    seconds: float
    peak_mib: float
    failure: str = ""


def labelled_files(folder: Path, truth_column: str) -> list[Path]:
    """List the files of a folder that have the column of truth."""
    files = sorted(file for file in folder.iterdir() if file.suffix in (".csv", ".parquet"))
    return [file for file in files if truth_column in _columns(file)]


def _columns(file: Path) -> list[str]:
    if file.suffix == ".parquet":
        return list(pq.read_schema(file).names)
    with file.open(encoding="utf-8-sig") as lines:
        return [name.strip().strip('"') for name in lines.readline().split(",")]


def question(file: Path, folder: Path, record_id: str, truth_column: str) -> Question:
    """Write a file again without its truth, its record ids under the name record_id.

    Raises SystemExit when ids repeat: peers tell records apart by them.
    """
    if file.suffix == ".parquet":
        table = pq.read_table(file)
    else:
        names = _columns(file)
        options = pa_csv.ConvertOptions(column_types={name: pa.string() for name in names}, strings_can_be_null=True)
        table = pa_csv.read_csv(file, convert_options=options)
    if pc.count_distinct(table[record_id]).as_py() < table.num_rows:
        raise SystemExit(
            f"{file.name} has record ids that repeat in {record_id}; name a column without repeats by --record-id."
        )
    bare = table.drop_columns([truth_column])
    bare = bare.rename_columns(["record_id" if name == record_id else name for name in bare.column_names])
    out = folder / file.name
    if file.suffix == ".parquet":
        pq.write_table(bare, out)
    else:
        pa_csv.write_csv(bare, out)
    return Question(file.stem, out, table[record_id].cast(pa.string()).to_pylist(), table[truth_column].to_pylist())


def our_command(question: Path, answer: Path) -> list[str]:
    """Say how a user would link the file."""
    return [sys.executable, "-m", "goldenthread.cli.main", "link", str(question), "--out", str(answer), "--json"]


def ask(question: Question, program: str, command: Callable[[Path], Sequence[str]], timeout: float) -> Row:
    """Run one program on one file and measure its answer; a record that it does not answer is alone."""
    with tempfile.TemporaryDirectory(prefix="goldenthread-bench-") as folder:
        answer = Path(folder) / "answer.parquet"
        try:
            run = run_program(command(answer), timeout=timeout)
        except Failed as failure:
            return Row(question.name, program, None, 0.0, 0.0, str(failure))
        table = pq.read_table(answer)
    names = ("record_id", "identity_id" if "identity_id" in table.column_names else "cluster")
    cluster_of = dict(zip(*(table[name].cast(pa.string()).to_pylist() for name in names), strict=True))
    labels = [cluster_of.get(record, _ALONE + record) for record in question.record_ids]
    return Row(question.name, program, evaluate(question.truth, labels), run.seconds, run.peak_mib)


def show(rows: Sequence[Row]) -> str:
    """Lay rows out as a Markdown table; ratios are to our own run on the same file."""
    ours = {row.file: row for row in rows if row.program == OURS}
    lines = [
        "| file | program | precision | recall | F1 | B-cubed F1 | cluster F1 | seconds | ratio | peak MiB | ratio |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        if row.measures is None:
            lines.append(f"| {row.file} | {row.program} | {row.failure.replace('|', '/')} | | | | | | | | |")
            continue
        base = ours.get(row.file)
        ratios = ["", ""]
        if base is not None and base.seconds and base is not row:
            ratios = [f"{row.seconds / base.seconds:.2f}", f"{row.peak_mib / base.peak_mib:.2f}"]
        found = row.measures
        shares = [found.pairwise_precision, found.pairwise_recall, found.pairwise_f1, found.bcubed_f1, found.cluster_f1]
        cells = [row.file, row.program, *(f"{share:.4f}" for share in shares)]
        cells += [f"{row.seconds:.1f}", ratios[0], f"{row.peak_mib:,.0f}", ratios[1]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench quality", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled files, or one such file")
    parser.add_argument("--truth-column", default="truth_id")
    parser.add_argument("--record-id", default="record_id")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="where the peers are installed")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds for each run")
    parser.add_argument("--only", choices=(OURS, "peers"), help="leave the others out")
    parser.add_argument("--json", action="store_true", help="print JSON lines as well as they come")
    chosen = parser.parse_args(arguments)
    files = labelled_files(chosen.data, chosen.truth_column) if chosen.data.is_dir() else [chosen.data]
    if not files:
        print(f"{chosen.data} has no CSV or Parquet file with a column {chosen.truth_column}.", file=sys.stderr)
        return 1
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="goldenthread-bench-") as folder:
        for file in files:
            asked = question(file, Path(folder), chosen.record_id, chosen.truth_column)
            for program, command in _programs(asked.file, chosen.cache, chosen.only).items():
                rows.append(ask(asked, program, command, chosen.timeout))
                print(f"{asked.name}: {program} {rows[-1].failure or 'done'}", file=sys.stderr)
                if chosen.json:
                    print(msgspec.json.encode(rows[-1]).decode(), flush=True)
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}\n")
    print(show(rows))
    return 0


def _programs(file: Path, cache: Path, only: str | None) -> dict[str, Callable[[Path], Sequence[str]]]:
    """List what to run on a file without truth, given where to write the answer."""
    programs: dict[str, Callable[[Path], Sequence[str]]] = {}
    if only != "peers":
        programs[OURS] = partial(our_command, file)
    if only != OURS:
        programs |= {peer.name: partial(peer.command, cache, file) for peer in PEERS}
    return programs
