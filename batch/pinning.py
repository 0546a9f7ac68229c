"""Pinning the features table: which files make up the version of now, which rows still count, and who reads what."""

import heapq
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.dataset as ds

from batch.currency import superseded_of
from batch.datafiles import Split
from batch.snapshot import Snapshot
from conf.delta import data_files, dataset, open_table, reading
from conf.errors import TooFewRowsError
from conf.settings import Storage
from conf.table_log import TableLog
from conf.tables import MODEL, RowId

if TYPE_CHECKING:
    from deltalake import DeltaTable

# Less than this is read sooner than one more task and its worker start.
_LEAST_PART_BYTES = 8_000_000
# Of the short columns there is little in each file: many at once keep a distant store from setting the pace.
_FILES_AT_ONCE = 16


@dataclass(frozen=True)
class Pinned:
    """The features table at one version."""

    storage: Storage
    table: "DeltaTable"
    model_id: str
    files: dict[str, int]
    """Data files by their key in the bucket, and their sizes in bytes."""

    @property
    def version(self) -> int:
        """Delta's number."""
        return self.table.version()

    @property
    def bytes(self) -> int:
        """Of all data files."""
        return sum(self.files.values())

    @property
    def table_id(self) -> str:
        """Of the table: another at the same place, has another history."""
        return str(self.table.metadata().id)

    def scan(
        self, columns: Iterable[str], rows: "ds.Expression | None" = None, files: Collection[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Short columns of all rows, or of those for which an expression holds, or of those in some files.

        Files are named as pyarrow's column `__filename` does.

        Raises
        ------
        StorageError
            Where the store fails, or a data file is gone.
        """
        with reading(self.storage):
            scanner = dataset(self.table, self.storage, files).scanner(
                list(columns), filter=rows, fragment_readahead=_FILES_AT_ONCE
            )
            yield from scanner.to_batches()


def pin(storage: Storage) -> Pinned:
    """The features table as it is now.

    Raises
    ------
    TooFewRowsError
        Where there is no table, or it has no rows.
    """
    features = open_table(storage, "features")
    files = {} if features is None else data_files(features, storage)
    if features is None or not files:
        raise TooFewRowsError(
            f"{storage.table_uri('features')} has no rows to fit a PCA on. "
            "Drop photographs and run `fruits stream --once` first."
        )
    return Pinned(storage, features, features.metadata().configuration[MODEL], files)


def whole(pinned: Pinned, parallelism: int, superseded: frozenset[RowId] | None = None) -> Snapshot:
    """All rows that count.

    Parameters
    ----------
    parallelism
        Parts to cut it into, at most; fewer where there is little to read.
    superseded
        Rows of the model that do not count, where they are known; else they are looked for.

    Raises
    ------
    TooFewRowsError
        Where it has no rows of the model that counts.
    StorageError
        Where the store fails, or a data file is gone.
    """
    models = TableLog(pinned.table, pinned.storage).counts("model_id")
    if pinned.model_id not in models:
        raise TooFewRowsError(
            f"{pinned.storage.table_uri('features')} has no row of model {pinned.model_id} yet, only of others. "
            "Let `fruits stream` featurize what was listed for it."
        )
    if superseded is None:
        superseded = superseded_of(pinned.scan, pinned.model_id)
    parts = cut(list(pinned.files.items()), parallelism)
    return Snapshot(pinned.storage, pinned.version, pinned.model_id, parts, superseded, len(models) > 1)


def cut(files: list[tuple[str, int]], parallelism: int) -> tuple[tuple[Split, ...], ...]:
    """Share out data files, by key and size in bytes, among at most `parallelism` readers.

    A file that is larger than a reader's share is split; who gets which row groups, its own footer tells.
    """
    share = max(_LEAST_PART_BYTES, -(-sum(size for _, size in files) // parallelism))
    splits = [
        Split(key, size, start, min(start + share, size)) for key, size in files for start in range(0, size, share)
    ]
    splits.sort(key=lambda split: split.stop - split.start, reverse=True)
    total = sum(size for _, size in files)
    parts: list[list[Split]] = [[] for _ in range(min(-(-total // share), len(splits)))]
    lightest = [(0, number) for number in range(len(parts))]
    for split in splits:
        size, number = lightest[0]
        heapq.heapreplace(lightest, (size + split.stop - split.start, number))
        parts[number].append(split)
    return tuple(tuple(part) for part in parts)
