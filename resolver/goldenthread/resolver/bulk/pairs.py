"""Make the candidate pairs of many profiles: those that share a key or identifier that is not generic."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.resolver.blocking import BlockingRule, rule_keys
from goldenthread.resolver.normalise import Profile, identifiers

__all__ = ["IDENTIFIERS", "KeyPairs", "candidate_pairs", "key_pairs", "merge", "pairs_in_groups", "unpack"]

IDENTIFIERS = "identifiers"
"""The name under which identifiers, which are candidate keys as well, appear among the rules."""


class KeyPairs(Struct, frozen=True):
    """The pairs one rule makes, each packed as `smaller * n + larger`, sorted and distinct; and what was too common.

    `keyed` holds the profiles that have a key of this rule which is not generic.
    """

    rule: str
    packed: NDArray[np.int64]
    generic_keys: int
    keyed: NDArray[np.int64]


def _rows_and_keys(texts: Iterable[Sequence[object]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Code keys by first appearance; answer row and code of every (row, key)."""
    code_of: dict[object, int] = {}
    rows: list[int] = []
    codes: list[int] = []
    for row, keys in enumerate(texts):
        for key in keys:
            rows.append(row)
            codes.append(code_of.setdefault(key, len(code_of)))
    return np.asarray(rows, np.int64), np.asarray(codes, np.int64)


def key_pairs(rule: BlockingRule | None, profiles: Sequence[Profile], generic_limit: int) -> KeyPairs:
    """Pair the distinct profiles that share a key of one rule, or an identifier with None, unless it is generic."""
    if rule is None:
        rows, codes = _rows_and_keys(tuple((i.type, i.text) for i in identifiers(p)) for p in profiles)
    else:
        rows, codes = _rows_and_keys(rule_keys(rule, p) for p in profiles)
    name = IDENTIFIERS if rule is None else rule.name
    return KeyPairs(name, *pairs_in_groups(rows, codes, len(profiles), generic_limit))


def pairs_in_groups(
    rows: NDArray[np.int64], codes: NDArray[np.int64], n: int, generic_limit: int
) -> tuple[NDArray[np.int64], int, NDArray[np.int64]]:
    """Pair the rows that share a code of at most `generic_limit` rows.

    Answers the pairs packed as `smaller * n + larger`, sorted and distinct, how many codes were too common, and the rows
    that have a code which was not.
    """
    if not len(rows):
        return np.zeros(0, np.int64), 0, np.zeros(0, np.int64)
    order = np.lexsort((rows, codes))
    rows, codes = rows[order], codes[order]
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    sizes = np.diff(starts, append=len(codes))
    generic = sizes > generic_limit
    keyed = _distinct([rows[np.repeat(~generic, sizes)]])
    keep = (sizes > 1) & ~generic
    starts, sizes = starts[keep], sizes[keep]
    found: list[NDArray[np.int64]] = []
    for size in np.unique(sizes).tolist():
        first = starts[sizes == size]
        left, right = np.triu_indices(size, 1)
        blocks = rows[first[:, None] + np.arange(size)]
        found.append((blocks[:, left] * n + blocks[:, right]).ravel())
    return _distinct(found), int(generic.sum()), keyed


def _distinct(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Unite arrays into a sorted one without repeats; sorting beats NumPy's hashing here by far."""
    if not parts:
        return np.zeros(0, np.int64)
    every = np.concatenate(parts)
    every.sort()
    keep = np.ones(len(every), np.bool_)
    keep[1:] = every[1:] != every[:-1]
    return every[keep]


def candidate_pairs(
    rules: Sequence[BlockingRule], profiles: Sequence[Profile], generic_limit: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], tuple[KeyPairs, ...]]:
    """Make the candidate pairs of distinct profiles under all rules and identifiers; left < right, each pair once."""
    made = tuple(key_pairs(rule, profiles, generic_limit) for rule in (None, *rules))
    return *unpack(merge(made), len(profiles)), made


def merge(made: Iterable[KeyPairs]) -> NDArray[np.int64]:
    """Unite the packed pairs of several rules."""
    return _distinct([m.packed for m in made])


def unpack(packed: NDArray[np.int64], n: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Split packed pairs of `n` profiles into two columns."""
    width = max(n, 1)
    return (packed // width).astype(np.int32), (packed % width).astype(np.int32)
