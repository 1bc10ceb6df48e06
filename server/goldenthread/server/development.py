"""Make what a server beyond loopback needs, to try it out: a certificate, a key set and a token.

`python -m goldenthread.server.development keys localhost goldenthread` writes into the folder `keys`:

    server.crt, server.key   a self-signed certificate for those hosts, and its key
    jwks.json, token.key     the public key set that tokens are verified with, and the key that signs them
    token                    an administrator's token, valid for 30 days

In production, certificates come from your authority and tokens from your identity provider.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from goldenthread.server.access import key_set_of, make_token, signing_key, write_private
from goldenthread.server.tls import make_certificate

__all__ = ["ISSUER", "main", "make_development_keys"]

ISSUER: Final = "goldenthread-development"
"""`iss` of the token; set `issuer` to it."""

_DAYS: Final = 30


def make_development_keys(folder: Path, hosts: Sequence[str], tenant: str, now: datetime.datetime) -> Path:
    """Write all of them; get the token's path.

    Raises:
        FileExistsError: the folder has some already.
    """
    make_certificate(folder, hosts, now)
    key = signing_key(folder / "token.key")
    write_private(folder / "jwks.json", json.dumps(key_set_of(key)).encode())
    token = make_token(key, subject="development", tenant=tenant, role="admin", seconds=_DAYS * 86_400, issuer=ISSUER)
    write_private(folder / "token", token.encode() + b"\n")
    return folder / "token"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; says what it wrote, or that it was there already."""
    parser = argparse.ArgumentParser(prog="python -m goldenthread.server.development", description="Make keys to try TLS out.")
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("hosts", nargs="+", help="names or addresses that callers reach the server by")
    parser.add_argument("--tenant", default="default", help="tenant of the token")
    given = parser.parse_args(arguments)
    if (given.folder / "token").exists():
        sys.stdout.write(f"{given.folder} has keys already; they stay.\n")
        return 0
    token = make_development_keys(given.folder, given.hosts, given.tenant, datetime.datetime.now(datetime.UTC))
    sys.stdout.write(f"Wrote server.crt, server.key, jwks.json, token.key and token to {token.parent}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
