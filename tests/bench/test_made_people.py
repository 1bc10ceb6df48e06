"""Made people: the same for a seed, and as real files are in what speed depends on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from bench.made_people import COLUMNS, make_people, write_people


def people(rows: int, seed: int) -> pa.Table:
    return pa.concat_tables(make_people(rows, seed))


def test_a_seed_makes_the_same_file(tmp_path: Path) -> None:
    write_people(tmp_path / "people.parquet", 3_000, seed=3)

    written = pq.read_table(tmp_path / "people.parquet")

    assert written == people(3_000, seed=3)
    assert written != people(3_000, seed=4)


def test_rows_are_whole_and_ids_do_not_repeat() -> None:
    table = people(5_000, seed=1)

    assert table.column_names == list(COLUMNS)
    assert (table.num_rows, len(set(table["record_id"].to_pylist()))) == (5_000, 5_000)
    assert not any(text == "" for column in COLUMNS for text in table[column].to_pylist())


def test_duplicates_missing_values_and_typos_are_there() -> None:
    table = people(20_000, seed=2).to_pydict()
    records = Counter(table["truth_id"])
    surnames: dict[str, set[str]] = {}
    for person, surname in zip(table["truth_id"], table["surname"], strict=True):
        surnames.setdefault(person, set()).add(surname)

    assert set(records.values()) == {1, 2, 3, 4}
    assert 0.25 < table["email"].count(None) / 20_000 < 0.35
    assert 0.05 < sum(1 for person in surnames if len(surnames[person]) > 1) / len(surnames) < 0.3


def test_some_names_are_common_and_most_are_rare() -> None:
    counts = Counter(people(20_000, seed=2)["surname"].to_pylist())
    counts.pop(None)

    assert counts.most_common(1)[0][1] > 50
    assert sum(1 for count in counts.values() if count <= 5) > len(counts) / 2
