"""Compare email addresses and phone numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from rapidfuzz.distance import OSA
from rapidfuzz.process import cpdist

from goldenthread.resolver.comparisons.comparison import BINS, EXACT, MISSING, Levels, TextComparison, numbers, pair_codes
from goldenthread.resolver.normalise.contacts import mailbox

__all__ = ["Email", "Phone", "stem_of"]

_NO_LETTERS = re.compile(r"[\W\d_]+")


class Email(TextComparison):
    """Compare email addresses: `mailbox` says which are one.

    `domain_typo`: one user at two domains that differ by a letter or two (gmail.com, gmial.com), or by the ending. `user`: one
    user at two providers. `close`: users that differ by little. `domain`: nothing but the domain. Users whose letters agree and
    whose digits differ (ann.lee.12, ann.lee.45) are no evidence: the letters repeat the name, the digits tell accounts apart.
    """

    kind = "email"
    levels = ("missing", *EXACT, "domain_typo", "user", "close", "domain", "different")
    expected: ClassVar[Mapping[str, float]] = {
        "exact": 0.75,
        "domain_typo": 0.02,
        "user": 0.05,
        "close": 0.08,
        "domain": 0.04,
        "different": 0.06,
    }
    CLOSE = 0.8

    def compare(self, x: str, y: str) -> int:
        """Compare two normalised addresses."""
        (x_user, x_domain), (y_user, y_domain) = mailbox(x), mailbox(y)
        if x_user == y_user and x_domain == y_domain:
            return 1 + self.rarity(x)
        if x_user.replace(".", "") == y_user.replace(".", ""):
            if x_domain.partition(".")[0] == y_domain.partition(".")[0] or OSA.distance(x_domain, y_domain) <= 2:
                return BINS + 1
            if len(x_user) > 3:
                return BINS + 2
        elif stem_of(x_user) == stem_of(y_user):
            return MISSING
        if OSA.normalized_similarity(x_user, y_user) >= self.CLOSE:
            return BINS + 3
        return BINS + 4 if x_domain == y_domain else BINS + 5

    def compare_many(self, xs: Sequence[str], ys: Sequence[str]) -> Levels:
        """Compare pairs of normalised addresses."""
        values, x, y = pair_codes(xs, ys)
        boxes = [mailbox(v) for v in values]
        users = [user for user, _ in boxes]
        user, domain = numbers([user.replace(".", "") for user in users]), numbers([domain for _, domain in boxes])
        similar = cpdist(
            [users[i] for i in x.tolist()], [users[i] for i in y.tolist()], scorer=OSA.normalized_similarity, dtype=np.float64
        )
        found = np.where(domain[x] == domain[y], BINS + 4, BINS + 5).astype(np.int8)
        found[similar >= self.CLOSE] = BINS + 3
        stem = numbers([stem_of(user) for user in users])
        found[stem[x] == stem[y]] = MISSING
        for i in np.flatnonzero(user[x] == user[y]).tolist():
            found[i] = self.compare(xs[i], ys[i])
        return found


def stem_of(user: str) -> str:
    """Take the letters of an address's user; one without letters is its own stem."""
    return _NO_LETTERS.sub("", user) or user


class Phone(TextComparison):
    """Compare E.164 numbers.

    `national`: one number with two country codes, as where one side was read as of the wrong country. `close`: one digit.
    """

    kind = "phone"
    levels = ("missing", *EXACT, "national", "close", "different")
    expected: ClassVar[Mapping[str, float]] = {"exact": 0.75, "national": 0.01, "close": 0.04, "different": 0.20}

    def compare(self, x: str, y: str) -> int:
        """Compare two normalised numbers."""
        if x == y:
            return 1 + self.rarity(x)
        if x[-9:] == y[-9:]:
            return BINS + 1
        return BINS + 2 if OSA.distance(x, y, score_cutoff=1) <= 1 else BINS + 3

    def compare_many(self, xs: Sequence[str], ys: Sequence[str]) -> Levels:
        """Compare pairs of normalised numbers."""
        far = cpdist(xs, ys, scorer=OSA.distance, score_cutoff=1, dtype=np.int32) > 1
        found = np.full(len(xs), BINS + 3, np.int8)
        for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
            if not far[i] or x[-9:] == y[-9:]:
                found[i] = self.compare(x, y)
        return found
