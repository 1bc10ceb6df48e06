"""What a process beside a test answers; a module of its own, so that the process finds it by name."""

from __future__ import annotations

import asyncio

from goldenthread.server.side_process import Answering

__all__ = ["answer_when_told"]


async def answer_when_told() -> Answering:
    """Answer b"now" at once, and any other message when b"now" has come."""
    was_told = asyncio.Event()

    async def answer(message: bytes) -> bytes:
        if message == b"now":
            was_told.set()
        await was_told.wait()
        return message

    return answer
