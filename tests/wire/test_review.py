"""People are asked about doubtful pairs, worthiest first; what they say is done, kept as a label, and can be taken back."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from wire.serving import NO_RETRY, RunningServer

from goldenthread.cli.guards import guard_rails_message
from goldenthread.client import Client, LabelOrigin, Record, ReviewAnswer, ReviewItem, ReviewReason, ReviewState, SourceKey
from goldenthread.client.errors import FailedPrecondition, InvalidField, NotFound, PermissionDenied
from goldenthread.resolver.guards import GuardRails

StartServer = Callable[..., RunningServer]
ReviewerOf = Callable[[str], Client]

SAME = ReviewAnswer.REVIEW_ANSWER_SAME_PERSON
DIFFERENT = ReviewAnswer.REVIEW_ANSWER_DIFFERENT_PEOPLE
CANNOT_SAY = ReviewAnswer.REVIEW_ANSWER_CANNOT_SAY
NEARLY = ReviewReason.REVIEW_REASON_NEARLY_LINKED
BARELY = ReviewReason.REVIEW_REASON_BARELY_LINKED
APART = ReviewReason.REVIEW_REASON_KEPT_APART
TOO_LARGE = ReviewReason.REVIEW_REASON_IDENTITY_SIZE
OVERRIDDEN = ReviewReason.REVIEW_REASON_VETO_OVERRIDDEN


@pytest.fixture
def reviewer(server: RunningServer) -> Iterator[ReviewerOf]:
    """Give a client for each person by name."""
    with ExitStack() as clients:

        def client_of(subject: str) -> Client:
            return clients.enter_context(Client(server.address, token=server.token("writer", subject=subject), retry=NO_RETRY))

        yield client_of


def nearly(surname: str, *, each: int = 1) -> list[Record]:
    """Two people, of so many records each, who share a name and a city: nearly linked."""
    known = {"given_name": "Ada", "surname": surname, "city": "Springfield"}
    emailed = {**known, "email": f"ada@{surname.lower()}.example"}
    called = {**known, "phone": f"+1 212 555 01{len(surname):02}"}
    left = [Record("crm", f"{surname}-l{n}", dict(emailed)) for n in range(each)]
    return [*left, *(Record("shop", f"{surname}-r{n}", dict(called)) for n in range(each))]


def barely(surname: str) -> list[Record]:
    """Two records that share a name, a city and a postcode: barely linked."""
    known = {"given_name": "Ada", "surname": surname, "city": "Springfield", "postcode": "62704"}
    return [Record("crm", f"{surname}-l", {**known, "occupation": "engineer"}), Record("shop", f"{surname}-r", known)]


def kept_apart(surname: str) -> list[Record]:
    """Somebody with a namesake of another birth date, and a record that could be either's: it links to both."""
    known = {"given_name": "Ada", "surname": surname, "phone": "+1 212 555 0100"}
    return [
        Record("crm", f"{surname}-old", {**known, "birth_date": "1941-03-02", "gender": "M"}),
        Record("crm", f"{surname}-young", {**known, "birth_date": "1985-12-10", "gender": "F"}),
        Record("shop", f"{surname}-either", known),
    ]


def put(client: Client, *records: Record) -> None:
    for result in client.upsert_stream(records):
        assert result.error is None


def queue(client: Client) -> list[ReviewItem]:
    return list(client.list_review_items())


def only(client: Client) -> ReviewItem:
    (item,) = queue(client)
    return item


def test_pairs_are_asked_about_for_three_reasons_with_levels_and_without_values(client: Client) -> None:
    put(client, *nearly("Lovelace"), *barely("Quillfeather"), *kept_apart("Zanetti"))

    items = {item.reason: item for item in queue(client)}

    assert set(items) == {NEARLY, BARELY, APART}
    assert [len(items[reason].identities) for reason in (NEARLY, BARELY, APART)] == [2, 1, 2]
    assert items[APART].kept_apart_by == "average"
    match = items[NEARLY].match
    assert match.prior + sum(part.weight for part in match.contributions) == pytest.approx(match.weight)
    assert "Springfield" not in str(items)
    assert "Ada" not in str(items)


