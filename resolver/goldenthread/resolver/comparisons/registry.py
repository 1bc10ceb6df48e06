"""Know the kinds of comparisons by name: those that come with the program, and those that others add."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import TypeVar

from goldenthread.resolver.comparisons.comparison import BINS, Comparison
from goldenthread.resolver.comparisons.contacts import Email, Phone
from goldenthread.resolver.comparisons.dates import BirthDate
from goldenthread.resolver.comparisons.names import Generation, LoneName, Name, WholeName
from goldenthread.resolver.comparisons.numbers import Number
from goldenthread.resolver.comparisons.organisations import Organisation
from goldenthread.resolver.comparisons.places import Area, Street
from goldenthread.resolver.comparisons.texts import Category, LongText, Text
from goldenthread.resolver.normalise.places import Place

__all__ = ["AnyComparison", "Kind", "UnknownKind", "kind_named", "kinds", "register"]

AnyComparison = Comparison[str] | Comparison[tuple[int, str]] | Comparison[Place]
"""A comparison of any of the kinds of values there are."""

Kind = type[Comparison[str]] | type[Comparison[tuple[int, str]]] | type[Comparison[Place]]
"""A class of comparisons."""

_K = TypeVar("_K", bound=Kind)

_OWN: tuple[Kind, ...] = (
    Name, WholeName, LoneName, Generation, BirthDate, Email, Phone, Number, Street, Area, Organisation, Text, LongText,
    Category,
)  # fmt: skip
_KINDS: dict[str, Kind] = {kind.kind: kind for kind in _OWN}
_GROUP = "goldenthread.comparisons"


class UnknownKind(KeyError):
    """No comparison of this kind is known; install what brings it, or register it before the model is read."""


def register(kind: _K) -> _K:
    """Make a kind of comparison known under its `kind`, so that models can name it; can be used as a decorator.

    Raises ValueError when the name is taken by another class, or the levels do not begin with `missing` or
    lack a bin, or `expected` is not a share of each level.
    """
    if _KINDS.get(kind.kind, kind) is not kind:
        raise ValueError(f"A comparison of the kind {kind.kind} is there already; give this one another name.")
    bins = {f"{head}_{b}" for head in kind.binned for b in range(BINS)}
    if kind.levels[:1] != ("missing",) or not (bins <= {*kind.levels} or bins.isdisjoint(kind.levels)):
        raise ValueError(f"The levels of {kind.kind} must begin with missing, and hold {BINS} bins of each that is binned.")
    heads = {level.rpartition("_")[0] if level in bins else level for level in kind.levels[1:]}
    if heads != {*kind.expected} or abs(sum(kind.expected.values()) - 1.0) > 1e-9:
        raise ValueError(f"What {kind.kind} expects must name each level but missing, bins together, and add up to 1.")
    _KINDS[kind.kind] = kind
    return kind


def kind_named(name: str) -> Kind:
    """Find a kind, looking among installed entry points of the group `goldenthread.comparisons` last.

    Raises: UnknownKind.
    """
    if name not in _KINDS:
        for found in entry_points(group=_GROUP, name=name):
            register(found.load())
    if name not in _KINDS:
        raise UnknownKind(name)
    return _KINDS[name]


def kinds() -> Mapping[str, Kind]:
    """List the kinds that are known by now, by name."""
    return MappingProxyType(_KINDS)
