"""No personal value is in any byte that the service leaves behind: store, keys, logs of commits, logs, metrics, models, errors.

Needles are every value of eight or more characters of a simulated load, and long canaries in every attribute type, in source
record ids, consents, reasons, request ids, callers' names, and in values that are refused.
"""

from __future__ import annotations

import datetime as dt
import secrets
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import apsw
import pytest
from needle_scanner import MIN_CHARACTERS, Finding, Needles
from neo4j import GraphDatabase
from wire.conftest import OwnNeo4j, StartServer
from wire.serving import NO_RETRY, RunningServer, never_whole, rpc_failure

from goldenthread.client import (
    AttributeDefinition,
    Client,
    Consent,
    ConsentState,
    DataModel,
    Document,
    GoldenThreadError,
    PersonName,
    PostalAddress,
    Record,
    Relationship,
    RelationshipKind,
    SemanticType,
    SourceKey,
    Typed,
)
from goldenthread.resolver.scoring import MatchModel
from goldenthread.v1 import record_pb2
from goldenthread.v1 import record_service_pb2 as pb
from goldenthread.v1 import record_service_pb2_grpc as pb_grpc

Customers = Callable[[int], list[Record]]

DAY = dt.datetime(2025, 3, 1, 12, tzinfo=dt.UTC)

NOT_PERSONAL = {
    "marketing.email": "a purpose, which is kept as a word",
    "bought_list": "a source's name",
}


