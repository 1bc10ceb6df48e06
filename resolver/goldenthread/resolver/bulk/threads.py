"""Work on several processors: NumPy, Arrow and rapidfuzz let other threads run while they compute."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["processors", "together"]

T = TypeVar("T")


def processors() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def together(tasks: Iterable[Callable[[], T]]) -> list[T]:
    """Run tasks on all processors and answer what they answer, in order; raises what the first of them raises."""
    every = list(tasks)
    threads = min(processors(), len(every))
    if threads < 2:
        return [task() for task in every]
    with ThreadPoolExecutor(threads) as pool:
        return [running.result() for running in [pool.submit(task) for task in every]]
