"""Know what columns are called, in the languages that files come in; the words themselves are in `column_names.toml`."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files

import msgspec
from msgspec import Struct

from goldenthread.graph.model import SemanticType
from goldenthread.resolver.normalise.text import fold

__all__ = ["Vocabulary", "name_words", "vocabulary"]

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=\d)")


class _Words(Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `column_names.toml`."""

    not_attributes: frozenset[str]
    noise: frozenset[str]
    only_alone: frozenset[str]
    record_ids: tuple[str, ...]
    labels: frozenset[str]
    special: frozenset[str]
    date_words: frozenset[str]
    genders: frozenset[str]
    names: dict[str, tuple[str, ...]]
    countries: dict[str, tuple[str, ...]]
    states: dict[str, frozenset[str]]


def name_words(column: str) -> str:
    """Split a column's name into folded words: `firstName_1` and `First-Name 1` are `first name 1`."""
    return fold(_CAMEL.sub(" ", column).replace("_", " "))


class Vocabulary:
    """What names of columns, and a few values, stand for."""

    def __init__(self, words: _Words) -> None:
        self.genders, self.states = words.genders, words.states
        self._words = words
        self._types = {name: SemanticType[kind.upper()] for kind, names in words.names.items() for name in names}
        self._joined = {name.replace(" ", ""): kind for name, kind in self._types.items() if len(name) > 3}
        self._countries = {name: country for country, names in words.countries.items() for name in names}

    def type_of(self, column: str) -> SemanticType | None:
        """Name the type that a column's name stands for, or None when it says nothing."""
        words = name_words(column).split()
        if " ".join(words) in self._words.not_attributes:
            return None
        kept = [word for word in words if word not in self._words.noise]
        for part in (words, kept):
            if found := self._types.get(" ".join(part)) or self._joined.get("".join(part)):
                return found
        for length in range(len(kept) - 1, 0, -1):
            for start in range(len(kept) - length + 1):
                name = " ".join(kept[start : start + length])
                if name not in self._words.only_alone and (found := self._types.get(name)):
                    return found
        return None

    def country_of(self, column: str) -> str:
        """Name the country whose language a column's name is in, or nothing."""
        return self._countries.get(name_words(column), "")

    def record_id_rank(self, column: str) -> int | None:
        """Rank a name that says "id of the record", the likeliest first; None for other names."""
        name = name_words(column)
        if name in self._words.record_ids:
            return self._words.record_ids.index(name)
        return len(self._words.record_ids) if name.endswith((" id", " key", " uuid", " guid")) else None

    def is_label(self, column: str) -> bool:
        """Say whether a column is called as the answer to who is who would be."""
        return name_words(column) in self._words.labels

    def is_special(self, column: str) -> bool:
        """Say whether a column is called after a special category of personal data."""
        return not self._words.special.isdisjoint(name_words(column).split())

    def is_other_date(self, column: str) -> bool:
        """Say whether a column is called after a date that is no birth date, as the day of an order."""
        return not self._words.date_words.isdisjoint(name_words(column).split())


@cache
def vocabulary() -> Vocabulary:
    """Read the vocabulary, once."""
    text = files(__package__).joinpath("column_names.toml").read_text(encoding="utf-8")
    return Vocabulary(msgspec.convert(tomllib.loads(text), _Words))
