"""Tokens: who is let in, and as whom."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from goldenthread.server.access import (
    LOCAL_ISSUER,
    Caller,
    KeySetUrl,
    LocalKey,
    Verifier,
    check_role,
    current_caller,
    key_set_of,
    make_token,
    open_verifier,
    signing_key,
    write_local_token,
)
from goldenthread.server.config import ConfigError, load_config
from goldenthread.server.contract import methods, role_for
from goldenthread.server.errors import PermissionDenied, Unauthenticated


@pytest.fixture
def verifier(signer: Ed25519PrivateKey) -> Verifier:
    return Verifier(LocalKey(signer), audience="goldenthread", issuer=LOCAL_ISSUER)


async def problem_with(verifier: Verifier, authorization: str | None) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await verifier.verify(authorization)
    return caught.value.problem


async def test_a_valid_token_names_the_caller(verifier: Verifier, signer: Ed25519PrivateKey) -> None:
    token = make_token(signer, subject="crm", tenant="acme", role="writer", seconds=60)

    caller = await verifier.verify(f"Bearer {token}")

    assert caller == Caller("crm", "acme", "writer")


async def test_a_missing_header_is_named(verifier: Verifier) -> None:
    assert await problem_with(verifier, None) == "missing"


async def test_another_scheme_is_not_a_bearer_token(verifier: Verifier) -> None:
    assert await problem_with(verifier, "Basic Y3JtOnNlY3JldA==") == "not a bearer token"


async def test_an_expired_token_is_refused(verifier: Verifier, signer: Ed25519PrivateKey) -> None:
    token = make_token(signer, subject="crm", tenant="acme", role="writer", seconds=60, now=1_000_000)

    assert await problem_with(verifier, f"Bearer {token}") == "expired"


class CountingKey(LocalKey):
    """The local key, counting how often it was asked for."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        super().__init__(key)
        self.asked = 0

    async def key_of(self, token: str) -> jwt.PyJWK:
        self.asked += 1
        return await super().key_of(token)


async def test_a_token_is_verified_again_only_when_it_has_expired(signer: Ed25519PrivateKey) -> None:
    now = time.time()
    keys = CountingKey(signer)
    verifier = Verifier(keys, audience="goldenthread", issuer=LOCAL_ISSUER, clock=lambda: now)
    header = f"Bearer {make_token(signer, subject='crm', tenant='acme', role='writer', seconds=60)}"
    await verifier.verify(header)
    await verifier.verify(header)
    asked_while_valid = keys.asked

    now += 61
    await verifier.verify(header)

    assert (asked_while_valid, keys.asked) == (1, 2)


async def test_a_token_signed_by_another_key_is_refused(verifier: Verifier) -> None:
    token = make_token(Ed25519PrivateKey.generate(), subject="crm", tenant="acme", role="writer", seconds=60)

    assert await problem_with(verifier, f"Bearer {token}") == "signed by another key"


async def test_a_token_for_another_audience_is_refused(verifier: Verifier, signer: Ed25519PrivateKey) -> None:
    token = make_token(signer, subject="crm", tenant="acme", role="writer", seconds=60, audience="billing")

    assert await problem_with(verifier, f"Bearer {token}") == "for another audience"


async def test_a_token_by_another_issuer_is_refused(verifier: Verifier, signer: Ed25519PrivateKey) -> None:
    token = make_token(signer, subject="crm", tenant="acme", role="writer", seconds=60, issuer="somebody")

    assert await problem_with(verifier, f"Bearer {token}") == "by another issuer"


@pytest.mark.parametrize("claim", ["sub", "tenant", "role", "exp", "aud", "iss"])
async def test_a_token_without_a_claim_is_refused(verifier: Verifier, signer: Ed25519PrivateKey, claim: str) -> None:
    claims = {
        "sub": "crm",
        "tenant": "acme",
        "role": "writer",
        "exp": 4_000_000_000,
        "aud": "goldenthread",
        "iss": LOCAL_ISSUER,
    }
    del claims[claim]

    problem = await problem_with(verifier, f"Bearer {jwt.encode(claims, signer, algorithm='EdDSA')}")

    assert problem == f"lacks the claim {claim}"


async def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(verifier: Verifier, signer: Ed25519PrivateKey) -> None:
    claims = {"sub": "crm", "tenant": "acme", "role": "admin", "exp": 4_000_000_000, "aud": "goldenthread", "iss": LOCAL_ISSUER}
    public = key_set_of(signer)["keys"][0]["x"]

    problem = await problem_with(verifier, f"Bearer {jwt.encode(claims, public, algorithm='HS256')}")

    assert problem == "not valid"


async def test_an_unsigned_token_is_refused(verifier: Verifier) -> None:
    claims = {"sub": "crm", "tenant": "acme", "role": "admin", "exp": 4_000_000_000, "aud": "goldenthread", "iss": LOCAL_ISSUER}

    assert await problem_with(verifier, f"Bearer {jwt.encode(claims, '', algorithm='none')}") == "not valid"


@pytest.mark.parametrize("tenant", ["", "Acme", "a/b", "../x", "x" * 64])
async def test_a_tenant_that_is_not_a_name_is_refused(verifier: Verifier, signer: Ed25519PrivateKey, tenant: str) -> None:
    token = make_token(signer, subject="crm", tenant=tenant, role="writer", seconds=60)

    assert await problem_with(verifier, f"Bearer {token}") == "its tenant is not a tenant's name"


