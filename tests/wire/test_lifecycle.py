"""Records and identities over their life: versions, past moments, deletions, decisions, consents, households, walks."""

from __future__ import annotations

import datetime as dt

import pytest

from goldenthread.client import (
    Client,
    Consent,
    ConsentState,
    IdentifierKey,
    NodeKind,
    PostalAddress,
    Record,
    RecordMessage,
    SemanticType,
    SourceKey,
    Subgraph,
)
from goldenthread.client.errors import FailedPrecondition, InvalidField, NotFound
from goldenthread.v1 import record_pb2

DAY = dt.datetime(2025, 3, 1, 12, tzinfo=dt.UTC)
HOME = PostalAddress(street="12 Harbour Lane", city="Springfield", region="IL", postcode="62704", country="US")


def ada(id: str = "1", *, source: str = "crm", day: int = 0, **values: str) -> Record:
    """A record of Ada, which matches every other one of hers."""
    known = {"given_name": "Ada", "surname": "Lovelace", "birth_date": "1985-12-10", "email": "ada@lovelace.example"}
    return Record(source, id, {**known, **values}, observed_at=DAY + dt.timedelta(days=day))


def grace(id: str = "9", *, source: str = "crm", **values: str) -> Record:
    """A record of somebody else."""
    known = {"given_name": "Grace", "surname": "Hopper", "birth_date": "1976-12-09", "email": "grace@hopper.example"}
    return Record(source, id, {**known, **values}, observed_at=DAY)


def put(client: Client, *records: Record) -> list[str]:
    """Put records; return their names."""
    return [client.upsert_record(record).record for record in records]


def value_of(client: Client, name: str, attribute: str, as_of: int | None = None) -> list[str]:
    golden = client.get_golden_record(name, as_of=as_of).golden_record
    return [one.value.text for found in golden.attributes if found.attribute == attribute for one in found.values]


def city_of(record: RecordMessage) -> str:
    return next(value.text for value in record.attributes if value.attribute == "city")


def kinds(graph: Subgraph) -> set[str]:
    return {NodeKind.Name(node.kind).removeprefix("NODE_KIND_") for node in graph.nodes}


def test_the_latest_observed_version_is_current_whatever_comes_last(client: Client) -> None:
    client.upsert_record(ada(day=10, city="Rome"))
    late = client.upsert_record(ada(day=5, city="Oslo"))
    newest = client.upsert_record(ada(day=20, city="Kyoto"))

    found = client.get_record(late.record, include_history=True)

    assert (late.changed, newest.record) == (True, late.record)
    assert city_of(found.record) == "Kyoto"
    assert [city_of(version) for version in found.history] == ["Rome", "Oslo"]
    assert len({found.record.version_id, *(version.version_id for version in found.history)}) == 3


def test_the_same_content_again_changes_nothing(client: Client) -> None:
    first = client.upsert_record(ada())

    again = client.upsert_record(ada())

    assert (again.changed, again.revision, again.record) == (False, first.revision, first.record)


def test_a_record_is_read_as_it_was_at_a_revision_and_at_a_time(client: Client) -> None:
    first = client.upsert_record(ada(city="Rome"))
    recorded = client.get_record(first.record).record.recorded_at.ToDatetime(dt.UTC)
    client.upsert_record(ada(day=1, city="Oslo"))

    by_revision = client.get_record(first.record, as_of=first.revision).record
    by_time = client.get_record(first.record, as_of=recorded).record

    assert [value.text for value in by_revision.attributes if value.attribute == "city"] == ["Rome"]
    assert by_time == by_revision
    with pytest.raises(NotFound):
        client.get_record(first.record, as_of=recorded - dt.timedelta(days=1))


def test_an_identity_is_read_as_it_was(client: Client) -> None:
    first = client.upsert_record(ada("1"))
    second = client.upsert_record(ada("2", source="webshop"))

    now = client.get_identity(second.identity).identity
    before = client.get_identity(first.identity, as_of=first.revision).identity

    assert first.identity == second.identity
    assert sorted(now.records) == sorted([first.record, second.record])
    assert before.records == [first.record]
    assert (before.revision, now.revision) == (first.revision, second.revision)


def test_a_golden_record_is_computed_as_of_a_revision(client: Client) -> None:
    first = client.upsert_record(ada("1", city="Rome"))
    client.upsert_record(ada("2", source="webshop", day=5, city="Oslo"))

    assert value_of(client, first.identity, "city") == ["Oslo"]
    assert value_of(client, first.identity, "city", first.revision) == ["Rome"]


