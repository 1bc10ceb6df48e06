"""Digest values under a tenant's index key, so that equal ones are found again and nothing is told to who lacks the key."""

from __future__ import annotations

import hashlib

__all__ = ["Blinder"]

_MAX_DOMAINS = 4096


class Blinder:
    """Blind values of one tenant. Needs the index key and nothing else."""

    def __init__(self, index_key: bytes) -> None:
        self._index_key = index_key
        self._digests: dict[tuple[str, int], hashlib.blake2b] = {}

    def __repr__(self) -> str:
        return "Blinder()"

    def __reduce__(self) -> tuple[type[Blinder], tuple[bytes]]:
        """Go to another process of this server, key and all, as what blinds and can open nothing; it must never be kept."""
        return Blinder, (self._index_key,)

    def blind(self, domain: str, text: str | bytes) -> bytes:
        """Digest a value under the tenant's index key to 16 bytes: equal in equal domains, telling nothing without the key.

        A str counts as its UTF-8. The digest is BLAKE2b in its keyed mode (RFC 7693) over the length of the domain, the domain
        and the text, so that no two pairs of domain and text meet.
        """
        digest = self._digests.get((domain, 16)) or self._start_digest(domain, 16)
        digest = digest.copy()
        digest.update(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
        return digest.digest()

    def digest(self, domain: str, data: bytes, size: int = 16) -> bytes:
        """Digest as `blind` does to `size` bytes (1 to 64); digests of different sizes have nothing in common."""
        digest = self._digests.get((domain, size)) or self._start_digest(domain, size)
        digest = digest.copy()
        digest.update(data)
        return digest.digest()

    def _start_digest(self, domain: str, size: int) -> hashlib.blake2b:
        name = domain.encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(len(name).to_bytes(4, "big") + name, key=self._index_key, digest_size=size)
        if len(self._digests) >= _MAX_DOMAINS:
            self._digests.clear()
        self._digests[domain, size] = digest
        return digest
