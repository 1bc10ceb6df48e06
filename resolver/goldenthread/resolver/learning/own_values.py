"""Tell people apart who differ in what a person has one of, by how many records say so.

A birth date that was written down wrongly stands alone: no other record has it. Where father and son share a name and an
address, both dates are borne out by further records. So if pairs that look like one person but differ in such a value have it
borne out on both sides about as often as any two records have, they are two people, and only the rest are mistakes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.resolver.comparisons import MISSING
from goldenthread.resolver.learning.evidence import Evidence
from goldenthread.resolver.learning.seen import Comparable

__all__ = ["most_mistakes"]

Floats = NDArray[np.float64]
Levels = NDArray[np.int8]


class _Own(Struct, frozen=True):
    """What a person has one of: `least` is the share of two people below which all may be mistakes, `fewest` remain always."""

    least: float
    fewest: float


_DATE = _NUMBER = _Own(0.3, 0.002)
_NAME = _Own(0.8, 0.02)
"""People are known by several given names, each in several records; relatives differ in them as any two people do."""

_OWN = {"birth_date": _DATE, "government_number": _NUMBER, "given_name": _NAME}
_DECIDES = frozenset({"birth_date", "government_number", "email"})
"""Who agrees in one of these is one person, whatever the given name."""

_LEAST_EXPECTED = 5.0
"""Pairs that would have to be borne out on both sides, were all of them two people, to tell anything."""


def most_mistakes(table: Comparable, levels: Levels, matches: Floats, evidence: Sequence[Evidence]) -> dict[str, float]:
    """Estimate the chance that one person's values differ, by comparison, where related people were taken for one.

    `levels` and `matches`, the probability of being one person, are those of the candidates. What shows nothing is left out.
    """
    found = {}
    for k, e in enumerate(evidence):
        own = _OWN.get(e.name)
        if own is None:
            continue
        differs = np.isin(levels[:, k], e.disagreements)
        doubtful = np.flatnonzero(differs & ~_decided(levels, evidence) if e.name == "given_name" else differs)
        borne_out = _borne_out(table, _is_exact(e)[levels[:, k]] & (matches > 0.5))
        expected = float(matches[doubtful].sum()) * float(borne_out[table.known()[:, k]].mean()) ** 2
        both = float(matches[doubtful] @ (borne_out[table.left[doubtful]] & borne_out[table.right[doubtful]]))
        if expected < _LEAST_EXPECTED or both < own.least * expected:
            continue
        mistakes = float(matches[differs].sum()) - float(matches[doubtful].sum()) * min(both / expected, 1.0)
        found[e.name] = max(mistakes / float(matches[levels[:, k] != MISSING].sum()), own.fewest)
    return found


def _is_exact(e: Evidence) -> NDArray[np.bool_]:
    return np.array([level.startswith("exact") for level in e.levels])


def _borne_out(table: Comparable, agree: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Say of each profile whether another record that may be of its person has the same value."""
    out = table.counts > 1
    out[table.left[agree]] = True
    out[table.right[agree]] = True
    return out


def _decided(levels: Levels, evidence: Sequence[Evidence]) -> NDArray[np.bool_]:
    out = np.zeros(len(levels), np.bool_)
    for k, e in enumerate(evidence):
        if e.name in _DECIDES:
            out |= (levels[:, k] != MISSING) & ~np.isin(levels[:, k], e.disagreements)
    return out
