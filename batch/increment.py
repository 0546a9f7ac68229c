"""What has changed since the last refit: which rows count now and did not, and the other way round."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.dataset as ds
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import ObjectStore

from batch import datafiles
from batch.arrow import mask_of
from batch.changes import commit_digest, read_changes
from batch.currency import COLUMNS, counting, superseded
from batch.datafiles import Split
from batch.kept import Kept
from batch.pinning import Pinned, cut
from batch.snapshot import Snapshot, ids
from conf.s3 import explain, store_answers
from conf.settings import Storage
from conf.tables import RowId

# With more to read than this share of the table, all of it is read: it takes little longer, and no digit is lost.
_MOST = 0.5
_IN_FLIGHT = 16
# What pyarrow calls the file that a row is in.
_FILE = "__filename"
_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("etag", pa.string()),
        ("manifest", pa.int64()),
        ("last_modified", pa.timestamp("us", tz="UTC")),
        ("model_id", pa.string()),
    ]
)


@dataclass(frozen=True)
class Increment:
    """The rows that count now are those that did, with `came` and without `went`."""

    came: tuple[Snapshot, ...]
    went: tuple[Snapshot, ...]
    superseded: frozenset[RowId]
    """Of all rows of the model, those that do not count now."""

    @property
    def rows_added(self) -> int:
        """How many count now and did not."""
        return sum(len(part.chosen or ()) for part in self.came)

    @property
    def rows_removed(self) -> int:
        """How many counted and do not now."""
        return sum(len(part.chosen or ()) for part in self.went)

    @property
    def bytes(self) -> int:
        """Of the files that these rows are in."""
        return _bytes((*self.came, *self.went))

    @property
    def bytes_came(self) -> int:
        """Of the files that those are in that count now."""
        return _bytes(self.came)

    @property
    def empty(self) -> bool:
        """Whether the same rows count as before."""
        return not (self.came or self.went)


class AllRows(NamedTuple):
    """To read all rows is the only way, or the cheaper one."""

    why: str


def since(store: ObjectStore, pinned: Pinned, kept: Kept, parallelism: int) -> Increment | AllRows:
    """What has changed since `kept`.

    Raises
    ------
    StorageError
        Where the store fails.
    """
    if kept.table_id != pinned.table_id:
        return AllRows("features is another table than at the last refit")
    if kept.model_id != pinned.model_id:
        return AllRows("the last refit was of another model's features")
    if kept.commit != commit_digest(store, pinned.storage, kept.features_version):
        return AllRows(f"the log of features has version {kept.features_version}, that of the last refit, no more")
    changes = read_changes(store, pinned.storage, kept.features_version, pinned.version)
    if changes is None:
        return AllRows(f"the log of features does not tell all that has changed since version {kept.features_version}")
    if not _worth(pinned, changes.added | changes.removed):
        return AllRows("more than half of features has changed since the last refit")
    gone = (changes.added | changes.removed).keys() - pinned.files.keys()
    if not _all_there(store, gone):
        return AllRows("files that the last refit saw have been deleted for good")
    came, went = (_rows(store, pinned.storage, files) for files in (changes.added, changes.removed))
    came_ids, went_ids = (frozenset(ids(rows.to_batches())) for rows in (came, went))
    if len(came_ids) < came.num_rows or len(went_ids) < went.num_rows:
        # Rearranged and rewritten in turn.
        return AllRows("files were rewritten so often since the last refit that a row is in two of them")
    new, lost = came_ids - went_ids, went_ids - came_ids
    keys = {key for key, *_ in new | lost}
    # All rows of the keys that are touched, as they are and as they were.
    now = _rows_of(pinned, keys)
    then = pa.concat_tables([_without(now, new), _without(went, went_ids - lost)])
    counts, counted = counting(now, pinned.model_id), counting(then, pinned.model_id)
    if len(counted - counts) > _MOST * kept.statistics.n:
        return AllRows("more than half of the rows that the last refit saw count no more")
    d = kept.statistics.d
    place = dict(zip(ids(now.to_batches()), now[_FILE].to_pylist(), strict=True))

    def snapshots(rows: frozenset[RowId], changed: frozenset[RowId], files: dict[str, int]) -> Iterator[Snapshot]:
        """Where some rows are: those that changed in the files that say so, the others in the table's own."""
        others = {pinned.storage.table_key("features", place[row]) for row in rows - changed}
        for chosen, sources in ((rows & changed, files), (rows - changed, {key: pinned.files[key] for key in others})):
            if chosen:
                parts = cut(list(sources.items()), parallelism)
                yield Snapshot(pinned.storage, pinned.version, pinned.model_id, parts, frozenset(), False, chosen, d)

    increment = Increment(
        tuple(snapshots(counts - counted, new, changes.added)),
        tuple(snapshots(counted - counts, lost, changes.removed)),
        frozenset(row for row in kept.superseded if row[0] not in keys) | superseded(now, pinned.model_id),
    )
    if increment.bytes > _MOST * pinned.bytes:
        return AllRows("the rows that have changed lie in files that are more than half of features")
    return increment


def _rows_of(pinned: Pinned, keys: set[str]) -> pa.Table:
    """What tells which rows count, of all rows of some keys, and the file that each is in.

    Of most files the keys are read, and no more.
    """
    if not keys:
        return _table(())
    of_keys = ds.field("key").isin(pa.array(sorted(keys), pa.string()))
    files = {file for batch in pinned.scan((_FILE,), of_keys) for file in batch.column(_FILE).unique().to_pylist()}
    return _table(pinned.scan((*COLUMNS, _FILE), of_keys, files))


def _worth(pinned: Pinned, sizes: Mapping[Any, int]) -> bool:
    return sum(sizes.values()) <= _MOST * pinned.bytes


def _bytes(snapshots: Iterable[Snapshot]) -> int:
    splits = {split for rows in snapshots for part in rows.parts for split in part}
    return sum(split.stop - split.start for split in splits)


def _all_there(store: ObjectStore, files: Iterable[str]) -> bool:
    """Whether files that are no part of the table any more have not been deleted yet."""

    def there(file: str) -> bool:
        with store_answers(file):
            try:
                obstore.head(store, file)
            except (NotFoundError, FileNotFoundError):
                return False
        return True

    with ThreadPoolExecutor(_IN_FLIGHT, "head") as pool:
        return all(pool.map(there, files))


def _rows(store: ObjectStore, storage: Storage, files: dict[str, int]) -> pa.Table:
    """What tells which rows count, of all rows of some files."""
    splits = [Split(file, size, 0, size) for file, size in files.items()]
    try:
        return _table(datafiles.read(store, splits, COLUMNS))
    except (BaseError, FileNotFoundError) as error:
        raise explain(error, storage) from None


def _table(batches: Iterable[pa.RecordBatch]) -> pa.Table:
    # A file by itself does not say that its times are in UTC.
    tables = [pa.table(batch.columns, names=batch.schema.names) for batch in batches]
    schema = _SCHEMA if tables and _FILE not in tables[0].column_names else _SCHEMA.append(pa.field(_FILE, pa.string()))
    return pa.concat_tables([schema.empty_table(), *(table.select(schema.names).cast(schema) for table in tables)])


def _without(rows: pa.Table, left_out: frozenset[RowId]) -> pa.Table:
    kept = np.fromiter((row not in left_out for row in ids(rows.to_batches())), np.bool_, rows.num_rows)
    return rows.select(COLUMNS).filter(mask_of(kept))
