"""Pairs as sorted, distinct integers `smaller * n + larger`, for those who look at all pairs of each rule at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.resolver.blocking import BlockingRule
from goldenthread.resolver.bulk.frame import Frame
from goldenthread.resolver.bulk.numbering import united
from goldenthread.resolver.bulk.pairs import Block, block_of_keys, blocks_of, pairs_of
from goldenthread.resolver.normalise import Profile
from goldenthread.resolver.scoring import MatchModel

__all__ = ["KeyPairs", "candidate_pairs", "candidates_among", "merge", "packed_pairs", "pairs_in_groups", "unpack"]

Packed = NDArray[np.int64]


class KeyPairs(Struct, frozen=True):
    """The pairs one rule makes, packed, and how many of its keys were too common to make any."""

    rule: str
    packed: Packed
    generic_keys: int


def packed_pairs(block: Block, n: int) -> Packed:
    """Write out all pairs of a block of `n` profiles."""
    left, right = pairs_of(block, 0, len(block.rows))
    return united([left.astype(np.int64) * n + right])


def candidate_pairs(
    rules: Sequence[BlockingRule], frame: Frame, generic_limit: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], tuple[KeyPairs, ...]]:
    """Make the candidate pairs of distinct profiles under all rules and identifiers; left < right, each pair once."""
    blocks = blocks_of(rules, frame, generic_limit)
    made = tuple(KeyPairs(block.rule, packed_pairs(block, frame.rows), block.generic_keys) for block in blocks)
    return *unpack(merge(made), frame.rows), made


def candidates_among(profiles: Sequence[Profile], model: MatchModel) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Pair distinct profiles that share a key which is not generic among them; left < right, each pair once.

    What a component of a whole graph is cut by when it is too large to weigh all its pairs: a function of its profiles alone,
    so that it is the same online, in bulk and on Spark, whoever else has the key.
    """
    left, right, _ = candidate_pairs(model.rules, Frame.of_profiles(profiles), model.generic_limit)
    return left, right


def merge(made: Iterable[KeyPairs]) -> Packed:
    """Unite the pairs of several rules."""
    return united([m.packed for m in made])


def unpack(packed: Packed, n: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Split packed pairs of `n` profiles into two columns."""
    left, right = np.divmod(packed, max(n, 1))
    return left.astype(np.int32), right.astype(np.int32)


def pairs_in_groups(rows: NDArray[np.int64], groups: NDArray[np.int64], n: int, most: int) -> Packed:
    """Pair the members, of `n`, that are in one group of at most `most`; `rows` and `groups` say who is in which."""
    return packed_pairs(block_of_keys("", rows.astype(np.int32), groups, n, most), n)
