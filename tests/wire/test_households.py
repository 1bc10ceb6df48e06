"""Households and relationships over the wire: rules, roles, history, who may be seen, whatever the order of records."""

from __future__ import annotations

import itertools

import pytest

from goldenthread.client import (
    AttributeDefinition,
    Client,
    DataModel,
    HouseholdRole,
    NodeKind,
    Record,
    Relationship,
    RelationshipKind,
    SemanticType,
    SourceKey,
    Typed,
)
from goldenthread.client.errors import InvalidAttribute, NotFound
from goldenthread.v1 import record_pb2
from goldenthread.v1.explore_service_pb2 import HouseholdRule, IdentityRelationship

HOME = {"street": "4 Mill Lane", "postcode": "62704", "city": "Springfield"}
AWAY = {"street": "9 Oak Road", "postcode": "60601", "city": "Chicago"}
KIND = RelationshipKind
SURNAMES = ("Abbott", "Baker", "Clarke", "Dunn", "Evans", "Fisher", "Gibbs", "Hughes", "Irwin", "Jarvis", "Kell", "Lowe", "Ott")


def person(id: str, given: str, surname: str, *relatives: str | Relationship, **values: str) -> Record:
    known = {"given_name": given, "surname": surname, "email": f"{given}.{surname}@mail.example".lower()}
    return Record("crm", id, {**known, **values, **({"relative": list(relatives)} if relatives else {})})


@pytest.fixture
def related(client: Client) -> Client:
    """A tenant whose records may name others."""
    declared = AttributeDefinition(name="relative", type=record_pb2.SEMANTIC_TYPE_RELATIONSHIP)
    client.update_data_model(DataModel(attributes=[declared]))
    return client


def identity(client: Client, id: str) -> str:
    return client.get_record(SourceKey("crm", id)).record.identity


def stated(client: Client, id: str) -> set[tuple[RelationshipKind, str]]:
    found: list[IdentityRelationship] = client.list_relationships(identity(client, id))
    return {(KIND(one.kind), one.identity) for one in found}


def test_a_household_says_its_rule_what_is_shared_and_who_is_a_child(client: Client) -> None:
    ann = client.upsert_record(person("1", "Ann", "Lister", **HOME, birth_date="1971-04-03")).identity
    kim = client.upsert_record(person("2", "Kim", "Lister", **HOME, birth_date="2019-09-08")).identity

    [home] = client.get_household(ann)

    assert (home.rule, home.reason) == (HouseholdRule.HOUSEHOLD_RULE_ADDRESS_AND_SURNAME, "same address and surname")
    assert home.shared == "address"
    roles = {role.identity: role.role for role in home.roles}
    assert roles == {ann: HouseholdRole.HOUSEHOLD_ROLE_MEMBER, kim: HouseholdRole.HOUSEHOLD_ROLE_CHILD}
    assert list(client.get_household(home.name)) == [home]


def test_a_landline_makes_a_household_until_it_is_an_office(client: Client) -> None:
    people = [person(str(n), f"Given{n}", SURNAMES[n], phone="+49 30 1234567") for n in range(13)]

    client.upsert_records(people[:12])
    [home] = client.get_household(identity(client, "0"))
    client.upsert_record(people[12])

    assert (home.rule, home.shared, len(home.members)) == (HouseholdRule.HOUSEHOLD_RULE_LANDLINE, "…67", 12)
    assert client.get_household(identity(client, "0")) == []
    with pytest.raises(NotFound):
        client.get_household(home.name)


def test_a_shared_mobile_makes_no_household(client: Client) -> None:
    client.upsert_records([person(str(n), f"Given{n}", f"Surname{n}", phone="+49 1511 2345678") for n in range(2)])

    assert client.get_household(identity(client, "0")) == []


def test_who_moves_leaves_the_household_and_history_keeps_both(client: Client) -> None:
    ann = client.upsert_record(person("1", "Ann", "Lister", **HOME)).identity
    client.upsert_record(person("2", "Tom", "Lister", **HOME))
    together = client.upsert_record(person("3", "Sue", "Lister", **AWAY))
    moved = client.upsert_record(person("1", "Ann", "Lister", **AWAY))

    [now], [then] = client.get_household(ann), client.get_household(ann, as_of=together.revision)
    memberships = client.list_memberships(ann)

    assert identity(client, "3") in now.members
    assert identity(client, "2") in then.members
    assert [(one.household, one.to_revision) for one in memberships] == [(now.name, 0), (then.name, moved.revision)]
    assert memberships[0].from_revision == moved.revision
    assert memberships[1].from_time.seconds > 0
    assert [one.to_revision for one in client.list_memberships(ann, as_of=together.revision)] == [0]


