"""The features table at one Delta version, as its data files, read by the workers themselves.

Spark's way from Parquet through rows to Python costs more than the mathematics on them. Delta says which files make up a
version, and without deletion vectors they are all there is to know.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from conf.delta import open_table
from conf.errors import DataError
from conf.s3 import object_store
from conf.settings import Storage

if TYPE_CHECKING:
    from deltalake import DeltaTable

Version = tuple[str, str]
"""Key and etag of an object version."""

# A later version of a key takes the place of earlier ones; of two within S3's second, the one discovered later is later.
_SUPERSEDED = """
    SELECT key, etag FROM features
    QUALIFY row_number() OVER (PARTITION BY key ORDER BY last_modified DESC, manifest DESC) > 1
"""
_ROWS = 1024


@dataclass(frozen=True)
class Snapshot:
    """What a refit sees: one version of features, cut into parts of about the same size."""

    storage: Storage
    version: int
    model_id: str
    parts: tuple[tuple[str, ...], ...]
    """Keys of data files, a tuple a task."""
    superseded: frozenset[Version]
    """Rows whose object has been overwritten since, and which therefore no longer count."""

    def read(self, part: int, columns: tuple[str, ...]) -> Iterator[tuple[pa.RecordBatch, NDArray[np.float32]]]:
        """Current rows of one part: some of the short columns, and the features, as (m, d) float32.

        Raises
        ------
        DataError
            Where vectors of one file differ in length.
        """
        store = object_store(self.storage)
        for key in self.parts[part]:
            file = pq.ParquetFile(io.BytesIO(obstore.get(store, key).bytes()))
            for batch in file.iter_batches(_ROWS, columns=["key", "etag", *columns, "features"]):
                current = self._current(batch)
                if current.num_rows:
                    yield current, vectors(current)

    def _current(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if not self.superseded:
            return batch
        versions = zip(batch.column("key").to_pylist(), batch.column("etag").to_pylist(), strict=True)
        return batch.filter(pa.array([version not in self.superseded for version in versions]))


def pin(storage: Storage, parallelism: int) -> Snapshot:
    """The features table as it is now.

    Parameters
    ----------
    parallelism
        Parts to cut it into, at most.

    Raises
    ------
    DataError
        Where there is no table, or it has no rows.
    """
    features = open_table(storage, "features")
    files = [] if features is None else _files(features)
    if features is None or not files:
        raise DataError(
            f"{storage.table_uri('features')} has no rows to fit a PCA on. Drop photographs and run `fruits stream --once` first."
        )
    parts: list[tuple[int, list[str]]] = [(0, []) for _ in range(min(parallelism, len(files)))]
    for size, key in sorted(files, reverse=True):
        lightest = min(range(len(parts)), key=lambda i: parts[i][0])
        parts[lightest] = (parts[lightest][0] + size, [*parts[lightest][1], key])
    return Snapshot(
        storage,
        features.version(),
        features.metadata().configuration["fruits.model_id"],
        tuple(tuple(keys) for _, keys in parts),
        _superseded(features),
    )


def vectors(batch: pa.RecordBatch) -> NDArray[np.float32]:
    """The features of a batch as one (m, d) array, without a copy where there was no filter.

    Raises
    ------
    DataError
        Where their lengths differ.
    """
    lists = batch.column("features")
    flat = lists.flatten().to_numpy()
    lengths = np.diff(lists.offsets.to_numpy())
    if lengths.min() != lengths.max():
        odd = int(np.argmax(lengths != lengths[0]))
        raise DataError(
            f"features of {batch.column('key')[odd]} have {lengths[odd]} numbers, those before it {lengths[0]}: "
            "the table mixes models. Set storage.prefix to a fresh one."
        )
    return flat.reshape(len(lists), -1)


def _files(features: "DeltaTable") -> list[tuple[int, str]]:
    """Sizes in bytes and keys in the bucket of a table's data files."""
    actions = pa.table(features.get_add_actions())
    # Paths in the log are relative to the table, and percent-encoded; file_uris gives them whole and plain, in the same order.
    keys = [uri.split("/", 3)[3] for uri in features.file_uris()]
    return list(zip(actions["size_bytes"].to_pylist(), keys, strict=True))


def _superseded(features: "DeltaTable") -> frozenset[Version]:
    with duckdb.connect() as connection:
        connection.register("features", features.to_pyarrow_dataset())
        return frozenset(connection.execute(_SUPERSEDED).fetchall())
