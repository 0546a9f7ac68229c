"""Which photographs are nearest to a vector: exactly, in one pass that holds a batch and the nearest so far."""

import heapq
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batch.spaces import TOLD, Space
from conf.errors import DataError


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
        told = batch.select(TOLD).take(pa.array(nearest)).to_pylist()
        new = [Neighbour(float(np.sqrt(squares[at])), **one) for at, one in zip(nearest, told, strict=True)]
        self.found = heapq.nsmallest(self._n, [*self.found, *new])


def nearest(space: Space, vector: NDArray[np.float32], n: int, leave_out: str | None = None) -> list[Neighbour]:
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
