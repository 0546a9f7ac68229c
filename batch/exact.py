"""The exact way: workers sum up their parts with BLAS, the sums are merged, and those of before need only what
changed since.
"""

from collections.abc import Iterable, Iterator
from functools import reduce
from math import isqrt
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from batch.arrow import binary_of
from batch.snapshot import Snapshot
from batch.statistics import Accumulator, Statistics
from conf.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from batch.increment import Increment

_SCHEMA = "statistics BINARY"
# The driver merges these many by itself (6.6 MB each at 1,280 features); with more, workers merge groups of them first.
_MOST_ON_DRIVER = 8
# Rounding is of the whole: what is left of it here has lost four of float64's sixteen digits.
_LEAST_LEFT = 1e-4


def gather(spark: "SparkSession", snapshot: Snapshot) -> Statistics:
    """Statistics of all rows of a snapshot.

    Cost: one read of the features, O(n d^2) multiplications shared by the workers; half of a d x d matrix a part is all
    that travels.

    Raises
    ------
    DataError
        Where features are not finite, or differ in length.
    """
    packed = snapshot.over_parts(spark, summarize, _SCHEMA)
    parts = len(snapshot.parts)
    if parts > _MOST_ON_DRIVER:
        packed = packed.repartition(isqrt(parts)).mapInArrow(_merge_batches, _SCHEMA)
    return _merge([packed.toArrow()])


def update(spark: "SparkSession", before: Statistics, increment: "Increment") -> Statistics:
    """Add the rows that came and take away those that went. Costs and errors are those of `gather`, for these rows."""
    came, went = (_gather_all(spark, parts, before.d) for parts in (increment.came, increment.went))
    return before + came - went


def difference(found: Statistics, expected: Statistics) -> float:
    """How far statistics are from others of the same rows: the largest difference of two sums, by the total scatter,
    or of the numbers of rows, by that number.
    """
    total = float(np.trace(expected.scatter)) or 1.0
    mean = float(((found.mean - expected.mean) ** 2).sum()) * expected.n
    rows = abs(found.n - expected.n) / max(expected.n, 1)
    return max(rows, float(np.abs(found.scatter - expected.scatter).max()) / total, mean / total)


def is_worn(running: Statistics, before: Statistics) -> bool:
    """Whether so little of the scatter is left that the digits which a subtraction loses may be felt."""
    return float(np.trace(running.scatter)) < _LEAST_LEFT * float(np.trace(before.scatter))


def _gather_all(spark: "SparkSession", snapshots: Iterable[Snapshot], d: int) -> Statistics:
    sums = Statistics.empty(d)
    for snapshot in snapshots:
        found, expected = gather(spark, snapshot), len(snapshot.chosen or ())
        if found.n != expected:
            raise DataError(
                f"Of {expected} rows that have changed since the last refit, the files that should hold them have "
                f"{found.n}. Run `fruits refresh --full`, which reads all rows."
            )
        sums += found
    return sums


def summarize(snapshot: Snapshot, part: int) -> Iterator[pa.RecordBatch]:
    """Packed statistics of one part's rows, as one row; none where there is no row."""
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
