"""Notice sources that look free of duplicates: nobody in them comes twice, though people who come twice would be noticed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from msgspec import Struct

from goldenthread.graph.model import SemanticType
from goldenthread.resolver.bulk.guess_file import ColumnGuess
from goldenthread.resolver.bulk.read import Table
from goldenthread.resolver.normalise.text import fold

__all__ = ["CleanSource", "clean_sources"]

_T = SemanticType
_NAMES = ((_T.GIVEN_NAME, _T.SURNAME), (_T.PERSON_NAME,))
_TELLING = (_T.BIRTH_DATE, _T.EMAIL, _T.PHONE)
_LEAST_SHARED = 20
"""Records that other sources have too from which on it says something that none comes twice."""


class CleanSource(Struct, frozen=True):
    """A source that looks free of duplicates: its records that can be told by name, and those of them in other sources too."""

    source: str
    records: int
    shared: int


def clean_sources(table: Table, guess: ColumnGuess) -> list[CleanSource]:
    """List the sources in which no name with the same birth date, email or phone comes twice, though other sources repeat it.

    Misspelt duplicates are not noticed, neither within a source nor between two: so the second stands for the first.
    """
    kinds = {column.type: column.name for column in guess.attributes if column.type is not None}
    telling = next((kinds[kind] for kind in _TELLING if kind in kinds), None)
    names = next(([kinds[kind] for kind in of] for of in _NAMES if kinds.keys() >= set(of)), None)
    if telling is None or names is None:
        return []
    columns = [table.columns[name] for name in (*names, telling)]
    sources = table.columns[table.source_column]
    in_source: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for source, values in zip(sources, zip(*map(_folded, columns), strict=True), strict=True):
        if all(values):
            in_source[source][values] += 1
    everywhere: Counter[tuple[str, ...]] = Counter()
    for of in in_source.values():
        everywhere.update(of.keys())
    found = []
    for source, of in sorted(in_source.items()):
        shared = sum(everywhere[values] > 1 for values in of)
        if shared >= _LEAST_SHARED and max(of.values()) == 1:
            found.append(CleanSource(source, len(of), shared))
    return found


def _folded(column: Sequence[str]) -> list[str]:
    known = {text: fold(text) for text in set(column)}
    return [known[text] for text in column]
