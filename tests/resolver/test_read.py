"""Reading files: what is understood, and what is refused with file, row, column and remedy."""

from __future__ import annotations

import gzip
import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldenthread.resolver.bulk.errors import (
    FileEmpty,
    FileUnreadable,
    HeaderInvalid,
    MissingColumns,
    ReadError,
    RowsRagged,
    ValueInvalid,
)
from goldenthread.resolver.bulk.read import check_columns, read_table

SECRET = "Xylander"


def write(folder: Path, name: str, content: str | bytes) -> Path:
    """A file with this content."""
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    file = write(tmp_path, "crm.csv", f"id{delimiter}name\n1{delimiter} Ann Lee \n2{delimiter}\n")

    table = read_table(file)

    assert table.columns == {"id": ["1", "2"], "name": ["Ann Lee", ""], "source": ["crm", "crm"]}
    assert (table.rows, table.names, table.source_column, table.warnings) == (2, ("crm",), "source", ())


def test_a_delimiter_told_by_a_spreadsheet_is_used(tmp_path: Path) -> None:
    file = write(tmp_path, "crm.csv", 'sep=;\r\nid;size\r\n1;5" a, b\r\n')

    assert read_table(file).columns["size"] == ['5" a, b']


def test_quoted_fields_hold_delimiters_quotes_and_line_ends(tmp_path: Path) -> None:
    file = write(tmp_path, "crm.csv", 'id,note\r\n1,"a, ""b""\r\nc"\r\n\r\n2,d\r\n')

    assert read_table(file).columns["note"] == ['a, "b"\r\nc', "d"]


@pytest.mark.parametrize(
    ("content", "warned"),
    [
        ("id,name\n1,Zoë\n".encode(), False),
        ("id,name\n1,Zoë\n".encode("utf-8-sig"), False),
        ("id,name\n1,Zoë\n".encode("utf-16"), False),
        (b"\xfe\xff" + "id,name\n1,Zoë\n".encode("utf-16-be"), False),
        ("id,name\n1,Zoë\n".encode("latin-1"), True),
        (gzip.compress("id,name\n1,Zoë\n".encode(), mtime=0), False),
    ],
)
def test_encodings_are_recognised(tmp_path: Path, content: bytes, warned: bool) -> None:
    table = read_table(write(tmp_path, "crm.csv", content))

    assert table.columns["name"] == ["Zoë"]
    assert bool(table.warnings) == warned


def test_one_line_that_is_not_utf8_does_not_spoil_the_others(tmp_path: Path) -> None:
    file = write(tmp_path, "crm.csv", "id,name\n1,Zoë\n".encode() + "2,Chloë\n".encode("cp1252"))

    table = read_table(file)

    assert table.columns["name"] == ["Zoë", "Chloë"]
    assert "row 3" in table.warnings[0]


def test_several_files_are_sources_and_their_columns_are_united(tmp_path: Path) -> None:
    crm = write(tmp_path, "crm.csv", "id,name\n1,Ann\n")
    shop = write(tmp_path, "shop.csv.gz", gzip.compress(b"id,email\n1,a@b.example\n2,c@d.example\n"))

    table = read_table([crm, shop])

    assert table.columns == {
        "id": ["1", "1", "2"],
        "name": ["Ann", "", ""],
        "email": ["", "a@b.example", "c@d.example"],
        "source": ["crm", "shop", "shop"],
    }


def test_a_source_column_outranks_the_file_name(tmp_path: Path) -> None:
    told = write(tmp_path, "a.csv", "id,system\n1,till\n")
    named = write(tmp_path, "b.csv", "id,Source\n1,web\n")

    assert read_table(told, source="system").source_column == "system"
    assert read_table(named).source_column == "Source"


def test_ignored_columns_are_left_out(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.csv", "id,truth\n1,t1\n"), record_id="id", ignore=["truth"])

    assert list(table.columns) == ["id", "source"]
    assert table.record_id_column == "id"


def test_parquet_values_are_text(tmp_path: Path) -> None:
    file = tmp_path / "crm.parquet"
    columns = {"id": [1, 2], "born": [date(1980, 2, 29), None], "name": ["Ann ", None], "tags": [["a"], []]}
    pq.write_table(pa.table(columns), file)

    table = read_table(file)

    assert table.columns == {"id": ["1", "2"], "born": ["1980-02-29", ""], "name": ["Ann", ""], "source": ["crm", "crm"]}
    assert "tags" in table.warnings[0]


@pytest.mark.parametrize("shape", ["lines", "array"])
def test_json_objects_are_rows(tmp_path: Path, shape: str) -> None:
    rows = [{"id": 1, "name": "Zoë", "vip": True}, {"id": 2, "email": None, "tags": ["a"]}]
    text = json.dumps(rows) if shape == "array" else "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n\n"

    table = read_table(write(tmp_path, "crm.jsonl", text))

    assert table.columns == {
        "id": ["1", "2"], "name": ["Zoë", ""], "vip": ["true", ""], "email": ["", ""], "source": ["crm", "crm"],
    }  # fmt: skip
    assert "tags" in table.warnings[0]


FIELDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6).map(str.strip)


