"""Find the pairs that a change makes or unmakes candidates, and with them the match edges that come and go.

A pair is a candidate when it shares a key that is not generic, judged on the state after the change. So a key that crosses the
limit, either way, has all its pairs judged again: the answer depends on what is stored, never on the order it came in.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from msgspec import Struct

from goldenthread.graph.model import Edge, EdgeKind
from goldenthread.graph.store import EdgeRef, Reader, Transaction
from goldenthread.resolver.normalise import Profile
from goldenthread.server.commands.deployment import Generation, keys_of
from goldenthread.server.commands.prepare_record import Member
from goldenthread.server.commands.tenants import Tenant

__all__ = ["Keyed", "Matching", "match_edges"]

Pair = tuple[bytes, bytes]
_NOBODY: Mapping[bytes, bytes] = {}


class Keyed(Struct):
    """A record whose candidate keys change: those it had, with the profile they were for, and those it has now."""

    record: bytes
    member: Member | None
    """None when the record is deleted."""
    before: Sequence[Edge]
    keys: Sequence[bytes]

    @property
    def had(self) -> set[bytes]:
        """Keys it had before."""
        return {edge.target for edge in self.before}


class Matching(Struct):
    """The match edges that come and go, and what was learned of the keys on the way."""

    put: list[Edge]
    end: list[EdgeRef]
    known_keys: set[bytes]
    """Keys among those asked for that are stored already."""


class _Keys:
    """Who hangs on each key, before the change and after it."""

    def __init__(self, reader: Reader, generation: Generation, changed: Sequence[Keyed]) -> None:
        self._reader, self._limit = reader, generation.model.generic_limit
        self._added: dict[bytes, dict[bytes, bytes]] = defaultdict(dict)
        self._removed: dict[bytes, set[bytes]] = defaultdict(set)
        for keyed in changed:
            for edge in keyed.before:
                self._removed[edge.target].add(keyed.record)
            if keyed.member is not None:
                for key in keyed.keys:
                    self._added[key][keyed.record] = keyed.member.digest
        self.stored: set[bytes] = set()
        self.was_generic: set[bytes] = set()
        self.before: dict[bytes, Mapping[bytes, bytes]] = {}
        self.after: dict[bytes, Mapping[bytes, bytes]] = {}
        """Records by key, with their profiles; only of keys that are not generic after the change."""

    @property
    def touched(self) -> list[bytes]:
        """Every key that the change names."""
        return list({**self._added, **self._removed})

    async def load(self, keys: Iterable[bytes]) -> None:
        """Learn the state of keys that were not asked for yet."""
        wanted = [key for key in dict.fromkeys(keys) if key not in self.before and key not in self.was_generic]
        if not wanted:
            return
        postings = {posting.key: posting for posting in await self._reader.candidates(wanted, self._limit)}
        # A generic key that loses records may stop being generic: read just enough more to know.
        losing = [key for key, posting in postings.items() if posting.is_generic and key in self._removed]
        freed: dict[bytes, dict[bytes, bytes]] = {}
        if losing:
            most = self._limit + max(len(self._removed[key]) for key in losing)
            found = await self._reader.candidates(losing, most)
            freed = {posting.key: dict(posting.records) for posting in found if not posting.is_generic}
        for key in wanted:
            added = self._added.get(key, _NOBODY)
            posting = postings.get(key)
            if posting is None:  # most keys of new records: nobody has had them
                self.before[key] = _NOBODY
                if len(added) <= self._limit or len(set(added.values())) <= self._limit:
                    self.after[key] = added
                continue
            self.stored.add(key)
            if not posting.is_generic:
                on = self.before[key] = dict(posting.records)
            else:
                self.was_generic.add(key)
                if key not in freed:
                    continue
                on = freed[key]
            removed = self._removed.get(key)
            if added or removed:
                on = {**on, **added}
                for record in removed or ():
                    if record not in added:
                        on.pop(record, None)
            if len(on) <= self._limit or len(set(on.values())) <= self._limit:
                self.after[key] = on

    def crossed_up(self) -> list[bytes]:
        """Keys that became generic."""
        return [key for key, on in self.before.items() if on and key not in self.after]

    def crossed_down(self) -> list[bytes]:
        """Keys that stopped being generic."""
        return [key for key in self.was_generic if key in self.after]


async def match_edges(reader: Transaction, tenant: Tenant, changed: Sequence[Keyed]) -> Matching:
    """Judge every pair that the change may touch, under the generation in use; see `Tenant.under` for another.

    Every key that a record has or had must be locked.
    """
    stored = {keyed.record for keyed in changed if keyed.before}
    changed = [Keyed(k.record, k.member, keys_of(tenant.generation, k.before), k.keys) if k.before else k for k in changed]
    keys = _Keys(reader, tenant.active, changed)
    await keys.load(keys.touched)
    digests: dict[bytes, bytes] = {}
    pairs: set[Pair] = set()
    fresh = {keyed.record for keyed in changed if keyed.member is not None}
    for keyed in changed:
        if keyed.member is None:
            continue
        for key in keyed.keys:
            on = keys.after.get(key)
            if on is not None and len(on) > 1:
                digests.update(on)
                pairs.update(_pair(keyed.record, other) for other in on if other != keyed.record)
    for key in keys.crossed_down():
        on = keys.after[key]
        digests.update(on)
        others = sorted(on)
        pairs.update((a, b) for i, a in enumerate(others) for b in others[i + 1 :])

    put = await _score(reader, tenant, changed, pairs, digests)
    wanted = {(edge.source, edge.target): edge.weight for edge in put}
    end: list[EdgeRef] = []
    kind = tenant.active.matches
    for edge in await reader.matches(sorted(stored), kind) if stored else ():
        pair = (edge.source, edge.target)
        if pair in wanted and wanted[pair] == edge.weight:
            del wanted[pair]
        else:
            end.append(EdgeRef(kind, *pair))
    end += await _no_longer_candidates(reader, tenant, keys, fresh | stored)
    put = [edge for edge in put if (edge.source, edge.target) in wanted]
    if tenant.copies:
        put += [Edge(EdgeKind.MATCHES, edge.source, edge.target, edge.weight) for edge in put]
        end += [EdgeRef(EdgeKind.MATCHES, ref.source, ref.target) for ref in end]
    return Matching(put, end, keys.stored)


async def _score(
    reader: Reader, tenant: Tenant, changed: Sequence[Keyed], pairs: set[Pair], digests: Mapping[bytes, bytes]
) -> list[Edge]:
    """Score the pairs; give an edge for each that is at least worth a review."""
    if not pairs:
        return []
    profiles: dict[bytes, Profile] = {k.member.digest: k.member.profile for k in changed if k.member is not None}
    unknown = [(record, digest) for record, digest in digests.items() if digest not in profiles]
    profiles.update(await tenant.profiles_of(reader, unknown))

    def weigh() -> list[Edge]:
        place = {digest: i for i, digest in enumerate(profiles)}
        # A pair whose record was shredded meanwhile has no profile and can't be a match.
        whole = [(a, b) for a, b in sorted(pairs) if digests[a] in place and digests[b] in place]
        left = np.array([place[digests[a]] for a, _ in whole], dtype=np.int32)
        right = np.array([place[digests[b]] for _, b in whole], dtype=np.int32)
        weights = tenant.scorer.weights(list(profiles.values()), left, right)
        kept = np.flatnonzero(weights >= tenant.match_model.review_weight).tolist()
        return [Edge(tenant.active.matches, whole[i][0], whole[i][1], int(weights[i])) for i in kept]

    return await asyncio.to_thread(weigh)


async def _no_longer_candidates(reader: Transaction, tenant: Tenant, keys: _Keys, judged: set[bytes]) -> list[EdgeRef]:
    """End the match edges that hung on nothing but keys that became generic; `judged` records were judged whole already."""
    crossed = keys.crossed_up()
    if not crossed:
        return []
    records = {record for key in crossed for record in keys.before[key]} - judged
    edges = await reader.matches(sorted(records), tenant.active.matches)
    pairs = [(edge.source, edge.target) for edge in edges if edge.source in records and edge.target in records]
    if not pairs:
        return []
    ends = sorted({record for pair in pairs for record in pair})
    stored = await reader.keys(ends)
    own = {record: {edge.target for edge in keys_of(tenant.generation, edges)} for record, edges in stored.items()}
    shared = {pair: own[pair[0]] & own[pair[1]] for pair in pairs}
    # Locked, for where two writers each make one of two keys generic, each must not count on the other's.
    others = sorted({key for of in shared.values() for key in of})
    await reader.lock(others)
    await keys.load(others)
    return [EdgeRef(tenant.active.matches, *pair) for pair, of in shared.items() if not any(key in keys.after for key in of)]


def _pair(a: bytes, b: bytes) -> Pair:
    return (a, b) if a < b else (b, a)
