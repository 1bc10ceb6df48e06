"""Move many rows between Python and SQLite in one step.

SQLite gives Python's interpreter lock back at every row it steps over, and beside busy threads getting the lock again costs
far more than the row. So a read comes back as one JSON text, blobs as hexadecimal digits, and a write goes in as one array of
fixed-width rows that SQL takes apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import apsw
import msgspec
from msgspec import Struct

__all__ = ["EDGE_COLUMNS", "PackedRead", "edge_row", "node_row", "packed"]

_decode = msgspec.json.Decoder(list[list[int | str | None]]).decode

EDGE_COLUMNS = """
SELECT CAST(substr(value, 1, 12) AS INTEGER) AS source, CAST(substr(value, 13, 2) AS INTEGER) AS kind,
CAST(substr(value, 15, 12) AS INTEGER) AS target, CAST(substr(value, 27, 20) AS INTEGER) AS weight,
CASE WHEN length(value) > 46 THEN unhex(substr(value, 47)) END AS profile FROM carray(:rows)"""
"""What `edge_row` put together, as columns."""


class PackedRead(Struct, frozen=True):
    """A query whose rows come back as one text; `blobs` are the columns that hold blobs."""

    sql: str
    blobs: tuple[int, ...]

    def rows(self, connection: apsw.Connection, bindings: Mapping[str, apsw.Binding]) -> list[list[int | str | bytes | None]]:
        """Run it."""
        (text,) = next(connection.execute(self.sql, bindings))
        rows = cast("list[list[int | str | bytes | None]]", _decode(cast(str, text)))
        for row in rows:
            for place in self.blobs:
                digits = row[place]
                row[place] = bytes.fromhex(digits) if isinstance(digits, str) and digits else None
        return rows


def packed(columns: str, sql: str) -> PackedRead:
    """Pack a query; `columns` says b for a blob and i for an integer, a letter a column. An empty blob reads as None."""
    names = ", ".join(f"c{i}" for i in range(len(columns)))
    values = ", ".join(f"hex(c{i})" if letter == "b" else f"c{i}" for i, letter in enumerate(columns))
    blobs = tuple(i for i, letter in enumerate(columns) if letter == "b")
    return PackedRead(f"WITH packed ({names}) AS ({sql}) SELECT json_group_array(json_array({values})) FROM packed", blobs)


def edge_row(source: int, kind: int, target: int, weight: int = 0, profile: bytes = b"") -> str:
    """Put an edge together as one text."""
    return f"{source:012d}{kind:02d}{target:012d}{weight:+020d}{profile.hex()}"


def node_row(nid: int, kind: int, rest: bytes) -> bytes:
    """Put a node's numbers and bytes together as one blob."""
    return b"%012d%02d%b" % (nid, kind, rest)
