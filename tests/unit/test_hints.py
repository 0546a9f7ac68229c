"""How many components are enough, by rules of thumb, held to the tables that their authors print."""

import numpy as np
import pytest

from batch.hints import broken_stick, components_for


@pytest.mark.parametrize(("share", "k"), [(0.5, 1), (0.51, 2), (0.8, 2), (0.9, 3), (1.0, 3)])
def test_the_fewest_components_that_explain_a_share(share: float, k: int) -> None:
    assert components_for(np.array([0.5, 0.3, 0.2]), share) == k


def test_rounding_of_ratios_takes_no_component_more() -> None:
    assert components_for(np.full(5, 0.2), 0.8) == 4
    assert components_for(np.full(10, 0.1), 1.0) == 10


def test_pieces_of_a_broken_stick() -> None:
    # Of four pieces the longest is 25/48 of the stick on average, then 13/48, 7/48 and 3/48.
    pieces = np.array([25, 13, 7, 3]) / 48
    for k in range(1, 4):
        scree = pieces.copy()
        scree[:k] += 0.01 / k
        scree[k:] -= 0.01 / (4 - k)
        assert broken_stick(scree, n=100) == k
    assert broken_stick(np.full(4, 0.25), n=100) == 0
    assert broken_stick(np.array([0.7, 0.01, 0.2, 0.09]), n=100) == 1


def test_of_few_rows_as_many_pieces_as_they_span() -> None:
    # Three rows span two components: the pieces are 3/4 and 1/4.
    assert broken_stick(np.array([0.76, 0.24, 0, 0]), n=3) == 1
    assert broken_stick(np.array([0.74, 0.26, 0, 0]), n=3) == 0
    assert broken_stick(np.array([1.0, 0, 0]), n=2) == 0