class Canaries:
    """Make values that are nowhere else, and remember them."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def text(self, what: str) -> str:
        return self._remember(f"Canary {what} {secrets.token_hex(9)} Ende")

    def word(self, what: str) -> str:
        return self._remember(f"Canary{what}{secrets.token_hex(9)}")

    def email(self) -> str:
        return self._remember(f"canary.{secrets.token_hex(9)}@nowhere.example")

    def phone(self) -> str:
        return self._remember(f"+1217{2_000_000 + secrets.randbelow(7_999_999)}")

    def number(self) -> str:
        return self._remember(str(10**15 + secrets.randbelow(10**15)))

    def date(self) -> str:
        return self._remember(f"19{secrets.randbelow(40) + 20}-1{secrets.randbelow(3)}-2{secrets.randbelow(9)}")

    def _remember(self, value: str) -> str:
        self.made.append(value)
        return value


def record_of_canaries(canaries: Canaries, id: str) -> Record:
    """A record with a canary in every attribute type, in attributes of the data model and in free ones."""
    document_types = (
        SemanticType.NATIONAL_ID,
        SemanticType.TAX_ID,
        SemanticType.PASSPORT,
        SemanticType.DRIVERS_LICENCE,
        SemanticType.CUSTOMER_ACCOUNT,
        SemanticType.LOYALTY_ACCOUNT,
        SemanticType.DEVICE,
    )
    special: dict[SemanticType, Callable[[], str]] = {
        SemanticType.EMAIL: canaries.email,
        SemanticType.PHONE: canaries.phone,
        SemanticType.BIRTH_DATE: canaries.date,
        **dict.fromkeys(document_types, canaries.number),
    }
    types = [kind for kind in SemanticType if kind is not SemanticType.UNSPECIFIED]
    values = {
        f"own_{kind.name.lower()}": Typed(special.get(kind, lambda kind=kind: canaries.word(kind.name.title()))(), kind)
        for kind in types
    }
    return Record(
        "crm",
        id,
        {
            **values,
            "name": PersonName(
                canaries.word("Given"), canaries.word("Middle"), canaries.word("Surname"), canaries.word("Suffix")
            ),
            "address": PostalAddress(
                canaries.text("street"),
                canaries.word("No"),
                canaries.text("unit"),
                canaries.text("city"),
                canaries.text("region"),
                canaries.word("Post"),
                canaries.text("country"),
            ),
            "passport": Document(canaries.number(), canaries.word("Issuer")),
            "birth_date": canaries.date(),
            "email": [canaries.email(), canaries.email()],
            "phone": canaries.phone(),
            "relative": [
                Relationship(RelationshipKind.SPOUSE, "crm", canaries.text("relative's id")),
                Relationship(RelationshipKind.PARENT, name=canaries.text("relative")),
            ],
            canaries.text("attribute"): canaries.text("free"),
        },
        observed_at=DAY,
        consents=[
            Consent(
                "marketing.email",
                ConsentState.GIVEN,
                DAY,
                channel="email",
                contact_point=canaries.email(),
                legal_basis=canaries.text("basis"),
                notice=canaries.text("notice"),
                collection_method=canaries.text("method"),
                evidence=canaries.text("evidence"),
            )
        ],
    )


def put_canaries(server: RunningServer, canaries: Canaries) -> None:
    """Put canaries, change them, merge, split and delete them, and search with them."""
    token = server.token(subject=canaries.text("subject"))
    with Client(server.address, token=token, retry=NO_RETRY, timeout_seconds=60) as client:
        naming = [
            AttributeDefinition(name=name, type=record_pb2.SEMANTIC_TYPE_RELATIONSHIP)
            for name in ("relative", "own_relationship")
        ]
        client.update_data_model(DataModel(attributes=naming))
        one = client.upsert_record(
            record_of_canaries(canaries, canaries.text("record id")), request_id=canaries.word("Request")
        )
        same = canaries.text("record id")
        client.upsert_record(record_of_canaries(canaries, same))
        other = client.upsert_record(record_of_canaries(canaries, same), request_id=canaries.word("Request"))
        client.delete_record(SourceKey("crm", same))
        third = client.upsert_record(record_of_canaries(canaries, canaries.text("record id")))
        assert other.record
        merged = client.merge_identities([one.identity, third.identity], reason=canaries.text("reason"))
        client.split_identity(merged.identity.name, [third.record], reason=canaries.text("reason"))
        client.resolve_record({"surname": canaries.word("Searched"), "email": canaries.email()})
        client.explain_match(one.record, third.record)
        client.get_golden_record(one.identity)
        client.list_relationships(one.identity)
        assert list(client.export_golden_records())
        client.expand_nodes([one.record, third.record], hops=2)
        model = client.get_data_model()
        assert model.attributes


def fail_with_canaries(server: RunningServer, canaries: Canaries) -> list[str]:
    """Send canaries where they are refused; return what was said of them."""
    bad = [
        Record("crm", canaries.text("record id"), {"birth_date": "2999-01-01", "surname": canaries.word("Surname")}),
        Record("crm", canaries.text("record id"), {"email": PersonName(given=canaries.word("Given"))}),
        Record(f"no source {canaries.text('source')}", canaries.text("record id")),
        Record("crm", canaries.text("record id") * 40),
        Record("crm", canaries.text("record id"), {"email": [canaries.email() for _ in range(300)]}),
        Record("crm", canaries.text("record id"), {"note": canaries.text("note") * 40_000}),
        Record("crm", canaries.text("record id"), {"note": [canaries.text("note")] * 1_001}),
    ]
    said: list[str] = []
    with server.client() as client:
        for record in bad:
            with pytest.raises(GoldenThreadError) as caught:
                client.upsert_record(record)
            said.append(f"{caught.value.message} {caught.value.metadata}")
        said += [f"{r.error.message} {r.error.metadata}" for r in client.upsert_stream(bad) if r.error is not None]
        for unknown in (SourceKey("crm", canaries.text("record id")), canaries.word("Name")):
            with pytest.raises(GoldenThreadError) as caught:
                client.get_record(unknown)
            said.append(f"{caught.value.message} {caught.value.metadata}")
        with pytest.raises(GoldenThreadError) as caught:
            list(client.list_records(source=canaries.word("Source") * 9))
        said.append(f"{caught.value.message} {caught.value.metadata}")
    with Client(server.address, token=canaries.word("Token"), retry=NO_RETRY) as stranger:
        with pytest.raises(GoldenThreadError) as caught:
            stranger.upsert_record(Record("crm", canaries.text("record id")))
        said.append(f"{caught.value.message} {caught.value.metadata}")
    with server.channel() as channel:
        call: Callable[..., bytes] = channel.unary_unary("/goldenthread.v1.RecordService/UpsertRecord")
        body = b"\x0a\xff\x01" + canaries.text("bytes").encode()
        error = rpc_failure(lambda: call(body, metadata=server.authorized()))
        said.append(f"{error.message} {error.metadata}")
    return said


def load_and_kill(server: RunningServer, records: Sequence[Record]) -> None:
    """Load records, killing the server on the way, then delete some."""
    half = len(records) // 2
    requests = [pb.UpsertRecordRequest(record=record.to_proto()) for record in records[:half]]
    sent = [pb.BatchUpsertRecordsRequest(requests=requests[at : at + 50]) for at in range(0, half, 50)]
    with server.channel() as channel, never_whole(sent) as messages:
        stream = pb_grpc.RecordServiceStub(channel).BatchUpsertRecords(messages, metadata=server.authorized())

        def read() -> None:
            for count, _ in enumerate(stream):
                if count == 2:
                    server.kill()

        rpc_failure(read)
    server.start()
    with server.client() as client:
        assert all(result.error is None for result in client.upsert_stream(records))
        for record in records[::50]:
            client.delete_record(SourceKey(record.source, record.source_record_id))


def values_of(records: Iterable[Record]) -> Iterator[str]:
    """Give every personal value that the load holds: as sent, but for words of the service's own."""
    for record in records:
        message = record.to_proto()
        yield message.source_record_id
        for value in message.attributes:
            yield value.text
        for consent in message.consents:
            yield from (consent.contact_point, consent.notice, consent.evidence)


