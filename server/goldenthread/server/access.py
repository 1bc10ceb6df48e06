"""Say who calls: read the caller's token, and what that caller may do.

A token is a JWT signed by the configured issuer's keys, or by a local development key that only this machine uses. Its claims
`sub`, `tenant` and `role` make a `Caller`; the tenant comes from nowhere else.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import stat
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Final, Literal, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from msgspec import Struct

from goldenthread.server.config import TENANT_NAME, Config, ConfigError
from goldenthread.server.errors import PermissionDenied, Unauthenticated

__all__ = [
    "LOCAL_ISSUER",
    "Caller",
    "KeySetUrl",
    "KeySource",
    "LocalKey",
    "Role",
    "Verifier",
    "check_role",
    "current_caller",
    "enter_caller",
    "key_set_of",
    "make_token",
    "open_verifier",
    "signing_key",
    "write_local_token",
    "write_private",
]

Role = Literal["reader", "writer", "admin"]

LOCAL_ISSUER: Final = "goldenthread-local"
"""`iss` of tokens signed by the local development key."""

_RANKS: Final[dict[str, int]] = {"reader": 1, "writer": 2, "admin": 3}
_ALGORITHMS: Final = ["EdDSA", "ES256", "ES384", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
_CLAIMS: Final = ["sub", "tenant", "role", "exp", "aud", "iss"]
_LOCAL_DAYS: Final = 30
_REMEMBERED: Final = 4096
_LEAST_REFETCH_SECONDS: Final = 10.0

SigningKey = Ed25519PrivateKey


class Caller(Struct, frozen=True):
    """Who calls, as the token says. `subject` may be personal: it is kept sealed and never logged."""

    subject: str
    tenant: str
    role: Role


class KeySource(Protocol):
    """Find the public key that a token names."""

    async def key_of(self, token: str) -> jwt.PyJWK:
        """Get the key that should have signed the token.

        Raises:
            jwt.PyJWTError: no such key.
        """
        ...


class LocalKey:
    """The one local development key."""

    def __init__(self, key: SigningKey) -> None:
        self._key = jwt.PyJWK.from_dict(key_set_of(key)["keys"][0])

    async def key_of(self, token: str) -> jwt.PyJWK:
        """Get it, whatever key the token names."""
        return self._key


class _KeySetFile:
    def __init__(self, path: Path) -> None:
        try:
            self._keys = jwt.PyJWKSet.from_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(
                "jwks", f"names {path}, which can't be read ({error.strerror})", "give a file that exists"
            ) from None
        except (jwt.PyJWTError, ValueError, KeyError, TypeError, AttributeError):
            raise ConfigError("jwks", f"names {path}, which is not a JSON Web Key Set", 'write {"keys": […]}') from None

    async def key_of(self, token: str) -> jwt.PyJWK:
        """Get the key by the token's `kid`, or the only key when the token names none."""
        return _choose(self._keys, token)


class KeySetUrl:
    """The key set at an address, kept for five minutes.

    A token that names a key which is not in it has the set fetched again, but not more often than every ten seconds, so that
    nobody can make the server ask without end.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = jwt.PyJWKClient(url, lifespan=300, timeout=5)
        self._clock, self._fetched = clock, float("-inf")
        self._fetching = asyncio.Lock()

    async def key_of(self, token: str) -> jwt.PyJWK:
        """Get the key by the token's `kid`, or the only key when the token names none."""
        try:
            return _choose(await self._keys(refresh=False), token)
        except jwt.PyJWKSetError:
            async with self._fetching:
                if self._clock() - self._fetched < _LEAST_REFETCH_SECONDS:
                    raise
                return _choose(await self._keys(refresh=True), token)

    async def _keys(self, *, refresh: bool) -> jwt.PyJWKSet:
        if refresh:
            self._fetched = self._clock()
        return await asyncio.to_thread(self._client.get_jwk_set, refresh)


def _choose(keys: jwt.PyJWKSet, token: str) -> jwt.PyJWK:
    kid = jwt.get_unverified_header(token).get("kid")
    if kid is None and len(keys.keys) == 1:
        return keys.keys[0]
    for key in keys.keys:
        if key.key_id == kid:
            return key
    raise jwt.PyJWKSetError("no such key")


class Verifier:
    """Turn an `authorization` header into a caller; remembers tokens that were verified until they expire."""

    def __init__(self, keys: KeySource, *, audience: str, issuer: str, clock: Callable[[], float] = time.time) -> None:
        self._keys, self._audience, self._issuer, self._clock = keys, audience, issuer, clock
        self._known: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()

    async def verify(self, authorization: str | None) -> Caller:
        """Verify a header `Bearer <token>`.

        Raises:
            Unauthenticated: it is missing, malformed, expired, by another key, or for another audience or issuer.
        """
        if not authorization:
            raise Unauthenticated("missing")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("not a bearer token")
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is not None and self._clock() < known[1]:
            return known[0]
        caller, expires = await self._read(token.strip())
        self._known[digest] = (caller, expires)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return caller

    async def _read(self, token: str) -> tuple[Caller, float]:
        try:
            key = await self._keys.key_of(token)
            claims = jwt.decode(
                token, key, algorithms=_ALGORITHMS, audience=self._audience, issuer=self._issuer, options={"require": _CLAIMS}
            )
        except jwt.PyJWKClientConnectionError:
            raise Unauthenticated("the issuer's keys can't be fetched") from None
        except jwt.PyJWTError as error:
            raise Unauthenticated(_problem_of(error)) from None
        subject, tenant, role = claims["sub"], claims["tenant"], claims["role"]
        if not isinstance(tenant, str) or not TENANT_NAME.match(tenant):
            raise Unauthenticated("its tenant is not a tenant's name")
        if not isinstance(role, str) or role not in _RANKS:
            raise Unauthenticated("its role is none of reader, writer, admin")
        return Caller(str(subject), tenant, role), float(claims["exp"])  # type: ignore[arg-type]  # role is one of _RANKS


