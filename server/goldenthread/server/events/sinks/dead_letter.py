"""Describe an event that a sink could not deliver."""

from __future__ import annotations

from msgspec import Struct

from goldenthread.server.events.outbox import Event

__all__ = ["DeadLetter"]


class DeadLetter(Struct, frozen=True):
    """An event with how often it was tried, why the last try failed, and when it was given up (UTC microseconds)."""

    event: Event
    attempts: int
    problem: str
    given_up_at: int
