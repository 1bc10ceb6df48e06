"""Search by attributes, as if a record with them had come in; store nothing.

Many searches are answered together: one read of the store, one scoring.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from goldenthread.graph.model import AttributeValue
from goldenthread.graph.store import Reader
from goldenthread.resolver.normalise import Profile, profile_of
from goldenthread.resolver.scoring import PairExplanation
from goldenthread.server.commands.prepare_record import keys_of_profile
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.sight import Sight

__all__ = ["Found", "Resolved", "Search", "resolve_record", "search_for"]

_CHUNK = 32


class Found(Struct, frozen=True):
    """An identity that may be the one asked for, with the record of it that matches best."""

    identity: bytes
    record: bytes
    explanation: PairExplanation


class Resolved(Struct, frozen=True):
    """The identity such a record would be linked to (empty: a new one), candidates best first, and the revision read."""

    identity: bytes
    candidates: Sequence[Found]
    revision: int


class Search(Struct, frozen=True):
    """What is searched for, at most how many candidates, and how probable each must be."""

    profile: Profile
    keys: tuple[bytes, ...]
    most: int
    min_probability: float


def search_for(tenant: Tenant, attributes: Sequence[AttributeValue], most: int, min_probability: float) -> Search:
    """Prepare a search: all of it that needs no store."""
    profile = profile_of(attributes, tenant.data_model.default_country)
    if tenant.guards.blocker is not None:
        profile = tenant.guards.blocker.cleaned(profile)
    identifiers, blocks = keys_of_profile(tenant, profile)
    return Search(profile, (*identifiers, *blocks), most, min_probability)


class _Ranked(Struct):
    """The records a search may mean, best first, as (weight, record), with the profile of each by its digest."""

    search: Search
    likely: list[tuple[int, bytes]]
    digest_of: dict[bytes, bytes]
    best: dict[bytes, Found]
    looked: int = 0

    @property
    def is_done(self) -> bool:
        return len(self.best) >= self.search.most or self.looked >= len(self.likely)


async def resolve_record(reader: Reader, tenant: Tenant, searches: Sequence[Search], sight: Sight) -> list[Resolved]:
    """Find who each search may be for, one candidate an identity, as if there were nobody whom the caller may not see."""
    model, scorer = tenant.match_model, tenant.scorer
    keys = list(dict.fromkeys(key for search in searches for key in search.keys))
    postings = {p.key: p.records for p in await reader.candidates(keys, model.generic_limit) if not p.is_generic}
    digests_of: list[dict[bytes, bytes]] = []
    for search in searches:
        digest_of: dict[bytes, bytes] = {}
        for key in search.keys:
            digest_of.update(postings.get(key, ()))
        digests_of.append(digest_of)
    wanted = list({pair: None for one in digests_of for pair in one.items()})
    profiles = await tenant.profiles_of(reader, wanted, with_members=False)
    ranked = _rank(tenant, searches, digests_of, profiles)
    # Identities hold a handful of records, so the first chunk nearly always holds candidates enough.
    while open_ones := [one for one in ranked if not one.is_done]:
        chunks = [[record for _, record in one.likely[one.looked : one.looked + _CHUNK]] for one in open_ones]
        identities = await reader.identities_of(list({record: None for chunk in chunks for record in chunk}))
        if not sight.sees_everybody:
            seen = await sight.identities(reader, sorted(set(identities.values())))
            identities = {record: identity for record, identity in identities.items() if identity in seen}
        for one, chunk in zip(open_ones, chunks, strict=True):
            one.looked += _CHUNK
            for record in chunk:
                identity = identities.get(record)
                if identity is None or identity in one.best or len(one.best) == one.search.most:
                    continue
                explanation = scorer.explain(one.search.profile, profiles[one.digest_of[record]])
                one.best[identity] = Found(identity, record, explanation)
    revision = reader.revision.number
    resolved = []
    for one in ranked:
        candidates = list(one.best.values())
        links = bool(candidates) and candidates[0].explanation.weight >= model.link_weight
        resolved.append(Resolved(candidates[0].identity if links else b"", candidates, revision))
    return resolved


def _rank(
    tenant: Tenant, searches: Sequence[Search], digests_of: Sequence[dict[bytes, bytes]], profiles: dict[bytes, Profile]
) -> list[_Ranked]:
    """Weigh every search against the profiles it may mean, all in one scoring."""
    scorer = tenant.scorer
    place = {digest: i for i, digest in enumerate(profiles)}
    wanted = [sorted({place[digest] for digest in one.values() if digest in place}) for one in digests_of]
    left = np.fromiter((i for places in wanted for i in places), np.int32)
    own = len(place) + np.arange(len(searches), dtype=np.int32)
    right = np.repeat(own, [len(places) for places in wanted])
    weights = scorer.weights([*profiles.values(), *(s.profile for s in searches)], left, right).tolist()
    ranked = []
    at = 0
    for search, places, digest_of in zip(searches, wanted, digests_of, strict=True):
        weight_of = dict(zip(places, weights[at : at + len(places)], strict=True))
        at += len(places)
        likely = [(weight_of[place[digest]], record) for record, digest in digest_of.items() if digest in place]
        likely = [pair for pair in likely if scorer.probability(pair[0]) >= search.min_probability]
        likely.sort(key=lambda pair: (-pair[0], pair[1]))
        ranked.append(_Ranked(search, likely, digest_of, {}))
    return ranked
