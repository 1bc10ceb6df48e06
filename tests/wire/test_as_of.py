"""Every read can be asked as of a past revision."""

from __future__ import annotations

from goldenthread.client import Client, NodeKind, Record

HOME = {"street": "4 Mill Lane", "postcode": "62704", "city": "Springfield"}


def lister(id: str, given: str, **values: str) -> Record:
    known = {"given_name": given, "surname": "Lister", "email": f"{given.lower()}@lister.example"}
    return Record("crm", id, {**known, **HOME, **values})


def test_lists_households_networks_and_explanations_are_read_as_of_a_revision(client: Client) -> None:
    anne = client.upsert_record(lister("1", "Anne", birth_date="1971-04-03"))
    before = client.upsert_record(lister("2", "Eliza", birth_date="1977-09-08"))
    after = client.upsert_record(lister("3", "Marian", birth_date="1974-10-13"))

    then, now = before.revision, after.revision

    assert len(list(client.list_records(as_of=then))) == 2
    assert len(list(client.list_records(as_of=now))) == 3
    assert len(list(client.list_identities(as_of=then))) == 2
    assert [len(home.members) for home in client.get_household(anne.identity, as_of=then)] == [2]
    assert [len(home.members) for home in client.get_household(anne.identity, as_of=now)] == [3]
    assert client.get_network([anne.identity, before.identity], as_of=then).nodes
    assert not client.resolve_record({"email": "marian@lister.example"}, as_of=then).candidates
    assert client.resolve_record({"email": "marian@lister.example"}, as_of=now).candidates
    assert not client.explain_match(anne.record, before.record, as_of=then).same_identity
    assert list(client.explain_identity(anne.identity, as_of=then).identity.records) == [anne.record]


def test_walks_of_the_past_say_when_something_they_met_was_deleted_since(client: Client) -> None:
    anne = client.upsert_record(lister("1", "Anne", birth_date="1971-04-03"))
    eliza = client.upsert_record(lister("2", "Eliza", birth_date="1977-09-08"))
    again = client.upsert_record(lister("3", "Eliza", birth_date="1977-09-08", gender="F"))
    then = again.revision
    whole = client.find_path(anne.record, eliza.record, as_of=then)
    client.delete_record(eliza.record)

    assert not whole.history_was_cut
    assert client.find_path(anne.record, again.record, as_of=then).history_was_cut
    assert client.expand_nodes([again.identity], as_of=then).history_was_cut
    assert client.get_network([anne.identity, again.identity], as_of=then).history_was_cut
    assert not client.expand_nodes([again.identity]).history_was_cut
    assert not client.expand_nodes([anne.record], hops=1, kinds=[NodeKind.NODE_KIND_SOURCE], as_of=then).history_was_cut


def test_an_identity_that_a_deleted_record_had_left_before_says_that_its_past_was_cut(client: Client) -> None:
    one = client.upsert_record(lister("1", "Eliza", birth_date="1977-09-08"))
    other = client.upsert_record(lister("2", "Eliza", birth_date="1977-09-08", gender="F"))
    client.split_identity(one.identity, [other.record], reason="twins")

    client.delete_record(other.record)

    found = client.get_identity(one.identity, as_of=other.revision)
    assert (list(found.identity.records), found.history_was_cut) == ([one.record], True)