def test_a_golden_value_says_where_it_comes_from_and_why_others_lost(client: Client) -> None:
    client.upsert_record(ada("1", city="Rome"))
    second = client.upsert_record(ada("2", source="webshop", day=5, city="Oslo"))

    golden = client.get_golden_record(second.identity).golden_record

    [city] = [one for one in golden.attributes if one.attribute == "city"]
    assert (city.rule, city.values[0].record, city.values[0].source) == ("most_recent", second.record, "webshop")
    assert [(loser.value.text, bool(loser.because)) for loser in city.losers] == [("Rome", True)]


def test_what_was_deleted_is_in_no_past_and_the_past_says_that_it_was_cut(client: Client) -> None:
    first = client.upsert_record(ada("1", city="Rome"))
    second = client.upsert_record(ada("2", source="webshop", day=5, city="Oslo"))
    uncut = client.get_identity(first.identity, as_of=second.revision)

    deleted = client.delete_record(second.record)

    with pytest.raises(NotFound):
        client.get_record(second.record)
    with pytest.raises(NotFound):
        client.get_record(second.record, as_of=second.revision)
    with pytest.raises(NotFound):
        client.get_record(SourceKey("webshop", "2"))
    past = client.get_identity(first.identity, as_of=second.revision)
    assert (uncut.history_was_cut, past.history_was_cut) == (False, True)
    assert past.identity.records == [first.record]
    assert not client.get_identity(first.identity).history_was_cut
    assert client.get_golden_record(first.identity, as_of=second.revision).history_was_cut
    assert value_of(client, first.identity, "city", second.revision) == ["Rome"]
    assert deleted.revision > second.revision


def test_a_deleted_record_does_not_come_back_by_an_older_version_but_by_a_newer(client: Client) -> None:
    first = client.upsert_record(ada(day=0))
    client.delete_record(first.record, observed_at=DAY + dt.timedelta(days=10))

    older = client.upsert_record(ada(day=5))
    with pytest.raises(NotFound):
        client.get_record(SourceKey("crm", "1"))
    newer = client.upsert_record(ada(day=15))

    assert older.identity == ""
    assert client.get_record(SourceKey("crm", "1")).record.name == newer.record
    with pytest.raises(NotFound):
        client.get_record(newer.record, as_of=first.revision)
    assert client.get_record(newer.record, include_history=True).history == []


def test_a_deletion_asked_for_twice_answers_the_same(client: Client) -> None:
    first = client.upsert_record(ada())

    deleted = client.delete_record(first.record, request_id="delete")

    assert client.delete_record(first.record, request_id="delete") == deleted
    with pytest.raises(NotFound):
        client.delete_record(first.record, request_id="delete again")


def test_an_identity_whose_last_record_is_deleted_is_gone(client: Client) -> None:
    first = client.upsert_record(ada())

    client.delete_record(first.record)

    with pytest.raises(NotFound):
        client.get_identity(first.identity)
    assert client.upsert_record(ada("7", day=30)).identity != first.identity


def test_a_merge_outlives_new_versions_and_the_old_name_answers_with_its_successor(client: Client) -> None:
    one = client.upsert_record(ada())
    other = client.upsert_record(grace())
    assert one.identity != other.identity

    preview = client.merge_identities([one.identity, other.identity], reason="told so by phone", validate_only=True)
    untouched = client.get_identity(other.identity)
    merged = client.merge_identities([one.identity, other.identity], reason="told so by phone")
    client.upsert_record(grace(phone="+1 217 555 0134", city="Rome"))

    assert (preview.decision, untouched.superseded_name, list(untouched.identity.records)) == ("", "", [other.record])
    assert preview.superseded == merged.superseded
    assert sorted(client.get_identity(merged.identity.name).identity.records) == sorted([one.record, other.record])
    [gone] = merged.superseded
    answered = client.get_identity(gone)
    assert (answered.identity.name, answered.superseded_name) == (merged.identity.name, gone)
    [decision] = client.explain_identity(merged.identity.name).decisions
    assert (decision.name, decision.kind, decision.actor, decision.reason) == (
        merged.decision,
        "merge",
        "tester",
        "told so by phone",
    )
    with pytest.raises(FailedPrecondition):
        client.merge_identities([merged.identity.name, gone], reason="again")


