"""The demo's way through the whole product: two waves of photographs, a refit after each, a question at the end."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conf.errors import DataError
from conf.settings import Settings
from scripts.accounting import account
from scripts.drop import drop, name_files
from scripts.fruit_photos import draw_bad_objects, draw_photos
from scripts.progress import bar
from scripts.refresh import stages_shown
from scripts.session import EMBEDDED_ROOT, SPARK_LOG, opened, say, spark_session
from scripts.sql import tables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SEED = 2026
# Of the photographs, the share that comes in the first wave.
_FIRST = 0.75
QUESTION = """
SELECT a.label, b.label AS looks_like, round(avg(list_distance(a.reduced, b.reduced)), 2) AS distance
FROM reduced a JOIN reduced b ON a.label < b.label
GROUP BY ALL ORDER BY distance LIMIT 5
"""


def tour(settings: Settings, images: Path | None, count: int) -> dict[str, Any]:
    """Run it all.

    Returns
    -------
    dict
        What was there before, what each stage did and how many seconds it took, the accounting, an answer, and where
        everything is: ready for JSON.

    Raises
    ------
    FruitsError
        Whatever stopped one of the stages; what the ones before it wrote stays.
    """
    done: dict[str, Any] = {"stages": {}, "streams": [], "refreshes": []}
    seconds = done["stages"]
    with ExitStack() as stack:
        with _stage(seconds, "start S3"):
            settings = stack.enter_context(opened(settings))
            with bar("Looking at what is there"):
                done["before"] = asdict(account(settings.storage))
        with _stage(seconds, "first wave"):
            first = round(count * _FIRST)
            _drop(settings, _wave(images, 0, first), first)
        with _stage(seconds, "start Spark"):
            spark = stack.enter_context(spark_session(settings))
        _take_in(spark, settings, first, done, "1")
        with _stage(seconds, "second wave"):
            _drop(settings, _wave(images, first, count - first), count - first)
            drop(settings.storage, ((f"{bad.label}/{bad.name}", bad.data) for bad in draw_bad_objects(_SEED)))
        _take_in(spark, settings, count - first, done, "2")
        with _stage(seconds, "query"), tables(settings.storage) as asked:
            done["answer"] = asked.ask(QUESTION).read_all().to_pylist()
        done["accounting"] = asdict(account(settings.storage))
    done["where"] = {
        "landing zone": settings.storage.uri("landing/", "s3"),
        "tables": settings.storage.uri("tables/", "s3"),
        "both as files": str(EMBEDDED_ROOT / "buckets" / settings.storage.bucket),
        "Spark's log": str(SPARK_LOG),
    }
    return done


def _take_in(spark: "SparkSession", settings: Settings, expected: int, done: dict[str, Any], wave: str) -> None:
    from batch.refresh import run as refresh
    from streaming.stream import run as stream

    with _stage(done["stages"], f"stream {wave}"), bar("Featurizing", expected) as shown:
        summary = stream(spark, settings, once=True, on_batch=lambda batch: shown.advance(batch.objects))
        done["streams"].append(asdict(summary))
    with _stage(done["stages"], f"refresh {wave}"), stages_shown() as on_stage:
        done["refreshes"].append(asdict(refresh(spark, settings, on_stage=on_stage)))


def _drop(settings: Settings, wave: Iterator[tuple[str, bytes]], count: int) -> None:
    with bar("Dropping", count) as shown:
        drop(settings.storage, shown.count(wave))


def _wave(images: Path | None, start: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Photographs `start` to `start + count`, drawn or from a folder, as (name below the landing zone, bytes)."""
    if images is None:
        drawn = draw_photos(count, _SEED, start=start)
        return ((f"{photo.label}/{photo.name}", photo.data) for photo in drawn)
    files = list(name_files(images))
    if len(files) < 2:
        raise DataError(f"{images} holds {len(files)} files; a demo wants some dozens, in a folder for each label.")
    # Every n-th, so that few of them still show all labels.
    chosen = files[:: max(1, len(files) // (start + count))]
    return ((name, path.read_bytes()) for path, name in chosen[start : start + count])


@contextmanager
def _stage(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start
    say(f"{name:<12} {seconds[name]:6.1f} s")
