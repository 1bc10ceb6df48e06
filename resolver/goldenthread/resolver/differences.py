"""Say where two partitions of the same records differ: what merged, what split, and what did both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.resolver.linkage import components

__all__ = ["Difference", "differences"]

Labels = Sequence[str] | NDArray[np.generic]


class Difference(Struct, frozen=True):
    """Groups before and after that hold the same records between them, and cannot be told apart further.

    `merged`: several groups became one; `split`: one became several; `rearranged`: several became several others. `rows` are
    the positions of all their records, in order; `before` and `after` count the groups. `lost_pairs` were together before
    and are not after, `new_pairs` the reverse.
    """

    kind: Literal["merged", "split", "rearranged"]
    rows: tuple[int, ...]
    before: int
    after: int
    lost_pairs: int
    new_pairs: int


def differences(before: Labels, after: Labels) -> tuple[Difference, ...]:
    """List where two columns of labels differ, most pairs first, then by first record. With the truth before, these are errors.

    Raises: ValueError, when the columns differ in length.
    """
    if len(before) != len(after):
        raise ValueError(f"There are {len(before)} labels and {len(after)} labels; give one of each for every record.")
    if not len(before):
        return ()
    old, new = _codes(before), _codes(after)
    _, first, cell_of, shared = np.unique(
        old * (int(new.max()) + 1) + new, return_index=True, return_inverse=True, return_counts=True
    )
    left, right = old[first], new[first]
    size = int(old.max()) + 1
    component_of_cell = components(size + int(new.max()) + 1, left, size + right)[left]
    cells_of = np.bincount(component_of_cell)
    changed = cells_of[component_of_cell] > 1
    component_of_row = component_of_cell[cell_of]
    rows = np.flatnonzero(changed[cell_of])
    rows = rows[np.argsort(component_of_row[rows], kind="stable")]
    bounds = np.flatnonzero(np.diff(component_of_row[rows], prepend=-1, append=-1))
    olds, news = np.bincount(old), np.bincount(new)
    found = []
    for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        members = rows[start:end]
        together = _pairs(shared[np.unique(cell_of[members])])
        groups, others = np.unique(old[members]), np.unique(new[members])
        kind: Literal["merged", "split", "rearranged"] = (
            "merged" if len(others) == 1 else "split" if len(groups) == 1 else "rearranged"
        )
        lost, gained = _pairs(olds[groups]) - together, _pairs(news[others]) - together
        found.append(Difference(kind, tuple(members.tolist()), len(groups), len(others), lost, gained))
    return tuple(sorted(found, key=lambda d: (-d.lost_pairs - d.new_pairs, d.rows)))


def _codes(labels: Labels) -> NDArray[np.int64]:
    return np.unique(np.asarray(labels), return_inverse=True)[1].astype(np.int64)


def _pairs(sizes: NDArray[np.int64]) -> int:
    return int((sizes * (sizes - 1) // 2).sum())
