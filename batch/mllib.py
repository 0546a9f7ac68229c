"""The reference solver: Spark MLlib's PCA on the same rows. Far slower, and the same up to rounding."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from batch.arrow import lists_of
from batch.pca import PCA, standard_deviations
from batch.snapshot import Snapshot
from batch.statistics import Statistics, degrees_of_freedom
from conf.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def fit(spark: "SparkSession", snapshot: Snapshot, pca: PCA, before: PCA | None = None) -> Statistics:
    """Fit a PCA by `pyspark.ml.feature.PCA`, give it the attributes of our own, and tell the rows' statistics.

    MLlib's transform does not subtract the mean, so its model alone gives other vectors; ours is what projects.

    Raises
    ------
    DataError
        Where features are not finite, or cannot give what the PCA was asked for.
    """
    import pyspark.sql.functions as F  # noqa: N812 (the name everybody knows it by)
    from pyspark.ml.feature import PCA as MllibPCA  # noqa: N811
    from pyspark.ml.feature import ElementwiseProduct
    from pyspark.ml.functions import array_to_vector
    from pyspark.ml.linalg import Vectors
    from pyspark.ml.stat import Summarizer

    lists = snapshot.over_parts(spark, read, "features ARRAY<DOUBLE>")
    rows = lists.select(F.size("features").alias("d"), array_to_vector("features").alias("x")).cache()
    try:
        n, shortest, longest = rows.agg(F.count("d"), F.min("d"), F.max("d")).head()
        if shortest != longest:
            raise DataError(
                f"The table has feature vectors of {shortest} and of {longest} numbers: it mixes models. "
                "Set storage.prefix to a fresh one."
            )
        degrees_of_freedom(n)
        summary = rows.agg(Summarizer.metrics("mean", "variance").summary(F.col("x")).alias("s"))
        mean, variances = (np.asarray(of.toArray()) for of in summary.select("s.mean", "s.variance").head())
        scale = standard_deviations(variances, mean, n) if pca.standardize else np.ones(len(mean))
        scaled = ElementwiseProduct(scalingVec=Vectors.dense(1 / scale), inputCol="x", outputCol="scaled")
        model = MllibPCA(k=len(mean), inputCol="scaled", outputCol="y").fit(scaled.transform(rows))
    finally:
        rows.unpersist()
    vectors = np.asarray(model.pc.toArray())
    values = np.asarray(model.explainedVariance.toArray()) * (variances / scale**2).sum()
    pca.fit_spectrum(n, mean, values, vectors, scale, before)
    roots = vectors * np.sqrt(values * (n - 1)) * scale[:, np.newaxis]
    return Statistics(n, mean, roots @ roots.T)


def read(snapshot: Snapshot, part: int) -> Iterator[pa.RecordBatch]:
    """Features of one part's current rows, in float64."""
    for _, rows in snapshot.read(part):
        yield pa.RecordBatch.from_arrays([lists_of(rows.astype(np.float64))], ["features"])
