"""Work on several processors: NumPy, Arrow and rapidfuzz let other threads run while they compute."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

__all__ = ["ahead", "processors", "together"]

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


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield items, each of them made while the one before is worked on."""
    with ThreadPoolExecutor(1) as aside:
        coming = aside.submit(lambda: [*islice(items, 1)])
        while made := coming.result():
            coming = aside.submit(lambda: [*islice(items, 1)])
            yield from made
