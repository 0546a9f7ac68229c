"""A job's entry point on a platform: `fruits` with the job's arguments, on the Spark that started it."""

import os
import signal
import sys

from pyspark import SparkContext
from pyspark.java_gateway import ensure_callback_server_started

from conf.regions import region_of_machines, runs_on
from scripts.entry import main


class _Ending:
    """Hands the JVM's SIGTERM to this process: the platform ends the JVM, and it is Python that has work under way."""

    def handle(self, _: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    class Java:
        implements = ("sun.misc.SignalHandler",)


def _hear_of_the_end() -> None:
    SparkContext._ensure_initialized()
    ensure_callback_server_started(SparkContext._gateway)
    java = SparkContext._jvm.sun.misc
    java.Signal.handle(java.Signal("TERM"), _Ending())


_hear_of_the_end()
# Before the commands tell their libraries which region the bucket is in.
_region = region_of_machines()
runs_on(lambda: _region)
sys.argv[0] = "fruits"
main()
