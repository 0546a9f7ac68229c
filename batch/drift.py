"""How far a refit is from the model before it: whether the photographs, or what is seen in them, have changed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batch.pca import PCA
from batch.statistics import Statistics


@dataclass(frozen=True)
class Drift:
    """One refit against the one before, in the units of the one before."""

    mean_shift: float
    """How far the mean has moved, in roots of the total variance."""
    variance_change: float
    """Of the total variance: 0.1 is a tenth more."""
    explained_change: float
    """Share of the variance that the components before explain of today's rows, less their share when fitted. Below 0
    the rows have left the subspace."""
    principal_angles: tuple[float, ...]
    """Between the subspaces, in radians, smallest first; as many as the fewer components of the two."""


def measure(statistics: Statistics, pca: PCA, before: PCA) -> Drift:
    """Compare a model fitted on `statistics` with the one before, of the same features and as standardized.

    DataError where these have another length.
    """
    total = before.total_variance_
    shift = (statistics.mean - before.mean_) / before.scale_
    covariance = statistics.covariance / before.scale_ / before.scale_[:, np.newaxis]
    axes = before.components_
    variance = float(np.trace(covariance))
    explained = float(((axes @ covariance) * axes).sum()) / variance
    return Drift(
        float(np.linalg.norm(shift)) / total**0.5,
        variance / total - 1,
        explained - float(before.explained_variance_ratio_.sum()),
        tuple(principal_angles(pca.components_, axes).tolist()),
    )


def principal_angles(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles between the spans of orthonormal rows, (k, d) and (l, d), in radians, smallest first: (min(k, l),).

    By their cosines, so to about 1e-8: Björck & Golub, "Numerical methods for computing angles between linear
    subspaces", Mathematics of Computation 27 (1973).
    """
    cosines = np.linalg.svd(a @ b.T, compute_uv=False)
    angles: NDArray[np.float64] = np.arccos(cosines.clip(max=1)).astype(np.float64, copy=False)
    return angles