@given(st.lists(st.tuples(FIELDS, FIELDS), min_size=1, max_size=6))
def test_what_is_written_as_csv_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    lines = ["k,a,b"] + ["x," + ",".join('"' + field.replace('"', '""') + '"' for field in row) for row in rows]
    file = write(tmp_path_factory.mktemp("csv"), "t.csv", "\n".join(lines) + "\n")

    table = read_table(file)

    assert list(zip(table.columns["a"], table.columns["b"], strict=True)) == rows


def ragged(rows: int) -> str:
    """A file of three columns whose every tenth row has a field too many."""
    return "a,b,c\n" + "".join(f"1,{SECRET},3{',4' if i % 10 == 9 else ''}\n" for i in range(rows))


def test_ragged_rows_are_named(tmp_path: Path) -> None:
    with pytest.raises(RowsRagged) as caught:
        read_table(write(tmp_path, "a.csv", ragged(80)))

    assert (caught.value.rows, caught.value.count, caught.value.expected) == ((11, 21, 31, 41, 51), 8, 3)
    assert "rows 11, 21, 31, 41, 51 and 3 more" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_rows_too_short_are_ragged_too(tmp_path: Path) -> None:
    with pytest.raises(RowsRagged, match="row 3 does"):
        read_table(write(tmp_path, "a.csv", "a,b,c\n1,2,3\n1,2\n"))


def test_ragged_rows_can_be_skipped_and_are_counted(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.csv", ragged(80)), on_ragged="skip")

    assert (table.rows, table.skipped) == (72, 8)
    assert "8 ragged rows" in table.warnings[0]


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (b"", FileEmpty, "it is empty"),
        (b"\n \n", FileEmpty, "it is empty"),
        (b"id,name\n", FileEmpty, "a header but no records"),
        (b"id,name,id,name\n1,2,3,4\n", HeaderInvalid, "id, name are there more than once"),
        (b"1,1980-02-29,a@b.example\n2,1981-02-28,c@d.example\n", HeaderInvalid, "looks like a record"),
        (",".join(f"c{i}" for i in range(2001)).encode() + b"\n", HeaderInvalid, "2001 columns"),
        (b"id,name\n1,a\n2,b\0c\n", ValueInvalid, "row 3: there is a NUL byte"),
        (b"id,name\n1,a\n2," + b"x" * 70_000 + b"\n", ValueInvalid, "row 3, column name: a field is longer than 64 KiB"),
        (b'id,name\n1,a\n2,"b\n' + b"3,c\n" * 90_000, ReadError, "quote"),
        (b'id,name\n1,a\n2,"b\n3,c\n', ValueInvalid, "row 3: a quote is never closed"),
        (b'sep=;\nid;name\n1;"a\n', ValueInvalid, "row 3: a quote is never closed"),
        (b"sep=;\nid;name\n1;a\n1;a;b\n", RowsRagged, "row 4 does not have 2 fields"),
        (b"PK\x03\x04rest", FileUnreadable, "spreadsheet"),
        (b"PAR1nothing", FileUnreadable, "Parquet is damaged"),
        (gzip.compress(b"id,name\n1,a\n" * 99, mtime=0)[:40], FileUnreadable, "compression is damaged"),
        (b"\xff\xfea", FileUnreadable, "UTF-16"),
    ],
)
def test_bad_files_are_refused_with_a_remedy(tmp_path: Path, content: bytes, error: type[ReadError], says: str) -> None:
    with pytest.raises(error) as caught:
        read_table(write(tmp_path, "a.csv", content))

    assert says in str(caught.value)
    assert caught.value.file == "a.csv"
    assert caught.value.remedy


@pytest.mark.parametrize("content", ['{"a": 1}\n[1]\n', f'{{"a": 1}}\n{{"a": "{SECRET}"\n'])
def test_damaged_json_is_named_by_its_row(tmp_path: Path, content: str) -> None:
    with pytest.raises(ValueInvalid, match="row 2") as caught:
        read_table(write(tmp_path, "a.jsonl", content))

    assert SECRET not in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(FileUnreadable, match="it is a folder"):
        read_table(tmp_path)
    with pytest.raises(FileUnreadable, match="no file was given"):
        read_table([])


def test_missing_columns_are_named_with_the_closest(tmp_path: Path) -> None:
    file = write(tmp_path, "a.csv", "rec_id,given_name\n1,Ann\n")

    with pytest.raises(MissingColumns, match="perhaps rec_id is meant by record_id; the columns are rec_id, given_name"):
        read_table(file, record_id="record_id")
    with pytest.raises(MissingColumns, match="no column truth; give one of"):
        read_table(file, ignore=["truth"])
    with pytest.raises(MissingColumns) as caught:
        check_columns(read_table(file), ["given_name", "zip"])
    assert caught.value.missing == ("zip",)


def test_a_column_without_a_name_is_called_by_its_place(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.csv", ",name\n0,Ann\n"))

    assert list(table.columns) == ["column_1", "name", "source"]
    assert "column 1 has no name" in table.warnings[0]
