"""Offer doubtful pairs to people: list, claim and skip them, and count them."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Sequence

from msgspec import Struct

from goldenthread.graph.store import ChangeSet, Reader, Transaction
from goldenthread.resolver.scoring import PairExplanation
from goldenthread.server.commands.apart import cuts_of
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.idempotency import Request, once
from goldenthread.server.commands.identities import living_seen
from goldenthread.server.commands.ids import now
from goldenthread.server.commands.labels import Answer, labels_of
from goldenthread.server.commands.linking import component_parts
from goldenthread.server.commands.review.doubts import Doubt, Doubts, Pair, Reason, find_doubts, weigh_doubts
from goldenthread.server.commands.review.standing import Hold, Standing, State, put_hold, read_standings, state_id
from goldenthread.server.commands.seen import hidden_records
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import FailedPrecondition, NotFound
from goldenthread.server.sight import Sight

__all__ = ["Filter", "Item", "Page", "ReviewQueue", "Stats"]

_RANKINGS = 8
"""Rankings of revisions that are remembered, so that the pages of a listing do not each make it again."""

_FRESH_SECONDS = 30.0
"""Age up to which a ranking serves claims, each pair of it looked at again; so who answers pair after pair does not wait."""

_AT_ONCE = 200
"""Pairs whose standing is read together while looking for one that is free."""


class Filter(Struct, frozen=True):
    """Which pairs to list; what is empty does not matter."""

    reasons: frozenset[Reason] = frozenset()
    states: frozenset[State] = frozenset()
    identity: bytes = b""
    min_value: float = 0.0


class Item(Struct, frozen=True):
    """A pair as somebody sees it: ids, levels and weights, and no values."""

    pair: Pair
    identities: tuple[bytes, bytes]
    doubt: Doubt | None
    kept_apart_by: str
    explanation: PairExplanation
    standing: Standing
    needs_second_opinion: bool


class Page(Struct, frozen=True):
    """A page of the queue; `after` is the place where the next one starts, 0 on the last."""

    items: Sequence[Item]
    revision: int
    after: int
    is_cut: bool


class Claimed(Struct, frozen=True):
    """What somebody has claimed, and the revision of it."""

    pairs: Sequence[Pair]
    revision: int


class Stats(Struct, frozen=True):
    """How much is in the queue, what it is worth, and what was answered."""

    states: dict[State, int]
    skipped: int
    reasons: dict[Reason, tuple[int, float]]
    is_cut: bool
    answers: dict[Answer, int]
    settled: int
    revision: int


class ReviewQueue:
    """Offer a tenant's doubtful pairs. Nothing is kept here but rankings, which can be made again.

    A pair of which a record belongs to somebody whom the caller may not see is not offered, listed, counted or found.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._rankings: OrderedDict[tuple[str, int], Doubts] = OrderedDict()
        self._latest: dict[str, tuple[float, Doubts]] = {}

    async def page(self, tenant: Tenant, actor: str, sight: Sight, start: tuple[int, int], limit: int, wanted: Filter) -> Page:
        """Read a page; it starts at a place of the ranking of a revision, 0 for the latest.

        Raises:
            NotFound: there is no such identity as the filter names, or the caller may not see it.
        """
        revision, place = start
        async with self._engine.reader(tenant, revision=revision or None) as reader:
            doubts = await self._ranking(reader, tenant)
        async with self._engine.reader(tenant) as reader:
            records = frozenset((await living_seen(reader, sight, wanted.identity)).records) if wanted.identity else None
            shown = await _shown(reader, sight, [doubt.pair for doubt in doubts.ranked[place:]])
            ranked = [(i, doubt) for i, doubt in enumerate(doubts.ranked) if i >= place and doubt.pair in shown]
            standings = await read_standings(reader, tenant, [doubt.pair for _, doubt in ranked], actor, now())
            kept = [
                (i, doubt)
                for i, doubt in ranked
                if doubt.value >= wanted.min_value
                and (not wanted.reasons or doubt.reason in wanted.reasons)
                and (not wanted.states or standings[doubt.pair].state in wanted.states)
                and standings[doubt.pair].state is not State.SETTLED
                and (records is None or not records.isdisjoint(doubt.pair))
            ]
            items = await self._items(reader, tenant, [doubt for _, doubt in kept[:limit]], standings)
        after = kept[limit][0] if len(kept) > limit else 0
        return Page(items, doubts.revision, after, doubts.is_cut)

    async def get(self, tenant: Tenant, pair: Pair, actor: str, sight: Sight) -> Item:
        """Read one pair as it stands, doubtful or not.

        Raises:
            NotFound: one of its records is gone, or the caller may not see whose it is.
        """
        (item,) = await self.get_all(tenant, [pair], actor, sight)
        return item

    async def get_all(self, tenant: Tenant, pairs: Sequence[Pair], actor: str, sight: Sight) -> list[Item]:
        """Read pairs as they stand.

        Raises:
            NotFound: a record of one is gone, or the caller may not see whose it is.
        """
        async with self._engine.reader(tenant) as reader:
            if len(await _shown(reader, sight, pairs)) < len(set(pairs)):
                raise NotFound("review item")
            doubts = await weigh_doubts(reader, tenant, pairs)
            standings = await read_standings(reader, tenant, pairs, actor, now())
            items = await self._items(reader, tenant, [doubts.get(pair) or pair for pair in pairs], standings)
        if len(items) < len(pairs):
            raise NotFound("review item")
        return items

    async def claim(
        self, tenant: Tenant, actor: str, sight: Sight, count: int, named: Sequence[Pair], request: Request
    ) -> Claimed:
        """Claim the named pairs, or else those worth most that may be offered to the caller.

        Raises:
            NotFound: a record of a named pair is gone, or the caller may not see whose it is.
            FailedPrecondition: a named pair was settled, or somebody else has claimed it.
        """
        if named:
            await self.get_all(tenant, named, actor, sight)
            ranked = list(named)
        else:
            ranked = await self._to_claim(tenant, actor, sight, count)
        seconds = self._engine.config.review_lease_seconds

        async def work(transaction: Transaction, at: int) -> Claimed:
            async def change() -> tuple[ChangeSet, Claimed]:
                changes = ChangeSet()
                chosen: list[Pair] = []
                for start in range(0, len(ranked), _AT_ONCE):
                    chunk = list(await _shown(transaction, sight, ranked[start : start + _AT_ONCE]))
                    standings = await read_standings(transaction, tenant, chunk, actor, at)
                    free = [pair for pair in chunk if named or standings[pair].is_offered()]
                    free = free if named else free[: count - len(chosen)]
                    await transaction.lock([state_id(tenant, pair) for pair in free])
                    # Read again under the locks: somebody else may have been quicker.
                    for pair, standing in (await read_standings(transaction, tenant, free, actor, at)).items():
                        if named:
                            _check_free(standing)
                        elif not standing.is_offered():
                            continue
                        chosen.append(pair)
                        until = at + int(seconds * 1_000_000)
                        put_hold(tenant, changes, pair, Hold(standing.caller, until, standing.hold.skipped_by))
                    if not named and len(chosen) == count:
                        break
                return changes, Claimed(chosen, transaction.revision.number + 1)

            return await once(transaction, tenant, request, at, Claimed, change)

        return await self._engine.write(tenant, work)

    async def _to_claim(self, tenant: Tenant, actor: str, sight: Sight, count: int) -> list[Pair]:
        """Choose pairs that may be offered, the worthiest first: by a ranking made just now if it still holds enough."""
        async with self._engine.reader(tenant) as reader:
            made, doubts = self._latest.get(tenant.name, (0.0, None))
            if doubts is not None and time.monotonic() - made < _FRESH_SECONDS:
                shown = await _shown(reader, sight, [doubt.pair for doubt in doubts.ranked])
                standings = await read_standings(reader, tenant, list(shown), actor, now())
                offered = [pair for pair, standing in standings.items() if standing.is_offered()][: count * 2]
                still = await weigh_doubts(reader, tenant, offered)
                chosen = [pair for pair in offered if pair in still]
                if len(chosen) >= count:
                    return chosen
            return list(await _shown(reader, sight, [doubt.pair for doubt in (await self._ranking(reader, tenant)).ranked]))

    async def skip(self, tenant: Tenant, pair: Pair, actor: str, sight: Sight, request: Request) -> int:
        """Leave a pair to others; return the revision.

        Raises:
            NotFound: one of its records is gone, or the caller may not see whose it is.
        """
        await self.get(tenant, pair, actor, sight)

        async def work(transaction: Transaction, at: int) -> Claimed:
            async def change() -> tuple[ChangeSet, Claimed]:
                changes = ChangeSet()
                await transaction.lock([state_id(tenant, pair)])
                standing = (await read_standings(transaction, tenant, [pair], actor, at))[pair]
                hold = standing.hold
                skipped = tuple(sorted({*hold.skipped_by, standing.caller}))
                is_theirs = standing.is_claimed and not standing.is_claimed_by_caller
                claim = (hold.claimed_by, hold.claimed_until) if is_theirs else (b"", 0)
                put_hold(tenant, changes, pair, Hold(*claim, skipped))
                return changes, Claimed([pair], transaction.revision.number + 1)

            return await once(transaction, tenant, request, at, Claimed, change)

        return (await self._engine.write(tenant, work)).revision

    async def stats(self, tenant: Tenant, actor: str, sight: Sight) -> Stats:
        """Count the queue and the answers."""
        async with self._engine.reader(tenant) as reader:
            doubts = await self._ranking(reader, tenant)
            shown = await _shown(reader, sight, [doubt.pair for doubt in doubts.ranked])
            standings = await read_standings(reader, tenant, list(shown), actor, now())
            labels = await labels_of(reader, tenant)
            told = await _shown(reader, sight, [(label.left, label.right) for label in labels])
        labels = [label for label in labels if (label.left, label.right) in told]
        reasons: dict[Reason, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
        for doubt in doubts.ranked:
            if doubt.pair not in shown:
                continue
            count, value = reasons[doubt.reason]
            reasons[doubt.reason] = (count + 1, value + doubt.value)
        return Stats(
            Counter(standing.state for standing in standings.values()),
            sum(standing.is_skipped_by_caller for standing in standings.values()),
            dict(reasons),
            doubts.is_cut,
            Counter(label.answer for label in labels),
            sum(bool(label.decision) for label in labels),
            doubts.revision,
        )

    async def _ranking(self, reader: Reader, tenant: Tenant) -> Doubts:
        key = (tenant.name, reader.revision.number)
        found = self._rankings.get(key)
        if found is None:
            found = await find_doubts(reader, tenant, self._engine.config.review_window)
            self._rankings[key] = found
            if tenant.name not in self._latest or self._latest[tenant.name][1].revision <= found.revision:
                self._latest[tenant.name] = (time.monotonic(), found)
            if len(self._rankings) > _RANKINGS:
                self._rankings.popitem(last=False)
        return found

    async def _items(
        self, reader: Reader, tenant: Tenant, wanted: Sequence[Doubt | Pair], standings: dict[Pair, Standing]
    ) -> list[Item]:
        """Tell of pairs what anybody may know; one whose record is gone is left out."""
        pairs = [one.pair if isinstance(one, Doubt) else one for one in wanted]
        states = await reader.records(sorted({record for pair in pairs for record in pair}))
        members = await tenant.members_of(states.values())
        apart = [one.pair for one in wanted if isinstance(one, Doubt) and one.reason is Reason.KEPT_APART]
        parts = await component_parts(reader, tenant, sorted({pair[0] for pair in apart})) if apart else []
        cuts = cuts_of(tenant, parts, apart)
        items = []
        for one, pair in zip(wanted, pairs, strict=True):
            left, right = pair
            if left not in members or right not in members:
                continue
            doubt = one if isinstance(one, Doubt) else None
            standing = standings[pair]
            threshold = self._engine.config.review_second_opinion_value
            items.append(
                Item(
                    pair,
                    (states[left].identity or b"", states[right].identity or b""),
                    doubt,
                    cuts[pair].by if pair in cuts else "",
                    tenant.scorer.explain(members[left].profile, members[right].profile),
                    standing,
                    standing.needs_second_opinion(doubt.value if doubt is not None else 0.0, threshold),
                )
            )
        return items


async def _shown(reader: Reader, sight: Sight, pairs: Sequence[Pair]) -> dict[Pair, None]:
    """Choose the pairs of which no record belongs to somebody whom the caller may not see, in their order."""
    hidden = await hidden_records(reader, sight, (record for pair in pairs for record in pair))
    return {pair: None for pair in pairs if hidden.isdisjoint(pair)}


def _check_free(standing: Standing) -> None:
    if standing.state is State.SETTLED:
        raise FailedPrecondition("the pair was answered; undo that first")
    if standing.is_claimed and not standing.is_claimed_by_caller:
        raise FailedPrecondition("somebody else has claimed the pair; wait until the claim ends")
