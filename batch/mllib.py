"""The reference solver: Spark MLlib's PCA on the same rows. Far slower, and the same up to rounding."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from batch.arrow import lists_of
from batch.pca import PCA
from batch.snapshot import Snapshot
from batch.statistics import degrees_of_freedom
from conf.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def fit(spark: "SparkSession", snapshot: Snapshot, pca: PCA) -> PCA:
    """Fit a PCA by `pyspark.ml.feature.PCA`, and give it the attributes of our own.

    MLlib's transform does not subtract the mean, so its model alone gives other vectors; ours is what projects.

    Raises
    ------
    DataError
        Where features are not finite, or cannot give what the PCA was asked for.
    """
    import pyspark.sql.functions as F  # noqa: N812 (the name everybody knows it by)
    from pyspark.ml.feature import PCA as MllibPCA  # noqa: N811
    from pyspark.ml.functions import array_to_vector
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
        mean, variance = summary.select("s.mean", "s.variance").head()
        model = MllibPCA(k=len(mean), inputCol="x", outputCol="y").fit(rows)
    finally:
        rows.unpersist()
    values = np.asarray(model.explainedVariance.toArray()) * variance.toArray().sum()
    return pca.fit_spectrum(n, np.asarray(mean.toArray()), values, np.asarray(model.pc.toArray()))


def read(snapshot: Snapshot, part: int) -> Iterator[pa.RecordBatch]:
    """Features of one part's current rows, in float64."""
    for _, rows in snapshot.read(part):
        yield pa.RecordBatch.from_arrays([lists_of(rows.astype(np.float64))], ["features"])