def test_an_identity_too_large_is_asked_about_bridge_by_bridge(client: Client) -> None:
    client.update_guard_rails(guard_rails_message(GuardRails(max_records=2)))
    left, right = barely("Quillfeather")
    put(client, left, right, Record("crm", "again", {**left.attributes, "email": "ada@example.org"}))

    first = [item for item in queue(client) if item.reason == TOO_LARGE]
    client.decide_review_item(first[0].name, SAME)
    second = [item for item in queue(client) if item.reason == TOO_LARGE]
    client.decide_review_item(second[0].name, SAME)
    confirmed = [item for item in queue(client) if item.reason == TOO_LARGE]
    client.undo_review_decision(second[0].name)
    asked_again = [item.name for item in queue(client) if item.reason == TOO_LARGE]
    client.decide_review_item(second[0].name, DIFFERENT)

    assert [len(items) for items in (first, second)] == [1, 1]
    assert first[0].name != second[0].name
    assert {*first[0].records, *second[0].records} == {one.name for one in client.list_records()}
    assert confirmed == []
    assert asked_again == [second[0].name]
    assert len({one.identity for one in client.list_records()}) == 2
    assert [item for item in queue(client) if item.reason == TOO_LARGE] == []


def test_a_decision_that_overrode_a_guard_is_asked_about_until_somebody_answers(client: Client) -> None:
    client.update_guard_rails(guard_rails_message(GuardRails(duplicate_free=("crm",))))
    put(client, *(Record("crm", id, dict(nearly("Lovelace")[0].attributes)) for id in "12"))
    apart = {one.identity for one in client.list_records()}
    client.merge_identities(sorted(apart), reason="seen both", overrides_veto=True)

    item = only(client)
    claimed = client.claim_review_items()
    client.decide_review_item(item.name, DIFFERENT)
    parted = {one.identity for one in client.list_records()}
    gone = queue(client)
    client.undo_review_decision(item.name)
    back = only(client)
    client.decide_review_item(item.name, SAME)

    assert item.reason == back.reason == OVERRIDDEN
    assert [one.name for one in claimed] == [item.name]
    assert parted == apart
    assert gone == queue(client) == []


def test_the_pair_on_which_more_records_hang_comes_first(client: Client) -> None:
    put(client, *nearly("Lovelace"), *nearly("Quillfeather", each=3))

    first, second = client.list_review_items(reasons=[NEARLY])

    assert (first.records_moved, second.records_moved) == (3, 1)
    assert first.chance_wrong == pytest.approx(second.chance_wrong)
    assert first.value == pytest.approx(first.chance_wrong * 3)


def test_the_queue_does_not_depend_on_the_order_in_which_records_came(server: RunningServer) -> None:
    records = [*nearly("Lovelace"), *nearly("Abernathy", each=2), *barely("Quillfeather"), *kept_apart("Zanetti")]
    asked = []
    for order in (records, records[::-1]):
        tenant = f"test-{secrets.token_hex(8)}"
        with Client(server.address, token=server.token(tenant=tenant)) as client:
            put(client, *order)
            keys = {one.name: (one.source, one.source_record_id) for one in client.list_records()}
            asked.append([(item.reason, item.value, sorted(keys[name] for name in item.records)) for item in queue(client)])

    assert asked[0] == asked[1]
    assert {reason for reason, _, _ in asked[0]} == {NEARLY, BARELY, APART}


def test_same_person_makes_one_identity_and_undoing_it_asks_again(client: Client) -> None:
    put(client, *nearly("Lovelace"))
    item = only(client)

    decided = client.decide_review_item(item.name, SAME, reason="same signature")
    labels = list(client.list_labels())
    asked, one = queue(client), client.get_identity(record=item.records[0]).identity
    undone = client.undo_review_decision(item.name)

    assert decided.item.state == ReviewState.REVIEW_STATE_SETTLED
    assert asked == []
    assert sorted(one.records) == sorted(item.records)
    (label,) = labels
    assert (label.answer, label.actor, label.reason, label.decision) == (SAME, "tester", "same signature", decided.decision)
    assert sorted(label.records) == sorted(item.records)
    assert any(label.levels)
    assert undone.decision == decided.decision
    assert list(client.list_labels()) == []
    again = only(client)
    assert (again.name, sorted(again.identities)) == (item.name, sorted(item.identities))


def test_what_decisions_teach_is_listed_as_labels_until_they_end(client: Client) -> None:
    put(client, *nearly("Lovelace"), *nearly("Hopper"))
    settled, other = queue(client)
    answered = client.decide_review_item(settled.name, SAME, reason="same signature")
    merged = client.merge_identities(list(other.identities), reason="met them")

    labels = list(client.list_labels())
    paged = list(client.list_labels(page_size=1))
    client.undo_decision(merged.decision, reason="wrong click")

    assert [(one.origin, one.decision, one.reason) for one in labels] == [
        (LabelOrigin.LABEL_ORIGIN_REVIEW, answered.decision, "same signature"),
        (LabelOrigin.LABEL_ORIGIN_DECISION, merged.decision, "met them"),
    ]
    assert (labels[1].answer, labels[1].actor, sorted(labels[1].records)) == (SAME, "tester", sorted(other.records))
    assert any(labels[1].levels)
    assert paged == labels
    assert list(client.list_labels()) == labels[:1]


