"""serve: run the server."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from goldenthread.server.main import Started

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("serve")(serve)


def serve(
    listen: Annotated[str | None, typer.Option("--listen", help="host:port; port 0 takes a free one.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Folder of store, keys and local token.")] = None,
    store: Annotated[str | None, typer.Option("--store", help="sqlite:///folder or neo4j://user:password@host:7687.")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="YAML file of settings.", show_default=False)] = None,
    tls_cert: Annotated[str | None, typer.Option("--tls-cert", help="PEM file of the certificate chain.")] = None,
    tls_key: Annotated[str | None, typer.Option("--tls-key", help="PEM file of the certificate's key.")] = None,
    metrics_listen: Annotated[str | None, typer.Option("--metrics-listen", help="host:port for Prometheus.")] = None,
    log_level: Annotated[str | None, typer.Option("--log-level", help="debug, info, warning or error.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Any other setting, as name=value.", show_default=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Write where it listens as one line of JSON.")] = False,
) -> None:
    """Run the server, until Ctrl-C.

    Without any settings it keeps everything in ./.goldenthread, in SQLite, and serves this machine only.

    Flags go before GOLDENTHREAD_* variables, these before --config, this before defaults.

    Examples:

      goldenthread serve

      goldenthread serve --store neo4j://neo4j:password@127.0.0.1:7687 --set max_records_per_second=5000
    """
    from goldenthread.cli.errors import UsageError
    from goldenthread.server.config import load_config
    from goldenthread.server.main import serve as run_server

    flags: dict[str, object] = {}
    for text in settings or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text} is no name=value.", "Write for example --set log_format=json.")
        flags[name.replace("-", "_")] = value
    named = {"listen": listen, "data": data, "store": store, "tls_cert": tls_cert, "tls_key": tls_key}
    named |= {"metrics_listen": metrics_listen, "log_level": log_level}
    flags |= {name: value for name, value in named.items() if value is not None}
    run_server(load_config(flags, os.environ, config), lambda started: _tell(started, json=json))


def _tell(started: Started, *, json: bool) -> None:
    """Say where the server listens, to people or to scripts."""
    from json import dumps

    facts: dict[str, object] = {
        "address": started.address,
        "is_serving": started.is_serving,
        "store": started.store,
        "token_file": str(started.token_file) if started.token_file else None,
        "metrics_address": started.metrics_address,
    }
    if json:
        sys.stdout.write(dumps(facts) + "\n")
    else:
        state = "Serving" if started.is_serving else "Listening, but the store is not there yet,"
        sys.stdout.write(f"{state} on {started.address} with {started.store}.\n")
        if started.token_file:
            sys.stdout.write(f"Local token: {started.token_file}\n")
        if started.metrics_address:
            sys.stdout.write(f"Metrics: http://{started.metrics_address}/metrics\n")
    sys.stdout.flush()
