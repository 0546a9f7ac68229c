"""A model in another program's form makes the same vectors there."""

import io
from datetime import UTC, datetime

import numpy as np
import pytest
from sklearn import decomposition

from batch.interchange import to_sklearn, write_npz
from batch.models import Model
from batch.pca import PCA
from batch.statistics import Statistics
from tests.unit.test_pca import planted

ROWS = planted(300, 10, offset=5.0) * np.geomspace(1, 5, 10)
WAYS = [{}, {"whiten": True}, {"standardize": True}, {"standardize": True, "whiten": True}]


def model(**how: bool) -> Model:
    pca = PCA(4, **how).fit(Statistics.of(ROWS))
    return Model(3, "net/weights/recipe", 7, "exact", datetime(2026, 5, 1, tzinfo=UTC), pca)


@pytest.mark.parametrize("how", WAYS, ids=str)
def test_scikit_learn_makes_the_same_vectors_and_comes_back_to_the_same_features(how: dict[str, bool]) -> None:
    ours = model(**how)
    theirs = to_sklearn(ours)
    reduced = ours.pca.transform(ROWS)
    np.testing.assert_allclose(theirs.transform(ROWS), reduced, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(theirs.inverse_transform(reduced), ours.pca.inverse_transform(reduced), rtol=1e-5)


def test_it_is_what_scikit_learn_would_have_fitted() -> None:
    found, expected = to_sklearn(model()), decomposition.PCA(4, svd_solver="full").fit(ROWS)
    assert vars(expected).keys() - {"_fit_svd_solver"} == vars(found).keys()
    for name in ("mean_", "explained_variance_", "explained_variance_ratio_", "singular_values_", "noise_variance_"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-8, err_msg=name)
    np.testing.assert_allclose(np.abs(found.components_), np.abs(expected.components_), atol=1e-8)
    np.testing.assert_allclose(found.get_covariance(), expected.get_covariance(), atol=1e-8)
    assert found.score(ROWS) == pytest.approx(expected.score(ROWS))


@pytest.mark.parametrize("how", WAYS, ids=str)
def test_of_the_arrays_in_the_file_numpy_makes_the_same_vectors(how: dict[str, bool]) -> None:
    ours, file = model(**how), io.BytesIO()
    write_npz(ours, file)
    with np.load(io.BytesIO(file.getvalue()), allow_pickle=False) as told:
        reduced = (ROWS - told["mean"]) / told["scale"] @ told["components"].T
        if told["whiten"]:
            reduced /= np.sqrt(told["explained_variance"])
        assert (int(told["pca_version"]), str(told["model_id"]), int(told["n"])) == (3, "net/weights/recipe", 300)
    np.testing.assert_allclose(reduced, ours.pca.transform(ROWS), rtol=1e-5, atol=1e-5)
