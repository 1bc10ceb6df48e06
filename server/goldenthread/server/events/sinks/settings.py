"""Read the sinks that a server delivers events to, from the file that the setting `event_sinks` names."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from goldenthread.server.config import TENANT_NAME, ConfigError
from goldenthread.server.events.outbox import EventType

__all__ = ["KafkaSettings", "SinkSettings", "WebhookSettings", "read_sinks"]

_SETTING: Final = "event_sinks"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_REMEDY: Final = "see docs/how-to/deliver-changes.md"


class WebhookSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Post each event to a URL, signed."""

    url: str
    secret_file: str
    """File of the secret that signs, as `whsec_` and base64."""
    allow_private_addresses: bool = False
    """Let the URL lead into the own network, and be plain http."""
    timeout_seconds: Annotated[float, Meta(gt=0, le=300)] = 10


class KafkaSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Produce events to a topic, keyed by identity."""

    bootstrap_servers: str
    topic: str
    options: Mapping[str, str | int | float | bool] = {}
    """Further options of librdkafka, as `security.protocol`."""
    timeout_seconds: Annotated[float, Meta(gt=0, le=300)] = 30


class SinkSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """One sink: whose events go where, and how patiently."""

    name: str
    tenant: str = "default"
    types: Sequence[str] = ()
    """Types of events, as identities-merged; all when empty."""
    webhook: WebhookSettings | None = None
    kafka: KafkaSettings | None = None
    from_oldest: bool = False
    """Begin with the oldest event that is kept, in place of the first one that is committed from then on."""
    attempts: Annotated[int, Meta(ge=1, le=100)] = 8
    """Tries after which an event becomes a dead letter."""
    first_wait_seconds: Annotated[float, Meta(ge=0, le=3600)] = 1
    longest_wait_seconds: Annotated[float, Meta(ge=0, le=86_400)] = 300

    @property
    def event_types(self) -> frozenset[EventType]:
        """The types of events it takes."""
        return frozenset(EventType[_member(name)] for name in self.types)


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    sinks: Sequence[SinkSettings] = ()


def read_sinks(path: str) -> Sequence[SinkSettings]:
    """Read and check the file of sinks; none when no file is named.

    Raises:
        ConfigError: it can't be read, or a sink is not as it must be.
    """
    if not path:
        return ()
    try:
        found = msgspec.yaml.decode(Path(path).read_bytes(), type=_File).sinks
    except OSError as error:
        raise ConfigError(
            _SETTING, f"names {path}, which can't be read ({error.strerror})", "give a file that exists"
        ) from None
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ConfigError(_SETTING, f"names {path}, which lists no sinks ({error})", _REMEDY) from None
    seen: set[tuple[str, str]] = set()
    for sink in found:
        problem = _problem(sink)
        if (sink.tenant, sink.name) in seen:
            problem = "is named twice"
        if problem:
            raise ConfigError(_SETTING, f"has the sink {sink.name}, which {problem}", _REMEDY)
        seen.add((sink.tenant, sink.name))
    return found


def _problem(sink: SinkSettings) -> str:
    """Say what is wrong with a sink; empty when nothing is."""
    if not _NAME.fullmatch(sink.name):
        return "is not named by small letters, digits and hyphens"
    if not TENANT_NAME.match(sink.tenant):
        return "has no tenant's name"
    unknown = [name for name in sink.types if _member(name) not in EventType.__members__ or _member(name) == "UNSPECIFIED"]
    if unknown:
        return f"asks for events of the unknown type {unknown[0]}"
    if (sink.webhook is None) == (sink.kafka is None):
        return "is not one of webhook and kafka"
    return _url_problem(sink.webhook) if sink.webhook is not None else ""


def _url_problem(webhook: WebhookSettings) -> str:
    parts = urlsplit(webhook.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "has no http or https URL"
    if parts.username is not None or parts.password is not None:
        return "has a password in its URL, which would be sent to whoever answers"
    if webhook.allow_private_addresses:
        return ""
    if parts.scheme != "https":
        return "would send without TLS; use https, or set allow_private_addresses within the own network"
    try:
        is_public = ipaddress.ip_address(parts.hostname).is_global
    except ValueError:
        return ""
    return "" if is_public else "leads to a private address; set allow_private_addresses if that is meant"


def _member(name: str) -> str:
    return name.upper().replace("-", "_")
