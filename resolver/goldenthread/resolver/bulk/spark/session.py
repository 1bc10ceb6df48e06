"""Have a Spark session: in this process's own local mode, or of a cluster."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from goldenthread.resolver.bulk.spark.errors import SparkMissing, SparkUnavailable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["LOCAL", "spark_session"]

LOCAL = "local[*]"
"""The master that runs in this process's own Java machine, on all cores."""

_CONNECT_SECONDS = 5.0
_ALWAYS = {
    "spark.app.name": "goldenthread link",
    "spark.log.level": "ERROR",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.catalogImplementation": "in-memory",
    "spark.driver.maxResultSize": "0",  # the answer is as long as the files, which this machine has read
    "spark.sql.execution.arrow.localRelationThreshold": "0",  # rows are never part of a plan, which logs show
    "spark.sql.execution.arrow.maxRecordsPerBatch": "20000",
}
_LOCALLY = {
    "spark.driver.memory": "6g",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
}


_LOGGING = """\
rootLogger.level = error
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = spark: %c{1}: %m%n
"""


@contextmanager
def spark_session(
    master: str = LOCAL, settings: Mapping[str, str] | None = None, work: Path | None = None
) -> Iterator[SparkSession]:
    """Start a session and stop it at the end, whatever happens, its jobs and temporary files with it.

    `settings` are Spark's own (`spark.driver.memory`, in local mode 6g without it) and go before ours. Temporary files of
    this machine are in a folder under `work`, or under the system's folder for such; executors keep theirs in
    `spark.local.dir`. Java's memory counts from its start, so that it can't be changed for a second session in a process.

    Raises:
        SparkMissing: PySpark or Java is not installed.
        SparkUnavailable: the master can't be reached, or refuses.
    """
    _check_installed()
    _check_reachable(master)
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    if SparkSession.getActiveSession() is not None:
        raise SparkUnavailable(master, "this process has a session already", "give that to link_on_spark, or stop it first")
    folder = Path(tempfile.mkdtemp(prefix="goldenthread-spark-", dir=work))
    local = master.startswith("local")
    told = {**_ALWAYS, **(_LOCALLY if local else {}), **_folders(folder, local), **(settings or {})}
    if local:
        # Workers run this Python, with what is installed for it, and not another one that is first on the path.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    try:
        builder = SparkSession.builder.master(master)
        for name, value in told.items():
            builder = builder.config(name, value)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PySpark's remarks on the versions of pandas, of which nothing is used
            try:
                session = builder.getOrCreate()
            except Exception as error:  # py4j and PySpark raise of several trees; told by type
                if isinstance(error, PySparkException | RuntimeError) or type(error).__module__.startswith("py4j"):
                    raise SparkUnavailable(master, _reason(error), "check --master and the settings") from None
                raise
        try:
            yield session
        finally:
            session.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _check_installed() -> None:
    try:
        import pyspark  # noqa: F401  # asked only whether it is there
    except ImportError:
        raise SparkMissing("PySpark is not installed", "install it with pip install 'goldenthread[spark]'") from None
    home = os.environ.get("JAVA_HOME")
    if not (Path(home, "bin", "java").exists() if home else shutil.which("java")):
        where = "JAVA_HOME names no Java" if home else "there is no Java on the path"
        raise SparkMissing(f"Spark needs Java, and {where}", "install Java 17 or newer, or set JAVA_HOME to it")


def _check_reachable(master: str) -> None:
    """Connect to a stand-alone cluster's master once: Spark itself would try for minutes before it says no."""
    if not master.startswith("spark://"):
        return
    places = re.findall(r"([^,/\[\]]+|\[[^\]]+\]):(\d+)", master.removeprefix("spark://"))
    if not places:
        raise SparkUnavailable(master, "it names no host and port", "write it as spark://host:7077")
    for host, port in places:
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS):
                return
        except OSError:
            continue
    raise SparkUnavailable(master, "nothing answers there", "check the host, the port and that the master is running")


def _folders(folder: Path, local: bool) -> dict[str, str]:
    """Keep what Spark writes on this machine in one folder; in local mode it logs errors alone from the first line on."""
    options = f"-Djava.io.tmpdir={folder}"
    if local:
        logging = folder / "log4j2.properties"
        logging.write_text(_LOGGING, encoding="utf-8")
        options += f" -Dlog4j2.configurationFile={logging.as_uri()}"
    found = {"spark.sql.warehouse.dir": str(folder / "warehouse"), "spark.driver.defaultJavaOptions": options}
    return {**found, "spark.local.dir": str(folder)} if local else found


def _reason(error: Exception) -> str:
    """Name what happened by its type: what Java says of it is long, and of no use without its trace."""
    if "JAVA_GATEWAY_EXITED" in str(error):
        return "Java ended at its start; is it version 17 or newer, and is there so much memory?"
    java = re.search(r"([A-Za-z]+(?:Exception|Error))\b", str(error))
    return java[1] if java else type(error).__name__
