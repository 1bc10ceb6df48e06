"""Read files of records into columns of text.

Delimited text (comma, semicolon, tab or pipe; UTF-8, UTF-16 with its mark, or Windows-1252), Parquet and JSON lines are read,
each also gzipped. Clean files go through Arrow; Python's slower csv module only says what is wrong with the others.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from msgspec import Struct

from goldenthread.resolver.bulk.errors import (
    FileEmpty,
    FileUnreadable,
    HeaderInvalid,
    MissingColumns,
    ReadError,
    RowsRagged,
    ValueInvalid,
)
from goldenthread.resolver.bulk.text_column import TextColumn, strings
from goldenthread.resolver.bulk.threads import together

__all__ = ["Table", "check_columns", "read_table"]

MAX_COLUMNS = 2000
MAX_FIELD = 64 * 1024
SOURCE = "source"
"""The column that says which source a record comes from, where none is named."""

_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE = 256 * 1024
_BLOCK = 4 << 20  # bytes Arrow parses at a time; a row must fit
_TOLD = re.compile(r"sep=([,;|\t])\r?\n")
_DATA_LIKE = re.compile(r"[^@\s]+@[^@\s]+\.\w+|\d{4}-\d\d-\d\d.*|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}|[+(]?\d[\d ()/.-]{4,}")

_Columns = dict[str, TextColumn]


class Table(Struct):
    """Records in columns of stripped text, "" where missing; all columns have `rows` values.

    `names` are the stems of the files. `source_column` is one of the columns, made of the file names where no column was
    one; `record_id_column` is empty when none was told. `skipped` counts ragged rows left out. `warnings` are in plain words.
    """

    columns: dict[str, Sequence[str]]
    rows: int
    names: tuple[str, ...]
    source_column: str
    record_id_column: str = ""
    skipped: int = 0
    warnings: tuple[str, ...] = ()


def read_table(
    paths: Path | str | Iterable[Path | str],
    *,
    record_id: str | None = None,
    source: str | None = None,
    ignore: Iterable[str] = (),
    on_ragged: Literal["error", "skip"] = "error",
) -> Table:
    """Read files into one table; columns of all files are united, and ignored ones left out.

    Each file is a source of its own, named by its stem, unless it has a column that says the source.

    Raises: ReadError, saying file, row, column and remedy.
    """
    files = [Path(paths)] if isinstance(paths, Path | str) else [Path(path) for path in paths]
    if not files:
        raise FileUnreadable("no file was given", "give one or more files of records")
    left_out = tuple(ignore)
    warnings: list[str] = []
    skipped = 0
    parts: list[_Columns] = []
    for file in files:
        columns, dropped = _read_file(file, on_ragged, warnings)
        skipped += dropped
        needed = [name for name in (record_id, source) if name]
        if missing := [name for name in needed if name not in columns]:
            raise MissingColumns(missing, list(columns), file=file.name)
        parts.append(columns)
    there = dict.fromkeys(name for columns in parts for name in columns)
    if missing := [name for name in left_out if name not in there]:
        raise MissingColumns(missing, list(there), file=files[0].name if len(files) == 1 else "")
    for name in left_out:
        del there[name]
    source_column = source or next((name for name in there if name.casefold() == SOURCE), SOURCE)
    there.setdefault(source_column)
    if len(there) > MAX_COLUMNS:
        raise HeaderInvalid(f"the files have {len(there)} columns together", f"give at most {MAX_COLUMNS}")
    lengths = [len(next(iter(columns.values()))) for columns in parts]
    united: dict[str, Sequence[str]] = {}
    for name in there:
        united[name] = TextColumn.united(
            [
                columns.pop(name)
                if name in columns and name not in left_out
                else TextColumn.constant(_stem(file) if name == source_column else "", rows)
                for file, columns, rows in zip(files, parts, lengths, strict=True)
            ]
        )
    names = tuple(_stem(file) for file in files)
    return Table(united, len(united[source_column]), names, source_column, record_id or "", skipped, tuple(warnings))


def check_columns(table: Table, needed: Iterable[str]) -> None:
    """Raise MissingColumns unless the table has all the columns needed."""
    if missing := [name for name in needed if name not in table.columns]:
        raise MissingColumns(missing, list(table.columns), file=table.names[0] if len(table.names) == 1 else "")


def _stem(file: Path) -> str:
    return file.name.removesuffix(".gz").rsplit(".", 1)[0] or file.name


def _read_file(file: Path, on_ragged: Literal["error", "skip"], warnings: list[str]) -> tuple[_Columns, int]:
    """Read one file; answer its columns and how many rows were skipped."""
    raw = _bytes_of(file)
    kind = file.name.casefold().removesuffix(".gz").rsplit(".", 1)[-1]
    if raw.startswith(b"PAR1"):
        columns, skipped = _read_parquet(file, raw, warnings), 0
    elif raw.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise FileUnreadable("it is a spreadsheet or an archive", "save the records as CSV or Parquet", file=file.name)
    elif kind == "parquet":
        raise FileUnreadable(
            "it is no Parquet file, or was cut short", "write it again, or name it as what it is", file=file.name
        )
    elif kind in ("jsonl", "ndjson", "json"):
        columns, skipped = _read_json(file, raw, warnings), 0
    else:
        columns, skipped = _read_delimited(file, raw, on_ragged, warnings)
    if not columns or not next(iter(columns.values())):
        raise FileEmpty("it has a header but no records", "give a file with at least one record", file=file.name)
    return columns, skipped


def _bytes_of(file: Path) -> bytes:
    try:
        raw = file.read_bytes()
        if raw.startswith(b"\x1f\x8b"):
            raw = gzip.decompress(raw)
    except FileNotFoundError:
        raise FileUnreadable("there is no such file", "check its path", file=str(file)) from None
    except IsADirectoryError:
        raise FileUnreadable("it is a folder", "name the files in it", file=str(file)) from None
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise FileUnreadable("its compression is damaged or cut short", "fetch it again", file=file.name) from None
    except OSError as error:
        raise FileUnreadable(f"it can't be read ({error.strerror or type(error).__name__})", "check its permissions and disk",
                             file=file.name) from None  # fmt: skip
    if not raw or raw.isspace():
        raise FileEmpty("it is empty", "give a file with a header and records", file=file.name)
    return raw


def _check_header(file: Path, header: Sequence[str], warnings: list[str]) -> list[str]:
    """Strip and check column names; nameless ones are named by their place."""
    names = [name.strip() for name in header]
    if len(names) > MAX_COLUMNS:
        raise HeaderInvalid(f"it has {len(names)} columns", f"give at most {MAX_COLUMNS}", file=file.name, row=1)
    data_like = sum(1 for name in names if _DATA_LIKE.fullmatch(name))
    if data_like > 1 or data_like == len(names):
        raise HeaderInvalid(
            "its first row looks like a record, not like column names", "add a first row that names the columns",
            file=file.name, row=1,
        )  # fmt: skip
    for place, name in enumerate(names):
        if not name:
            names[place] = f"column_{place + 1}"
            warnings.append(f"{file.name}: column {place + 1} has no name and is called column_{place + 1}.")
    if repeated := sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []:
        raise HeaderInvalid(
            f"columns {', '.join(repeated[:5])} are there more than once", "rename or remove all but one of each",
            file=file.name, row=1, column=repeated[0],
        )  # fmt: skip
    return names


def _as_text(file: Path, name: str, array: pa.ChunkedArray, first_row: int) -> TextColumn:
    """Turn an Arrow column of text into one of stripped values."""
    if array.null_count:
        array = pc.fill_null(array, strings([""])[0].cast(array.type))
    longest = pc.max(pc.binary_length(array)).as_py() or 0
    if longest > MAX_FIELD:
        row = pc.index(pc.greater(pc.binary_length(array), MAX_FIELD), True).as_py()
        raise ValueInvalid(
            f"a field is longer than {MAX_FIELD // 1024} KiB", "shorten it, or close the quote that runs on",
            file=file.name, row=row + first_row, column=name,
        )  # fmt: skip
    return TextColumn.encode(array).stripped()


def _as_texts(file: Path, arrays: dict[str, pa.ChunkedArray], first_row: int) -> _Columns:
    """Turn Arrow columns of text into columns of stripped values; each goes as soon as it is done."""
    names = list(arrays)
    return dict(zip(names, together(partial(_one_as_text, file, name, arrays, first_row) for name in names), strict=True))


def _one_as_text(file: Path, name: str, arrays: dict[str, pa.ChunkedArray], first_row: int) -> TextColumn:
    return _as_text(file, name, arrays.pop(name), first_row)


# --- delimited text ---


def _decode(file: Path, raw: bytes, warnings: list[str]) -> bytes:
    """Answer the text as UTF-8 without a mark; bytes that are not UTF-8 are read as Windows-1252."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return raw.decode("utf-16").encode()
        except UnicodeDecodeError:
            raise FileUnreadable("it is marked as UTF-16 but is not", "save it as UTF-8", file=file.name) from None
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if (nul := raw.find(b"\0")) >= 0:
        raise ValueInvalid("there is a NUL byte", "remove it, or save the file as UTF-8 text", file=file.name,
                           row=raw.count(b"\n", 0, nul) + 1)  # fmt: skip
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        row = raw.count(b"\n", 0, error.start) + 1
        warnings.append(f"{file.name}: row {row} is not UTF-8, so such bytes were read as Windows-1252; save it as UTF-8.")
        return "".join(_mixed(raw)).encode()
    return raw


