"""The PCA refresh: refit on the whole features table, then publish the model and every reduced vector."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from batch import exact, mllib
from batch.pca import PCA
from batch.snapshot import Snapshot, pin
from conf.delta import ensure_table, open_table
from conf.errors import from_spark
from conf.s3 import check_bucket
from conf.settings import Settings
from conf.tables import COLUMNS, column_names

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_SOLVERS = {"exact": exact.fit, "mllib": mllib.fit}


@dataclass(frozen=True)
class Summary:
    """What a refresh did."""

    pca_version: int
    features_version: int
    model_id: str
    solver: str
    n: int
    d: int
    k: int
    explained_variance_ratio: tuple[float, ...]
    """Of each component kept, largest first."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall seconds of `pin`, `fit` and `publish`."""


def run(spark: "SparkSession", settings: Settings) -> Summary:
    """Refit and publish.

    The model is appended to pca_models first, then one commit replaces all of `reduced`: a reader sees the vectors of
    one model, and that model is there. Stopped between the two, `reduced` is as before, and the next run goes on.

    Raises
    ------
    FruitsError
        Where the table is empty, its features are not finite or too few for what was asked, or the store fails;
        `reduced` is then as before.
    """
    storage, seconds = settings.storage, dict[str, float]()
    check_bucket(storage)
    try:
        with _timed(seconds, "pin"):
            snapshot = pin(storage, spark.sparkContext.defaultParallelism)
        with _timed(seconds, "fit"):
            pca = PCA(settings.pca.k, settings.pca.variance or 0.95)
            _SOLVERS[settings.pca.solver](spark, snapshot, pca)
        with _timed(seconds, "publish"):
            pca_version = _publish(spark, settings, snapshot, pca)
    except Exception as error:
        raise from_spark(error) or error from None
    return Summary(
        pca_version,
        snapshot.version,
        snapshot.model_id,
        settings.pca.solver,
        pca.n_samples_,
        len(pca.mean_),
        pca.k_,
        tuple(pca.explained_variance_ratio_.tolist()),
        seconds,
    )


def project(snapshot: Snapshot, pca: PCA, pca_version: int, part: int) -> Iterator[pa.RecordBatch]:
    """Rows of `reduced` for the current rows of one part."""
    for batch, rows in snapshot.read(part, ("label", "sha256")):
        reduced = pca.transform(rows)
        offsets = np.arange(0, reduced.size + 1, pca.k_, dtype=np.int32)
        yield (
            batch.select(["key", "etag", "label", "sha256"])
            .append_column("pca_version", pa.array(np.full(len(rows), pca_version)))
            .append_column("reduced", pa.ListArray.from_arrays(pa.array(offsets), pa.array(reduced.reshape(-1))))
        )


def _publish(spark: "SparkSession", settings: Settings, snapshot: Snapshot, pca: PCA) -> int:
    storage = settings.storage
    ensure_table(spark, storage, "pca_models")
    ensure_table(spark, storage, "reduced")
    pca_version = _next_version(settings)
    model = _model_row(spark, settings, snapshot, pca, pca_version)
    model.write.format("delta").mode("append").save(storage.table_uri("pca_models"))
    shared = spark.sparkContext.broadcast((snapshot, pca))

    def project_parts(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for part in batch.column("id").to_pylist():
                yield from project(*shared.value, pca_version, part)

    parts = len(snapshot.parts)
    schema = COLUMNS["reduced"]
    reduced = spark.range(0, parts, 1, parts).mapInArrow(project_parts, schema)
    reduced.write.format("delta").mode("overwrite").save(storage.table_uri("reduced"))
    shared.destroy()
    return pca_version


def _model_row(
    spark: "SparkSession", settings: Settings, snapshot: Snapshot, pca: PCA, pca_version: int
) -> "DataFrame":
    row = {
        "pca_version": pca_version,
        "model_id": snapshot.model_id,
        "features_version": snapshot.version,
        "n": pca.n_samples_,
        "d": len(pca.mean_),
        "k": pca.k_,
        "solver": settings.pca.solver,
        "total_variance": float(pca.explained_variance_[0] / pca.explained_variance_ratio_[0]),
        "fitted_at": datetime.now(UTC),
        "explained_variance": pca.explained_variance_.tolist(),
        "explained_variance_ratio": pca.explained_variance_ratio_.tolist(),
        "mean": pca.mean_.tolist(),
        "components": pca.components_.tolist(),
    }
    return spark.createDataFrame([[row[name] for name in column_names("pca_models")]], COLUMNS["pca_models"])


def _next_version(settings: Settings) -> int:
    models = open_table(settings.storage, "pca_models")
    versions = models.to_pyarrow_dataset().to_table(["pca_version"])["pca_version"].to_pylist() if models else []
    return max(versions, default=0) + 1


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start
