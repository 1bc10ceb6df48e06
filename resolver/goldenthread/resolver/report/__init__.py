"""A report of a linking in one HTML file: what was compared, what it weighs, what came of it and what to look at."""

from goldenthread.resolver.report.page import Findings, render
from goldenthread.resolver.report.survey import Survey, survey

__all__ = ["Findings", "Survey", "render", "survey"]
