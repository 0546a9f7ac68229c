"""Which photographs are nearest to a vector: exactly, in one pass that holds a batch and the nearest so far."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from numpy.typing import NDArray

from batch.currency import COLUMNS, counting
from batch.models import Model, ModelTables
from batch.pinning import pin, whole
from batch.snapshot import Batch, ids, vectors
from conf.delta import dataset, reading
from conf.errors import DataError
from conf.settings import Storage

Space = Literal["reduced", "features"]
_TOLD = ("key", "etag", "label", "sha256")


@dataclass(frozen=True, order=True)
class Neighbour:
    """A photograph, and how far it is."""

    distance: float
    """Euclidean, in the space that was asked."""
    key: str
    etag: str
    label: str
    sha256: str


class Nearest:
    """The n rows nearest to a vector (d,), of all that were added. Cost: O(m d) a batch, and no row is kept."""

    def __init__(self, vector: NDArray[np.float32], n: int) -> None:
        self._vector = vector
        self._n = n
        self.found: list[Neighbour] = []
        """Nearest first."""

    def add(self, batch: pa.RecordBatch, rows: NDArray[np.float32]) -> None:
        """Add rows (m, d), and the batch that says of what they are. DataError where their length is not d."""
        if rows.shape[1:] != self._vector.shape:
            raise DataError(f"rows of shape {rows.shape} and a vector of {len(self._vector)}: they are of two models")
        # By the differences: of the usual expansion to products, little is right where two are nearly the same.
        away = rows - self._vector
        squares = np.einsum("ij,ij->i", away, away, dtype=np.float64)
        nearest = np.argsort(squares, kind="stable")[: self._n]
        told = batch.select(_TOLD).take(pa.array(nearest)).to_pylist()
        new = [Neighbour(float(np.sqrt(squares[at])), **one) for at, one in zip(nearest, told, strict=True)]
        self.found = heapq.nsmallest(self._n, [*self.found, *new])


class Reduced:
    """Vectors of the newest refresh, as projected by the model that stands.

    Raises
    ------
    DataError
        Where there has been no refresh.
    """

    def __init__(self, storage: Storage) -> None:
        tables = ModelTables.open(storage)
        version = tables.published
        if version is None or tables.reduced is None:
            raise DataError(f"{storage.table_uri('reduced')} has no vectors yet. Run `fruits refresh` first.")
        self._storage = storage
        self._rows = dataset(tables.reduced, storage)
        self.model: Model = tables.load(version)
        self.model_id = self.model.model_id
        self.says = f"{self.model.pca.k_} components of PCA version {version}"

    def project(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Where features (d,) of the same network lie in this space."""
        projected: NDArray[np.float32] = self.model.pca.transform(features[np.newaxis])[0]
        return projected

    def find(self, key: str) -> NDArray[np.float32] | None:
        """The vector of a photograph; None where it is not there."""
        return next((rows[0] for _, rows in self._scan(ds.field("key") == key)), None)

    def scan(self) -> Iterator[Batch]:
        """All photographs, and their vectors (m, k). StorageError where the store fails."""
        return self._scan(None)

    def _scan(self, chosen: "ds.Expression | None") -> Iterator[Batch]:
        with reading(self._storage):
            for batch in self._rows.to_batches(columns=[*_TOLD, "reduced"], filter=chosen):
                if batch.num_rows:
                    numbers: NDArray[Any] = np.from_dlpack(batch.column("reduced").flatten())
                    yield batch, numbers.reshape(batch.num_rows, -1)


class Features:
    """What the network says of each current photograph, those that came since the newest refresh included."""

    def __init__(self, storage: Storage) -> None:
        self._pinned = pin(storage)
        self._snapshot = whole(self._pinned, 1)
        self.model_id = self._pinned.model_id
        self.says = f"the features of {self.model_id}"

    def project(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """They are in it."""
        return features

    def find(self, key: str) -> NDArray[np.float32] | None:
        """The vector of a photograph; None where it is not there, or its newest version is of another network."""
        found = pa.Table.from_batches([*self._pinned.scan((*COLUMNS, "features"), ds.field("key") == key)])
        counts = counting(found.select(COLUMNS), self.model_id)
        chosen = (
            batch
            for at, row in enumerate(ids(found.to_batches()))
            if row in counts
            for batch in found[at : at + 1].to_batches()
        )
        return next((vectors(batch)[0] for batch in chosen), None)

    def scan(self) -> Iterator[Batch]:
        """All photographs, and their vectors (m, d). StorageError where the store fails."""
        for part in range(len(self._snapshot.parts)):
            yield from self._snapshot.read(part, _TOLD)


def space_of(storage: Storage, space: Space) -> Reduced | Features:
    """Open one. Errors are those of the two."""
    return Reduced(storage) if space == "reduced" else Features(storage)


def nearest(
    space: Reduced | Features, vector: NDArray[np.float32], n: int, leave_out: str | None = None
) -> list[Neighbour]:
    """The photographs nearest to a vector of the space, nearest first.

    Parameters
    ----------
    leave_out
        Key of one that is not to be among them: that whose vector it is.
    """
    nearest = Nearest(vector, n + (leave_out is not None))
    for batch, rows in space.scan():
        nearest.add(batch, rows)
    return [neighbour for neighbour in nearest.found if neighbour.key != leave_out][:n]
