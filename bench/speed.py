"""Measure time and memory beside Splink on made people: the same file, two threads each, one after the other in turn.

Both run from start to end as their users would run them. Splink is given the person model of its documentation; Golden Thread
has no configuration. With --loose, Splink blocks on date of birth and on postcode alone as well, and Golden Thread is given a
model with those rules, learned from the same file before: 28 million candidate pairs of a million rows for both, without our
learning. The exponent says how time grows with rows, between the two largest numbers of rows.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq

from bench.made_people import write_people
from bench.measure import run_program
from bench.peers import SPLINK, default_cache
from bench.quality import OURS, Question, Row, ask, our_command
from goldenthread.resolver.blocking import BlockingRule
from goldenthread.resolver.scoring import MatchModel

__all__ = ["exponent", "loosened", "main"]

_LOOSE_RULES = (("birth_date",), ("postcode",), ("given", "surname"))
"""As Splink's loose rules; email and phone, which are identifiers, are always candidates."""


@dataclass(frozen=True)
class _Turn:
    """One run: how many rows, and what came of it."""

    rows: int
    row: Row


def exponent(rows: Sequence[int], seconds: Sequence[float]) -> float:
    """Say by which power of the rows time grows, between the two largest."""
    (n0, t0), (n1, t1) = sorted(zip(rows, seconds, strict=True))[-2:]
    return math.log(t1 / t0) / math.log(n1 / n0)


def loosened(model: MatchModel) -> MatchModel:
    """Give a model the loose rules, with no key too common."""
    import msgspec

    rules = tuple(BlockingRule("+".join(parts), parts) for parts in _LOOSE_RULES)
    return msgspec.structs.replace(model, rules=rules, generic_limit=1 << 30)


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench speed", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--turns", type=int, default=1, help="how often each runs on each file; the fastest counts")
    parser.add_argument("--loose", action="store_true", help="block loosely, for many candidate pairs")
    parser.add_argument("--only", choices=(OURS, SPLINK.name), help="leave the other out")
    parser.add_argument("--threads", type=int, default=2, help="threads of Splink's DuckDB")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="where Splink is installed")
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds for each run")
    chosen = parser.parse_args(arguments)
    turns: list[_Turn] = []
    with tempfile.TemporaryDirectory(prefix="goldenthread-bench-") as folder:
        for rows in sorted(chosen.rows):
            asked = _made(Path(folder), rows, chosen.seed)
            programs = _programs(asked.file, Path(folder), chosen)
            best: dict[str, Row] = {}
            for turn in range(chosen.turns):
                order = list(programs.items())
                for program, command in order if turn % 2 == 0 else order[::-1]:
                    row = ask(asked, program, command, chosen.timeout)
                    print(f"{rows:,} rows: {program} {row.failure or f'{row.seconds:.1f} s'}", file=sys.stderr)
                    if program not in best or (row.measures is not None and row.seconds < best[program].seconds):
                        best[program] = row
            turns += [_Turn(rows, row) for row in best.values()]
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}\n"
    )
    print(_show(turns))
    return 0


def _programs(file: Path, folder: Path, chosen: argparse.Namespace) -> dict[str, Callable[[Path], Sequence[str]]]:
    """List what to run on a file, given where to write the answer."""
    programs: dict[str, Callable[[Path], Sequence[str]]] = {}
    if chosen.only != SPLINK.name:
        programs[OURS] = partial(our_command, file)
        if chosen.loose:
            model = _loose_model(file, folder, chosen.timeout)
            programs[OURS] = lambda answer: [*our_command(file, answer), "--model", str(model)]
    if chosen.only != OURS:
        further = ("--threads", str(chosen.threads), "--settings", "loose" if chosen.loose else "speed")
        programs[SPLINK.name] = lambda answer: SPLINK.command(chosen.cache, file, answer, further)
    return programs


def _loose_model(file: Path, folder: Path, timeout: float) -> Path:
    """Learn a model from the file and give it loose rules; not part of what is measured."""
    model = folder / f"{file.stem}.model.json"
    run_program([*our_command(file, folder / "learned.parquet"), "--write-model", str(model)], timeout=timeout)
    model.write_bytes(loosened(MatchModel.from_json(model.read_bytes())).to_json())
    return model


def _made(folder: Path, rows: int, seed: int) -> Question:
    """Make people, and the same without their truth."""
    whole, bare = folder / f"made_{rows}_truth.parquet", folder / f"made_{rows}.parquet"
    write_people(whole, rows, seed)
    table = pq.read_table(whole)
    pq.write_table(table.drop_columns(["truth_id"]), bare)
    whole.unlink()
    return Question(f"made, {rows:,} rows", bare, table["record_id"].to_pylist(), table["truth_id"].to_pylist())


def _show(turns: Sequence[_Turn]) -> str:
    """Lay the figures out as a Markdown table, ratios being ours to the peer's on the same file; then the exponents."""
    lines = ["| rows | program | seconds | peak MiB | precision | recall | F1 |", "|--:|---|--:|--:|--:|--:|--:|"]
    for turn in turns:
        row = turn.row
        if row.measures is None:
            lines.append(f"| {turn.rows:,} | {row.program} | {row.failure} | | | | |")
            continue
        shares = (row.measures.pairwise_precision, row.measures.pairwise_recall, row.measures.pairwise_f1)
        figures = f"{row.seconds:.1f} | {row.peak_mib:,.0f} | {' | '.join(f'{share:.4f}' for share in shares)}"
        lines.append(f"| {turn.rows:,} | {row.program} | {figures} |")
    done = {(turn.rows, turn.row.program): turn.row for turn in turns if turn.row.measures is not None}
    lines.append("")
    for rows in sorted({turn.rows for turn in turns}):
        ours, peer = done.get((rows, OURS)), done.get((rows, SPLINK.name))
        if ours is not None and peer is not None:
            lines.append(
                f"{rows:,} rows: {ours.seconds / peer.seconds:.2f} of Splink's time, "
                f"{ours.peak_mib / peer.peak_mib:.2f} of its memory."
            )
    for program in dict.fromkeys(turn.row.program for turn in turns):
        sizes = sorted(rows for rows, name in done if name == program)
        if len(sizes) > 1:
            power = exponent(sizes, [done[rows, program].seconds for rows in sizes])
            lines.append(f"{program}: time grows with rows to the power of {power:.2f}, {sizes[-2]:,} to {sizes[-1]:,} rows.")
    return "\n".join(lines)