def _mixed(raw: bytes) -> Iterator[str]:
    """Decode line by line, so that one wrong line does not spoil the right ones."""
    for line in raw.splitlines(keepends=True):
        try:
            yield line.decode()
        except UnicodeDecodeError:
            try:
                yield line.decode("cp1252")
            except UnicodeDecodeError:
                yield line.decode("latin-1")


def _sniff(sample: str) -> str:
    """Find the delimiter: the one that parts most rows into as many fields as the header has."""
    best, chosen = 0.0, ","
    for delimiter in _DELIMITERS:
        rows = _sample_rows(sample, delimiter)
        width = len(rows[0]) if rows else 0
        if width > 1:
            alike = sum(len(row) == width for row in rows) / len(rows)
            if alike * width**0.5 > best:
                best, chosen = alike * width**0.5, delimiter
    return chosen


def _sample_rows(sample: str, delimiter: str) -> list[list[str]]:
    """Parse the first rows, up to a hundred or to one that can't be parsed."""
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter):
            if row:
                rows.append(row)
            if len(rows) == 100:
                break
    except csv.Error:
        return rows
    return rows


def _read_delimited(file: Path, raw: bytes, on_ragged: Literal["error", "skip"], warnings: list[str]) -> tuple[_Columns, int]:
    raw = _decode(file, raw, warnings)
    first_row = 2  # line of the first record
    sample = raw[:_SAMPLE].decode(errors="ignore")
    if len(raw) > _SAMPLE:
        sample = sample[: sample.rfind("\n") + 1] or sample
    if told := _TOLD.match(sample):
        # Spreadsheets write the delimiter into a line of its own before the header.
        raw, sample = raw[told.end() :], sample[told.end() :]
        first_row = 3
    delimiter = told[1] if told else "\t" if file.name.casefold().removesuffix(".gz").endswith(".tsv") else _sniff(sample)
    header = _sample_rows(sample, delimiter)[:1]
    if not header:
        raise HeaderInvalid("its first row can't be read", "close the quote that opens there", file=file.name, row=1)
    names = _check_header(file, header[0], warnings)
    if raw.count(b'"') % 2 and (start := _unclosed(raw, delimiter)):
        raise ValueInvalid("a quote is never closed", "close it, or double it if it is part of the value", file=file.name,
                           row=start + first_row - 2)  # fmt: skip
    skipped = 0

    def skip(_row: pa_csv.InvalidRow) -> Literal["skip", "error"]:
        nonlocal skipped
        skipped += on_ragged == "skip"
        return on_ragged

    try:
        table = pa_csv.read_csv(
            io.BytesIO(raw),
            read_options=pa_csv.ReadOptions(column_names=names, skip_rows_after_names=1, block_size=_BLOCK),
            parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=b'"' in raw, invalid_row_handler=skip),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, check_utf8=False
            ),
        )
    except pa.ArrowInvalid:
        # Arrow's own message shows the row, which is personal.
        raise _diagnose(file, raw, delimiter, names, first_row) from None
    if skipped:
        warnings.append(f"{file.name}: {skipped} ragged rows were skipped.")
    return _as_texts(file, {name: table.column(name) for name in names}, first_row), skipped


