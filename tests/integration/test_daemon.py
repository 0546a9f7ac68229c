"""Spark's Python workers as they are: forked from our daemon."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_a_worker_searches_no_archive_of_the_spark_that_is_installed(
    spark: "SparkSession", request: pytest.FixtureRequest
) -> None:
    """Before each task their directories would be read again."""
    if request.config.getoption("--cluster"):
        pytest.skip("executors there have packages of their own, and archives of the driver's Spark")

    def places(_: Iterator[int]) -> Iterator[str]:
        import sys

        import pyspark

        return iter([pyspark.__file__, *sys.path, *sys.path_importer_cache])

    found = spark.sparkContext.parallelize([0], 1).mapPartitions(places).collect()
    assert [place for place in found if "pyspark.zip" in place or "pyspark/jars" in place] == []
