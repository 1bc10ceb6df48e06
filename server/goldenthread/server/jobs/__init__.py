"""Long work of a tenant, kept in its graph: it is resumed after a crash, by any server process, from its last checkpoint."""

from goldenthread.server.jobs.job import Job, JobState, new_job, node_of, read_job
from goldenthread.server.jobs.kind import JobContext, JobKind, Step
from goldenthread.server.jobs.runner import Jobs
from goldenthread.server.jobs.verbs import JobView, drained, start_job

__all__ = [
    "Job",
    "JobContext",
    "JobKind",
    "JobState",
    "JobView",
    "Jobs",
    "Step",
    "drained",
    "new_job",
    "node_of",
    "read_job",
    "start_job",
]
