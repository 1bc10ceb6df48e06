"""Say in one sentence why a command failed, and what to do about it.

CommandError is raised by commands themselves. Errors of the rooms below are told by their own messages; what nobody foresaw
is told by its type and place alone, because its text may quote personal data.
"""

from __future__ import annotations

import errno
import sys
import traceback
from pathlib import PurePath

__all__ = ["CommandError", "StoppedError", "UsageError", "explain"]


class CommandError(Exception):
    """A command can't do what was asked; `problem` and `remedy` are sentences."""

    exit_code = 1

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem, self.remedy = problem, remedy
        super().__init__(f"{problem} {remedy}".strip())


class UsageError(CommandError):
    """What was asked makes no sense as it was typed."""

    exit_code = 2


class StoppedError(CommandError):
    """A command was stopped by Ctrl-C, and says how to go on."""

    exit_code = 130


_TOLD = {
    "goldenthread.client.errors": "GoldenThreadError",
    "goldenthread.server.config": "ConfigError",
    "goldenthread.graph.errors": "GraphError",
    "goldenthread.resolver.bulk.errors": "ReadError",
    "goldenthread.resolver.bulk.spark.errors": "SparkError",
}
"""Roots of error trees whose messages are one sentence without personal data, by the module that defines them."""


def explain(error: BaseException) -> tuple[str, int]:
    """Tell an error as a line for people and an exit code.

    Modules that were never imported can't have raised, so none is imported here.
    """
    if isinstance(error, CommandError):
        return str(error), error.exit_code
    for module, root in _TOLD.items():
        if module in sys.modules and isinstance(error, getattr(sys.modules[module], root)):
            return f"{error} {getattr(error, 'advice', '')}".strip(), 1
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "The disk is full. Make space, and give the same command again.", 1
    if isinstance(error, OSError):
        what = error.strerror or type(error).__name__
        return (f"{error.filename}: {what}." if error.filename else f"{what}."), 1
    place = traceback.extract_tb(error.__traceback__)[-1:] if error.__traceback__ else []
    where = f" at {PurePath(place[0].filename).name}:{place[0].lineno}" if place else ""
    return (
        f"The command failed unexpectedly ({type(error).__name__}{where}). "
        "Set GOLDENTHREAD_TRACEBACK=1 to see where, and report it."
    ), 1
