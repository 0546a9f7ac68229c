"""The Spark session, the same for every job, with what differs by profile taken from the settings."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from pyspark import SparkContext
from pyspark.sql import SparkSession

from conf.class_archive import class_archive, reading
from conf.errors import SetupError
from conf.jars import spark_jars
from conf.java import find_java
from conf.s3 import hadoop_options
from conf.settings import Settings
from conf.spark_errors import explained
from conf.upkeep import COMPACTION

_DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
_ALWAYS = {
    "spark.sql.session.timeZone": "UTC",
    # Rows that the JVM hands a Python worker at a time.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "256",
    # Numbers of a vector hardly ever repeat: a dictionary of them costs time and saves nothing.
    "spark.hadoop.parquet.enable.dictionary#features.list.element": "false",
    "spark.hadoop.parquet.enable.dictionary#reduced.list.element": "false",
    # Of a column's least and largest value in a file, which the log has: a model_id is longer than the default of 32.
    "spark.databricks.io.skipping.stringPrefixLength": "64",
    # The size of Snappy, Spark's default, and read in half the time.
    "spark.sql.parquet.compression.codec": "lz4_raw",
    **COMPACTION,
}
# It ends in a fraction of one; where it archives its classes as it does (`scripts.class_archive`), in most of a minute.
_END_SECONDS = 600
_TRIGGERS = "org.apache.spark.sql.execution.streaming.runtime.ProcessingTimeExecutor"
# On a few cores the JVM's second compiler and parallel collector cost more than they give: a short run takes half of
# the JVM's processor time without them, and a long one is the workers' to speed up. The first compiler by itself gets
# 48 MB for its code, which Spark fills within some hundred micro-batches: from then on, half a core sweeps it.
LIGHT_JVM = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC"
# A checkpoint file is one PUT instead of a write and a rename, which S3 lacks.
_CHECKPOINTS = "spark.sql.streaming.checkpointFileManagerClass"
_ONE_PUT = "org.apache.spark.internal.io.cloud.AbortableStreamBasedCheckpointFileManager"
_ABORTABLE = "fs.capability.outputstream.abortable"
_LOCAL = {
    "spark.driver.extraJavaOptions": LIGHT_JVM,
    # Workers share what they are forked with. A platform may have a daemon of its own, so only where Spark is ours.
    "spark.python.daemon.module": "streaming.daemon",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "4",
    # The default of 10,000 tasks makes a VACUUM of nine files take a minute.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
    "spark.databricks.delta.snapshotPartitions": "2",
    _CHECKPOINTS: _ONE_PUT,
}


def on_databricks() -> bool:
    """Whether this process is one of Databricks': its Delta is built in, and its session is not ours to end."""
    return "DATABRICKS_RUNTIME_VERSION" in os.environ


def session(settings: Settings, log: Path | None = None) -> SparkSession:
    """The session for these settings; the one already open where there is one.

    Parameters
    ----------
    settings
        `spark.master` unset means a platform that started us with a Spark of its own.
    log
        Where the JVM's and the workers' own messages go; None leaves them on stderr.

    Raises
    ------
    SetupError
        Where Java or a jar is missing, also of a platform's, or there is no room on this machine's disk.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("fruits")
    for name, value in _properties(settings).items():
        builder = builder.config(name, value)
    with _output_to(log), explained():
        spark: SparkSession = builder.getOrCreate()
        # Databricks has a way of its own.
        if not settings.spark.master and not on_databricks():
            _check_platform(spark)
            if _can_put_at_once(spark, settings):
                spark.conf.set(_CHECKPOINTS, _ONE_PUT)
    if log is not None:
        spark.sparkContext.setLogLevel("WARN")
        log4j: Any = spark.sparkContext._jvm.org.apache.logging.log4j
        # It warns of each batch that takes longer than a trigger, as all do here.
        log4j.core.config.Configurator.setLevel(_TRIGGERS, log4j.Level.ERROR)
    return spark


def stop(spark: SparkSession) -> None:
    """Stop a session, and wait for the end of its JVM where that is ours.

    The next one in this process then has the environment of its own time: credentials, endpoint, log. One whose JVM has
    ended already is no error: what ended it is told elsewhere. On Databricks it is left, as its end would be the job's.
    """
    if on_databricks():
        return
    gateway: Any = spark.sparkContext._gateway
    with suppress(Exception):
        spark.stop()
    # None where a platform has started it.
    jvm: subprocess.Popen[bytes] | None = getattr(gateway, "proc", None)
    if jvm is None or jvm.stdin is None:
        return
    SparkContext._gateway = SparkContext._jvm = None
    with suppress(Exception):
        gateway.shutdown()
    # Its end of file is the JVM's end.
    with suppress(OSError):
        jvm.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        jvm.wait(_END_SECONDS)


def _check_platform(spark: SparkSession) -> None:
    java: Any = spark._jvm
    if java.org.apache.spark.util.Utils.classIsLoadable(_DELTA["spark.sql.extensions"]):
        return
    stop(spark)
    raise SetupError(
        "This Spark has no Delta Lake: without spark.master, that is for the platform to bring, as EMR does. On a "
        "machine of your own add --set 'spark.master=local[*]' --set spark.bring_jars=true."
    )


def _can_put_at_once(spark: SparkSession, settings: Settings) -> bool:
    """Whether the platform's Spark has the class, and its S3 client can leave a file unwritten until it is whole."""
    java: Any = spark._jvm
    # Databricks has its own of both.
    if settings.storage.scheme != "s3a" or not java.org.apache.spark.util.Utils.classIsLoadable(_ONE_PUT):
        return False
    checkpoint = java.org.apache.hadoop.fs.Path(settings.storage.uri("state/checkpoint"))
    client = checkpoint.getFileSystem(spark._jsc.hadoopConfiguration())
    return bool(client.hasPathCapability(checkpoint, _ABORTABLE))


def _properties(settings: Settings) -> dict[str, str]:
    properties = _ALWAYS | hadoop_options(settings.storage)
    if not on_databricks():
        # There, other classes of the same purpose are in place, and these do not exist.
        properties |= _DELTA
    if settings.spark.master:
        java = find_java()
        os.environ["JAVA_HOME"] = str(java.home)
        if (archive := class_archive(java)).is_file():
            properties["spark.driver.defaultJavaOptions"] = reading(archive)
        properties |= _LOCAL | {"spark.master": settings.spark.master}
        # Where tables without a place would go. There are none, and yet Spark makes a folder for them where one works.
        properties["spark.sql.warehouse.dir"] = str(Path(gettempdir()) / "spark-warehouse")
    if settings.spark.driver_memory:
        properties["spark.driver.memory"] = settings.spark.driver_memory
    if settings.spark.bring_jars:
        jars = [str(jar) for jar in spark_jars()]
        if (settings.spark.master or "").startswith("local"):
            # Of the class path as such: nothing is copied, and the archive holds their classes, too.
            properties["spark.driver.extraClassPath"] = os.pathsep.join(jars)
        else:
            properties["spark.jars"] = ",".join(jars)
    return properties | settings.spark.options


@contextmanager
def _output_to(log: Path | None) -> Iterator[None]:
    """Let a JVM that starts within inherit a file as its stdout and stderr: it writes there for all its life."""
    if log is None:
        yield
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {stream: os.dup(stream) for stream in (1, 2)}
    with log.open("a") as file:
        for stream in kept:
            os.dup2(file.fileno(), stream)
        try:
            yield
        finally:
            for stream, copy in kept.items():
                os.dup2(copy, stream)
                os.close(copy)
