"""Say what keeps members of a component apart, by what each claims, without a list of pairs.

A member claims values of a subject: which number an issuer gave its person, which record of a source it is. Two members that
claim something of one subject and agree on no value are kept apart. So ten thousand records of a source without duplicates are
ten thousand claims, not fifty million pairs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

__all__ = [
    "DUPLICATE_FREE",
    "Claims",
    "GroupClaims",
    "Subject",
    "Vetoes",
    "barred_links",
    "barred_pairs",
    "first_disagreement",
    "together",
]

Subject = tuple[str, str]
"""The guard that watches it, and which of its subjects it is."""

Claims = Mapping[Subject, frozenset[Hashable]]
"""The values that a member claims, by subject."""

GroupClaims = Mapping[Subject, frozenset[frozenset[Hashable]]]
"""What the members of a group claim, by subject; a decision may have put together members that disagree."""

DUPLICATE_FREE = "duplicate_free"
"""The guard of sources without duplicates, of each of which a member claims to be a record of its own."""

_NONE, _SEVERAL = -1, -2
_FEW = 20  # up to this many groups plain pairs are faster


class Vetoes(Struct, frozen=True):
    """What each member of a component claims, by position."""

    claims: Sequence[Claims]

    def fired(self) -> Counter[str]:
        """Count, by guard, the pairs of members that it keeps apart."""
        counts: Counter[str] = Counter()
        by_subject: dict[Subject, Counter[frozenset[Hashable]]] = defaultdict(Counter)
        for claims in self.claims:
            for subject, values in claims.items():
                by_subject[subject][values] += 1
        for subject, of in by_subject.items():
            if len(of) < 2:
                continue
            # Single values disagree wherever they differ; only claims of several values must be looked at pair by pair.
            single = [count for values, count in of.items() if len(values) == 1]
            counts[subject[0]] += (sum(single) ** 2 - sum(count * count for count in single)) // 2
            several = [values for values in of if len(values) > 1]
            for place, values in enumerate(several):
                others = [other for other in of if len(other) == 1] + several[place + 1 :]
                counts[subject[0]] += of[values] * sum(of[other] for other in others if values.isdisjoint(other))
        return +counts


def together(one: GroupClaims, other: GroupClaims) -> GroupClaims:
    """Join what two groups claim."""
    if not one or not other:
        return one or other
    joined = dict(one)
    for subject, claims in other.items():
        joined[subject] = joined[subject] | claims if subject in joined else claims
    return joined


def first_disagreement(one: GroupClaims, other: GroupClaims) -> Subject | None:
    """Find the first subject, in order, of which two groups hold members that disagree."""
    found = [s for s, claims in one.items() if (theirs := other.get(s)) is not None and _disagree(claims, theirs)]
    return min(found) if found else None


def barred_pairs(groups: Sequence[GroupClaims]) -> list[tuple[int, int, Subject]]:
    """List the pairs of groups, by place, that are kept apart, each with the first subject of which they disagree."""
    if len(groups) <= _FEW:
        known = [(place, claims) for place, claims in enumerate(groups) if claims]
        return [
            (a, b, subject)
            for i, (a, one) in enumerate(known)
            for b, other in known[i + 1 :]
            if (subject := first_disagreement(one, other)) is not None
        ]
    found: dict[tuple[int, int], Subject] = {}
    for subject in sorted({subject for claims in groups for subject in claims}):
        places: dict[frozenset[frozenset[Hashable]], list[int]] = defaultdict(list)
        for place, claims in enumerate(groups):
            if subject in claims:
                places[claims[subject]].append(place)
        of = list(places.items())
        for i, (claims_here, here) in enumerate(of):
            for claims_there, there in of[i:]:
                if _disagree(claims_here, claims_there):
                    for a in here:
                        for b in there:
                            if a != b:
                                found.setdefault((min(a, b), max(a, b)), subject)
    return [(a, b, subject) for (a, b), subject in found.items()]


def barred_links(groups: Sequence[GroupClaims], left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say of each pair of groups, by place, whether it is kept apart."""
    barred = np.zeros(len(left), np.bool_)
    for subject in {subject for claims in groups for subject in claims}:
        number: dict[frozenset[Hashable], int] = {}
        codes = np.full(len(groups), _NONE, np.int64)
        for place, claims in enumerate(groups):
            if subject in claims:
                values = list(claims[subject])
                is_single = len(values) == 1 and len(values[0]) == 1
                codes[place] = number.setdefault(values[0], len(number)) if is_single else _SEVERAL
        one, other = codes[left], codes[right]
        barred |= (one >= 0) & (other >= 0) & (one != other)
        several = ((one == _SEVERAL) & (other != _NONE)) | ((other == _SEVERAL) & (one != _NONE))
        for i in np.flatnonzero(several & ~barred).tolist():
            barred[i] = _disagree(groups[int(left[i])][subject], groups[int(right[i])][subject])
    return barred


def _disagree(one: frozenset[frozenset[Hashable]], other: frozenset[frozenset[Hashable]]) -> bool:
    return any(x.isdisjoint(y) for x in one for y in other)
