"""Keep how common values are without keeping the values: keyed hashes of the commoner ones, by bin."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from math import log2

from msgspec import Struct

from goldenthread.resolver.comparisons import BINS

__all__ = ["FrequencyTable", "Lookup", "bin_of", "table_of_counts"]

_DIGEST = 8
_LEAST_COMMON = -12.0
"""log2 of the least frequency of bin 1; each further bin begins two bits higher."""


def bin_of(frequency: float) -> int:
    """Answer the bin of a relative frequency: 0 below 2**-12, then one bin each two bits, at most BINS - 1."""
    if frequency <= 0:
        return 0
    return min(BINS - 1, max(0, int((log2(frequency) - _LEAST_COMMON) // 2) + 1))


class FrequencyTable(Struct, frozen=True):
    """Say which values of one comparison fall in bins 1 to BINS - 1, as keyed hashes; all others are in bin 0.

    `salt` is hex; `bins` holds, for each bin from 1, its sorted 8-byte hashes end to end as base64.
    """

    comparison: str
    salt: str
    bins: tuple[str, ...]


def _hash(salt: bytes, text: str) -> bytes:
    return blake2b(text.encode(), digest_size=_DIGEST, key=salt).digest()


def table_of_counts(
    comparison: str, counts: Mapping[str, float], total: float, salt: bytes, least_count: float
) -> FrequencyTable:
    """Build a table from counts out of `total`; values counted less than `least_count` times are never listed."""
    bins: list[list[bytes]] = [[] for _ in range(BINS - 1)]
    bin_of_count = {count: bin_of(count / total) for count in {*counts.values()} if count >= least_count}
    for text, count in counts.items():
        if found := bin_of_count.get(count, 0):
            bins[found - 1].append(_hash(salt, text))
    return FrequencyTable(comparison, salt.hex(), tuple(b64encode(b"".join(sorted(b))).decode() for b in bins))


class Lookup:
    """Answer a value's bin from a table; remembers what it was asked."""

    _REMEMBERED = 200_000

    def __init__(self, table: FrequencyTable) -> None:
        self._salt = bytes.fromhex(table.salt)
        self._bins: dict[bytes, int] = {}
        for number, packed in enumerate(table.bins, 1):
            hashes = b64decode(packed)
            for start in range(0, len(hashes), _DIGEST):
                self._bins[hashes[start : start + _DIGEST]] = number
        self._memory: dict[str, int] = {}

    def __call__(self, text: str, /) -> int:
        """Answer the bin of a value."""
        found = self._memory.get(text)
        if found is None:
            found = self._bins.get(_hash(self._salt, text), 0)
            if len(self._memory) >= self._REMEMBERED:
                self._memory.clear()
            self._memory[text] = found
        return found

    def bins_of(self, texts: Sequence[str]) -> list[int]:
        """Answer the bins of values that are asked for once."""
        if not self._bins:
            return [0] * len(texts)
        salt, found = self._salt, self._bins.get
        return [found(blake2b(text.encode(), digest_size=_DIGEST, key=salt).digest(), 0) for text in texts]
