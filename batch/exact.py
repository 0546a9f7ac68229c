"""The exact solver: every worker sums up its part with BLAS, the sums are merged, one eigen-decomposition on the driver."""

from typing import TYPE_CHECKING

from batch.pca import PCA
from batch.snapshot import Snapshot
from batch.statistics import Accumulator, Statistics, not_finite
from conf.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def fit(spark: "SparkSession", snapshot: Snapshot, pca: PCA) -> PCA:
    """Fit a PCA on all current rows of a snapshot.

    Cost: one read of the features, O(n d^2) multiplications shared by the workers, O(d^3) on the driver; d x d numbers
    are all that travels.

    Raises
    ------
    DataError
        Where features are not finite, or cannot give what the PCA was asked for.
    """
    parts = len(snapshot.parts)
    sums = spark.sparkContext.parallelize(range(parts), parts).map(lambda part: summarize(snapshot, part).to_bytes())
    return pca.fit(Statistics.from_bytes(sums.treeReduce(_merge)))


def summarize(snapshot: Snapshot, part: int) -> Statistics:
    """Statistics of one part's current rows.

    Raises
    ------
    DataError
        Where features are not finite, with the key of the first.
    """
    sums: Accumulator | None = None
    for batch, rows in snapshot.read(part, ()):
        sums = sums or Accumulator(rows.shape[1])
        try:
            sums.add(rows)
        except DataError as error:
            bad = not_finite(rows)
            where = f" The first is {batch.column('key')[int(bad[0])]}." if len(bad) else ""
            raise DataError(f"{error}.{where}") from None
    return sums.statistics() if sums else Statistics.empty(0)


def _merge(left: bytes, right: bytes) -> bytes:
    one, other = Statistics.from_bytes(left), Statistics.from_bytes(right)
    # A part whose every row is superseded has seen no vector, and so has no length to disagree with.
    if not (one.n and other.n):
        return left if one.n else right
    return one.merge(other).to_bytes()
