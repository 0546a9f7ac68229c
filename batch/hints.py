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
