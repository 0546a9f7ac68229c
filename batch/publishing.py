"""Publishing: a new model goes to pca_models, then one commit makes `reduced` what a model makes of the rows.

A reader of `reduced` sees the vectors of one model, and that model is in pca_models. Stopped between the two commits,
`reduced` is as before, and the next refit takes the next number. No commit without the lease. The tables are there.
"""

from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING

import pyarrow as pa

from batch.increment import Increment
from batch.models import Model
from batch.projection import Projection
from batch.snapshot import Snapshot
from conf.settings import Storage
from conf.tables import COLUMNS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def append_model(spark: "SparkSession", storage: Storage, model: Model, check_lease: Callable[[], None]) -> None:
    """Add a model to pca_models."""
    check_lease()
    row = spark.createDataFrame(model.to_arrow(), COLUMNS["pca_models"])
    row.write.format("delta").mode("append").save(storage.table_uri("pca_models"))


def replace_all(spark: "SparkSession", snapshot: Snapshot, model: Model, check_lease: Callable[[], None]) -> None:
    """Replace every row of `reduced` with what the model makes of the rows of a snapshot."""
    check_lease()
    vectors = _project(spark, snapshot, model)
    vectors.write.format("delta").mode("overwrite").save(snapshot.storage.table_uri("reduced"))


def patch(
    spark: "SparkSession", snapshot: Snapshot, increment: Increment, model: Model, check_lease: Callable[[], None]
) -> None:
    """Replace, add and take away those rows of `reduced` that an increment is about."""
    from delta.tables import DeltaTable

    if increment.empty:
        return
    came, went = (
        {key for part in parts for key, *_ in part.chosen or ()} for parts in (increment.came, increment.went)
    )
    gone = spark.createDataFrame(pa.table({"key": pa.array(sorted(went - came), pa.string())}), "key STRING")
    none = spark.createDataFrame([], COLUMNS["reduced"])
    vectors = [_project(spark, part, model) for part in increment.came]
    changes = reduce(lambda some, more: some.unionByName(more, allowMissingColumns=True), [none, *vectors, gone])
    table = DeltaTable.forPath(spark, snapshot.storage.table_uri("reduced")).alias("old")
    there = "new.reduced IS NOT NULL"
    merge = table.merge(changes.alias("new"), "old.key = new.key").whenMatchedUpdateAll(there).whenMatchedDelete()
    check_lease()
    merge.whenNotMatchedInsertAll(there).execute()


def _project(spark: "SparkSession", snapshot: Snapshot, model: Model) -> "DataFrame":
    return snapshot.over_parts(spark, Projection(model.pca, model.pca_version), COLUMNS["reduced"])
