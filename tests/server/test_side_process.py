"""A process beside the server: a few messages at a time, each answered to who sent it, none lost when the process ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from answering import answer_when_told

from goldenthread.server.side_process import SideProcess, SideProcessEnded


@pytest.fixture
async def side() -> AsyncIterator[SideProcess]:
    side = await SideProcess.start(answer_when_told)
    yield side
    await side.close()


async def test_a_message_that_waits_holds_up_no_other(side: SideProcess) -> None:
    first, second = (asyncio.create_task(side.ask(message)) for message in (b"first", b"second"))

    assert await side.ask(b"now") == b"now"
    assert [await first, await second] == [b"first", b"second"]


async def test_whoever_left_leaves_the_answers_to_others(side: SideProcess) -> None:
    leaving = asyncio.create_task(side.ask(b"leaving"))
    await asyncio.sleep(0)
    leaving.cancel()
    staying = asyncio.create_task(side.ask(b"staying"))

    assert await side.ask(b"now") == b"now"
    assert await staying == b"staying"


async def test_everyone_is_told_when_the_process_ends() -> None:
    side = await SideProcess.start(answer_when_told)
    asked = [asyncio.create_task(side.ask(message)) for message in (b"first", b"second")]
    await asyncio.sleep(0)
    await side.kill()

    assert [type(outcome) for outcome in await asyncio.gather(*asked, return_exceptions=True)] == [SideProcessEnded] * 2
    with pytest.raises(SideProcessEnded):
        await side.ask(b"third")
