"""What happens to identities is told as it happens, in order, to whoever follows, and from where they stopped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from command_line import run_main
from wire.conftest import StartServer
from wire.serving import RunningServer

from goldenthread.client import AsyncClient, Client, Event, EventType, Following, Record, SourceKey
from goldenthread.client.errors import InvalidField, NotFound, PermissionDenied, Retryable

ANN = {"name": "Ann Zuse", "email": "ann@example.org", "phone": "+1 212 555 0100"}
BOB = {"name": "Bob Miller", "email": "bob@example.org"}


def ann(source: str = "crm") -> Record:
    return Record(source, "1", ANN)


def bob() -> Record:
    return Record("shop", "8", BOB)


def kinds(events: list[Event]) -> list[str]:
    return [EventType.Name(event.type).removeprefix("EVENT_TYPE_") for event in events]


def stored(client: Client, **wanted: object) -> list[Event]:
    return list(client.list_events(Following(**wanted)))  # type: ignore[arg-type]  # each test gives the right ones


def heard(client: Client, count: int, wanted: Following) -> Iterator[Event]:
    """Follow until so many events came."""
    for events in client.subscribe(wanted):
        for event in events.events:
            yield event
            count -= 1
        if not count:
            return


def test_each_kind_of_change_has_its_event(client: Client) -> None:
    first = client.upsert_record(ann())
    second = client.upsert_record(ann("shop"))
    other = client.upsert_record(bob())
    merged = client.merge_identities([first.identity, other.identity], reason="test").identity
    client.split_identity(merged.name, [other.record], reason="test")
    client.delete_record(SourceKey("crm", "1"))
    client.delete_record(SourceKey("shop", "8"))

    events = stored(client)

    assert kinds(events) == [
        "IDENTITY_CREATED",
        "RECORDS_ADDED",
        "IDENTITY_CREATED",
        "IDENTITIES_MERGED",
        "IDENTITIES_MERGED",
        "IDENTITY_SPLIT",
        "IDENTITY_SPLIT",
        "RECORDS_REMOVED",
        "IDENTITY_ERASED",
    ]
    added, merged_in, stayed = events[1], events[3], events[4]
    assert (list(added.before), list(added.after)) == ([first.record], [first.record, second.record])
    assert (merged_in.identity, list(merged_in.after), list(merged_in.into)) == (other.identity, [], [first.identity])
    assert (stayed.identity, list(stayed.former), list(stayed.added)) == (first.identity, [other.identity], [other.record])
    assert {event.identity for event in events[5:7]} == set(events[5].into)
    assert list(events[7].removed) == [first.record]
    assert list(events[8].after) == []


def test_an_upsert_that_changes_nothing_tells_nothing(client: Client) -> None:
    client.upsert_record(ann())
    before = stored(client)

    client.upsert_record(ann())

    assert stored(client) == before


def test_an_event_names_the_revision_that_its_writer_was_told(client: Client) -> None:
    put = client.upsert_record(ann())

    (event,) = stored(client)

    assert (event.revision, event.index) == (put.revision, 0)
    assert event.name == f"tenants/{client.tenant}/events/{put.revision}-0"
    assert event.commit_time == client.get_record(put.record).record.recorded_at


def test_following_hears_what_is_stored_and_then_what_is_committed(client: Client) -> None:
    client.upsert_record(ann())
    following = heard(client, 2, Following())

    first = next(following)
    client.upsert_record(ann("shop"))
    second = next(following)

    assert kinds([first, second]) == ["IDENTITY_CREATED", "RECORDS_ADDED"]


def test_following_only_what_is_new_begins_with_the_next_commit(client: Client) -> None:
    client.upsert_record(ann())
    following = client.subscribe(Following(only_new=True))
    assert next(following).events == ()

    client.upsert_record(bob())

    assert kinds(list(next(following).events)) == ["IDENTITY_CREATED"]
    following.close()


def test_a_subscription_goes_on_after_what_was_acknowledged(client: Client) -> None:
    client.upsert_record(ann())
    client.upsert_record(ann("shop"))
    client.upsert_record(bob())
    first = next(heard(client, 1, Following("crm")))

    kept = client.acknowledge("crm", first)

    rest = list(heard(client, 2, Following("crm")))
    assert kinds(rest) == ["RECORDS_ADDED", "IDENTITY_CREATED"]
    assert (kept.cursor, kept.lag_revisions) == (f"{first.revision}-0", 3)  # keeping a cursor is a commit too
    assert kept.lag_seconds > 0


def test_a_cursor_goes_back_only_when_told_to(client: Client) -> None:
    client.upsert_record(ann())
    client.upsert_record(bob())
    latest = client.acknowledge("crm", stored(client)[-1]).cursor

    late = client.acknowledge("crm", "0")
    rewound = client.acknowledge("crm", "0", rewind=True)

    assert (late.cursor, late.lag_revisions, rewound.cursor) == (latest, 0, "0")


def test_a_cursor_in_the_future_is_refused(client: Client) -> None:
    client.upsert_record(ann())

    with pytest.raises(InvalidField, match="lies after the latest revision"):
        client.acknowledge("crm", "999")
    with pytest.raises(InvalidField, match="lies after the latest revision"):
        next(client.subscribe(Following(cursor="999")))


def test_events_are_chosen_by_type_and_by_identity(client: Client) -> None:
    first, other = client.upsert_record(ann()), client.upsert_record(bob())
    client.merge_identities([first.identity, other.identity], reason="test")

    merged = stored(client, types=[EventType.EVENT_TYPE_IDENTITIES_MERGED])
    of_other = stored(client, identities=[other.identity])

    assert kinds(merged) == ["IDENTITIES_MERGED"] * 2
    assert [(kind, event.identity) for kind, event in zip(kinds(of_other), of_other, strict=True)] == [
        ("IDENTITY_CREATED", other.identity),
        ("IDENTITIES_MERGED", other.identity),
        ("IDENTITIES_MERGED", first.identity),
    ]


def test_pages_give_every_event_once(client: Client) -> None:
    client.upsert_records([Record("crm", str(number), {"email": f"{number}@example.org"}) for number in range(7)])

    pages = list(client.list_events(page_size=2))

    assert pages == stored(client)
    assert len({event.name for event in pages}) == 7


def test_subscriptions_are_listed_and_deleted(client: Client) -> None:
    client.upsert_record(ann())
    for name in ("one", "two", "three"):
        client.acknowledge(name, "1")

    listed = {each.name.rpartition("/")[2] for each in client.list_subscriptions(page_size=2)}
    client.delete_subscription("two")

    assert listed == {"one", "two", "three"}
    assert {each.name.rpartition("/")[2] for each in client.list_subscriptions()} == {"one", "three"}
    with pytest.raises(NotFound):
        client.get_subscription("two")


def test_readers_follow_and_only_writers_keep_cursors(server: RunningServer) -> None:
    with server.client("writer") as writer, server.client("reader") as reader:
        writer.upsert_record(ann())

        assert kinds(stored(reader)) == ["IDENTITY_CREATED"]
        with pytest.raises(PermissionDenied):
            reader.acknowledge("crm", "1")


def test_another_tenants_events_look_missing(server: RunningServer, client: Client) -> None:
    client.upsert_record(ann())
    with server.client(tenant="somebody-else") as other:
        assert stored(other) == []
        with pytest.raises(NotFound):
            other.get_subscription(f"tenants/{client.tenant}/subscriptions/crm")


def test_a_quiet_stream_has_heartbeats_and_outlasts_the_server(make_server: StartServer, store_url: str) -> None:
    server = make_server(store=store_url, event_heartbeat_seconds=0.1)
    with server.client() as client:
        put = client.upsert_record(ann())
        following = client.subscribe(Following(only_new=True))
        beats = [next(following) for _ in range(3)]

        server.restart()

        assert [(beat.events, beat.cursor) for beat in beats] == [((), str(put.revision))] * 3
        with server.client() as another:
            another.upsert_record(bob())
        heard = next(beat for beat in following if beat.events)
        assert kinds(list(heard.events)) == ["IDENTITY_CREATED"]
        server.stop()
        with pytest.raises(Retryable):
            next(client.subscribe(Following()))


@pytest.mark.neo4j
def test_what_another_server_commits_is_heard(make_server: StartServer, neo4j_store: str) -> None:
    one = make_server(store=neo4j_store, event_poll_seconds=0.1, event_heartbeat_seconds=60)
    other = make_server(store=neo4j_store, tenant=one.tenant, data=str(one.data))
    with one.client() as follower, other.client() as writer:
        following = follower.subscribe(Following(only_new=True))
        next(following)

        writer.upsert_record(ann())

        assert kinds(list(next(following).events)) == ["IDENTITY_CREATED"]
        following.close()


async def test_the_async_client_follows_lists_and_acknowledges(server: RunningServer) -> None:
    async with AsyncClient(server.address, token=server.token()) as client:
        await client.upsert_record(ann())
        await client.upsert_record(bob())

        heard = await anext(client.subscribe())
        kept = await client.acknowledge("crm", heard)

        assert [event async for event in client.list_events()] == list(heard.events)
        assert [each.name async for each in client.list_subscriptions()] == [kept.name]
        assert (await client.get_subscription("crm")).lag_revisions == 0
        assert [letter async for letter in client.list_dead_letters("crm")] == []
        await client.delete_subscription("crm")
        with pytest.raises(NotFound):
            assert [letter async for letter in client.list_dead_letters("crm")] == []


def test_the_command_line_watches_lists_and_acknowledges(
    server: RunningServer, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    client.upsert_record(ann())
    client.upsert_record(bob())
    reach = ("--server", server.address, "--token", server.token())

    watched = run_main(capsys, ("events", "watch", "--count", "1", "--subscription", "crm", "--ack", "--json", *reach))
    listed = run_main(capsys, ("events", "list", "--type", "identity-created", "--json", *reach))
    shown = run_main(capsys, ("events", "list", *reach))
    subscribed = run_main(capsys, ("events", "subscriptions", "--json", *reach))
    acknowledged = run_main(capsys, ("events", "ack", "crm", "0", "--rewind", "--json", *reach))
    forgotten = run_main(capsys, ("events", "forget", "crm", *reach))
    wrong = run_main(capsys, ("events", "list", "--type", "birthday", *reach))

    first, second = listed.items
    assert watched.facts == first
    assert [line.split()[:2] for line in shown.out.splitlines()] == [
        [str(event["name"]).rpartition("/")[2], "identity-created"] for event in (first, second)
    ]
    assert [each["cursor"] for each in subscribed.items] == [str(first["name"]).rpartition("/")[2]]
    assert acknowledged.facts["cursor"] == "0"
    assert forgotten.code == 0
    assert (wrong.code, "no type of event" in wrong.err) == (2, True)
