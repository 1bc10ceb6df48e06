"""Find connected components on Spark, by GraphX, which ships with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py4j.java_gateway import JavaObject, JavaPackage
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["connected_components"]


@contextmanager
def connected_components(session: SparkSession, links: DataFrame) -> Iterator[DataFrame]:
    """Label points that links (left, right) connect by the smallest of them: point, component.

    Executors let go of the graph at the end, until when the labels must have been used or kept. GraphX has no Python side,
    so its Scala objects are called through the gateway, on the frame's own rows.
    """
    from pyspark.sql import DataFrame

    java = session.sparkContext._jvm
    assert java is not None
    encoders = java.org.apache.spark.sql.Encoders
    two_longs = encoders.tuple(encoders.scalaLong(), encoders.scalaLong())
    edges = getattr(links.selectExpr("left AS _1", "right AS _2")._jdf, "as")(two_longs).rdd()
    int_tag = _scala_object(java.scala.reflect, "ClassTag").Int()
    level = java.org.apache.spark.storage.StorageLevel.MEMORY_AND_DISK()
    graph = _scala_object(java.org.apache.spark.graphx, "Graph").fromEdgeTuples(
        edges, 1, _scala_object(java.scala, "None"), level, level, int_tag
    )
    labelled = _scala_object(java.org.apache.spark.graphx.lib, "ConnectedComponents").run(graph, int_tag, int_tag)
    frame = DataFrame(session._jsparkSession.createDataset(labelled.vertices(), two_longs).toDF(), session)
    try:
        yield frame.toDF("point", "component")
    finally:
        labelled.unpersist(False)
        graph.unpersist(False)


def _scala_object(package: JavaPackage, name: str) -> JavaObject:
    """Answer a Scala object, which Java knows as the only instance of a class."""
    return getattr(getattr(package, f"{name}$"), "MODULE$")
