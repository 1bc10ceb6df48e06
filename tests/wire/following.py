"""Follow events in a process of its own, to be killed at any point and started again."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TypedDict

from goldenthread.client import Client, Event, Events, EventType, Following, Retry

__all__ = ["Follower", "Heard", "memberships", "memberships_of", "without_duplicates"]

_context = multiprocessing.get_context("forkserver")


class Heard(TypedDict):
    """What a follower writes down of an event."""

    name: str
    revision: int
    index: int
    moves: bool
    """Whether it says which records the identity has."""
    identity: str
    before: list[str]
    after: list[str]


@dataclass
class Follower:
    """A process that follows a subscription, writes each event to a file, and only then acknowledges."""

    log: Path
    subscription: str
    _process: ForkServerProcess | None = field(default=None, repr=False)
    _hearing: Connection | None = field(default=None, repr=False)

    def start(self, address: str, token: str, *, stop_after: int = 0) -> None:
        """Start it where its subscription stands; after `stop_after` events it goes no further, not even to acknowledge."""
        self._hearing, telling = _context.Pipe(duplex=False)
        following = (address, token, self.subscription, str(self.log), telling, stop_after)
        self._process = _context.Process(target=_follow, args=following)
        self._process.start()
        telling.close()

    def wait(self) -> tuple[int, int]:
        """Wait until it has written or acknowledged more; give how many events it wrote, and the revision it has come to."""
        assert self._hearing is not None
        written: tuple[int, int] = self._hearing.recv()
        return written

    def kill(self) -> None:
        """End it at once, as a crash would."""
        assert self._process is not None
        assert self._hearing is not None
        self._process.kill()
        self._process.join()
        self._hearing.close()

    def heard(self) -> list[Heard]:
        """Read what it wrote over all its lives, duplicates and all."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def without_duplicates(heard: Iterable[Heard]) -> list[Heard]:
    """Leave of each event its first delivery, recognised by name."""
    return list({event["name"]: event for event in reversed(list(heard))}.values())[::-1]


def memberships(heard: Iterable[Heard]) -> dict[str, set[str]]:
    """Rebuild from events alone which records each identity has."""
    known: dict[str, set[str]] = defaultdict(set)
    for event in heard:
        if event["moves"]:
            known[event["identity"]] = set(event["after"])
    return {identity: records for identity, records in known.items() if records}


def memberships_of(client: Client) -> dict[str, set[str]]:
    """Read which records each identity has."""
    return {identity.name: set(identity.records) for identity in client.list_identities(page_size=1000) if identity.records}


def written(event: Event) -> Heard:
    """Write an event down."""
    return {
        "name": event.name,
        "revision": event.revision,
        "index": event.index,
        "moves": event.type != EventType.EVENT_TYPE_GOLDEN_VALUES_CHANGED,
        "identity": event.identity,
        "before": list(event.before),
        "after": list(event.after),
    }


def _follow(address: str, token: str, subscription: str, log: str, telling: Connection, stop_after: int) -> None:
    """Be the follower: in the child process."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    count = 0
    with Client(address, token=token, retry=Retry(attempts=100, longest_wait_seconds=0.2)) as client:
        for heard in client.subscribe(Following(subscription)):
            for event in heard.events:
                os.write(file, json.dumps(written(event)).encode() + b"\n")
                count += 1
                telling.send((count, 0))
                if count == stop_after:
                    threading.Event().wait()
            if heard.events:
                client.acknowledge(subscription, heard)
            telling.send((count, _revision_of(heard)))


def _revision_of(heard: Events) -> int:
    revision, _, index = heard.cursor.partition("-")
    return int(revision) - bool(index)


def in_order(heard: Iterable[Mapping[str, object]]) -> bool:
    """Say whether events come in the order of their sequence numbers."""
    places = [(event["revision"], event["index"]) for event in heard]
    return places == sorted(places)  # type: ignore[type-var]  # both are numbers
