"""Reach the server that a command speaks to, as options and variables say: its address, the token, the tenant and TLS."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goldenthread.cli.errors import CommandError, UsageError

if TYPE_CHECKING:
    from goldenthread.client import Client, Retry

__all__ = ["DataOption", "JsonOption", "ServerOption", "TenantOption", "TlsCaOption", "TokenOption", "connect", "is_loopback"]

DEFAULT_SERVER = "127.0.0.1:7461"
DEFAULT_DATA = Path(".goldenthread")
_PEM = b"-----BEGIN CERTIFICATE-----"


ServerOption = Annotated[str, typer.Option("--server", envvar="GOLDENTHREAD_SERVER", help="Server's host:port.")]
TokenOption = Annotated[
    str,
    typer.Option(
        "--token",
        envvar="GOLDENTHREAD_TOKEN",
        help="Caller's token; a local server's own is found in its data folder.",
        show_default=False,
    ),
]
TenantOption = Annotated[
    str,
    typer.Option(
        "--tenant",
        envvar="GOLDENTHREAD_TENANT",
        help="Tenant in names; the token's by default.",
        show_default=False,
    ),
]
TlsCaOption = Annotated[
    Path | None,
    typer.Option(
        "--tls-ca",
        envvar="GOLDENTHREAD_TLS_CA",
        help="PEM file of the authority that signed the server's certificate; the system's by default beyond this machine.",
        show_default=False,
    ),
]
DataOption = Annotated[
    Path,
    typer.Option("--data", envvar="GOLDENTHREAD_DATA", help="A local server's data folder, for its token."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON for scripts.")]


@contextmanager
def connect(
    server: str,
    token: str,
    tenant: str,
    tls_ca: Path | None,
    data: Path,
    *,
    timeout_seconds: float = 30.0,
    retry: Retry | None = None,
) -> Iterator[Client]:
    """Open a client; it connects with its first call.

    Beyond this machine the connection is always encrypted, and the local token is never sent there.
    Raises UsageError when the address is none, CommandError when a file can't be read, or when a server on this machine wants
    a token and none is where they are looked for.
    """
    from goldenthread.client import Client, Tls
    from goldenthread.client.errors import Unauthenticated

    loopback = is_loopback(server)
    tls = None
    if tls_ca is not None or not loopback:
        if tls_ca is not None and not tls_ca.is_file():
            raise CommandError(f"There is no certificate file {tls_ca}.", "Check --tls-ca.")
        if tls_ca is not None and _PEM not in tls_ca.read_bytes():
            raise CommandError(f"{tls_ca} holds no certificate in PEM form.", "Check --tls-ca.")
        cert, key = os.environ.get("GOLDENTHREAD_CLIENT_CERT"), os.environ.get("GOLDENTHREAD_CLIENT_KEY")
        tls = Tls(tls_ca, Path(cert) if cert else None, Path(key) if key else None)
    token = token.strip() or (read_local_token(data) if loopback else "")
    with Client(
        server, token=token or None, tenant=tenant or None, tls=tls, timeout_seconds=timeout_seconds, retry=retry
    ) as client:
        try:
            yield client
        except Unauthenticated as error:
            if token or not loopback:
                raise
            raise CommandError(
                f"The server wants a token, and there is none in {data / 'token'}.",
                "Run this where the server runs or name its data folder with --data, or give --token or GOLDENTHREAD_TOKEN.",
            ) from error


def read_local_token(data: Path) -> str:
    """Read the token that a local server wrote at its first start; empty when there is none."""
    file = data / "token"
    try:
        return file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"The token file {file} can't be read.", "Give a token with --token.") from error


def is_loopback(server: str) -> bool:
    """Say whether an address is on this machine.

    Raises UsageError when it is no host:port.
    """
    if "/" in server:
        bare = server.split("://")[-1].split("/")[0]
        raise UsageError(
            f"--server {server} is no host:port.", f"Write it as {bare if ':' in bare and '@' not in bare else DEFAULT_SERVER}."
        )
    host, colon, port = server.rpartition(":")
    host = host.strip("[]")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"--server {server} is no host:port.", "Write it as 127.0.0.1:7461.")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
