"""Search by attributes, as if a record with them had come in; store nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from goldenthread.graph.model import AttributeValue
from goldenthread.resolver.normalise import profile_of
from goldenthread.resolver.scoring import PairExplanation
from goldenthread.server.commands.as_of import Moment, read_at
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.prepare_record import keys_of_profile
from goldenthread.server.commands.tenants import Tenant

__all__ = ["Found", "Resolved", "resolve_record"]

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


async def resolve_record(
    engine: Engine,
    tenant: Tenant,
    attributes: Sequence[AttributeValue],
    most: int,
    min_probability: float,
    moment: Moment | None,
) -> Resolved:
    """Find who the attributes may belong to, one candidate an identity."""
    profile = profile_of(attributes, tenant.data_model.default_country)
    identifiers, blocks = keys_of_profile(tenant, profile)
    model, scorer = tenant.match_model, tenant.scorer
    async with read_at(engine, tenant, moment) as reader:
        revision = reader.revision.number
        postings = await reader.candidates([*identifiers, *blocks], model.generic_limit)
        digest_of = {record: digest for posting in postings for record, digest in posting.records}
        if not digest_of:
            return Resolved(b"", (), revision)
        profiles = await tenant.profiles_of(reader, list(digest_of.items()))
        digests = list(profiles)
        own = np.full(len(digests), len(digests), dtype=np.int32)
        weights = scorer.weights([*profiles.values(), profile], np.arange(len(digests), dtype=np.int32), own)
        weight_of = dict(zip(digests, weights.tolist(), strict=True))
        ranked = sorted(
            ((weight_of[digest], record) for record, digest in digest_of.items() if digest in weight_of),
            key=lambda pair: (-pair[0], pair[1]),
        )
        best: dict[bytes, Found] = {}
        likely = [pair for pair in ranked if scorer.probability(pair[0]) >= min_probability]
        # Identities hold a handful of records, so the first chunk nearly always holds candidates enough.
        for start in range(0, len(likely), _CHUNK):
            chunk = [record for _, record in likely[start : start + _CHUNK]]
            states = await reader.records(chunk)
            for record in chunk:
                identity = states[record].identity if record in states else None
                if identity is None or identity in best or len(best) == most:
                    continue
                best[identity] = Found(identity, record, scorer.explain(profile, profiles[digest_of[record]]))
            if len(best) == most:
                break
    candidates = list(best.values())
    links = bool(candidates) and candidates[0].explanation.weight >= model.link_weight
    return Resolved(candidates[0].identity if links else b"", candidates, revision)
