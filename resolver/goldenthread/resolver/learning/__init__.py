"""Learning what a match model holds, without labels: from the levels that pairs of records show."""

from goldenthread.resolver.learning.evidence import Evidence, Feature
from goldenthread.resolver.learning.seen import Comparable, Lesson
from goldenthread.resolver.learning.unlabelled import learn_without_labels

__all__ = ["Comparable", "Evidence", "Feature", "Lesson", "learn_without_labels"]
