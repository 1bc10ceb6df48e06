"""Say which records are worth comparing: composite keys whose parts name something about a profile.

A pair is compared when its profiles share a key, or an identifier, that is not generic. A rule is a tuple of parts; its keys
are the conjunctions of the parts' values. The parts are a vocabulary: `PARTS` lists it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import product
from typing import Protocol

from msgspec import Struct

from goldenthread.resolver.normalise import Profile
from goldenthread.resolver.normalise.contacts import mailbox
from goldenthread.resolver.normalise.names import formal_names, phonetic
from goldenthread.resolver.normalise.profile import only_name
from goldenthread.resolver.normalise.text import CACHE_SIZE

__all__ = ["PARTS", "BlockingRule", "CandidateKey", "HasRules", "candidate_keys", "formal_name", "part_values", "rule_keys"]

MAX_KEYS_PER_RULE = 16
"""Conjunctions of a rule for one profile: a record of many names must not flood the index."""


class CandidateKey(Struct, frozen=True):
    """One composite key of a profile; profiles that share it are candidates."""

    rule: str
    text: str


class BlockingRule(Struct, frozen=True):
    """A conjunction of parts under a name that is stable within a model."""

    name: str
    parts: tuple[str, ...]


class HasRules(Protocol):
    """What blocking needs of a match model."""

    @property
    def rules(self) -> tuple[BlockingRule, ...]:
        """Rules in order."""
        ...


def _names(profile: Profile) -> Sequence[str]:
    return sorted({*profile.given, *profile.surname})


@lru_cache(CACHE_SIZE)
def formal_name(given: str) -> str:
    """Choose one formal name for a given name, so that a nickname and its name meet in one key."""
    forms = formal_names(given.split(" ")[0])
    return min(forms - {given}) if len(forms) == 2 else given.split(" ")[0]


def _years(profile: Profile) -> Sequence[str]:
    return [d[:4] for d in profile.birth_dates]


def _month_days(profile: Profile) -> Sequence[str]:
    # A day and month swapped make the same key.
    return ["".join(sorted((d[5:7], d[8:10]))) for d in profile.birth_dates if d[5:7] != "00" and d[8:10] != "00"]


def _whole_dates(profile: Profile) -> Sequence[str]:
    return [d for d in profile.birth_dates if not d.endswith("00")]


PARTS: dict[str, Callable[[Profile], Sequence[str]]] = {
    "given": lambda p: p.given,
    "given.formal": lambda p: [formal_name(g) for g in p.given],
    "given.sound": lambda p: [phonetic(g) for g in p.given],
    "given.initial": lambda p: [g[0] for g in p.given],
    "given.prefix": lambda p: [g[:3] for g in p.given],
    "surname": lambda p: p.surname,
    "surname.sound": lambda p: [phonetic(s) for s in p.surname],
    "surname.prefix": lambda p: [s[:4] for s in p.surname],
    "surname.initial": lambda p: [s[0] for s in p.surname],
    "surname.or_only": lambda p: p.surname or only_name(p),
    "surname.or_only.prefix": lambda p: [s[:4] for s in p.surname or only_name(p)],
    "name": _names,
    "name.words": lambda p: [" ".join(sorted(f"{g} {s}".split())) for g in p.given for s in p.surname],
    "middle": lambda p: p.middle,
    "middle.word": lambda p: sorted({w for m in p.middle for w in m.split() if len(w) > 1}),
    "birth_date": _whole_dates,
    "birth_year": _years,
    "birth_month_day": _month_days,
    "gender": lambda p: p.genders,
    "email.user": lambda p: [u for e in p.emails if len(u := mailbox(e)[0]) > 3],
    "email.domain": lambda p: [e.partition("@")[2] for e in p.emails],
    "email": lambda p: p.emails,
    "phone": lambda p: p.phones,
    "document": lambda p: [text for _, text in p.documents],
    "organisation": lambda p: p.organisations,
    "organisation.words": lambda p: [" ".join(sorted(o.split())) for o in p.organisations],
    "organisation.word": lambda p: sorted({max(o.split(), key=len) for o in p.organisations}),
    "organisation.prefix": lambda p: [o[:5] for o in p.organisations],
    "house": lambda p: [a[0] for a in p.addresses if a[0]],
    "street": lambda p: [a[1] for a in p.addresses if a[1]],
    "street.prefix": lambda p: [a[1][:5] for a in p.addresses if a[1]],
    "street.sound": lambda p: [phonetic(a[1]) for a in p.addresses if a[1]],
    "unit": lambda p: [a[2] for a in p.addresses if a[2]],
    "city": lambda p: [a[3] for a in p.addresses if a[3]],
    "postcode": lambda p: [a[5] for a in p.addresses if a[5]],
    "area": lambda p: [a[5] or a[3] for a in p.addresses if a[5] or a[3]],
}
"""Every part by its name; `other:` and a key names a text of the profile's `others`."""


def part_values(part: str, profile: Profile) -> Sequence[str]:
    """List a part's values for a profile; empty when the feature is missing."""
    if part.startswith("other:"):
        wanted = part.removeprefix("other:")
        return [text for key, text in profile.others if key == wanted]
    return PARTS[part](profile)


def rule_keys(rule: BlockingRule, profile: Profile) -> Sequence[str]:
    """List the texts of a rule's keys for a profile, distinct and in order."""
    if len(rule.parts) == 1:
        return sorted({v for v in part_values(rule.parts[0], profile) if v})[:MAX_KEYS_PER_RULE]
    columns: list[Sequence[str]] = []
    for part in rule.parts:
        values = part_values(part, profile)
        if not values:
            return ()
        columns.append(values)
    if all(len(c) == 1 for c in columns):
        parts = [c[0] for c in columns]
        return ("\x1f".join(parts),) if all(parts) else ()
    return sorted({"\x1f".join(parts) for parts in product(*columns) if all(parts)})[:MAX_KEYS_PER_RULE]


def candidate_keys(profile: Profile, model: HasRules) -> tuple[CandidateKey, ...]:
    """List a profile's composite keys under a model's rules, distinct; identifiers are keys too, added by the caller."""
    return tuple(CandidateKey(rule.name, text) for rule in model.rules for text in rule_keys(rule, profile))
