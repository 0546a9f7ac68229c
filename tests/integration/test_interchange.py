"""A model saved for Spark MLlib, and loaded by nothing of ours."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from batch.interchange import to_mllib
from batch.models import load
from batch.refresh import run
from conf.settings import Settings
from scripts.session import override
from tests.integration.features import Rows, draw_vectors, write
from tests.integration.tables import rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

D = 12
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("how", [{}, {"whiten": True}, {"standardize": True, "whiten": True}], ids=str)
def test_mllib_makes_the_vectors_that_reduced_has(
    spark: "SparkSession", settings: Settings, tmp_path: Path, how: dict[str, bool]
) -> None:
    from pyspark.ml import PipelineModel
    from pyspark.ml.feature import PCAModel
    from pyspark.ml.functions import array_to_vector, vector_to_array

    write(spark, settings, Rows(range(60), draw_vectors(60, D, seed=1)))
    run(spark, override(settings, "pca", k=4, **how))
    model = load(settings.storage, 1)
    place = (tmp_path / "pca").as_uri()
    to_mllib(spark, model).save(place)
    loaded = PipelineModel.load(place)
    features = spark.read.format("delta").load(settings.storage.table_uri("features"))
    asked = features.select("key", array_to_vector("features").alias("features"))
    made = loaded.transform(asked).select("key", vector_to_array("reduced").alias("reduced")).collect()
    expected = {row["key"]: row["reduced"] for row in rows(settings, "reduced")}
    np.testing.assert_allclose([row["reduced"] for row in made], [expected[row["key"]] for row in made], atol=1e-5)
    projection = loaded.stages[-1]
    assert isinstance(projection, PCAModel)
    assert projection.getK() == 4
    np.testing.assert_allclose(projection.explainedVariance.toArray(), model.pca.explained_variance_ratio_)


def test_the_command_writes_where_it_says(spark: "SparkSession", settings: Settings, tmp_path: Path) -> None:
    from pyspark.ml import PipelineModel

    write(spark, settings, Rows(range(60), draw_vectors(60, D, seed=1)))
    run(spark, override(settings, "pca", k=4))
    storage = settings.storage
    given = [f"--set=storage.{name}={getattr(storage, name)}" for name in ("bucket", "prefix", "endpoint")]
    for name, form in (("modèle 3%20", "mllib"), ("modèle.npz", "npz")):
        words = [sys.executable, "-m", "scripts.fruits", "model", "--profile", "test", *given, name, "--format", form]
        subprocess.run(words, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    loaded = PipelineModel.load(f"file://{tmp_path}/modèle 3%20")
    with np.load(tmp_path / "modèle.npz") as arrays:
        np.testing.assert_allclose(loaded.stages[-1].pc.toArray(), arrays["components"].T)
    written = {path.name for path in tmp_path.iterdir() if path.name.startswith("mod")}
    assert written == {"modèle 3%20", "modèle.npz"}
