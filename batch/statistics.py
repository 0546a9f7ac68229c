"""What a PCA needs to know of a set of feature vectors: how many, their mean and their scatter. It merges.

Workers gather the statistics of their share of the rows, ship them as bytes, and the driver adds them up.
"""

import math
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from batch.packing import pack, unpack
from conf.errors import DataError, TooFewRowsError

Rows: TypeAlias = NDArray[np.floating[Any]]

# One block in float64 is 21 MB at 1,280 features. Half of it costs 6% more time, twice of it saves 2%.
_BLOCK_ROWS = 2048
# What a thousand additions and subtractions leave of a sum that should be 0, by the sum.
_ROUNDING = 1000 * np.finfo(np.float64).eps


@dataclass(frozen=True, eq=False)
class Statistics:
    """Sufficient statistics of n rows of d features. A value: its arrays are made read-only.

    Parameters
    ----------
    n : int
        Number of rows; 0 is the neutral element of `merge`.
    mean : ndarray of shape (d,), float64
    scatter : ndarray of shape (d, d), float64
        Sum over the rows of (x - mean)(x - mean)^T, symmetric.
    """

    n: int
    mean: NDArray[np.float64]
    scatter: NDArray[np.float64]

    def __post_init__(self) -> None:
        self.mean.setflags(write=False)
        self.scatter.setflags(write=False)

    @classmethod
    def empty(cls, d: int) -> Self:
        """Make the statistics of no rows of d features."""
        return cls(0, np.zeros(d), np.zeros((d, d)))

    @staticmethod
    def of(rows: Rows) -> "Statistics":
        """Compute the statistics of an (m, d) array; for rows that come in batches see `Accumulator`.

        Raises DataError as `Accumulator.add` does. Cost: O(m d^2) time, 2 d^2 + 2048 d float64 of memory.
        """
        accumulator = Accumulator(rows.shape[-1] if rows.ndim else 0)
        accumulator.add(rows)
        return accumulator.statistics()

    @property
    def d(self) -> int:
        """Number of features of a row."""
        return len(self.mean)

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Unbiased covariance (d, d), divided by n - 1 as in scikit-learn. DataError below two rows."""
        return self.scatter / degrees_of_freedom(self.n)

    @property
    def total_variance(self) -> float:
        """Sum of the variances of all features, the trace of the covariance. DataError below two rows."""
        return float(np.trace(self.scatter)) / degrees_of_freedom(self.n)

    def merge(self, other: "Statistics") -> "Statistics":
        """Compute the statistics of both sets of rows together, in O(d^2).

        The pairwise update of Chan, Golub & LeVeque, "Algorithms for computing the sample variance", The American
        Statistician 37 (1983). Associative and commutative within rounding. Raises DataError on different d.
        """
        if self.d != other.d:
            raise DataError(
                f"statistics of {self.d} and of {other.d} features do not merge: use vectors of one model only"
            )
        if not (self.n and other.n):
            return self if self.n else other
        n = self.n + other.n
        delta = other.mean - self.mean
        # The root on both sides of the outer product keeps it symmetric to the last bit.
        shift = delta * math.sqrt(self.n / n * other.n)
        scatter = np.outer(shift, shift)
        scatter += self.scatter
        scatter += other.scatter
        return Statistics(n, self.mean + delta * (other.n / n), scatter)

    __add__ = merge

    def remove(self, other: "Statistics") -> "Statistics":
        """Compute the statistics of these rows without others that are among them, in O(d^2): `merge` undone.

        What it leaves is exact up to the rounding of the whole, not of the rest: digits are lost where little remains
        of much, and a feature of which nothing but rounding remains is constant. Raises DataError where the others
        cannot be among these.
        """
        if self.d != other.d or other.n > self.n:
            raise DataError(
                f"statistics of {other.n} rows of {other.d} features are not among those of {self.n} of {self.d}"
            )
        n = self.n - other.n
        if not n:
            return Statistics.empty(self.d)
        mean = self.mean + (self.mean - other.mean) * (other.n / n)
        shift = (other.mean - mean) * math.sqrt(n / self.n * other.n)
        scatter = self.scatter - np.outer(shift, shift)
        scatter -= other.scatter
        # Of a feature that varied in the rows removed alone, what is left is rounding: it is constant now.
        constant = scatter.diagonal() <= _ROUNDING * self.scatter.diagonal()
        scatter[constant] = 0
        scatter[:, constant] = 0
        return Statistics(n, mean, scatter)

    __sub__ = remove

    def to_bytes(self) -> bytes:
        """Serialize, in 8 d + 4 d (d + 1) + 24 bytes."""
        return pack(self.n, self.mean, self.scatter)

    @classmethod
    def from_bytes(cls, data: bytes | memoryview) -> Self:
        """Restore what `to_bytes` wrote.

        Raises DataError where the bytes are damaged or no statistics, ContractError where another layout wrote them.
        """
        return cls(*unpack(data))


class Accumulator:
    """Statistics in the making: takes rows in batches of any size and holds one block of them in float64.

    Small batches are packed into blocks, because the products of (d, d) are fast only over many rows at once.
    """

    def __init__(self, d: int) -> None:
        self._n = 0
        self._origin = np.zeros(d)
        self._mean = np.zeros(d)
        self._scatter = np.zeros((d, d))
        self._gram = np.empty((d, d))
        self._block = np.empty((_BLOCK_ROWS + 1, d))
        self._filled = 0

    def add(self, rows: Rows) -> None:
        """Add an (m, d) array of float32 or float64.

        Raises DataError where rows have another length than d, or hold NaN or infinity: `not_finite` tells which.
        The accumulator is of no use after that.
        """
        d = len(self._mean)
        if rows.ndim != 2 or rows.shape[1] != d:
            raise DataError(
                f"feature vectors of shape {rows.shape}, expected (rows, {d}): use vectors of one model only"
            )
        if not (self._n or self._filled) and len(rows):
            # Distances from one of the rows keep the digits that a large common offset would eat, and give a
            # constant feature a scatter of exactly 0.
            self._origin = rows[0].astype(np.float64)
        rest = rows
        while len(rest):
            room = _BLOCK_ROWS - self._filled
            if not self._take(rest[:room]):
                raise _unusable(rows)
            rest = rest[room:]

    def statistics(self) -> Statistics:
        """Return the statistics of all rows added so far."""
        self._fold()
        return Statistics(self._n, self._mean + self._origin, self._scatter.copy())

    def _take(self, rows: Rows) -> bool:
        """Convert rows into the block; False where one of them is not finite."""
        slot = self._block[self._filled : self._filled + len(rows)]
        flat = slot.reshape(-1)
        with np.errstate(invalid="ignore", over="ignore"):
            np.subtract(rows, self._origin, out=slot)
            # One BLAS call that any NaN, infinity or overflowing square in the rows leaves its mark on.
            squares = np.dot(flat, flat)
        if not np.isfinite(squares):
            return False
        self._filled += len(rows)
        if self._filled == _BLOCK_ROWS:
            self._fold()
        return True

    def _fold(self) -> None:
        """Merge the block into the sums."""
        m, n = self._filled, self._n + self._filled
        if not m:
            return
        rows = self._block[: m + 1]
        mean = rows[:m].mean(axis=0)
        rows[:m] -= mean
        delta = mean - self._mean
        # The pairwise update of `Statistics.merge`, its rank-one term carried by one row more of the product.
        rows[m] = delta * math.sqrt(self._n / n * m)
        np.matmul(rows.T, rows, out=self._gram)  # numpy sees the transpose and calls dsyrk: half the work of dgemm
        self._scatter += self._gram
        self._mean += delta * (m / n)
        self._n, self._filled = n, 0


def degrees_of_freedom(n: int) -> int:
    """Tell what an unbiased variance of n rows is divided by, n - 1. TooFewRowsError below two rows."""
    if n < 2:
        raise TooFewRowsError(f"variance needs at least 2 feature vectors, found {n}: drop more images first")
    return n - 1


def not_finite(rows: Rows) -> NDArray[np.intp]:
    """Find the indices of the rows of an (m, d) array that hold NaN or infinity."""
    return np.flatnonzero(~np.isfinite(rows).all(axis=1))


def _unusable(rows: Rows) -> DataError:
    bad = not_finite(rows)
    if not len(bad):
        return DataError(f"feature vectors reach {np.abs(rows).max():.3g}: squares overflow float64, scale them down")
    return DataError(
        f"{len(bad)} of {len(rows)} feature vectors hold NaN or infinity, the first at row {bad[0]}: "
        "featurize those images again or erase them"
    )
