"""Rank what records say by the criteria of a rule, and say by which of them a value won or lost.

Each criterion only grows with the records that support a value, so that a record whose values all lose changes no winner.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from goldenthread.graph.model import Party, RecordContent, SemanticType
from goldenthread.resolver.golden.rules import DAY, DEFAULT_TRUST, Criterion, SurvivorshipRule, SurvivorshipRules
from goldenthread.resolver.golden.values import Said, SourcedRecord, agree, parts_of, specificity

__all__ = ["Candidate", "Ranking", "candidates_of", "ranking_of"]

_C = Criterion
_WORDS: dict[Criterion, tuple[str, str]] = {
    _C.SOURCE_TRUST: ("its source is trusted most", "its source is trusted less"),
    _C.RECENCY: ("it is the most recent", "a more recent record says otherwise"),
    _C.FREQUENCY: ("most records agree on it", "fewer records agree on it"),
    _C.COMPLETENESS: ("it is the most complete", "it is less complete"),
    _C.VERIFIED: ("it is verified", "it is not verified"),
    _C.LONGEST: ("it is the longest", "it is shorter"),
    _C.SPECIFICITY: ("it is the most specific", "it is less specific"),
    _C.CLOSEST_PARTY: ("it comes from the closest party", "it comes from a party further away"),
    _C.FRESHNESS: ("it is not stale", "it is stale"),
}
"""Of each criterion, why the winner won by it and why another lost by it."""
_PINNED_PARTS = ("it goes with what a steward pinned", "it does not go with what a steward pinned")
_CORE = ("it is complete", "it is less complete")

_LAST = (_C.RECENCY, _C.CLOSEST_PARTY, _C.FREQUENCY, _C.COMPLETENESS)
"""Decide, in this order, what a rule's own criteria leave open."""
_STRENGTH = {Party.ZERO: 4, Party.FIRST: 3, Party.SECOND: 2, Party.THIRD: 1}
_STRONG = 0.5
"""A loser this strong beside the winner is in conflict with it."""


class Candidate(Struct):
    """One distinct value, or set of parts, with the records that support it; `said` come from one record, the best spelt."""

    key: tuple[str, ...]
    said: tuple[Said, ...]
    spelt: list[tuple[Said, ...]]
    """Every way in which records say it."""
    support: dict[bytes, SourcedRecord]
    core: int = 0
    pinned: int = 0

    @property
    def contents(self) -> list[RecordContent]:
        """What supports it."""
        return [record.content for record in self.support.values()]

    @property
    def recency(self) -> int:
        """When it was last observed."""
        return max(content.observed_at for content in self.contents)


