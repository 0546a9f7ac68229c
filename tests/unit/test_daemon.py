"""Where Spark's Python workers take their packages from."""

import sys
from pathlib import Path

import pytest

from streaming.daemon import leave_out_archives


def test_archives_of_the_spark_that_is_installed_are_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    installed, elsewhere = tmp_path / "site-packages", tmp_path / "opt" / "spark"
    own = [installed / "pyspark/python/lib/pyspark.zip", installed / "pyspark/jars/spark-core_2.13-4.1.1.jar"]
    others = [
        elsewhere / "python/lib/pyspark.zip",
        tmp_path / "other/pyspark/python/lib/pyspark.zip",
        installed / "pyspark/python/lib",
        installed / "something.zip",
        installed,
    ]
    monkeypatch.setattr(sys, "path", [str(place) for place in (*own, *others)])
    monkeypatch.setattr(sys, "path_importer_cache", {str(place): None for place in (*own, *others)})
    leave_out_archives()
    assert sys.path == [str(place) for place in others]
    assert list(sys.path_importer_cache) == sys.path
