"""Features tables written by hand, as the stream would have."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import obstore
import pyarrow as pa
from numpy.typing import NDArray

from conf.delta import ensure_table
from conf.s3 import object_store
from conf.settings import Settings
from conf.tables import COLUMNS, column_names

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# As long as they are: Delta by itself keeps no more than 32 characters of it in the log.
MODEL = "efficientnet_lite0/0123456789ab/rgb224-bilinear"
DAY = datetime(2026, 5, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Rows:
    """Some versions of the photographs `numbers`, and their vectors."""

    numbers: Sequence[int]
    vectors: Sequence[NDArray[np.float32]] | NDArray[np.float32]
    manifest: int = 1
    version: str = "a"
    landed: datetime = DAY
    model: str = MODEL

    def keys(self) -> list[str]:
        return [f"landing/{_label(n)}/{n:04}.jpg" for n in self.numbers]

    def etags(self) -> list[str]:
        return [f"{self.version}{n:031x}" for n in self.numbers]

    def table(self) -> pa.Table:
        n = len(self.numbers)
        timestamps = pa.timestamp("us", tz="UTC")
        columns: dict[str, Any] = {
            "key": self.keys(),
            "etag": self.etags(),
            "size": [1000] * n,
            "last_modified": pa.array([self.landed] * n, timestamps),
            "sha256": [f"{self.version}{i:063x}" for i in self.numbers],
            "label": [_label(i) for i in self.numbers],
            "width": pa.array([100] * n, pa.int32()),
            "height": pa.array([100] * n, pa.int32()),
            "format": ["JPEG"] * n,
            "model_id": [self.model] * n,
            "manifest": [self.manifest] * n,
            "batch_id": [self.manifest - 1] * n,
            "ingested_at": pa.array([self.landed + timedelta(seconds=2)] * n, timestamps),
            "features": pa.array([list(vector) for vector in self.vectors], pa.list_(pa.float32())),
        }
        return pa.table(columns).select(column_names("features"))


def write(spark: "SparkSession", settings: Settings, rows: Rows, mode: str = "append") -> None:
    """Append rows to features, in one file, creating the table where there is none."""
    ensure_table(spark, settings.storage, "features", {"fruits.model_id": MODEL})
    frame = spark.createDataFrame(rows.table(), COLUMNS["features"]).coalesce(1)
    frame.write.format("delta").mode(mode).save(settings.storage.table_uri("features"))


def copy_store(source: Settings, target: Settings) -> None:
    """Copy all that is below the prefix of one to that of another."""
    bucket, prefix = object_store(target.storage), source.storage.prefix
    for meta in obstore.list(bucket, prefix).collect():
        if not meta["size"]:
            continue  # a marker of a folder, which the server on files lists and S3 would not
        obstore.copy(bucket, meta["path"], target.storage.prefix + meta["path"].removeprefix(prefix))


def draw_vectors(n: int, d: int, seed: int) -> NDArray[np.float32]:
    """Vectors around a mean far from 0, whose components have variances well apart."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((d, d)))[0]
    drawn: NDArray[np.float64] = rng.standard_normal((n, d)) * np.geomspace(3, 0.03, d) @ rotation
    return (drawn + np.linspace(5, 9, d)).astype(np.float32)


def _label(number: int) -> str:
    return ("apple", "pear", "plum")[number % 3]
