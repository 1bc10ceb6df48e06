"""Open the sinks of a server's settings, and deliver to all of them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

from goldenthread.server.commands.engine import Engine
from goldenthread.server.events.sinks.delivery import Delivery
from goldenthread.server.events.sinks.kafka import open_kafka
from goldenthread.server.events.sinks.settings import SinkSettings, read_sinks
from goldenthread.server.events.sinks.sink import Sink
from goldenthread.server.events.sinks.webhook import Webhook, read_secret

__all__ = ["Deliveries", "open_sink"]


def open_sink(settings: SinkSettings) -> Sink:
    """Open a sink; it connects with its first message.

    Raises:
        ConfigError: it can't be used as it is set.
    """
    if settings.webhook is not None:
        return Webhook(settings.webhook, read_secret(settings.webhook.secret_file), time.time)
    assert settings.kafka is not None  # the settings were checked
    return open_kafka(settings.kafka)


class Deliveries:
    """Every sink of a server, delivered to from `start` to `close`."""

    def __init__(self, engine: Engine) -> None:
        """Open the sinks that the engine's settings name, and let commands reach them.

        Raises:
            ConfigError: the file of sinks, or one of them, can't be used.
        """
        chance = random.Random()  # noqa: S311 - spreads retries, protects nothing
        self._deliveries: list[Delivery] = []
        for settings in read_sinks(engine.config.event_sinks):
            sink = open_sink(settings)
            engine.sinks[settings.tenant, settings.name] = sink
            self._deliveries.append(Delivery(engine, settings, sink, chance))

    def start(self) -> None:
        """Begin to deliver."""
        for delivery in self._deliveries:
            delivery.start()

    async def close(self) -> None:
        """Stop where it is."""
        await _gather(self._deliveries)


async def _gather(deliveries: Sequence[Delivery]) -> None:
    await asyncio.gather(*(delivery.close() for delivery in deliveries))
