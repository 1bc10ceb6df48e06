"""Keys to try TLS out with: they work together, and are not overwritten."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from goldenthread.server.access import Caller, open_verifier
from goldenthread.server.config import load_config
from goldenthread.server.development import ISSUER, main
from goldenthread.server.tls import server_credentials


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    assert main([str(folder), "localhost", "127.0.0.1", "--tenant", "acme"]) == 0
    return folder


async def test_the_token_is_verified_by_the_key_set(keys: Path) -> None:
    config = load_config({"data": str(keys.parent), "auth": "jwks", "jwks": str(keys / "jwks.json"), "issuer": ISSUER})

    caller = await open_verifier(config).verify(f"Bearer {(keys / 'token').read_text().strip()}")

    assert caller == Caller("development", "acme", "admin")


def test_the_certificate_can_be_served_with(keys: Path) -> None:
    config = load_config({"tls_cert": str(keys / "server.crt"), "tls_key": str(keys / "server.key")})

    assert server_credentials(config) is not None


def test_every_file_is_readable_by_its_owner_alone(keys: Path) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in keys.iterdir()}

    assert modes == dict.fromkeys(("server.crt", "server.key", "jwks.json", "token.key", "token"), 0o600)


def test_a_second_run_keeps_what_is_there(keys: Path) -> None:
    before = {path.name: path.read_bytes() for path in keys.iterdir()}

    main([str(keys), "localhost"])

    assert {path.name: path.read_bytes() for path in keys.iterdir()} == before
