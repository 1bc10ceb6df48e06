"""Explain why two records match, and how an identity came to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct

from goldenthread.graph.store import Reader, StoredIdentity
from goldenthread.resolver.scoring import PairExplanation
from goldenthread.server.commands.apart import Apart, what_keeps_apart
from goldenthread.server.commands.as_of import Moment, read_at
from goldenthread.server.commands.blocking_outcomes import RuleOutcome, blocking_outcomes
from goldenthread.server.commands.bridges import Bridges, find_bridges
from goldenthread.server.commands.decisions.kept import DecisionView, view_decisions
from goldenthread.server.commands.decisions.seen import check_decision_seen, seen_decisions
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.identities import living
from goldenthread.server.commands.linking import component_parts, cut_part, vetoes_of
from goldenthread.server.commands.prepare_record import Member
from goldenthread.server.commands.seen import hidden_records
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.commands.what_if import WouldBe, if_decision_undone, if_records_removed
from goldenthread.server.errors import InvalidField, NotFound
from goldenthread.server.sight import Sight

__all__ = ["IdentityExplained", "MatchExplained", "Step", "explain_identity", "explain_match"]


class MatchExplained(Struct, frozen=True):
    """Why two records match or do not."""

    records: tuple[bytes, bytes]
    explanation: PairExplanation
    same_identity: bool
    decisions: Sequence[DecisionView]
    rules: Sequence[RuleOutcome]
    apart: Apart | None
    """What keeps their identities apart; None when they are one."""
    was_cut: bool

    @property
    def shared_rules(self) -> list[str]:
        """What both have a key of, generic or not."""
        return sorted(rule.rule for rule in self.rules if rule.outcome in ("met", "generic"))


class Step(Struct, frozen=True):
    """Two groups of records joined, with the strongest match between them."""

    left: Sequence[bytes]
    right: Sequence[bytes]
    strongest: tuple[bytes, bytes]
    explanation: PairExplanation
    average: int
    by: str


class IdentityExplained(Struct, frozen=True):
    """How an identity came to be."""

    identity: StoredIdentity
    steps: Sequence[Step]
    decisions: Sequence[DecisionView]
    bridges: Bridges
    would_be: Sequence[WouldBe]


async def explain_match(
    engine: Engine, tenant: Tenant, left: tuple[str, bytes], right: tuple[str, bytes], moment: Moment | None, sight: Sight
) -> MatchExplained:
    """Explain two records, or the closest records of two identities; each side is its collection and id.

    Raises:
        NotFound: one side does not exist, or the caller may not see it.
        InvalidField: both sides are one record.
    """
    async with read_at(engine, tenant, moment) as reader:
        ours, theirs = await _records_of(reader, left), await _records_of(reader, right)
        states = await reader.records(sorted({*ours, *theirs}))
        whose = sorted({state.identity for state in states.values() if state.identity is not None})
        if len(await sight.identities(reader, whose)) < len(whose):
            raise NotFound("record")
        members = await tenant.members_of(states.values())
        a, b = _closest(tenant, members, ours, theirs)
        decisions = await view_decisions(reader, tenant, await reader.decisions([a, b]))
        decisions = await seen_decisions(reader, sight, decisions)
        rules = await blocking_outcomes(reader, tenant, members[a].profile, members[b].profile)
        identities = await reader.identities([id for id in {states[a].identity, states[b].identity} if id is not None])
        apart = None
        if len(identities) > 1:
            one, other = (identities[states[record].identity or b""].records for record in (a, b))
            members |= await tenant.members_of((await reader.records([*one, *other])).values())
            apart = await what_keeps_apart(reader, tenant, members, one, other)
    return MatchExplained(
        (a, b),
        tenant.scorer.explain(members[a].profile, members[b].profile),
        len(identities) == 1,
        decisions,
        rules,
        apart,
        any(identity.was_cut for identity in identities.values()),
    )


async def _records_of(reader: Reader, side: tuple[str, bytes]) -> Sequence[bytes]:
    collection, id = side
    return [id] if collection == "records" else (await living(reader, id)).identity.records


def _closest(
    tenant: Tenant, members: Mapping[bytes, Member], ours: Sequence[bytes], theirs: Sequence[bytes]
) -> tuple[bytes, bytes]:
    pairs = [(a, b) for a in ours for b in theirs if a != b and a in members and b in members]
    if not pairs and ours == theirs:
        raise InvalidField("right", "names the same single record as left; name another one")
    if not pairs:
        raise NotFound("record")
    place = {record: i for i, record in enumerate(members)}
    weights = tenant.scorer.weights(
        [member.profile for member in members.values()],
        np.array([place[a] for a, _ in pairs], dtype=np.int32),
        np.array([place[b] for _, b in pairs], dtype=np.int32),
    )
    return pairs[int(np.argmax(weights))]


async def explain_identity(
    engine: Engine,
    tenant: Tenant,
    id: bytes,
    moment: Moment | None,
    sight: Sight,
    *,
    without_records: Sequence[bytes] = (),
    without_decision: bytes = b"",
) -> IdentityExplained:
    """Replay the cutting of the identity's component: give the steps that joined its records, and what holds it together.

    Where it is asked for, also say who would be one without some of its records or without a decision.

    Raises:
        NotFound: there is no such identity, or decision, or the caller may not see it.
        InvalidField: a record to leave out is not one of the identity's.
        FailedPrecondition: the decision has ended.
    """
    would_be: Sequence[WouldBe] = ()
    async with read_at(engine, tenant, moment) as reader:
        identity = (await living(reader, id)).identity
        if not await sight.identities(reader, [identity.id]):
            raise NotFound("identity")
        parts = await component_parts(reader, tenant, identity.records)
        decisions = await view_decisions(reader, tenant, await reader.decisions(identity.records))
        decisions = await seen_decisions(reader, sight, decisions)
        if without_records:
            would_be = await if_records_removed(reader, tenant, identity.records, without_records)
        elif without_decision:
            await check_decision_seen(reader, sight, without_decision)
            would_be = await if_decision_undone(reader, tenant, identity.records, without_decision)
        would_be = await _seen_groups(reader, sight, would_be)
    wanted = set(identity.records)
    steps: list[Step] = []
    for part in parts:
        for step in cut_part(tenant, part, vetoes_of(tenant, part), explain=True).steps:
            left = [part.records[i] for i in step.left]
            right = [part.records[i] for i in step.right]
            if not wanted.issuperset(left):
                continue
            a, b = step.strongest
            explanation = tenant.scorer.explain(part.members[a].profile, part.members[b].profile)
            steps.append(Step(left, right, (part.records[a], part.records[b]), explanation, step.average, step.by))
    whole = next((part for part in parts if wanted.issubset(part.records)), None)
    bridges = await find_bridges(tenant, whole, identity.records) if whole is not None else Bridges((), is_cut=False)
    return IdentityExplained(identity, steps, decisions, bridges, would_be)


async def _seen_groups(reader: Reader, sight: Sight, groups: Sequence[WouldBe]) -> list[WouldBe]:
    """Leave out of what would be the records of whom the caller may not see, and such an identity's name."""
    if sight.sees_everybody:
        return list(groups)
    hidden = await hidden_records(reader, sight, (record for group in groups for record in group.records))
    named = [group.identity for group in groups if group.identity]
    seen = await sight.identities(reader, named) if named else frozenset[bytes]()
    shown = [
        WouldBe(group.identity if group.identity in seen else b"", [record for record in group.records if record not in hidden])
        for group in groups
    ]
    return [group for group in shown if group.records]
