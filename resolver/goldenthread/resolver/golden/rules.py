"""Say how values survive, as data: rules over attribute groups, limits by purpose, and pins.

The first rule that covers a group, fits the purpose and admits a record that says something of it decides. A group that no rule
covers survives as the data model says of its first attribute.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum

from msgspec import Struct

from goldenthread.graph.model import (
    AttributeDefinition,
    AttributeValue,
    DataModel,
    Party,
    RecordContent,
    SemanticType,
    Survivorship,
)

__all__ = [
    "DAY",
    "DEFAULT_TRUST",
    "Aggregate",
    "AttributeGroup",
    "Criterion",
    "Pin",
    "PurposeLimit",
    "RecordCondition",
    "SourceTrust",
    "SurvivorshipRule",
    "SurvivorshipRules",
    "Verifying",
    "default_rule",
    "groups_of",
]

_T = SemanticType
DAY = 86_400_000_000
"""A day in microseconds."""
DEFAULT_TRUST = 50
"""Trust of a source that no rule speaks of."""

NAME_PARTS = (_T.GIVEN_NAME, _T.MIDDLE_NAME, _T.SURNAME, _T.NAME_SUFFIX)
ADDRESS_PARTS = (_T.STREET, _T.HOUSE_NUMBER, _T.UNIT, _T.CITY, _T.REGION, _T.POSTCODE, _T.COUNTRY)


class Criterion(IntEnum):
    """By what one value is better than another."""

    UNSPECIFIED = 0
    SOURCE_TRUST = 1
    RECENCY = 2
    FREQUENCY = 3
    COMPLETENESS = 4
    VERIFIED = 5
    LONGEST = 6
    SPECIFICITY = 7
    CLOSEST_PARTY = 8
    FRESHNESS = 9


class Aggregate(IntEnum):
    """How many values of an attribute survive, or what is made of them."""

    UNSPECIFIED = 0  # one or all, as the attribute's cardinality says
    BEST = 1
    UNION = 2
    MINIMUM = 3
    MAXIMUM = 4
    LATEST = 5


class SourceTrust(Struct, frozen=True):
    """How far a source is trusted, 0 to 100."""

    source: str
    trust: int


class RecordCondition(Struct, frozen=True):
    """Which records a rule admits: all that is said must hold; what is empty or 0 says nothing."""

    sources: tuple[str, ...] = ()
    parties: tuple[Party, ...] = ()
    max_age_days: int = 0

    def admits(self, content: RecordContent, at: int) -> bool:
        """Say whether a record may take part at a time in microseconds."""
        return (
            (not self.sources or content.source in self.sources)
            and (not self.parties or content.party in self.parties)
            and (not self.max_age_days or at - content.observed_at <= self.max_age_days * DAY)
        )


class SurvivorshipRule(Struct, frozen=True):
    """How the values of some attributes survive.

    It covers what `attributes` or `types` name; everything when both are empty. `purposes` empty is every purpose, and none.
    """

    name: str
    attributes: tuple[str, ...] = ()
    types: tuple[SemanticType, ...] = ()
    purposes: tuple[str, ...] = ()
    condition: RecordCondition = RecordCondition()
    criteria: tuple[Criterion, ...] = ()
    trust: tuple[SourceTrust, ...] = ()
    stale_after_days: int = 0
    aggregate: Aggregate = Aggregate.UNSPECIFIED
    latest: int = 0

    def covers(self, definitions: Collection[AttributeDefinition], purpose: str) -> bool:
        """Say whether it speaks of any of these attributes, for this purpose."""
        if self.purposes and purpose not in self.purposes:
            return False
        if not self.attributes and not self.types:
            return True
        return any(one.name in self.attributes or one.type in self.types for one in definitions)


class AttributeGroup(Struct, frozen=True):
    """Attributes that survive together, from one record."""

    attributes: tuple[str, ...]


class PurposeLimit(Struct, frozen=True):
    """A purpose that golden records are computed for, and what may not be used for it."""

    purpose: str
    forbidden_sources: tuple[str, ...] = ()
    forbidden_parties: tuple[Party, ...] = ()
    forbidden_attributes: tuple[str, ...] = ()

    def allows(self, content: RecordContent) -> bool:
        """Say whether a record may be used."""
        return content.source not in self.forbidden_sources and content.party not in self.forbidden_parties


class Verifying(Struct, frozen=True):
    """What verifies a record: its source, or one of `values` (without regard to case) in `attribute`."""

    sources: tuple[str, ...] = ()
    attribute: str = ""
    values: tuple[str, ...] = ()

    def verifies(self, content: RecordContent) -> bool:
        """Say whether a record is verified."""
        if content.source in self.sources:
            return True
        wanted = {value.casefold() for value in self.values}
        return bool(wanted) and any(
            isinstance(said.value, str) and said.attribute == self.attribute and said.value.strip().casefold() in wanted
            for said in content.attributes
        )


class SurvivorshipRules(Struct, frozen=True):
    """A tenant's rules, in the order in which they are tried."""

    rules: tuple[SurvivorshipRule, ...] = ()
    groups: tuple[AttributeGroup, ...] = ()
    purposes: tuple[PurposeLimit, ...] = ()
    trust: tuple[SourceTrust, ...] = ()
    verifying: Verifying = Verifying()

    @property
    def horizons(self) -> tuple[int, ...]:
        """List the ages in days at which what a record says counts otherwise, though nothing is said."""
        days = {age for rule in self.rules for age in (rule.condition.max_age_days, rule.stale_after_days)}
        return tuple(sorted(days - {0}))

    def limit(self, purpose: str) -> PurposeLimit | None:
        """Find what a purpose forbids; None when it is not known."""
        return next((limit for limit in self.purposes if limit.purpose == purpose), None)

    def trust_in(self, rule: SurvivorshipRule) -> dict[str, int]:
        """Say how far sources are trusted by a rule: what it says itself goes before what is said for all."""
        return {one.source: one.trust for one in (*self.trust, *rule.trust)}


