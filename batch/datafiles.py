"""Reading a table's data files from the bucket: only the columns and row groups that are asked for, ahead of their use."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from obstore.store import ObjectStore

# 5 MB of features of 1,280; half or twice of it is as fast.
_BATCH_ROWS = 1024
# Splits under way, the one that is read included: the others are fetched meanwhile. On a store 40 ms away that halves the
# time of reading large files, and quarters that of small ones. Beyond two, their bytes are bounded.
_AHEAD, _AHEAD_BYTES = 4, 16_000_000


class Split(NamedTuple):
    """What one reader takes of a data file: the row groups that begin at bytes [start, stop)."""

    key: str
    """Of the file, in the bucket."""
    size: int
    """Of the file, in bytes."""
    start: int
    stop: int


def read(store: ObjectStore, splits: Iterable[Split], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Columns of some splits, in their order, in batches of at most 1,024 rows.

    Holds the columns of one row group, and of a few row groups more while they are small: whatever the file's size.

    Raises
    ------
    obstore.exceptions.BaseError
        Where the store fails, or a file is gone.
    """
    started: deque[tuple[int, Iterator[pa.RecordBatch], Future[pa.RecordBatch | None]]] = deque()
    waiting_bytes = 0
    with ThreadPoolExecutor(_AHEAD, "read") as pool:
        for split in splits:
            batches = _read_split(store, split, columns)
            # The first batch brings the bytes of its whole row group with it.
            started.append((split.stop - split.start, batches, pool.submit(next, batches, None)))
            waiting_bytes += started[-1][0]
            while len(started) > _AHEAD or (len(started) > 2 and waiting_bytes > _AHEAD_BYTES):
                size, *current = started.popleft()
                waiting_bytes -= size
                yield from _rest(*current)
        for _, *current in started:
            yield from _rest(*current)


def _rest(batches: Iterator[pa.RecordBatch], first: Future[pa.RecordBatch | None]) -> Iterator[pa.RecordBatch]:
    batch = first.result()
    if batch is not None:
        yield batch
        yield from batches


def _read_split(store: ObjectStore, split: Split, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(_RangedObject(store, split.key, split.size), pre_buffer=True) as file:
        for group in range(file.num_row_groups):
            if split.start <= _begin(file.metadata.row_group(group)) < split.stop:
                yield from file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=columns, use_threads=False)


def _begin(group: pq.RowGroupMetaData) -> int:
    first = group.column(0)
    return int(first.dictionary_page_offset if first.has_dictionary_page else first.data_page_offset)


class _RangedObject:
    """An object of the bucket as what pyarrow takes for a file: each read is one GET of that range."""

    closed = False

    def __init__(self, store: ObjectStore, key: str, size: int) -> None:
        self._store = store
        self._key = key
        self._size = size
        self._position = 0

    def read(self, length: int) -> obstore.Bytes | bytes:
        length = min(length, self._size - self._position)
        if length <= 0:
            return b""
        data = obstore.get_range(self._store, self._key, start=self._position, length=length)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = (0, self._position, self._size)[whence] + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        self.closed = True
