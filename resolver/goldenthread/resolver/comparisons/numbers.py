"""Compare document and account numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rapidfuzz.distance import OSA

from goldenthread.graph.model import SemanticType
from goldenthread.resolver.comparisons.comparison import BINS, EXACT, MISSING, Comparison
from goldenthread.resolver.normalise import Profile

__all__ = ["Number"]


class Number(Comparison[tuple[int, str]]):
    """Compare document or account numbers of the same type, and of the same issuer where both are known.

    `close`: one character, or two next to each other swapped.
    """

    kind = "number"
    levels = ("missing", *EXACT, "close", "different")
    expected: ClassVar[Mapping[str, float]] = {"exact": 0.90, "close": 0.05, "different": 0.05}
    TYPES: ClassVar[Mapping[str, frozenset[SemanticType]]] = {
        "government_number": frozenset(
            {SemanticType.NATIONAL_ID, SemanticType.TAX_ID, SemanticType.PASSPORT, SemanticType.DRIVERS_LICENCE}
        ),
        "account_number": frozenset({SemanticType.CUSTOMER_ACCOUNT, SemanticType.LOYALTY_ACCOUNT, SemanticType.DEVICE}),
    }

    def values(self, profile: Profile) -> tuple[tuple[int, str], ...]:
        """Take the numbers of the types that the comparison is named for."""
        types = self.TYPES[self.name]
        return tuple(d for d in profile.documents if d[0] in types)

    def frequency_texts(self, value: tuple[int, str]) -> Sequence[str]:
        """List type and number as one text."""
        return (f"{value[0]}|{value[1]}",)

    def compare(self, x: tuple[int, str], y: tuple[int, str]) -> int:
        """Compare two typed numbers."""
        if x[0] != y[0]:
            return MISSING
        if x[1] == y[1]:
            return 1 + self.rarity(f"{x[0]}|{x[1]}")
        (x_issuer, _, x_number), (y_issuer, _, y_number) = x[1].partition("|"), y[1].partition("|")
        if x_issuer and y_issuer and x_issuer != y_issuer:
            return MISSING
        if x_number == y_number:
            return 1 + self.rarity(f"{x[0]}|{x[1]}")
        return BINS + 1 if OSA.distance(x_number, y_number, score_cutoff=1) <= 1 else BINS + 2
