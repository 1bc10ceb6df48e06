"""Learning what a match model holds, from levels of pairs: without labels, and with them."""

from goldenthread.resolver.learning.evidence import Evidence, Feature
from goldenthread.resolver.learning.labelled import (
    Labels,
    Metrics,
    PairToLabel,
    TooFewLabels,
    learn_with_labels,
    pairs_to_label,
)
from goldenthread.resolver.learning.seen import Comparable, Lesson
from goldenthread.resolver.learning.unlabelled import learn_without_labels

__all__ = [
    "Comparable",
    "Evidence",
    "Feature",
    "Labels",
    "Lesson",
    "Metrics",
    "PairToLabel",
    "TooFewLabels",
    "learn_with_labels",
    "learn_without_labels",
    "pairs_to_label",
]
