"""What can go wrong with Spark.

SparkError                 files can't be linked on Spark
├── SparkMissing           PySpark, or the Java it runs on, is not there       a retry does not help
├── SparkUnavailable       no session on this master                           a retry helps once the cluster answers
├── WorkersDiffer          executors have other versions of what scores        a retry does not help
└── SparkFailed            a stage failed                                      a retry may help

No message holds a value of a record, nor what Spark says, which may quote some: failures are named by stage and type.
"""

from __future__ import annotations

__all__ = ["SparkError", "SparkFailed", "SparkMissing", "SparkUnavailable", "WorkersDiffer"]


class SparkError(RuntimeError):
    """Stand at the root of the errors of Spark: what is wrong, and the remedy."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem, self.remedy = problem, remedy
        super().__init__(f"{problem}; {remedy}.")


class SparkMissing(SparkError):
    """Something that Spark needs on this machine is not there."""


class SparkUnavailable(SparkError):
    """No session could be had of a master."""

    def __init__(self, master: str, problem: str, remedy: str) -> None:
        self.master = master
        super().__init__(f"Spark can't be had from {master}: {problem}", remedy)


class WorkersDiffer(SparkError):
    """An executor would normalise or score otherwise than this machine; `differences` says in what."""

    def __init__(self, differences: str) -> None:
        self.differences = differences
        super().__init__(
            f"the executors have other versions than this machine ({differences})",
            "install the same goldenthread, phonenumbers and rapidfuzz on all",
        )


class SparkFailed(SparkError):
    """A stage of a linking failed on Spark; `cause` names the type of what went wrong, and where."""

    def __init__(self, stage: str, cause: str) -> None:
        self.stage, self.cause = stage, cause
        if "OutOfMemory" in cause or "MemoryError" in cause:
            remedy = "give it more memory, as with --spark-conf spark.driver.memory=12g or spark.executor.memory=12g"
        else:
            remedy = "look into the executors' logs for the failed task"
        super().__init__(f"Spark failed in the stage {stage!r} ({cause or 'of unknown cause'})", remedy)
