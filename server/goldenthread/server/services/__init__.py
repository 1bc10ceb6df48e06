"""The gRPC services: they check, translate and call a command, nothing more."""

from __future__ import annotations

import grpc

from goldenthread.server.commands import Engine
from goldenthread.server.services.decisions import DecisionService
from goldenthread.server.services.events import EventService
from goldenthread.server.services.explore import ExploreService
from goldenthread.server.services.golden_records import GoldenRecordService
from goldenthread.server.services.guard_rails import GuardRailsService
from goldenthread.server.services.jobs import JobService
from goldenthread.server.services.models import ModelService
from goldenthread.server.services.preparing import Preparer
from goldenthread.server.services.records import RecordService
from goldenthread.server.services.resolution import ResolutionService
from goldenthread.server.services.review import ReviewService
from goldenthread.server.services.searching import Searcher
from goldenthread.v1 import (
    decision_service_pb2_grpc,
    event_service_pb2_grpc,
    explore_service_pb2_grpc,
    golden_record_service_pb2_grpc,
    guard_rails_service_pb2_grpc,
    job_service_pb2_grpc,
    model_service_pb2_grpc,
    record_service_pb2_grpc,
    resolution_service_pb2_grpc,
    review_service_pb2_grpc,
)

__all__ = ["Preparer", "Searcher", "add_services"]


def add_services(server: grpc.aio.Server, engine: Engine, preparer: Preparer, searcher: Searcher) -> None:
    """Register every service on a server."""
    record_service_pb2_grpc.add_RecordServiceServicer_to_server(RecordService(engine, preparer), server)
    resolution_service_pb2_grpc.add_ResolutionServiceServicer_to_server(ResolutionService(engine, searcher), server)
    decision_service_pb2_grpc.add_DecisionServiceServicer_to_server(DecisionService(engine), server)
    golden_record_service_pb2_grpc.add_GoldenRecordServiceServicer_to_server(GoldenRecordService(engine), server)
    explore_service_pb2_grpc.add_ExploreServiceServicer_to_server(ExploreService(engine), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(engine), server)
    guard_rails_service_pb2_grpc.add_GuardRailsServiceServicer_to_server(GuardRailsService(engine), server)
    job_service_pb2_grpc.add_JobServiceServicer_to_server(JobService(engine), server)
    event_service_pb2_grpc.add_EventServiceServicer_to_server(EventService(engine), server)
    review_service_pb2_grpc.add_ReviewServiceServicer_to_server(ReviewService(engine), server)
