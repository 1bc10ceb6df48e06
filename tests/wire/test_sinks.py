"""Events are delivered to sinks, signed, in order, again after failures and crashes; what can't be delivered is kept."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from command_line import run_main
from wire.conftest import StartServer, new_tenant
from wire.receiving import Receiver, Request
from wire.serving import RunningServer

from goldenthread.client import Client, DeadLetter, Following, Record
from goldenthread.client.errors import FailedPrecondition

SECRET = b"a secret of more than twenty-four bytes"

StartSink = Callable[..., RunningServer]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Somebody who takes webhooks."""
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def start(make_server: StartServer, store_url: str, receiver: Receiver, tmp_path: Path) -> StartSink:
    """Start a server that delivers its tenant's events to the receiver."""
    secret = tmp_path / "secret"
    secret.write_text("whsec_" + base64.b64encode(SECRET).decode())

    def make(**more: object) -> RunningServer:
        tenant = new_tenant()
        webhook = {"url": receiver.url, "secret_file": str(secret), "allow_private_addresses": True}
        sink = {"name": "crm", "tenant": tenant, "webhook": webhook, "from_oldest": True, "first_wait_seconds": 0.01, **more}
        file = tmp_path / "sinks.yaml"
        file.write_text(yaml.safe_dump({"sinks": [sink]}))
        return make_server(
            store=store_url, tenant=tenant, event_sinks=str(file), event_heartbeat_seconds=0.1, job_lease_seconds=2
        )

    return make


def records(count: int) -> list[Record]:
    return [Record("crm", str(number), {"email": f"{number}@example.org"}) for number in range(count)]


def names(requests: list[Request]) -> list[str]:
    return [request.event["data"]["name"] for request in requests]


def test_events_are_posted_in_order_signed_and_as_cloud_events(start: StartSink, receiver: Receiver) -> None:
    server = start()
    with server.client() as client:
        client.upsert_records(records(5))

        receiver.wait(lambda all: len(all.taken) == 5)

        stored = list(client.list_events())
    assert names(receiver.taken) == [event.name for event in stored]
    first = receiver.taken[0]
    place = f"{stored[0].revision}-{stored[0].index}"
    assert {name: first.event[name] for name in ("specversion", "id", "source", "type", "subject")} == {
        "specversion": "1.0",
        "id": place,
        "source": f"/goldenthread/tenants/{server.tenant}",
        "type": "goldenthread.v1.identity_created",
        "subject": stored[0].identity,
    }
    assert first.event["data"]["after"] == list(stored[0].after)
    signed = f"{first.headers['webhook-id']}.{first.headers['webhook-timestamp']}.".encode() + first.body
    expected = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
    assert first.headers["webhook-signature"] == f"v1,{expected}"
    assert first.headers["Content-Type"].startswith("application/cloudevents+json")


def test_what_was_not_taken_is_sent_again_before_what_comes_after_it(start: StartSink, receiver: Receiver) -> None:
    answers = iter([503, 302, 500])
    receiver.answer = lambda _: next(answers, 204)
    server = start()
    with server.client() as client:
        client.upsert_records(records(3))

        receiver.wait(lambda all: len(all.taken) == 3)

        stored = [event.name for event in client.list_events()]
    assert names(receiver.requests) == [stored[0]] * 3 + stored


def test_what_is_never_taken_is_a_dead_letter_that_can_be_replayed(
    start: StartSink, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.answer = lambda request: 500 if request.event["id"].endswith("-1") else 204
    server = start(attempts=2)
    with server.client() as client:
        client.upsert_records(records(3))
        receiver.wait(lambda all: len(all.taken) == 2)
        letters = wait_for_letters(client)

        still = client.replay_dead_letters("crm")
        receiver.answer = lambda _: 204
        asked = ("crm", "--json", "--server", server.address, "--token", server.token())
        listed = run_main(capsys, ("events", "dead-letters", *asked))
        replayed = run_main(capsys, ("events", "replay", *asked))

        stored = [event.name for event in client.list_events()]
        assert [(letter.event.name, letter.attempts, letter.problem) for letter in letters] == [(stored[1], 2, "answered 500")]
        assert (still.delivered, still.failed) == (0, 1)
        assert [letter["attempts"] for letter in listed.items] == [3]
        assert replayed.facts == {"delivered": 1}
        assert names(receiver.taken) == [stored[0], stored[2], stored[1]]
        assert list(client.list_dead_letters("crm")) == []


def wait_for_letters(client: Client) -> list[DeadLetter]:
    """Wait until the sink's cursor was kept with what it gave up."""
    for _ in client.subscribe(Following(only_new=True)):
        letters = list(client.list_dead_letters("crm"))
        if letters:
            assert client.get_subscription("crm").dead_letters == len(letters)
            return letters
    raise AssertionError("the stream ended")


def test_a_message_that_is_refused_is_not_sent_again(start: StartSink, receiver: Receiver) -> None:
    receiver.answer = lambda request: 422 if request.event["id"].endswith("-0") else 204
    server = start()
    with server.client() as client:
        client.upsert_records(records(2))

        receiver.wait(lambda all: len(all.taken) == 1)

        assert len(receiver.requests) == 2


def test_a_killed_server_delivers_the_rest_when_it_is_back(start: StartSink, receiver: Receiver) -> None:
    receiver.answer = lambda _: 204 if len(receiver.taken) < 3 else 503
    server = start(attempts=100)
    with server.client() as client:
        client.upsert_records(records(9))
    receiver.wait(lambda all: len(all.requests) > 4)
    server.kill()
    receiver.answer = lambda _: 204

    server.start()

    with server.client() as client:
        stored = [event.name for event in client.list_events()]
        receiver.wait(lambda all: set(names(all.taken)) == set(stored))
        once = list(dict.fromkeys(names(receiver.taken)))
        assert once == stored


def test_only_the_types_that_a_sink_asks_for_are_delivered(start: StartSink, receiver: Receiver) -> None:
    server = start(types=["identities-merged"])
    with server.client() as client:
        one, other = (client.upsert_record(record).identity for record in records(2))
        client.merge_identities([one, other], reason="test")

        receiver.wait(lambda all: len(all.taken) == 2)

    assert {request.event["type"] for request in receiver.taken} == {"goldenthread.v1.identities_merged"}


def test_a_sink_that_this_server_has_not_is_not_replayed(client: Client) -> None:
    with pytest.raises(FailedPrecondition, match="no sink of that name"):
        client.replay_dead_letters("nobody")


def test_a_sink_whose_cursor_is_set_back_delivers_again(start: StartSink, receiver: Receiver) -> None:
    server = start()
    with server.client() as client:
        client.upsert_records(records(2))
        receiver.wait(lambda all: len(all.taken) == 2)
        stored = [event.name for event in client.list_events()]
        wait_until_kept(client)

        client.acknowledge("crm", "0", rewind=True)

        receiver.wait(lambda all: len(all.taken) == 4)
    assert names(receiver.taken) == stored * 2


def wait_until_kept(client: Client) -> None:
    """Wait until the sink's cursor says that everything was delivered."""
    for _ in client.subscribe(Following(only_new=True)):
        if not client.get_subscription("crm").lag_revisions:
            return
