"""Measure clusters against the truth, given as two columns of labels: equal label, same person.

Pairwise: Christen, "Data Matching", 2012, section 7.2. B-cubed: Bagga and Baldwin, "Entity-based cross-document coreferencing
using the vector space model", 1998. Exact clusters and cluster F1: Menestrina, Whang and Garcia-Molina, "Evaluating entity
resolution results", 2010.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

__all__ = ["Evaluation", "evaluate"]


class Evaluation(Struct, frozen=True):
    """How well clusters agree with the truth. Shares are from 0 to 1; counts are exact.

    Where nothing could be wrong (no pair was claimed, or none is true) the share is 1. `exact_precision` is the share of
    clusters that are exactly one person, `exact_recall` that of persons who are exactly one cluster, and `cluster_f1` the
    harmonic mean of both.
    """

    records: int
    clusters: int
    true_clusters: int
    largest_cluster: int
    true_pairs: int
    claimed_pairs: int
    correct_pairs: int
    pairwise_precision: float
    pairwise_recall: float
    pairwise_f1: float
    bcubed_precision: float
    bcubed_recall: float
    bcubed_f1: float
    exact_clusters: int
    exact_precision: float
    exact_recall: float
    cluster_f1: float


def evaluate(truth: Sequence[str] | NDArray[np.generic], labels: Sequence[str] | NDArray[np.generic]) -> Evaluation:
    """Compare labels with the truth, record by record; both have one label a record.

    Raises: ValueError, when they differ in length or are empty.
    """
    if len(truth) != len(labels) or len(truth) == 0:
        raise ValueError(f"There are {len(truth)} true labels and {len(labels)} labels; give one of each for every record.")
    n = len(truth)
    person, cluster = _codes(truth), _codes(labels)
    persons, clusters = np.bincount(person), np.bincount(cluster)
    cells, shared = np.unique(person * len(clusters) + cluster, return_counts=True)
    of_person, of_cluster = persons[cells // len(clusters)], clusters[cells % len(clusters)]
    correct, true, claimed = _pairs(shared), _pairs(persons), _pairs(clusters)
    precision, recall = (correct / claimed if claimed else 1.0), (correct / true if true else 1.0)
    squares = shared.astype(np.float64) ** 2
    bcubed_precision, bcubed_recall = float((squares / of_cluster).sum() / n), float((squares / of_person).sum() / n)
    exact = int(((shared == of_person) & (shared == of_cluster)).sum())
    return Evaluation(
        records=n,
        clusters=len(clusters),
        true_clusters=len(persons),
        largest_cluster=int(clusters.max()),
        true_pairs=true,
        claimed_pairs=claimed,
        correct_pairs=correct,
        pairwise_precision=precision,
        pairwise_recall=recall,
        pairwise_f1=_harmonic(precision, recall),
        bcubed_precision=bcubed_precision,
        bcubed_recall=bcubed_recall,
        bcubed_f1=_harmonic(bcubed_precision, bcubed_recall),
        exact_clusters=exact,
        exact_precision=exact / len(clusters),
        exact_recall=exact / len(persons),
        cluster_f1=_harmonic(exact / len(clusters), exact / len(persons)),
    )


def _codes(labels: Sequence[str] | NDArray[np.generic]) -> NDArray[np.int64]:
    """Number labels from 0."""
    if isinstance(labels, np.ndarray) and labels.dtype.kind in "iu":
        codes: NDArray[np.int64] = np.unique(labels, return_inverse=True)[1].astype(np.int64)
        return codes
    numbers: dict[object, int] = {}
    return np.fromiter((numbers.setdefault(label, len(numbers)) for label in labels), dtype=np.int64, count=len(labels))


def _pairs(sizes: NDArray[np.int64]) -> int:
    """Count the pairs within groups of these sizes."""
    return int((sizes.astype(np.int64) * (sizes - 1) // 2).sum())


def _harmonic(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
