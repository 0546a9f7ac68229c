"""How many components are enough, by rules of thumb, held to the tables that their authors print."""

import numpy as np
import pytest

from batch.hints import _random_variances, broken_stick, components_for, parallel_analysis
from batch.statistics import Statistics


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


def planted(n: int, noise: np.ndarray, strong: int, seed: int = 0) -> Statistics:
    """Rows of independent features, and of some directions in which many vary together."""
    rng = np.random.default_rng(seed)
    axes = rng.standard_normal((strong, len(noise))) / 2
    rows = rng.standard_normal((n, len(noise))) * noise + rng.standard_normal((n, strong)) @ axes
    return Statistics.of(rows)


@pytest.mark.parametrize("strong", [0, 1, 4])
@pytest.mark.parametrize("n", [30, 2000])
def test_parallel_analysis_finds_what_was_planted(n: int, strong: int) -> None:
    statistics = planted(n, np.geomspace(1, 0.2, 40), strong)
    values = np.linalg.eigvalsh(statistics.covariance)[::-1]
    found = parallel_analysis(values, statistics.covariance.diagonal(), n)
    # Of thirty rows, the weakest directions are lost in the noise.
    assert found == strong if n == 2000 else min(strong, 1) <= found <= strong


@pytest.mark.parametrize("n", [5, 12, 13, 14, 60])
def test_the_scatter_of_random_rows_is_drawn_as_if_they_had_been(n: int) -> None:
    spread = np.geomspace(2, 0.5, 12)
    rng = np.random.default_rng(1)
    found = np.array([_random_variances(rng, spread, n - 1) for _ in range(3000)])
    drawn = rng.standard_normal((3000, n, 12)) * spread
    expected = np.linalg.eigvalsh(np.array([np.cov(rows, rowvar=False) for rows in drawn]))[:, ::-1]
    expected = expected[:, : found.shape[1]]
    np.testing.assert_allclose(found.mean(axis=0), expected.mean(axis=0), rtol=0.06, atol=1e-9)
    for share in (0.5, 0.95):
        np.testing.assert_allclose(
            np.quantile(found, share, axis=0), np.quantile(expected, share, axis=0), rtol=0.12, atol=1e-6
        )
