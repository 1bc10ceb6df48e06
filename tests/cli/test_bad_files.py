"""Files that are odd or bad are linked right or told clearly: never silence, a crash, or quadratic time."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import pytest
from command_line import Ran, Run

GIVEN = ("Anna", "Bob", "Carla", "David", "Emma", "Felix", "Greta", "Hugo", "Irina", "Jonas", "Karin", "Lena")
Columns = dict[str, list[str]]


def people(n: int, seed: int = 3) -> Columns:
    """People who all differ in surname or birth date."""
    rng = Random(seed)
    return {
        "first_name": rng.choices(GIVEN, k=n),
        "surname": [rng.choice("BDFGKLMNPRST") + "".join(rng.choices("aeioulnrst", k=6)) for _ in range(n)],
        "dob": [f"{rng.randint(1940, 2000)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}" for _ in range(n)],
    }


def twice(columns: Columns, n: int) -> Columns:
    """The same records, and the first n once more, every other one with a letter added to the surname."""
    more = {name: values[:n] for name, values in columns.items()}
    more["surname"] = [f"{name}{'n' * (i % 2)}" for i, name in enumerate(more["surname"])]
    return {name: values + more[name] for name, values in columns.items()}


def linked(run: Run, columns: Mapping[str, Sequence[str]], encoding: str = "utf-8") -> Ran:
    with Path("bad.csv").open("w", encoding=encoding, newline="") as out:
        writer = csv.writer(out)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return run("link", "bad.csv", "--out", "out.csv", "--json")


def identities(ran: Ran) -> int:
    assert ran.code == 0, ran.err
    return int(str(ran.facts["identities"]))


def test_columns_without_any_value_change_nothing(run: Run) -> None:
    columns = twice(people(300), 100)

    found = linked(run, {"nothing": [""] * 400, **columns, "email": [""] * 400})

    assert identities(found) == identities(linked(run, columns)) == 300


def test_a_file_of_nothing_is_told(run: Run) -> None:
    ran = linked(run, {"id": ["1", "2", "3"], "first_name": [""] * 3, "dob": [""] * 3})

    assert identities(ran) == 3
    assert "No column says anything of a person" in ran.err


@pytest.mark.parametrize("constant", [{"country": "US"}, {"first_name": "Anna"}, {"phone": "+1 212 555 0123"}], ids=str)
def test_a_column_that_is_the_same_in_all_records_is_no_evidence(constant: dict[str, str], run: Run) -> None:
    columns = twice(people(300), 100)

    found = linked(run, {**columns, **{name: [value] * 400 for name, value in constant.items()}})

    assert identities(found) == 300


def test_one_row_is_one_identity(run: Run) -> None:
    ran = linked(run, people(1))

    assert identities(ran) == 1
    assert "fewer than two distinct records" in ran.err


def test_rows_that_are_all_identical_are_one_identity(run: Run) -> None:
    row = {"first_name": "Konrad", "surname": "Zuse", "dob": "1910-06-22", "email": "kz@mail.example"}

    assert identities(linked(run, {name: [value] * 5000 for name, value in row.items()})) == 1


def test_thirty_thousand_rows_that_share_a_phone_are_told_apart_by_the_rest(run: Run) -> None:
    columns = twice(people(24_000), 6_000)

    ran = linked(run, {**columns, "phone": ["+1 212 555 0123"] * 30_000})

    assert abs(identities(ran) - 24_000) < 100
    assert int(str(ran.facts["candidate_pairs"])) < 1_000_000
    assert "phone: values that 30000 records share are taken for placeholders" in ran.err.replace("\n", "")


def test_bytes_of_two_encodings_in_one_file_are_read_and_told(run: Run) -> None:
    columns = twice(people(200), 100)
    columns["surname"] = [f"{name}m\u00fcller" for name in columns["surname"]]
    rows = zip(*columns.values(), strict=True)
    lines = [f"{','.join(row)}\n".encode("cp1252" if i % 2 else "utf-8") for i, row in enumerate(rows)]
    Path("mixed.csv").write_bytes(b"first_name,surname,dob\n" + b"".join(lines))

    clean = linked(run, columns)
    mixed = run("link", "mixed.csv", "--out", "mixed.parquet", "--json")

    assert identities(mixed) == identities(clean)
    assert "row 3 is not UTF-8" in mixed.err


def test_the_order_of_columns_changes_nothing(run: Run) -> None:
    columns = {"id": [str(i) for i in range(400)], **twice(people(300), 100)}

    linked(run, columns)
    first = Path("out.csv").read_bytes()
    linked(run, dict(reversed(columns.items())))

    assert Path("out.csv").read_bytes() == first


def test_five_hundred_columns_of_anything_do_not_drown_the_person(run: Run) -> None:
    rng = Random(1)
    columns = twice(people(200), 60)
    columns |= {f"attribute_{k}": rng.choices("abcdefgh", k=260) for k in range(500)}

    assert identities(linked(run, columns)) == 200


def test_numbers_read_as_floats_are_the_numbers(run: Run) -> None:
    columns = twice(people(300), 100)
    number = [str(100_000_000 + i % 300 * 7919) for i in range(400)]

    plain = linked(run, {**columns, "ssn": number, "zip": [str(10_000 + i % 90) for i in range(400)]})
    partition = Path("out.csv").read_bytes()
    floats = linked(run, {**columns, "ssn": [f"{n}.0" for n in number], "zip": [f"{10_000 + i % 90}.0" for i in range(400)]})

    assert identities(plain) == identities(floats) == 300
    assert Path("out.csv").read_bytes() == partition


def test_dates_of_a_spreadsheet_are_dates(run: Run) -> None:
    columns = twice(people(300), 100)
    columns["dob"] = [str(20_000 + i % 300 * 37) for i in range(400)]

    ran = run("profile", "bad.csv", "--json") if identities(linked(run, columns)) == 300 else None

    assert ran is not None
    listed = ran.facts["columns"]
    assert isinstance(listed, list)
    assert [(c["meaning"], c["format"]) for c in listed if c["name"] == "dob"] == [("birth_date", "serial")]


def test_ids_that_repeat_are_told_and_not_used(run: Run) -> None:
    columns = twice(people(300), 100)

    ran = linked(run, {"id": [str(i // 2) for i in range(400)], **columns})

    assert identities(ran) == 300
    assert "id is named like a record id but is not unique" in ran.err.replace("\n", " ")
    with Path("out.csv").open(encoding="utf-8", newline="") as file:
        assert [row["record_id"] for row in csv.DictReader(file)] == [str(i + 1) for i in range(400)]


def test_ids_that_are_missing_are_told_as_such(run: Run) -> None:
    ran = linked(run, {"id": ["" if i % 4 == 0 else str(i) for i in range(400)], **twice(people(300), 100)})

    assert "id is named like a record id but is empty in 100 records" in ran.err.replace("\n", " ")


def test_a_parquet_file_that_is_none_is_told(run: Run) -> None:
    Path("fake.parquet").write_text("record_id,name\n1,Ann\n", encoding="utf-8")

    ran = run("link", "fake.parquet", "--out", "out.csv")

    assert (ran.code, "no Parquet file" in ran.err) == (1, True)


def test_ids_that_repeat_are_told_even_where_somebody_named_their_column(run: Run) -> None:
    Path("bad.csv").write_text("number,surname\n1,Smith\n1,Jones\n2,Brown\n", encoding="utf-8")

    ran = run("link", "bad.csv", "--out", "out.csv", "--record-id", "number")

    assert "number is not unique (1 records repeat an id)" in ran.err.replace("\n", " ")
