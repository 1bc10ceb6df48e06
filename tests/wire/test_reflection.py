"""A client in any language needs nothing but the contract, which the server itself gives away by reflection."""

from __future__ import annotations

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from wire.serving import RunningServer

from goldenthread.client import Client, Record
from goldenthread.server.contract import SERVICES
from goldenthread.server.contract import methods as all_methods


def test_reflection_lists_every_service(server: RunningServer) -> None:
    with server.channel() as channel:
        listed = ProtoReflectionDescriptorDatabase(channel).get_services()

    health = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
    assert {*SERVICES, health} <= set(listed)


def test_a_client_made_from_reflection_alone_can_call(server: RunningServer, client: Client) -> None:
    name = client.upsert_record(Record("crm", "42", {"email": "ann@example.org"})).record
    with server.channel() as channel:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        service = pool.FindServiceByName("goldenthread.v1.RecordService")
        method = service.FindMethodByName("GetRecord")
        request_class, response_class = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        call = channel.unary_unary(
            f"/{service.full_name}/{method.name}",
            request_serializer=request_class.SerializeToString,
            response_deserializer=response_class.FromString,
        )

        answer = call(request_class(name=name), metadata=server.authorized("reader"))

    record = MessageToDict(answer)["record"]
    assert (record["source"], record["sourceRecordId"]) == ("crm", "42")
    assert record["attributes"][0]["text"] == "ann@example.org"


def test_reflection_knows_every_message_of_every_service(server: RunningServer) -> None:
    with server.channel() as channel:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        methods = [method for service in SERVICES for method in pool.FindServiceByName(service).methods]
        messages = [message for method in methods for message in (method.input_type, method.output_type)]

    assert {f"/{method.containing_service.full_name}/{method.name}" for method in methods} == set(all_methods())
    assert all(message.fields for message in messages)
