"""Read households: who is in them, in what role, and why they are one; and a person's households over time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import IntEnum

from msgspec import Struct

from goldenthread.graph.model import LIVE, EdgeKind, Node, NodeKind
from goldenthread.graph.store import Reader, StoredIdentity
from goldenthread.resolver.households import (
    LARGEST_LANDLINE,
    SAME_ADDRESS_AND_SURNAME,
    SHARED_LANDLINE,
    STATED_FAMILY,
    HouseholdKey,
    household_keys_of,
)
from goldenthread.resolver.normalise import Profile
from goldenthread.resolver.relationships import kinds_of
from goldenthread.server.commands.as_of import Moment, read_at
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.explore import cut_since, mask
from goldenthread.server.commands.families import FAMILY_BITS, families, families_of
from goldenthread.server.commands.identities import living
from goldenthread.server.commands.ids import now
from goldenthread.server.commands.prepare_record import household_key
from goldenthread.server.commands.relations import live_relates, relates
from goldenthread.server.commands.seen import place_after
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import InvalidField, NotFound
from goldenthread.server.sight import Sight

__all__ = [
    "HouseholdRole",
    "HouseholdRule",
    "HouseholdView",
    "Households",
    "MemberView",
    "Membership",
    "get_households",
    "list_households",
    "list_memberships",
]

_RECORDS_READ = 50
"""Records of one member that are read for roles and reasons."""
_PREDECESSORS = 10_000
_ADULT_YEARS = 18
_KINDS = (NodeKind.HOUSEHOLD, NodeKind.RELATION)
_UP, _DOWN = {"PARENT", "GUARDIAN"}, {"CHILD", "WARD"}


class HouseholdRule(IntEnum):
    """By which rule people are one household. Values equal those of the proto."""

    UNSPECIFIED = 0
    ADDRESS_AND_SURNAME = 1
    LANDLINE = 2
    STATED_FAMILY = 3


class HouseholdRole(IntEnum):
    """What somebody is in a household. Values equal those of the proto."""

    UNSPECIFIED = 0
    MEMBER = 1
    HEAD = 2
    CHILD = 3


_RULES = {
    SAME_ADDRESS_AND_SURNAME: HouseholdRule.ADDRESS_AND_SURNAME,
    SHARED_LANDLINE: HouseholdRule.LANDLINE,
    STATED_FAMILY: HouseholdRule.STATED_FAMILY,
}


class MemberView(Struct, frozen=True):
    """One member, what they are in the household, and why in words without personal data."""

    identity: bytes
    role: HouseholdRole
    because: str


class HouseholdView(Struct, frozen=True):
    """Identities that live together, the rule, why, and what they share, masked."""

    id: bytes
    rule: HouseholdRule
    reason: str
    shared: str
    members: Sequence[MemberView]


class Households(Struct, frozen=True):
    """Households, and whether something of those in them has been deleted since the past moment that is read."""

    views: Sequence[HouseholdView]
    was_cut: bool


class Membership(Struct, frozen=True):
    """That somebody was in a household, not alone, from one revision until another (0 while it lasts)."""

    household: bytes
    rule: HouseholdRule
    reason: str
    since: int
    until: int
    since_at: int
    until_at: int


class _Group(Struct, frozen=True):
    """A household as it is kept or stated, before anybody's sight."""

    id: bytes
    reason: str
    members: Sequence[bytes]


async def get_households(
    engine: Engine, tenant: Tenant, collection: str, id: bytes, moment: Moment | None, sight: Sight
) -> Households:
    """Read the households of an identity, or one household; alone is no household.

    Raises:
        NotFound: there is no such identity or household, or the caller may not see two of its members.
    """
    async with read_at(engine, tenant, moment) as reader:
        near: list[bytes] = []
        if collection == "households":
            groups = await _stored(reader, [id]) or await _stated(await families(reader, [id]))
        else:
            identity = (await living(reader, id)).identity
            if not await sight.identities(reader, [identity.id]):
                raise NotFound("identity")
            near = [identity.id, id]
            groups = await _stored(reader, identity.households)
            groups += await _stated(await families_of(reader, tenant, identity.records))
        views = await _views(reader, tenant, groups, sight, moment)
        near += [member.identity for view in views for member in view.members]
        is_cut = moment is not None and await cut_since(reader, (), near)
    if not views and collection == "households":
        raise NotFound("household")
    return Households(sorted(views, key=lambda view: (-len(view.members), view.id)), is_cut)


