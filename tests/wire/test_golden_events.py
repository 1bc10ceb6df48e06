"""Golden values that change are told by the names of their attributes, old events are cleared, and lags are measured."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from wire.conftest import SharedServers, StartServer
from wire.serving import RunningServer

from goldenthread.client import Client, DataModel, Event, EventType, Following, JobState, Record, SourceKey, survivorship_rules
from goldenthread.client.errors import CursorTooOld
from goldenthread.v1 import model_service_pb2

DAYS = [datetime(2026, 1, 1, tzinfo=UTC)]
ANN = {"name": "Ann Zuse", "email": "ann@example.org", "phone": "+1 212 555 0100"}
CHANGED = EventType.EVENT_TYPE_GOLDEN_VALUES_CHANGED


@pytest.fixture
def server(shared_servers: SharedServers, store_url: str) -> RunningServer:
    """A server that compares golden values soon."""
    return shared_servers(store_url, golden_event_delay_seconds=0.1, event_heartbeat_seconds=0.1)


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    """An administrator of that server, who has subscribed."""
    with server.client() as client:
        client.acknowledge("somebody", "0")
        yield client


def changes(client: Client) -> Iterator[Event]:
    for heard in client.subscribe(Following(types=[CHANGED])):
        yield from heard.events


def test_a_correction_that_moves_no_record_is_told(client: Client) -> None:
    put = client.upsert_record(Record("crm", "1", {**ANN, "tier": "silver"}))

    client.upsert_record(Record("crm", "1", {**ANN, "tier": "gold"}))

    event = next(changes(client))
    assert (event.identity, list(event.fields)) == (put.identity, ["tier"])
    assert not event.before
    assert not event.after


def test_a_record_that_changes_no_golden_value_is_not_told(client: Client) -> None:
    first = client.upsert_record(Record("crm", "1", ANN))
    client.upsert_record(Record("shop", "1", ANN))
    client.upsert_record(Record("shop", "2", {**ANN, "tier": "gold"}))

    event = next(changes(client))

    assert (event.identity, list(event.fields)) == (first.identity, ["tier"])


def test_a_value_that_changes_and_changes_back_is_told(client: Client) -> None:
    silver, gold = {**ANN, "tier": "silver"}, {**ANN, "tier": "gold"}
    put = [client.upsert_record(Record("crm", "1", attributes)) for attributes in (silver, gold, silver)]

    event = next(changes(client))

    assert (event.identity, list(event.fields)) == (put[0].identity, ["tier"])


def test_a_pin_that_comes_or_goes_is_told(client: Client) -> None:
    client.upsert_record(Record("crm", "1", {**ANN, "tier": "silver", "city": "Ghent"}))
    put = client.upsert_record(Record("shop", "1", {**ANN, "tier": "gold", "city": "Namur"}))
    told = (event for event in changes(client) if event.revision > put.revision)
    next(told)
    other = "crm:1" if golden(client, put.identity, "city") == "Namur" else "shop:1"
    record = client.get_record(SourceKey(*other.split(":"))).record.name

    pin = client.pin_value(record, "city", reason="test")
    pinned = next(told)
    client.undo_decision(pin.decision.name, reason="test")
    undone = next(told)

    assert [list(event.fields) for event in (pinned, undone)] == [["city"], ["city"]]


def golden(client: Client, identity: str, attribute: str) -> str:
    found = client.get_golden_record(identity).golden_record
    return next(one.values[0].value.text for one in found.attributes if one.attribute == attribute)


def test_what_other_survivorship_rules_change_is_told_of_every_identity_once(client: Client) -> None:
    put = [client.upsert_record(Record("crm", "1", {**ANN, "city": "Ghent"}))]
    put.append(client.upsert_record(Record("shop", "1", {**ANN, "city": "Namur"})))
    bob = {"name": "Bob Jones", "email": "bob@example.org"}
    moved = [client.upsert_record(Record("shop", "2", {**bob, "city": city})) for city in ("Luik", "Liège")]
    next(event for event in changes(client) if event.identity == moved[0].identity)  # all that records changed is told
    trusted = "crm" if golden(client, put[0].identity, "city") == "Namur" else "shop"
    rules = {
        "rules": [{"name": "r", "attributes": ["city"], "criteria": ["source_trust"]}],
        "trust": [{"source": trusted, "trust": 90}],
    }

    answer = client.update_survivorship_rules(survivorship_rules(rules))
    job = client.wait_job(answer.job.name, timeout_seconds=60)

    told = [event for event in client.list_events() if event.type == CHANGED and event.revision > answer.revision]
    assert job.state == JobState.JOB_STATE_SUCCEEDED
    assert [(event.identity, list(event.fields)) for event in told] == [(put[1].identity, ["city"])]
    assert json.loads(job.result) == {"identities": 2, "changed": 1}


def test_what_a_data_model_changes_that_says_otherwise_how_values_survive_is_told(client: Client) -> None:
    client.upsert_record(Record("crm", "1", {**ANN, "surname": "Zuse", "occupation": "clerk"}, observed_at=DAYS[0]))
    put = client.upsert_record(Record("shop", "1", {**ANN, "surname": "Zuse", "occupation": "head of accounting"}))
    client.upsert_record(Record("shop", "2", {**ANN, "surname": "Zuse", "occupation": "clerk"}, observed_at=DAYS[0]))
    told = (event for event in changes(client) if event.revision > put.revision + 1)
    (occupation,) = (one for one in client.get_data_model().attributes if one.name == "occupation")
    occupation.survivorship = model_service_pb2.SURVIVORSHIP_MOST_FREQUENT

    updated = client.update_data_model(DataModel(attributes=[occupation]))
    event = next(event for event in told if event.revision > updated.revision)

    assert (event.identity, list(event.fields)) == (put.identity, ["occupation"])


def test_who_subscribes_later_hears_of_golden_values_from_then_on(server: RunningServer) -> None:
    with server.client() as client:
        client.upsert_record(Record("crm", "1", {**ANN, "tier": "silver"}))
        put = client.upsert_record(Record("crm", "1", {**ANN, "tier": "gold"}))
        client.acknowledge("late", "0")
        client.upsert_record(Record("crm", "1", {**ANN, "tier": "bronze"}))

        event = next(changes(client))
        told = [event.type for event in client.list_events()]

    assert (event.identity, list(event.fields)) == (put.identity, ["tier"])
    assert told.count(CHANGED) == 1
    assert EventType.EVENT_TYPE_IDENTITY_CREATED in told


def test_rules_that_nobody_hears_of_are_not_compared(server: RunningServer) -> None:
    with server.client() as client:
        client.upsert_record(Record("crm", "1", ANN))

        job = client.wait_job(client.update_survivorship_rules(survivorship_rules({})).job.name, timeout_seconds=60)

        assert json.loads(job.result) == {"identities": 0, "changed": 0}


def test_a_deletion_tells_what_it_changes_in_its_own_commit(client: Client) -> None:
    client.upsert_record(Record("crm", "1", ANN))
    client.upsert_record(Record("shop", "1", {**ANN, "tier": "gold"}))

    deleted = client.delete_record(SourceKey("shop", "1"))

    events = [event for event in client.list_events() if event.revision == deleted.revision]
    assert [event.type for event in events] == [EventType.EVENT_TYPE_RECORDS_REMOVED, CHANGED]
    assert list(events[1].fields) == ["tier"]


def test_what_a_killed_server_had_not_compared_is_told_by_the_next(make_server: StartServer, store_url: str) -> None:
    patient = make_server(store=store_url, golden_event_delay_seconds=600)
    with patient.client() as client:
        client.acknowledge("somebody", "0")
        client.upsert_record(Record("crm", "1", {**ANN, "tier": "silver"}))
        put = client.upsert_record(Record("crm", "1", {**ANN, "tier": "gold"}))
    patient.kill()

    prompt = make_server(store=store_url, tenant=patient.tenant, data=str(patient.data), golden_event_delay_seconds=0.1)

    with prompt.client() as client:
        event = next(changes(client))
        assert (event.identity, list(event.fields)) == (put.identity, ["tier"])


def test_old_events_are_cleared_and_a_cursor_before_them_is_refused(make_server: StartServer, store_url: str) -> None:
    server = make_server(store=store_url, event_retention_days=1e-9, event_upkeep_seconds=0.1, event_heartbeat_seconds=0.1)
    with server.client() as client:
        put = client.upsert_record(Record("crm", "1", ANN))

        for _ in client.subscribe(Following(only_new=True)):
            try:
                list(client.list_events(Following(cursor="0")))
            except CursorTooOld as error:
                oldest = error.metadata["oldest"]
                break

        assert int(oldest) >= put.revision
        assert list(client.list_events()) == []
        with pytest.raises(CursorTooOld):
            next(client.subscribe(Following(cursor="1")))


def test_the_lag_of_a_subscription_is_a_metric(make_server: StartServer, store_url: str) -> None:
    server = make_server(store=store_url, metrics_listen="127.0.0.1:0", event_upkeep_seconds=0.1, event_heartbeat_seconds=0.1)
    with server.client() as client:
        client.upsert_record(Record("crm", "1", ANN))
        client.acknowledge("crm", "0")

        for _ in client.subscribe(Following(only_new=True)):
            with urllib.request.urlopen(f"http://{server.metrics_address}/metrics", timeout=30) as answer:
                shown = [line for line in answer.read().decode().splitlines() if 'subscription="crm"' in line]
            values = {line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in shown}
            if values.get("goldenthread_subscription_lag_seconds"):
                break

    assert values["goldenthread_subscription_lag_revisions"] >= 1
