"""Write simulated records to CSV files, the truth in a column or a file of its own."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

from goldenthread.cli.demo.sources import COLUMNS, DEFAULT_SEED, SimulatedRecord, simulate_records

__all__ = ["TRUTH_COLUMN", "shuffled", "write_csv"]

TRUTH_COLUMN = "truth_id"
_SHUFFLE_BUFFER = 100_000


def write_csv(path: Path, count: int, seed: int = DEFAULT_SEED, truth: Path | None = None) -> int:
    """Write so many shuffled records; return how many people they are of.

    Columns: record_id, source, those of `sources.COLUMNS`, and `truth_id` last unless the truth has a file of its own (with
    record_id, source, truth_id). Memory stays flat: shuffling is within a buffer of 100,000.
    Raises OSError when a file can't be written.
    """
    people: set[int] = set()
    rows = shuffled(simulate_records(count, seed), seed)
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        if truth is None:
            writer.writerow(["record_id", "source", *COLUMNS, TRUTH_COLUMN])
            for record in rows:
                people.add(record.person)
                values = record.values
                writer.writerow([record.record_id, record.source, *[values.get(c, "") for c in COLUMNS], f"p{record.person}"])
            return len(people)
        with truth.open("w", encoding="utf-8", newline="") as aside:
            truths = csv.writer(aside, lineterminator="\n")
            writer.writerow(["record_id", "source", *COLUMNS])
            truths.writerow(["record_id", "source", TRUTH_COLUMN])
            for record in rows:
                people.add(record.person)
                values = record.values
                writer.writerow([record.record_id, record.source, *[values.get(c, "") for c in COLUMNS]])
                truths.writerow([record.record_id, record.source, f"p{record.person}"])
    return len(people)


def shuffled(records: Iterable[SimulatedRecord], seed: int) -> Iterator[SimulatedRecord]:
    """Yield records in a mixed order, the same for the same seed, keeping at most 100,000 in memory."""
    rng = Random(seed ^ 0x5EED)  # noqa: S311 - simulates, protects nothing
    kept: list[SimulatedRecord] = []
    for record in records:
        if len(kept) < _SHUFFLE_BUFFER:
            kept.append(record)
            continue
        at = int(rng.random() * _SHUFFLE_BUFFER)
        yield kept[at]
        kept[at] = record
    while kept:
        at = int(rng.random() * len(kept))
        kept[at], kept[-1] = kept[-1], kept[at]
        yield kept.pop()