async def list_households(
    engine: Engine, tenant: Tenant, after: bytes, limit: int, moment: Moment | None, sight: Sight
) -> tuple[list[HouseholdView], bytes]:
    """Read a page of households, kept ones before stated families; the second value is where the next page starts.

    A page may hold fewer than asked for, even none, before the last.

    Raises:
        InvalidField: `after` is no such value.
    """
    kind, last = (NodeKind(after[0]), after[1:]) if after and after[0] in _KINDS else (NodeKind.HOUSEHOLD, b"")
    if after and (after[0] not in _KINDS or len(last) not in (0, 16)):
        raise InvalidField("page_token", "must be the next_page_token of the page before")
    async with read_at(engine, tenant, moment) as reader:
        where = {"min_records": 2} if kind is NodeKind.HOUSEHOLD else {}
        ids = await reader.page(kind, last, limit + 1, where)
        page = ids[:limit]
        groups = await (_stored(reader, page) if kind is NodeKind.HOUSEHOLD else _stated(await families(reader, page)))
        views = await _views(reader, tenant, groups, sight, moment)
    if len(ids) > limit:
        following = bytes([kind]) + place_after(ids, limit, {view.id for view in views})
    else:
        following = bytes([NodeKind.RELATION]) if kind is NodeKind.HOUSEHOLD and relates(tenant) else b""
    return sorted(views, key=lambda view: view.id), following


async def list_memberships(engine: Engine, tenant: Tenant, id: bytes, moment: Moment | None, sight: Sight) -> list[Membership]:
    """List the households that a person was in over time, not alone, the latest first.

    What those identities were in that became this one counts too.

    Raises:
        NotFound: there is no such identity.
    """
    async with read_at(engine, tenant, moment) as reader:
        identity = (await living(reader, id)).identity
        if not await sight.identities(reader, [identity.id]):
            raise NotFound("identity")
        own = await _predecessors(reader, identity.id)
        households = {edge.target for edge in await reader.history(sorted(own), frozenset({EdgeKind.MEMBER_OF}))}
        everybody = await reader.history(sorted(households), frozenset({EdgeKind.MEMBER_OF})) if households else []
        seen = await sight.identities(reader, sorted({edge.source for edge in everybody}))
        mine: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
        others: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
        for edge in everybody:
            if edge.source in own or edge.source in seen:
                (mine if edge.source in own else others)[edge.target].append((edge.recorded_from, edge.recorded_to))
        spans = {household: _both(_joined(mine[household]), _joined(others[household])) for household in mine}
        nodes = await reader.nodes(sorted(spans))
        reasons = {id: str(node.properties["reason"]) for id, node in nodes.items() if node.kind is NodeKind.HOUSEHOLD}
        for family, span in (await _family_spans(reader, tenant, identity, sight)).items():
            spans[family], reasons[family] = span, STATED_FAMILY
        numbers = {end for span in spans.values() for pair in span for end in pair if end != LIVE}
        times = await reader.commit_times(sorted(numbers))
    found = [
        Membership(
            household,
            _RULES.get(reasons.get(household, ""), HouseholdRule.UNSPECIFIED),
            reasons.get(household, ""),
            since,
            0 if until == LIVE else until,
            times.get(since, 0),
            times.get(until, 0),
        )
        for household, span in spans.items()
        for since, until in span
    ]
    return sorted(found, key=lambda one: (-one.since, one.household))


async def _stored(reader: Reader, ids: Sequence[bytes]) -> list[_Group]:
    """Read households that are kept, without offices: so many on one landline live together nowhere."""
    found: Mapping[bytes, tuple[Node, Sequence[bytes]]] = await reader.households(ids) if ids else {}
    groups = [_Group(id, str(node.properties["reason"]), sorted(members)) for id, (node, members) in found.items()]
    return [group for group in groups if group.reason != SHARED_LANDLINE or len(group.members) <= LARGEST_LANDLINE]


async def _stated(found: Mapping[bytes, Sequence[bytes]]) -> list[_Group]:
    return [_Group(id, STATED_FAMILY, members) for id, members in found.items()]


async def _views(
    reader: Reader, tenant: Tenant, groups: Sequence[_Group], sight: Sight, moment: Moment | None
) -> list[HouseholdView]:
    """Say who of each household the caller may see, in what role, and what they share; of fewer than two there is none."""
    everybody = sorted({identity for group in groups for identity in group.members})
    seen = await sight.identities(reader, everybody) if everybody else frozenset[bytes]()
    shown = [(group, members) for group in groups if len(members := [m for m in group.members if m in seen]) > 1]
    stored = await reader.identities(sorted({member for _, members in shown for member in members})) if shown else {}
    records = {id: identity.records[:_RECORDS_READ] for id, identity in stored.items()}
    states = await reader.records([record for own in records.values() for record in own]) if records else {}
    profiles: dict[bytes, list[Profile]] = defaultdict(list)
    members_of = await tenant.members_of(states.values())
    for identity, own in records.items():
        profiles[identity] = [members_of[record].profile for record in own if record in members_of]
    identity_of = {state.record.id: state.identity for state in states.values()}
    aliases = {state.record.alias: state.identity for state in states.values() if state.record.alias is not None}
    parents: set[tuple[bytes, bytes]] = set()
    if states and relates(tenant):
        for edge in await live_relates(reader, sorted(states)):
            one, other = identity_of.get(edge.source), aliases.get(edge.target)
            names = {kind.name for kind in kinds_of(edge.weight)}
            if one is not None and other is not None and one != other:
                parents |= {(other, one)} if names & _UP else set()
                parents |= {(one, other)} if names & _DOWN else set()
    today = (moment.time or reader.revision.at) if moment is not None else now()
    return [
        HouseholdView(
            group.id,
            _RULES.get(group.reason, HouseholdRule.UNSPECIFIED),
            group.reason,
            _shared(tenant, group.id, (profile for member in members for profile in profiles[member])),
            _roles(members, profiles, parents, today),
        )
        for group, members in shown
    ]


