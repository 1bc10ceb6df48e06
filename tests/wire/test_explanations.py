"""Why two are one person, why they are not, what holds an identity together, and what it would be without a record."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from goldenthread.client import Client, Record, SourceKey
from goldenthread.client.errors import FailedPrecondition, InvalidField
from goldenthread.v1.resolution_service_pb2 import RecordGroup

PHONE = "+1 212 555 0100"


def ada(id: str, **values: str) -> Record:
    return Record("crm", id, {"given_name": "Ada", "surname": "Lovelace", **values})


def put(client: Client, *records: Record) -> list[str]:
    return [client.upsert_record(record).record for record in records]


def between_two_namesakes(client: Client) -> tuple[str, str]:
    """Put a record that links to two people, and belongs to one of them; give a record of each."""
    either, old, young = put(
        client,
        ada("either", phone=PHONE),
        ada("old", phone=PHONE, birth_date="1941-03-02", gender="M"),
        ada("young", phone=PHONE, birth_date="1985-12-10", gender="F"),
    )
    own = client.get_identity(record=either).identity.records
    return either, old if old not in own else young


def groups(found: Iterable[RecordGroup]) -> set[frozenset[str]]:
    return {frozenset(group.records) for group in found}


def identities_of(client: Client, records: Iterable[str]) -> set[frozenset[str]]:
    return {frozenset(client.get_identity(record=record).identity.records) for record in records}


def test_it_is_told_how_much_is_missing_to_a_link(client: Client) -> None:
    left, right = put(client, ada("1", city="Springfield"), ada("2", city="Springfield"))

    answer = client.explain_match(left, right)

    apart = answer.separation
    assert (answer.same_identity, apart.by, list(apart.records)) == (False, "weight", [left, right])
    assert apart.missing_weight == pytest.approx(apart.link_weight - answer.match.weight)
    assert apart.missing_weight > 0


def test_an_average_over_all_records_keeps_two_apart_that_a_link_joins(client: Client) -> None:
    either, stranger = between_two_namesakes(client)

    answer = client.explain_match(either, stranger)

    assert answer.match.links
    assert answer.separation.by == "average"
    assert answer.separation.average_weight < answer.separation.min_average
    assert answer.separation.missing_weight == pytest.approx(answer.separation.min_average - answer.separation.average_weight)


def test_a_decision_that_keeps_two_apart_is_named(client: Client) -> None:
    left, right = put(client, ada("1", phone=PHONE), ada("2", phone=PHONE, gender="F"))
    identity = client.get_identity(record=left).identity.name
    client.split_identity(identity, [right], reason="mother and daughter")

    answer = client.explain_match(left, right)

    assert answer.separation.by == "decision"
    assert [decision.reason for decision in answer.decisions] == ["mother and daughter"]


def test_every_rule_says_whether_it_brought_two_together(client: Client) -> None:
    left, right = put(
        client, ada("1", phone=PHONE, birth_date="1985-12-10"), ada("2", phone=PHONE, birth_date="1941-03-02", city="Rome")
    )

    answer = client.explain_match(left, right)

    outcome = {rule.rule: rule.outcome for rule in answer.rules}
    assert outcome["whole_name"] == outcome["phone"] == "met"
    assert outcome["name_birth_date"] == "differs"
    assert outcome["name_sounds_area"] == "missing"
    assert answer.against[0] == "birth_date"
    assert answer.shared_rules == ["phone", "whole_name"]


def test_a_key_that_too_many_share_is_told_to_be_generic(client: Client) -> None:
    shared = [Record("crm", f"x{n}", {"given_name": "Ada", "surname": "Lovelace", "employer": f"Firm {n}"}) for n in range(52)]
    names = [result.record for result in client.upsert_stream(shared)]

    outcome = {rule.rule: rule.outcome for rule in client.explain_match(names[0], names[1]).rules}

    assert outcome["whole_name"] == "generic"


def test_the_match_that_alone_holds_an_identity_together_is_its_bridge(client: Client) -> None:
    left, right = put(client, ada("1", phone=PHONE), ada("2", phone=PHONE, gender="F"))
    identity = client.get_identity(record=left).identity.name

    bridges = client.explain_identity(identity).bridges

    match = bridges[0]
    assert (match.by, set(match.records)) == ("match", {left, right})
    assert match.weight == pytest.approx(client.explain_match(left, right).match.weight)
    assert groups(match.groups) == {frozenset({left}), frozenset({right})}
    assert "phone" in {bridge.comparison for bridge in bridges if bridge.by == "comparison"}


def test_an_identity_that_several_matches_hold_has_no_weakest_one(client: Client) -> None:
    known = {"phone": PHONE, "email": "ada@lovelace.example", "birth_date": "1985-12-10"}
    names = put(client, *(ada(str(n), **known, city=city) for n, city in enumerate(("Rome", "Oslo", "Kyoto"))))
    identity = client.get_identity(record=names[0]).identity.name

    answer = client.explain_identity(identity)

    assert len(answer.identity.records) == 3
    assert [bridge.by for bridge in answer.bridges] == []


def test_a_decision_that_holds_an_identity_together_is_its_bridge(client: Client) -> None:
    left, right = put(client, ada("1", city="Rome"), Record("crm", "2", {"given_name": "Grace", "surname": "Hopper"}))
    names = [client.get_identity(record=record).identity.name for record in (left, right)]
    merged = client.merge_identities(names, reason="changed her name")

    bridges = client.explain_identity(merged.identity.name).bridges

    assert [(bridge.by, bridge.decision) for bridge in bridges] == [("decision", merged.decision)]


def test_what_a_removal_would_do_is_what_it_does(client: Client, customers: Callable[[int], list[Record]]) -> None:
    for result in client.upsert_stream(customers(250)):
        assert result.error is None
    largest = sorted(client.list_identities(min_records=3), key=lambda identity: (-len(identity.records), identity.name))[:6]
    tried = 0
    for identity in largest:
        gone = identity.records[0]
        rest = [name for name in identity.records if name != gone]

        preview = client.explain_identity(identity.name, without_records=[gone]).would_be
        untouched = client.get_identity(identity.name).identity
        client.delete_record(gone)

        assert list(untouched.records) == list(identity.records)
        assert groups(preview) == identities_of(client, rest)
        tried += 1
    assert tried == 6


def test_a_person_comes_apart_without_the_record_between(client: Client) -> None:
    # Neither of the outer two says enough of the other; the one between has what both say.
    outer, between, other = put(
        client,
        ada("outer", phone=PHONE),
        ada("between", phone=PHONE, email="ada@lovelace.example"),
        ada("other", email="ada@lovelace.example"),
    )
    identity = client.get_identity(record=between).identity
    assert len(identity.records) in (2, 3)

    answer = client.explain_identity(identity.name, without_records=[between])
    client.delete_record(SourceKey("crm", "between"))

    left = [name for name in identity.records if name != between]
    assert groups(answer.would_be) == identities_of(client, left)
    assert {outer, other} >= set(left)


def test_what_undoing_a_decision_would_do_is_what_it_does(client: Client) -> None:
    left, right = put(client, ada("1", city="Rome"), Record("crm", "2", {"given_name": "Grace", "surname": "Hopper"}))
    names = [client.get_identity(record=record).identity.name for record in (left, right)]
    merged = client.merge_identities(names, reason="changed her name")

    answer = client.explain_identity(merged.identity.name, without_decision=merged.decision)
    before = client.get_identity(merged.identity.name).identity
    client.undo_decision(merged.decision, reason="wrong")

    assert len(before.records) == 2
    assert groups(answer.would_be) == identities_of(client, [left, right]) == {frozenset({left}), frozenset({right})}
    assert {group.identity for group in answer.would_be} == set(names)
    with pytest.raises(FailedPrecondition, match="undone before"):
        client.explain_identity(names[0], without_decision=merged.decision)


def test_explanations_are_as_of_a_time_and_say_when_history_was_cut(client: Client) -> None:
    left, right = put(client, ada("1", phone=PHONE), ada("2", phone=PHONE, gender="F"))
    together = client.get_identity(record=left).identity
    client.split_identity(together.name, [right], reason="mother and daughter")
    split = client.get_identity(record=right).identity.revision

    then, now = (client.explain_match(left, right, as_of=as_of) for as_of in (together.revision, None))
    bridges = client.explain_identity(together.name, as_of=together.revision).bridges
    client.delete_record(right)
    cut = client.explain_identity(client.get_identity(record=left).identity.name, as_of=together.revision)

    assert (then.same_identity, now.same_identity, split > together.revision) == (True, False, True)
    assert bridges[0].by == "match"
    assert cut.history_was_cut
    assert list(cut.identity.records) == [left]


def test_only_records_of_the_identity_can_be_left_out(client: Client) -> None:
    left, right = put(client, ada("1", city="Rome"), Record("crm", "2", {"given_name": "Grace", "surname": "Hopper"}))

    with pytest.raises(InvalidField, match="without_records"):
        client.explain_identity(client.get_identity(record=left).identity.name, without_records=[right])
