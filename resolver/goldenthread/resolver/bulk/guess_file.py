"""Hold what the columns of a table mean, write it as YAML that a person can edit, and read it back."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Literal, get_args

import yaml
from msgspec import Struct

from goldenthread.graph.model import SemanticType
from goldenthread.resolver.bulk.column_dates import DateOrder
from goldenthread.resolver.bulk.errors import GuessInvalid

__all__ = ["ColumnGuess", "Format", "GuessedColumn", "Role", "from_yaml", "to_yaml"]

Role = Literal["attribute", "record_id", "source", "ignored"]
Format = DateOrder | Literal["decimal"]

_HEAD = """\
# What the columns mean, as guessed. Edit it and give it back.
#
# Each column has a role, which is one of
#   {types}
# or record_id (at most one column), source (at most one), or ignored. A column that is not listed is ignored.
# `format` says how values are written: dmy or mdy for dates with the day or month first, serial for spreadsheet dates,
# decimal for whole numbers written as 12345.0. `placeholders` are values that stand for none and are left out.
"""
_FORMATS: dict[str, Format] = {"": "", "dmy": "dmy", "mdy": "mdy", "serial": "serial", "decimal": "decimal"}
_TYPES = {kind.name.lower(): kind for kind in SemanticType if kind is not SemanticType.UNSPECIFIED}
_ROLES: dict[str, Role] = {role: role for role in get_args(Role) if role != "attribute"}
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class GuessedColumn(Struct, frozen=True):
    """What one column means and why; `type` is UNSPECIFIED unless it is an attribute.

    `completeness` is the share of records that have a value, `distinct` how many values there are. `format` says how values
    are written where that is not plain: the order of dates, or whole numbers with a decimal point (`12345.0`). `placeholders`
    are values that stand for none.
    """

    name: str
    role: Role
    type: SemanticType
    why: str
    completeness: float = 0.0
    distinct: int = 0
    format: Format = ""
    placeholders: tuple[str, ...] = ()


class ColumnGuess(Struct, frozen=True):
    """What the columns of a table mean. Without a record id column, records are numbered by their place."""

    columns: tuple[GuessedColumn, ...]
    default_country: str = "US"
    warnings: tuple[str, ...] = ()

    @property
    def record_id(self) -> str:
        """Name of the record id column, or empty."""
        return next((column.name for column in self.columns if column.role == "record_id"), "")

    @property
    def source(self) -> str:
        """Name of the source column, or empty."""
        return next((column.name for column in self.columns if column.role == "source"), "")

    @property
    def attributes(self) -> tuple[GuessedColumn, ...]:
        """The columns that say something of a person."""
        return tuple(column for column in self.columns if column.role == "attribute")


def to_yaml(guess: ColumnGuess) -> str:
    """Write a guess, with the reasons as comments."""
    lines = [_HEAD.format(types=_wrapped(list(_TYPES)))]
    lines += [f"# Note: {' '.join(warning.split())}" for warning in guess.warnings]
    lines += [f"country: {_scalar(guess.default_country)} # whose phone numbers, dates and documents are meant", "columns:"]
    for column in guess.columns:
        role = column.type.name.lower() if column.role == "attribute" else column.role
        facts = (
            f"{' '.join(column.why.split())}; {column.completeness:.0%} filled, {column.distinct} distinct"
            if column.why
            else ""
        )
        fields = [f"role: {role}"]
        if column.format:
            fields.append(f"format: {column.format}")
        if column.placeholders:
            fields.append(f"placeholders: [{', '.join(map(_scalar, column.placeholders))}]")
        value = f"{{{', '.join(fields)}}}" if len(fields) > 1 else role
        lines.append(f"  {_scalar(column.name)}: {value}" + (f" # {facts}" if facts else ""))
    return "\n".join(lines) + "\n"


def _wrapped(words: list[str]) -> str:
    lines, line = [], ""
    for word in words:
        if len(line) + len(word) > 100:
            lines.append(line.rstrip())
            line = ""
        line += f"{word}, "
    return "\n#   ".join([*lines, line]).rstrip(", ")


def _scalar(text: str) -> str:
    """Write a text so that YAML reads it as that text, whatever it is."""
    plain = _PLAIN.fullmatch(text) and yaml.safe_load(text) == text
    return text if plain else str(yaml.safe_dump(text, default_style='"', width=1 << 30)).strip()


def from_yaml(text: str) -> ColumnGuess:
    """Read an edited guess.

    Raises: GuessInvalid, with the line and the column or field it is about.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise GuessInvalid(f"line {line} is not YAML ({error.problem})", "check its indentation and quotes", row=line) from None
    except yaml.YAMLError:
        raise GuessInvalid("the text holds characters that YAML does not allow", "save it as UTF-8 text") from None
    fields = _mapping(root, "the file", "", ("country", "columns"))
    if "columns" not in fields:
        raise GuessInvalid("there is no field columns", "list the columns under it")
    country = _text(fields["country"], "country").upper() if "country" in fields else "US"
    if not re.fullmatch("[A-Z]{2}", country):
        raise _wrong(fields["country"], "country", "a country is two letters", "write it as US or DE")
    columns = tuple(_column(name, node) for name, node in _mapping(fields["columns"], "columns", "columns").items())
    for role in ("record_id", "source"):
        if len(twice := [column.name for column in columns if column.role == role]) > 1:
            raise _wrong(fields["columns"], twice[1], f"{' and '.join(twice)} are both {role}", "keep one of them")
    return ColumnGuess(columns, country)


