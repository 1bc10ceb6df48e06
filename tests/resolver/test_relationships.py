"""Relationships: how texts are read, and what they are from the other side."""

from __future__ import annotations

import pytest

from goldenthread.graph.model import AttributeValue, Relationship, RelationshipKind, SemanticType
from goldenthread.resolver.normalise import Profile, profile_of
from goldenthread.resolver.relationships import INVERSES, kinds_of, mask_of, read_relationship

K = RelationshipKind


@pytest.mark.parametrize(
    ("attribute", "text", "read"),
    [
        ("relative", "spouse:crm:42", Relationship(K.SPOUSE, "crm", "42")),
        ("relative", "Wife: Ann Lee", Relationship(K.SPOUSE, name="Ann Lee")),
        ("relative", "mother:crm:a:b c", Relationship(K.PARENT, "crm", "a:b c")),
        ("employer", "Acme Ltd", Relationship(K.EMPLOYER, name="Acme Ltd")),
        ("child", "shop:9", Relationship(K.CHILD, "shop", "9")),
        ("relative", "neighbour: Bo", Relationship(K.OTHER, name="neighbour: Bo")),
        ("relative", "spouse:", None),
        ("relative", "  ", None),
    ],
)
def test_texts_name_a_record_or_a_person(attribute: str, text: str, read: Relationship | None) -> None:
    assert read_relationship(attribute, text) == read


def test_every_kind_has_its_inverse_and_its_bit() -> None:
    kinds = list(K)[1:]

    assert all(INVERSES[INVERSES[kind]] is kind for kind in kinds)
    assert kinds_of(mask_of(kinds)) == kinds
    assert kinds_of(mask_of([K.CHILD, K.SPOUSE, K.CHILD])) == [K.SPOUSE, K.CHILD]


def test_what_is_said_of_somebody_else_is_no_feature_of_the_record() -> None:
    said = [AttributeValue("spouse", SemanticType.RELATIONSHIP, Relationship(K.SPOUSE, name="Ann Lee"))]

    assert profile_of(said, "US") == Profile()
