"""Ours and Spark MLlib's, on rows of any shape: the same variances, axes, signs and sums."""

from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from batch import exact, mllib
from batch.pca import PCA
from batch.pinning import pin, whole
from conf.settings import Settings
from tests.integration.features import Rows, draw_vectors, write

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def _with_a_constant(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    vectors[:, 2] = 3.5
    return vectors


def _with_a_copy(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    vectors[:, 1] = vectors[:, 0]
    return vectors


@pytest.mark.parametrize(
    ("vectors", "standardize"),
    [
        (draw_vectors(80, 9, seed=31), False),
        (draw_vectors(6, 9, seed=32), True),
        (_with_a_constant(draw_vectors(50, 7, seed=33)), True),
        (_with_a_copy(draw_vectors(50, 7, seed=34)), False),
    ],
    ids=["tall", "wide", "constant", "copied"],
)
def test_both_solvers_find_the_same(
    spark: "SparkSession", settings: Settings, vectors: NDArray[np.float32], standardize: bool
) -> None:
    write(spark, settings, Rows(range(len(vectors)), vectors))
    snapshot = whole(pin(settings.storage), 2)
    statistics = exact.gather(spark, snapshot)
    ours = PCA(variance=1.0, standardize=standardize).fit(statistics)
    # Two axes of one variance may turn; and MLlib's smallest ones are less than ours.
    theirs = PCA(k=ours.k_, standardize=standardize)
    told = mllib.fit(spark, snapshot, theirs, None)
    total = ours.total_variance_
    np.testing.assert_allclose(theirs.explained_variance_, ours.explained_variance_, atol=1e-9 * total)
    np.testing.assert_allclose(theirs.scale_, ours.scale_, rtol=1e-9)
    np.testing.assert_allclose(theirs.mean_, ours.mean_, rtol=1e-12)
    gaps = -np.diff(np.append(ours.scree_, 0))[: ours.k_]
    apart = np.minimum(gaps, np.append(np.inf, gaps)[: ours.k_]) > 1e-3
    assert apart.sum() >= 3
    np.testing.assert_allclose(theirs.components_[apart], ours.components_[apart], atol=1e-6)
    assert told.n == statistics.n
    np.testing.assert_allclose(told.scatter, statistics.scatter, atol=1e-8 * np.trace(statistics.scatter))
