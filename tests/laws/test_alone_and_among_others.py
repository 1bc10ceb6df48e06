"""Similar records are the same persons alone and among very many others, under one model."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import pyarrow as pa
import pytest
from bench.made_people import make_people

from goldenthread.graph.model import AttributeValue, SemanticType
from goldenthread.resolver.blocking import candidate_keys
from goldenthread.resolver.bulk.link import link
from goldenthread.resolver.normalise import identifiers, profile_of
from goldenthread.resolver.scoring import MatchModel

TYPES = {
    "first_name": SemanticType.GIVEN_NAME,
    "surname": SemanticType.SURNAME,
    "dob": SemanticType.BIRTH_DATE,
    "postcode": SemanticType.POSTCODE,
    "email": SemanticType.EMAIL,
    "phone": SemanticType.PHONE,
}

MODEL = MatchModel.shipped()

Row = dict[str, str]


@dataclass(frozen=True)
class Rows:
    """Rows of text as a table to link."""

    columns: dict[str, list[str]]
    rows: int
    source_column: str = "source"
    record_id_column: str = "record_id"


def rows_of(rows: list[Row]) -> Rows:
    columns = {name: [row.get(name, "") for row in rows] for name in (*TYPES, "record_id")}
    return Rows({**columns, "source": ["made"] * len(rows)}, len(rows))


def similar_records() -> list[Row]:
    """Seven people of two families with rare names, four records each: namesakes, shared phones, typing errors, nicknames."""
    rows: list[Row] = []
    people = [
        ("Robert", "Quillfeather", "1961-02-03"),
        ("Roberta", "Quillfeather", "1961-02-03"),
        ("Robert", "Quillfeather", "1988-11-30"),
        ("Anna", "Quillfeather", "1990-07-15"),
        ("Anna", "Vandersloot", "1990-07-15"),
        ("Hanna", "Vandersloot", "1992-07-15"),
        ("Annabel", "Vandersloot", "1990-07-16"),
    ]
    for number, (given, surname, born) in enumerate(people):
        home = "+1 202 555 01" + ("10" if surname == "Quillfeather" else "20")
        mail = f"{given}.{surname}{number}@example.com".lower()
        first = {"first_name": given, "surname": surname, "dob": born, "postcode": "97301", "email": mail, "phone": home}
        versions = [
            first,
            {**first, "surname": surname.replace("th", "ht").replace("oo", "o"), "email": ""},
            {**first, "first_name": given[0], "phone": ""},
            {**first, "dob": "", "postcode": "97302"},
        ]
        rows += [{**row, "record_id": f"similar-{number}-{place}"} for place, row in enumerate(versions)]
    return rows


def others(count: int) -> list[Row]:
    """Make people."""
    table = pa.concat_tables(make_people(count, seed=5)).select([*TYPES, "record_id"])
    return [{name: value for name, value in row.items() if value is not None} for row in table.to_pylist()]


def groups_with(rows: list[Row], wanted: set[str]) -> set[frozenset[str]]:
    """Link rows, and give the identities that have one of these records."""
    result = link(rows_of(rows), dict(TYPES), model=MODEL)
    by_identity: dict[int, set[str]] = defaultdict(set)
    for record, identity in zip(result.record_ids, result.identities.tolist(), strict=True):
        by_identity[identity].add(record)
    return {frozenset(group) for group in by_identity.values() if group & wanted}


def keys_of(row: Row) -> set[str]:
    values = tuple(AttributeValue(name, kind, row[name]) for name, kind in TYPES.items() if row.get(name))
    profile = profile_of(values, "US")
    return {f"{key.rule} {key.text}" for key in candidate_keys(profile, MODEL)} | {one.text for one in identifiers(profile)}


def assert_no_key_is_generic(similar: list[Row], crowd: list[Row]) -> None:
    """Count who shares a key with the similar records; only who has an initial or a value of theirs can."""
    near = [row for row in crowd if row.get("surname", " ")[:1].upper() in "QV" or row.get("first_name", " ")[:1] in "QV"]
    mine = set().union(*map(keys_of, similar))
    holders: dict[str, int] = defaultdict(int)
    for row in [*similar, *near]:
        for key in keys_of(row) & mine:
            holders[key] += 1
    assert max(holders.values()) <= MODEL.generic_limit


def assert_same_alone_and_among(crowd: list[Row]) -> None:
    similar = similar_records()
    wanted = {row["record_id"] for row in similar}
    assert_no_key_is_generic(similar, crowd)
    middle = len(crowd) // 2

    alone = groups_with(similar, wanted)
    among = groups_with([*crowd[:middle], *similar[::-1], *crowd[middle:]], wanted)

    assert len(similar) == 28
    assert 1 < len(alone) < 28
    assert among == alone


def test_28_similar_records_are_the_same_people_alone_and_among_20000() -> None:
    assert_same_alone_and_among(others(20_000))


@pytest.mark.slow
def test_28_similar_records_are_the_same_people_alone_and_among_a_million() -> None:
    assert_same_alone_and_among(others(1_000_000))
