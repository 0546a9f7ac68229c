"""PCA from statistics, held to scikit-learn's on the rows themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import decomposition

from batch.pca import PCA
from batch.statistics import Rows, Statistics
from conf.errors import DataError, SettingsError

seeds = st.integers(0, 2**32 - 1)


def planted(n: int, d: int, seed: int = 0, offset: float = 0.0) -> Rows:
    """Rows whose components have variances well apart: the basis is then unique."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
    rows: Rows = rng.standard_normal((n, d)) * np.geomspace(10, 0.1, d) @ rotation + offset
    return rows


def fitted(rows: Rows, k: int | None = None, variance: float | None = 0.95) -> PCA:
    return PCA(k, variance).fit(Statistics.of(rows))


@pytest.mark.parametrize(("n", "d"), [(400, 12), (3000, 20), (30, 30), (8, 25), (2, 3)])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_agrees_with_scikit_learn(n: int, d: int, offset: float) -> None:
    rows = planted(n, d, offset=offset)
    k = min(n - 1, d)
    ours, oracle = fitted(rows, k), decomposition.PCA(k, svd_solver="full").fit(rows)
    np.testing.assert_allclose(ours.mean_, oracle.mean_, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ours.explained_variance_, oracle.explained_variance_, rtol=1e-8)
    np.testing.assert_allclose(ours.explained_variance_ratio_, oracle.explained_variance_ratio_, rtol=1e-8)
    np.testing.assert_allclose(ours.components_, oracle.components_, atol=1e-6)
    np.testing.assert_allclose(ours.transform(rows), oracle.transform(rows), atol=1e-5)
    assert (ours.k_, ours.n_samples_, ours.scree_.shape) == (k, n, (d,))


@pytest.mark.parametrize(("n", "d"), [(400, 12), (8, 25)])
def test_a_spectrum_of_another_solver_gives_the_same(n: int, d: int) -> None:
    rows = planted(n, d, offset=3.0)
    centred = rows - rows.mean(axis=0)
    _, singular, right = np.linalg.svd(centred, full_matrices=True)
    values = np.zeros(d)
    values[: len(singular)] = singular**2 / (n - 1)
    found = PCA(variance=0.9).fit_spectrum(n, rows.mean(axis=0), values, -right.T)
    expected = fitted(rows, variance=0.9)
    np.testing.assert_allclose(found.components_, expected.components_, atol=1e-8)
    np.testing.assert_allclose(found.explained_variance_ratio_, expected.explained_variance_ratio_, rtol=1e-9)
    assert (found.k_, found.n_samples_) == (expected.k_, n)
    assert found.noise_variance_ == pytest.approx(expected.noise_variance_)
    with pytest.raises(DataError, match=f"ask for at most {min(n - 1, d)}"):
        PCA(d + 1).fit_spectrum(n, rows.mean(axis=0), values, right.T)


@pytest.mark.parametrize(("n", "d", "k"), [(50, 10, 4), (50, 10, 10), (6, 10, 3)])
def test_noise_variance_is_that_of_scikit_learn(n: int, d: int, k: int) -> None:
    rows = planted(n, d)
    oracle = decomposition.PCA(k, svd_solver="full").fit(rows)
    assert fitted(rows, k).noise_variance_ == pytest.approx(oracle.noise_variance_, rel=1e-8)


@settings(deadline=None, max_examples=40)
@given(seed=seeds, n=st.integers(2, 60), d=st.integers(1, 15), variance=st.floats(0.01, 1.0))
def test_variance_keeps_the_fewest_components_that_explain_it(seed: int, n: int, d: int, variance: float) -> None:
    pca = fitted(planted(n, d, seed), variance=variance)
    cumulative = np.cumsum(pca.scree_)
    assert cumulative[pca.k_ - 1] >= variance - 1e-9
    assert pca.k_ == 1 or cumulative[pca.k_ - 2] < variance
    assert pca.k_ <= min(n - 1, d)
    np.testing.assert_allclose(pca.components_ @ pca.components_.T, np.eye(pca.k_), atol=1e-12)
    assert pca.scree_.sum() == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize(("variance", "k"), [(0.8, 4), (0.81, 5), (0.2, 1), (1.0, 5)])
def test_rounding_of_ratios_takes_no_component_more(variance: float, k: int) -> None:
    rows = np.concatenate([np.eye(5), -np.eye(5)]) * 0.3
    assert fitted(rows, variance=variance).k_ == k


