"""How many components are enough, as told by their variances alone. Hints: what they are used for decides."""

import numpy as np
from numpy.typing import NDArray

_RATIO_TOLERANCE = 1e-12


def components_for(scree: NDArray[np.float64], share: float) -> int:
    """The fewest components that explain a share, in (0, 1], of the variance.

    Cumulative ratios carry rounding: 0.8 asked of five equal components means four of them, not five.
    """
    return int((np.cumsum(scree[:-1]) < share - _RATIO_TOLERANCE).sum()) + 1


def broken_stick(scree: NDArray[np.float64], n: int) -> int:
    """How many leading components explain more than chance would give them; 0 where none does.

    Chance breaks a stick at random into as many pieces as there are components, min(n - 1, d): Jackson, "Stopping rules
    in principal components analysis", Ecology 74 (1993). It asks for few.
    """
    p = min(n - 1, len(scree))
    pieces = np.cumsum(1 / np.arange(p, 0, -1))[::-1] / p
    above = scree[:p] > pieces
    return p if above.all() else int(above.argmin())


def parallel_analysis(
    variances: NDArray[np.float64], features: NDArray[np.float64], n: int, draws: int = 20, seed: int = 0
) -> int:
    """How many leading components vary more than those of as many rows of features that have nothing in common.

    Each is held to what its like had in random rows, normal and with the same variances: Horn, "A rationale and test
    for the number of factors in factor analysis", Psychometrika 30 (1965); and not to the mean of that, but to the 95th
    percentile, of 20 draws nearly the largest: Glorfeld, "An improvement on Horn's parallel analysis methodology",
    Educational and Psychological Measurement 55 (1995). Of such rows only the
    scatter is drawn, by Bartlett's decomposition (Bartlett, Proc. Royal Society of Edinburgh 53, 1933), so that the
    cost does not grow with n: O(draws d^3), 5 s at d = 1,280.

    Parameters
    ----------
    variances
        Of the components, largest first.
    features
        Variances of the features (d,).
    n
        Rows they are of, at least 2.
    """
    rng = np.random.default_rng(seed)
    spread = np.sqrt(features)
    found = np.array([_random_variances(rng, spread, n - 1) for _ in range(draws)])
    chance = np.quantile(found, 0.95, axis=0)
    above = variances[: len(chance)] > chance
    return len(above) if above.all() else int(above.argmin())


def _random_variances(rng: np.random.Generator, spread: NDArray[np.float64], freedom: int) -> NDArray[np.float64]:
    """Of the principal components of freedom + 1 normal rows with these standard deviations, largest first."""
    d = len(spread)
    if freedom < d:
        rows = rng.standard_normal((freedom, d)) * spread
        scatter = rows @ rows.T
    else:
        root = np.tril(rng.standard_normal((d, d)), -1)
        root[np.diag_indices(d)] = np.sqrt(rng.chisquare(freedom - np.arange(d)))
        root *= spread[:, np.newaxis]
        scatter = root @ root.T
    values: NDArray[np.float64] = np.linalg.eigvalsh(scatter)[::-1] / freedom
    return values
