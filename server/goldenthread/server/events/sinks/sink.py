"""Say what a sink is: something that takes messages in order, and says how far it got when it can't."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

__all__ = ["DeliveryFailed", "Message", "Sink"]


class Message(Struct, frozen=True):
    """One event as it is sent: a CloudEvent in JSON. `id` is its idempotency key; messages of one `key` are kept in order."""

    id: str
    key: str
    body: bytes


class DeliveryFailed(Exception):
    """Not everything was taken: the first `delivered` messages were, the next one was not.

    `problem` says why, without anything of what was sent or answered. `is_refused` when the message itself is not wanted, so
    that trying again is no use; `retry_after_seconds` is how long the other side asks to wait.
    """

    def __init__(self, problem: str, *, delivered: int = 0, is_refused: bool = False, retry_after_seconds: float = 0.0) -> None:
        self.problem, self.delivered = problem, delivered
        self.is_refused, self.retry_after_seconds = is_refused, retry_after_seconds
        super().__init__(problem)


class Sink(Protocol):
    """Where messages go."""

    @property
    def most_messages(self) -> int:
        """How many messages it takes at once."""
        ...

    async def deliver(self, messages: Sequence[Message]) -> None:
        """Hand messages over, in order; when this returns, the other side has them.

        Raises:
            DeliveryFailed: some, or all, were not taken.
        """
        ...

    async def close(self) -> None:
        """Give back what it holds open."""
        ...