def test_full_variance_stops_at_the_rank() -> None:
    three = planted(200, 3)
    rows = np.concatenate([three, three[:, [0, 0, 2]], np.full((200, 2), 7.3)], axis=1)
    pca = fitted(rows, variance=1.0)
    assert pca.k_ == 3
    assert (pca.scree_ >= 0).all()
    np.testing.assert_allclose(pca.inverse_transform(pca.transform(rows)), rows, atol=1e-4)
    with pytest.raises(
        DataError, match=r"4 components .* 200 feature vectors of length 8 and rank 3: ask for at most 3"
    ):
        fitted(rows, k=4)


@pytest.mark.parametrize("seed", [1, 10])
def test_rank_is_seen_through_the_rounding_of_many_merges(seed: int) -> None:
    merged = Statistics.empty(3)
    for row in np.random.default_rng(seed).standard_normal((10_000, 1)) * [1.0, 3.0, 7.0]:
        merged += Statistics(1, row, np.zeros((3, 3)))
    assert PCA(variance=1.0).fit(merged).k_ == 1
    with pytest.raises(DataError, match="of length 3 and rank 1"):
        PCA(k=2).fit(merged)


def test_duplicated_rows_change_no_component() -> None:
    rows = planted(50, 6)
    once, thrice = fitted(rows, 6), fitted(np.repeat(rows, 3, axis=0), 6)
    np.testing.assert_allclose(thrice.components_, once.components_, atol=1e-9)
    np.testing.assert_allclose(thrice.explained_variance_, once.explained_variance_ * 3 * 49 / 149, rtol=1e-9)


def test_more_components_than_rows_can_span_are_refused() -> None:
    with pytest.raises(DataError, match="5 feature vectors of length 9 and rank 4: ask for at most 4"):
        fitted(planted(5, 9), k=5)


