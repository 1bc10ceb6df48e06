"""What stewards decide holds, is listed, and can be undone as if it had never been."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import pytest
from wire.conftest import StartServer

from goldenthread.client import Client, Following, PostalAddress, Record, SourceKey
from goldenthread.client.errors import FailedPrecondition, InvalidField, NotFound
from goldenthread.v1 import decision_service_pb2 as pb
from goldenthread.v1.resolution_service_pb2 import LineageCause

HOME = PostalAddress(street="12 Harbour Lane", city="Springfield", region="IL", postcode="62704", country="US")
TOMORROW = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)


def ada(id: str, **values: str) -> Record:
    """A record of Ada, which matches every other one of hers."""
    known = {"given_name": "Ada", "surname": "Lovelace", "birth_date": "1985-12-10", "email": "ada@lovelace.example"}
    return Record("crm", id, {**known, **values})


def grace(id: str, **values: str) -> Record:
    """A record of somebody else."""
    known = {"given_name": "Grace", "surname": "Hopper", "birth_date": "1976-12-09", "email": "grace@hopper.example"}
    return Record("crm", id, {**known, **values})


def put(client: Client, *records: Record) -> list[str]:
    """Put records; return their names."""
    return [client.upsert_record(record).record for record in records]


def identity_of(client: Client, record: str) -> str:
    return client.get_identity(record=record).identity.name


def people(client: Client) -> dict[str, tuple[frozenset[str], bytes]]:
    """Read every identity by name: its records, and its golden record as bytes."""
    return {
        one.name: (
            frozenset(one.records),
            client.get_golden_record(one.name).golden_record.SerializeToString(deterministic=True),
        )
        for one in client.list_identities()
    }


def fates(effect: pb.DecisionEffect) -> dict[str, int]:
    return {one.name: one.fate for one in effect.identities}


def names(decisions: Iterable[pb.Decision]) -> list[str]:
    return [decision.name for decision in decisions]


def test_a_wrong_merge_that_is_split_and_unsplit_and_undone_leaves_people_just_as_they_were(client: Client) -> None:
    first, _, third = put(client, ada("1", city="Rome"), ada("2", city="Oslo"), grace("3"))
    apart = people(client)
    merged = client.merge_identities([identity_of(client, first), identity_of(client, third)], reason="same passport")
    together = people(client)
    kept = merged.identity.name

    split = client.split_identity(kept, [third], reason="another person")
    restored = [part.name for part in split.identities]
    undone = client.undo_decision(split.decision, reason="it was right")
    as_merged = people(client)
    client.undo_decision(merged.decision, reason="the passport was her sister's")

    assert as_merged == together != apart
    assert people(client) == apart
    assert set(restored) == set(apart)
    assert fates(undone.effect) == {restored[0]: pb.IDENTITY_FATE_CHANGED, restored[1]: pb.IDENTITY_FATE_RETIRED}
    assert undone.decision.state == pb.DECISION_STATE_UNDONE
    assert (undone.decision.end.actor, undone.decision.end.reason) == ("tester", "it was right")
    assert client.get_identity(restored[1]).superseded_name == ""


def test_the_lineage_of_a_name_shows_both_the_split_and_its_undoing(client: Client) -> None:
    first, second = put(client, ada("1"), ada("2"))
    name = identity_of(client, first)
    split = client.split_identity(name, [second], reason="twins")
    other = split.identities[1].name
    undone = client.undo_decision(split.decision, reason="no twins")

    lineage = client.get_identity_lineage(name)
    part = client.get_identity_lineage(other)
    before = client.get_identity_lineage(name, as_of=undone.revision - 1)

    assert [(step.fate, step.cause) for step in lineage.steps] == [
        (pb.IDENTITY_FATE_CREATED, LineageCause.LINEAGE_CAUSE_RECORD),
        (pb.IDENTITY_FATE_CHANGED, LineageCause.LINEAGE_CAUSE_RECORD),
        (pb.IDENTITY_FATE_CHANGED, LineageCause.LINEAGE_CAUSE_DECISION),
        (pb.IDENTITY_FATE_CHANGED, LineageCause.LINEAGE_CAUSE_UNDO),
    ]
    lost, gained = lineage.steps[2:]
    assert (list(lost.records_removed), list(lost.lost_to), lost.decision) == ([second], [other], split.decision)
    assert (list(gained.records_added), list(gained.gained_from), gained.decision) == ([second], [other], split.decision)
    assert [(step.fate, list(step.lost_to)) for step in part.steps] == [
        (pb.IDENTITY_FATE_CREATED, []),
        (pb.IDENTITY_FATE_RETIRED, [name]),
    ]
    assert (list(lineage.parts), list(part.parts), list(part.identity.superseded_by)) == ([name], [name], [name])
    assert list(before.steps) == list(lineage.steps)[:3]
    assert sorted(before.parts) == sorted([name, other])


def test_a_lineage_tells_matches_deletions_and_names_that_come_back_page_by_page(client: Client) -> None:
    first, other = put(client, ada("1"), grace("2"))
    mine, hers = identity_of(client, first), identity_of(client, other)
    matched = client.upsert_record(ada("2"))
    client.unlink_records([first], [other], reason="twins")
    client.delete_record(first)

    pages, token = [], ""
    while True:
        page = client.get_identity_lineage(hers, page_size=1, page_token=token)
        pages += page.steps
        token = page.next_page_token
        if not token:
            break

    assert [(step.fate, step.cause) for step in pages] == [
        (pb.IDENTITY_FATE_CREATED, LineageCause.LINEAGE_CAUSE_RECORD),
        (pb.IDENTITY_FATE_RETIRED, LineageCause.LINEAGE_CAUSE_MATCH),
        (pb.IDENTITY_FATE_RESTORED, LineageCause.LINEAGE_CAUSE_DECISION),
    ]
    assert (pages[1].revision, list(pages[1].lost_to)) == (matched.revision, [mine])
    gone = client.get_identity_lineage(mine)
    assert (gone.steps[-1].fate, gone.steps[-1].cause) == (pb.IDENTITY_FATE_RETIRED, LineageCause.LINEAGE_CAUSE_DELETION)
    assert list(gone.parts) == [hers]
    with pytest.raises(NotFound):
        client.get_identity_lineage("0" * 32)


def test_a_decision_ends_by_itself_when_its_time_is_up(make_server: StartServer, store_url: str) -> None:
    server = make_server(store=store_url, expiry_look_seconds=0.05)
    with server.client() as client:
        first, other = put(client, ada("1"), grace("2"))
        before = people(client)
        soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=2)

        made = client.link_records([first], [other], reason="for a moment", expire_time=soon)
        told = (event for events in client.subscribe(Following()) for event in events.events)
        ended = next(event for event in told if event.revision > made.revision)

        decision = client.get_decision(made.decision.name)
        assert (decision.state, decision.end.revision, decision.end.actor) == (
            pb.DECISION_STATE_EXPIRED,
            ended.revision,
            "",
        )
        assert decision.end.end_time.ToDatetime(dt.UTC) >= soon
        assert people(client) == before
        [*_, last] = client.get_identity_lineage(ended.identity).steps
        assert (last.cause, last.decision) == (LineageCause.LINEAGE_CAUSE_EXPIRY, made.decision.name)


def test_undoing_a_merge_gives_back_both_names_also_when_records_came_since(client: Client) -> None:
    first, other = put(client, ada("1"), grace("2"))
    before = identity_of(client, first), identity_of(client, other)
    merged = client.merge_identities(list(before), reason="told so")
    late = put(client, grace("3"), grace("4"), grace("5"))
    assert {identity_of(client, record) for record in late} == {merged.identity.name}

    client.undo_decision(merged.decision, reason="misheard")

    assert (identity_of(client, first), identity_of(client, other)) == before
    assert {identity_of(client, record) for record in late} == {before[1]}


def test_a_preview_of_undoing_says_what_comes_back_and_changes_nothing(client: Client) -> None:
    first, other = put(client, ada("1"), grace("2"))
    mine, hers = identity_of(client, first), identity_of(client, other)
    merged = client.merge_identities([mine, hers], reason="told so")
    held = people(client)

    preview = client.undo_decision(merged.decision, reason="misheard", validate_only=True)

    assert people(client) == held
    assert preview.decision.state == pb.DECISION_STATE_LIVE
    retired = hers if merged.identity.name == mine else mine
    assert fates(preview.effect) == {merged.identity.name: pb.IDENTITY_FATE_CHANGED, retired: pb.IDENTITY_FATE_RESTORED}
    [moved] = preview.effect.moves
    assert (moved.record, getattr(moved, "from"), moved.to) == (
        other if retired == hers else first,
        merged.identity.name,
        retired,
    )
    assert {"email", "surname"} <= set(preview.effect.identities[0].golden_fields)


def test_a_preview_of_a_merge_names_who_is_retired_and_which_values_change(client: Client) -> None:
    first, other = put(client, ada("1"), grace("2"))
    mine, hers = identity_of(client, first), identity_of(client, other)

    preview = client.merge_identities([mine, hers], reason="told so", validate_only=True)
    merged = client.merge_identities([mine, hers], reason="told so")

    assert (preview.decision, preview.effect.moves) == ("", merged.effect.moves)
    assert preview.effect == merged.effect
    by_name = {one.name: one for one in merged.effect.identities}
    [retired] = merged.superseded
    assert list(by_name[retired].loses_to) == [merged.identity.name]
    assert list(by_name[merged.identity.name].gains_from) == [retired]
    assert "email" in by_name[merged.identity.name].golden_fields


def test_records_that_must_link_are_one_until_that_is_undone(client: Client) -> None:
    first, second, other = put(client, ada("1"), ada("2"), grace("3"))
    before = people(client)

    made = client.link_records([first], [other], reason="seen together with one passport")
    linked = identity_of(client, other) == identity_of(client, second)
    client.undo_decision(made.decision.name, reason="no")

    assert linked
    assert (made.decision.kind, list(made.decision.left), list(made.decision.right)) == ("must_link", [first], [other])
    assert people(client) == before


def test_records_that_cannot_link_are_apart_until_that_is_undone(client: Client) -> None:
    first, second, third = put(client, ada("1"), ada("2"), ada("3"))
    before = people(client)

    preview = client.unlink_records([second], [first, third], reason="twins", validate_only=True)
    made = client.unlink_records([second], [first, third], reason="twins")
    parted = identity_of(client, second) not in {identity_of(client, first), identity_of(client, third)}
    late = client.upsert_record(ada("4")).record
    client.undo_decision(made.decision.name, reason="no twins")

    assert parted
    assert [one.name for one in preview.effect.identities if one.fate == pb.IDENTITY_FATE_CREATED] == [""]
    assert {name: records - {late} for name, (records, _) in people(client).items()} == {
        name: records for name, (records, _) in before.items()
    }


def test_a_decision_before_the_fact_holds_when_the_records_come_to_match(client: Client) -> None:
    first, other = put(client, ada("1"), grace("2"))
    client.unlink_records([first], [other], reason="known to be two")

    client.upsert_record(ada("2"))

    assert identity_of(client, first) != identity_of(client, other)


def test_of_decisions_that_contradict_each_other_the_later_holds(client: Client) -> None:
    first, second = put(client, ada("1"), ada("2"))
    apart = client.unlink_records([first], [second], reason="two")

    client.link_records([first], [second], reason="one after all")
    one = identity_of(client, first) == identity_of(client, second)
    again = client.unlink_records([second], [first], reason="two after all")
    two = identity_of(client, first) != identity_of(client, second)
    client.undo_decision(again.decision.name, reason="no")

    assert (one, two) == (True, True)
    assert identity_of(client, first) == identity_of(client, second)
    assert client.get_decision(apart.decision.name).state == pb.DECISION_STATE_LIVE


def test_a_decision_binds_a_record_that_is_deleted_and_comes_back(client: Client) -> None:
    first, second, other = put(client, ada("1"), ada("2"), grace("3"))
    apart = client.unlink_records([first], [second], reason="twins")
    one = client.link_records([first], [other], reason="her pen name")

    client.delete_record(SourceKey("crm", "1"))
    gone = client.get_decision(apart.decision.name)
    back = client.upsert_record(ada("1", city="Rome"))

    assert list(gone.left) == [first]
    assert back.record == first
    assert identity_of(client, first) == identity_of(client, other) != identity_of(client, second)
    client.undo_decision(one.decision.name, reason="no")
    assert identity_of(client, first) not in {identity_of(client, other), identity_of(client, second)}


def test_a_decision_is_undone_also_while_a_record_of_it_is_deleted(client: Client) -> None:
    first, second, other = put(client, ada("1"), ada("2"), grace("3"))
    made = client.link_records([first], [second, other], reason="her pen name")
    client.delete_record(first)
    held = identity_of(client, second) == identity_of(client, other)

    client.undo_decision(made.decision.name, reason="no")
    client.upsert_record(ada("1", city="Rome"))

    assert held
    assert identity_of(client, first) == identity_of(client, second) != identity_of(client, other)


def test_a_person_who_is_not_of_a_household_leaves_it_until_that_is_undone(client: Client) -> None:
    first, other = put(
        client,
        Record("crm", "1", {**ada("1").attributes, "address": HOME}),
        Record("crm", "2", {"given_name": "Byron", "surname": "Lovelace", "birth_date": "1986-05-12", "address": HOME}),
    )
    person = identity_of(client, first)
    [household] = client.get_household(person)

    preview = client.leave_household(person, household.name, reason="a namesake", validate_only=True)
    still = client.get_household(person)
    made = client.leave_household(person, household.name, reason="a namesake")
    client.upsert_record(Record("crm", "1", {**ada("1").attributes, "address": HOME, "city": "Springfield"}))
    left = client.get_household(person)
    client.undo_decision(made.decision.name, reason="his sister")

    assert still == [household] == client.get_household(person)
    assert left == []
    assert list(preview.effect.identities[0].households_left) == [household.name]
    assert preview.effect.identities[0].fate == pb.IDENTITY_FATE_CHANGED
    assert (made.decision.kind, made.decision.household, list(made.decision.left)) == (
        "not_household",
        household.name,
        [first],
    )
    with pytest.raises(InvalidField, match="household"):
        client.leave_household(identity_of(client, other), household.name.replace(household.name[-4:], "0000"), reason="no")


def test_a_pin_names_a_value_that_its_record_has(client: Client) -> None:
    first = client.upsert_record(Record("crm", "1", {"surname": "Lovelace", "email": ["a@ada.example", "b@ada.example"]}))

    made = client.pin_value(first.record, "email", "b@ada.example", reason="she wrote from it")

    assert (made.decision.kind, made.decision.attribute, list(made.decision.left)) == ("pin", "email", [first.record])
    for attribute, value in (("email", None), ("email", "c@ada.example"), ("phone", None)):
        with pytest.raises(InvalidField, match=r"pin\.value"):
            client.pin_value(first.record, attribute, value, reason="no")


def test_decisions_are_listed_by_identity_kind_state_and_actor_page_by_page(client: Client) -> None:
    first, second, other = put(client, ada("1"), ada("2"), grace("3"))
    split = client.split_identity(identity_of(client, first), [second], reason="a").decision
    merged = client.merge_identities([identity_of(client, first), identity_of(client, other)], reason="b").decision
    pin = client.pin_value(other, "email", reason="c").decision.name
    undone = client.undo_decision(split, reason="d").revision

    assert names(client.list_decisions(page_size=1)) == [split, merged, pin]
    assert names(client.list_decisions(identity=identity_of(client, other))) == [split, merged, pin]
    assert names(client.list_decisions(kind="merge")) == [merged]
    assert names(client.list_decisions(state=pb.DECISION_STATE_UNDONE)) == [split]
    assert names(client.list_decisions(state=pb.DECISION_STATE_LIVE, page_size=1)) == [merged, pin]
    assert names(client.list_decisions(state=pb.DECISION_STATE_LIVE, as_of=undone - 1)) == [split, merged, pin]
    assert names(client.list_decisions(actor="tester", kind="pin")) == [pin]
    assert names(client.list_decisions(actor="somebody")) == []
    assert client.get_decision(split, as_of=undone - 1).state == pb.DECISION_STATE_LIVE
    with pytest.raises(NotFound):
        client.get_decision(pin, as_of=1)


def test_an_undoing_asked_for_twice_answers_the_same_and_a_second_one_is_refused(client: Client) -> None:
    first, other = put(client, ada("1"), grace("2"))
    made = client.link_records([first], [other], reason="a", expire_time=TOMORROW)

    undone = client.undo_decision(made.decision.name, reason="b", request_id="undo")

    assert client.undo_decision(made.decision.name, reason="b", request_id="undo") == undone
    with pytest.raises(FailedPrecondition, match="undone"):
        client.undo_decision(made.decision.name, reason="b")


def test_what_cannot_be_decided_is_told(client: Client) -> None:
    first, second = put(client, ada("1"), ada("2"))
    nobody = first[:-4] + "0000"

    with pytest.raises(InvalidField, match=r"right"):
        client.unlink_records([first], [identity_of(client, second)], reason="no")
    with pytest.raises(InvalidField, match="expire_time"):
        client.link_records([first], [second], reason="no", expire_time=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    for act in (
        lambda: client.link_records([first], [nobody], reason="no"),
        lambda: client.undo_decision("0" * 32, reason="no"),
        lambda: client.get_decision("0" * 32),
        lambda: client.get_decision(identity_of(client, first).rpartition("/")[2]),
    ):
        with pytest.raises(NotFound):
            act()
