"""Batches of concurrent callers: who was just answered is waited for, who is alone waits for nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from goldenthread.server.commands.together import Together

_HOUR_MS = 3_600_000


@pytest.fixture
def batches() -> list[list[int]]:
    return []


@pytest.fixture
async def together(batches: list[list[int]]) -> AsyncIterator[Together[int, int]]:
    async def work(items: list[int]) -> list[int]:
        batches.append(items)
        return items

    together = Together(work, batch=8, linger_ms=_HOUR_MS)
    yield together
    await together.close()


async def test_a_lone_caller_is_never_kept_waiting(together: Together[int, int], batches: list[list[int]]) -> None:
    for item in range(5):
        (answer,) = await together.put([item])
        assert await answer == item
    assert batches == [[0], [1], [2], [3], [4]]


async def test_a_batch_waits_until_it_is_as_large_as_the_last(together: Together[int, int], batches: list[list[int]]) -> None:
    await asyncio.gather(*await together.put([0, 1, 2]))
    first = await together.put([3])
    second = await together.put([4])
    third = await together.put([5])
    assert await asyncio.gather(*first, *second, *third) == [3, 4, 5]
    assert batches == [[0, 1, 2], [3, 4, 5]]


async def test_a_batch_stops_waiting_when_its_time_is_over(batches: list[list[int]]) -> None:
    async def work(items: list[int]) -> list[int]:
        batches.append(items)
        return items

    together = Together(work, batch=8, linger_ms=1)
    await asyncio.gather(*await together.put([0, 1, 2]))
    (answer,) = await together.put([3])
    assert await answer == 3
    await together.close()
    assert batches == [[0, 1, 2], [3]]
