"""Produce events to a Kafka topic, keyed by identity, so that those of one identity stay in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from goldenthread.server.config import ConfigError
from goldenthread.server.events.sinks.cloud_events import CONTENT_TYPE
from goldenthread.server.events.sinks.settings import KafkaSettings
from goldenthread.server.events.sinks.sink import DeliveryFailed, Message

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Producer
    from confluent_kafka import Message as KafkaMessage

__all__ = ["Kafka", "open_kafka"]

_POLL_SECONDS: Final = 0.1
_MILLISECOND: Final = 1_000


class Kafka:
    """A topic that events are produced to."""

    most_messages = 500

    def __init__(self, settings: KafkaSettings, producer: Producer) -> None:
        self._settings, self._producer = settings, producer

    async def deliver(self, messages: Sequence[Message]) -> None:
        """Produce messages, and wait until the brokers have all of them.

        Raises:
            DeliveryFailed: the brokers did not take one in time; later ones may be there all the same.
        """
        await asyncio.to_thread(self._produce, messages)

    def _produce(self, messages: Sequence[Message]) -> None:
        outcomes: dict[int, str | None] = {}

        def told(place: int) -> Callable[[KafkaError | None, KafkaMessage[bytes, bytes]], None]:
            def tell(error: KafkaError | None, _: KafkaMessage[bytes, bytes]) -> None:
                outcomes[place] = error.name() if error is not None else None

            return tell

        for place, message in enumerate(messages):
            try:
                self._producer.produce(
                    self._settings.topic,
                    key=message.key.encode(),
                    value=message.body,
                    headers=[("content-type", CONTENT_TYPE.encode()), ("ce_id", message.id.encode())],
                    on_delivery=told(place),
                )
            except BufferError:
                outcomes[place] = "the producer's queue is full"
                break
        deadline = time.monotonic() + self._settings.timeout_seconds + 1
        while self._producer.flush(_POLL_SECONDS) and time.monotonic() < deadline:
            continue
        for place in range(len(messages)):
            problem = outcomes.get(place, "no answer of the brokers in time")
            if problem is not None:
                raise DeliveryFailed(problem, delivered=place, is_refused=problem == "MSG_SIZE_TOO_LARGE")

    async def close(self) -> None:
        """Wait no longer for what is on its way."""
        await asyncio.to_thread(self._producer.flush, _POLL_SECONDS)


def open_kafka(settings: KafkaSettings) -> Kafka:
    """Open a producer; it connects with the first message.

    Raises:
        ConfigError: the extra `kafka` is not installed, or an option is not known.
    """
    try:
        from confluent_kafka import KafkaException, Producer
    except ImportError:
        raise ConfigError("event_sinks", "has a sink of Kafka", "install goldenthread[kafka]") from None
    timeout = int(settings.timeout_seconds * _MILLISECOND)
    try:
        producer = Producer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "client.id": "goldenthread",
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 5,
                "compression.type": "lz4",
                "message.timeout.ms": timeout,
                **settings.options,
            }
        )
    except KafkaException as error:
        problem = f"has a sink of Kafka with an option that can't be used ({error.args[0].name()})"
        raise ConfigError("event_sinks", problem, "see docs/how-to/deliver-changes.md") from None
    return Kafka(settings, producer)
