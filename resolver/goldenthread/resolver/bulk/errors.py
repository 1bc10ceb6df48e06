"""What can go wrong with a file of records.

ReadError                  a file, or the description of its columns, can't be used      a retry does not help
├── FileUnreadable         missing, a folder, not permitted, damaged or of another format
├── FileEmpty              nothing in it, or a header alone
├── HeaderInvalid          no header, repeated names, too many columns
├── MissingColumns         columns that were asked for are not there
├── RowsRagged             rows with more or fewer fields than the header
├── ValueInvalid           a value that can't be one: a NUL byte, too long, damaged JSON
├── GuessInvalid           an edited guess that can't be understood
├── WorkOfOthers           a work folder that holds something else
└── WorkUnreadable         a work folder in which something is missing or damaged

No message holds a value of a record: values are named by file, row and column.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

__all__ = [
    "FileEmpty",
    "FileUnreadable",
    "GuessInvalid",
    "HeaderInvalid",
    "MissingColumns",
    "ReadError",
    "RowsRagged",
    "ValueInvalid",
    "WorkOfOthers",
    "WorkUnreadable",
]


class ReadError(ValueError):
    """Stand at the root of the errors of files: where (`row` is a line of the file, 0 when unknown), what, and the remedy."""

    def __init__(self, problem: str, remedy: str, *, file: str = "", row: int = 0, column: str = "") -> None:
        self.problem, self.remedy, self.file, self.row, self.column = problem, remedy, file, row, column
        places = [file, f"row {row}" if row else "", f"column {column}" if column else ""]
        where = ", ".join(place for place in places if place)
        super().__init__(f"{where}: {problem}; {remedy}." if where else f"{problem}; {remedy}.")


class FileUnreadable(ReadError):
    """The file is missing, a folder, not permitted, damaged or of a format that is not read."""


class FileEmpty(ReadError):
    """There is nothing in the file, or a header without rows."""


class HeaderInvalid(ReadError):
    """The first row does not name the columns."""


class MissingColumns(ReadError):
    """Columns that were asked for are not there; `missing` and `there` name both."""

    def __init__(self, missing: Sequence[str], there: Sequence[str], *, file: str = "") -> None:
        self.missing, self.there = tuple(missing), tuple(there)
        folded = {name.casefold(): name for name in there}
        close = {
            name: folded[found[0]] for name in missing if (found := get_close_matches(name.casefold(), folded, n=1, cutoff=0.6))
        }
        shown = ", ".join(self.there[:20]) + (f" and {len(self.there) - 20} more" if len(self.there) > 20 else "")
        hints = [f"perhaps {found} is meant by {name}" for name, found in close.items()]
        super().__init__(
            f"there is no column {', '.join(self.missing)}",
            f"{', '.join(hints)}; the columns are {shown}" if hints else f"give one of the columns {shown}",
            file=file,
        )


class RowsRagged(ReadError):
    """Rows have more or fewer fields than the header; `rows` holds the first five, `count` says how many there are."""

    def __init__(self, rows: Sequence[int], count: int, expected: int, found: int, *, file: str) -> None:
        self.rows, self.count, self.expected, self.found = tuple(rows), count, expected, found
        named = ", ".join(str(row) for row in self.rows)
        more = f" and {count - len(self.rows)} more" if count > len(self.rows) else ""
        super().__init__(
            f"{f'rows {named}{more} do' if count > 1 else f'row {named} does'} not have {expected} fields as the header does "
            f"(row {self.rows[0]} has {found})",
            "look for unquoted separators or an unclosed quote there, or have such rows left out (--skip-ragged)",
            file=file,
        )
        self.row = self.rows[0]


class ValueInvalid(ReadError):
    """A field holds what can't be a value."""


class GuessInvalid(ReadError):
    """An edited guess can't be understood; `row` is its line."""


class WorkOfOthers(ReadError):
    """The work folder holds something else than what this linking keeps."""

    def __init__(self, folder: str) -> None:
        super().__init__(
            "the folder holds something else, or the linking of other files or with other options",
            "give an empty folder, or run what it was made by",
            file=folder,
        )


class WorkUnreadable(ReadError):
    """Something of what a work folder should hold is missing or damaged."""

    def __init__(self, folder: str) -> None:
        super().__init__("what was kept there is damaged", "remove the folder, and begin anew", file=folder)
