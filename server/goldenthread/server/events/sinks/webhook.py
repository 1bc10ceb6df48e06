"""Post events to a URL, signed as Standard Webhooks asks (https://www.standardwebhooks.com), one request an event.

Whoever may name a URL could point the server at its own network. So, unless the settings allow it, a host whose address is
not public is refused when it is connected to, whatever it was before; and redirections are not followed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver

from goldenthread.server.config import ConfigError
from goldenthread.server.events.sinks.cloud_events import CONTENT_TYPE
from goldenthread.server.events.sinks.settings import WebhookSettings
from goldenthread.server.events.sinks.sink import DeliveryFailed, Message

__all__ = ["PublicResolver", "Webhook", "read_secret", "signature"]

_REFUSED: Final = frozenset({400, 413, 422})
"""Answers that say that the message itself is not wanted."""
_PREFIX: Final = "whsec_"
_LEAST_SECRET: Final = 24
_LONGEST_ASKED: Final = 3600.0


class PublicResolver(AbstractResolver):
    """Find the addresses of hosts, public ones only."""

    def __init__(self, resolver: AbstractResolver | None = None) -> None:
        self._resolver = resolver or DefaultResolver()

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """Find the addresses of a host.

        Raises:
            OSError: one of them is not public.
        """
        found = await self._resolver.resolve(host, port, family)
        if not all(ipaddress.ip_address(one["host"].partition("%")[0]).is_global for one in found):
            raise OSError("the host's address is private")
        return found

    async def close(self) -> None:
        """Close the resolver behind it."""
        await self._resolver.close()


class Webhook:
    """A URL that events are posted to."""

    most_messages = 1

    def __init__(self, settings: WebhookSettings, secret: bytes, clock: Callable[[], float]) -> None:
        self._settings, self._secret, self._clock = settings, secret, clock
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, messages: Sequence[Message]) -> None:
        """Post messages, one after the other.

        Raises:
            DeliveryFailed: one was not answered with 2xx.
        """
        for delivered, message in enumerate(messages):
            await self._post(message, delivered)

    async def _post(self, message: Message, delivered: int) -> None:
        if self._session is None:
            self._session = self._open()
        timestamp = str(int(self._clock()))
        headers = {
            "Content-Type": CONTENT_TYPE,
            "User-Agent": "goldenthread",
            "webhook-id": message.id,
            "webhook-timestamp": timestamp,
            "webhook-signature": signature(self._secret, message.id, timestamp, message.body),
        }
        try:
            async with self._session.post(
                self._settings.url, data=message.body, headers=headers, allow_redirects=False
            ) as answer:
                status, retry_after = answer.status, answer.headers.get("Retry-After", "")
        except TimeoutError:
            problem = f"no answer within {self._settings.timeout_seconds:g} s"
            raise DeliveryFailed(problem, delivered=delivered) from None
        except (aiohttp.ClientError, OSError) as error:
            # The error's own text may quote the URL, which may hold a secret.
            raise DeliveryFailed(f"no connection ({type(error).__name__})", delivered=delivered) from None
        if not 200 <= status < 300:
            wait = min(float(retry_after), _LONGEST_ASKED) if retry_after.isdecimal() else 0.0
            raise DeliveryFailed(
                f"answered {status}", delivered=delivered, is_refused=status in _REFUSED, retry_after_seconds=wait
            )

    def _open(self) -> aiohttp.ClientSession:
        resolver = None if self._settings.allow_private_addresses else PublicResolver()
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=resolver, limit=4),
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def signature(secret: bytes, id: str, timestamp: str, body: bytes) -> str:
    """Sign a message: HMAC-SHA256 over its id, its time and its body."""
    signed = hmac.digest(secret, f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(signed).decode()


def read_secret(path: str) -> bytes:
    """Read the secret that signs.

    Raises:
        ConfigError: the file can't be read, or holds no secret of at least 24 bytes.
    """
    try:
        text = Path(path).read_text(encoding="ascii").strip()
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except OSError as error:
        raise ConfigError(
            "event_sinks", f"names the secret file {path}, which can't be read ({error.strerror})", "give a file that exists"
        ) from None
    except (UnicodeDecodeError, binascii.Error):
        secret = b""
    if len(secret) < _LEAST_SECRET:
        raise ConfigError(
            "event_sinks",
            f"names the secret file {path}, which holds no secret",
            "write `whsec_` and the base64 of at least 24 random bytes into it",
        )
    return secret
