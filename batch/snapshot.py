"""The features table at one Delta version, as its data files, which the workers read themselves.

Spark's way from Parquet through rows to Python costs more than the mathematics on them. Delta says which files make up
a version, and without deletion vectors they are all there is to know. Workers import this module: finding the files,
which takes delta-rs and DuckDB, is left to `batch.pinning`.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from obstore.exceptions import BaseError

from batch import datafiles
from batch.arrow import mask_of
from batch.datafiles import Split
from batch.statistics import not_finite
from conf.errors import DataError
from conf.s3 import explain, object_store
from conf.settings import Storage
from conf.tables import ROW_ID, RowId

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_AGAIN = (
    "Have it featurized again by `fruits reprocess --keys` with its path in the landing zone, then `fruits stream`; or "
    "delete its row."
)
Batch = tuple[pa.RecordBatch, NDArray[np.float32]]
"""Rows of the table, and their features as one (m, d) array."""


@dataclass(frozen=True)
class Snapshot:
    """Rows of one version of features, cut into parts of about the same size."""

    storage: Storage
    version: int
    model_id: str
    parts: tuple[tuple[Split, ...], ...]
    """What each task reads."""
    superseded: frozenset[RowId]
    """Rows whose object has been overwritten since, and which therefore do not count."""
    mixed: bool
    """Whether there are rows of other models, which do not count either."""
    chosen: frozenset[RowId] | None = None
    """Where given, these rows and no others, whether they count or not."""
    length: int | None = None
    """Of a vector, where it is known."""

    def read(self, part: int, columns: Sequence[str] = ()) -> Iterator[Batch]:
        """Rows of one part that count, or were chosen: key, the columns asked for and the features, all finite.

        Raises
        ------
        DataError
            Where vectors differ in length, or are not finite.
        StorageError
            Where the store fails.
        """
        by_id = self.chosen is not None or self.superseded
        told_by = (*(ROW_ID if by_id else ("key",)), *(["model_id"] if self.mixed else ()))
        names = dict.fromkeys((*told_by, *columns, "features"))
        length = self.length
        try:
            for batch in datafiles.read(object_store(self.storage), self.parts[part], list(names)):
                current = self._current(batch)
                if current.num_rows:
                    rows = vectors(current, length)
                    length = rows.shape[1]
                    yield current, rows
        except (BaseError, FileNotFoundError) as error:
            raise explain(error, self.storage) from None

    def over_parts(
        self, spark: "SparkSession", read: Callable[["Snapshot", int], Iterable[pa.RecordBatch]], schema: str
    ) -> "DataFrame":
        """A DataFrame of what `read` gives for each part, a task a part."""

        def tasks(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                for part in batch.column("id").to_pylist():
                    yield from read(self, part)

        parts = len(self.parts)
        return spark.range(0, parts, 1, parts).mapInArrow(tasks, schema)

    def _current(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if (chosen := self.chosen) is not None:
            return batch.filter(mask_of(np.fromiter((row in chosen for row in ids([batch])), np.bool_)))
        if self.mixed:
            models = batch.column("model_id").to_pylist()
            batch = batch.filter(mask_of(np.fromiter((model == self.model_id for model in models), np.bool_)))
        if not self.superseded:
            return batch
        return batch.filter(mask_of(np.fromiter((row not in self.superseded for row in ids([batch])), np.bool_)))


def ids(batches: Iterable[pa.RecordBatch]) -> Iterator[RowId]:
    """What tells the rows of some batches from any others."""
    for batch in batches:
        yield from zip(*(batch.column(name).to_pylist() for name in ROW_ID), strict=True)


def vectors(batch: pa.RecordBatch, length: int | None = None) -> NDArray[np.float32]:
    """The features of a batch as one (m, d) array, not copied.

    Parameters
    ----------
    length
        The d expected; that of the first row where none is.

    Raises
    ------
    DataError
        Where one of them has another length, or holds NaN, infinity or null; it names the photograph.
    """
    lists = batch.column("features")
    lengths = np.diff(np.from_dlpack(lists.offsets))
    expected = length or lengths[0]
    odd = np.flatnonzero(lengths != expected)
    if len(odd):
        raise DataError(
            f"The features of {batch.column('key')[odd[0]]} are {lengths[odd[0]]} numbers, of others {expected}: they "
            f"are damaged, or of another network. {_AGAIN}"
        )
    flat = lists.flatten()
    if flat.null_count:
        flat = flat.fill_null(math.nan)
    rows = np.from_dlpack(flat).astype(np.float32, copy=False).reshape(len(lists), -1)
    bad = not_finite(rows)
    if len(bad):
        raise DataError(
            f"The features of {batch.column('key')[bad[0]]} hold NaN or infinity, as {len(bad)} of "
            f"{len(rows)} do that were read together. {_AGAIN}"
        )
    return rows
