"""Every RPC keeps silent about whom a caller may not see: what reads names them in no byte, what writes finds them missing.

A method that is new fails here until it says how it is asked: READS for those that may name somebody, NAMES_NOBODY for those
that never do, WRITES for those that change something about somebody, CHANGES_NOBODY for the rest.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
import yaml
from google.protobuf import descriptor_pool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from msgspec import Struct
from wire.conftest import new_tenant
from wire.hiding import HidingServer, HidingSight, hiding_server
from wire.receiving import Receiver
from wire.test_models import loose
from wire.test_review import DIFFERENT, nearly

from goldenthread.client import (
    AsyncClient,
    AttributeDefinition,
    DataModel,
    Following,
    Record,
    Relationship,
    RelationshipKind,
    SemanticType,
)
from goldenthread.server.access import Role
from goldenthread.server.contract import methods, request_type, role_for
from goldenthread.v1 import record_pb2

HOME = {"street": "4 Mill Lane", "postcode": "62704", "city": "Springfield", "surname": "Lister"}
PHONE, EMAIL = "+12175550143", "family@lister.example"
ANN = {**HOME, "given_name": "Ann", "birth_date": "1950-01-02", "phone": PHONE}
TOM = {**HOME, "given_name": "Tom", "birth_date": "1980-07-08", "phone": PHONE, "email": EMAIL}
KIM = {**HOME, "given_name": "Kim", "birth_date": "2001-11-12", "email": EMAIL}
FRIEND = {"given_name": "Xenia", "surname": "Novak", "birth_date": "1966-06-06"}

Asked = dict[str, Any]
"""The fields of a request, as a message of its type takes them."""


class World(Struct):
    """Who is there: names of everything that is, by its collection, and what is hidden of it, from writers and readers."""

    server: HidingServer
    channel: grpc.aio.Channel
    names: Mapping[str, Sequence[str]]
    hidden: Mapping[str, Sequence[str]]
    attributes: Sequence[Message]
    jobs: Sequence[str]
    revision: int

    @property
    def parent(self) -> str:
        return f"tenants/{self.server.tenant}"

    @property
    def ids(self) -> set[str]:
        """Ids of the identities that are hidden, and of their records."""
        return {name.rpartition("/")[2] for kind in ("identities", "records") for name in self.hidden[kind]}

    def named(self, kind: str) -> list[Asked]:
        return [{"name": name} for name in self.names[kind]]

    def listed(self, **more: object) -> list[Asked]:
        """Ask for a list whole, and page by page."""
        return [{"parent": self.parent, **more}, {"parent": self.parent, "page_size": 1, **more}]


def both(kind: str) -> Callable[[World], list[Asked]]:
    """Ask for each of a kind by its name."""
    return lambda world: world.named(kind)


def pairs(world: World, *fields: str) -> list[Asked]:
    shown = [name for name in world.names["identities"] if name not in world.hidden["identities"]]
    chosen = [*shown[:2], world.hidden["identities"][0], world.hidden["records"][0]]
    return [dict(zip(fields, pair, strict=True)) for pair in combinations(chosen, 2)]


READS: Final[dict[str, Callable[[World], list[Asked]]]] = {
    "RecordService/GetRecord": lambda w: [{**one, "include_history": True} for one in w.named("records")],
    "RecordService/ListRecords": World.listed,
    "ResolutionService/ResolveRecord": lambda w: [{"parent": w.parent, "attributes": w.attributes}],
    "ResolutionService/GetIdentity": lambda w: [
        *w.named("identities"),
        *({"record": name} for name in w.names["records"]),
        {"identifier": {"type": SemanticType.PHONE, "value": PHONE}},
    ],
    "ResolutionService/ListIdentities": World.listed,
    "ResolutionService/ExplainMatch": lambda w: pairs(w, "left", "right"),
    "ResolutionService/ExplainIdentity": both("identities"),
    "ResolutionService/GetIdentityLineage": both("identities"),
    "DecisionService/GetDecision": both("decisions"),
    "DecisionService/ListDecisions": lambda w: [
        *w.listed(),
        *({"parent": w.parent, "identity": name} for name in w.names["identities"]),
    ],
    "GoldenRecordService/GetGoldenRecord": lambda w: [{"name": f"{name}/goldenRecord"} for name in w.names["identities"]],
    "GoldenRecordService/BatchGetGoldenRecords": lambda w: [
        {
            "parent": w.parent,
            "names": [f"{name}/goldenRecord" for name in w.names["identities"] if name not in w.hidden["identities"]],
        },
        {"parent": w.parent, "names": [f"{name}/goldenRecord" for name in w.hidden["identities"]]},
    ],
    "GoldenRecordService/ExportGoldenRecords": lambda w: [{"parent": w.parent, "format": 2}],
    "ExploreService/ExpandNodes": lambda w: [{"names": [name], "hops": 4} for name in w.names["identities"]],
    "ExploreService/FindPath": lambda w: pairs(w, "from", "to"),
    "ExploreService/GetHousehold": lambda w: [*w.named("identities"), *w.named("households")],
    "ExploreService/ListHouseholds": World.listed,
    "ExploreService/ListRelationships": both("identities"),
    "ExploreService/GetNetwork": lambda w: [
        {"names": w.names["identities"][:2]},
        {"names": w.names["identities"][1:3], "build_out_hops": 2},
    ],
    "ModelService/ListActivationChanges": lambda w: [{"job": name} for name in w.jobs],
    "EventService/Subscribe": lambda w: [{"parent": w.parent}],
    "EventService/ListEvents": lambda w: [
        *w.listed(),
        *({"parent": w.parent, "identities": [name]} for name in w.hidden["identities"]),
    ],
    "EventService/ListDeadLetters": lambda w: [{"parent": f"{w.parent}/subscriptions/crm"}],
    "ReviewService/ListReviewItems": lambda w: [
        *w.listed(),
        *({"parent": w.parent, "identity": name} for name in w.hidden["identities"]),
    ],
    "ReviewService/GetReviewItem": both("reviewItems"),
    "ReviewService/ListLabels": World.listed,
}

ECHOED: Final = {"GoldenRecordService/BatchGetGoldenRecords": "missing"}
"""The field of an answer that repeats names which were asked for, whether there is anybody or not."""

NAMES_NOBODY: Final[dict[str, Callable[[World], list[Asked]]]] = {
    "GoldenRecordService/GetSurvivorshipRules": lambda w: [{"name": f"{w.parent}/survivorshipRules"}],
    "ExploreService/ListMemberships": both("identities"),
    "ModelService/GetDataModel": lambda w: [{"name": f"{w.parent}/dataModel"}],
    "ModelService/GetMatchModel": lambda w: [{"name": f"{w.parent}/matchModel"}],
    "ModelService/ListModels": World.listed,
    "ModelService/GetModel": both("models"),
    "JobService/GetJob": lambda w: [{"name": name} for name in w.jobs],
    "JobService/ListJobs": World.listed,
    "JobService/WaitJob": lambda w: [{"name": name} for name in w.jobs],
    "JobService/WaitDrained": lambda w: [{"parent": w.parent}],
    "GuardRailsService/GetGuardRails": lambda w: [{"name": f"{w.parent}/guardRails"}],
    "GuardRailsService/GetGuardCounts": lambda w: [{"name": f"{w.parent}/guardCounts"}],
    "EventService/GetSubscription": lambda w: [{"name": f"{w.parent}/subscriptions/crm"}],
    "EventService/ListSubscriptions": World.listed,
    "ReviewService/GetReviewStats": lambda w: [{"parent": w.parent}],
}

Pick = Callable[[str], str]
"""Give the name of one of a kind: one that is hidden, or one that is missing."""

WRITES: Final[dict[str, Callable[[World, Pick], list[Asked]]]] = {
    "RecordService/DeleteRecord": lambda w, pick: [{"name": pick("records")}],
    "ResolutionService/MergeIdentities": lambda w, pick: [
        {"names": [seen(w, "identities"), pick("identities")], "reason": "no", "validate_only": preview}
        for preview in (True, False)
    ],
    "ResolutionService/SplitIdentity": lambda w, pick: [
        {"name": pick("identities"), "records": [pick("records")], "reason": "no", "validate_only": preview}
        for preview in (True, False)
    ],
    "DecisionService/CreateDecision": lambda w, pick: (
        [
            {
                "parent": w.parent,
                "reason": "no",
                kind: {"left": [seen(w, "records")], "right": [pick(side)]},
                "validate_only": preview,
            }
            for kind in ("must_link", "cannot_link")
            for side in ("records", "identities")
            for preview in (True, False)
        ]
        + [
            {"parent": w.parent, "reason": "no", "pin": {"record": pick("records"), "attribute": "given_name"}},
            {
                "parent": w.parent,
                "reason": "no",
                "not_household": {"identity": pick("identities"), "household": w.names["households"][0]},
            },
        ]
    ),
    "DecisionService/UndoDecision": lambda w, pick: [
        {"name": pick("decisions"), "reason": "no", "validate_only": preview} for preview in (True, False)
    ],
    "EventService/ReplayDeadLetters": lambda w, pick: [{"name": f"{w.parent}/subscriptions/crm", "events": [pick("events")]}],
    "ReviewService/ClaimReviewItems": lambda w, pick: [{"parent": w.parent, "names": [pick("reviewItems")]}],
    "ReviewService/DecideReviewItem": lambda w, pick: [{"name": pick("reviewItems"), "answer": answer} for answer in (1, 2, 3)],
    "ReviewService/SkipReviewItem": lambda w, pick: [{"name": pick("reviewItems")}],
    "ReviewService/UndoReviewDecision": lambda w, pick: [{"name": pick("reviewItems")}],
}

CHANGES_NOBODY: Final = {
    "RecordService/UpsertRecord",  # nobody is missing: it makes who is not there
    "RecordService/BatchUpsertRecords",
    "GoldenRecordService/UpdateSurvivorshipRules",
    "ModelService/UpdateDataModel",
    "ModelService/CreateModel",
    "ModelService/TrainModel",
    "ModelService/EvaluateModel",
    "ModelService/StageModel",
    "ModelService/PreviewActivation",
    "ModelService/ActivateModel",
    "ModelService/RollbackModel",
    "JobService/CancelJob",
    "JobService/ResumeJob",
    "GuardRailsService/UpdateGuardRails",
    "EventService/Acknowledge",
    "EventService/DeleteSubscription",
}


def seen(world: World, kind: str) -> str:
    return next(name for name in world.names[kind] if name not in world.hidden[kind])


def missing(world: World) -> Pick:
    absent = {kind: f"{world.parent}/{kind}/{'ab' * 16}" for kind in ("identities", "records", "decisions")}
    absent["reviewItems"] = f"{world.parent}/reviewItems/{'ab' * 16}{'cd' * 16}"
    absent["events"] = f"{world.parent}/events/1-99"
    return lambda kind: absent[kind]


async def answers(world: World, method: str, asked: Asked, role: Role) -> list[bytes]:
    """Call, and give all that comes back, errors too; of a stream without end only the first message, which comes at once."""
    path = f"/goldenthread.v1.{method}"
    found = descriptor_pool.Default().FindMethodByName(path[1:].replace("/", "."))
    request = GetMessageClass(request_type(path))(**asked)
    metadata = (("authorization", f"Bearer {world.server.token(role)}"),)

    def read(raw: bytes) -> bytes:
        message = GetMessageClass(found.output_type).FromString(raw)
        if method in ECHOED:
            message.ClearField(ECHOED[method])
        return message.SerializeToString()

    make = world.channel.unary_stream if found.server_streaming else world.channel.unary_unary
    call = make(path, request_serializer=type(request).SerializeToString, response_deserializer=read)(
        request, metadata=metadata, timeout=60
    )
    try:
        if not found.server_streaming:
            return [await call]
        if method == "EventService/Subscribe":
            first = await call.read()
            call.cancel()
            return [first]
        return [message async for message in call]
    except grpc.aio.AioRpcError as error:
        trailing = [value if isinstance(value, bytes) else value.encode() for _, value in error.trailing_metadata()]
        return [error.code().name.encode(), (error.details() or "").encode(), *trailing]


def at(world: World, method: str, asked: Sequence[Asked]) -> list[Asked]:
    """Ask for the present and, where a method can, as of the latest revision."""
    has_past = "as_of" in request_type(f"/goldenthread.v1.{method}").fields_by_name
    return [*asked, *({**one, "as_of": {"revision": world.revision}} for one in asked if has_past)]


def named_in(ids: set[str], answered: Sequence[bytes]) -> set[str]:
    told = b"".join(answered)
    return {id for id in ids if id.encode() in told or bytes.fromhex(id) in told}


@pytest.fixture
async def world(tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A family and some doubtful pairs, of each of which somebody is hidden; all that happened is a dead letter."""
    receiver, tenant = Receiver(lambda _: 422), new_tenant()
    (tmp_path / "secret").write_text("whsec_" + base64.b64encode(b"a secret of more than twenty-four bytes").decode())
    webhook = {"url": receiver.url, "secret_file": str(tmp_path / "secret"), "allow_private_addresses": True}
    sinks = {"sinks": [{"name": "crm", "tenant": tenant, "webhook": webhook, "from_oldest": True, "attempts": 1}]}
    (tmp_path / "sinks.yaml").write_text(yaml.safe_dump(sinks))
    settings = {"tenant": tenant, "event_sinks": str(tmp_path / "sinks.yaml"), "event_heartbeat_seconds": 0.2}
    async with (
        hiding_server(tmp_path, store_url, monkeypatch, **settings) as server,
        AsyncClient(server.address, token=server.token("admin"), timeout_seconds=120) as client,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        gone = await populate(client)
        hidden_records = [record.name async for record in client.list_records() if record.identity in gone]
        model = await client.create_model(loose().to_json())
        await client.wait_job((await client.stage_model(model.version)).name, timeout_seconds=120)
        preview = await client.preview_activation(model.version)
        await client.wait_job(preview.name, timeout_seconds=120)
        events = [event async for event in client.list_events()]
        await wait_for_letters(client, len(events))
        names = {
            "identities": [one.name async for one in client.list_identities()],
            "records": [one.name async for one in client.list_records()],
            "decisions": [one.name async for one in client.list_decisions()],
            "households": [one.name async for one in client.list_households()],
            "models": [one.name async for one in client.list_models()],
            "reviewItems": [one.name async for one in client.list_review_items()],
        }
        names["identities"].sort(key=lambda name: name not in gone)
        binding = [one async for one in client.list_decisions() if {*one.left, *one.right} & {*hidden_records}]
        doubts = [one async for one in client.list_review_items() if {*one.records} & {*hidden_records}]
        hidden = {
            "identities": sorted(gone),
            "records": hidden_records,
            "decisions": [one.name for one in binding],
            "reviewItems": [one.name for one in doubts],
            "events": [event.name for event in events if event.identity in gone],
        }
        monkeypatch.setattr(HidingSight, "hidden", {bytes.fromhex(name.rpartition("/")[2]) for name in gone})
        attributes = Record("crm", "1", TOM).to_proto().attributes
        yield World(server, channel, names, hidden, attributes, [preview.name], events[-1].revision)
    receiver.close()


async def populate(client: AsyncClient) -> set[str]:
    """Put the people, decide about them, and name who is to be hidden."""
    declared = AttributeDefinition(name="relative", type=record_pb2.SEMANTIC_TYPE_RELATIONSHIP)
    await client.update_data_model(DataModel(attributes=[declared]))
    spouse = Relationship(RelationshipKind.SPOUSE, "crm", "2")

    async def put(record: Record) -> str:
        return (await client.upsert_record(record)).record

    async def whose(record: str) -> str:
        return (await client.get_identity(record=record)).identity.name

    ann, tom, kim = [
        await put(Record("crm", id, values)) for id, values in (("1", {**ANN, "relative": spouse}), ("2", TOM), ("3", KIM))
    ]
    await put(Record("shop", "4", TOM))
    friend = await put(Record("shop", "5", FRIEND))
    merged = await client.merge_identities([await whose(kim), await whose(friend)], reason="told so")
    await client.split_identity(merged.identity.name, [friend], reason="misheard")
    await client.merge_identities([await whose(tom), await whose(friend)], reason="her husband's name")
    await client.unlink_records([ann], [tom], reason="a couple")
    await client.pin_value(tom, "given_name", reason="his passport")
    gone = {await whose(tom)}
    for surname in ("Lovelace", "Quillfeather", "Abernathy", "Zanetti"):
        left, _ = [await put(record) for record in nearly(surname)]
        if surname in ("Lovelace", "Abernathy"):
            gone.add(await whose(left))
    async for item in client.list_review_items():
        if {"Abernathy", "Zanetti"} & {await surname_of(client, record) for record in item.records}:
            await client.decide_review_item(item.name, DIFFERENT, reason="asked both")
    return gone


async def surname_of(client: AsyncClient, record: str) -> str:
    attributes = (await client.get_record(record)).record.attributes
    return next(one.text for one in attributes if one.attribute == "surname")


async def wait_for_letters(client: AsyncClient, count: int) -> None:
    """Wait until the sink has given up everything."""
    async for _ in client.subscribe(Following(only_new=True)):
        if len([letter async for letter in client.list_dead_letters("crm")]) >= count:
            return


def test_every_method_says_how_it_keeps_silent() -> None:
    known = [method.removeprefix("/goldenthread.v1.") for method in methods()]
    reads = {name for method, name in zip(methods(), known, strict=True) if role_for(method) == "reader"}

    assert READS.keys() | NAMES_NOBODY.keys() == reads
    assert WRITES.keys() | CHANGES_NOBODY == {*known} - reads


async def test_no_answer_names_somebody_hidden_or_their_records(world: World) -> None:
    told: set[str] = set()
    leaks: dict[str, set[str]] = {}

    for method, ask in {**READS, **NAMES_NOBODY}.items():
        for asked in at(world, method, ask(world)):
            # Once is enough to show that it would be told to those who may see everybody.
            if method not in told and named_in(world.ids, await answers(world, method, asked, "admin")):
                told.add(method)
            if named_in(world.ids, await answers(world, method, asked, "reader")):
                leaks.setdefault(method, set()).add(str(asked))

    assert leaks == {}
    assert told == READS.keys()


async def test_what_writes_finds_somebody_hidden_as_missing(world: World) -> None:
    different: dict[str, list[object]] = {}
    found: set[str] = set()

    for method, ask in WRITES.items():
        requests = zip(ask(world, lambda kind: world.hidden[kind][0]), ask(world, missing(world)), strict=True)
        for hidden, absent in requests:
            ours, theirs = [await answers(world, method, asked, "writer") for asked in (hidden, absent)]
            if ours != theirs:
                different.setdefault(method, []).append((hidden, ours, theirs))
            if ours[0] != b"NOT_FOUND":
                found.add(method)

    assert different == {}
    assert found == {"EventService/ReplayDeadLetters"}  # it delivers nothing
