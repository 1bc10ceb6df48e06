"""A command that reaches no server says why: the address, TLS or the token, and what to do about it."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from command_line import Run

from goldenthread.cli.demo.server import start_server
from goldenthread.server.tls import make_certificate

NOW = datetime.datetime.now(datetime.UTC)

Serve = Callable[[Path | None], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Listen on this machine with the certificate of a folder, or without TLS, and give the port."""
    servers: list[grpc.Server] = []

    def serve(folder: Path | None) -> int:
        server = grpc.server(ThreadPoolExecutor(1))
        servers.append(server)
        if folder is None:
            port = server.add_insecure_port("127.0.0.1:0")
        else:
            pair = (folder / "server.key").read_bytes(), (folder / "server.crt").read_bytes()
            port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
        server.start()
        return port

    yield serve
    for server in servers:
        server.stop(None).wait()


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """Write certificates: one of this machine, one of another host, and one of this machine that has expired."""
    make_certificate(tmp_path / "here", ["127.0.0.1"], NOW)
    make_certificate(tmp_path / "elsewhere", ["other.example"], NOW)
    make_certificate(tmp_path / "expired", ["127.0.0.1"], NOW - datetime.timedelta(days=4000))
    return tmp_path


@pytest.mark.parametrize(
    ("served", "trusted", "said"),
    [
        ("elsewhere", "elsewhere", "is not for that host"),
        ("here", "elsewhere", "of an authority that is not trusted here. Give the PEM file of its authority with --tls-ca."),
        ("expired", "expired", "has expired"),
        (None, "here", "does not use TLS"),
        ("here", None, "ends the connection. If the server uses TLS, give its authority with --tls-ca"),
    ],
)
def test_what_is_wrong_with_tls_is_told(
    served: str | None, trusted: str | None, said: str, serve: Serve, certificates: Path, run: Run
) -> None:
    port = serve(certificates / served if served else None)
    options = ["--server", f"127.0.0.1:{port}", *(["--tls-ca", str(certificates / trusted / "server.crt")] if trusted else [])]

    listed, checked = run("identities", *options), run("doctor", *options, "--json")

    found = next(finding for finding in checked.items if finding["check"] == "server")
    assert (listed.code, checked.code) == (1, 1)
    assert said in listed.err
    assert said.partition(".")[0] in str(found["found"])
    assert "handshake" not in listed.err.splitlines()[-1]


def test_an_authority_that_is_no_pem_is_told(run: Run) -> None:
    Path("ca.pem").write_text("hello", encoding="utf-8")

    ran = run("identities", "--tls-ca", "ca.pem")

    assert (ran.code, "ca.pem holds no certificate in PEM form" in ran.err) == (1, True)


def test_nobody_at_an_address_is_still_told_as_that(run: Run) -> None:
    assert "No server answers at 127.0.0.1:1." in run("identities", "--server", "127.0.0.1:1").err


def test_a_url_is_no_address(run: Run) -> None:
    ran = run("identities", "--server", "http://127.0.0.1:7592")

    assert ran.code == 2
    assert "http://127.0.0.1:7592 is no host:port. Write it as 127.0.0.1:7592." in ran.err


def test_a_missing_token_says_where_it_was_looked_for(run: Run, tmp_path: Path) -> None:
    server = start_server(tmp_path / "elsewhere", "127.0.0.1:0")
    try:
        missing = run("identities", "--server", server.address)
        named = run("identities", "--server", server.address, "--data", "elsewhere")
    finally:
        server.stop()

    assert missing.code == 1
    assert "there is none in .goldenthread/token" in missing.err
    assert "--data" in missing.err
    assert named.code == 0
