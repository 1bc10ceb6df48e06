"""Sinks are set by a file that is checked whole, and reach public addresses only unless told otherwise."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from pathlib import Path

import pytest
import yaml
from aiohttp.abc import AbstractResolver, ResolveResult

from goldenthread.server.config import ConfigError
from goldenthread.server.events.outbox import Event, EventType
from goldenthread.server.events.sinks.cloud_events import message_of
from goldenthread.server.events.sinks.kafka import open_kafka
from goldenthread.server.events.sinks.settings import KafkaSettings, WebhookSettings, read_sinks
from goldenthread.server.events.sinks.sink import DeliveryFailed, Message
from goldenthread.server.events.sinks.webhook import PublicResolver, Webhook, read_secret, signature

SECRET = base64.b64encode(bytes(range(24))).decode()


def write(folder: Path, *sinks: object) -> str:
    file = folder / "sinks.yaml"
    file.write_text(yaml.safe_dump({"sinks": list(sinks)}))
    return str(file)


def webhook(url: str = "https://example.org/hook", **more: object) -> dict[str, object]:
    return {"name": "crm", "webhook": {"url": url, "secret_file": "secret", **more}}


def test_no_file_is_no_sinks() -> None:
    assert list(read_sinks("")) == []


def test_a_file_of_sinks_is_read(tmp_path: Path) -> None:
    kafka = {"name": "bus", "types": ["identity-split"], "kafka": {"bootstrap_servers": "k:9092", "topic": "t"}}

    first, second = read_sinks(write(tmp_path, webhook(), kafka))

    assert (first.name, first.tenant, first.webhook is not None) == ("crm", "default", True)
    assert second.event_types == {EventType.IDENTITY_SPLIT}


@pytest.mark.parametrize(
    ("sinks", "problem"),
    [
        ([webhook("http://example.org")], "without TLS"),
        ([webhook("https://127.0.0.1/hook")], "private address"),
        ([webhook("https://[::1]/hook")], "private address"),
        ([webhook("https://169.254.169.254/latest")], "private address"),
        ([webhook("ftp://example.org")], "no http or https URL"),
        ([webhook("https://me:secret@example.org")], "password in its URL"),
        ([webhook(), webhook()], "named twice"),
        ([{"name": "crm"}], "not one of webhook and kafka"),
        ([{**webhook(), "name": "Our CRM"}], "small letters"),
        ([{**webhook(), "types": ["unspecified"]}], "unknown type unspecified"),
        ([{**webhook(), "colour": "red"}], "colour"),
    ],
)
def test_a_sink_that_is_not_right_is_refused(tmp_path: Path, sinks: list[object], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        read_sinks(write(tmp_path, *sinks))


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        read_sinks(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize("text", ["", "whsec_c2hvcnQ=", "whsec_***"])
def test_a_secret_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "secret").write_text(text)

    with pytest.raises(ConfigError, match="holds no secret"):
        read_secret(str(tmp_path / "secret"))


def test_a_signature_is_that_of_standard_webhooks() -> None:
    # The example of https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md and its libraries' tests.
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    signed = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')

    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


class Answering(AbstractResolver):
    """Say that every host has these addresses."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Hold nothing."""


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "127.0.0.1", "192.168.1.1", "169.254.169.254", "::1", "fd00::1", "fe80::1%eth0"]
)
async def test_a_host_that_resolves_to_a_private_address_is_refused(address: str) -> None:
    resolver = PublicResolver(Answering("93.184.216.34", address))

    with pytest.raises(OSError, match="private"):
        await resolver.resolve("example.org", 443)


async def test_a_public_host_is_resolved() -> None:
    found = await PublicResolver(Answering("93.184.216.34")).resolve("example.org", 443)

    assert [one["host"] for one in found] == ["93.184.216.34"]


async def test_a_webhook_does_not_reach_into_the_own_network(unused_port: int) -> None:
    hook = Webhook(WebhookSettings(f"https://localhost:{unused_port}/hook", ""), b"s" * 24, lambda: 1.0)

    with pytest.raises(DeliveryFailed, match="no connection"):
        await hook.deliver([Message("1", "k", b"{}")])
    await hook.close()


@pytest.fixture
def unused_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_a_golden_event_names_fields_and_no_records() -> None:
    event = Event(7, 2, 1_700_000_000_000_000, EventType.GOLDEN_VALUES_CHANGED, bytes(16), fields=["email"])

    said = json.loads(message_of("acme", event).body)

    assert said["time"] == "2023-11-14T22:13:20Z"
    assert said["data"] == {
        "name": "tenants/acme/events/7-2",
        "revision": 7,
        "index": 2,
        "type": "EVENT_TYPE_GOLDEN_VALUES_CHANGED",
        "identity": "tenants/acme/identities/" + "00" * 16,
        "fields": ["email"],
    }


def test_an_option_that_kafka_does_not_know_is_refused() -> None:
    with pytest.raises(ConfigError, match="option that can't be used"):
        open_kafka(KafkaSettings("localhost:1", "events", {"no.such.option": 1}))


async def test_kafka_has_every_message_in_order_by_key() -> None:
    from confluent_kafka import Consumer, Producer

    brokers = Producer({"test.mock.num.brokers": 1})
    servers = ",".join(
        f"{one.host}:{one.port}" for one in (await asyncio.to_thread(brokers.list_topics, timeout=30)).brokers.values()
    )
    sink = open_kafka(KafkaSettings(servers, "events"))
    messages = [Message(str(number), f"k{number % 3}", b"%d" % number) for number in range(30)]

    await sink.deliver(messages)

    consumer = Consumer({"bootstrap.servers": servers, "group.id": "g", "auto.offset.reset": "earliest"})
    consumer.subscribe(["events"])
    taken: list[tuple[str, str]] = []
    while len(taken) < len(messages):
        (message,) = await asyncio.to_thread(consumer.consume, 1, 30)
        assert message.error() is None
        taken.append((message.key().decode(), message.value().decode()))
    consumer.close()
    await sink.close()
    for key in {key for key, _ in taken}:
        assert [value for one, value in taken if one == key] == [m.body.decode() for m in messages if m.key == key]


async def test_kafka_that_is_away_is_said_in_time() -> None:
    sink = open_kafka(KafkaSettings("127.0.0.1:1", "events", {"socket.connection.setup.timeout.ms": 1000}, timeout_seconds=1.5))

    with pytest.raises(DeliveryFailed) as failed:
        await sink.deliver([Message("1", "k", b"{}")])

    assert (failed.value.delivered, failed.value.is_refused) == (0, False)
    await sink.close()