async def test_a_key_set_file_is_searched_by_key_id(tmp_path: Path, signer: Ed25519PrivateKey) -> None:
    other = Ed25519PrivateKey.generate()
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [*key_set_of(other)["keys"], *key_set_of(signer)["keys"]]}))
    config = load_config({"data": str(tmp_path), "auth": "jwks", "jwks": str(file), "issuer": "https://id.example"})
    token = make_token(signer, subject="crm", tenant="acme", role="reader", seconds=60, issuer="https://id.example")

    caller = await open_verifier(config).verify(f"Bearer {token}")

    assert caller.role == "reader"


async def test_a_token_whose_key_is_not_in_the_key_set_is_refused(tmp_path: Path, signer: Ed25519PrivateKey) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(key_set_of(Ed25519PrivateKey.generate())))
    config = load_config({"data": str(tmp_path), "auth": "jwks", "jwks": str(file), "issuer": "https://id.example"})
    token = make_token(signer, subject="crm", tenant="acme", role="reader", seconds=60, issuer="https://id.example")

    assert await problem_with(open_verifier(config), f"Bearer {token}") == "signed by another key"


class Issuer:
    """An identity provider's key set, served over HTTP; counts how often it was fetched."""

    def __init__(self) -> None:
        self.key_set: object = {"keys": []}
        self.fetched = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetched += 1
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(issuer.key_set).encode())

            def log_message(self, format: str, *args: object) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/jwks"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    started = Issuer()
    yield started
    started.close()


async def test_a_key_that_the_issuer_added_is_fetched(issuer: Issuer, signer: Ed25519PrivateKey) -> None:
    issuer.key_set = key_set_of(Ed25519PrivateKey.generate())
    now = 0.0
    verifier = Verifier(KeySetUrl(issuer.url, clock=lambda: now), audience="goldenthread", issuer="https://id.example")
    token = make_token(signer, subject="crm", tenant="acme", role="reader", seconds=60, issuer="https://id.example")
    before = await problem_with(verifier, f"Bearer {token}")

    issuer.key_set = key_set_of(signer)
    now += 11
    caller = await verifier.verify(f"Bearer {token}")

    assert (before, caller.role) == ("signed by another key", "reader")


async def test_unknown_keys_do_not_make_the_server_fetch_without_end(issuer: Issuer, signer: Ed25519PrivateKey) -> None:
    issuer.key_set = key_set_of(signer)
    verifier = Verifier(KeySetUrl(issuer.url, clock=lambda: 0.0), audience="goldenthread", issuer="https://id.example")
    for _ in range(20):
        token = make_token(Ed25519PrivateKey.generate(), subject="x", tenant="acme", role="reader", seconds=60)
        await problem_with(verifier, f"Bearer {token}")

    assert issuer.fetched <= 2


async def test_an_issuer_that_is_away_is_named(issuer: Issuer, signer: Ed25519PrivateKey) -> None:
    issuer.close()
    verifier = Verifier(KeySetUrl(issuer.url), audience="goldenthread", issuer="https://id.example")
    token = make_token(signer, subject="crm", tenant="acme", role="reader", seconds=60, issuer="https://id.example")

    assert await problem_with(verifier, f"Bearer {token}") == "the issuer's keys can't be fetched"


def test_a_key_set_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_text("[]")
    config = load_config({"data": str(tmp_path), "auth": "jwks", "jwks": str(file), "issuer": "https://id.example"})

    with pytest.raises(ConfigError, match="not a JSON Web Key Set"):
        open_verifier(config)


def test_key_and_token_files_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    config = load_config({"data": str(tmp_path / "data")})

    token_file = write_local_token(config)

    modes = [stat.S_IMODE(path.stat().st_mode) for path in (token_file, config.token_key_file, config.token_key_file.parent)]
    assert modes == [0o600, 0o600, 0o700]


def test_the_local_token_stays_while_it_is_valid(tmp_path: Path) -> None:
    config = load_config({"data": str(tmp_path / "data")})
    before = write_local_token(config).read_text()

    after = write_local_token(config).read_text()

    assert after == before


def test_a_local_token_that_expired_is_replaced(tmp_path: Path) -> None:
    config = load_config({"data": str(tmp_path / "data")})
    old = make_token(signing_key(config.token_key_file), subject="local", tenant="default", role="admin", seconds=3600)
    config.token_file.write_text(old)

    assert write_local_token(config).read_text().strip() != old


def test_a_signing_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token.key"
    signing_key(path)
    path.chmod(0o644)

    with pytest.raises(ConfigError, match="chmod 600"):
        signing_key(path)


def test_a_damaged_signing_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token.key"
    path.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n")
    path.chmod(0o600)

    with pytest.raises(ConfigError, match="is not a key"):
        signing_key(path)


def test_a_reader_may_not_write() -> None:
    with pytest.raises(PermissionDenied) as caught:
        check_role(Caller("crm", "acme", "reader"), "writer")

    assert (caught.value.role, caught.value.needs) == ("reader", "writer")


def test_an_admin_may_do_everything() -> None:
    for method in methods():
        check_role(Caller("crm", "acme", "admin"), role_for(method))


def test_only_methods_that_read_are_open_to_readers() -> None:
    writing = {method.rpartition("/")[2] for method in methods() if role_for(method) != "reader"}

    assert writing >= {
        "UpsertRecord",
        "BatchUpsertRecords",
        "DeleteRecord",
        "MergeIdentities",
        "SplitIdentity",
        "UpdateDataModel",
        "UpdateGuardRails",
        "UpdateSurvivorshipRules",
    }
    assert not {name for name in writing if name.startswith(("Get", "List", "Explain", "Resolve", "Expand", "Find"))}


def test_outside_a_call_there_is_no_caller() -> None:
    with pytest.raises(Unauthenticated):
        current_caller()
