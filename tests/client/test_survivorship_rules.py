"""Survivorship rules as files have them: short words in, short words out, and where something is wrong."""

from __future__ import annotations

import pytest

from goldenthread.client import plain_survivorship_rules, survivorship_rules

PLAIN: dict[str, object] = {
    "rules": [
        {"name": "first", "types": ["birth_date"], "criteria": ["verified", "recency"], "stale_after_days": 7},
        {"name": "last", "attributes": ["phone"], "aggregate": "latest", "latest": 3, "condition": {"parties": ["third"]}},
    ],
    "purposes": [{"purpose": "advertising", "forbidden_parties": ["third"]}],
    "trust": [{"source": "crm", "trust": 70}],
}


def test_rules_are_written_as_they_are_read() -> None:
    assert plain_survivorship_rules(survivorship_rules(PLAIN)) == PLAIN  # type: ignore[arg-type]  # plain values


def test_whole_words_and_numbers_are_read_too() -> None:
    whole = survivorship_rules({"rules": [{"name": "a", "criteria": ["CRITERION_RECENCY", 1]}]})

    assert plain_survivorship_rules(whole) == {"rules": [{"name": "a", "criteria": ["recency", "source_trust"]}]}


@pytest.mark.parametrize(
    ("plain", "problem"),
    [
        ({"rulez": []}, "there is no field rulez; there are rules, groups"),
        ({"rules": [{"name": "a", "criteria": ["oldest"]}]}, r"rules\[0\].criteria\[0\] is none of source_trust, recency"),
        ({"rules": [{"name": "a", "criteria": "recency"}]}, r"rules\[0\].criteria must be a list"),
        ({"rules": [{"nam": "a"}]}, r"rules\[0\] has no field nam; there are name"),
        ({"rules": ["a"]}, r"rules\[0\] must have fields of its own: name"),
        ({"trust": [{"source": 7}]}, r"trust\[0\].source must be a text"),
        ({"trust": [{"trust": "much"}]}, r"trust\[0\].trust must be a whole number"),
        ({"trust": [{"trust": 1 << 40}]}, "out of all bounds"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(plain: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        survivorship_rules(plain)  # type: ignore[arg-type]  # plain values
