"""The reference solver: Spark MLlib's PCA on the same rows. Slower by an order of magnitude, and the same up to rounding."""

from typing import TYPE_CHECKING

import numpy as np
import pyspark.sql.functions as F  # noqa: N812 (the name everybody knows it by)

from batch.pca import PCA
from batch.snapshot import Snapshot

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def fit(spark: "SparkSession", snapshot: Snapshot, pca: PCA) -> PCA:
    """Fit a PCA by `pyspark.ml.feature.PCA`, and give it our own's attributes.

    MLlib's transform does not subtract the mean, so its model alone gives other vectors; ours is what projects.

    Raises
    ------
    DataError
        Where the rows cannot give what the PCA was asked for.
    """
    from pyspark.ml.feature import PCA as MllibPCA  # noqa: N811
    from pyspark.ml.functions import array_to_vector
    from pyspark.ml.stat import Summarizer

    rows = (
        _current_rows(spark, snapshot)
        .select(array_to_vector(F.col("features").cast("array<double>")).alias("x"))
        .cache()
    )
    try:
        summary = rows.select(Summarizer.metrics("count", "mean", "variance").summary(F.col("x")).alias("s"))
        n, mean, variance = summary.select("s.count", "s.mean", "s.variance").head()
        model = MllibPCA(k=len(mean), inputCol="x", outputCol="y").fit(rows)
    finally:
        rows.unpersist()
    return pca.take(
        n,
        np.asarray(mean.toArray()),
        np.asarray(model.explainedVariance.toArray()) * variance.toArray().sum(),
        np.asarray(model.pc.toArray()),
    )


def _current_rows(spark: "SparkSession", snapshot: Snapshot) -> "DataFrame":
    reader = spark.read.format("delta").option("versionAsOf", snapshot.version)
    rows = reader.load(snapshot.storage.table_uri("features"))
    if not snapshot.superseded:
        return rows
    gone = spark.createDataFrame(sorted(snapshot.superseded), "key STRING, etag STRING")
    return rows.join(F.broadcast(gone), ["key", "etag"], "left_anti")