def test_different_people_takes_an_identity_apart_for_good(client: Client) -> None:
    records = barely("Lovelace")
    put(client, *records)
    item = only(client)

    client.decide_review_item(item.name, DIFFERENT)
    put(client, Record("crm", "Lovelace-l", {**records[0].attributes, "gender": "F"}))

    assert queue(client) == []
    assert len(list(client.list_identities())) == 2


def test_a_decision_that_is_undone_elsewhere_takes_its_label_along(client: Client) -> None:
    put(client, *nearly("Lovelace"))
    decided = client.decide_review_item(only(client).name, DIFFERENT)

    client.undo_decision(decided.decision, reason="wrong click")

    assert only(client).state == ReviewState.REVIEW_STATE_OPEN
    assert list(client.list_labels()) == []


def test_two_reviewers_are_given_different_pairs(reviewer: ReviewerOf) -> None:
    ann, bob = reviewer("ann"), reviewer("bob")
    put(ann, *nearly("Lovelace"), *nearly("Abernathy"), *nearly("Quillfeather"))

    hers, his, rest = ann.claim_review_items(2), bob.claim_review_items(2), reviewer("cid").claim_review_items(2)

    assert (len(hers), len(his), rest) == (2, 1, [])
    assert len({item.name for item in [*hers, *his]}) == 3
    assert all(item.claimed_by_caller for item in [*hers, *his])
    with pytest.raises(FailedPrecondition, match="somebody else"):
        bob.decide_review_item(hers[0].name, SAME)
    with pytest.raises(FailedPrecondition, match="somebody else"):
        bob.claim_review_items(names=[hers[0].name])


def test_a_claim_ends_by_itself(make_server: StartServer) -> None:
    server = make_server(review_lease_seconds=1e-6)
    with server.client() as client:
        put(client, *nearly("Lovelace"))
        client.claim_review_items()
        with Client(server.address, token=server.token(subject="bob")) as bob:
            (item,) = bob.claim_review_items()

            assert bob.decide_review_item(item.name, SAME).decision


def test_a_claim_that_is_sent_again_gives_the_same_pairs(client: Client) -> None:
    put(client, *nearly("Lovelace"), *nearly("Abernathy"))

    first, again = (client.claim_review_items(request_id="r1")[0].name for _ in range(2))

    assert first == again


def test_what_somebody_skips_is_left_to_others(reviewer: ReviewerOf) -> None:
    ann, bob = reviewer("ann"), reviewer("bob")
    put(ann, *nearly("Lovelace"))
    (item,) = ann.claim_review_items()

    ann.skip_review_item(item.name)

    assert ann.claim_review_items() == []
    assert [one.name for one in bob.claim_review_items()] == [item.name]
    assert ann.undo_review_decision(item.name).item.skipped_by_caller is False


def test_who_cannot_say_leaves_the_pair_to_others_and_a_label(reviewer: ReviewerOf) -> None:
    ann, bob = reviewer("ann"), reviewer("bob")
    put(ann, *nearly("Lovelace"))
    item = only(ann)

    answered = ann.decide_review_item(item.name, CANNOT_SAY)

    assert (answered.decision, answered.item.state) == ("", ReviewState.REVIEW_STATE_OPEN)
    assert ann.claim_review_items() == []
    assert bob.decide_review_item(item.name, SAME).decision
    assert [label.answer for label in ann.list_labels()] == [CANNOT_SAY, SAME]


def test_a_second_opinion_that_is_asked_for_comes_from_somebody_else(reviewer: ReviewerOf) -> None:
    ann, bob = reviewer("ann"), reviewer("bob")
    put(ann, *nearly("Lovelace"))
    item = only(ann)

    first = ann.decide_review_item(item.name, SAME, second_opinion=True)
    with pytest.raises(FailedPrecondition, match="you have answered"):
        ann.decide_review_item(item.name, SAME)
    second = bob.decide_review_item(item.name, SAME)

    assert (first.decision, first.item.state) == ("", ReviewState.REVIEW_STATE_AWAITING_OPINION)
    assert second.decision
    assert len(ann.get_identity(record=item.records[0]).identity.records) == 2


