"""Limit how many identifiers of a type one identity holds, and say which evidence gives way where a limit would break.

What limits do to a component follows from its records alone, whatever their order:

1. It is cut as if there were no limits. An identity then *breaks* a limit when it holds more identifiers of the limit's type
   than are allowed, and more than any of its atoms (records that equal profiles or decisions hold together) does by itself:
   what one record says, or a steward put together, no limit parts. A limit with a window counts the identifiers that were
   observed within any such span of time.
2. In an identity that breaks a limit, identifiers of lower priority than the limit's type *give way*: of the types of which two
   atoms share a value, the one of the lowest priority says nothing any more, for or against. The identity is weighed without it
   and cut anew, and what still breaks a limit is cut again with one type less.
3. Where no such type is left, groups still join best first, but no two that together break a limit that neither breaks alone.

So limits only ever part identities, and only those that break one. Steps 2 and 3 are what Segment calls priority and limit when
it resolves identifiers (Segment Unify, "Identity Resolution Settings"); there the order of events decides, here nothing does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from goldenthread.graph.model import DOCUMENT_TYPES, SemanticType
from goldenthread.resolver.normalise import Profile, address_text
from goldenthread.resolver.normalise.places import is_full_address

__all__ = ["PRIORITY", "Holding", "Limit", "Limits", "Tally", "Weigh", "held_values", "without"]

Weigh = Callable[[Sequence[Profile], NDArray[np.int32], NDArray[np.int32]], NDArray[np.int64]]
"""Weighs pairs of profiles, given by their places in a list."""

PRIORITY = (
    SemanticType.NATIONAL_ID,
    SemanticType.TAX_ID,
    SemanticType.PASSPORT,
    SemanticType.DRIVERS_LICENCE,
    SemanticType.CUSTOMER_ACCOUNT,
    SemanticType.LOYALTY_ACCOUNT,
    SemanticType.EMAIL,
    SemanticType.PHONE,
    SemanticType.ADDRESS,
    SemanticType.DEVICE,
)
"""Types of identifiers, the one that gives way last first, where nothing else is declared."""

_FIELDS = {SemanticType.EMAIL: "emails", SemanticType.PHONE: "phones", SemanticType.ADDRESS: "addresses"}

Holding = tuple[frozenset[tuple[Hashable, int]], ...]
"""For each limit the identifiers that a group holds, each with when it was observed; 0 where the limit has no window."""


class Limit(Struct, frozen=True):
    """At most so many identifiers of a type, within any `window` of microseconds; 0 means ever. `guard` names it."""

    guard: str
    type: SemanticType
    most: int
    window: int = 0

    def count(self, sightings: frozenset[tuple[Hashable, int]]) -> int:
        """Count the distinct identifiers, or the most that any window holds."""
        if not self.window or len(sightings) <= 1:
            return len({value for value, _ in sightings})
        ordered = sorted(sightings, key=lambda seen: seen[1])
        inside: Counter[Hashable] = Counter()
        first = most = 0
        for value, at in ordered:
            inside[value] += 1
            while ordered[first][1] <= at - self.window:
                gone = ordered[first][0]
                inside[gone] -= 1
                if not inside[gone]:
                    del inside[gone]
                first += 1
            most = max(most, len(inside))
        return most

    def is_broken(self, whole: frozenset[tuple[Hashable, int]], parts: Iterable[frozenset[tuple[Hashable, int]]]) -> bool:
        """Whether groups hold too many together, and more than any of them does alone."""
        count = self.count(whole)
        return count > self.most and all(count > self.count(part) for part in parts)


class Limits(Struct, frozen=True):
    """What the members of a component, by position, are held to.

    `giving_way` are types of identifiers, the one that gives way first first. `weigh` weighs pairs of profiles.
    """

    limits: tuple[Limit, ...]
    giving_way: tuple[SemanticType, ...]
    profiles: Sequence[Profile]
    times: Sequence[int]
    weigh: Weigh

    def holding(self, positions: Iterable[int]) -> Holding:
        """Gather what some members hold."""
        places = list(positions)
        return tuple(
            frozenset(
                (value, self.times[i] if limit.window else 0)
                for i in places
                for value in held_values(limit.type, self.profiles[i])
            )
            for limit in self.limits
        )

    def broken(self, holdings: Sequence[Holding]) -> list[Limit]:
        """List the limits that atoms break together."""
        return [
            limit
            for place, limit in enumerate(self.limits)
            if limit.is_broken(frozenset().union(*(h[place] for h in holdings)), (h[place] for h in holdings))
        ]

    def yielding(
        self, broken: Sequence[Limit], gone: frozenset[SemanticType], atoms: Sequence[Sequence[int]]
    ) -> SemanticType | None:
        """Choose the type that gives way next, given the members of each atom; None when no more can."""
        for kind in self.giving_way[: max(self.giving_way.index(limit.type) for limit in broken)]:
            if kind not in gone:
                holders = Counter(
                    value for atom in atoms for value in {value for i in atom for value in held_values(kind, self.profiles[i])}
                )
                if any(count > 1 for count in holders.values()):
                    return kind
        return None

    def weights_without(
        self, gone: frozenset[SemanticType]
    ) -> Callable[[NDArray[np.int32], NDArray[np.int32]], NDArray[np.int64]]:
        """Weigh pairs of positions by what they say beside some types of identifiers."""

        def weigh(left: NDArray[np.int32], right: NDArray[np.int32]) -> NDArray[np.int64]:
            used, places = np.unique(np.concatenate([left, right]), return_inverse=True)
            profiles = [without(self.profiles[i], gone) for i in used.tolist()]
            at = places.astype(np.int32)
            return self.weigh(profiles, at[: len(left)], at[len(left) :])

        return weigh


class Tally:
    """Keep count of what groups hold while they join, each known by a slot."""

    def __init__(self, limits: Sequence[Limit], holdings: Sequence[Holding]) -> None:
        self._limits, self._held = limits, list(holdings)

    def some(self, slots: Sequence[int]) -> Tally:
        """Keep count of some groups alone, whose slots are numbered anew."""
        return Tally(self._limits, [self._held[slot] for slot in slots])

    def lets_join(self, one: int, other: int) -> bool:
        """Whether two groups may join."""
        sides = zip(self._limits, self._held[one], self._held[other], strict=True)
        return not any(limit.is_broken(a | b, (a, b)) for limit, a, b in sides)

    def join(self, stays: int, goes: int) -> None:
        """Take note that two groups joined."""
        self._held[stays] = tuple(a | b for a, b in zip(self._held[stays], self._held[goes], strict=True))


def held_values(kind: SemanticType, profile: Profile) -> Sequence[Hashable]:
    """List the identifiers of a type in a profile."""
    if kind in DOCUMENT_TYPES:
        return [text for of, text in profile.documents if of == kind]
    if kind is SemanticType.ADDRESS:
        return [address_text(place) for place in profile.addresses if is_full_address(place)]
    return profile.emails if kind is SemanticType.EMAIL else profile.phones


def without(profile: Profile, kinds: frozenset[SemanticType]) -> Profile:
    """Leave identifiers of some types out of a profile."""
    changes: dict[str, tuple[Hashable, ...]] = {_FIELDS[kind]: () for kind in kinds if kind in _FIELDS}
    if profile.documents and not kinds.isdisjoint(DOCUMENT_TYPES):
        changes["documents"] = tuple(one for one in profile.documents if one[0] not in kinds)
    return replace(profile, **changes) if changes else profile
