"""How far a refit is from the one before, held to scipy and to rows whose change is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from batch.drift import Drift, measure, moved, principal_angles
from batch.pca import PCA
from batch.statistics import Rows, Statistics
from tests.unit.test_pca import planted


def drift(before: Rows, after: Rows, k: int = 4, standardize: bool = False) -> Drift:
    old = PCA(k, standardize=standardize).fit(Statistics.of(before))
    statistics = Statistics.of(after)
    return measure(statistics, PCA(k, standardize=standardize).fit(statistics, old), old)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), d=st.integers(2, 12), data=st.data())
def test_principal_angles_are_those_of_scipy(seed: int, d: int, data: st.DataObject) -> None:
    k, other = data.draw(st.integers(1, d)), data.draw(st.integers(1, d))
    rng = np.random.default_rng(seed)
    a = np.linalg.qr(rng.standard_normal((d, k)))[0]
    tilt = 10.0 ** data.draw(st.integers(-10, 2))
    b = np.linalg.qr(a[:, : min(k, other)] + tilt * rng.standard_normal((d, min(k, other))))[0]
    expected = np.sort(linalg.subspace_angles(a, b))
    np.testing.assert_allclose(principal_angles(a.T, b.T), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("standardize", [False, True])
def test_the_same_rows_have_not_drifted(standardize: bool) -> None:
    rows = planted(500, 8, offset=5.0)
    found = drift(rows, rows[::-1], standardize=standardize)
    assert found.mean_shift == pytest.approx(0, abs=1e-12)
    assert found.variance_change == pytest.approx(0, abs=1e-12)
    assert found.explained_change == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(found.principal_angles, 0, atol=1e-12)


def test_a_mean_that_moves_is_told_in_spreads_of_the_rows() -> None:
    rows = planted(500, 8)
    spread = Statistics.of(rows).total_variance ** 0.5
    found = drift(rows, rows + 2 * spread * np.eye(8)[3])
    assert found.mean_shift == pytest.approx(2)
    assert found.variance_change == pytest.approx(0)


def test_rows_that_are_all_the_same_have_nothing_that_is_not_explained() -> None:
    rows = planted(50, 4)
    drift = moved(Statistics.of(np.tile(rows[:1], (9, 1))), PCA(2).fit(Statistics.of(rows)))
    assert drift.variance_change == -1
    assert drift.explained_change >= 0


def test_rows_that_vary_more_are_told() -> None:
    rows = planted(500, 8)
    found = drift(rows, rows * 2)
    assert found.variance_change == pytest.approx(3)
    assert found.explained_change == pytest.approx(0)


def test_an_axis_that_turns_into_what_was_left_out_is_told_by_its_angle_and_by_what_is_lost() -> None:
    rng = np.random.default_rng(7)
    scores = rng.standard_normal((4000, 3)) * [3.0, 2.0, 1.0]
    flat = scores @ np.eye(3, 5)
    turned = scores @ np.array([[1, 0, 0, 0, 0], [0, np.cos(0.3), 0, np.sin(0.3), 0], [0, 0, 1, 0, 0]])
    found = drift(flat, turned, k=2)
    assert found.principal_angles[0] == pytest.approx(0, abs=0.05)
    assert found.principal_angles[1] == pytest.approx(0.3, abs=0.02)
    variances = scores.var(axis=0)
    lost = variances[1] * np.sin(0.3) ** 2 / variances.sum()
    assert found.explained_change == pytest.approx(-lost, abs=2e-3)


def test_in_standardized_units_a_feature_of_another_scale_counts_no_more() -> None:
    rows = planted(500, 8)
    scaled = rows * np.geomspace(1, 1e4, 8)
    moved = np.ones(8) * Statistics.of(scaled).covariance.diagonal() ** 0.5
    assert drift(scaled, scaled + moved, standardize=True).mean_shift == pytest.approx(1)
