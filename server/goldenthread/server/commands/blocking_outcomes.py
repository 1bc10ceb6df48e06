"""Say which blocking rules and identifiers brought two records together, and which did not meet, and why."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from goldenthread.graph.store import Reader
from goldenthread.resolver.blocking import rule_keys
from goldenthread.resolver.normalise import Profile, identifiers
from goldenthread.server.commands.prepare_record import block_key, identifier_key
from goldenthread.server.commands.tenants import Tenant

__all__ = ["RuleOutcome", "blocking_outcomes"]

Outcome = Literal["met", "generic", "differs", "missing"]


class RuleOutcome(Struct, frozen=True):
    """What came of a rule, or of a type of identifier, for two records.

    `met`: they share a key. `generic`: every key they share is shared by too many to count. `differs`: both have keys, and
    none in common. `missing`: one of them lacks a value for it.
    """

    rule: str
    outcome: Outcome


async def blocking_outcomes(reader: Reader, tenant: Tenant, a: Profile, b: Profile) -> list[RuleOutcome]:
    """Compare the candidate keys of two profiles, rule by rule; types of identifiers that neither has are left out."""
    shared: dict[str, list[bytes]] = {}
    outcomes: dict[str, Outcome] = {}
    for rule in tenant.match_model.rules:
        ours, theirs = set(rule_keys(rule, a)), set(rule_keys(rule, b))
        outcomes[rule.name] = "differs" if ours and theirs else "missing"
        if ours & theirs:
            shared[rule.name] = [block_key(tenant.vault, tenant.generation, rule.name, text) for text in sorted(ours & theirs)]
    mine, yours = set(identifiers(a)), set(identifiers(b))
    for type in sorted({identifier.type for identifier in mine | yours}):
        name = type.name.lower()
        outcomes[name] = "differs" if all(any(i.type is type for i in side) for side in (mine, yours)) else "missing"
        if both := [identifier_key(tenant, identifier) for identifier in mine & yours if identifier.type is type]:
            shared[name] = both
    keys = [key for of_rule in shared.values() for key in of_rule]
    generic = {p.key for p in await reader.candidates(keys, tenant.match_model.generic_limit) if p.is_generic}
    for name, of_rule in shared.items():
        outcomes[name] = "generic" if generic.issuperset(of_rule) else "met"
    return [RuleOutcome(name, outcome) for name, outcome in outcomes.items()]
