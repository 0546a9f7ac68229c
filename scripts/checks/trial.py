"""A few photographs from end to end, in a store of their own: a scratch prefix of the same bucket, removed afterwards.

The work is done by `scripts.checks.trial_run` in a process of its own. Whatever becomes of that one, its prefix is
removed here, and a stream that runs beside it never hears of it.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import closing
from typing import IO, Any

from conf.settings import Discovery, Pca, Settings, Stream
from scripts.checks.check import Answer, failed, failed_with, left_out, ok, warn
from scripts.checks.machine import available_memory, needed_memory
from scripts.checks.rights import remove, scratch

PHOTOGRAPHS, BAD, COMPONENTS = 12, 1, 2
_PLATFORMS = ("SPARK_HOME", "DATABRICKS_RUNTIME_VERSION", "PYSPARK_GATEWAY_PORT")
_EXPECTED = {"features": PHOTOGRAPHS, "rejects": BAD, "reduced": PHOTOGRAPHS}
_LAST_WRITES_SECONDS = 1.0
_SPARK_LOG = "Look at the end of .fruits/logs/spark.log."


def scratch_settings(settings: Settings) -> Settings:
    """The same settings, with a store of its own, and nowhere to tell of it: no queue, no files for metrics."""
    below = f"{scratch(settings.storage)[0]}{uuid.uuid4().hex}/"
    return settings.model_copy(
        update={
            "storage": settings.storage.model_copy(update={"prefix": below}),
            "discovery": Discovery(),
            "stream": Stream(gets_in_flight=settings.stream.gets_in_flight),
            "pca": Pca(k=COMPONENTS),
        }
    )


def trial(settings: Settings) -> Answer:
    """Drop, stream, refresh and count; tells how long each took."""
    if settings.spark.master is None and not any(name in os.environ for name in _PLATFORMS):
        return left_out("spark.master is not set, and no platform with a Spark of its own started this")
    free, (_, needed) = available_memory(), needed_memory(settings)
    if free is not None and free < needed:
        # A stream that runs here must not be killed for it.
        return warn(f"not tried: it takes {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} are free", "Try later.")
    apart = scratch_settings(settings)
    try:
        told, status, said = _run(apart)
    except BaseException:
        # The JVM ends a moment after its process, and may still write.
        time.sleep(_LAST_WRITES_SECONDS)
        raise
    finally:
        begun = time.perf_counter()
        _clear(settings, apart.storage.prefix)
        cleared = time.perf_counter() - begun
    return _judged(told | {"clear": cleared}, status, said)


def _run(apart: Settings) -> tuple[dict[str, Any], int, str]:
    """What the process told, how it ended, and its last words."""
    command = [sys.executable, "-m", "scripts.checks.trial_run"]
    told: dict[str, Any] = {}
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen([*command, apart.model_dump_json()], stdout=subprocess.PIPE, stderr=errors, text=True) as run,
    ):
        try:
            for line in run.stdout or ():
                told |= _told(line)
        except BaseException:
            run.terminate()
            run.wait()
            raise
        return told, run.wait(), _last_line(errors)


def _told(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _last_line(errors: IO[str]) -> str:
    errors.seek(0)
    lines = [line.strip() for line in errors if line.strip()]
    return lines[-1][:300] if lines else ""


def _clear(settings: Settings, prefix: str) -> None:
    from conf.s3 import control_client

    with closing(control_client(settings.storage)) as client:
        remove(client, settings.storage, prefix)


def _judged(told: dict[str, Any], status: int, said: str) -> Answer:
    stages = ", ".join(f"{name} {took:.1f}" for name, took in told.items() if isinstance(took, float))
    if error := told.get("error"):
        return failed_with(error, _SPARK_LOG)
    if status:
        return failed(f"it ended with status {status} after {stages} s: {said}", _SPARK_LOG)
    counts = told.get("counts", {})
    if counts != _EXPECTED:
        return failed(f"{counts} rows, where {_EXPECTED} were to be", "Please report this: nothing may be lost.")
    rows = ", ".join(f"{count} {table}" for table, count in counts.items())
    return ok(f"{rows}; seconds: {stages}")
