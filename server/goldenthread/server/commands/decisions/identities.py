"""Merge and split identities by a steward's decision, fixed to the records they have when it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from goldenthread.graph.store import Reader, StoredIdentity
from goldenthread.server.commands.decisions.effects import Decided, Planned, carry_out, effect_of
from goldenthread.server.commands.decisions.kept import DecisionTerms, Made, make
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.idempotency import Request
from goldenthread.server.commands.identities import living_seen
from goldenthread.server.commands.linking import Change, Linked, relink
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import FailedPrecondition, InvalidField, NotFound
from goldenthread.server.sight import Sight

__all__ = [
    "check_apart",
    "check_together",
    "identities_of",
    "link_again",
    "merge_identities",
    "plan_made",
    "split_identity",
]


async def merge_identities(
    engine: Engine, tenant: Tenant, ids: Sequence[bytes], terms: DecisionTerms, request: Request, sight: Sight, *, preview: bool
) -> Decided:
    """Make one identity of several.

    Raises:
        NotFound: one of them does not exist, or the caller may not see it.
        FailedPrecondition: they are one identity already, or a veto keeps them apart that the decision does not override.
    """

    async def plan(reader: Reader, at: int) -> Planned:
        found = [await living_seen(reader, sight, id) for id in dict.fromkeys(ids)]
        together = {identity.id: identity for identity in found}
        if len(together) < 2:
            raise FailedPrecondition("these are one identity already")
        first, *others = together.values()
        right = [record for identity in others for record in identity.records]
        made = make("merge", terms, first.records, right, reader.revision.number + 1, at)
        linked = await link_again(reader, tenant, made, at)
        check_together(linked, [*first.records, *right])
        return plan_made(tenant, made, linked, [*first.records, *right])

    return await carry_out(engine, tenant, plan, request, sight, preview=preview)


async def split_identity(
    engine: Engine,
    tenant: Tenant,
    id: bytes,
    records: Sequence[bytes],
    terms: DecisionTerms,
    request: Request,
    sight: Sight,
    *,
    preview: bool,
) -> Decided:
    """Keep records of an identity apart from its others.

    Raises:
        NotFound: there is no such identity, or the caller may not see it.
        InvalidField: a record is not one of its records, or all of them are named.
    """

    async def plan(reader: Reader, at: int) -> Planned:
        identity = (await reader.identities([id])).get(id)
        if identity is None or not await sight.identities(reader, [id]):
            raise NotFound("identity")
        off, rest = _sides(identity, records)
        made = make("split", terms, rest, off, reader.revision.number + 1, at)
        linked = await link_again(reader, tenant, made, at)
        check_apart(linked, rest, off)
        return plan_made(tenant, made, linked, identity.records)

    return await carry_out(engine, tenant, plan, request, sight, preview=preview)


def _sides(identity: StoredIdentity, records: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
    if not identity.records:
        raise FailedPrecondition("the identity was superseded; split the one it is now")
    off = set(records)
    if not off <= set(identity.records):
        raise InvalidField("records", "must all be records of the identity")
    rest = [record for record in identity.records if record not in off]
    if not rest:
        raise InvalidField("records", "must leave at least one record of the identity")
    return sorted(off), rest


async def link_again(reader: Reader, tenant: Tenant, made: Made, at: int) -> Linked:
    """Link again as if the decision were the latest."""
    return await relink(reader, tenant, Change(put_decisions=made.edges, made={made.node.id: made.node}), at)


def check_together(linked: Linked, records: Sequence[bytes]) -> None:
    """See that records are one identity.

    Raises:
        FailedPrecondition: a guard rail keeps some of them apart.
    """
    if len({linked.identity_of[record] for record in records if record in linked.identity_of}) > 1:
        raise FailedPrecondition(
            "a guard rail keeps some of their records apart; override it, or correct the values it is about"
        )


def check_apart(linked: Linked, left: Sequence[bytes], right: Sequence[bytes]) -> None:
    """See that records of two sides are not one identity.

    Raises:
        FailedPrecondition: some are.
    """
    sides = [{linked.identity_of[record] for record in side if record in linked.identity_of} for side in (left, right)]
    if sides[0] & sides[1]:
        raise FailedPrecondition("another decision holds some of these records together; undo that one first")


def plan_made(tenant: Tenant, made: Made, linked: Linked, records: Sequence[bytes], fields: Sequence[str] = ()) -> Planned:
    """Plan to keep a decision that was linked with."""
    decided = Decided(made.node.id, made.node.recorded_from, identities_of(linked, records), effect_of(linked))
    return Planned(lambda: made.put(tenant, linked.changes), decided, fields)


def identities_of(linked: Linked, records: Sequence[bytes]) -> list[tuple[bytes, Sequence[bytes]]]:
    """List the identities of records with all their records: those that were there before first, then by id."""
    wanted = dict.fromkeys(linked.identity_of[record] for record in records if record in linked.identity_of)
    groups: Mapping[bytes, list[bytes]] = {identity: [] for identity in wanted}
    for record, identity in sorted(linked.identity_of.items()):
        if identity in groups:
            groups[identity].append(record)
    known = set(linked.before.values())
    return sorted(groups.items(), key=lambda group: (group[0] not in known, -len(group[1]), group[0]))