def test_of_two_opinions_that_differ_a_third_decides(reviewer: ReviewerOf) -> None:
    ann, bob, cid = reviewer("ann"), reviewer("bob"), reviewer("cid")
    put(ann, *nearly("Lovelace"))
    item = only(ann)

    ann.decide_review_item(item.name, SAME, second_opinion=True)
    divided = bob.decide_review_item(item.name, DIFFERENT)
    decided = cid.decide_review_item(item.name, DIFFERENT)

    assert (divided.decision, divided.item.opinions) == ("", 2)
    assert decided.decision
    assert len(ann.get_identity(record=item.records[0]).identity.records) == 1


def test_an_opinion_can_be_taken_back_by_whoever_gave_it(reviewer: ReviewerOf) -> None:
    ann, bob = reviewer("ann"), reviewer("bob")
    put(ann, *nearly("Lovelace"))
    item = only(ann)
    ann.decide_review_item(item.name, SAME, second_opinion=True)

    with pytest.raises(FailedPrecondition, match="neither answered nor skipped"):
        bob.undo_review_decision(item.name)
    undone = ann.undo_review_decision(item.name)

    assert (undone.decision, undone.item.opinions) == ("", 0)


def test_a_pair_worth_much_needs_two_people(make_server: StartServer) -> None:
    server = make_server(review_second_opinion_value=1.0)
    with server.client() as client:
        put(client, *nearly("Lovelace"), *nearly("Quillfeather", each=3))
        worth_much, worth_little = client.list_review_items(reasons=[NEARLY])

        assert (worth_much.needs_second_opinion, worth_little.needs_second_opinion) == (True, False)
        assert not client.decide_review_item(worth_much.name, SAME).decision
        assert client.decide_review_item(worth_little.name, SAME).decision


def test_the_queue_is_read_page_by_page_filtered_and_counted(client: Client) -> None:
    put(client, *nearly("Lovelace"), *nearly("Abernathy"), *barely("Quillfeather"))

    pages = list(client.list_review_items(page_size=1))
    barely_linked = list(client.list_review_items(reasons=[BARELY]))
    of_them = list(client.list_review_items(identity=barely_linked[0].identities[0]))
    worth = list(client.list_review_items(min_value=pages[1].value))
    client.claim_review_items(1)
    claimed = list(client.list_review_items(states=[ReviewState.REVIEW_STATE_CLAIMED]))
    stats = client.get_review_stats()

    assert [item.name for item in pages] == [item.name for item in queue(client)]
    assert [item.name for item in barely_linked] == [item.name for item in of_them]
    assert len(worth) == 2
    assert [item.name for item in claimed] == [pages[0].name]
    assert (stats.open, stats.claimed, stats.truncated) == (2, 1, False)
    assert {count.reason: count.items for count in stats.reasons} == {NEARLY: 2, BARELY: 1}


def test_a_record_that_is_deleted_takes_its_labels_along(client: Client) -> None:
    put(client, *nearly("Lovelace"))
    item = only(client)
    client.decide_review_item(item.name, DIFFERENT)

    client.delete_record(SourceKey("crm", "Lovelace-l0"))

    assert list(client.list_labels()) == []
    assert queue(client) == []
    with pytest.raises(NotFound):
        client.decide_review_item(item.name, SAME)


def test_a_kept_apart_pair_goes_when_nothing_links_any_more(client: Client) -> None:
    put(client, *kept_apart("Lovelace"))
    assert APART in {item.reason for item in queue(client)}

    client.delete_record(SourceKey("shop", "Lovelace-either"))

    assert APART not in {item.reason for item in queue(client)}


def test_names_of_pairs_are_checked_and_readers_may_only_look(server: RunningServer, client: Client) -> None:
    put(client, *nearly("Lovelace"))
    item = only(client)

    with server.client("reader") as reader:
        assert reader.get_review_item(item.name).name == item.name
        with pytest.raises(PermissionDenied):
            reader.decide_review_item(item.name, SAME)
    with pytest.raises(InvalidField, match="reviewItems"):
        client.get_review_item(item.name[:-1])
    with pytest.raises(NotFound):
        client.get_review_item(f"tenants/{client.tenant}/reviewItems/{'0' * 63}1")
    with pytest.raises(NotFound):
        client.get_review_item(item.name.replace(client.tenant, "somebody-else"))


def test_claims_and_answers_outlive_a_crash(make_server: StartServer) -> None:
    server = make_server()
    with server.client() as client:
        put(client, *nearly("Lovelace"), *nearly("Abernathy"), *nearly("Quillfeather"))
        first, second = client.claim_review_items(2)
        client.decide_review_item(first.name, SAME)
    server.kill()
    server.start()

    with server.client() as client:
        left = queue(client)

        assert [label.answer for label in client.list_labels()] == [SAME]
        assert {item.name for item in left} & {first.name, second.name} == {second.name}
        assert [item.claimed_by_caller for item in left if item.name == second.name] == [True]
