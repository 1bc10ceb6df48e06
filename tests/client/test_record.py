"""Records from plain values, and messages to plain values."""

from __future__ import annotations

import datetime as dt

import pytest

from goldenthread.client import (
    Consent,
    ConsentState,
    Document,
    PartialDate,
    Party,
    PersonName,
    PostalAddress,
    Record,
    RecordMessage,
    SemanticType,
    Typed,
    Value,
    tenant_of,
    to_dict,
    value_text,
)
from goldenthread.v1 import record_pb2


def value_of(value: Value | Typed) -> record_pb2.AttributeValue:
    [sent] = Record("crm", "1", {"thing": value}).to_proto().attributes
    return sent


def test_a_list_becomes_several_values_of_one_attribute() -> None:
    sent = Record("crm", "42", {"email": ["a@example.org", "b@example.org"], "surname": "Smith"}).to_proto()

    assert [(v.attribute, v.text) for v in sent.attributes] == [
        ("email", "a@example.org"),
        ("email", "b@example.org"),
        ("surname", "Smith"),
    ]


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        ("Ann", "text", "Ann"),
        (dt.date(1980, 2, 29), "date", "1980-02-29"),
        (PartialDate(1980, 2), "date", "1980-02-?"),
        (PersonName("Ann", "B", "Smith", "Jr"), "person_name", "Ann B Smith Jr"),
        (PostalAddress("Main St", "12", "Apt 3", "Boston"), "address", "12 Main St, Apt 3, Boston"),
        (Document("P123", "DE"), "document", "P123 (DE)"),
    ],
)
def test_every_shape_of_value_is_sent_as_itself_and_told_as_one_line(value: Value, kind: str, text: str) -> None:
    sent = value_of(value)

    assert sent.WhichOneof("value") == kind
    assert value_text(sent) == text


def test_only_a_typed_value_carries_its_type() -> None:
    assert value_of("x").type == record_pb2.SEMANTIC_TYPE_UNSPECIFIED
    assert value_of(Typed("x", SemanticType.EMPLOYER)).type == record_pb2.SEMANTIC_TYPE_EMPLOYER


def test_an_empty_text_is_left_out() -> None:
    assert not Record("crm", "1", {"email": ["", ""]}).to_proto().attributes


def test_a_time_without_a_zone_is_utc() -> None:
    moment = dt.datetime(2025, 1, 31, 12)

    naive = Record("crm", "1", observed_at=moment).to_proto()
    aware = Record("crm", "1", observed_at=moment.replace(tzinfo=dt.UTC)).to_proto()

    assert naive.observed_at == aware.observed_at


def test_consents_keep_what_was_stated() -> None:
    consent = Consent("marketing.email", ConsentState.WITHDRAWN, dt.datetime(2025, 1, 1), channel="email", jurisdiction="DE")

    [sent] = Record("crm", "1", party=Party.ZERO, consents=[consent]).to_proto().consents

    assert (sent.purpose, sent.state, sent.channel) == ("marketing.email", record_pb2.CONSENT_STATE_WITHDRAWN, "email")
    assert not sent.HasField("valid_until")


@pytest.mark.parametrize("name", ["Party", "SemanticType", "ConsentState"])
def test_the_client_knows_every_value_of_the_contracts_enums(name: str) -> None:
    ours = {"Party": Party, "SemanticType": SemanticType, "ConsentState": ConsentState}[name]
    theirs = {number for word, number in getattr(record_pb2, name).items() if number or name != "ConsentState"}

    assert {int(member) for member in ours} == theirs


def test_json_has_64_bit_numbers_as_numbers_and_enums_as_words() -> None:
    message = RecordMessage(name="tenants/t/records/1", revision=1 << 60, party=record_pb2.PARTY_FIRST)

    plain = to_dict(message)

    assert plain == {"name": "tenants/t/records/1", "party": "PARTY_FIRST", "revision": 1 << 60}


@pytest.mark.parametrize("token", [None, "", "opaque", "a.b.c", "e30.bm90anNvbg.x", "e30.W10.x"])
def test_a_token_that_says_no_tenant_means_the_default_one(token: str | None) -> None:
    assert tenant_of(token) == "default"


def test_the_tenant_is_read_from_the_token() -> None:
    assert tenant_of("e30.eyJ0ZW5hbnQiOiJhY21lIn0.x") == "acme"


def test_what_is_none_or_empty_is_left_out() -> None:
    record = Record("crm", "1", {"email": None, "phone": "", "surname": "Smith"})

    assert [value.attribute for value in record.to_proto().attributes] == ["surname"]


@pytest.mark.parametrize("value", [5, [1.5], {"a": "b"}])
def test_a_value_of_no_kind_is_told_with_its_attribute(value: object) -> None:
    with pytest.raises(TypeError, match="attribute shoe_size has a"):
        Record("crm", "1", {"shoe_size": value}).to_proto()  # type: ignore[dict-item]  # what is wrong
