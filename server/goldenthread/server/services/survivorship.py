"""Turn survivorship rules and golden records into messages, and messages into rules."""

from __future__ import annotations

from collections.abc import Iterable

from goldenthread.graph.model import Party, SemanticType
from goldenthread.resolver.golden import (
    Aggregate,
    AttributeGroup,
    Criterion,
    PurposeLimit,
    RecordCondition,
    SourcedValue,
    SourceTrust,
    SurvivorshipRule,
    SurvivorshipRules,
    Verifying,
)
from goldenthread.server.commands.golden_record import Golden
from goldenthread.server.commands.ids import name_of
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.services.translate import timestamp, value_to
from goldenthread.v1 import golden_record_service_pb2 as pb
from goldenthread.v1 import record_pb2

__all__ = ["golden_to", "rules_of", "rules_to"]


def golden_to(tenant: Tenant, golden: Golden) -> pb.GoldenRecord:
    """Write a golden record."""
    return pb.GoldenRecord(
        name=f"{name_of(tenant.name, 'identities', golden.identity.id)}/goldenRecord",
        attributes=[
            pb.GoldenAttribute(
                attribute=one.attribute,
                values=_values_to(tenant, one.values),
                rule=one.rule,
                losers=_values_to(tenant, one.losers),
                conflict=one.conflict,
            )
            for one in golden.attributes
        ],
        records=[name_of(tenant.name, "records", record) for record in golden.records],
    )


def _values_to(tenant: Tenant, found: Iterable[SourcedValue]) -> list[pb.SourcedValue]:
    return [
        pb.SourcedValue(
            value=value_to(one.value),
            record=name_of(tenant.name, "records", one.record) if one.record else "",
            source=one.source,
            party=record_pb2.Party.ValueType(one.party),
            observed_at=timestamp(one.observed_at) if one.record else None,
            because=one.because,
            record_count=one.records,
            stale=one.is_stale,
            decision=name_of(tenant.name, "decisions", one.decision) if one.decision else "",
        )
        for one in found
    ]


def rules_of(message: pb.SurvivorshipRules) -> SurvivorshipRules:
    """Read survivorship rules whose field rules hold."""
    return SurvivorshipRules(
        rules=tuple(_rule_of(rule) for rule in message.rules),
        groups=tuple(AttributeGroup(tuple(group.attributes)) for group in message.groups),
        purposes=tuple(
            PurposeLimit(
                limit.purpose,
                tuple(limit.forbidden_sources),
                tuple(map(Party, limit.forbidden_parties)),
                tuple(limit.forbidden_attributes),
            )
            for limit in message.purposes
        ),
        trust=_trust_of(message.trust),
        verifying=Verifying(tuple(message.verifying.sources), message.verifying.attribute, tuple(message.verifying.values)),
    )


def _rule_of(rule: pb.SurvivorshipRule) -> SurvivorshipRule:
    return SurvivorshipRule(
        name=rule.name,
        attributes=tuple(rule.attributes),
        types=tuple(map(SemanticType, rule.types)),
        purposes=tuple(rule.purposes),
        condition=RecordCondition(
            tuple(rule.condition.sources), tuple(map(Party, rule.condition.parties)), rule.condition.max_age_days
        ),
        criteria=tuple(map(Criterion, rule.criteria)),
        trust=_trust_of(rule.trust),
        stale_after_days=rule.stale_after_days,
        aggregate=Aggregate(rule.aggregate),
        latest=rule.latest,
    )


def _trust_of(messages: Iterable[pb.SourceTrust]) -> tuple[SourceTrust, ...]:
    return tuple(SourceTrust(one.source, one.trust) for one in messages)


def _trust_to(trust: Iterable[SourceTrust]) -> list[pb.SourceTrust]:
    return [pb.SourceTrust(source=one.source, trust=one.trust) for one in trust]


def rules_to(tenant: Tenant, rules: SurvivorshipRules) -> pb.SurvivorshipRules:
    """Write survivorship rules."""
    return pb.SurvivorshipRules(
        name=f"tenants/{tenant.name}/survivorshipRules",
        rules=[_rule_to(rule) for rule in rules.rules],
        groups=[pb.AttributeGroup(attributes=group.attributes) for group in rules.groups],
        purposes=[
            pb.PurposeLimit(
                purpose=limit.purpose,
                forbidden_sources=limit.forbidden_sources,
                forbidden_parties=[record_pb2.Party.ValueType(party) for party in limit.forbidden_parties],
                forbidden_attributes=limit.forbidden_attributes,
            )
            for limit in rules.purposes
        ],
        trust=_trust_to(rules.trust),
        verifying=_verifying_to(rules.verifying) if rules.verifying != Verifying() else None,
    )


def _verifying_to(verifying: Verifying) -> pb.Verifying:
    return pb.Verifying(sources=verifying.sources, attribute=verifying.attribute, values=verifying.values)


def _condition_to(condition: RecordCondition) -> pb.RecordCondition:
    return pb.RecordCondition(
        sources=condition.sources,
        parties=[record_pb2.Party.ValueType(party) for party in condition.parties],
        max_age_days=condition.max_age_days,
    )


def _rule_to(rule: SurvivorshipRule) -> pb.SurvivorshipRule:
    return pb.SurvivorshipRule(
        name=rule.name,
        attributes=rule.attributes,
        types=[record_pb2.SemanticType.ValueType(type) for type in rule.types],
        purposes=rule.purposes,
        condition=_condition_to(rule.condition) if rule.condition != RecordCondition() else None,
        criteria=[pb.Criterion.ValueType(criterion) for criterion in rule.criteria],
        trust=_trust_to(rule.trust),
        stale_after_days=rule.stale_after_days,
        aggregate=pb.Aggregate.ValueType(rule.aggregate),
        latest=rule.latest,
    )
