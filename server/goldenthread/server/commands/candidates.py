"""Find the pairs that a change makes or unmakes candidates, and with them the match edges that come and go.

A pair is a candidate when it shares a key that is not generic, judged on the state after the change. So a key that crosses the
limit, either way, has all its pairs judged again: the answer depends on what is stored, never on the order it came in.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product

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
        freed: dict[bytes, Mapping[bytes, bytes]] = {}
        if losing:
            most = self._limit + max(len(self._removed[key]) for key in losing)
            found = await self._reader.candidates(losing, most)
            freed = {posting.key: posting.records for posting in found if not posting.is_generic}
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
                on = self.before[key] = posting.records
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
    groups = _Groups(keys, changed)
    known: dict[bytes, Profile] = {k.member.digest: k.member.profile for k in changed if k.member is not None}
    weigher = _Weigher(reader, tenant, known, groups.digests)
    own = await weigher.weigh({(digest, digest) for digest in groups.repeated()})
    groups.stand_in({digest for (digest, _), weight in own.items() if weight >= tenant.match_model.link_weight})
    weights = await weigher.weigh(groups.profile_pairs())
    wanted = groups.pairs(weights, tenant.match_model.link_weight, tenant.match_model.review_weight)
    end: list[EdgeRef] = []
    kind = tenant.active.matches
    stored |= groups.judged_again
    for edge in await reader.matches(sorted(stored), kind) if stored else ():
        pair = (edge.source, edge.target)
        if wanted.get(pair) == edge.weight:
            del wanted[pair]
        else:
            end.append(EdgeRef(kind, *pair))
    end += await _no_longer_candidates(reader, tenant, keys, {keyed.record for keyed in changed} | groups.judged_again)
    put = [Edge(kind, *pair, weight) for pair, weight in sorted(wanted.items())]
    if tenant.copies:
        put += [Edge(EdgeKind.MATCHES, edge.source, edge.target, edge.weight) for edge in put]
        end += [EdgeRef(EdgeKind.MATCHES, ref.source, ref.target) for ref in end]
    return Matching(put, end, keys.stored)


class _Groups:
    """Records by profile, and which of them are paired.

    Records of one profile share all keys and match the same others alike. Where two of them are worth a link, the first stands
    in for all: only it is linked with other profiles, and with each of its own. So a thousand records of few profiles make few
    links, and hang together just as if each had every link.
    """

    def __init__(self, keys: _Keys, changed: Sequence[Keyed]) -> None:
        self._keys = keys
        self._fresh = {keyed.record for keyed in changed if keyed.member is not None}
        self._keys_of: dict[bytes, set[bytes]] = defaultdict(set)
        """Keys of each profile that a changed record has or had."""
        self._left = {edge.profile for keyed in changed for edge in keyed.before}
        for keyed in changed:
            for edge in keyed.before:
                self._keys_of[edge.profile].add(edge.target)
            if keyed.member is not None:
                self._keys_of[keyed.member.digest].update(keyed.keys)
        self.digests: dict[bytes, bytes] = {}
        """Profiles of all records that may be paired."""
        self._of: dict[bytes, list[bytes]] = {}
        for key in (*{key for of in self._keys_of.values() for key in of}, *keys.crossed_down()):
            self.digests.update(keys.after.get(key, _NOBODY))
        for record, digest in self.digests.items():
            self._of.setdefault(digest, []).append(record)
        self._meets: dict[bytes, set[bytes]] = {}
        self._stand_ins: set[bytes] = set()
        self.judged_again: set[bytes] = set()
        """Records that stay as they are, and whose pairs change because another stands in for them now."""

    def repeated(self) -> list[bytes]:
        """List the profiles that several records have or had: with one record it does not matter who stands in."""
        return [digest for digest, of in self._of.items() if len(of) > 1 or digest in self._left]

    def stand_in(self, profiles: set[bytes]) -> None:
        """Let the first record of each of these profiles stand in for the others; find those that this changes."""
        self._stand_ins = profiles
        for digest in profiles & self._keys_of.keys():
            keys = self._keys_of[digest]
            before = {record for key in keys for record, had in self._keys.before.get(key, _NOBODY).items() if had == digest}
            after = self._of.get(digest, ())
            if before and after and min(before) != min(after):
                self.judged_again.update(record for record in after if record not in self._fresh)

    def profile_pairs(self) -> set[Pair]:
        """List the pairs of profiles to weigh."""
        return {
            _pair(digest, other)
            for digest, _, others in self._judged()
            for other in others
            if digest != other or len(self._of[digest]) > 1
        }

    def pairs(self, weights: Mapping[Pair, int], link_weight: int, review_weight: int) -> dict[Pair, int]:
        """List the pairs of records that match, with their weights. Doubtful ones are listed all, for people to choose from."""
        found: dict[Pair, int] = {}
        for digest, records, others in self._judged():
            for other in others:
                weight = weights.get(_pair(digest, other))
                if weight is None or weight < review_weight:
                    continue
                pairs: Iterable[Pair]
                if weight < link_weight:
                    pairs = product(records, self._of[other])
                elif digest == other:
                    pairs = self._own_pairs(digest, records)
                else:
                    pairs = product(records & self._standing(digest), self._standing(other))
                for one, two in pairs:
                    if one != two:
                        found[_pair(one, two)] = weight
        return found

    def _judged(self) -> Iterator[tuple[bytes, set[bytes], set[bytes]]]:
        """Give the records that are judged, by profile, with the profiles that theirs shares a key with, itself among them."""
        judged = self._fresh | self.judged_again
        for digest, keys in self._keys_of.items():
            mine = {record for record in self._of.get(digest, ()) if record in judged}
            if mine:
                if digest not in self._meets:
                    self._meets[digest] = self._profiles_on(keys)
                yield digest, mine, self._meets[digest]
        for key in self._keys.crossed_down():
            profiles = self._profiles_on([key])
            for digest in profiles:
                yield digest, set(self._of[digest]), profiles

    def _profiles_on(self, keys: Iterable[bytes]) -> set[bytes]:
        return set().union(*(self._keys.after.get(key, _NOBODY).values() for key in keys))

    def _standing(self, digest: bytes) -> set[bytes]:
        records = self._of[digest]
        return {min(records)} if digest in self._stand_ins else set(records)

    def _own_pairs(self, digest: bytes, records: set[bytes]) -> Iterable[Pair]:
        """Pair the record that stands in for a profile with the others of it, where any of them is judged."""
        standing = self._standing(digest)
        return product(standing, self._of[digest] if records & standing else records)


class _Weigher:
    """Weigh pairs of profiles, each once."""

    def __init__(self, reader: Reader, tenant: Tenant, known: Mapping[bytes, Profile], records: Mapping[bytes, bytes]) -> None:
        self._reader, self._tenant = reader, tenant
        self._profiles = dict(known)
        self._record_of = {digest: record for record, digest in records.items()}

    async def weigh(self, pairs: set[Pair]) -> dict[Pair, int]:
        """Weigh pairs of digests; one whose record was shredded meanwhile has no profile, and its pairs no weight."""
        if not pairs:
            return {}
        wanted = {digest for pair in pairs for digest in pair} - self._profiles.keys()
        if wanted:
            unknown = [(self._record_of[digest], digest) for digest in wanted]
            self._profiles.update(await self._tenant.profiles_of(self._reader, unknown))

        def weigh() -> dict[Pair, int]:
            place = {digest: i for i, digest in enumerate(self._profiles)}
            whole = sorted(pair for pair in pairs if pair[0] in place and pair[1] in place)
            left = np.array([place[a] for a, _ in whole], dtype=np.int32)
            right = np.array([place[b] for _, b in whole], dtype=np.int32)
            weights = self._tenant.scorer.weights(list(self._profiles.values()), left, right)
            return dict(zip(whole, weights.tolist(), strict=True))

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
