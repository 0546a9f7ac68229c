"""How far rows have moved from a model: whether the photographs, or what is seen in them, have changed."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from batch.pca import PCA
from batch.statistics import Statistics
from conf.errors import DataError


@dataclass(frozen=True)
class Drift:
    """Rows, and a refit on them if there was one, against a model that was there before, in its units."""

    mean_shift: float
    """How far the mean has moved, in roots of the total variance."""
    variance_change: float
    """Of the total variance: 0.1 is a tenth more."""
    explained_change: float
    """Share of the variance that the components before explain of today's rows, less their share when fitted. Below 0
    the rows have left the subspace."""
    principal_angles: tuple[float, ...] = ()
    """Between its subspace and that of the refit, in radians, smallest first; as many as the fewer components of the
    two, and none where nothing was refitted."""

    @property
    def size(self) -> float:
        """How wrong the model before has become: the largest of the three figures, where they tell against it."""
        return max(self.mean_shift, abs(self.variance_change), -self.explained_change)


def measure(statistics: Statistics, pca: PCA, before: PCA) -> Drift:
    """Compare a model fitted on `statistics` with the one before, of the same features and as standardized."""
    angles = principal_angles(pca.components_, before.components_)
    return replace(moved(statistics, before), principal_angles=tuple(angles.tolist()))


def moved(statistics: Statistics, before: PCA) -> Drift:
    """Compare rows, by their statistics, with a model that was fitted on others of the same features, in O(k d^2).

    DataError where these have another length.
    """
    d = len(before.mean_)
    if statistics.d != d:
        raise DataError(f"rows of {statistics.d} features, and a model of {d}: use the PCA of their own model")
    total = before.total_variance_
    shift = (statistics.mean - before.mean_) / before.scale_
    covariance = statistics.covariance / before.scale_ / before.scale_[:, np.newaxis]
    axes = before.components_
    variance = float(np.trace(covariance))
    # Rows that are all the same have nothing to explain.
    explained = float(((axes @ covariance) * axes).sum()) / variance if variance else 1.0
    return Drift(
        float(np.linalg.norm(shift)) / total**0.5,
        variance / total - 1,
        explained - float(before.explained_variance_ratio_.sum()),
    )


def principal_angles(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles between the spans of orthonormal rows, (k, d) and (l, d), in radians, smallest first: (min(k, l),).

    Large ones by cosines, small ones by sines, each where it is exact: Björck & Golub, "Numerical methods for
    computing angles between linear subspaces", Mathematics of Computation 27 (1973).
    """
    more, fewer = (a, b) if len(a) >= len(b) else (b, a)
    within = fewer @ more.T
    # Singular values fall, so the largest cosine comes first, and the sine of the same angle last.
    cosines = np.linalg.svd(within, compute_uv=False).clip(max=1)
    sines = np.linalg.svd(fewer - within @ more, compute_uv=False)[: len(fewer)][::-1].clip(max=1)
    angles: NDArray[np.float64] = np.where(cosines**2 < 0.5, np.arccos(cosines), np.arcsin(sines))
    return angles