def _unclosed(raw: bytes, delimiter: str) -> int:
    """Find the row in which a quote opens that is never closed; 0 when there is none."""
    reader = csv.reader(io.StringIO(raw.decode(), newline=""), delimiter=delimiter, strict=True)
    start = 1
    while True:
        try:
            next(reader)
            start = reader.line_num + 1
        except StopIteration:
            return 0
        except csv.Error as error:
            if "unexpected end" in str(error):
                return start
            start = reader.line_num + 1


def _diagnose(file: Path, raw: bytes, delimiter: str, names: Sequence[str], first_row: int) -> ReadError:
    """Find what is wrong with rows that Arrow would not read."""
    reader = csv.reader(io.StringIO(raw.decode(), newline=""), delimiter=delimiter)
    rows: list[int] = []
    count, found, start = 0, 0, first_row - 1
    try:
        for row in reader:
            if row and len(row) != len(names):
                count += 1
                found = found or len(row)
                if len(rows) < 5:
                    rows.append(start)
            start = reader.line_num + first_row - 1
    except csv.Error:
        return ValueInvalid(
            "a field is far too long, or a quote is not closed", "close the quote that opens in this row or before",
            file=file.name, row=start,
        )  # fmt: skip
    if rows:
        return RowsRagged(rows, count, len(names), found, file=file.name)
    return FileUnreadable("its rows can't be told apart", "save it again as CSV with quoted fields", file=file.name)


