"""Rows of `reduced`: what a worker makes of its part once there is a model."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from batch.arrow import array_of, lists_of
from batch.pca import PCA
from batch.snapshot import Snapshot

_KEPT = ("key", "etag", "label", "sha256")


@dataclass(frozen=True)
class Projection:
    """A function for `Snapshot.over_parts`: the current rows of a part, projected on the components of one refit."""

    pca: PCA
    pca_version: int

    def __call__(self, snapshot: Snapshot, part: int) -> Iterator[pa.RecordBatch]:
        for batch, rows in snapshot.read(part, _KEPT):
            pca_versions, versions = (np.full(len(rows), of) for of in (self.pca_version, snapshot.version))
            yield (
                batch.select(_KEPT)
                .append_column("pca_version", array_of(pca_versions))
                .append_column("features_version", array_of(versions))
                .append_column("reduced", lists_of(self.pca.transform(rows)))
            )
