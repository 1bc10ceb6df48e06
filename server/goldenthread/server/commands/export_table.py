"""Write golden records as rows of a table, Arrow or CSV: a column an attribute, masked where the caller may not see."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Sequence

from goldenthread.graph.model import (
    IDENTIFIER_TYPES,
    AttributeDefinition,
    Cardinality,
    DataModel,
    Document,
    PartialDate,
    PersonName,
    PiiCategory,
    Relationship,
    SemanticType,
    Value,
)
from goldenthread.resolver.golden import GoldenAttribute
from goldenthread.server.commands.explore import mask
from goldenthread.server.commands.golden_record import Golden

__all__ = ["ExportTable", "text_of"]

_OWN = ("identity", "records", "conflicts", "stale")
"""Columns beside the attributes: the identity's id, how many records, attributes in conflict, attributes with stale values."""
_FREE = "free_attributes"
_FREE_DEFINITION = AttributeDefinition(_FREE, SemanticType.FREE)

Cell = str | int | list[str] | None


class ExportTable:
    """The columns of an export, and its rows as parts of one file."""

    def __init__(
        self,
        model: DataModel,
        attributes: Collection[str],
        seen: Collection[PiiCategory],
        *,
        is_csv: bool,
        is_masked: bool,
    ) -> None:
        self._definitions = [d for d in model.attributes if not attributes or d.name in attributes]
        self._known = {definition.name for definition in model.attributes}
        self._has_free = not attributes
        self._seen = frozenset({PiiCategory.NONE}) if is_masked else frozenset(seen)
        self._is_csv = is_csv
        import pyarrow as pa  # here, because a server that exports nothing should start without it

        fields = [pa.field("identity", pa.string()), pa.field("records", pa.int64())]
        fields += [pa.field(name, pa.list_(pa.string())) for name in _OWN[2:]]
        # An attribute may be called as a column of our own is.
        self.columns = [*_OWN, *(f"attribute.{d.name}" if d.name in (*_OWN, _FREE) else d.name for d in self._definitions)]
        for definition, name in zip(self._definitions, self.columns[len(_OWN) :], strict=True):
            fields.append(pa.field(name, pa.string() if definition.cardinality is Cardinality.ONE else pa.list_(pa.string())))
        if self._has_free:
            self.columns.append(_FREE)
            fields.append(pa.field(_FREE, pa.string()))
        self._schema = pa.schema(fields)

    def head(self) -> bytes:
        """Write what comes before all rows."""
        if not self._is_csv:
            return bytes(self._schema.serialize())
        return self._lines([list(self.columns)])

    def parts(self, goldens: Sequence[Golden], limit: int) -> list[tuple[bytes, Sequence[Golden]]]:
        """Write rows, in parts of at most so many bytes where more than one row is in it."""
        if not goldens:
            return []
        data = self._rows([self._row(golden) for golden in goldens])
        if len(data) <= limit or len(goldens) == 1:
            return [(data, goldens)]
        middle = len(goldens) // 2
        return [*self.parts(goldens[:middle], limit), *self.parts(goldens[middle:], limit)]

    def _rows(self, rows: Sequence[Sequence[Cell]]) -> bytes:
        if self._is_csv:
            return self._lines([[_csv_cell(cell) for cell in row] for row in rows])
        import pyarrow as pa

        arrays = [pa.array([row[place] for row in rows], field.type) for place, field in enumerate(self._schema)]
        return bytes(pa.record_batch(arrays, schema=self._schema).serialize())

    @staticmethod
    def _lines(rows: Sequence[Sequence[str]]) -> bytes:
        text = io.StringIO()
        csv.writer(text).writerows(rows)
        return text.getvalue().encode()

    def _row(self, golden: Golden) -> list[Cell]:
        found = {one.attribute: one for one in golden.attributes}
        shown = {definition.name for definition in self._definitions}
        free = [one for one in golden.attributes if self._has_free and one.attribute not in self._known]
        given = [*(one for one in golden.attributes if one.attribute in shown), *free]
        row: list[Cell] = [
            golden.identity.id.hex(),
            len(golden.records),
            [one.attribute for one in given if one.conflict],
            [one.attribute for one in given if any(value.is_stale for value in one.values)],
        ]
        for definition in self._definitions:
            texts = self._texts(definition, found.get(definition.name))
            row.append((texts[0] if texts else None) if definition.cardinality is Cardinality.ONE else texts)
        if self._has_free:
            texts_of = {one.attribute: self._texts(_FREE_DEFINITION, one) for one in free}
            row.append(json.dumps(texts_of, ensure_ascii=False) if free else None)
        return row

    def _texts(self, definition: AttributeDefinition, found: GoldenAttribute | None) -> list[str]:
        texts = [text_of(value.value.value) for value in found.values] if found is not None else []
        category = definition.pii_category or PiiCategory.PERSONAL
        return texts if category in self._seen else [_masked(definition.type, text) for text in texts]


def _csv_cell(cell: Cell) -> str:
    if isinstance(cell, list):
        return json.dumps(cell, ensure_ascii=False) if cell else ""
    return "" if cell is None else str(cell)


def _masked(type: SemanticType, text: str) -> str:
    """Mask a value: of an identifier enough to tell two apart, of anything else nothing."""
    return mask(type, text) if type in IDENTIFIER_TYPES and type is not SemanticType.ADDRESS else "…"


def text_of(value: Value) -> str:
    """Write a value as one line of text."""
    if isinstance(value, str):
        return value
    if isinstance(value, PersonName):
        return " ".join(part for part in (value.given, value.middle, value.surname, value.suffix) if part)
    if isinstance(value, PartialDate):
        parts = ((f"{value.year:04}", value.year), (f"{value.month:02}", value.month), (f"{value.day:02}", value.day))
        return "-".join(text if known else "?" for text, known in parts)
    if isinstance(value, Document):
        return f"{value.number} ({value.issuer})" if value.issuer else value.number
    if isinstance(value, Relationship):
        return f"{value.kind.name.lower()}: {value.name or f'{value.source}:{value.source_record_id}'}"
    street = " ".join(part for part in (value.house_number, value.street) if part)
    lines = (street, value.unit, value.city, value.region, value.postcode, value.country)
    return ", ".join(line for line in lines if line)
