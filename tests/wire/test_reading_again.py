"""The data model changes over records that are kept: identities become those of one run that reads them so, ids stay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest
from wire.conftest import StartServer
from wire.partitions import difference, linked_partition, partition_of
from wire.serving import RunningServer

from goldenthread.client import Client, Consent, ConsentState, DataModel, IdentifierKey, JobState, Record, SemanticType
from goldenthread.client.errors import FailedPrecondition, InvalidField, NotFound
from goldenthread.resolver.scoring import MatchModel
from goldenthread.v1 import model_service_pb2 as pb
from goldenthread.v1 import record_pb2

Customers = Callable[[int], list[Record]]


def declared(**types: SemanticType) -> DataModel:
    """Declare some attributes."""
    return DataModel(
        attributes=[
            pb.AttributeDefinition(name=name, type=record_pb2.SemanticType.ValueType(type)) for name, type in types.items()
        ]
    )


def with_contact(records: Sequence[Record]) -> list[Record]:
    """Say email and phone under names that nobody declared."""
    names = {"email": "mail", "phone": "contact"}
    return [
        Record(one.source, one.source_record_id, {names.get(name, name): value for name, value in one.attributes.items()})
        for one in records
    ]


def put(client: Client, records: Sequence[Record]) -> None:
    assert all(result.error is None for result in client.upsert_stream(records, records_per_chunk=40))


def unlike_bulk(client: Client, records: Sequence[Record], **free: SemanticType) -> list[list[list[tuple[str, str]]]]:
    """Show how identities differ from those of one run; `free` are attributes that the data model does not know."""
    model = MatchModel.from_json(client.get_match_model().artefact)
    types = client.get_data_model()
    known = {one.name for one in types.attributes}
    types.attributes.extend(one for one in declared(**free).attributes if one.name not in known)
    return difference(partition_of(client), linked_partition(records, types, model))


def test_kept_records_are_resolved_by_the_types_of_now_while_others_come_in(
    client: Client, customers: Customers, store_kind: str
) -> None:
    records = with_contact(customers(600 if store_kind == "sqlite" else 240))
    free = {"mail": SemanticType.FREE, "contact": SemanticType.FREE}
    third = len(records) // 3
    put(client, records[:third])
    before = partition_of(client)

    typed = client.update_data_model(declared(mail=SemanticType.EMAIL, contact=SemanticType.PHONE))
    put(client, records[third : 2 * third])
    assert client.wait_drained(timeout_seconds=120)
    as_typed = unlike_bulk(client, records[: 2 * third])
    one = next(record for record in client.list_records() if any(said.attribute == "mail" for said in record.attributes))
    (mail,) = (said for said in one.attributes if said.attribute == "mail")
    found = client.get_identity(identifier=IdentifierKey(SemanticType.EMAIL, mail.text)).identity
    retyped = client.update_data_model(declared(contact=SemanticType.CUSTOMER_ACCOUNT), removed_attributes=["mail"])
    put(client, records[2 * third :])
    assert client.wait_drained(timeout_seconds=120)

    assert as_typed == [[], []]
    assert mail.type == record_pb2.SEMANTIC_TYPE_EMAIL
    assert one.name in found.records
    assert unlike_bulk(client, records, **free) == [[], []]
    assert partition_of(client) != before
    assert [(job.type, job.is_deferred) for job in (typed.job, retyped.job)] == [("renormalise", True)] * 2
    with pytest.raises(NotFound):
        client.get_identity(identifier=IdentifierKey(SemanticType.EMAIL, mail.text))


def test_an_identity_whose_records_stay_together_keeps_its_id_and_is_told_of_nothing(client: Client) -> None:
    ann = {"given_name": "Ann", "surname": "Lister", "birth_date": "1980-02-29", "fax": "+12175550143"}
    said = [Consent("news", ConsentState.GIVEN, datetime(2026, 1, 1, tzinfo=UTC), contact_point="+12175550143")]
    identity = [client.upsert_record(Record("crm", str(i), ann, consents=said)).identity for i in range(3)][-1]
    phone = IdentifierKey(SemanticType.PHONE, "+12175550143")

    answer = client.update_data_model(declared(fax=SemanticType.PHONE))
    client.wait_drained(timeout_seconds=60)
    job = client.get_job(answer.job.name)

    assert client.get_identity(identifier=phone).identity.name == identity
    assert (job.state, job.done) == (JobState.JOB_STATE_SUCCEEDED, 6)
    assert '"rekeyed":3,"moved":0,"is_complete":true' in job.result
    assert not client.update_data_model(declared(fax=SemanticType.PHONE)).HasField("job")
    # Said again, word for word: it is kept as it was, under the keys of now.
    client.upsert_record(Record("crm", "1", ann))
    assert client.get_identity(identifier=phone).identity.name == identity


def test_a_record_that_says_now_what_it_meant_before_gets_the_keys_of_it(client: Client) -> None:
    ann, number = {"given_name": "Ann", "surname": "Lister"}, "+12175550143"
    client.update_data_model(declared(fax=SemanticType.PHONE))
    client.upsert_record(Record("crm", "1", {**ann, "fax": number}))
    client.update_data_model(declared(fax=SemanticType.FREE))
    client.wait_drained(timeout_seconds=60)

    upserted = client.upsert_record(Record("crm", "1", {**ann, "phone": number}))

    found = client.get_identity(identifier=IdentifierKey(SemanticType.PHONE, number)).identity
    assert found.records == [upserted.record]


def kill_while_reading_again(server: RunningServer, records: Sequence[Record], kills: int) -> None:
    """Change types on a server that is killed again and again, while records come in."""
    half = len(records) // 2
    with server.client() as client:
        put(client, records[:half])
        job = client.update_data_model(declared(mail=SemanticType.EMAIL, contact=SemanticType.PHONE)).job.name
    share = (len(records) - half) // (kills + 1)
    done, at = 0, half
    for _ in range(kills):
        with server.client() as client:
            for seen in client.watch_job(job, look_seconds=0.02):
                if seen.done > done:
                    break
            done = seen.done
            put(client, records[at : at + share])
        at += share
        server.kill()
        server.start()
    with server.client() as client:
        put(client, records[at:])
        assert client.wait_job(job, timeout_seconds=120).state == JobState.JOB_STATE_SUCCEEDED
        assert client.wait_drained(timeout_seconds=120)
        assert unlike_bulk(client, records) == [[], []]


def test_reading_again_that_is_killed_goes_on_where_it_was(make_server: StartServer, customers: Customers) -> None:
    kill_while_reading_again(make_server(job_lease_seconds=1), with_contact(customers(2400)), kills=4)


@pytest.mark.neo4j
def test_reading_again_that_is_killed_goes_on_where_it_was_on_neo4j(
    make_server: StartServer, neo4j_store: str, customers: Customers
) -> None:
    server = make_server(store=neo4j_store, job_lease_seconds=1, job_look_seconds=0.2)

    kill_while_reading_again(server, with_contact(customers(700)), kills=2)


def test_what_can_not_be_changed_is_refused(client: Client) -> None:
    client.update_data_model(declared(relative=SemanticType.RELATIONSHIP))

    for wanted, removed in (
        (declared(relative=SemanticType.FREE), []),
        (declared(surname=SemanticType.RELATIONSHIP), []),
        (declared(), ["relative"]),
    ):
        with pytest.raises(FailedPrecondition, match=r"relative|surname"):
            client.update_data_model(wanted, removed_attributes=removed)
    for wanted, removed in ((declared(), ["nothing"]), (declared(surname=SemanticType.SURNAME), ["surname"])):
        with pytest.raises(InvalidField, match=r"removed_attributes\[0\]"):
            client.update_data_model(wanted, removed_attributes=removed)