@settings(deadline=None, max_examples=40)
@given(seed=seeds)
def test_signs_do_not_depend_on_row_order_or_partitioning(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # A feature and its mirror image: two entries of each component tie in absolute value.
    half = planted(300, 4, seed)
    rows = np.concatenate([half, -half], axis=1)
    expected = fitted(rows, 4).components_
    shuffled = rng.permutation(rows)
    parts = sum((Statistics.of(part) for part in np.array_split(shuffled, 7)), Statistics.empty(8))
    np.testing.assert_allclose(PCA(4).fit(parts).components_, expected, atol=1e-8)
    largest = np.abs(expected).argmax(axis=1)
    assert (expected[np.arange(4), largest % 4] > 0).all()


def test_k_decides_over_variance() -> None:
    assert fitted(planted(50, 10), k=7, variance=0.1).k_ == 7


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_transform_centres_and_gives_float32(dtype: type[np.float32 | np.float64]) -> None:
    rows: Rows = planted(500, 16, offset=1e4).astype(dtype)
    pca = fitted(rows, 5)
    reduced = pca.transform(rows)
    assert reduced.dtype == np.float32
    assert reduced.shape == (500, 5)
    np.testing.assert_allclose(reduced.mean(axis=0, dtype=np.float64), 0, atol=1e-5)
    np.testing.assert_allclose(reduced.var(axis=0, ddof=1, dtype=np.float64), pca.explained_variance_, rtol=1e-5)
    assert pca.transform(rows[:0]).shape == (0, 5)


def test_inverse_transform_loses_only_what_was_left_out() -> None:
    rows = planted(400, 10, offset=3.0)
    pca = fitted(rows, 6)
    lost = pca.inverse_transform(pca.transform(rows)) - rows
    assert (lost**2).sum() / 399 == pytest.approx(pca.noise_variance_ * 4, rel=1e-4)


@pytest.mark.parametrize("rows", [np.zeros(10), np.zeros((2, 9)), np.zeros((2, 11))])
def test_rows_of_another_length_are_refused(rows: Rows) -> None:
    with pytest.raises(DataError, match=r"expected \(rows, 10\)"):
        fitted(planted(20, 10)).transform(rows)


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_rows_are_refused(n: int) -> None:
    with pytest.raises(DataError, match=f"at least 2 feature vectors, found {n}"):
        fitted(np.ones((n, 4)))


def test_rows_all_the_same_are_refused() -> None:
    with pytest.raises(DataError, match="all 3000 feature vectors are the same"):
        fitted(np.full((3000, 4), 0.1, dtype=np.float32))


@pytest.mark.parametrize("variance", [0.0, -0.5, 1.01, 95.0, float("nan"), None])
def test_a_variance_that_is_no_share_is_refused(variance: float | None) -> None:
    with pytest.raises(SettingsError, match=r"share"):
        fitted(planted(20, 3), variance=variance)


@pytest.mark.parametrize("k", [0, -3])
def test_k_below_one_is_refused(k: int) -> None:
    with pytest.raises(SettingsError, match=f"k is {k}"):
        fitted(planted(20, 3), k=k)


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_standardized_it_is_that_of_scikit_learn_on_scaled_rows(offset: float) -> None:
    rows = planted(400, 8) * np.geomspace(1e-3, 1e3, 8) + offset
    scaled = (rows - rows.mean(axis=0)) / rows.std(axis=0, ddof=1)
    oracle = decomposition.PCA(5, svd_solver="full").fit(scaled)
    pca = PCA(5, standardize=True).fit(Statistics.of(rows))
    np.testing.assert_allclose(pca.explained_variance_, oracle.explained_variance_, rtol=1e-8)
    np.testing.assert_allclose(np.abs(pca.components_ @ oracle.components_.T), np.eye(5), atol=1e-6)
    signs = np.sign((pca.components_ * oracle.components_).sum(axis=1))
    np.testing.assert_allclose(pca.transform(rows), oracle.transform(scaled) * signs, atol=1e-4)
    assert pca.scree_.sum() == pytest.approx(1)
    assert pca.total_variance_ == pytest.approx(8)


def test_a_constant_feature_is_not_standardized_into_noise() -> None:
    rows = planted(3000, 4)
    rows[:, 2] = 1234.5678
    whole = Statistics.of(rows)
    parts = sum((Statistics.of(part) for part in np.array_split(rows, 9)), Statistics.empty(4))
    for statistics in (whole, parts, (whole + parts) - whole):
        pca = PCA(variance=1.0, standardize=True).fit(statistics)
        assert (pca.k_, pca.scale_[2]) == (3, 1.0)
        assert not pca.components_[:, 2].any()


@pytest.mark.parametrize("standardize", [False, True])
def test_whitened_components_vary_by_one_and_map_back(standardize: bool) -> None:
    rows = planted(400, 6, offset=3.0)
    pca = PCA(6, standardize=standardize, whiten=True).fit(Statistics.of(rows))
    reduced = pca.transform(rows)
    np.testing.assert_allclose(np.cov(reduced.T.astype(np.float64)), np.eye(6), atol=1e-5)
    np.testing.assert_allclose(pca.inverse_transform(reduced), rows, atol=1e-4)
    if not standardize:
        oracle = decomposition.PCA(6, svd_solver="full", whiten=True).fit_transform(rows)
        np.testing.assert_allclose(np.abs(reduced), np.abs(oracle), atol=1e-4)


def test_a_refit_projects_by_its_own_components() -> None:
    pca, rows = PCA(3), planted(100, 6)
    pca.fit(Statistics.of(planted(100, 6, seed=1))).transform(rows)
    np.testing.assert_array_equal(pca.fit(Statistics.of(rows)).transform(rows), fitted(rows, 3).transform(rows))


@settings(deadline=None, max_examples=40)
@given(seed=seeds, k=st.integers(1, 7), standardize=st.booleans(), whiten=st.booleans(), n=st.integers(1, 50))
def test_the_reconstruction_error_of_any_rows_is_known_from_their_statistics(
    seed: int, k: int, standardize: bool, whiten: bool, n: int
) -> None:
    pca = PCA(k, standardize=standardize, whiten=whiten).fit(Statistics.of(planted(200, 7, seed)))
    others = planted(n, 7, seed + 1, offset=2.0)
    scaled = (others - pca.mean_) / pca.scale_
    lost = (scaled - scaled @ pca.components_.T @ pca.components_) * pca.scale_
    expected = (lost**2).sum(axis=1).mean()
    assert pca.reconstruction_error(Statistics.of(others)) == pytest.approx(expected, rel=1e-8, abs=1e-9)


def test_the_reconstruction_error_of_its_own_rows_is_the_variance_left_out() -> None:
    rows = planted(400, 10, offset=3.0)
    pca = fitted(rows, 6)
    expected = pca.noise_variance_ * 4 * 399 / 400
    assert pca.reconstruction_error(Statistics.of(rows)) == pytest.approx(expected)
    assert pca.reconstruction_error(Statistics.empty(10)) == 0
    with pytest.raises(DataError, match=r"expected \(rows, 10\)"):
        pca.reconstruction_error(Statistics.empty(9))


@settings(deadline=None, max_examples=40)
@given(seed=seeds, standardize=st.booleans())
def test_axes_keep_the_sign_they_had_through_refits(seed: int, standardize: bool) -> None:
    rng = np.random.default_rng(seed)
    rows = planted(400, 6, seed)
    before = PCA(6, standardize=standardize).fit(Statistics.of(rows))
    # Signs that no convention gives: only the model before knows them.
    before.components_ = before.components_ * rng.choice([-1.0, 1.0], 6)[:, np.newaxis]
    more = np.concatenate([rows, planted(40, 6, seed)])
    after = PCA(6, standardize=standardize).fit(Statistics.of(more), before)
    nearest = np.abs(cosines := after.components_ @ before.components_.T).argmax(axis=1)
    near = np.abs(cosines[np.arange(6), nearest]) >= 0.5
    assert (cosines[np.arange(6), nearest][near] > 0).all()


def test_an_axis_that_has_changed_places_keeps_its_sign() -> None:
    scores = np.random.default_rng(3).standard_normal((5000, 3))
    first = PCA(3).fit(Statistics.of(scores * [3.0, 2.9, 1.0]))
    first.components_ = -first.components_
    second = PCA(3).fit(Statistics.of(scores * [2.9, 3.0, 1.0]), first)
    cosines = second.components_ @ first.components_.T
    np.testing.assert_allclose(cosines[[0, 1, 2], [1, 0, 2]], 1, atol=0.05)


def test_an_axis_unlike_any_before_has_its_largest_entry_positive() -> None:
    before = PCA(1).fit(Statistics.of(planted(50, 2) @ np.eye(2, 5)))
    rows = planted(50, 2) @ np.eye(2, 5, 3)
    np.testing.assert_array_equal(PCA(2).fit(Statistics.of(rows), before).components_, fitted(rows, 2).components_)


def test_a_model_before_of_other_features_is_refused() -> None:
    with pytest.raises(DataError, match=r"expected \(rows, 4\)"):
        PCA(2).fit(Statistics.of(planted(50, 4)), fitted(planted(50, 5), 2))


def test_axes_that_sampling_cannot_tell_apart_are_named() -> None:
    variances = np.array([9.0, 4.0, 3.999, 2.0, 1.0])
    pca = PCA(variance=0.8).fit(Statistics(1000, np.zeros(5), np.diag(variances) * 999))
    assert pca.near_degenerate_.tolist() == [False, True, False]
    many = PCA(variance=0.8).fit(Statistics(10**8, np.zeros(5), np.diag(variances) * (10**8 - 1)))
    assert not many.near_degenerate_.any()
    border = PCA(2).fit(Statistics(1000, np.zeros(5), np.diag(variances) * 999))
    assert border.near_degenerate_.tolist() == [False, True]
    assert PCA(5).fit(Statistics(1000, np.zeros(5), np.diag(variances) * 999)).near_degenerate_.shape == (5,)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(3, 60), d=st.integers(2, 8), scale=st.floats(0.01, 100))
def test_rotated_scaled_and_moved_rows_have_the_axes_rotated_and_the_variances_scaled(
    seed: int, n: int, d: int, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, d)) * np.geomspace(1, 0.1, d)
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
    before = PCA(variance=1.0).fit(Statistics.of(rows))
    after = PCA(variance=1.0).fit(Statistics.of(scale * rows @ rotation + rng.standard_normal(d) * 10 * scale))
    assert after.k_ == before.k_
    total = before.total_variance_
    np.testing.assert_allclose(after.explained_variance_ / scale**2, before.explained_variance_, atol=1e-10 * total)
    np.testing.assert_allclose(after.scree_, before.scree_, atol=1e-10)
    # The spaces of the first axes, as two of the same variance may turn in theirs.
    for k in range(1, before.k_ + 1):
        gap = before.scree_[k - 1] - (before.scree_[k] if k < d else 0)
        if gap > 1e-4:
            old, new = (pca.components_[:k].T @ pca.components_[:k] for pca in (before, after))
            np.testing.assert_allclose(rotation @ new @ rotation.T, old, atol=1e-9 / gap)