def needles_of(records: Iterable[Record], canaries: Canaries) -> Needles:
    """Gather what must be nowhere. Names that the shipped model itself lists, as how common they are, tell nothing."""
    shipped = MatchModel.shipped().to_json().decode().casefold()
    needles = Needles()
    for value in values_of(records):
        if value not in NOT_PERSONAL and value.casefold() not in shipped:
            needles.add(value)
    for value in canaries.made:
        assert needles.add(value)
    return needles


@dataclass(frozen=True)
class Left:
    """What a server leaves behind: folders of files, and what it says of itself."""

    folders: list[Path]
    said: dict[str, bytes]

    def scan(self, needles: Needles) -> list[Finding]:
        found = needles.scan(self.folders)
        for name, content in self.said.items():
            found += needles.scan_bytes(content, name)
        return found


def left_by(server: RunningServer, *folders: Path) -> Left:
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics", timeout=30) as answer:
        metrics = answer.read()
    with server.client() as client:
        model = client.get_match_model().artefact
    assert b"goldenthread" in metrics
    return Left([server.folder, *folders], {"metrics": metrics, "model": model})


def run_a_life(server: RunningServer, records: list[Record], *folders: Path) -> tuple[Needles, list[Left]]:
    """Let everything happen that could leak; return the needles, and what is left while it runs and after it stopped."""
    canaries = Canaries()
    load_and_kill(server, records)
    put_canaries(server, canaries)
    said = fail_with_canaries(server, canaries)
    needles = needles_of(records, canaries)
    running = left_by(server, *folders)
    running.said["errors"] = "\n".join(said).encode()
    return needles, [running]


def test_nothing_personal_is_left_behind_on_sqlite(make_server: StartServer, customers: Customers) -> None:
    server = make_server(metrics_listen="127.0.0.1:0", log_level="debug")
    planted, words = plant(server.folder)

    needles, [running] = run_a_life(server, customers(1500))

    assert len(needles) > 2000
    assert running.scan(needles) == []
    server.kill()
    plant_in_sqlite(server.data / "graph" / "graph.db", words[0])
    assert {finding.path.name for finding in planted.scan([server.folder])} >= {"server.log", "graph.db"}
    assert needles.scan([server.folder]) == []
    server.start()
    assert server.stop() == 0
    assert needles.scan([server.folder]) == []


@pytest.mark.neo4j
def test_nothing_personal_is_left_behind_on_neo4j(make_server: StartServer, own_neo4j: OwnNeo4j, customers: Customers) -> None:
    own_neo4j.start()
    server = make_server(store=own_neo4j.url, metrics_listen="127.0.0.1:0", log_level="debug")
    planted, words = plant(server.folder)

    needles, [running] = run_a_life(server, customers(500), own_neo4j.home)
    plant_in_neo4j(own_neo4j.bolt, words)

    assert len(needles) > 1000
    assert running.scan(needles) == []
    server.kill()
    own_neo4j.stop()
    found = {finding.path.relative_to(own_neo4j.home).parts[:2] for finding in planted.scan([own_neo4j.home])}
    assert found >= {("data", "databases"), ("data", "transactions")}
    assert needles.scan([server.folder, own_neo4j.home]) == []


def plant(folder: Path) -> tuple[Needles, list[str]]:
    """Plant a leak in a folder's log, and give the words of more, which the scanner must find as well."""
    words = [f"Planted leak {secrets.token_hex(40)}", f"PLANTED{secrets.token_hex(4).upper()}"]
    planted = Needles()
    for word in words:
        planted.add(word)
    with (folder / "log" / "server.log").open("a") as log:
        log.write(f"{words[0].upper()}\n")
    assert [finding.path.name for finding in planted.scan([folder])] == ["server.log"]
    return planted, words


def plant_in_sqlite(database: Path, word: str) -> None:
    with apsw.Connection(str(database)) as connection:
        connection.set_busy_timeout(30_000)  # processes beside the server end with it, a moment later
        connection.execute("CREATE TABLE leak (word)")
        connection.execute("INSERT INTO leak VALUES (?)", (word,))
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    connection.close()


def plant_in_neo4j(uri: str, words: Sequence[str]) -> None:
    with GraphDatabase.driver(uri) as driver, driver.session() as session:
        for word in words:
            session.run("CREATE (:Leak {word: $word})", word=word).consume()


def test_every_attribute_type_has_a_canary() -> None:
    canaries = Canaries()

    message = record_of_canaries(canaries, "1").to_proto()

    assert {value.type for value in message.attributes} >= set(record_pb2.SemanticType.values()) - {0}
    assert all(len(value) >= MIN_CHARACTERS for value in canaries.made)
