"""Compute the golden record: of everything that an identity's records say, the best value of each attribute, and why.

A pure function of the records, the data model, the rules, the purpose, the pins and the time at which age is measured, whatever
the order of records. Values that are equal when normalised are one value, of which the best spelling is given. The parts of a
name, and the parts of an address, that a model keeps in attributes of their own survive together from one record: never the
street of one with the postcode of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from msgspec import Struct

from goldenthread.graph.model import AttributeDefinition, Cardinality, DataModel, Party, SemanticType
from goldenthread.resolver.golden.ranking import Candidate, Ranking, candidates_of, ranking_of
from goldenthread.resolver.golden.rules import (
    ADDRESS_PARTS,
    NAME_PARTS,
    Aggregate,
    Pin,
    SurvivorshipRule,
    SurvivorshipRules,
    default_rule,
    groups_of,
)
from goldenthread.resolver.golden.values import GoldenAttribute, Said, SourcedRecord, SourcedValue, key_of, spelling

__all__ = ["golden_record"]

_T = SemanticType
_NAME_CORE = (frozenset({_T.GIVEN_NAME}), frozenset({_T.SURNAME}))
_ADDRESS_CORE = (frozenset({_T.STREET}), frozenset({_T.CITY, _T.POSTCODE}))
"""What a name or an address needs to be one: a part of each set."""
_PINNED = "a steward pinned it"
_NOT_PINNED = "a steward pinned another value"
_NO_RULES = SurvivorshipRules()


def golden_record(
    model: DataModel,
    records: Sequence[SourcedRecord],
    rules: SurvivorshipRules = _NO_RULES,
    *,
    at: int = 0,
    purpose: str = "",
    pins: Sequence[Pin] = (),
) -> tuple[GoldenAttribute, ...]:
    """Compute the golden record, attributes in the model's order and free ones by name after them.

    Attributes that no record has are left out. Between winners and losers, each distinct value that a record allowed for the
    purpose holds is named; nothing is given of the others. Age is measured at `at`, UTC microseconds.
    """
    limit = rules.limit(purpose)
    allowed = [record for record in records if limit is None or limit.allows(record.content)]
    ordered = sorted(allowed, key=lambda r: (r.content.source, r.content.source_record_id, r.record))
    forbidden = limit.forbidden_attributes if limit is not None else ()
    said: dict[str, list[Said]] = {}
    for record in ordered:
        for value in record.content.attributes:
            if value.attribute not in forbidden and (spelt := spelling(value.value)):
                said.setdefault(value.attribute, []).append(Said(value, record, spelt, key_of(value, model.default_country)))
    pinned = _live_pins(model, records, said, pins, forbidden)
    present = {*said, *pinned}
    known = {definition.name for definition in model.attributes}
    definitions = [definition for definition in model.attributes if definition.name in present]
    definitions += [AttributeDefinition(name, _T.FREE) for name in sorted(present - known)]
    verified = frozenset(record.record for record in ordered if rules.verifying.verifies(record.content))
    work = _Work(rules, purpose, at, verified, said, pinned)
    golden: dict[str, GoldenAttribute] = {}
    for group in groups_of(model, rules.groups, said):
        golden |= _survive_together(group, work)
    for definition in definitions:
        if definition.name not in golden:
            golden[definition.name] = _survive(definition, work)
    return tuple(golden[definition.name] for definition in definitions)


class _Work(Struct, frozen=True):
    """What surviving needs to know."""

    rules: SurvivorshipRules
    purpose: str
    at: int
    verified: frozenset[bytes]
    said: dict[str, list[Said]]
    pinned: dict[str, list[tuple[str, Pin]]]

    def ranking(
        self, definitions: Sequence[AttributeDefinition]
    ) -> tuple[Ranking, dict[str, list[Said]], dict[str, list[Said]]]:
        """Find the rule that decides, and part what is said into what it admits and the rest."""
        rule = self._rule(definitions)
        inside: dict[str, list[Said]] = {}
        outside: dict[str, list[Said]] = {}
        for definition in definitions:
            for one in self.said.get(definition.name, ()):
                side = inside if rule.condition.admits(one.record.content, self.at) else outside
                side.setdefault(definition.name, []).append(one)
        return ranking_of(self.rules, rule, self.verified, self.at), inside, outside

    def _rule(self, definitions: Sequence[AttributeDefinition]) -> SurvivorshipRule:
        contents = [one.record.content for d in definitions for one in self.said.get(d.name, ()) if one.key]
        for rule in self.rules.rules:
            if rule.covers(definitions, self.purpose) and any(rule.condition.admits(content, self.at) for content in contents):
                return rule
        return default_rule(definitions[0])


def _live_pins(
    model: DataModel,
    records: Sequence[SourcedRecord],
    said: dict[str, list[Said]],
    pins: Sequence[Pin],
    forbidden: Sequence[str],
) -> dict[str, list[tuple[str, Pin]]]:
    """List pins by attribute with their keys, the latest first.

    A pin is left out where the purpose forbids its attribute, or where records say its value and all of them are forbidden.
    """
    everywhere: dict[str, set[str]] = {}
    if pins:
        for record in records:
            for value in record.content.attributes:
                everywhere.setdefault(value.attribute, set()).add(key_of(value, model.default_country))
    found: dict[str, list[tuple[str, Pin]]] = {}
    for pin in sorted(pins, key=lambda pin: (pin.revision, pin.decision), reverse=True):
        name, key = pin.value.attribute, key_of(pin.value, model.default_country)
        is_lost = key in everywhere.get(name, ()) and all(one.key != key for one in said.get(name, ()))
        if name not in forbidden and not is_lost and all(key != other for other, _ in found.get(name, ())):
            found.setdefault(name, []).append((key, pin))
    return found


# --- one attribute ---


def _survive(definition: AttributeDefinition, work: _Work) -> GoldenAttribute:
    """Let the values of one attribute survive by the rule that covers it."""
    ranking, inside, outside = work.ranking([definition])
    said = inside.get(definition.name, [])
    ranked, reasons = ranking.order(candidates_of([((one.key,), (one,)) for one in said if one.key]))
    values, losers = _kept(definition, ranking, ranked, reasons)
    shown = [candidate.said[0] for candidate in ranked]
    losers += _other_spellings(said, shown)
    return _finish(definition, work, ranking, values, losers, said, outside)


def _kept(
    definition: AttributeDefinition, ranking: Ranking, ranked: Sequence[Candidate], reasons: Sequence[str]
) -> tuple[list[SourcedValue], list[SourcedValue]]:
    """Part ranked candidates into those that survive, best first, and those that lose."""
    rule = ranking.rule
    aggregate = rule.aggregate or (Aggregate.BEST if definition.cardinality is Cardinality.ONE else Aggregate.UNION)
    if aggregate is Aggregate.UNION:
        because = "it is the only value" if len(ranked) == 1 else "it is one of several values"
        return [_sourced(candidate, ranking, because) for candidate in ranked], []
    if aggregate is Aggregate.LATEST:
        latest = sorted(ranked, key=lambda candidate: -candidate.recency)
        kept = [_sourced(candidate, ranking, "it is one of the latest values") for candidate in latest[: max(1, rule.latest)]]
        return kept, [_sourced(c, ranking, "there are enough later values") for c in latest[max(1, rule.latest) :]]
    if aggregate in (Aggregate.MINIMUM, Aggregate.MAXIMUM) and ranked:
        return _extreme(ranking, ranked, is_least=aggregate is Aggregate.MINIMUM)
    sourced = [_sourced(candidate, ranking, because) for candidate, because in zip(ranked, reasons, strict=True)]
    return sourced[:1], sourced[1:]


def _extreme(ranking: Ranking, ranked: Sequence[Candidate], *, is_least: bool) -> tuple[list[SourcedValue], list[SourcedValue]]:
    """Choose the least or the greatest number or date; what is neither loses."""
    word = "least" if is_least else "greatest"
    measured = [(candidate, _measure(candidate.said[0])) for candidate in ranked]
    able = [(measure, candidate) for candidate, measure in measured if measure is not None]
    best = (min if is_least else max)((measure for measure, _ in able), default=None)
    won = [candidate for measure, candidate in able if measure == best][:1]
    values = [_sourced(candidate, ranking, f"it is the {word}") for candidate in won]
    losers = [
        _sourced(candidate, ranking, "it is no number or date" if measure is None else f"it is not the {word}")
        for candidate, measure in measured
        if candidate not in won
    ]
    return values, losers


def _measure(said: Said) -> tuple[float, str] | None:
    """Read a number or a date as something that has an order; None when it is neither."""
    if said.value.type is _T.BIRTH_DATE and said.key[:4].isdecimal():
        return 0.0, said.key
    try:
        number = float(said.key.replace(",", "").replace(" ", ""))
    except ValueError:
        return None
    return (number, "") if isfinite(number) else None


def _sourced(candidate: Candidate, ranking: Ranking, because: str) -> SourcedValue:
    return candidate.said[0].sourced(because, len(candidate.support), ranking.is_stale(candidate.recency))


def _other_spellings(said: Sequence[Said], shown: Sequence[Said]) -> list[SourcedValue]:
    """List the distinct spellings that are not shown yet, and the values that stand for none."""
    known = {one.spelling for one in shown}
    found = []
    for one in said:
        if one.spelling not in known:
            known.add(one.spelling)
            because = "it is another spelling of a value given here" if one.key else "it stands for no value"
            found.append(one.sourced(because))
    return found


def _finish(
    definition: AttributeDefinition,
    work: _Work,
    ranking: Ranking,
    values: list[SourcedValue],
    losers: list[SourcedValue],
    said: Sequence[Said],
    outside: dict[str, list[Said]],
) -> GoldenAttribute:
    """Add what the rule did not admit, let pins win, and look for conflicts."""
    known = {spelling(one.value.value) for one in (*values, *losers)}
    for one in outside.get(definition.name, ()):
        if one.spelling not in known:
            known.add(one.spelling)
            losers.append(one.sourced("the rule does not admit its record" if one.key else "it stands for no value"))
    pins = work.pinned.get(definition.name, ())
    if pins:
        values, losers = _pinned(definition, work, pins, values, losers)
        return GoldenAttribute(definition.name, tuple(values), "pinned", tuple(losers))
    conflict = 0.0
    if definition.cardinality is Cardinality.ONE and len(values) == 1 and ranking.rule.aggregate in _ONE_BEST:
        keys = {one.spelling: one.key for one in said}
        winner = keys.get(spelling(values[0].value.value), "")
        conflict = ranking.conflict(definition.type, winner, [one for one in said if one.key])
    return GoldenAttribute(definition.name, tuple(values), ranking.rule.name, tuple(losers), conflict)


_ONE_BEST = frozenset({Aggregate.UNSPECIFIED, Aggregate.BEST})


def _pinned(
    definition: AttributeDefinition,
    work: _Work,
    pins: Sequence[tuple[str, Pin]],
    values: Sequence[SourcedValue],
    losers: Sequence[SourcedValue],
) -> tuple[list[SourcedValue], list[SourcedValue]]:
    """Put pinned values before all others; where there is one value only, the latest pin is it."""
    is_one = definition.cardinality is Cardinality.ONE
    said = work.said.get(definition.name, ())
    won: list[SourcedValue] = []
    for key, pin in pins[:1] if is_one else pins:
        support = [one for one in said if one.key == key]
        if support:
            exact = [one for one in support if one.spelling == spelling(pin.value.value)]
            best = max(exact or support, key=lambda one: one.record.content.observed_at)
            of = {one.record.record for one in support}
            won.append(Said(pin.value, best.record, best.spelling, key).sourced(_PINNED, len(of), decision=pin.decision))
        else:
            won.append(SourcedValue(pin.value, b"", "", Party.UNSPECIFIED, 0, _PINNED, decision=pin.decision))
    spelt = {spelling(one.value.value) for one in won}
    keys = {one.spelling: one.key for one in said}
    wanted = {key for key, _ in (pins[:1] if is_one else pins)}

    def lost(one: SourcedValue, because: str) -> SourcedValue:
        is_same = keys.get(spelling(one.value.value)) in wanted
        because = "it is another spelling of a value given here" if is_same else because
        return SourcedValue(
            one.value, one.record, one.source, one.party, one.observed_at, because, one.records, one.is_stale, one.decision
        )

    rest = [one for one in values if spelling(one.value.value) not in spelt]
    others = [one for one in losers if spelling(one.value.value) not in spelt]
    if is_one:
        return won, [*(lost(one, _NOT_PINNED) for one in rest), *(lost(one, one.because) for one in others)]
    same = [one for one in rest if keys.get(spelling(one.value.value)) in wanted]
    return [*won, *(one for one in rest if one not in same)], [*(lost(one, one.because) for one in (*same, *others))]


# --- attributes that survive together ---


def _survive_together(group: Sequence[AttributeDefinition], work: _Work) -> dict[str, GoldenAttribute]:
    """Let the parts that one record gives survive whole.

    What gives fewer of the same parts supports what gives more of them. What is no whole name or address comes last.
    """
    ranking, inside, outside = work.ranking(group)
    by_record: dict[bytes, dict[str, Said]] = {}
    for definition in group:
        for one in inside.get(definition.name, ()):
            if one.key:
                by_record.setdefault(one.record.record, {}).setdefault(definition.name, one)
    names = [definition.name for definition in group]
    candidates = candidates_of(
        [
            (
                tuple(parts[name].key if name in parts else "" for name in names),
                tuple(parts[name] for name in names if name in parts),
            )
            for parts in by_record.values()
        ]
    )
    own = {id(candidate): dict(candidate.support) for candidate in candidates}
    cores = _cores(group)
    for candidate in candidates:
        present = {definition.type for definition, key in zip(group, candidate.key, strict=True) if key}
        candidate.core = sum(not core.isdisjoint(present) for core in cores)
        pins = [work.pinned.get(name, ()) for name in names]
        candidate.pinned = sum(key in {k for k, _ in found} for key, found in zip(candidate.key, pins, strict=True) if found)
        for other in candidates:
            if other is not candidate and all(key in ("", mine) for key, mine in zip(other.key, candidate.key, strict=True)):
                candidate.support |= own[id(other)]
    ranked, reasons = ranking.order(candidates)
    golden = {}
    for definition in group:
        said = inside.get(definition.name, [])
        values, losers = _part(definition, ranking, ranked, reasons, said)
        golden[definition.name] = _finish(definition, work, ranking, values, losers, said, outside)
    return golden


def _cores(group: Sequence[AttributeDefinition]) -> tuple[frozenset[SemanticType], ...]:
    types = {definition.type for definition in group}
    if types <= set(NAME_PARTS):
        return _NAME_CORE
    return _ADDRESS_CORE if types <= set(ADDRESS_PARTS) else ()


def _part(
    definition: AttributeDefinition, ranking: Ranking, ranked: Sequence[Candidate], reasons: Sequence[str], said: Sequence[Said]
) -> tuple[list[SourcedValue], list[SourcedValue]]:
    """Give one attribute of a group what its best set of parts has, or all distinct values where there may be many."""
    values: list[SourcedValue] = []
    losers: list[SourcedValue] = []
    shown: list[Said] = []
    is_one = definition.cardinality is Cardinality.ONE or ranking.rule.aggregate is Aggregate.BEST

    def show(one: Said, because: str, records: int, is_stale: bool, is_best: bool) -> None:
        shown.append(one)
        (values if is_best or not is_one else losers).append(one.sourced(because, records, is_stale))

    for place, (candidate, because) in enumerate(zip(ranked, reasons, strict=True)):
        one = next((part for part in candidate.said if part.value.attribute == definition.name), None)
        if one is not None and one.key not in {other.key for other in shown}:
            words = because if len(ranked) == 1 else f"{because}; its parts stay together"
            show(one, words, len(candidate.support), ranking.is_stale(candidate.recency), place == 0)
    # A record may give a part twice: what was not taken into its set is another value still.
    for one in said:
        if one.key and one.key not in {other.key for other in shown}:
            stale = ranking.is_stale(one.record.content.observed_at)
            show(one, "it is another value of the same record", 1, stale, is_best=False)
    losers += _other_spellings(said, shown)
    return values, losers
