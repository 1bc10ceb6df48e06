"""Make a decision about records: that they are one, or not; that a person is not of a household; which value is right."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from goldenthread.graph.model import AttributeValue
from goldenthread.graph.store import Reader
from goldenthread.server.commands.decisions.effects import Decided, Effect, IdentityEffect, Planned, carry_out
from goldenthread.server.commands.decisions.identities import (
    check_apart,
    check_together,
    link_again,
    plan_made,
)
from goldenthread.server.commands.decisions.kept import DecisionTerms, make
from goldenthread.server.commands.decisions.pins import pin_digest
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.families import families_of
from goldenthread.server.commands.idempotency import Request
from goldenthread.server.commands.identities import living_seen
from goldenthread.server.commands.seen import hidden_records
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import InvalidField, NotFound
from goldenthread.server.sight import Sight

__all__ = ["CannotLink", "MustLink", "NotHousehold", "PinnedValue", "Ruled", "create_decision", "plan_link"]

Named = tuple[str, bytes]
"""A collection, `records` or `identities`, and an id in it."""


class MustLink(Struct, frozen=True):
    """Records, or all of identities, that are one person."""

    left: Sequence[Named]
    right: Sequence[Named]


class CannotLink(Struct, frozen=True):
    """Records, or all of identities: none of left is one person with any of right."""

    left: Sequence[Named]
    right: Sequence[Named]


class NotHousehold(Struct, frozen=True):
    """A person who is not of a household."""

    identity: bytes
    household: bytes


class PinnedValue(Struct, frozen=True):
    """The value of an attribute that a record has and that is the right one; None when it has just one."""

    record: bytes
    attribute: str
    value: AttributeValue | None


Ruled = MustLink | CannotLink | NotHousehold | PinnedValue


async def create_decision(
    engine: Engine, tenant: Tenant, ruled: Ruled, terms: DecisionTerms, request: Request, sight: Sight, *, preview: bool
) -> Decided:
    """Make a decision, and resolve again whoever it speaks of.

    Raises:
        NotFound: a record, identity or household that it names does not exist, or the caller may not see whose it is.
        InvalidField: its two sides share a record; the identity is not of the household; the record has no such value.
        FailedPrecondition: a veto keeps the records apart that the decision does not override.
    """

    async def plan(reader: Reader, at: int) -> Planned:
        match ruled:
            case MustLink() | CannotLink():
                return await plan_link(reader, tenant, ruled, terms, at, sight)
            case NotHousehold():
                return await _plan_not_household(reader, tenant, ruled, terms, at, sight)
            case PinnedValue():
                return await _plan_pin(reader, tenant, ruled, terms, at, sight)

    return await carry_out(engine, tenant, plan, request, sight, preview=preview)


async def plan_link(
    reader: Reader, tenant: Tenant, ruled: MustLink | CannotLink, terms: DecisionTerms, at: int, sight: Sight
) -> Planned:
    """Plan a decision that records are one person, or that they are not.

    Raises as `create_decision` does.
    """
    left, right = await _records(reader, sight, ruled.left), await _records(reader, sight, ruled.right)
    if set(left) & set(right):
        raise InvalidField("right", "names a record that left names too; name it on one side")
    must = isinstance(ruled, MustLink)
    made = make("must_link" if must else "cannot_link", terms, left, right, reader.revision.number + 1, at)
    linked = await link_again(reader, tenant, made, at)
    if must:
        check_together(linked, [*left, *right])
    else:
        check_apart(linked, left, right)
    return plan_made(tenant, made, linked, [*left, *right])


async def _records(reader: Reader, sight: Sight, named: Sequence[Named]) -> list[bytes]:
    """Say which records names stand for."""
    records = dict.fromkeys(id for collection, id in named if collection == "records")
    identity_of = await reader.identities_of(list(records))
    if any(id not in identity_of for id in records) or await hidden_records(reader, sight, records):
        raise NotFound("record")
    for collection, id in named:
        if collection == "identities":
            records.update(dict.fromkeys((await living_seen(reader, sight, id)).records))
    return list(records)


async def _plan_not_household(
    reader: Reader, tenant: Tenant, ruled: NotHousehold, terms: DecisionTerms, at: int, sight: Sight
) -> Planned:
    identity = await living_seen(reader, sight, ruled.identity)
    if ruled.household not in {*identity.households, *await families_of(reader, tenant, identity.records)}:
        raise InvalidField("not_household.household", "must be a household that the identity lives in")
    revision = reader.revision.number + 1
    made = make("not_household", terms, identity.records, (), revision, at, household=ruled.household)
    linked = await link_again(reader, tenant, made, at)
    return plan_made(tenant, made, linked, identity.records)


async def _plan_pin(reader: Reader, tenant: Tenant, ruled: PinnedValue, terms: DecisionTerms, at: int, sight: Sight) -> Planned:
    state = (await reader.records([ruled.record])).get(ruled.record)
    if state is None or state.identity is None or not await sight.identities(reader, [state.identity]):
        raise NotFound("record")
    (content,) = await tenant.open_versions([state.version])
    held = [value for value in content.attributes if value.attribute == ruled.attribute] if content is not None else []
    wanted = held if ruled.value is None else [value for value in held if value.value == ruled.value.value]
    if not wanted:
        raise InvalidField("pin.value", "must be a value that the record has")
    if len({pin_digest(tenant, value) for value in wanted}) > 1:
        raise InvalidField("pin.value", "must be given, because the record has several of this attribute")
    revision = reader.revision.number + 1
    digest = pin_digest(tenant, wanted[0])
    made = make("pin", terms, [ruled.record], (), revision, at, attribute=ruled.attribute, value=digest)
    identity = (await reader.identities([state.identity]))[state.identity]
    planned = plan_made(tenant, made, await link_again(reader, tenant, made, at), [ruled.record], [ruled.attribute])
    return pinned(planned, identity.id, identity.records)


def pinned(planned: Planned, identity: bytes, records: Sequence[bytes]) -> Planned:
    """Say that a decision about a value concerns an identity though who is one stays."""
    decided = planned.decided
    effect = Effect([IdentityEffect(identity, "changed", records, records, (), (), (), ())], decided.effect.moves)
    planned.decided = Decided(decided.decision, decided.revision, decided.identities, effect)
    return planned
