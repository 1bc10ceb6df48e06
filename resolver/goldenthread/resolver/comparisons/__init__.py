"""Compare two profiles, feature by feature, into levels.

A comparison is a small class: its name, what it looks at, the list of its levels, and how two values compare. Features hold
several values (a person has two phones); any is compared with any and the strongest level counts, so levels stand from strong
to weak.
Level 0 is always `missing`: a side is unknown, or nothing on the two sides can be compared.
Every comparison is symmetric, and its batched path gives exactly what `level` defines.

Example:
    >>> from goldenthread.resolver import comparisons
    >>> name = comparisons.Name("given_name")
    >>> name.levels[name.level(("robert",), ("bob",))]
    'nickname'

Kinds of your own are made known by `register`, or by an entry point in the group `goldenthread.comparisons`.
"""

from __future__ import annotations

from goldenthread.resolver.comparisons.comparison import (
    BINS,
    EXACT,
    MISSING,
    Comparison,
    Levels,
    Rarity,
    TextComparison,
    all_rare,
    batch_levels,
)
from goldenthread.resolver.comparisons.contacts import Email, Phone
from goldenthread.resolver.comparisons.dates import BirthDate
from goldenthread.resolver.comparisons.names import Generation, LoneName, Name, WholeName
from goldenthread.resolver.comparisons.numbers import Number
from goldenthread.resolver.comparisons.organisations import Organisation
from goldenthread.resolver.comparisons.places import Area, Street, district_of
from goldenthread.resolver.comparisons.registry import AnyComparison, Kind, UnknownKind, kind_named, kinds, register
from goldenthread.resolver.comparisons.texts import Category, LongText, Text

__all__ = [
    "BINS",
    "EXACT",
    "MISSING",
    "AnyComparison",
    "Area",
    "BirthDate",
    "Category",
    "Comparison",
    "Email",
    "Generation",
    "Kind",
    "Levels",
    "LoneName",
    "LongText",
    "Name",
    "Number",
    "Organisation",
    "Phone",
    "Rarity",
    "Street",
    "Text",
    "TextComparison",
    "UnknownKind",
    "WholeName",
    "all_rare",
    "batch_levels",
    "district_of",
    "kind_named",
    "kinds",
    "register",
]
