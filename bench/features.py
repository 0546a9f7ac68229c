"""A features table of any size for benches: drawn by the workers, written as the stream would have."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batch.arrow import array_of, lists_of
from conf.delta import ensure_table
from conf.settings import Settings
from conf.spark import session
from conf.tables import COLUMNS, column_names

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_FILES = 8
# 100 MB of features of 1,280, about what the stream's upkeep makes.
_FILE_ROWS = 20_000
_BATCH = 1000
# Components that stand out of the noise, as some do in the features of a network.
_STRONG = 64


def write_features(settings: Settings, log: Path, rows: int, dimensions: int) -> None:
    """Write a table of `rows` by `dimensions`, in eight files. In a process of its own, it leaves no JVM warm."""
    spark = session(settings, log)
    try:
        append_features(spark, settings, range(rows), dimensions, _FILES)
    finally:
        spark.stop()


def append_features(
    spark: "SparkSession", settings: Settings, numbers: range, dimensions: int, files: int | None = None
) -> None:
    """Append the rows of some numbers, in so many files, or in as many as are of 20,000 rows, and in two at least."""
    ensure_table(spark, settings.storage, "features", {"fruits.model_id": "drawn"})
    files = files or max(2, -(-len(numbers) // _FILE_ROWS))
    bounds = np.linspace(numbers.start, numbers.stop, files + 1).astype(int).tolist()
    drawn = spark.range(0, files, 1, files).mapInArrow(_drawing(bounds, dimensions), COLUMNS["features"])
    drawn.write.format("delta").mode("append").save(settings.storage.table_uri("features"))


def _drawing(bounds: list[int], dimensions: int) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def draw(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for file in batch.column("id").to_pylist():
                for first in range(bounds[file], bounds[file + 1], _BATCH):
                    numbers = range(first, min(first + _BATCH, bounds[file + 1]))
                    yield _rows(numbers, _vectors(len(numbers), dimensions, seed=first))

    return draw


def _vectors(n: int, d: int, seed: int) -> NDArray[np.float32]:
    """Activations: some strong components, noise, and nothing below 0."""
    rng, basis = np.random.default_rng(seed), np.random.default_rng(2026)
    strong = basis.standard_normal((_STRONG, d), dtype=np.float32) * np.geomspace(0.1, 0.005, _STRONG)[:, np.newaxis]
    drawn = rng.standard_normal((n, _STRONG)) @ strong + 0.05 * rng.standard_normal((n, d)) + 0.2
    return drawn.clip(min=0).astype(np.float32)


def _rows(numbers: range, vectors: NDArray[np.float32]) -> pa.RecordBatch:
    n = len(numbers)
    moment = array_of(np.full(n, 1_780_000_000_000_000)).cast(pa.timestamp("us", tz="UTC"))
    one, hundred = array_of(np.ones(n, np.int64)), array_of(np.full(n, 100, np.int32))
    columns = {
        "key": [f"landing/kind-{number % 40}/{number:08}.jpg" for number in numbers],
        "etag": [f"{number:032x}" for number in numbers],
        "size": one,
        "last_modified": moment,
        "sha256": [f"{number:064x}" for number in numbers],
        "label": [f"kind-{number % 40}" for number in numbers],
        "width": hundred,
        "height": hundred,
        "format": ["JPEG"] * n,
        "model_id": ["drawn"] * n,
        "manifest": one,
        "batch_id": one,
        "ingested_at": moment,
        "features": lists_of(vectors),
    }
    return pa.RecordBatch.from_pydict(columns).select(column_names("features"))
