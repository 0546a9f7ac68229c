"""Figures of a table from its Delta log: how many rows and files, how large, how new.

Spark writes statistics of each data file into the log. A file is read only where they do not tell.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from conf.delta import dataset, read_columns, reading
from conf.settings import Storage

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset, Expression


class TableLog:
    """One version of a table.

    Attributes
    ----------
    files
        Data files.
    bytes
        Of all these.
    properties
        What is set of them.
    """

    def __init__(self, opened: DeltaTable, storage: Storage) -> None:
        self._opened = opened
        self._storage = storage
        self._added = pa.table(opened.get_add_actions(flatten=True))
        self.files: int = self._added.num_rows
        self.properties = opened.metadata().configuration
        self.bytes: int = pc.sum(self._added["size_bytes"]).as_py() or 0

    @cached_property
    def rows(self) -> int:
        """Rows of the table."""
        return self._rows(pc.is_valid(self._added["path"]))

    def largest(self, column: str) -> Any:
        """The largest value of a column, a time to the millisecond; None where there is no row, or no such column."""
        if column not in {field.name for field in self._opened.schema().fields}:
            return None
        known = self._column(f"max.{column}")
        found = [pc.max(known).as_py()]
        for part in self._unclear(pc.is_null(known)):
            found += [pc.max(values).as_py() for values in self._values(part, column)]
        return max((value for value in found if value is not None), default=None)

    def counts(self, column: str, since: tuple[str, datetime] | None = None) -> dict[Any, int]:
        """Rows by the value of a column of short words, in order of the values.

        Of all rows, or of those with a time, in the column named, that is not before a moment.
        """
        told, untold = self._told(column, since)
        counted: Counter[Any] = Counter()
        values, rows = (self._column(name).filter(told).to_pylist() for name in (f"min.{column}", "num_records"))
        for value, count in zip(values, rows, strict=True):
            counted[value] += count
        chosen = pc.field(since[0]) >= since[1] if since else None
        for part in self._unclear(untold):
            for values in self._values(part, column, chosen):
                counted.update({one["values"]: one["counts"] for one in values.value_counts().to_pylist()})
        return dict(sorted(counted.items()))

    def to_count(self, column: str, since: tuple[str, datetime] | None = None) -> tuple[int, int]:
        """How many files `counts` reads, and how many rows these have."""
        _, untold = self._told(column, since)
        return pc.sum(untold).as_py() or 0, self._rows(untold)

    def _told(self, column: str, since: tuple[str, datetime] | None) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
        """Of each file, whether its rows all count and have one value, and whether it must be read to tell."""
        lowest, highest, rows = (self._column(name) for name in (f"min.{column}", f"max.{column}", "num_records"))
        told = pc.fill_null(pc.and_(pc.equal(lowest, highest), pc.is_valid(rows)), False)
        if since is None:
            return told, pc.invert(told)
        told = pc.and_(told, self._not_before("min", *since))
        return told, pc.and_(self._not_before("max", *since, unknown=True), pc.invert(told))

    def _rows(self, mask: pa.ChunkedArray) -> int:
        """Rows of the files that a mask picks."""
        counts = self._column("num_records")
        known: int = pc.sum(counts.filter(mask)).as_py() or 0
        for part in self._unclear(pc.and_(mask, pc.is_null(counts))):
            with reading(self._storage):
                known += part.count_rows()
        return known

    def _not_before(self, bound: str, column: str, moment: datetime, *, unknown: bool = False) -> pa.ChunkedArray:
        """Of each file, whether the smallest (`min`) or largest (`max`) of its times is not before a moment."""
        times = self._column(f"{bound}.{column}")
        if not pa.types.is_timestamp(times.type):
            return pa.chunked_array([pa.array([unknown] * self.files, pa.bool_())])
        # The log has whole milliseconds, cut off.
        known = pc.greater_equal(times, pa.scalar(moment - timedelta(milliseconds=bound == "max"), times.type))
        return pc.fill_null(known, unknown)

    def read(self, column: str) -> pa.ChunkedArray:
        """A column, from the data files."""
        return read_columns(self._opened, self._storage, [column])[column]

    def _values(self, part: "Dataset", column: str, rows: "Expression | None" = None) -> Iterator[pa.Array]:
        with reading(self._storage):
            for batch in part.to_batches(columns=[column], filter=rows):
                yield batch.column(column)

    def _column(self, name: str) -> pa.ChunkedArray:
        if name in self._added.column_names:
            return self._added[name]
        return pa.chunked_array([pa.nulls(self.files, pa.int64() if name == "num_records" else pa.string())])

    def _unclear(self, mask: pa.ChunkedArray) -> list["Dataset"]:
        """The files that a mask picks, as one dataset; none where it picks no file."""
        paths = set(self._added["path"].filter(mask).to_pylist())
        return [dataset(self._opened, self._storage, paths)] if paths else []
