"""Read how people name records and identities on the command line.

tenants/acme/identities/7f…   a whole name, as answers give it
identities/7f…, records/7f…   a name without its tenant
7f…                           an identity's (or, for `record`, a record's) last part
crm:42                        a source and the record's own id there
ann@example.org, +1 212 555…  an email or a phone
passport=P123                 any other identifier, by its type
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goldenthread.cli.errors import UsageError

if TYPE_CHECKING:
    from goldenthread.client import AsOf, Client, GetIdentityResponse, IdentifierKey, SourceKey

__all__ = [
    "Name",
    "fetch_identity",
    "find_identity_name",
    "node_name",
    "parse_attributes",
    "parse_key",
    "record_key",
    "record_name",
    "short",
]

_LAST_PART = re.compile(r"[0-9a-f]{32}")
_COLLECTIONS = ("identities", "records", "households", "identifiers", "sources")


@dataclass(frozen=True, slots=True)
class Name:
    """A resource's name, whole but for its tenant where `tenants/` is missing."""

    text: str

    def complete(self, tenant: str) -> str:
        """Write it whole."""
        return self.text if self.text.startswith("tenants/") else f"tenants/{tenant}/{self.text}"


def parse_key(text: str, collection: str = "identities") -> Name | SourceKey | IdentifierKey:
    """Read what somebody typed; a bare last part belongs to the collection.

    Raises UsageError when it names nothing.
    """
    from goldenthread.client import IdentifierKey, SemanticType, SourceKey

    if text.startswith("tenants/") or text.partition("/")[0] in _COLLECTIONS:
        return Name(text)
    kind, equals, value = text.partition("=")
    source, colon, record_id = text.partition(":")
    if equals and value and ":" not in kind:
        from goldenthread.graph.model import IDENTIFIER_TYPES

        names = [type.name.lower() for type in sorted(IDENTIFIER_TYPES)]
        if kind.lower().replace("-", "_") not in names:
            raise UsageError(f"{kind} is no type of identifier.", f"Use one of {', '.join(names)}.")
        return IdentifierKey(SemanticType[kind.upper().replace("-", "_")], value)
    if colon and source and record_id:
        return SourceKey(source, record_id)
    if "@" in text:
        return IdentifierKey(SemanticType.EMAIL, text)
    digits = sum(letter.isdigit() for letter in text)
    if 7 <= digits <= 15 and not any(letter.isalpha() for letter in text):
        return IdentifierKey(SemanticType.PHONE, text)
    if _LAST_PART.fullmatch(text):
        return Name(f"{collection}/{text}")
    raise UsageError(
        f"{text!r} names nobody.",
        "Give a name from an answer (32 hexadecimal digits), source:id, an email, a phone or type=value.",
    )


def fetch_identity(client: Client, text: str, as_of: AsOf = None) -> GetIdentityResponse:
    """Fetch the identity that somebody means.

    Raises UsageError when the text names nothing; NotFound when nobody is found by it.
    """
    from goldenthread.client import SourceKey

    key = parse_key(text)
    if isinstance(key, Name):
        name = key.complete(client.tenant)
        if "/records/" in name:
            return client.get_identity(record=name, as_of=as_of)
        return client.get_identity(name, as_of=as_of)
    if isinstance(key, SourceKey):
        return client.get_identity(source_key=key, as_of=as_of)
    return client.get_identity(identifier=key, as_of=as_of)


def find_identity_name(client: Client, text: str) -> str:
    """Find the name of the identity that somebody means; a name is taken at its word."""
    key = parse_key(text)
    if isinstance(key, Name) and not key.text.startswith("records/") and "/records/" not in key.text:
        return key.complete(client.tenant)
    return fetch_identity(client, text).identity.name


def node_name(client: Client, text: str) -> str:
    """Find the whole name of the record or identity that somebody means; source:id means the record."""
    from goldenthread.client import SourceKey

    key = parse_key(text)
    if isinstance(key, Name):
        return key.complete(client.tenant)
    if isinstance(key, SourceKey):
        return client.get_record(key).record.name
    return client.get_identity(identifier=key).identity.name


def record_key(client: Client, text: str) -> str | SourceKey:
    """Read a record's name or source:id.

    Raises UsageError when it is neither.
    """
    from goldenthread.client import SourceKey

    key = parse_key(text, "records")
    if isinstance(key, SourceKey):
        return key
    if isinstance(key, Name):
        return key.complete(client.tenant)
    raise UsageError(f"{text!r} is no record.", "Give a record's name or source:id.")


def record_name(client: Client, text: str) -> str:
    """Find the whole name of a record."""
    key = record_key(client, text)
    return key if isinstance(key, str) else client.get_record(key).record.name


def parse_attributes(texts: Sequence[str]) -> dict[str, list[str]]:
    """Read name=value arguments; a name that comes twice has several values.

    Raises UsageError when one has no equals sign.
    """
    attributes: dict[str, list[str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise UsageError(f"{text!r} is no attribute=value.", "Write for example email=ann@example.org.")
        attributes.setdefault(name, []).append(value)
    return attributes


def short(name: str) -> str:
    """Leave the tenant out of a name, for people."""
    parts = name.split("/", 2)
    return parts[2] if len(parts) == 3 and parts[0] == "tenants" else name
