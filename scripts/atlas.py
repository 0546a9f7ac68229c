"""Photographs as one Parquet file that `embedding-atlas` opens, pictures and all."""

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scripts.overview import Overview
from scripts.sample import Sample

_ROWS = 1024
# As Hugging Face's datasets have images, which is what the program knows.
_PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write(place: Path, told: Overview, sample: Sample, pictures: Iterable[bytes | None]) -> None:
    """Write the sample's columns, pca_version, the first two components as x and y, and what pictures there are."""
    flat = np.zeros(len(sample), np.float32)
    axes = {"x": sample.vectors[:, 0], "y": sample.vectors[:, 1] if sample.vectors.shape[1] > 1 else flat}
    rows = sample.rows.append_column("pca_version", pa.array([told.pca_version] * len(sample), pa.int64()))
    for name, axis in axes.items():
        rows = rows.append_column(name, pa.array(axis.copy()))
    schema = rows.schema.append(pa.field("image", _PICTURE))
    coming = itertools.chain(pictures, itertools.repeat(None))
    with pq.ParquetWriter(place, schema, compression="zstd") as writer:
        for batch in rows.combine_chunks().to_batches(_ROWS):
            images = [data and {"bytes": data, "path": None} for data in itertools.islice(coming, len(batch))]
            writer.write_batch(batch.append_column("image", pa.array(images, _PICTURE)))
