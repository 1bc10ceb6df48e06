"""Guard rails as data: what must never make two records one person, whatever their weight says.

Every guard has a name. A veto is stated as what records *claim* (see `vetoes`): two records that claim something of one subject
and agree on no value are kept apart. So a source without duplicates, two sources that never overlap, two government numbers and
two birth dates are all the same kind of thing.

A number or birth date is *verified* when a source that the guard rails name as verifying says it, and nothing else makes it so.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b

import msgspec
import yaml
from msgspec import Struct

from goldenthread.graph.model import DOCUMENT_TYPES, IDENTIFIER_TYPES, SemanticType
from goldenthread.resolver.blocked import BLOCKABLE, Blocker, blocked_text
from goldenthread.resolver.limits import PRIORITY, Limit, Limits, Weigh, held_values
from goldenthread.resolver.normalise import Profile
from goldenthread.resolver.vetoes import DUPLICATE_FREE, Claims, Subject, Vetoes

__all__ = ["GUARDS", "IDENTITY_SIZE", "BlockedValue", "GuardRails", "GuardRailsUnreadable", "Guards", "IdentifierLimit"]

NEVER_OVERLAP, GOVERNMENT_NUMBER, VERIFIED_BIRTH_DATE = "never_overlap", "government_number", "verified_birth_date"

IDENTITY_SIZE = "identity_size"
"""The guard that marks identities for review, and keeps nothing apart."""

GUARDS = {
    DUPLICATE_FREE: "two records of a source that holds nobody twice",
    NEVER_OVERLAP: "records of two sources that hold nobody in common",
    GOVERNMENT_NUMBER: "two different numbers of one type and issuer, where a person has only one",
    VERIFIED_BIRTH_DATE: "two different whole birth dates, both verified",
}
"""Every guard that keeps records apart, by its name, and what it keeps apart."""

_IDENTIFIERS = {kind.name.lower(): kind for kind in IDENTIFIER_TYPES}
_FORMAT = 1
_NO_CLAIMS: Claims = {}
_MOST_SOURCES = 1000
_MOST_BLOCKED = 10_000
_MOST_LIMITS = 100
_DAY = 86_400 * 1_000_000
_MOST_DAYS = 36_525


class GuardRailsUnreadable(ValueError):
    """The text is no guard rails, or of a later format; a retry does not help."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"The guard rails cannot be used ({problem}).")


