"""Pinning the features table: which files make up the version of now, which rows still count, and who reads what."""

import heapq
from typing import TYPE_CHECKING
from urllib.parse import unquote

import duckdb
import pyarrow as pa

from batch.datafiles import Split
from batch.snapshot import Snapshot
from conf.delta import dataset, open_table, reading
from conf.errors import DataError
from conf.settings import Storage
from conf.tables import MODEL, VERSION_RANK

if TYPE_CHECKING:
    from deltalake import DeltaTable

_SUPERSEDED = f"SELECT key, etag, manifest FROM features QUALIFY {VERSION_RANK} > 1 AND model_id = ?"  # noqa: S608
_OF_THE_MODEL = "SELECT count(*) FILTER (model_id = ?), count(*) FROM features"
# Less than this is read sooner than one more task and its worker start.
_LEAST_PART_BYTES = 8_000_000
# Of the short columns there is little in each file: many at once keep a distant store from setting the pace.
_FILES_AT_ONCE = 16


def pin(storage: Storage, parallelism: int) -> Snapshot:
    """The features table as it is now.

    Parameters
    ----------
    parallelism
        Parts to cut it into, at most; fewer where there is little to read.

    Raises
    ------
    DataError
        Where there is no table, or it has no rows of the model that counts.
    StorageError
        Where the store fails, or a data file is gone.
    """
    features = open_table(storage, "features")
    files = [] if features is None else _files(features, storage)
    if features is None or not files:
        raise DataError(
            f"{storage.table_uri('features')} has no rows to fit a PCA on. "
            "Drop photographs and run `fruits stream --once` first."
        )
    model_id = features.metadata().configuration[MODEL]
    superseded, mixed = _left_out(features, storage, model_id)
    return Snapshot(storage, features.version(), model_id, cut(files, parallelism), superseded, mixed)


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


def _files(features: "DeltaTable", storage: Storage) -> list[tuple[str, int]]:
    actions = pa.table(features.get_add_actions())
    # The log has paths relative to the table, and percent-encoded.
    keys = [f"{storage.prefix}tables/features/{unquote(path)}" for path in actions["path"].to_pylist()]
    return list(zip(keys, actions["size_bytes"].to_pylist(), strict=True))


def _left_out(features: "DeltaTable", storage: Storage, model_id: str) -> tuple[frozenset[tuple[str, str, int]], bool]:
    """Which rows of a model are superseded, and whether there are rows of other models, which do not count at all.

    A photograph whose newest row is of another model is left out, too: an older row is of what was overwritten.
    """
    columns = ["key", "etag", "manifest", "last_modified", "model_id"]
    with reading(storage):
        rows = dataset(features, storage).scanner(columns, fragment_readahead=_FILES_AT_ONCE).to_table()
    with duckdb.connect() as connection:
        connection.register("features", rows)
        superseded = frozenset(connection.execute(_SUPERSEDED, [model_id]).fetchall())
        ((counting, count),) = connection.execute(_OF_THE_MODEL, [model_id]).fetchall()
    if not counting:
        raise DataError(
            f"{storage.table_uri('features')} has no row of model {model_id} yet, only of others. "
            "Let `fruits stream` featurize what was listed for it."
        )
    return superseded, counting < count
