"""The whole chain on 3,888 real photographs: what users have, and whether the vectors are worth having."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from batch.refresh import Summary as RefreshSummary
from batch.refresh import run as refresh
from conf.settings import Settings
from scripts.drop import drop, name_files
from scripts.session import override
from streaming.decode import decode
from streaming.model import engine_of, load_model
from streaming.stream import Summary, run
from tests.integration.tables import rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

K = 64
Vectors = NDArray[np.float64]


@pytest.fixture(scope="module")
def folder(sample_data: Path) -> Path:
    return sample_data / "fruits360"


@pytest.fixture(scope="module")
def ingested(folder: Path, spark: "SparkSession", module_settings: Settings) -> tuple[Settings, Summary]:
    settings = override(module_settings, "stream", max_files=1000)
    drop(settings.storage, ((name, path.read_bytes()) for path, name in name_files(folder)))
    return settings, run(spark, settings, once=True)


@pytest.fixture(scope="module")
def refreshed(spark: "SparkSession", ingested: tuple[Settings, Summary]) -> tuple[Settings, RefreshSummary]:
    settings = override(ingested[0], "pca", k=K)
    return settings, refresh(spark, settings)


def matrix(settings: Settings, table: str, column: str) -> tuple[Vectors, list[str], list[bool]]:
    """Vectors, labels, and whether each is of the training part, by key."""
    found = sorted(rows(settings, table), key=lambda row: row["key"])
    vectors = np.array([row[column] for row in found], np.float64)
    training = [row["key"].rpartition("/")[2].startswith("training_") for row in found]
    return vectors, [row["label"] for row in found], training


def centroid_accuracy(vectors: Vectors, labels: list[str], training: list[bool]) -> float:
    """Share of held-out photographs whose nearest class centroid is of their own class."""
    names, classes = np.unique(labels, return_inverse=True)
    train = np.array(training)
    centroids = np.stack([vectors[train & (classes == c)].mean(axis=0) for c in range(len(names))])
    held_out = vectors[~train]
    distances = ((held_out**2).sum(1)[:, None] - 2 * held_out @ centroids.T) + (centroids**2).sum(1)
    return float((distances.argmin(axis=1) == classes[~train]).mean())


def test_all_are_in_features_and_each_was_decoded_once(ingested: tuple[Settings, Summary], folder: Path) -> None:
    settings, summary = ingested
    names = sorted(name for _, name in name_files(folder))
    landing = settings.storage.landing
    assert sorted(row["key"].removeprefix(landing) for row in rows(settings, "features")) == names
    assert (summary.features, summary.decodes, summary.rejects.total()) == (len(names), len(names), 0)


def test_features_tell_varieties_apart(ingested: tuple[Settings, Summary]) -> None:
    assert centroid_accuracy(*matrix(ingested[0], "features", "features")) >= 0.85


def test_64_dimensions_still_do(refreshed: tuple[Settings, RefreshSummary]) -> None:
    vectors, labels, training = matrix(refreshed[0], "reduced", "reduced")
    assert vectors.shape == (len(labels), K)
    assert centroid_accuracy(vectors, labels, training) >= 0.80


def test_explained_variance_is_scikit_learns(refreshed: tuple[Settings, RefreshSummary]) -> None:
    settings, _ = refreshed
    oracle = PCA(K, svd_solver="full").fit(matrix(settings, "features", "features")[0])
    (model,) = rows(settings, "pca_models")
    np.testing.assert_allclose(model["explained_variance"], oracle.explained_variance_, rtol=1e-8)
    np.testing.assert_allclose(model["explained_variance_ratio"], oracle.explained_variance_ratio_, rtol=1e-8)


def test_the_tensorflow_engine_agrees(ingested: tuple[Settings, Summary], folder: Path) -> None:
    settings, _ = ingested
    model = load_model(settings.model.architecture, settings.model.weights, "tensorflow")
    landing = settings.storage.landing
    written = {row["key"].removeprefix(landing): row["features"] for row in rows(settings, "features")}
    some = [(path, name) for path, name in name_files(folder)][::60]
    pixels = np.stack([decode(path.read_bytes(), model.recipe.side, 10**8).pixels for path, _ in some])
    reference = engine_of(model.recipe, lambda: model.payload).features(pixels)
    ours = np.array([written[name] for _, name in some])
    cosines = (reference * ours).sum(1) / np.linalg.norm(reference, axis=1) / np.linalg.norm(ours, axis=1)
    assert cosines.min() > 0.9999
