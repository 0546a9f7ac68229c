"""The PCA refresh: refit on the whole features table, then publish the model and every reduced vector."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batch import exact, mllib
from batch.pca import PCA
from batch.pinning import pin
from batch.publishing import next_version, publish
from conf.s3 import check_bucket
from conf.settings import Settings
from conf.spark_errors import explained

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SOLVERS = {"exact": exact.fit, "mllib": mllib.fit}


@dataclass(frozen=True)
class Summary:
    """What a refresh did."""

    pca_version: int
    features_version: int
    model_id: str
    solver: str
    n: int
    d: int
    k: int
    explained_variance_ratio: tuple[float, ...]
    """Of each component kept, largest first."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall seconds of `pin`, `fit` and `publish`."""


def run(spark: "SparkSession", settings: Settings) -> Summary:
    """Refit and publish.

    Raises
    ------
    FruitsError
        Where the table is empty, its features are not finite or too few for what was asked, the tables are of another
        contract, or the store fails; `reduced` is then as before.
    """
    storage, seconds = settings.storage, dict[str, float]()
    # Of k and variance, what is set; where neither is, the PCA has its own default.
    pca = PCA(**settings.pca.model_dump(include={"k", "variance"}, exclude_none=True))
    with explained():
        with _timed(seconds, "pin"):
            check_bucket(storage)
            pca_version = next_version(storage)
            snapshot = pin(storage, spark.sparkContext.defaultParallelism)
        with _timed(seconds, "fit"):
            _SOLVERS[settings.pca.solver](spark, snapshot, pca)
        with _timed(seconds, "publish"):
            publish(spark, snapshot, pca, pca_version, settings.pca.solver)
    return Summary(
        pca_version,
        snapshot.version,
        snapshot.model_id,
        settings.pca.solver,
        pca.n_samples_,
        len(pca.mean_),
        pca.k_,
        tuple(pca.explained_variance_ratio_.tolist()),
        seconds,
    )


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start