def test_a_split_keeps_records_apart_also_when_they_come_again(client: Client) -> None:
    first, second, third = put(client, ada("1"), ada("2", source="webshop"), ada("3", source="till"))
    name = client.get_identity(record=first).identity.name

    preview = client.split_identity(name, [third], reason="her daughter", validate_only=True)
    whole = client.get_identity(name).identity.records
    split = client.split_identity(name, [third], reason="her daughter", request_id="split")
    client.upsert_record(ada("3", source="till", day=9, city="Rome"))
    client.upsert_record(ada("1", day=9, city="Rome"))

    assert (preview.decision, len(preview.identities), len(whole)) == ("", 2, 3)
    assert [sorted(part.records) for part in split.identities] == [sorted([first, second]), [third]]
    assert split.identities[0].name == name
    assert client.get_identity(record=third).identity.name == split.identities[1].name
    assert sorted(client.get_identity(record=first).identity.records) == sorted([first, second])
    assert client.split_identity(name, [third], reason="her daughter", request_id="split") == split
    explained = client.explain_match(first, third)
    assert ([decision.kind for decision in explained.decisions], explained.same_identity) == (["split"], False)
    assert explained.match.links


def test_a_split_must_leave_a_record_and_name_only_records_of_the_identity(client: Client) -> None:
    first, second, stranger = put(client, ada("1"), ada("2", source="webshop"), grace())
    name = client.get_identity(record=first).identity.name

    for records in ([first, second], [stranger]):
        with pytest.raises(InvalidField):
            client.split_identity(name, records, reason="no")


def test_a_later_merge_takes_a_split_back(client: Client) -> None:
    first, second = put(client, ada("1"), ada("2", source="webshop"))
    split = client.split_identity(client.get_identity(record=first).identity.name, [second], reason="doubt")

    merged = client.merge_identities([part.name for part in split.identities], reason="no doubt")

    assert sorted(merged.identity.records) == sorted([first, second])


def test_consents_come_back_with_their_record_and_its_history(client: Client) -> None:
    given = Consent(
        "marketing.email",
        ConsentState.GIVEN,
        DAY,
        channel="email",
        contact_point="ada@lovelace.example",
        valid_until=DAY + dt.timedelta(days=365),
        jurisdiction="US-IL",
        legal_basis="consent",
        notice="notice 7",
        collection_method="web form",
        evidence="form 1234",
    )
    withdrawn = Consent("marketing.email", ConsentState.WITHDRAWN, DAY + dt.timedelta(days=3), channel="email")
    record = ada()
    first = client.upsert_record(
        Record(record.source, record.source_record_id, record.attributes, observed_at=DAY, consents=[given])
    )
    later = DAY + dt.timedelta(days=4)
    client.upsert_record(
        Record(record.source, record.source_record_id, record.attributes, observed_at=later, consents=[given, withdrawn])
    )

    found = client.get_record(first.record, include_history=True)

    assert list(found.record.consents) == [given.to_proto(), withdrawn.to_proto()]
    assert [list(version.consents) for version in found.history] == [[given.to_proto()]]
    graph = client.expand_nodes([first.record])
    assert len([node for node in graph.nodes if node.kind == NodeKind.Value("NODE_KIND_CONSENT")]) == 2


def test_unknown_attributes_are_kept_and_given_back(client: Client) -> None:
    record = Record("crm", "1", {"surname": "Lovelace", "shoe size": "39", "hobby": ["chess", "maths"]})

    name = client.upsert_record(record).record

    found = client.get_record(name).record
    assert [(value.attribute, value.text) for value in found.attributes] == [
        ("surname", "Lovelace"),
        ("shoe size", "39"),
        ("hobby", "chess"),
        ("hobby", "maths"),
    ]


def test_people_of_one_surname_at_one_address_are_a_household(client: Client) -> None:
    one = client.upsert_record(Record("crm", "1", {**ada().attributes, "address": HOME}))
    other = client.upsert_record(
        Record("crm", "2", {"given_name": "Byron", "surname": "Lovelace", "birth_date": "1986-05-12", "address": HOME})
    )
    elsewhere = client.upsert_record(grace())

    [household] = client.get_household(one.identity)

    assert one.identity != other.identity
    assert sorted(household.members) == sorted([one.identity, other.identity])
    assert household.reason == "same address and surname"
    assert client.get_household(household.name) == [household]
    assert client.get_identity(one.identity).identity.households == [household.name]
    assert client.get_household(elsewhere.identity) == []
    client.delete_record(other.record)
    assert [sorted(h.members) for h in client.get_household(one.identity)] in ([], [[one.identity]])


def test_an_explanation_adds_up_to_the_weight_that_was_used(client: Client) -> None:
    first, second = put(client, ada("1"), ada("2", source="webshop", phone="+1 217 555 0134"))

    explained = client.explain_match(first, second)

    match = explained.match
    assert match.prior + sum(part.weight for part in match.contributions) == pytest.approx(match.weight, abs=1e-9)
    assert (match.links, explained.same_identity, bool(explained.shared_rules)) == (True, True, True)
    assert 0.5 < match.probability <= 1
    [step] = client.explain_identity(client.get_identity(record=first).identity.name).steps
    assert (step.strongest.weight, step.by) == (match.weight, "match")
    assert sorted([*step.left, *step.right]) == sorted([first, second])


