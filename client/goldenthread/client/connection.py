"""Say where the server is and who calls: the settings both clients share."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path

import grpc

__all__ = ["DEFAULT_TARGET", "DEFAULT_TENANT", "Tls", "channel_options", "credentials", "metadata", "tenant_of"]

DEFAULT_TARGET = "127.0.0.1:7461"
DEFAULT_TENANT = "default"
MAX_MESSAGE_BYTES = 64 << 20
"""Largest answer a client takes; a page of a thousand wide records stays well below."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates: the authority to trust (the system's when None) and, for mutual TLS, the caller's own."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str = ""


def channel_options(tls: Tls | None) -> list[tuple[str, int | str]]:
    """List the options of a channel: keepalive finds a dead connection within half a minute, even between calls."""
    options: list[tuple[str, int | str]] = [
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 2),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        ("grpc.primary_user_agent", "goldenthread-python"),
    ]
    if tls and tls.server_name:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    return options


def credentials(tls: Tls) -> grpc.ChannelCredentials:
    """Read the certificates.

    Raises OSError when a file can't be read.
    """
    return grpc.ssl_channel_credentials(
        root_certificates=tls.ca_file.read_bytes() if tls.ca_file else None,
        private_key=tls.key_file.read_bytes() if tls.key_file else None,
        certificate_chain=tls.cert_file.read_bytes() if tls.cert_file else None,
    )


def metadata(token: str | None) -> tuple[tuple[str, str], ...]:
    """Write what goes with every call."""
    return (("authorization", f"Bearer {token}"),) if token else ()


def tenant_of(token: str | None) -> str:
    """Read the tenant a token speaks for, `default` when it does not say. Only the server verifies the token."""
    if not token:
        return DEFAULT_TENANT
    parts = token.split(".")
    if len(parts) != 3:
        return DEFAULT_TENANT
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return DEFAULT_TENANT
    tenant = claims.get("tenant") if isinstance(claims, dict) else None
    return tenant if isinstance(tenant, str) and tenant else DEFAULT_TENANT
