"""doctor: check what the commands and a local server need, and say how to mend what is wrong."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goldenthread.cli.connect import (
    DEFAULT_DATA,
    DEFAULT_SERVER,
    DataOption,
    JsonOption,
    ServerOption,
    TenantOption,
    TlsCaOption,
    TokenOption,
    connect,
    is_loopback,
    read_local_token,
)

if TYPE_CHECKING:
    from goldenthread.client import Client

__all__ = ["Finding", "add_commands"]

LEAST_FREE_BYTES = 1 << 30
"""Below this a store that grows is soon full: about 200,000 records of room are left."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `remedy` says what to do when it is not ok."""

    check: str
    ok: bool
    found: str
    remedy: str = ""


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("doctor")(doctor)


def doctor(
    store: Annotated[
        str,
        typer.Option("--store", envvar="GOLDENTHREAD_STORE", help="The server's store, to check it too.", show_default=False),
    ] = "",
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Check that everything is well, and say how to mend it.

    Looks at Python, data folder, key file, disk, token, server and store; exits with 1 when something is wrong.

    Examples:

      goldenthread doctor

      goldenthread doctor --store neo4j://neo4j:password@127.0.0.1:7687
    """
    from goldenthread.cli import output

    findings = [_python(), _data_folder(data), _key_file(data), _disk(data), _token(server, token, data)]
    findings += _server(server, token, tenant, tls_ca, data)
    if store.startswith(("neo4j", "bolt")):
        findings.append(_neo4j(store))
    if json:
        output.print_json([{"check": f.check, "ok": f.ok, "found": f.found, "remedy": f.remedy} for f in findings])
    else:
        from rich.text import Text

        for finding in findings:
            mark = ("ok      ", "green") if finding.ok else ("problem ", "bold red")
            output.show(Text.assemble(mark, f"{finding.check}: {finding.found}"))
            if not finding.ok:
                output.show(Text(f"        {finding.remedy}"))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def _python() -> Finding:
    """Check the version of Python."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Finding("python", sys.version_info >= (3, 11), version, "Install Python 3.11 or newer.")


def _data_folder(data: Path) -> Finding:
    """Check that the data folder can be written by its owner only."""
    if not data.exists():
        return Finding("data folder", True, f"{data} is not there yet; the first `goldenthread serve` makes it")
    if not data.is_dir():
        return Finding("data folder", False, f"{data} is not a folder", "Name another with --data.")
    if not os.access(data, os.W_OK | os.X_OK):
        return Finding("data folder", False, f"{data} can't be written", f"Run chmod u+rwx {data} as its owner.")
    mode = stat.S_IMODE(data.stat().st_mode)
    if mode & 0o077 and sys.platform != "win32":
        return Finding("data folder", False, f"{data} has mode {mode:04o}", f"Run chmod 700 {data}.")
    return Finding("data folder", True, f"{data}")


def _key_file(data: Path) -> Finding:
    """Check that nobody else can read the root key."""
    file = Path(os.environ.get("GOLDENTHREAD_ROOT_KEY") or data / "keys" / "root.key")
    if not file.exists():
        store_there = (data / "graph").exists()
        remedy = "Bring the key back from its backup: without it nothing that is stored can be read."
        return Finding("key file", not store_there, f"{file} is not there", remedy)
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077 and sys.platform != "win32":
        return Finding("key file", False, f"{file} has mode {mode:04o}", f"Run chmod 600 {file}.")
    keys = data / "keys" / "keys.db"
    if (data / "graph" / "graph.db").exists() and not keys.exists():
        return Finding(
            "key store", False, f"{keys} is not there", "Bring it back from its backup: what is stored needs its keys."
        )
    return Finding("key file", True, f"{file} has mode {mode:04o}")


def _disk(data: Path) -> Finding:
    """Check that the disk has room."""
    there = next(folder for folder in (data.absolute(), *data.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    return Finding("disk", free >= LEAST_FREE_BYTES, f"{free / 1e9:.1f} GB free", "Make space, or move the data folder.")


def _token(server: str, token: str, data: Path) -> Finding:
    """Check that there is a token, and that the local one is private."""
    if token:
        return Finding("token", True, "given")
    if not is_loopback(server):
        return Finding("token", False, "none given", "Give --token or GOLDENTHREAD_TOKEN.")
    file = data / "token"
    if not read_local_token(data):
        remedy = "Start a server with this --data, or give --token or GOLDENTHREAD_TOKEN."
        return Finding("token", False, f"none given, and {file} is not there", remedy)
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077 and sys.platform != "win32":
        return Finding("token", False, f"{file} has mode {mode:04o}", f"Run chmod 600 {file}.")
    return Finding("token", True, f"from {file}")


def _server(server: str, token: str, tenant: str, tls_ca: Path | None, data: Path) -> list[Finding]:
    """Check that the server answers, is healthy and takes the token."""
    from goldenthread.client import GoldenThreadError, Retry

    with connect(server, token, tenant, tls_ca, data, timeout_seconds=5.0, retry=Retry(attempts=1)) as client:
        try:
            client.wait_until_ready(3.0)
        except GoldenThreadError:
            return [_unreached(client, server)]
        findings = [Finding("server", True, f"answers at {server}")]
        findings.append(_attempt("health", lambda: "serving" if client.is_serving() else ""))
        findings.append(
            _attempt("access", lambda: f"the token is good for tenant {client.get_data_model().name.split('/')[1]}")
        )
    return findings


def _unreached(client: Client, server: str) -> Finding:
    """Say why no connection to the server is made."""
    from goldenthread.client import GoldenThreadError
    from goldenthread.client.errors import ConnectionEnded, TlsFailed

    try:
        client.is_serving()
    except (TlsFailed, ConnectionEnded) as error:
        return Finding("server", False, error.message.removesuffix("."), error.advice)
    except GoldenThreadError:
        pass  # nobody is there at all
    remedy = "Start one with `goldenthread serve`, or name another with --server."
    return Finding("server", False, f"nobody answers at {server}", remedy)


def _attempt(check: str, call: Callable[[], str]) -> Finding:
    """Make a call; what it returns was found, nothing means it is not well."""
    from goldenthread.client import GoldenThreadError

    try:
        found = call()
    except GoldenThreadError as error:
        return Finding(check, False, error.message, error.remedy)
    return Finding(check, bool(found), found or "not serving", "Look at the server's log: its store may be away.")


def _neo4j(store: str) -> Finding:
    """Check that something listens where Neo4j should; whether it takes the login shows in the server's health."""
    import socket
    from urllib.parse import urlsplit

    parts = urlsplit(store)
    address = (parts.hostname or "127.0.0.1", parts.port or 7687)
    shown = f"{address[0]}:{address[1]}"
    try:
        socket.create_connection(address, timeout=3.0).close()
    except OSError:
        return Finding("neo4j", False, f"nobody listens at {shown}", "Start Neo4j, for example with `make neo4j`.")
    return Finding("neo4j", True, f"listens at {shown}")