class Ranking(Struct, frozen=True):
    """How a rule ranks candidates at a time, given which records are verified."""

    rule: SurvivorshipRule
    trust: Mapping[str, int]
    verified: Collection[bytes]
    at: int

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """The rule's criteria, then those that decide what it leaves open."""
        return tuple(dict.fromkeys((*self.rule.criteria, *_LAST)))

    def is_stale(self, observed_at: int) -> bool:
        """Say whether what was last observed then is older than the rule's horizon."""
        return bool(self.rule.stale_after_days) and self.at - observed_at > self.rule.stale_after_days * DAY

    def _rank(self, candidate: Candidate) -> tuple[int, ...]:
        own = (self._measure(candidate, criterion) for criterion in self.criteria)
        return (candidate.pinned, candidate.core, *own)

    def _measure(self, candidate: Candidate, criterion: Criterion) -> int:
        match criterion:
            case _C.SOURCE_TRUST:
                return max(self.trust.get(content.source, DEFAULT_TRUST) for content in candidate.contents)
            case _C.RECENCY:
                return candidate.recency
            case _C.FREQUENCY:
                return len(candidate.support)
            case _C.COMPLETENESS:
                return max(map(_completeness, candidate.spelt))
            case _C.VERIFIED:
                return int(any(record in self.verified for record in candidate.support))
            case _C.LONGEST:
                return max(sum(len(one.spelling) for one in said) for said in candidate.spelt)
            case _C.SPECIFICITY:
                return max(map(specificity, candidate.spelt))
            case _C.CLOSEST_PARTY:
                return -min(_distance(content.party) for content in candidate.contents)
            case _C.FRESHNESS:
                return int(not self.is_stale(candidate.recency))
            case _:
                return 0

    def order(self, candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[str]]:
        """Put candidates in order, the best first, and say why the first won and each other one lost.

        The first criterion in which they differ decides; what is equal in all goes by the alphabet.
        """
        if len(candidates) < 2:
            return list(candidates), ["it is the only value"] * len(candidates)
        ranks = [(self._rank(candidate), candidate) for candidate in candidates]
        ranks.sort(key=lambda ranked: ranked[0], reverse=True)
        ranked = [candidate for _, candidate in ranks]
        words = (_PINNED_PARTS, _CORE, *(_WORDS[criterion] for criterion in self.criteria if criterion))
        winner, *others = [rank for rank, _ in ranks]
        reasons: list[str] = []
        deciding = ""
        for rank in others:
            differing = next((pair for pair, best, own in zip(words, winner, rank, strict=True) if best != own), None)
            deciding = deciding or (differing[0] if differing else "")
            reasons.append(differing[1] if differing else "it is as good, and comes later in the alphabet")
        return ranked, [deciding or "it is as good as others, and comes first in the alphabet", *reasons]

    def conflict(self, kind: SemanticType, winner: str, said: Sequence[Said]) -> float:
        """Say how strong the strongest value that disagrees with the winner is beside it; 0 when it is not strong.

        Each source counts once, the closer its party the more, twice as much when verified and half when stale.
        """
        if all(one.key == winner for one in said):
            return 0.0
        sources: dict[str, dict[str, int]] = {}
        for one in said:
            content = one.record.content
            weight = _STRENGTH.get(content.party, _STRENGTH[Party.FIRST]) * 2
            weight *= 2 if one.record.record in self.verified else 1
            weight //= 2 if self.is_stale(content.observed_at) else 1
            own = sources.setdefault(one.key, {})
            own[content.source] = max(own.get(content.source, 0), weight)
        strength = {key: sum(own.values()) for key, own in sources.items()}
        others = [weight for key, weight in strength.items() if not agree(kind, key, winner)]
        share = min(1.0, max(others, default=0) / max(1, strength.get(winner, 0)))
        return round(share, 2) if share >= _STRONG else 0.0


def ranking_of(rules: SurvivorshipRules, rule: SurvivorshipRule, verified: Collection[bytes], at: int) -> Ranking:
    """Prepare to rank by a rule."""
    return Ranking(rule, rules.trust_in(rule), verified, at)


def _distance(party: Party) -> int:
    return int(Party.FIRST if party is Party.UNSPECIFIED else party)


def _completeness(said: Sequence[Said]) -> int:
    """Count parts and characters; a part more outweighs any spelling."""
    return sum(10_000 * sum(map(bool, parts_of(one.value.value))) + len(one.spelling) for one in said)


def _spelt(said: Sequence[Said], uses: Mapping[tuple[str, ...], int]) -> tuple[int, int, int, int]:
    """Rank how well values are spelt: in mixed case, as most records do, recently, by the closest party."""
    mixed = sum(1 for one in said if one.spelling not in (one.spelling.upper(), one.spelling.lower()))
    content = said[0].record.content
    return mixed, uses[tuple(one.spelling for one in said)], content.observed_at, -_distance(content.party)


def candidates_of(options: Sequence[tuple[tuple[str, ...], tuple[Said, ...]]]) -> list[Candidate]:
    """Gather what records say into distinct candidates, in order of their keys."""
    alike: dict[tuple[str, ...], list[tuple[Said, ...]]] = {}
    for key, said in options:
        alike.setdefault(key, []).append(said)
    found = []
    for key in sorted(alike):
        uses: dict[tuple[str, ...], int] = {}
        for said in alike[key]:
            spelling = tuple(one.spelling for one in said)
            uses[spelling] = uses.get(spelling, 0) + 1
        best = max(alike[key], key=lambda said: _spelt(said, uses))
        found.append(Candidate(key, best, alike[key], {said[0].record.record: said[0].record for said in alike[key]}))
    return found