def test_lists_give_every_household_once_kept_and_stated(related: Client) -> None:
    related.upsert_record(person("1", "Ann", "Lister", **HOME))
    related.upsert_record(person("2", "Tom", "Lister", "spouse:crm:3", **HOME))
    related.upsert_record(person("3", "Sue", "Brown", **AWAY))

    found = list(related.list_households(page_size=1))

    rules = sorted(home.rule for home in found)
    assert rules == [HouseholdRule.HOUSEHOLD_RULE_ADDRESS_AND_SURNAME, HouseholdRule.HOUSEHOLD_RULE_STATED_FAMILY]
    assert len({home.name for home in found}) == 2


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_stated_relationships_hold_whatever_comes_first(related: Client, order: tuple[int, ...]) -> None:
    mother = person("1", "Ann", "Lister", Relationship(KIND.SPOUSE, "crm", "2"))
    father = person("2", "Tom", "Brown")
    child = person("3", "Kim", "Stone", Relationship(KIND.PARENT, "crm", "1"), "employer:crm:99")

    for place in order:
        related.upsert_record((mother, father, child)[place])

    one, two, three = (identity(related, id) for id in ("1", "2", "3"))
    assert stated(related, "1") == {(KIND.SPOUSE, two), (KIND.CHILD, three)}
    assert stated(related, "2") == {(KIND.SPOUSE, one)}
    assert stated(related, "3") == {(KIND.PARENT, one), (KIND.EMPLOYER, "")}
    homes = related.get_household(one)
    assert sorted(sorted(home.members) for home in homes) == sorted([sorted([one, two]), sorted([one, three])])
    [with_child] = [home for home in homes if three in home.members]
    roles = {role.identity: role.role for role in with_child.roles}
    assert roles == {one: HouseholdRole.HOUSEHOLD_ROLE_HEAD, three: HouseholdRole.HOUSEHOLD_ROLE_CHILD}
    path = related.find_path(two, three)
    assert {NodeKind.Name(node.kind) for node in path.nodes} >= {"NODE_KIND_RELATION", "NODE_KIND_IDENTITY"}
    assert {kind for edge in path.edges for kind in edge.relationships} == {KIND.SPOUSE, KIND.PARENT}
    assert related.get_network([two, three]).nodes


def test_a_relationship_ends_with_the_version_that_stated_it(related: Client) -> None:
    related.upsert_record(person("2", "Tom", "Brown"))
    before = related.upsert_record(person("1", "Ann", "Lister", "spouse:crm:2"))

    after = related.upsert_record(person("1", "Ann", "Lister", "sibling:crm:2"))

    assert stated(related, "2") == {(KIND.SIBLING, before.identity)}
    assert related.get_household(before.identity) == []
    assert len(related.get_household(before.identity, as_of=before.revision)) == 1
    assert [one.to_revision for one in related.list_memberships(before.identity)] == [after.revision]


def test_deleting_either_side_ends_a_relationship_and_coming_back_restores_it(related: Client) -> None:
    related.upsert_record(person("1", "Ann", "Lister", "spouse:crm:2"))
    related.upsert_record(person("2", "Tom", "Brown"))

    related.delete_record(SourceKey("crm", "2"))
    gone = stated(related, "1")
    related.upsert_record(person("2", "Tom", "Brown"))
    back = stated(related, "1")
    related.delete_record(SourceKey("crm", "1"))

    assert gone == {(KIND.SPOUSE, "")}
    assert back == {(KIND.SPOUSE, identity(related, "2"))}
    assert stated(related, "2") == set()
    assert related.expand_nodes([identity(related, "2")], hops=2, kinds=[NodeKind.NODE_KIND_RELATION]).edges == []


def test_one_who_is_only_named_is_found_among_the_same_household(related: Client) -> None:
    related.upsert_record(person("1", "Ann", "Lister", "spouse:Tom Lister", "sibling:Zoe Nobody", **HOME))
    related.upsert_record(person("2", "Tom", "Lister", **HOME))
    related.upsert_record(person("3", "Tom", "Lister", **AWAY, birth_date="1950-01-01"))

    assert stated(related, "1") == {(KIND.SPOUSE, identity(related, "2")), (KIND.SIBLING, "")}


def test_a_steward_keeps_somebody_out_of_a_stated_family(related: Client) -> None:
    related.upsert_record(person("1", "Ann", "Lister", "spouse:crm:2"))
    tom = related.upsert_record(person("2", "Tom", "Brown")).identity
    [home] = related.get_household(tom)

    made = related.leave_household(tom, home.name, reason="divorced")
    away = related.get_household(tom)
    related.undo_decision(made.decision.name, reason="not yet")

    assert away == []
    assert related.get_household(tom) == [home]


def test_only_declared_attributes_may_name_others(client: Client) -> None:
    named = Record("crm", "1", {"surname": "Lister", "relative": Typed("spouse:crm:2", SemanticType.RELATIONSHIP)})

    with pytest.raises(InvalidAttribute, match="relative"):
        client.upsert_record(named)
    assert client.list_relationships(client.upsert_record(person("1", "Ann", "Lister")).identity) == []