# --- Parquet and JSON ---


def _read_parquet(file: Path, raw: bytes, warnings: list[str]) -> _Columns:
    try:
        # `read_table` would import all of pyarrow.dataset, and pandas with it.
        table = pq.ParquetFile(pa.BufferReader(raw)).read()
    except (pa.ArrowException, OSError):
        raise FileUnreadable("its Parquet is damaged or cut short", "write it again", file=file.name) from None
    columns: dict[str, pa.ChunkedArray] = {}
    for name, column in zip(_check_header(file, table.column_names, warnings), table.columns, strict=True):
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            warnings.append(f"{file.name}: column {name} holds {kind}, not single values, and was left out.")
        else:
            columns[name] = column.cast(kind).cast(pa.string())
    del table, column
    return _as_texts(file, columns, 1)


def _read_json(file: Path, raw: bytes, warnings: list[str]) -> _Columns:
    """Read one object a line, or one array of objects."""
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    columns: dict[str, list[str]] = {}
    nested: set[str] = set()
    for rows, (row, record) in enumerate(_objects(file, raw)):
        for name, value in record.items():
            if name not in columns:
                columns[name] = [""] * rows
            if isinstance(value, list | dict):
                nested.add(name)
                value = None
            text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value).strip()
            if len(text) > MAX_FIELD or "\0" in text:
                problem = "there is a NUL character" if "\0" in text else f"a field is longer than {MAX_FIELD // 1024} KiB"
                raise ValueInvalid(problem, "remove or shorten it", file=file.name, row=row, column=name)
            columns[name].append(text)
        for values in columns.values():
            if len(values) == rows:
                values.append("")
    names = _check_header(file, list(columns), warnings)
    for name in sorted(nested):
        warnings.append(f"{file.name}: column {name} holds lists or objects, which were left out.")
    return {
        name: TextColumn.of(values)
        for name, values in zip(names, columns.values(), strict=True)
        if name not in nested or any(values)
    }


def _objects(file: Path, raw: bytes) -> Iterator[tuple[int, dict[str, object]]]:
    decoder = msgspec.json.Decoder(dict[str, object])
    if raw.lstrip().startswith(b"["):
        try:
            yield from enumerate(msgspec.json.decode(raw, type=list[dict[str, object]]), start=1)
        except msgspec.DecodeError:
            raise ValueInvalid("it is not an array of objects", "write one object a line", file=file.name) from None
        return
    for row, line in enumerate(raw.splitlines(), start=1):
        if line.strip():
            try:
                yield row, decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise ValueInvalid("the line is not one JSON object in UTF-8", "write one object a line", file=file.name,
                                   row=row) from None  # fmt: skip
