"""Survivorship rules over the wire: versioned with the graph, previewed, by purpose; golden records in batches."""

from __future__ import annotations

import datetime as dt

import pytest
from wire.serving import RunningServer

from goldenthread.client import Client, Record, SurvivorshipRules, survivorship_rules
from goldenthread.client.errors import InvalidField, PermissionDenied, RequestIdReused
from goldenthread.v1.golden_record_service_pb2 import GoldenAttribute

DAY = dt.datetime(2025, 3, 1, 12, tzinfo=dt.UTC)
TRUSTING = survivorship_rules(
    {
        "rules": [{"name": "registry-first", "attributes": ["city"], "criteria": ["source_trust"], "stale_after_days": 1}],
        "trust": [{"source": "registry", "trust": 90}],
        "purposes": [{"purpose": "adverts", "forbidden_sources": ["registry"], "forbidden_attributes": ["birth_date"]}],
    }
)


def edith(id: str, source: str, day: int, **values: str) -> Record:
    """A record of one person."""
    known = {"given_name": "Edith", "surname": "Clarke", "birth_date": "1983-02-10", "email": "edith@clarke.example"}
    return Record(source, id, {**known, **values}, observed_at=DAY + dt.timedelta(days=day))


def attribute(client: Client, name: str, attribute: str, **how: object) -> GoldenAttribute:
    golden = client.get_golden_record(name, **how).golden_record  # type: ignore[arg-type]  # purpose or as_of
    return next(one for one in golden.attributes if one.attribute == attribute)


def test_rules_hold_from_their_revision_on(client: Client) -> None:
    identity = client.upsert_record(edith("1", "registry", 0, city="Rome")).identity
    before = client.upsert_record(edith("2", "shop", 5, city="Oslo"))

    after = client.update_survivorship_rules(TRUSTING)

    now, then = attribute(client, identity, "city"), attribute(client, identity, "city", as_of=before.revision)
    assert (now.values[0].value.text, now.rule, now.values[0].stale) == ("Rome", "registry-first", True)
    assert now.values[0].because == "its source is trusted most"
    assert (then.values[0].value.text, then.rule) == ("Oslo", "most_recent")
    stored = client.get_survivorship_rules()
    assert (stored.revision, stored.survivorship_rules) == (after.revision, after.survivorship_rules)
    assert not client.get_survivorship_rules(as_of=before.revision).survivorship_rules.rules


def test_a_preview_counts_what_would_change_and_changes_nothing(client: Client) -> None:
    identity = client.upsert_record(edith("1", "registry", 0, city="Rome")).identity
    client.upsert_record(edith("2", "shop", 5, city="Oslo"))
    client.upsert_record(Record("shop", "3", {"given_name": "Hedy", "surname": "Kiesler", "city": "Vienna"}))

    effect = client.update_survivorship_rules(TRUSTING, validate_only=True)

    assert (effect.sampled, effect.changed, dict(effect.changed_by_attribute)) == (2, 1, {"city": 1})
    assert attribute(client, identity, "city").values[0].value.text == "Oslo"
    assert client.get_survivorship_rules().revision == 0


def test_a_purpose_gives_nothing_that_it_may_not_use(client: Client) -> None:
    name = client.upsert_record(edith("1", "registry", 9, city="Rome")).identity
    client.upsert_record(edith("2", "shop", 5))
    client.update_survivorship_rules(TRUSTING)

    golden = client.get_golden_record(name, purpose="adverts").golden_record

    assert {one.attribute for one in golden.attributes} == {"given_name", "surname", "email"}
    assert {value.source for one in golden.attributes for value in (*one.values, *one.losers)} == {"shop"}
    assert len(golden.records) == 1
    with pytest.raises(InvalidField, match="purpose"):
        client.get_golden_record(name, purpose="advert")


def test_many_golden_records_come_at_once_in_the_order_asked_for(client: Client) -> None:
    ann = client.upsert_record(Record("crm", "1", {"given_name": "Ann", "surname": "Ash"})).identity
    bob = client.upsert_record(Record("crm", "2", {"given_name": "Bob", "surname": "Birch"})).identity
    nobody = ann[:-32] + "0" * 32
    elsewhere = ann.replace(client.tenant, "elsewhere")

    batch = client.batch_get_golden_records([bob, nobody, ann, f"{ann}/goldenRecord", elsewhere])

    assert [golden.name for golden in batch.golden_records] == [f"{bob}/goldenRecord", f"{ann}/goldenRecord"]
    assert set(batch.missing) == {nobody, elsewhere}
    assert batch.golden_records[1] == client.get_golden_record(ann).golden_record


@pytest.mark.parametrize(
    "plain",
    [
        {"rules": [{"name": "a"}, {"name": "a"}]},
        {"rules": [{"name": "a", "purposes": ["nowhere"]}]},
        {"groups": [{"attributes": ["city", "planet"]}]},
        {"verifying": {"attribute": "kyc"}},
        {"trust": [{"source": "crm", "trust": 101}]},
    ],
)
def test_rules_that_do_not_fit_are_refused(client: Client, plain: dict[str, object]) -> None:
    wanted = survivorship_rules(plain)  # type: ignore[arg-type]  # plain values

    with pytest.raises(InvalidField):
        client.update_survivorship_rules(wanted)
    with pytest.raises(InvalidField):
        client.update_survivorship_rules(wanted, validate_only=True)


def test_only_an_admin_changes_rules_and_a_repeat_answers_as_before(server: RunningServer, client: Client) -> None:
    first = client.update_survivorship_rules(TRUSTING, request_id="r1")

    again = client.update_survivorship_rules(TRUSTING, request_id="r1")

    assert again.job.name == first.job.name
    for answer in (again, first):
        answer.ClearField("job")  # it may have begun meanwhile
    assert again == first
    with pytest.raises(RequestIdReused):
        client.update_survivorship_rules(SurvivorshipRules(), request_id="r1")
    with server.client("writer") as writer, pytest.raises(PermissionDenied):
        writer.update_survivorship_rules(TRUSTING)


def test_a_pin_wins_until_it_is_undone_and_holds_as_of_its_time(client: Client) -> None:
    first = client.upsert_record(edith("1", "registry", 0, city="Rome"))
    before = client.upsert_record(edith("2", "shop", 5, city="Oslo"))

    pinned = client.pin_value(first.record, "city", "Rome", reason="she said so")
    now, then = attribute(client, first.identity, "city"), attribute(client, first.identity, "city", as_of=before.revision)
    client.undo_decision(pinned.decision.name, reason="she moved")
    undone = attribute(client, first.identity, "city")

    assert (now.values[0].value.text, now.rule, now.values[0].decision) == ("Rome", "pinned", pinned.decision.name)
    assert (then.values[0].value.text, undone) == ("Oslo", then)