def _column(name: str, node: yaml.Node) -> GuessedColumn:
    format: Format = ""
    placeholders: tuple[str, ...] = ()
    role_node = node
    if isinstance(node, yaml.MappingNode):
        fields = _mapping(node, name, name, ("role", "format", "placeholders"))
        if "role" not in fields:
            raise _wrong(node, name, "there is no role", "say the role")
        role_node = fields["role"]
        if "format" in fields:
            written = _text(fields["format"], name)
            if written not in _FORMATS:
                raise _wrong(fields["format"], name, f"{written} is no format", "use dmy, mdy, serial or decimal")
            format = _FORMATS[written]
        if "placeholders" in fields:
            listed = fields["placeholders"]
            if not isinstance(listed, yaml.SequenceNode):
                raise _wrong(listed, name, "placeholders are a list", "write them as [one, another]")
            placeholders = tuple(_text(value, name) for value in listed.value)
    role = _text(role_node, name).strip().casefold()
    if role in _ROLES:
        return GuessedColumn(name, _ROLES[role], SemanticType.UNSPECIFIED, "")
    if role not in _TYPES:
        close = get_close_matches(role, [*_TYPES, *_ROLES], n=1)
        raise _wrong(
            role_node, name, f"{role} is no role", f"perhaps {close[0]} is meant" if close else "see the list at the top"
        )
    return GuessedColumn(name, "attribute", _TYPES[role], "", format=format, placeholders=placeholders)


def _mapping(node: yaml.Node | None, what: str, column: str, known: tuple[str, ...] = ()) -> dict[str, yaml.Node]:
    """Take a mapping apart; its names must differ, and be known ones where these are given."""
    if not isinstance(node, yaml.MappingNode):
        line = node.start_mark.line + 1 if node else 1
        raise GuessInvalid(f"{what} holds no fields", "write lines of `name: value` under it", row=line, column=column)
    fields: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = _text(key, column)
        if name in fields:
            raise _wrong(key, name, "it is there twice", "keep one of them")
        if known and name not in known:
            raise _wrong(key, column or name, f"{name} is no field", f"use {' and '.join(known)}")
        fields[name] = value
    return fields


def _text(node: yaml.Node, column: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _wrong(node, column, "a single word is expected", "write one word")
    return str(node.value)


def _wrong(node: yaml.Node, column: str, problem: str, remedy: str) -> GuessInvalid:
    return GuessInvalid(problem, remedy, row=node.start_mark.line + 1, column=column)
