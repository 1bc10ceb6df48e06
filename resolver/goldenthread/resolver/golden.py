"""Compute the golden record: of everything that an identity's records say, the best value of each attribute, and why.

A pure function of the records and the data model, whatever the order of records. Values that are equal when normalised are
one value, of which the best spelling is given. The parts of a name, and the parts of an address, that a model keeps in
attributes of their own survive together from one record: never the street of one with the postcode of another.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from goldenthread.graph.model import (
    DOCUMENT_TYPES,
    AttributeDefinition,
    AttributeValue,
    Cardinality,
    DataModel,
    Document,
    PartialDate,
    Party,
    RecordContent,
    SemanticType,
    Survivorship,
    Value,
)
from goldenthread.resolver.normalise.contacts import document_number, email_address, phone_number
from goldenthread.resolver.normalise.dates import birth_date
from goldenthread.resolver.normalise.text import fold, is_placeholder

__all__ = ["GoldenAttribute", "SourcedRecord", "SourcedValue", "golden_record"]

_T = SemanticType
_NAME_PARTS = (_T.GIVEN_NAME, _T.MIDDLE_NAME, _T.SURNAME, _T.NAME_SUFFIX)
_ADDRESS_PARTS = (_T.STREET, _T.HOUSE_NUMBER, _T.UNIT, _T.CITY, _T.REGION, _T.POSTCODE, _T.COUNTRY)
_NAME_CORE = (frozenset({_T.GIVEN_NAME}), frozenset({_T.SURNAME}))
_ADDRESS_CORE = (frozenset({_T.STREET}), frozenset({_T.CITY, _T.POSTCODE}))
"""What a name or an address needs to be one: a part of each set."""


class SourcedRecord(Struct, frozen=True):
    """One record of an identity: its id and what it says, every value typed."""

    record: bytes
    content: RecordContent


class SourcedValue(Struct, frozen=True):
    """A value with the record it comes from, and why it won or lost, in words without personal data."""

    value: AttributeValue
    record: bytes
    source: str
    party: Party
    observed_at: int
    because: str


class GoldenAttribute(Struct, frozen=True):
    """One attribute: the values that won (none when all stand for no value), the rule, and the values that lost."""

    attribute: str
    values: tuple[SourcedValue, ...]
    rule: str
    losers: tuple[SourcedValue, ...]


def golden_record(model: DataModel, records: Sequence[SourcedRecord]) -> tuple[GoldenAttribute, ...]:
    """Compute the golden record, attributes in the model's order and free ones by name after them.

    Attributes that no record has are left out. Between winners and losers, each distinct value that a record holds is named.
    """
    ordered = sorted(records, key=lambda r: (r.content.source, r.content.source_record_id, r.record))
    said: dict[str, list[_Said]] = {}
    for record in ordered:
        for value in record.content.attributes:
            if spelling := _spelling(value.value).strip():
                said.setdefault(value.attribute, []).append(_Said(value, record, spelling, _key(value, model.default_country)))
    definitions = [definition for definition in model.attributes if definition.name in said]
    known = {definition.name for definition in model.attributes}
    free = [AttributeDefinition(name, _T.FREE) for name in sorted(said) if name not in known]
    golden: dict[str, GoldenAttribute] = {}
    for group in _groups(definitions):
        golden |= _survive_together(group, said)
    for definition in [*definitions, *free]:
        if definition.name not in golden:
            golden[definition.name] = _survive(definition, said[definition.name])
    return tuple(golden[definition.name] for definition in [*definitions, *free])


class _Said(Struct, frozen=True):
    """A value that a record holds; `key` is empty when it stands for no value."""

    value: AttributeValue
    record: SourcedRecord
    spelling: str
    key: str

    def sourced(self, because: str) -> SourcedValue:
        content = self.record.content
        return SourcedValue(self.value, self.record.record, content.source, content.party, content.observed_at, because)


def _spelling(value: Value) -> str:
    """Write a value as one text."""
    if isinstance(value, str):
        return value
    if isinstance(value, PartialDate):
        return f"{value.year:04d}-{value.month:02d}-{value.day:02d}" if value.year or value.month or value.day else ""
    if isinstance(value, Document):
        return f"{value.number} {value.issuer}".strip() if value.number.strip() else ""
    return "\x1f".join(_parts(value)) if any(part.strip() for part in _parts(value)) else ""


def _parts(value: Value) -> tuple[str, ...]:
    return (
        tuple(str(getattr(value, field) or "") for field in value.__struct_fields__)
        if isinstance(value, Struct)
        else (str(value),)
    )


def _key(value: AttributeValue, default_country: str) -> str:
    """Say what two equal values have in common; empty when the value stands for none, as `n/a` does."""
    kind, content = value.type, value.value
    text = _spelling(content)
    if kind is not _T.FREE and is_placeholder(fold(text)):
        return ""
    if kind is _T.BIRTH_DATE and isinstance(content, str | PartialDate):
        return birth_date(content, default_country) or _folded(text)
    if kind is _T.EMAIL:
        return email_address(text) or _folded(text)
    if kind is _T.PHONE:
        return phone_number(text, default_country) or _folded(text)
    if kind in DOCUMENT_TYPES:
        number, issuer = (content.number, content.issuer) if isinstance(content, Document) else (text, "")
        return document_number(kind, number, issuer) or _folded(text)
    if isinstance(content, str):
        return _folded(content)
    return "\x1f".join(map(_folded, _parts(content)))


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


# --- candidates and their ranks ---

_WORDS = {
    "core": ("it is complete", "it is less complete"),
    "recency": ("it is the most recent", "a more recent record says otherwise"),
    "frequency": ("most records agree on it", "fewer records agree on it"),
    "completeness": ("it is the most complete", "it is less complete"),
    "party": ("it comes from the closest party", "it comes from a party further away"),
}
"""Of each criterion, why the winner won by it and why another lost by it."""

_CRITERIA: dict[Survivorship, tuple[str, ...]] = {
    Survivorship.MOST_RECENT: ("recency", "party", "frequency", "completeness"),
    Survivorship.MOST_FREQUENT: ("frequency", "recency", "party", "completeness"),
    Survivorship.MOST_COMPLETE: ("completeness", "frequency", "recency", "party"),
    Survivorship.CLOSEST_PARTY: ("party", "recency", "frequency", "completeness"),
}


class _Candidate(Struct):
    """One distinct value, or set of parts, with the records that support it; `said` come from one record, the best spelt."""

    key: tuple[str, ...]
    said: tuple[_Said, ...]
    support: dict[bytes, SourcedRecord]
    core: int = 0

    def rank(self, criteria: Sequence[str]) -> tuple[int, ...]:
        """Rank it by each criterion, greater being better."""
        contents = [record.content for record in self.support.values()]
        ranks = {
            "core": self.core,
            "recency": max(content.observed_at for content in contents),
            "frequency": len(contents),
            # A part more outweighs any spelling.
            "completeness": sum(10_000 * sum(map(bool, _parts(s.value.value))) + len(s.spelling) for s in self.said),
            "party": -min(_distance(content.party) for content in contents),
        }
        return tuple(ranks[name] for name in criteria)


def _distance(party: Party) -> int:
    return int(Party.FIRST if party is Party.UNSPECIFIED else party)


def _spelt(said: Sequence[_Said], uses: dict[tuple[str, ...], int]) -> tuple[int, int, int, int]:
    """Rank how well values are spelt: in mixed case, as most records do, recently, by the closest party."""
    mixed = sum(1 for one in said if one.spelling not in (one.spelling.upper(), one.spelling.lower()))
    content = said[0].record.content
    return mixed, uses[tuple(one.spelling for one in said)], content.observed_at, -_distance(content.party)


def _candidates(options: Sequence[tuple[tuple[str, ...], tuple[_Said, ...]]]) -> list[_Candidate]:
    """Gather what records say into distinct candidates, in order of their keys."""
    alike: dict[tuple[str, ...], list[tuple[_Said, ...]]] = {}
    for key, said in options:
        alike.setdefault(key, []).append(said)
    found = []
    for key in sorted(alike):
        uses: dict[tuple[str, ...], int] = {}
        for said in alike[key]:
            spelling = tuple(one.spelling for one in said)
            uses[spelling] = uses.get(spelling, 0) + 1
        best = max(alike[key], key=lambda said: _spelt(said, uses))
        found.append(_Candidate(key, best, {said[0].record.record: said[0].record for said in alike[key]}))
    return found


def _reasons(ranked: Sequence[_Candidate], criteria: Sequence[str]) -> list[str]:
    """Say why the first candidate won and each other one lost: by the first criterion in which they differ."""
    if len(ranked) == 1:
        return ["it is the only value"]
    winner, *others = [candidate.rank(criteria) for candidate in ranked]
    reasons, deciding = [], ""
    for rank in others:
        differing = next((name for name, best, own in zip(criteria, winner, rank, strict=True) if best != own), "")
        deciding = deciding or differing
        reasons.append(_WORDS[differing][1] if differing else "it is as good, and comes later in the alphabet")
    return [_WORDS[deciding][0] if deciding else "it is as good as others, and comes first in the alphabet", *reasons]


def _other_spellings(said: Sequence[_Said], shown: Sequence[_Said]) -> list[SourcedValue]:
    """List the distinct spellings that are not shown yet, and the values that stand for none."""
    known = {one.spelling for one in shown}
    found = []
    for one in said:
        if one.spelling not in known:
            known.add(one.spelling)
            because = "it is another spelling of a value given here" if one.key else "it stands for no value"
            found.append(one.sourced(because))
    return found


# --- survivorship ---


def _survive(definition: AttributeDefinition, said: Sequence[_Said]) -> GoldenAttribute:
    """Let the values of one attribute survive by its rule."""
    rule = definition.survivorship or Survivorship.MOST_RECENT
    criteria = _CRITERIA[rule]
    candidates = _candidates([((one.key,), (one,)) for one in said if one.key])
    ranked = sorted(candidates, key=lambda candidate: candidate.rank(criteria), reverse=True)
    values: list[SourcedValue] = []
    losers: list[SourcedValue] = []
    if ranked and definition.cardinality is Cardinality.ONE:
        won, *lost = zip(ranked, _reasons(ranked, criteria), strict=True)
        values = [won[0].said[0].sourced(won[1])]
        losers = [candidate.said[0].sourced(because) for candidate, because in lost]
    elif ranked:
        because = "it is the only value" if len(ranked) == 1 else "it is one of several values"
        values = [candidate.said[0].sourced(because) for candidate in ranked]
    losers += _other_spellings(said, [candidate.said[0] for candidate in ranked])
    return GoldenAttribute(definition.name, tuple(values), rule.name.lower(), tuple(losers))


def _groups(definitions: Sequence[AttributeDefinition]) -> list[list[AttributeDefinition]]:
    """Find the attributes that survive together: the parts of a name, and of each address."""
    groups: list[list[AttributeDefinition]] = []
    for types in (_NAME_PARTS, _ADDRESS_PARTS):
        parts = [definition for definition in definitions if definition.type in types]
        if len({part.type for part in parts}) < len(parts):
            # Several addresses: `billing_city` goes with `billing_street`, `shipping_city` does not.
            first_words: dict[str, list[AttributeDefinition]] = {}
            for part in parts:
                first_words.setdefault(part.name.replace(".", "_").replace("-", "_").split("_")[0], []).append(part)
            own = [group for group in first_words.values() if len({part.type for part in group}) > 1]
            rest = [part for group in first_words.values() if group not in own for part in group]
            groups += [*own, rest]
        else:
            groups.append(parts)
    return [group for group in groups if len(group) > 1]


def _survive_together(group: Sequence[AttributeDefinition], said: dict[str, list[_Said]]) -> dict[str, GoldenAttribute]:
    """Let the parts that one record gives survive whole; the rule is that of the first attribute of the group.

    What gives fewer of the same parts supports what gives more of them. What is no whole name or address comes last.
    """
    rule = group[0].survivorship or Survivorship.MOST_RECENT
    criteria = ("core", *_CRITERIA[rule])
    by_record: dict[bytes, dict[str, _Said]] = {}
    for definition in group:
        for one in said[definition.name]:
            if one.key:
                by_record.setdefault(one.record.record, {}).setdefault(definition.name, one)
    names = [definition.name for definition in group]
    candidates = _candidates(
        [
            (
                tuple(parts[name].key if name in parts else "" for name in names),
                tuple(parts[name] for name in names if name in parts),
            )
            for parts in by_record.values()
        ]
    )
    cores = _NAME_CORE if group[0].type in _NAME_PARTS else _ADDRESS_CORE
    for candidate in candidates:
        present = {definition.type for definition, key in zip(group, candidate.key, strict=True) if key}
        candidate.core = sum(not core.isdisjoint(present) for core in cores)
        for other in candidates:
            if other is not candidate and all(key in ("", own) for key, own in zip(other.key, candidate.key, strict=True)):
                candidate.support |= other.support
    ranked = sorted(candidates, key=lambda candidate: candidate.rank(criteria), reverse=True)
    reasons = _reasons(ranked, criteria) if ranked else []
    golden = {}
    for definition in group:
        golden[definition.name] = _part(definition, rule, ranked, reasons, said[definition.name])
    return golden


def _part(
    definition: AttributeDefinition,
    rule: Survivorship,
    ranked: Sequence[_Candidate],
    reasons: Sequence[str],
    said: Sequence[_Said],
) -> GoldenAttribute:
    """Give one attribute of a group what its best set of parts has, or all distinct values where there may be many."""
    values: list[SourcedValue] = []
    losers: list[SourcedValue] = []
    shown: list[_Said] = []
    for place, (candidate, because) in enumerate(zip(ranked, reasons, strict=True)):
        one = next((part for part in candidate.said if part.value.attribute == definition.name), None)
        if one is not None and one.key not in {other.key for other in shown}:
            shown.append(one)
            kept = place == 0 or definition.cardinality is not Cardinality.ONE
            (values if kept else losers).append(
                one.sourced(because if len(ranked) == 1 else f"{because}; its parts stay together")
            )
    # A record may give a part twice: what was not taken into its set is another value still.
    for one in said:
        if one.key and one.key not in {other.key for other in shown}:
            shown.append(one)
            kept = definition.cardinality is not Cardinality.ONE
            (values if kept else losers).append(one.sourced("it is another value of the same record"))
    losers += _other_spellings(said, shown)
    return GoldenAttribute(definition.name, tuple(values), rule.name.lower(), tuple(losers))