def _shared(tenant: Tenant, household: bytes, profiles: Iterable[Profile]) -> str:
    """Say what members share, masked; nothing when no record read has it, as in a family that is stated."""
    for profile in profiles:
        for key in household_keys_of(profile):
            if household_key(tenant, key) == household:
                return _masked(key)
    return ""


def _masked(key: HouseholdKey) -> str:
    return mask(key.shared, key.shared_text)


def _roles(
    members: Sequence[bytes], profiles: Mapping[bytes, Sequence[Profile]], parents: set[tuple[bytes, bytes]], at: int
) -> list[MemberView]:
    """Give roles that are stated or clear: a child by what records state or by age, a head where one alone has children."""
    within = set(members)
    above = {parent for parent, child in parents if parent in within and child in within}
    stated = {child for parent, child in parents if parent in within and child in within}
    young = {member for member in members if _is_minor(profiles[member], at)}
    heads = above - stated - young
    views = []
    for member in members:
        if member in stated:
            views.append(MemberView(member, HouseholdRole.CHILD, "records state a parent in this household"))
        elif member in young:
            views.append(MemberView(member, HouseholdRole.CHILD, f"the birth date is less than {_ADULT_YEARS} years ago"))
        elif heads == {member}:
            views.append(MemberView(member, HouseholdRole.HEAD, "the only one with children in this household"))
        else:
            views.append(MemberView(member, HouseholdRole.MEMBER, ""))
    return views


def _is_minor(profiles: Sequence[Profile], at: int) -> bool:
    """Say whether every birth date that is known, to the day, is that of a minor."""
    dates = {date for profile in profiles for date in profile.birth_dates}
    today = datetime.fromtimestamp(at / 1_000_000, UTC).date()
    adult_since = f"{today.year - _ADULT_YEARS:04d}-{today.month:02d}-{today.day:02d}"
    return bool(dates) and all("00" not in date.split("-") and date > adult_since for date in dates)


async def _predecessors(reader: Reader, id: bytes) -> set[bytes]:
    """Find the identities that became this one, and itself."""
    found, frontier = {id}, [id]
    while frontier and len(found) < _PREDECESSORS:
        edges = await reader.history(frontier, frozenset({EdgeKind.SUPERSEDED_BY}))
        frontier = sorted({edge.source for edge in edges if edge.target in frontier} - found)
        found.update(frontier)
    return found


async def _family_spans(
    reader: Reader, tenant: Tenant, identity: StoredIdentity, sight: Sight
) -> dict[bytes, list[tuple[int, int]]]:
    """Say when records stated families with others whom the caller may see: theirs of others, and others' of them."""
    if not relates(tenant):
        return {}
    kinds = frozenset({EdgeKind.RELATES})
    states = await reader.records(identity.records)
    own = {state.record.alias for state in states.values() if state.record.alias is not None}
    around = await reader.history([*identity.records, *sorted(own)], kinds)
    hubs = sorted({edge.target for edge in around if edge.weight & FAMILY_BITS})
    edges = [edge for edge in await reader.history(hubs, kinds) if edge.weight & FAMILY_BITS] if hubs else []
    stating = await reader.identities_of(sorted({edge.source for edge in edges}))
    named = await reader.records_by_alias(hubs)
    people = {*stating.values(), *(state.identity for state in named.values() if state.identity is not None)}
    seen = await sight.identities(reader, sorted(people - {identity.id}))
    mine: dict[bytes, list[tuple[int, int]]] = {hub: [(0, LIVE)] if hub in own else [] for hub in hubs}
    others: dict[bytes, list[tuple[int, int]]] = {
        hub: [(0, LIVE)] if hub in named and named[hub].identity in seen else [] for hub in hubs
    }
    for edge in edges:
        who = stating.get(edge.source)
        if who == identity.id or who in seen:
            (mine if who == identity.id else others)[edge.target].append((edge.recorded_from, edge.recorded_to))
    return {hub: _both(_joined(mine[hub]), _joined(others[hub])) for hub in hubs}


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join spans that touch."""
    joined: list[tuple[int, int]] = []
    for since, until in sorted(spans):
        if joined and since <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(until, joined[-1][1]))
        else:
            joined.append((since, until))
    return joined


def _both(one: Sequence[tuple[int, int]], other: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Find when both hold."""
    found = [(max(a, c), min(b, d)) for a, b in one for c, d in other]
    return sorted(span for span in found if span[0] < span[1])
