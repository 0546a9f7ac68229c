"""Publishing a refit: the model is appended to pca_models, then one commit replaces every row of `reduced`."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from batch.arrow import lists_of
from batch.pca import PCA
from batch.projection import Projection
from batch.snapshot import Snapshot
from conf.delta import ensure_table, open_table, read_columns
from conf.settings import Storage
from conf.tables import COLUMNS, column_names

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def next_version(storage: Storage) -> int:
    """The number of the next refit: one more than any before, published or not.

    Raises
    ------
    ContractError
        Where pca_models or reduced were made under another contract: better told now than behind a long fit.
    """
    open_table(storage, "reduced")
    models = open_table(storage, "pca_models")
    if models is None:
        return 1
    versions = read_columns(models, storage, ["pca_version"])["pca_version"]
    return max(versions.to_pylist(), default=0) + 1


def publish(spark: "SparkSession", snapshot: Snapshot, pca: PCA, pca_version: int, solver: str) -> None:
    """Write the model, then the vectors.

    A reader of `reduced` sees the vectors of one model, and that model is in pca_models. Stopped between the two
    commits, `reduced` is as before, and the next refit takes the next number.
    """
    storage = snapshot.storage
    for table in ("pca_models", "reduced"):
        ensure_table(spark, storage, table)
    model = _model_row(spark, snapshot, pca, pca_version, solver)
    model.write.format("delta").mode("append").save(storage.table_uri("pca_models"))
    reduced = snapshot.over_parts(spark, Projection(pca, pca_version), COLUMNS["reduced"])
    reduced.write.format("delta").mode("overwrite").save(storage.table_uri("reduced"))


def _model_row(spark: "SparkSession", snapshot: Snapshot, pca: PCA, pca_version: int, solver: str) -> "DataFrame":
    row = {
        "pca_version": [pca_version],
        "model_id": [snapshot.model_id],
        "features_version": [snapshot.version],
        "n": [pca.n_samples_],
        "d": pa.array([len(pca.mean_)], pa.int32()),
        "k": pa.array([pca.k_], pa.int32()),
        "solver": [solver],
        "total_variance": [pca.explained_variance_[0] / pca.explained_variance_ratio_[0]],
        "fitted_at": [datetime.now(UTC)],
        "explained_variance": lists_of(pca.explained_variance_[np.newaxis]),
        "explained_variance_ratio": lists_of(pca.explained_variance_ratio_[np.newaxis]),
        "mean": lists_of(pca.mean_[np.newaxis]),
        # Through Arrow: a million numbers of components as Python objects would take seconds.
        "components": pa.ListArray.from_arrays([0, pca.k_], lists_of(pca.components_)),
    }
    return spark.createDataFrame(pa.table(row).select(column_names("pca_models")), COLUMNS["pca_models"])
