"""Publishing a refit: the model is appended to pca_models, then one commit replaces every row of `reduced`."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from batch.models import Model
from batch.projection import Projection
from batch.snapshot import Snapshot
from conf.delta import ensure_table
from conf.tables import COLUMNS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def publish(spark: "SparkSession", snapshot: Snapshot, model: Model, check_lease: Callable[[], None]) -> None:
    """Write the model, then the vectors. No commit without the lease.

    A reader of `reduced` sees the vectors of one model, and that model is in pca_models. Stopped between the two
    commits, `reduced` is as before, and the next refit takes the next number.
    """
    storage = snapshot.storage
    for table in ("pca_models", "reduced"):
        ensure_table(spark, storage, table)
    check_lease()
    row = spark.createDataFrame(model.to_arrow(), COLUMNS["pca_models"])
    row.write.format("delta").mode("append").save(storage.table_uri("pca_models"))
    check_lease()
    reduced = snapshot.over_parts(spark, Projection(model.pca, model.pca_version), COLUMNS["reduced"])
    reduced.write.format("delta").mode("overwrite").save(storage.table_uri("reduced"))
