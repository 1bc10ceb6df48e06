"""A follower of events is killed again and again under load, and the server too: nothing is lost, and order is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from random import Random

import pytest
from wire.conftest import StartServer
from wire.following import Follower, in_order, memberships, memberships_of, without_duplicates
from wire.serving import RunningServer

from goldenthread.client import Client, Following, Record, Retry, SourceKey

Customers = Callable[[int], list[Record]]

PATIENT = Retry(attempts=100, longest_wait_seconds=0.2)


class Load:
    """Changes of every kind, a few at a time: records put, corrected and deleted, identities merged and split."""

    def __init__(self, records: Sequence[Record], seed: int) -> None:
        self._records, self._rng, self._put = list(records), Random(seed), list[Record]()

    def go_on(self, client: Client) -> None:
        """Make some changes."""
        fresh = [self._records.pop() for _ in range(6)]
        self._put += fresh
        again = self._rng.choice(self._put)
        moved = Record(again.source, again.source_record_id, {**again.attributes, **self._rng.choice(fresh).attributes})
        client.upsert_records([*fresh, moved])
        kind = self._rng.randrange(4)
        if kind == 0:
            gone = self._put.pop(self._rng.randrange(len(self._put)))
            client.delete_record(SourceKey(gone.source, gone.source_record_id))
        elif kind == 1:
            names = sorted({client.get_identity(source_key=_key(one)).identity.name for one in self._rng.sample(fresh, 2)})
            if len(names) == 2:
                client.merge_identities(names, reason="test")
        elif kind == 2:
            identity = client.get_identity(source_key=_key(self._rng.choice(self._put))).identity
            if len(identity.records) > 1:
                client.split_identity(identity.name, [self._rng.choice(identity.records)], reason="test")


def _key(record: Record) -> SourceKey:
    return SourceKey(record.source, record.source_record_id)


def follow_and_kill(server: RunningServer, log: Path, records: Sequence[Record], *, kills: int, server_kills: int) -> None:
    rng = Random(11)
    follower, load = Follower(log, "reader"), Load(records, 5)
    kill_server = {kills * (one + 1) // (server_kills + 1) for one in range(server_kills)}
    for round in range(kills):
        with server.client(retry=PATIENT) as client:
            stop_after = rng.randint(1, 8)
            # Each other time it is killed before it has acknowledged what it wrote, at that very event.
            follower.start(server.address, server.token(), stop_after=stop_after if round % 2 else 0)
            loading = threading.Thread(target=load.go_on, args=(client,))
            loading.start()
            while follower.wait()[0] < stop_after and loading.is_alive():
                pass
            if round in kill_server:
                server.kill()
                server.start()
            follower.kill()
            loading.join()
    with server.client() as client:
        latest = next(client.subscribe(Following(only_new=True))).revision
        follower.start(server.address, server.token())
        while follower.wait()[1] < latest:
            pass
        follower.kill()
        assert_all_was_heard(client, follower, latest)


def assert_all_was_heard(client: Client, follower: Follower, latest: int) -> None:
    heard = [event for event in follower.heard() if event["revision"] <= latest]
    once = without_duplicates(heard)
    stored = [event for event in client.list_events(Following()) if event.revision <= latest]

    assert [event["name"] for event in once] == [event.name for event in stored]
    assert len(once) < len(heard)
    for _, of_one in groupby(sorted(once, key=lambda event: event["identity"]), lambda event: event["identity"]):
        events = list(of_one)
        assert in_order(events)
        moves = [event for event in events if event["moves"]]
        assert all(set(one["after"]) == set(other["before"]) for one, other in pairwise(moves))
    assert memberships(once) == memberships_of(client)


def test_a_follower_that_is_killed_fifty_times_hears_everything_in_order(
    make_server: StartServer, tmp_path: Path, customers: Customers
) -> None:
    server = make_server(event_heartbeat_seconds=0.1, golden_event_delay_seconds=0.2)

    follow_and_kill(server, tmp_path / "heard", customers(1_000), kills=50, server_kills=3)


@pytest.mark.neo4j
def test_a_follower_that_is_killed_hears_everything_in_order_on_neo4j(
    make_server: StartServer, neo4j_store: str, tmp_path: Path, customers: Customers
) -> None:
    server = make_server(store=neo4j_store, event_heartbeat_seconds=0.1, golden_event_delay_seconds=0.2)

    follow_and_kill(server, tmp_path / "heard", customers(1_000), kills=8, server_kills=1)


@pytest.mark.slow
@pytest.mark.neo4j
def test_a_follower_that_is_killed_fifty_times_hears_everything_in_order_on_neo4j(
    make_server: StartServer, neo4j_store: str, tmp_path: Path, customers: Customers
) -> None:
    server = make_server(store=neo4j_store, event_heartbeat_seconds=0.1, golden_event_delay_seconds=0.2)

    follow_and_kill(server, tmp_path / "heard", customers(1_000), kills=50, server_kills=3)
