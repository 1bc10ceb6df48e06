"""JobService: long work, shown and steered."""

from __future__ import annotations

import grpc

from goldenthread.server.commands import Engine
from goldenthread.server.commands.ids import name_of, now, parse_name
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import InvalidField
from goldenthread.server.jobs import JobState, JobView
from goldenthread.server.jobs.kinds import JOB_KINDS
from goldenthread.server.jobs.verbs import cancel_job, get_job, list_jobs, resume_job, wait_drained, wait_job
from goldenthread.server.services.callers import calling_tenant, check_parent, request_of
from goldenthread.server.services.edge import check, page_size, page_start, page_token
from goldenthread.server.services.translate import timestamp
from goldenthread.v1 import job_service_pb2 as pb
from goldenthread.v1 import job_service_pb2_grpc

__all__ = ["JobService", "job_to"]


def job_to(tenant: Tenant, view: JobView) -> pb.Job:
    """Write a job as a message."""
    job = view.job
    is_due_later = job.state is JobState.QUEUED and job.lease_until > now()
    return pb.Job(
        name=name_of(tenant.name, "jobs", job.id),
        type=job.type,
        state=pb.JobState.ValueType(job.state),
        is_cancelling=job.is_cancelling,
        is_deferred=job.is_deferred,
        done=job.done,
        total=job.total,
        unit=job.unit,
        error=job.error,
        result=job.result.decode(),
        requested_by=view.actor,
        revision=job.revision,
        created_at=timestamp(job.created_at),
        due_at=timestamp(job.lease_until) if is_due_later else None,
        started_at=timestamp(job.started_at) if job.started_at else None,
        ended_at=timestamp(job.ended_at) if job.ended_at else None,
    )


class JobService(job_service_pb2_grpc.JobServiceServicer):
    """Show, cancel, resume and wait."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def GetJob(  # noqa: N802 - the proto's name
        self, request: pb.GetJobRequest, context: grpc.aio.ServicerContext[pb.GetJobRequest, pb.GetJobResponse]
    ) -> pb.GetJobResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        view = await get_job(self._engine, tenant, parse_name(tenant.name, request.name, "jobs")[1])
        return pb.GetJobResponse(job=job_to(tenant, view))

    async def ListJobs(  # noqa: N802 - the proto's name
        self, request: pb.ListJobsRequest, context: grpc.aio.ServicerContext[pb.ListJobsRequest, pb.ListJobsResponse]
    ) -> pb.ListJobsResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.parent)
        types = [kind.name for kind in JOB_KINDS]
        if request.type and request.type not in types:
            raise InvalidField("type", f"is no type of job: one of {', '.join(types)}")
        start, size = page_start(request.page_token), page_size(request.page_size)
        views, after = await list_jobs(self._engine, tenant, start, size, request.type, only_open=request.only_open)
        return pb.ListJobsResponse(jobs=[job_to(tenant, view) for view in views], next_page_token=page_token(after))

    async def CancelJob(  # noqa: N802 - the proto's name
        self, request: pb.CancelJobRequest, context: grpc.aio.ServicerContext[pb.CancelJobRequest, pb.CancelJobResponse]
    ) -> pb.CancelJobResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        id = parse_name(tenant.name, request.name, "jobs")[1]
        view = await cancel_job(self._engine, tenant, id, request_of(request, request.request_id))
        return pb.CancelJobResponse(job=job_to(tenant, view))

    async def ResumeJob(  # noqa: N802 - the proto's name
        self, request: pb.ResumeJobRequest, context: grpc.aio.ServicerContext[pb.ResumeJobRequest, pb.ResumeJobResponse]
    ) -> pb.ResumeJobResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        id = parse_name(tenant.name, request.name, "jobs")[1]
        view = await resume_job(self._engine, tenant, id, request_of(request, request.request_id))
        return pb.ResumeJobResponse(job=job_to(tenant, view))

    async def WaitJob(  # noqa: N802 - the proto's name
        self, request: pb.WaitJobRequest, context: grpc.aio.ServicerContext[pb.WaitJobRequest, pb.WaitJobResponse]
    ) -> pb.WaitJobResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        id = parse_name(tenant.name, request.name, "jobs")[1]
        return pb.WaitJobResponse(job=job_to(tenant, await wait_job(self._engine, tenant, id, request.timeout_seconds)))

    async def WaitDrained(  # noqa: N802 - the proto's name
        self,
        request: pb.WaitDrainedRequest,
        context: grpc.aio.ServicerContext[pb.WaitDrainedRequest, pb.WaitDrainedResponse],
    ) -> pb.WaitDrainedResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.parent)
        is_drained, reached = await wait_drained(self._engine, tenant, request.revision, request.timeout_seconds)
        return pb.WaitDrainedResponse(is_drained=is_drained, revision=reached)
