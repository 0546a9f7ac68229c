"""Principal component analysis from mergeable statistics: no row is read twice, and none needs to be at hand."""

from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from batch.hints import components_for
from batch.statistics import Rows, Statistics
from conf.errors import DataError, SettingsError, TooFewRowsError

# An eigenvalue below d epsilons of the largest counts as 0, as in numpy.linalg.matrix_rank; where d is small, below 64:
# ten thousand merges were seen to leave 7 at d = 3.
_LEAST_RANK_EPSILONS = 64
# Entries this close count as equal when the sign is settled, so that rounding cannot choose between mirror images.
_TIE = 1e-6
# An axis keeps the sign of the one before that it is nearest to, if that is nearer than 60 degrees.
_SAME_AXIS_COSINE = 0.5


class PCA:
    """Principal components of feature vectors, fitted on their `Statistics`.

    Parameters
    ----------
    k : int, optional
        Number of components. Where given, it decides.
    variance : float, optional, default 0.95
        Without k: keep the fewest components that explain this share of the variance, in (0, 1].
    standardize : bool, default False
        Divide each feature by its standard deviation first, so that all count the same: a PCA of the correlations.
    whiten : bool, default False
        Divide each component of what `transform` gives by its standard deviation: all vary by 1.

    Attributes
    ----------
    k_ : int
        Number of components kept.
    components_ : ndarray of shape (k, d), float64
        Orthonormal rows, by decreasing variance. Signs are those of the axes before, where `fit` was given a model
        before and it has an axis within 60 degrees. Else the entry of largest absolute value is positive, the first one
        of those that tie: scikit-learn's ``svd_flip(u_based_decision=False)``, made stable against rounding.
    mean_ : ndarray of shape (d,), float64
    scale_ : ndarray of shape (d,), float64
        What features are divided by: their standard deviations, or 1 where they are constant or not standardized.
    explained_variance_ : ndarray of shape (k,), float64
        Divided by n - 1; of the standardized features, where they are.
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
    scale_: NDArray[np.float64]
    explained_variance_: NDArray[np.float64]
    explained_variance_ratio_: NDArray[np.float64]
    scree_: NDArray[np.float64]
    noise_variance_: float
    n_samples_: int

    def __init__(
        self, k: int | None = None, variance: float | None = 0.95, standardize: bool = False, whiten: bool = False
    ) -> None:
        self.k = k
        self.variance = variance
        self.standardize = standardize
        self.whiten = whiten

    def fit(self, statistics: Statistics, before: "PCA | None" = None) -> Self:
        """Find the components, in O(d^3) by LAPACK's symmetric eigensolver.

        Parameters
        ----------
        before : PCA, optional
            A model of the same features, whose axes' signs are kept.

        Raises SettingsError where k and variance make no sense, TooFewRowsError where the rows are fewer than two, all
        the same, or span fewer than k dimensions.
        """
        covariance = statistics.covariance
        scale = None
        if self.standardize:
            scale = standard_deviations(covariance.diagonal(), statistics.mean, statistics.n)
            covariance = covariance / scale / scale[:, np.newaxis]
        values, vectors = np.linalg.eigh(covariance)
        return self.fit_spectrum(statistics.n, statistics.mean, values[::-1], vectors[:, ::-1], scale, before)

    def fit_spectrum(
        self,
        n: int,
        mean: NDArray[np.float64],
        values: NDArray[np.float64],
        vectors: NDArray[np.float64],
        scale: NDArray[np.float64] | None = None,
        before: "PCA | None" = None,
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
        scale : ndarray of shape (d,), float64, optional
            What the features had been divided by.
        before : PCA, optional
            As for `fit`.
        """
        asked = self._asked()
        values = values.clip(min=0)  # a covariance has no negative eigenvalue: what is below 0 is rounding
        rank = _rank(values, n)
        if rank == 0:
            raise TooFewRowsError(f"all {n} feature vectors are the same: drop different images before a PCA")
        scree = values / values.sum()
        self.k_ = _choose(asked, scree, rank, n)
        self.n_samples_ = n
        self.mean_ = mean
        self.scale_ = np.ones(len(mean)) if scale is None else scale
        self.components_ = _signed(np.ascontiguousarray(vectors.T[: self.k_]))
        if before is not None:
            self._check_length(before.components_, len(mean))
            self.components_ = _aligned(self.components_, before.components_)
        self.explained_variance_ = values[: self.k_]
        self.explained_variance_ratio_ = scree[: self.k_]
        self.scree_ = scree
        self.__dict__.pop("_projection", None)  # of an earlier fit
        left_out = values[self.k_ : min(n, len(mean))]
        self.noise_variance_ = float(left_out.mean()) if left_out.size else 0.0
        return self

    @property
    def total_variance_(self) -> float:
        """Sum of the variances of all d components, kept or not."""
        return float(self.explained_variance_[0] / self.explained_variance_ratio_[0])

    @property
    def near_degenerate_(self) -> NDArray[np.bool_]:
        """Whether each component's variance and the next one's differ by less than the former's sampling error.

        Such two span a plane that is well determined, but may turn within it from fit to fit. The error is
        ``variance * sqrt(2 / n)``, for independent normal rows: North et al., "Sampling errors in the estimation of
        empirical orthogonal functions", Monthly Weather Review 110 (1982). Shape (k,).
        """
        # The one after the last that is kept counts, too: whether it is kept may change.
        values = np.append(self.scree_, 0.0)[: self.k_ + 1]
        near: NDArray[np.bool_] = values[:-1] - values[1:] < values[:-1] * np.sqrt(2 / self.n_samples_)
        return near

    def transform(self, rows: Rows) -> NDArray[np.float32]:
        """Project (m, d) rows, less the mean, on the components: (m, k). DataError where their length is not d."""
        self._check_length(rows, len(self.mean_))
        # Centred in float64, because a large mean would eat float32's digits; multiplied in float32, twice as fast.
        centred = np.empty(rows.shape, dtype=np.float32)
        np.subtract(rows, self.mean_, out=centred, casting="same_kind")
        return centred @ self._projection

    def inverse_transform(self, reduced: Rows) -> NDArray[np.float32]:
        """Map (m, k) reduced rows back to (m, d), the nearest that k components come. DataError on another length."""
        self._check_length(reduced, self.k_)
        return (reduced * self._spread @ self.components_ * self.scale_ + self.mean_).astype(np.float32)

    def reconstruction_error(self, statistics: Statistics) -> float:
        """Mean squared distance of rows from what `inverse_transform` makes of their `transform`, over any rows.

        From their statistics alone, in O(k d^2): no row is needed. DataError where their length is not d.

        Of the rows that it was fitted on, without `standardize`, it is the variance left out, times (n - 1) / n.
        """
        self._check_length(statistics.mean[np.newaxis], len(self.mean_))
        if not statistics.n:
            return 0.0
        offset = (statistics.mean - self.mean_) / self.scale_
        moments = statistics.scatter / self.scale_ / self.scale_[:, np.newaxis] / statistics.n
        moments += np.outer(offset, offset)
        # The diagonal of (I - P) moments (I - P), where P = components^T components projects.
        across = self.components_ @ moments
        within = (across @ self.components_.T) @ self.components_
        left = moments.diagonal() + ((within - 2 * across) * self.components_).sum(axis=0)
        return float(left.clip(min=0) @ self.scale_**2)

    @cached_property
    def _projection(self) -> NDArray[np.float32]:
        return np.ascontiguousarray((self.components_ / self.scale_ / self._spread[:, np.newaxis]).T, dtype=np.float32)

    @property
    def _spread(self) -> NDArray[np.float64]:
        return np.sqrt(self.explained_variance_) if self.whiten else np.ones(self.k_)

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


def standard_deviations(variances: NDArray[np.float64], mean: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """What standardizing divides n rows' features by (d,): 1 where one is constant up to rounding."""
    # What n additions of a constant leave, as in scikit-learn's scalers.
    rounding = (n * np.finfo(np.float64).eps * mean) ** 2
    return np.sqrt(np.where(variances > rounding, variances, 1.0))


def _rank(values: NDArray[np.float64], n: int) -> int:
    tolerance = values.max(initial=0.0) * max(len(values), _LEAST_RANK_EPSILONS) * np.finfo(np.float64).eps
    return min(int((values > tolerance).sum()), n - 1)


def _choose(asked: int | float, scree: NDArray[np.float64], rank: int, n: int) -> int:
    if isinstance(asked, float):
        return min(components_for(scree, asked), rank)
    if asked > rank:
        raise TooFewRowsError(
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


def _aligned(components: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn each component to the side of the one before that it is nearest to, where one is near."""
    cosines = components @ before.T
    nearest = np.take_along_axis(cosines, np.abs(cosines).argmax(axis=1, keepdims=True), axis=1)
    return np.where(nearest <= -_SAME_AXIS_COSINE, -components, components)
