"""Link files on Spark: blocking, scoring and clustering on executors, with the results of one machine, to the bit."""

from goldenthread.resolver.bulk.spark.errors import SparkError, SparkFailed, SparkMissing, SparkUnavailable, WorkersDiffer
from goldenthread.resolver.bulk.spark.link import link_on_spark
from goldenthread.resolver.bulk.spark.session import LOCAL, spark_session

__all__ = [
    "LOCAL",
    "SparkError",
    "SparkFailed",
    "SparkMissing",
    "SparkUnavailable",
    "WorkersDiffer",
    "link_on_spark",
    "spark_session",
]
