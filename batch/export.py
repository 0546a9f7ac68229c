"""Vectors for other programs, as one file that says of which model and versions they are.

Rows are written as they are read: memory does not grow with them, but for the names of an npz.
"""

import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch.arrow import lists_of
from batch.snapshot import Batch
from batch.spaces import TOLD, Space
from conf.spreadsheets import FORMULA, HARMLESS

Form = Literal["parquet", "csv", "npz", "tfrecord"]


def write(space: Space, path: Path, form: Form, on_rows: Callable[[int], None] = lambda rows: None) -> int:
    """Write all photographs of a space and their vectors; how many. `on_rows` hears how many more are read.

    - parquet: columns key, etag, label, sha256, model_id, pca_version, features_version and, as the space is called,
      a list of float32
    - csv: the same, the vector as columns reduced_0, reduced_1, ...
    - npz: arrays of the same names, the vectors (n, d), and what is one for all as numbers and words of shape ()
    - tfrecord: a tf.train.Example a row, the same names

    Vectors of features have no pca_version.

    Raises
    ------
    DataError, StorageError
        As the space's `scan`.
    """
    return _WRITERS[form](space, path, _read(space, on_rows))


def _read(space: Space, on_rows: Callable[[int], None]) -> Iterator[Batch]:
    for batch, rows in space.scan():
        yield batch, rows
        on_rows(len(rows))


def _parquet(space: Space, path: Path, batches: Iterator[Batch]) -> int:
    import pyarrow.parquet as pq

    kinds = [(name, pa.string()) for name in TOLD]
    kinds += [(name, pa.string() if isinstance(value, str) else pa.int64()) for name, value in space.versions.items()]
    schema = pa.schema([*kinds, (space.name, pa.list_(pa.float32()))])
    written = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch, rows in batches:
            writer.write_batch(_table(space, batch, [lists_of(rows)], schema.names).cast(schema))
            written += len(rows)
    return written


def _csv(space: Space, path: Path, batches: Iterator[Batch]) -> int:
    from pyarrow.csv import CSVWriter

    written, writer = 0, None
    try:
        for batch, rows in batches:
            names = [*TOLD, *space.versions, *(f"{space.name}_{number}" for number in range(rows.shape[1]))]
            told = [pc.replace_substring_regex(column, FORMULA, HARMLESS) for column in batch.select(TOLD).columns]
            plain = pa.RecordBatch.from_arrays(told, list(TOLD))
            made = _table(space, plain, [pa.array(column) for column in rows.T.copy()], names)
            writer = writer or CSVWriter(path, made.schema)
            writer.write_batch(made)
            written += len(rows)
    finally:
        if writer:
            writer.close()
    if not written:
        path.write_text(",".join(f'"{name}"' for name in (*TOLD, *space.versions)) + "\n")
    return written


def _npz(space: Space, path: Path, batches: Iterator[Batch]) -> int:
    """An npz names its shape first, which is known last: the vectors go through a file of their own."""
    told: dict[str, list[str]] = {name: [] for name in TOLD}
    raw, d = path.with_name(f"{path.name}.raw"), 0
    try:
        with raw.open("wb") as file:
            for batch, rows in batches:
                file.write(np.ascontiguousarray(rows, dtype="<f4").data)
                d = rows.shape[1]
                for name, values in told.items():
                    values += batch.column(name).to_pylist()
        n = len(told["key"])
        with zipfile.ZipFile(path, "w") as archive:
            arrays = {name: np.array(values, np.str_) for name, values in told.items()}
            arrays |= {name: np.array(value) for name, value in space.versions.items()}
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
            with archive.open(f"{space.name}.npy", "w", force_zip64=True) as member, raw.open("rb") as file:
                header = {"descr": "<f4", "fortran_order": False, "shape": (n, d)}
                np.lib.format.write_array_header_2_0(member, header)
                shutil.copyfileobj(file, member, 2**24)
    finally:
        raw.unlink(missing_ok=True)
    return n


def _tfrecord(space: Space, path: Path, batches: Iterator[Batch]) -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    def feature(value: Any) -> Any:
        if isinstance(value, str):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[] if value is None else [value]))

    alike = {name: feature(value) for name, value in space.versions.items()}
    written = 0
    with tf.io.TFRecordWriter(str(path)) as writer:
        for batch, rows in batches:
            for told, row in zip(batch.select(TOLD).to_pylist(), rows, strict=True):
                vector = {space.name: tf.train.Feature(float_list=tf.train.FloatList(value=row))}
                features = alike | {name: feature(value) for name, value in told.items()} | vector
                writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
            written += len(rows)
    return written


_WRITERS: dict[Form, Callable[[Space, Path, Iterator[Batch]], int]] = {
    "parquet": _parquet,
    "csv": _csv,
    "npz": _npz,
    "tfrecord": _tfrecord,
}


def _table(space: Space, batch: pa.RecordBatch, vector: list[pa.Array], names: list[str]) -> pa.RecordBatch:
    alike = [pa.repeat(pa.scalar(value), batch.num_rows) for value in space.versions.values()]
    return pa.RecordBatch.from_arrays([*batch.select(TOLD).columns, *alike, *vector], names)