class Pin(Struct, frozen=True):
    """A value that a steward pinned; of several for an attribute that a person has one of, the greatest revision counts."""

    value: AttributeValue
    decision: bytes
    revision: int = 0


_DEFAULTS: dict[Survivorship, tuple[Criterion, ...]] = {
    Survivorship.MOST_RECENT: (Criterion.RECENCY, Criterion.CLOSEST_PARTY, Criterion.FREQUENCY, Criterion.COMPLETENESS),
    Survivorship.MOST_FREQUENT: (Criterion.FREQUENCY, Criterion.RECENCY, Criterion.CLOSEST_PARTY, Criterion.COMPLETENESS),
    Survivorship.MOST_COMPLETE: (Criterion.COMPLETENESS, Criterion.FREQUENCY, Criterion.RECENCY, Criterion.CLOSEST_PARTY),
    Survivorship.CLOSEST_PARTY: (Criterion.CLOSEST_PARTY, Criterion.RECENCY, Criterion.FREQUENCY, Criterion.COMPLETENESS),
}


def default_rule(definition: AttributeDefinition) -> SurvivorshipRule:
    """Write the rule that a data model's attribute has by itself."""
    survivorship = definition.survivorship or Survivorship.MOST_RECENT
    return SurvivorshipRule(survivorship.name.lower(), criteria=_DEFAULTS[survivorship])


def groups_of(model: DataModel, declared: Collection[AttributeGroup], said: Collection[str]) -> list[list[AttributeDefinition]]:
    """List which of the attributes said survive together: declared groups, then the parts of a name and of each address."""
    definitions = [definition for definition in model.attributes if definition.name in said]
    groups: list[list[AttributeDefinition]] = []
    for group in declared:
        members = [definition for definition in definitions if definition.name in group.attributes]
        groups.append(members)
        definitions = [definition for definition in definitions if definition not in members]
    for types in (NAME_PARTS, ADDRESS_PARTS):
        parts = [definition for definition in definitions if definition.type in types]
        if len({part.type for part in parts}) < len(parts):
            # Several addresses: `billing_city` goes with `billing_street`, `shipping_city` does not.
            first_words: dict[str, list[AttributeDefinition]] = {}
            for part in parts:
                first_words.setdefault(part.name.replace(".", "_").replace("-", "_").split("_")[0], []).append(part)
            own = [group for group in first_words.values() if len({part.type for part in group}) > 1]
            rest = [part for group in first_words.values() if group not in own for part in group]
            groups += [*own, rest]
        else:
            groups.append(parts)
    return [group for group in groups if len(group) > 1]
