"""Learning what a match model holds, from levels of pairs: without labels, and with them (`learning.labelled`)."""

from goldenthread.resolver.learning.evidence import Evidence, Feature
from goldenthread.resolver.learning.seen import Comparable, Lesson
from goldenthread.resolver.learning.unlabelled import learn_without_labels

__all__ = ["Comparable", "Evidence", "Feature", "Lesson", "learn_without_labels"]