def test_what_is_not_alike_is_explained_too(client: Client) -> None:
    first, second = put(client, ada(), grace())

    explained = client.explain_match(first, second)

    assert (explained.match.links, explained.same_identity, list(explained.shared_rules)) == (False, False, [])
    assert explained.match.weight < 0


def test_a_search_finds_the_identity_and_stores_nothing(client: Client) -> None:
    kept = client.upsert_record(ada())

    found = client.resolve_record({"given_name": "Ada", "surname": "Lovelace", "birth_date": "1985-12-10"})
    stranger = client.resolve_record({"given_name": "Grace", "surname": "Hopper", "birth_date": "1976-12-09"})

    assert (found.identity, found.candidates[0].record) == (kept.identity, kept.record)
    assert (stranger.identity, found.revision) == ("", kept.revision)
    assert len(list(client.list_records())) == 1


def test_an_identity_is_found_by_its_identifiers_however_they_are_written(client: Client) -> None:
    kept = client.upsert_record(ada(phone="(217) 555-0134"))
    other = client.upsert_record(grace(phone="217-555-0134"))

    by_email = client.get_identity(identifier=IdentifierKey(SemanticType.EMAIL, " ADA@lovelace.example "))
    by_phone = client.get_identity(identifier=IdentifierKey(SemanticType.PHONE, "+1 217 555 0134"))

    assert by_email.identity.name == kept.identity
    assert {by_phone.identity.name, *by_phone.others} == {kept.identity, other.identity}
    with pytest.raises(NotFound):
        client.get_identity(identifier=IdentifierKey(SemanticType.EMAIL, "someone.else@example.org"))


def test_walks_lead_from_one_person_to_another_over_what_they_share(client: Client) -> None:
    one = client.upsert_record(ada(phone="(217) 555-0134"))
    other = client.upsert_record(grace(phone="217-555-0134"))
    apart = client.upsert_record(Record("crm", "77", {"given_name": "Alan", "surname": "Turing"}))

    path = client.find_path(one.identity, other.identity)
    network = client.get_network([one.identity, other.identity, apart.identity], build_out_hops=1)
    around = client.expand_nodes([one.identity], hops=2)
    few = client.expand_nodes([one.identity], hops=2, limit=2)

    assert [node.name for node in path.nodes][:: len(path.nodes) - 1] == [one.identity, other.identity]
    assert kinds(path) == {"IDENTITY", "RECORD", "IDENTIFIER"}
    assert len(path.nodes) == 5
    assert client.find_path(one.identity, apart.identity).nodes == []
    assert {one.identity, other.identity, apart.identity} <= {node.name for node in network.nodes}
    assert {"IDENTITY", "RECORD", "IDENTIFIER", "SOURCE"} <= kinds(around)
    assert (len(few.nodes), few.truncated, around.truncated) == (2, True, False)
    labels = " ".join(node.label for node in [*path.nodes, *network.nodes, *around.nodes])
    assert "5550134" not in labels
    assert "ada@lovelace.example" not in labels


def test_pages_are_stable_and_hold_everything_once(client: Client) -> None:
    people = [Record("crm", f"p{n}", {"surname": f"Person{n}", "birth_date": f"19{10 + n}-01-01"}) for n in range(25)]
    assert all(result.error is None for result in client.upsert_records(people))

    records = list(client.list_records(page_size=7))
    identities = list(client.list_identities(page_size=4))

    assert len({record.name for record in records}) == len(records) == 25
    assert sorted(name for identity in identities for name in identity.records) == sorted(r.name for r in records)
    assert [record.name for record in client.list_records(page_size=1000)] == [record.name for record in records]
    assert list(client.list_records(source="webshop")) == []


def test_a_declared_attribute_is_typed(client: Client) -> None:
    model = client.get_data_model()
    declared = model.attributes.add(name="work_email", type=record_pb2.SEMANTIC_TYPE_EMAIL)

    now = client.update_data_model(model).data_model
    name = client.upsert_record(Record("crm", "1", {"work_email": "ada@work.example"})).record

    assert declared.name in {one.name for one in now.attributes}
    assert client.get_record(name).record.attributes[0].type == record_pb2.SEMANTIC_TYPE_EMAIL
    assert client.get_identity(identifier=IdentifierKey(SemanticType.EMAIL, "ada@work.example")).identity.records == [name]
