"""The exact solver: workers sum up their parts with BLAS, the sums are merged, the driver finds the components."""

from collections.abc import Iterable, Iterator
from functools import reduce
from math import isqrt
from typing import TYPE_CHECKING

import pyarrow as pa

from batch.arrow import binary_of
from batch.pca import PCA
from batch.snapshot import Snapshot
from batch.statistics import Accumulator, Statistics

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SCHEMA = "statistics BINARY"
# The driver merges these many by itself (6.6 MB each at 1,280 features); with more, workers merge groups of them first.
_MOST_ON_DRIVER = 8


def fit(spark: "SparkSession", snapshot: Snapshot, pca: PCA) -> PCA:
    """Fit a PCA on all current rows of a snapshot.

    Cost: one read of the features, O(n d^2) multiplications shared by the workers, O(d^3) on the driver; half of a
    d x d matrix a part is all that travels.

    Raises
    ------
    DataError
        Where features are not finite, or cannot give what the PCA was asked for.
    """
    packed = snapshot.over_parts(spark, summarize, _SCHEMA)
    parts = len(snapshot.parts)
    if parts > _MOST_ON_DRIVER:
        packed = packed.repartition(isqrt(parts)).mapInArrow(_merge_batches, _SCHEMA)
    return pca.fit(_merge([packed.toArrow()]))


def summarize(snapshot: Snapshot, part: int) -> Iterator[pa.RecordBatch]:
    """Packed statistics of one part's current rows, as one row; none where no row is current."""
    sums: Accumulator | None = None
    for _, rows in snapshot.read(part):
        sums = sums or Accumulator(rows.shape[1])
        sums.add(rows)
    if sums:
        yield _pack(sums.statistics())


def _merge_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    merged = _merge(batches)
    if merged.n:
        yield _pack(merged)


def _merge(batches: Iterable[pa.RecordBatch | pa.Table]) -> Statistics:
    packed = (value.as_buffer() for batch in batches for value in batch.column("statistics"))
    statistics = map(Statistics.from_bytes, packed)
    first = next(statistics, Statistics.empty(0))
    return reduce(Statistics.merge, statistics, first)


def _pack(statistics: Statistics) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([binary_of(statistics.to_bytes())], ["statistics"])
