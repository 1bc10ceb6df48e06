"""What callers send wrong is refused in words that name the field and the remedy, and harms nothing that was kept."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from wire.conftest import new_tenant
from wire.serving import NO_RETRY, RunningServer, rpc_failure

from goldenthread.client import Client, GoldenThreadError, PartialDate, PersonName, Record, SourceKey, errors
from goldenthread.v1 import record_pb2
from goldenthread.v1 import record_service_pb2 as pb
from goldenthread.v1 import record_service_pb2_grpc as pb_grpc
from goldenthread.v1 import resolution_service_pb2 as resolution_pb
from goldenthread.v1 import resolution_service_pb2_grpc as resolution_grpc

CANARY = "Canary-7f3a-Personal"
KEPT = Record("crm", "kept-1", {"given_name": "Ada", "surname": "Lovelace", "email": "ada@example.org"})


@pytest.fixture
def kept(server: RunningServer, client: Client) -> Iterator[str]:
    """A record that was acknowledged; whatever a test does, it is there afterwards, and the log holds no canary."""
    before = len(server.log())
    answer = client.upsert_record(KEPT)

    yield answer.record

    found = client.get_record(SourceKey(KEPT.source, KEPT.source_record_id)).record
    assert (found.name, found.identity) == (answer.record, answer.identity)
    logged = server.log()[before:]
    assert CANARY.lower() not in logged.lower()
    assert "incident" not in logged


def refusal(call: Callable[[], object]) -> GoldenThreadError:
    """Make a call that must fail; its error quotes nothing that is personal."""
    with pytest.raises(GoldenThreadError) as caught:
        call()
    said = f"{caught.value.message} {caught.value.metadata}"
    assert CANARY.lower() not in said.lower()
    return caught.value


def refusal_of_raw(server: RunningServer, request: pb.UpsertRecordRequest) -> GoldenThreadError:
    """Put a record that the client could not build, and that must be refused; the refusal quotes nothing personal."""
    with server.channel() as channel:
        stub = pb_grpc.RecordServiceStub(channel)
        error = rpc_failure(lambda: stub.UpsertRecord(request, metadata=server.authorized(), timeout=30))
    assert CANARY.lower() not in f"{error.message} {error.metadata}".lower()
    return error


def record_with(**values: str | PartialDate | PersonName | list[str]) -> Record:
    return Record("crm", secrets.token_hex(4), {"surname": CANARY, **values})


def stamped(seconds: int, nanos: int = 0) -> pb.UpsertRecordRequest:
    request = pb.UpsertRecordRequest(record=record_with().to_proto())
    request.record.observed_at.CopyFrom(Timestamp(seconds=seconds, nanos=nanos))
    return request


def typed(number: int) -> pb.UpsertRecordRequest:
    request = pb.UpsertRecordRequest(record=record_with().to_proto())
    request.record.attributes.add(attribute="hobby", text=CANARY, type=record_pb2.SemanticType.ValueType(number))
    return request


def consent_without_time() -> pb.UpsertRecordRequest:
    request = pb.UpsertRecordRequest(record=record_with().to_proto())
    request.record.consents.add(purpose="marketing.email", state=record_pb2.CONSENT_STATE_GIVEN, contact_point=CANARY)
    return request


def proto(record: Record) -> pb.UpsertRecordRequest:
    return pb.UpsertRecordRequest(record=record.to_proto())


@dataclass(frozen=True)
class Bad:
    """A request, and what its refusal must be: its class, what its metadata say, and a word of its remedy or rule."""

    request: Callable[[], pb.UpsertRecordRequest]
    kind: type[GoldenThreadError]
    metadata: Mapping[str, str]
    word: str


IN_A_YEAR = int(dt.datetime.now(dt.UTC).timestamp()) + 366 * 86_400
YEAR_10000 = 253_402_300_800

BAD_RECORDS: dict[str, Bad] = {
    "no record": Bad(pb.UpsertRecordRequest, errors.InvalidField, {"field": "record"}, "required"),
    "no source": Bad(
        lambda: proto(Record("", "1", {"surname": CANARY})), errors.InvalidField, {"field": "record.source"}, "empty"
    ),
    "a source with spaces": Bad(
        lambda: proto(Record(f"my {CANARY}", "1")), errors.InvalidField, {"field": "record.source"}, "letters"
    ),
    "no record id": Bad(
        lambda: proto(Record("crm", "", {"surname": CANARY})), errors.InvalidField, {"field": "record.source_record_id"}, "not"
    ),
    "a record id that is too long": Bad(
        lambda: proto(Record("crm", CANARY * 60)), errors.InvalidField, {"field": "record.source_record_id"}, "1000"
    ),
    "an unknown semantic type": Bad(
        lambda: typed(999), errors.InvalidField, {"field": "record.attributes[1].type"}, "defined"
    ),
    "a type other than declared": Bad(
        lambda: proto(Record("crm", "1", {"email": PersonName(given=CANARY)})),
        errors.InvalidAttribute,
        {"attribute": "email"},
        "text",
    ),
    "a field of 10 MB": Bad(
        lambda: proto(record_with(note=CANARY * (10_485_760 // len(CANARY)))),
        errors.TooLarge,
        {"field": "record", "limit": "1048576"},
        "send less",
    ),
    "a text over its length": Bad(
        lambda: proto(record_with(note=CANARY * 4000)), errors.InvalidField, {"field": "record.attributes[1].text"}, "65536"
    ),
    "10,000 identifiers": Bad(
        lambda: proto(record_with(email=[f"{CANARY}{n}@example.org" for n in range(10_000)])),
        errors.InvalidField,
        {"field": "record.attributes"},
        "1000",
    ),
    "300 emails": Bad(
        lambda: proto(record_with(email=[f"{CANARY}{n}@example.org" for n in range(300)])),
        errors.TooLarge,
        {"field": "record.attributes of type EMAIL", "limit": "200", "size": "300"},
        "send less",
    ),
    "a birth date to come": Bad(
        lambda: proto(record_with(birth_date="2999-01-01")), errors.InvalidAttribute, {"attribute": "birth_date"}, "future"
    ),
    "a birth date in parts that never was": Bad(
        lambda: proto(record_with(birth_date=PartialDate(1990, 2, 30))),
        errors.InvalidAttribute,
        {"attribute": "birth_date"},
        "date",
    ),
    "a thirteenth month": Bad(
        lambda: proto(record_with(birth_date=PartialDate(1990, 13, 1))),
        errors.InvalidField,
        {"field": "record.attributes[1].date.month"},
        "12",
    ),
    "an observation in a year": Bad(
        lambda: stamped(IN_A_YEAR), errors.InvalidField, {"field": "record.observed_at"}, "future"
    ),
    "an observation in the year 10000": Bad(
        lambda: stamped(YEAR_10000), errors.InvalidField, {"field": "record.observed_at"}, "9999"
    ),
    "an observation with too many nanoseconds": Bad(
        lambda: stamped(0, 2_000_000_000), errors.InvalidField, {"field": "record.observed_at"}, "9999"
    ),
    "a consent without its time": Bad(
        consent_without_time, errors.InvalidField, {"field": "record.consents[0].event_time"}, "required"
    ),
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD_RECORDS.values(), ids=BAD_RECORDS.keys())
def test_a_bad_record_is_refused_by_its_field(server: RunningServer, kept: str, bad: Bad) -> None:
    error = refusal_of_raw(server, bad.request())

    assert (type(error), error.code) == (bad.kind, grpc.StatusCode.INVALID_ARGUMENT)
    assert {key: error.metadata.get(key) for key in bad.metadata} == bad.metadata
    assert bad.word in error.message
    assert all(value in error.message for value in error.metadata.values())


def test_a_mistyped_text_is_kept_and_given_back_as_it_was(client: Client, kept: str) -> None:
    values = {"birth_date": "1990-02-30", "email": "ada at example", "phone": "12"}

    name = client.upsert_record(Record("crm", "mistyped", values)).record

    assert {value.attribute: value.text for value in client.get_record(name).record.attributes} == values


def test_bad_records_of_a_stream_fail_alone(server: RunningServer, kept: str) -> None:
    good = [pb.UpsertRecordRequest(record=record_with(given_name=f"good {n}").to_proto()) for n in range(len(BAD_RECORDS))]
    bad = [case.request() for case in BAD_RECORDS.values()]
    mixed = [request for pair in zip(good, bad, strict=True) for request in pair]

    with server.channel() as channel:
        stub = pb_grpc.RecordServiceStub(channel)
        messages = [pb.BatchUpsertRecordsRequest(requests=[request]) for request in mixed]
        answers = [a for m in stub.BatchUpsertRecords(iter(messages), metadata=server.authorized()) for a in m.results]

    assert [answer.index for answer in answers] == list(range(len(mixed)))
    assert ["error" if answer.HasField("error") else "kept" for answer in answers] == ["kept", "error"] * len(bad)
    for case, answer in zip(BAD_RECORDS.values(), answers[1::2], strict=True):
        error = errors.from_status(answer.error)
        assert (type(error), CANARY in error.message) == (case.kind, False)


@pytest.mark.parametrize(
    ("method", "field"),
    [
        ("/goldenthread.v1.RecordService/UpsertRecord", "record.source"),
        ("/goldenthread.v1.RecordService/GetRecord", "name"),
        ("/goldenthread.v1.RecordService/BatchUpsertRecords", "requests[0].request_id"),
    ],
)
@pytest.mark.parametrize("is_message", [True, False], ids=["not UTF-8", "no message"])
def test_bytes_that_are_no_message_are_refused_as_invalid(
    server: RunningServer, kept: str, method: str, field: str, is_message: bool
) -> None:
    # Field 1, in it field 2 where that is a message: a text that ends in bytes that are no UTF-8.
    body = b"\x0a\x09\x12\x07" + CANARY[:3].encode() + b"\xff\xfe\x80!" if is_message else b"\xff\xff\xff\xff\xff"
    field, rule = (field, "UTF-8") if is_message else ("request", "message")
    with server.channel() as channel:
        if method.endswith("BatchUpsertRecords"):
            stream: Callable[..., Iterator[bytes]] = channel.stream_stream(method)
            error = rpc_failure(lambda: list(stream(iter([body]), metadata=server.authorized(), timeout=30)))
        else:
            unary: Callable[..., bytes] = channel.unary_unary(method)
            error = rpc_failure(lambda: unary(body, metadata=server.authorized(), timeout=30))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.reason == "ERROR_REASON_INVALID_FIELD"
    assert error.metadata["field"] == field
    assert rule in error.message


def test_a_request_id_is_refused_for_another_body(server: RunningServer, client: Client, kept: str) -> None:
    answer = client.upsert_record(Record("crm", "a", {"surname": "First"}), request_id="one")

    error = refusal(lambda: client.upsert_record(Record("crm", "a", {"surname": CANARY}), request_id="one"))

    assert (type(error), error.metadata) == (errors.RequestIdReused, {"request_id": "one"})
    assert "new one" in error.message
    assert client.upsert_record(Record("crm", "a", {"surname": "First"}), request_id="one") == answer


def test_a_request_id_is_refused_for_another_body_of_the_same_stream(client: Client, kept: str) -> None:
    records = [Record("crm", "a", {"surname": "First"}), Record("crm", "b", {"surname": CANARY}), Record("crm", "c")]
    ids = ["one", "one", "two"]

    results = list(client.upsert_stream(records, request_id_of=lambda at, _: ids[at]))

    assert [type(result.error) for result in results] == [type(None), errors.RequestIdReused, type(None)]


def test_a_request_id_is_refused_for_another_kind_of_call(client: Client, kept: str) -> None:
    client.upsert_record(Record("crm", "a", {"surname": "First"}), request_id="one")

    error = refusal(lambda: client.delete_record(SourceKey("crm", "a"), request_id="one"))

    assert type(error) is errors.RequestIdReused


def test_the_same_request_in_many_calls_at_once_is_done_once(server: RunningServer, kept: str) -> None:
    request = pb.UpsertRecordRequest(record=Record("crm", "a", {"surname": "First"}).to_proto(), request_id="one")

    with server.channel() as channel:
        stub = pb_grpc.RecordServiceStub(channel)
        calls = [stub.UpsertRecord.future(request, metadata=server.authorized()) for _ in range(20)]
        answers = {call.result().SerializeToString() for call in calls}

    assert len(answers) == 1


def test_a_stream_that_is_cut_keeps_what_was_acknowledged(server: RunningServer, client: Client, kept: str) -> None:
    records = [Record("crm", f"cut-{n}", {"surname": f"Surname{n}"}) for n in range(3000)]

    def messages() -> Iterator[pb.BatchUpsertRecordsRequest]:
        for at in range(0, len(records), 50):
            yield pb.BatchUpsertRecordsRequest(requests=[proto(record) for record in records[at : at + 50]])

    with server.channel() as channel:
        stream = pb_grpc.RecordServiceStub(channel).BatchUpsertRecords(messages(), metadata=server.authorized())
        acknowledged = [r.response.record for _ in range(3) for r in next(stream).results]
        stream.cancel()

    assert len(acknowledged) == 150
    assert [client.get_record(name).record.name for name in acknowledged] == acknowledged
    assert client.upsert_record(Record("crm", "after", {"surname": "After"})).changed


def test_a_message_over_the_limit_is_refused_and_the_server_goes_on(server: RunningServer, kept: str) -> None:
    request = pb.UpsertRecordRequest(record=record_with(note=CANARY * 1_000_000).to_proto())

    error = refusal_of_raw(server, request)

    assert (type(error), error.code) == (errors.TooLarge, grpc.StatusCode.RESOURCE_EXHAUSTED)


def test_too_many_records_in_one_message_are_refused(server: RunningServer, kept: str) -> None:
    message = pb.BatchUpsertRecordsRequest(requests=[proto(Record("crm", str(n))) for n in range(1001)])

    with server.channel() as channel:
        stub = pb_grpc.RecordServiceStub(channel)
        error = rpc_failure(lambda: list(stub.BatchUpsertRecords(iter([message]), metadata=server.authorized())))

    assert (type(error), error.metadata["field"]) == (errors.InvalidField, "requests")
    assert "1,000" in error.message


def test_what_is_another_tenants_looks_as_if_it_were_not_there(server: RunningServer, client: Client, kept: str) -> None:
    identity = client.get_identity(record=kept).identity.name
    other = new_tenant()
    with server.client(tenant=other) as stranger:
        stranger.upsert_record(Record("crm", "x", {"surname": "Other"}))
        own_missing = f"tenants/{other}/records/{'0' * 32}"
        foreign = [
            refusal(lambda: stranger.get_record(kept)),
            refusal(lambda: stranger.get_record(kept.replace(server.tenant, other))),
            refusal(lambda: stranger.get_record(SourceKey(KEPT.source, KEPT.source_record_id))),
            refusal(lambda: stranger.delete_record(kept)),
            refusal(lambda: stranger.get_identity(record=kept)),
            refusal(lambda: stranger.get_identity(source_key=SourceKey(KEPT.source, KEPT.source_record_id))),
        ]
        missing = refusal(lambda: stranger.get_record(own_missing))
        foreign_identities = [
            refusal(lambda: stranger.get_identity(identity)),
            refusal(lambda: stranger.get_golden_record(identity)),
            refusal(lambda: stranger.explain_identity(identity)),
            refusal(lambda: stranger.get_household(identity)),
        ]
        missing_identity = refusal(lambda: stranger.get_identity("0" * 32))
        missing_nodes = refusal(lambda: stranger.expand_nodes([own_missing]))
        foreign_nodes = refusal(lambda: stranger.expand_nodes([kept]))

    assert {(type(e), e.message) for e in foreign} == {(errors.NotFound, missing.message)}
    assert {(type(e), e.message) for e in foreign_identities} == {(errors.NotFound, missing_identity.message)}
    assert (type(foreign_nodes), foreign_nodes.message) == (errors.NotFound, missing_nodes.message)


def test_a_list_of_another_tenant_is_not_found(server: RunningServer, kept: str) -> None:
    metadata = (("authorization", f"Bearer {server.token(tenant=new_tenant())}"),)
    request = pb.ListRecordsRequest(parent=f"tenants/{server.tenant}")

    with server.channel() as channel:
        error = rpc_failure(lambda: pb_grpc.RecordServiceStub(channel).ListRecords(request, metadata=metadata))

    assert (type(error), error.metadata) == (errors.NotFound, {"resource": "tenant"})


@pytest.mark.parametrize(
    ("problem", "make"),
    [
        ("missing", lambda server: None),
        ("expired", lambda server: server.token(seconds=-1)),
        ("not valid", lambda server: "nonsense"),
        ("signed by another key", lambda server: server.token()[:-12] + "AAAAAAAAAAAA"),
    ],
)
def test_a_caller_without_a_good_token_is_told_so(
    server: RunningServer, kept: str, problem: str, make: Callable[[RunningServer], str | None]
) -> None:
    with Client(server.address, token=make(server), retry=NO_RETRY) as stranger:
        error = refusal(lambda: stranger.upsert_record(record_with()))

    assert (type(error), error.code) == (errors.Unauthenticated, grpc.StatusCode.UNAUTHENTICATED)
    assert error.metadata == {"problem": problem}
    assert "Bearer <token>" in error.message


def test_a_reader_may_not_write(server: RunningServer, client: Client, kept: str) -> None:
    identity = client.get_identity(record=kept).identity.name
    with server.client("reader") as reader:
        refused = [
            refusal(lambda: reader.upsert_record(record_with())),
            refusal(lambda: reader.upsert_records([record_with()])),
            refusal(lambda: reader.delete_record(kept)),
            refusal(lambda: reader.merge_identities([identity, identity], reason="no")),
            refusal(lambda: reader.split_identity(identity, [kept], reason="no")),
        ]
        update = refusal(lambda: reader.update_data_model(reader.get_data_model()))

        assert reader.get_record(kept).record.name == kept
    assert {(type(e), e.metadata["role"], e.metadata["needs"]) for e in refused} == {
        (errors.PermissionDenied, "reader", "writer")
    }
    assert (type(update), update.metadata["needs"]) == (errors.PermissionDenied, "admin")


@pytest.mark.parametrize("token", ["nonsense", "abcd", "ff" * 17, "ff" * 16 + "?"])
def test_a_wrong_page_token_is_refused(server: RunningServer, kept: str, token: str) -> None:
    parent, metadata = f"tenants/{server.tenant}", server.authorized()
    records = pb.ListRecordsRequest(parent=parent, page_token=token)
    identities = resolution_pb.ListIdentitiesRequest(parent=parent, page_token=token)

    with server.channel() as channel:
        refused = [
            rpc_failure(lambda: pb_grpc.RecordServiceStub(channel).ListRecords(records, metadata=metadata)),
            rpc_failure(lambda: resolution_grpc.ResolutionServiceStub(channel).ListIdentities(identities, metadata=metadata)),
        ]

    assert [(type(error), error.metadata["field"]) for error in refused] == [(errors.InvalidField, "page_token")] * 2


@pytest.mark.parametrize("name", ["nonsense", f"tenants/{'x' * 80}/records/1", "tenants/a/identities/00", "records/00", ""])
def test_a_name_that_is_none_is_refused(server: RunningServer, kept: str, name: str) -> None:
    request = pb.GetRecordRequest(name=name)

    with server.channel() as channel:
        error = rpc_failure(lambda: pb_grpc.RecordServiceStub(channel).GetRecord(request, metadata=server.authorized()))

    assert (type(error), error.metadata["field"]) == (errors.InvalidField, "name")


def test_a_revision_to_come_is_refused(client: Client, kept: str) -> None:
    error = refusal(lambda: client.get_record(kept, as_of=1_000_000))

    assert (type(error), error.metadata["field"]) == (errors.InvalidField, "as_of.revision")


def test_a_type_of_job_that_is_none_is_refused(client: Client, kept: str) -> None:
    error = refusal(lambda: list(client.list_jobs(type="training")))

    assert isinstance(error, errors.InvalidField)
    assert "train-model" in error.message


def test_a_search_with_bad_values_is_refused(client: Client, kept: str) -> None:
    error = refusal(lambda: client.resolve_record({"birth_date": "2999-01-01", "surname": CANARY}))
    empty = refusal(lambda: client.resolve_record({}))

    assert (type(error), error.metadata["attribute"]) == (errors.InvalidAttribute, "birth_date")
    assert (type(empty), empty.metadata["field"]) == (errors.InvalidField, "attributes")
