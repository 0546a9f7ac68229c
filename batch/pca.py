"""Principal component analysis from mergeable statistics: no row is read twice, and none needs to be at hand."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from batch.statistics import Rows, Statistics
from conf.errors import DataError, SettingsError

# An eigenvalue below d epsilons of the largest counts as 0, as in numpy.linalg.matrix_rank; where d is small, below 64:
# ten thousand merges were seen to leave 7 at d = 3.
_LEAST_RANK_EPSILONS = 64
# Cumulative ratios carry rounding: 0.8 asked of five equal components means four of them, not five.
_RATIO_TOLERANCE = 1e-12
# Entries this close count as equal when the sign is settled, so that rounding cannot choose between mirror images.
_TIE = 1e-6


class PCA:
    """Principal components of feature vectors, fitted on their `Statistics`.

    Parameters
    ----------
    k : int, optional
        Number of components. Where given, it decides.
    variance : float, optional, default 0.95
        Without k: keep the fewest components that explain this share of the variance, in (0, 1].

    Attributes
    ----------
    k_ : int
        Number of components kept.
    components_ : ndarray of shape (k, d), float64
        Orthonormal rows, by decreasing variance. The entry of largest absolute value of each is positive, the first
        one of those that tie: scikit-learn's ``svd_flip(u_based_decision=False)``, made stable against rounding.
    mean_ : ndarray of shape (d,), float64
    explained_variance_ : ndarray of shape (k,), float64
        Divided by n - 1.
    explained_variance_ratio_ : ndarray of shape (k,), float64
    scree_ : ndarray of shape (d,), float64
        Explained variance ratio of all components, kept or not; sums to 1.
    noise_variance_ : float
        Mean variance of the components left out, of the min(n, d) there are; 0 where none is left out.
    n_samples_ : int
    """

    k_: int
    components_: NDArray[np.float64]
    mean_: NDArray[np.float64]
    explained_variance_: NDArray[np.float64]
    explained_variance_ratio_: NDArray[np.float64]
    scree_: NDArray[np.float64]
    noise_variance_: float
    n_samples_: int

    def __init__(self, k: int | None = None, variance: float | None = 0.95) -> None:
        self.k = k
        self.variance = variance

    def fit(self, statistics: Statistics) -> Self:
        """Find the components, in O(d^3) by LAPACK's symmetric eigensolver.

        Raises SettingsError where k and variance make no sense, DataError where the rows are fewer than two, all the
        same, or span fewer than k dimensions.
        """
        values, vectors = np.linalg.eigh(statistics.covariance)
        return self.fit_spectrum(statistics.n, statistics.mean, values[::-1], vectors[:, ::-1])

    def fit_spectrum(
        self, n: int, mean: NDArray[np.float64], values: NDArray[np.float64], vectors: NDArray[np.float64]
    ) -> Self:
        """Take the components from a spectrum that any solver found: signs, choice of k and errors are as in `fit`.

        Parameters
        ----------
        n : int
            Number of rows behind it.
        mean : ndarray of shape (d,), float64
            Their mean.
        values : ndarray of shape (d,), float64
            Eigenvalues of their unbiased covariance, largest first.
        vectors : ndarray of shape (d, d), float64
            Its unit eigenvectors as columns, in the same order.
        """
        asked = self._asked()
        values = values.clip(min=0)  # a covariance has no negative eigenvalue: what is below 0 is rounding
        rank = _rank(values, n)
        if rank == 0:
            raise DataError(f"all {n} feature vectors are the same: drop different images before a PCA")
        scree = values / values.sum()
        self.k_ = _choose(asked, scree, rank, n)
        self.n_samples_ = n
        self.mean_ = mean
        self.components_ = _signed(np.ascontiguousarray(vectors.T[: self.k_]))
        self.explained_variance_ = values[: self.k_]
        self.explained_variance_ratio_ = scree[: self.k_]
        self.scree_ = scree
        left_out = values[self.k_ : min(n, len(mean))]
        self.noise_variance_ = float(left_out.mean()) if left_out.size else 0.0
        return self

    def transform(self, rows: Rows) -> NDArray[np.float32]:
        """Project (m, d) rows, less the mean, on the components: (m, k). DataError where their length is not d."""
        self._check_length(rows, len(self.mean_))
        # Centred in float64, because a large mean would eat float32's digits; multiplied in float32, twice as fast.
        centred = np.empty(rows.shape, dtype=np.float32)
        np.subtract(rows, self.mean_, out=centred, casting="same_kind")
        return centred @ self.components_.T.astype(np.float32)

    def inverse_transform(self, reduced: Rows) -> NDArray[np.float32]:
        """Map (m, k) reduced rows back to (m, d), the nearest that k components come. DataError on another length."""
        self._check_length(reduced, self.k_)
        return (reduced @ self.components_ + self.mean_).astype(np.float32)

    def _asked(self) -> int | float:
        """Tell what decides: a number of components, as int, or a share of the variance, as float."""
        if self.k is not None:
            if self.k < 1:
                raise SettingsError(f"PCA k is {self.k}: set at least 1 component")
            return int(self.k)
        if self.variance is None:
            raise SettingsError("PCA has neither k, a number of components, nor variance, a share in (0, 1]: set one")
        if not 0 < self.variance <= 1:
            raise SettingsError(f"PCA variance is {self.variance}: set a share above 0 and at most 1, such as 0.95")
        return float(self.variance)

    @staticmethod
    def _check_length(rows: Rows, length: int) -> None:
        if rows.ndim != 2 or rows.shape[1] != length:
            raise DataError(f"rows of shape {rows.shape}, expected (rows, {length}): use the PCA of their own model")


def _rank(values: NDArray[np.float64], n: int) -> int:
    tolerance = values.max(initial=0.0) * max(len(values), _LEAST_RANK_EPSILONS) * np.finfo(np.float64).eps
    return min(int((values > tolerance).sum()), n - 1)


def _choose(asked: int | float, scree: NDArray[np.float64], rank: int, n: int) -> int:
    if isinstance(asked, float):
        too_few = np.cumsum(scree) < asked - _RATIO_TOLERANCE
        return min(int(too_few.sum()) + 1, rank)
    if asked > rank:
        raise DataError(
            f"{asked} components were asked of {n} feature vectors of length {len(scree)} and rank {rank}: "
            f"ask for at most {rank}, or for a share of the variance"
        )
    return asked


def _signed(components: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn each component so that its largest entry is positive."""
    magnitude = np.abs(components)
    ties = magnitude >= (1 - _TIE) * magnitude.max(axis=1, keepdims=True)
    largest = np.take_along_axis(components, ties.argmax(axis=1, keepdims=True), axis=1)
    return np.copysign(1.0, largest) * components
