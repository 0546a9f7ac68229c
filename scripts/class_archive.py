"""Make the JVM's archive of Spark's classes: set-up where there is none, `python -m scripts.class_archive` anew.

A stream and a refresh over a few drawn photographs load what such runs load; their JVM writes the archive as it ends.
"""

import logging
import subprocess
import sys
import tempfile
from pathlib import Path

from conf.class_archive import class_archive, writing
from conf.java import find_java
from conf.settings import load
from conf.spark import session, stop

_PHOTOGRAPHS = 32
_COMPONENTS = 4
_SECONDS = 600
_log = logging.getLogger(__name__)


def ensure_class_archive() -> None:
    """Make it where it is missing, in a process of its own. Without it all works, and Spark starts more slowly."""
    if class_archive(find_java()).exists():
        return
    _log.info("Archiving Spark's classes, so that it starts in half the time (a minute, once)")
    try:
        made = subprocess.run([sys.executable, "-m", __name__], capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        _log.warning("That took too long. Spark will start in its own time.")
        return
    if made.returncode:
        why = (made.stderr.strip().splitlines() or [f"exit status {made.returncode}"])[-1]
        _log.warning("That failed: %s. Spark will start in its own time.", why)


def main() -> None:
    """Run what users run, then let the JVM write; the file appears when it is whole."""
    from batch import refresh
    from scripts.drop import drop
    from scripts.embedded_s3 import serve
    from scripts.fruit_photos import draw_photos
    from scripts.session import connect, override
    from streaming import stream

    archive = class_archive(find_java())
    archive.parent.mkdir(parents=True, exist_ok=True)
    new = archive.with_suffix(".new")
    with tempfile.TemporaryDirectory(prefix="fruits-") as folder, serve(Path(folder)) as server:
        settings = connect(load("local", [f"pca.k={_COMPONENTS}"]), server)
        settings = override(settings, "spark", options={"spark.driver.defaultJavaOptions": writing(new)})
        drop(
            settings.storage,
            ((f"{photo.label}/{photo.name}", photo.data) for photo in draw_photos(_PHOTOGRAPHS, seed=1)),
        )
        spark = session(settings, Path(folder) / "spark.log")
        try:
            stream.run(spark, settings, once=True)
            refresh.run(spark, settings)
        finally:
            stop(spark)
    new.rename(archive)
    for other in archive.parent.glob("spark-*.jsa"):
        if other != archive:
            other.unlink()


if __name__ == "__main__":
    main()
