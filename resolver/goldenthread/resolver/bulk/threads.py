"""Work on several processors: NumPy, Arrow and rapidfuzz let other threads run while they compute."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["processors", "spread", "together"]

A = TypeVar("A")
T = TypeVar("T")

_MOST_AT_ONCE = 4
"""Items of a stream that are worked on at once: each of them takes memory."""


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


def spread(work: Callable[[A], T], items: Iterable[A]) -> Iterator[T]:
    """Yield what work answers to items, in their order: to some of them at once, while the next are made."""
    threads = min(processors(), _MOST_AT_ONCE)
    with ThreadPoolExecutor(threads) as pool:
        coming: deque[Future[T]] = deque()
        for item in items:
            coming.append(pool.submit(work, item))
            if len(coming) > threads:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