_caller: ContextVar[Caller] = ContextVar("caller")


def current_caller() -> Caller:
    """Get the caller of the call that is being served.

    Raises:
        Unauthenticated: there is none.
    """
    try:
        return _caller.get()
    except LookupError:
        raise Unauthenticated("missing") from None


def enter_caller(caller: Caller) -> None:
    """Make this the caller of the running task; each call is a task of its own."""
    _caller.set(caller)


def check_role(caller: Caller, needs: Role) -> None:
    """Check that the caller's role is at least the one needed.

    Raises:
        PermissionDenied: it is not.
    """
    if _RANKS[caller.role] < _RANKS[needs]:
        raise PermissionDenied(caller.role, needs)


def open_verifier(config: Config) -> Verifier:
    """Open what verifies tokens, as configured; makes the local development key at first start.

    Raises:
        ConfigError: the key file or key set can't be used.
    """
    if config.auth == "local":
        key = signing_key(config.token_key_file)
        return Verifier(LocalKey(key), audience=config.audience, issuer=config.issuer or LOCAL_ISSUER)
    keys: KeySource = KeySetUrl(config.jwks) if config.jwks.startswith("https://") else _KeySetFile(Path(config.jwks))
    return Verifier(keys, audience=config.audience, issuer=config.issuer)


def signing_key(path: Path) -> SigningKey:
    """Read the Ed25519 key that signs local tokens, or make it with mode 0600.

    Raises:
        ConfigError: others may read it, or it is damaged.
    """
    if not path.exists():
        key = Ed25519PrivateKey.generate()
        with suppress(FileExistsError):  # another server of this folder was faster: its key counts
            write_private(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            return key
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigError("data", f"holds {path}, which others may read", f"make a new one, or run chmod 600 {path}")
    try:
        read = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        raise ConfigError(
            "data", f"holds {path}, which is not a key", "delete it and start again, and give callers new tokens"
        ) from None
    if not isinstance(read, Ed25519PrivateKey):
        raise ConfigError("data", f"holds {path}, which is not an Ed25519 key", "delete it and start again")
    return read


def key_set_of(key: SigningKey) -> dict[str, list[dict[str, str]]]:
    """Get the public half as a JSON Web Key Set, its `kid` by RFC 7638."""
    public = jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    thumbprint = json.dumps({name: public[name] for name in ("crv", "kty", "x")}, separators=(",", ":"), sort_keys=True)
    kid = hashlib.sha256(thumbprint.encode()).hexdigest()[:32]
    return {
        "keys": [
            {
                **{str(k): str(v) for k, v in public.items() if k in ("crv", "kty", "x")},
                "kid": kid,
                "alg": "EdDSA",
                "use": "sig",
            }
        ]
    }


def make_token(
    key: SigningKey,
    *,
    subject: str,
    tenant: str,
    role: Role,
    seconds: int,
    issuer: str = LOCAL_ISSUER,
    audience: str = "goldenthread",
    now: float | None = None,
) -> str:
    """Sign a token that is valid for some seconds from `now` (seconds since 1970)."""
    start = int(time.time() if now is None else now)
    claims = {
        "sub": subject,
        "tenant": tenant,
        "role": role,
        "iss": issuer,
        "aud": audience,
        "iat": start,
        "exp": start + seconds,
    }
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": key_set_of(key)["keys"][0]["kid"]})


def write_local_token(config: Config) -> Path:
    """Write the local administrator's token, valid for 30 days, unless one is there that lasts another day."""
    key = signing_key(config.token_key_file)
    issuer = config.issuer or LOCAL_ISSUER
    path = config.token_file
    if path.exists():
        try:
            jwt.decode(
                path.read_text(encoding="ascii").strip(),
                jwt.PyJWK.from_dict(key_set_of(key)["keys"][0]),
                algorithms=["EdDSA"],
                audience=config.audience,
                issuer=issuer,
                leeway=-86_400,
            )
        except (jwt.PyJWTError, UnicodeDecodeError):
            path.unlink(missing_ok=True)
        else:
            return path
    token = make_token(
        key,
        subject="local",
        tenant=config.default_tenant,
        role="admin",
        seconds=_LOCAL_DAYS * 86_400,
        issuer=issuer,
        audience=config.audience,
    )
    with suppress(FileExistsError):  # another server of this folder wrote one just now, which is as good
        write_private(path, token.encode() + b"\n")
    return path


def write_private(path: Path, content: bytes) -> None:
    """Write a new file that only its owner may read, durably and as a whole; its folder is made with mode 0700.

    Raises:
        FileExistsError: it is there already.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    finally:
        draft.unlink()


def _problem_of(error: jwt.PyJWTError) -> str:
    if isinstance(error, jwt.ExpiredSignatureError):
        return "expired"
    if isinstance(error, jwt.InvalidAudienceError):
        return "for another audience"
    if isinstance(error, jwt.InvalidIssuerError):
        return "by another issuer"
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"lacks the claim {error.claim}"
    if isinstance(error, (jwt.InvalidSignatureError, jwt.PyJWKSetError, jwt.PyJWKClientError)):
        return "signed by another key"
    return "not valid"