class BlockedValue(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A value that stands for nobody, as a shop's own phone; where it is stored, a keyed digest in hexadecimal instead."""

    type: str
    value: str = ""
    digest: str = ""

    def __post_init__(self) -> None:
        """Check what types can't say.

        Raises:
            ValueError: what is wrong.
        """
        if self.type not in BLOCKABLE:
            raise ValueError(f"a value of this type can't be blocked: choose of {', '.join(sorted(BLOCKABLE))}")
        if bool(self.value.strip()) == bool(self.digest):
            raise ValueError("a blocked value needs either a value or a digest")


class IdentifierLimit(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """At most so many identifiers of a type an identity, within any so many days that they were observed in; 0 days: ever."""

    type: str
    most: int
    days: int = 0

    def __post_init__(self) -> None:
        """Check what types can't say.

        Raises:
            ValueError: what is wrong.
        """
        if self.type not in _IDENTIFIERS:
            raise ValueError(f"limits name a type that is no identifier: choose of {', '.join(sorted(_IDENTIFIERS))}")
        if self.most < 1:
            raise ValueError("a limit of identifiers is below 1")
        if not 0 <= self.days <= _MOST_DAYS:
            raise ValueError(f"a limit's days are not between 0 and {_MOST_DAYS}")


class GuardRails(Struct, frozen=True, forbid_unknown_fields=True):
    """What a user declares; equal content has an equal `version`.

    `duplicate_free` names sources that hold nobody twice, `never_overlap` sets of sources of which no two hold the same person.
    `verifying` names the sources whose birth dates and numbers are verified. `verified_numbers` are the types of which a person
    has one number an issuer: two different ones that are verified keep records apart; of `single_numbers` any two do.
    `blocked` values are nobody's: no evidence, no candidates, no identifiers. An identity of more than `max_records` records
    or `max_profiles` distinct profiles is marked for review, and stays as it is; 0 sets no limit.
    `limits` say how many identifiers of a type an identity may hold. Where one would break, identifiers of lower priority give
    way: `priority` names types, the one that gives way last first; those that it leaves out follow in the order of
    `limits.PRIORITY`.
    """

    duplicate_free: tuple[str, ...] = ()
    never_overlap: tuple[tuple[str, ...], ...] = ()
    verifying: tuple[str, ...] = ()
    verified_birth_dates: bool = True
    verified_numbers: tuple[str, ...] = ("national_id", "tax_id")
    single_numbers: tuple[str, ...] = ()
    format: int = _FORMAT

    blocked: tuple[BlockedValue, ...] = ()
    max_records: int = 0
    max_profiles: int = 0
    limits: tuple[IdentifierLimit, ...] = ()
    priority: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check what types can't say.

        Raises:
            ValueError: what is wrong.
        """
        if self.format != _FORMAT:
            raise ValueError(f"format {self.format} is not {_FORMAT}")
        for field in ("verified_numbers", "single_numbers"):
            for name in getattr(self, field):
                if _number_type(name) is None:
                    allowed = ", ".join(sorted(t.name.lower() for t in DOCUMENT_TYPES))
                    raise ValueError(f"{field} names a type that is no number: choose of {allowed}")
        for sources in self.never_overlap:
            if len(set(sources)) < 2:
                raise ValueError("a set of never_overlap names fewer than two sources")
        if self.max_records < 0 or self.max_profiles < 0:
            raise ValueError("a limit is below 0")
        if len(self.limits) > _MOST_LIMITS:
            raise ValueError(f"more than {_MOST_LIMITS} limits are set")
        if len({(limit.type, limit.days) for limit in self.limits}) < len(self.limits):
            raise ValueError("limits repeat a type with the same days")
        if not set(self.priority) <= _IDENTIFIERS.keys():
            raise ValueError(f"priority names a type that is no identifier: choose of {', '.join(sorted(_IDENTIFIERS))}")
        if len(set(self.priority)) < len(self.priority):
            raise ValueError("priority names a type twice")
        if len(self.blocked) > _MOST_BLOCKED:
            raise ValueError(f"more than {_MOST_BLOCKED} values are blocked")
        named = [*self.duplicate_free, *self.verifying, *(s for sources in self.never_overlap for s in sources)]
        if not all(named):
            raise ValueError("a source has no name")
        if len(named) > _MOST_SOURCES:
            raise ValueError(f"more than {_MOST_SOURCES} sources are named")

    @property
    def version(self) -> str:
        """Name the guard rails by their content: 16 hexadecimal digits."""
        return _version_of(self)

    def to_json(self) -> bytes:
        """Encode canonically."""
        return msgspec.json.encode(self)

    def to_yaml(self) -> str:
        """Write as the YAML that `read` reads."""
        return msgspec.yaml.encode(self).decode()

    @staticmethod
    def from_json(data: bytes) -> GuardRails:
        """Decode what `to_json` made."""
        return _decode(lambda: msgspec.json.decode(data, type=GuardRails))

    @staticmethod
    def read(text: str) -> GuardRails:
        """Read YAML, or JSON, which is YAML too.

        Raises:
            GuardRailsUnreadable: with the field that is wrong, and why.
        """
        return _decode(lambda: msgspec.yaml.decode(text or "{}", type=GuardRails))


def _decode(read: Callable[[], GuardRails]) -> GuardRails:
    try:
        return read()
    except msgspec.ValidationError as error:
        raise GuardRailsUnreadable(str(error)) from None
    except (msgspec.DecodeError, ValueError, yaml.YAMLError):
        raise GuardRailsUnreadable("it is no YAML of a mapping") from None


@lru_cache(64)
def _version_of(rails: GuardRails) -> str:
    return blake2b(rails.to_json(), digest_size=8).hexdigest()


def _number_type(name: str) -> SemanticType | None:
    return next((kind for kind in DOCUMENT_TYPES if kind.name.lower() == name), None)


def _types(names: Iterable[str]) -> frozenset[SemanticType]:
    return frozenset(kind for name in names if (kind := _number_type(name)) is not None)


class Guards:
    """Guard rails made ready to ask."""

    def __init__(self, rails: GuardRails, blocker: Blocker | None = None) -> None:
        self.rails = rails
        self.blocker = blocker
        """What takes blocked values away; None when nothing is blocked."""
        self.verifying = frozenset(rails.verifying)
        self.unique = {source: (DUPLICATE_FREE, source) for source in rails.duplicate_free}
        self.apart: dict[str, Claims] = {}
        """What a record of a source claims because of other sources with which its source does not overlap."""
        for sources in rails.never_overlap:
            subject = (NEVER_OVERLAP, ",".join(sorted(sources)))
            for source in sources:
                self.apart[source] = {**self.apart.get(source, _NO_CLAIMS), subject: frozenset({source})}
        self._single = _types(rails.single_numbers)
        self._verified = self._single | _types(rails.verified_numbers)
        self._named = {kind: kind.name.lower() for kind in self._verified}
        self.sources = frozenset({*self.apart, *self.unique})
        """Sources of which something is declared."""
        self.limits = tuple(
            Limit(f"{limit.type}_limit", _IDENTIFIERS[limit.type], limit.most, limit.days * _DAY)
            for limit in sorted(rails.limits, key=lambda limit: (limit.type, limit.days))
        )
        named = [_IDENTIFIERS[name] for name in rails.priority]
        self._giving_way = tuple(reversed([*named, *(kind for kind in PRIORITY if kind not in named)]))

    @staticmethod
    def in_the_clear(rails: GuardRails, default_country: str) -> Guards:
        """Make guard rails ready whose blocked values are written out, reading these as of a country.

        Raises:
            GuardRailsUnreadable: a blocked value is only known by its digest, or can't be read as its type.
        """
        if not rails.blocked:
            return Guards(rails)
        if any(one.digest for one in rails.blocked):
            raise GuardRailsUnreadable("blocked values are known by their digests alone; write them out")
        texts: dict[SemanticType, set[str]] = {}
        for place, one in enumerate(rails.blocked):
            kind = BLOCKABLE[one.type]
            text = blocked_text(kind, one.value, default_country)
            if text is None:
                raise GuardRailsUnreadable(f"blocked[{place}] can't be read as {one.type}")
            texts.setdefault(kind, set()).add(text)
        return Guards(rails, Blocker({kind: frozenset(of).__contains__ for kind, of in texts.items()}))

    @property
    def can_bar(self) -> bool:
        """Whether any record can claim anything."""
        return bool(self.sources or self._single or self.verifying)

    @property
    def names(self) -> tuple[str, ...]:
        """Every guard that may part identities: vetoes, and the limits that are set."""
        return (*GUARDS, *sorted({limit.guard for limit in self.limits}))

    @property
    def minds_time(self) -> bool:
        """Whether it matters when records were observed."""
        return any(limit.window for limit in self.limits)

    @property
    def limits_size(self) -> bool:
        """Whether identities are marked for review because of their size."""
        return bool(self.rails.max_records or self.rails.max_profiles)

    def is_too_large(self, records: int, profiles: int) -> bool:
        """Whether an identity of so many records and distinct profiles is to be marked for review."""
        return 0 < self.rails.max_records < records or 0 < self.rails.max_profiles < profiles

    def number_claims(self, documents: Sequence[tuple[int, str]], *, is_verified: bool) -> Claims:
        """Say what numbers claim."""
        types = self._verified if is_verified else self._single
        found: dict[Subject, set[Hashable]] = {}
        for kind, text in documents:
            if kind in types:
                issuer, _, number = text.partition("|")
                name = self._named[SemanticType(kind)]
                found.setdefault((GOVERNMENT_NUMBER, f"{name} {issuer}" if issuer else name), set()).add(number)
        return {subject: frozenset(values) for subject, values in found.items()}

    def date_claims(self, birth_dates: Sequence[str]) -> Claims:
        """Say what verified birth dates claim."""
        whole = frozenset(d for d in birth_dates if "00" not in (d[5:7], d[8:10])) if self.rails.verified_birth_dates else None
        return {(VERIFIED_BIRTH_DATE, "birth_date"): whole} if whole else _NO_CLAIMS

    def claims(self, source: str, profile: Profile, place: Hashable) -> Claims:
        """Say what a record claims; `place` tells it from every other record of its component."""
        found: Claims = _NO_CLAIMS
        is_verified = source in self.verifying
        if profile.documents and (self._single or is_verified):
            found = self.number_claims(profile.documents, is_verified=is_verified)
        if is_verified and profile.birth_dates:
            found = {**found, **self.date_claims(profile.birth_dates)}
        if source in self.sources:
            found = {**found, **self.apart.get(source, _NO_CLAIMS)}
            if source in self.unique:
                found = {**found, self.unique[source]: frozenset({place})}
        return found

    def vetoes(self, members: Iterable[tuple[str, Profile]]) -> Vetoes | None:
        """Say what the members of a component claim, given their sources and profiles; None when no two disagree."""
        if not self.can_bar:
            return None
        claims = [self.claims(source, profile, place) for place, (source, profile) in enumerate(members)]
        first: dict[Subject, frozenset[Hashable]] = {}
        for one in claims:
            for subject, values in one.items():
                if first.setdefault(subject, values) != values:
                    return Vetoes(claims)
        return None

    def held_to(self, profiles: Sequence[Profile], times: Sequence[int], weigh: Weigh) -> Limits | None:
        """Say what limits hold the members of a component, given when they were observed; None when it can't break any."""
        for limit in self.limits:
            if len({value for profile in profiles for value in held_values(limit.type, profile)}) > limit.most:
                return Limits(self.limits, self._giving_way, profiles, times, weigh)
        return None
