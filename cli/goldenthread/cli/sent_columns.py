"""Say what the columns of a file are to a server: which attributes, when records were observed, and what can't be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt

    from goldenthread.client import DataModel, SemanticType
    from goldenthread.graph import model as graph
    from goldenthread.resolver.bulk.guess import ColumnGuess
    from goldenthread.resolver.bulk.read import Table

__all__ = ["Attribute", "attribute_names", "count_unreadable", "declared_types", "take_observed_times"]


@dataclass(frozen=True, slots=True)
class Attribute:
    """The attribute that a column's values are sent as; `type` only where the tenant's data model does not have the name."""

    name: str
    type: SemanticType | None


def declared_types(model: DataModel) -> dict[str, graph.SemanticType]:
    """Say what the tenant's data model declares of attributes."""
    from goldenthread.graph.model import SemanticType

    return {definition.name: SemanticType(definition.type) for definition in model.attributes}


def take_observed_times(
    table: Table, guess: ColumnGuess, column: str | None
) -> tuple[ColumnGuess, Sequence[dt.datetime] | None]:
    """Read when each record was observed; the column that says so is no attribute then.

    Raises ReadError when it is not there, or a record does not say it.
    """
    if column is None:
        return guess, None
    from datetime import UTC, datetime, timedelta

    from msgspec.structs import replace

    from goldenthread.graph.model import SemanticType
    from goldenthread.resolver.bulk.errors import MissingColumns
    from goldenthread.resolver.bulk.observed import observed_times

    if column not in table.columns:
        raise MissingColumns([column], list(table.columns))
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    times = [epoch + timedelta(microseconds=time) for time in observed_times(table.columns[column], column).tolist()]
    told = [
        replace(c, role="ignored", type=SemanticType.UNSPECIFIED, why="says when a record was observed", format="")
        if c.name == column and c.role == "attribute"
        else c
        for c in guess.columns
    ]
    return replace(guess, columns=tuple(told)), times


def attribute_names(guess: ColumnGuess, model: DataModel) -> dict[str, Attribute]:
    """Decide which attribute each column is sent as.

    A column is sent under its own name where the tenant's data model has that name with that meaning, under the model's name
    for its meaning where there is one, and otherwise under its own name with its meaning beside it.
    """
    from goldenthread.client import SemanticType

    declared = {definition.name: SemanticType(definition.type) for definition in model.attributes}
    by_type = {kind: name for name, kind in reversed(declared.items())}
    chosen: dict[str, Attribute] = {}
    for column in guess.attributes:
        kind = SemanticType(column.type)
        if declared.get(column.name) == kind:
            chosen[column.name] = Attribute(column.name, None)
        elif kind is not SemanticType.FREE and kind in by_type:
            chosen[column.name] = Attribute(by_type[kind], None)
        else:
            name = column.name if column.name not in declared else f"{column.name}_{kind.name.lower()}"
            chosen[column.name] = Attribute(name[:100], kind)
    return chosen


def count_unreadable(guess: ColumnGuess, values: Mapping[str, Sequence[str]], default_country: str) -> dict[str, int]:
    """Count, by column, the values that can't be read as what the column means."""
    from goldenthread.resolver.normalise.reading import READ, is_readable

    found: dict[str, int] = {}
    for column in guess.attributes:
        if column.type not in READ:
            continue
        unreadable = sum(
            count for text, count in Counter(values[column.name]).items() if not is_readable(column.type, text, default_country)
        )
        if unreadable:
            found[column.name] = unreadable
    return found
