"""What Databricks starts, on a session that was there before: a stream that ends, a refresh, and the session goes on.

Here the session is the tests' own, with its Delta, and the store the embedded S3, called s3:// as Databricks does.
"""

import runpy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from conf import regions
from conf.errors import SettingsError
from conf.settings import Settings
from conf.spark import stop
from scripts.deployment.databricks import BUNDLE
from scripts.fruit_photos import draw_photos
from tests.integration.tables import rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_REGION = "spark.databricks.clusterUsageTags.dataPlaneRegion"


@pytest.fixture
def task(spark: "SparkSession", settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The task's entry point, with the arguments that the bundle gives it and those of this store."""
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "18.2")
    monkeypatch.setattr(regions, "_tells_region", None)
    monkeypatch.setenv("FRUITS_STORAGE__ENDPOINT", str(settings.storage.endpoint))
    # On Databricks s3:// is its own; here it is s3a by another name.
    hadoop: Any = spark.sparkContext._jsc
    hadoop.hadoopConfiguration().set("fs.s3.impl", "org.apache.hadoop.fs.s3a.S3AFileSystem")
    hadoop.hadoopConfiguration().set("fs.AbstractFileSystem.s3.impl", "org.apache.hadoop.fs.s3a.S3A")
    main = runpy.run_path(str(BUNDLE / "task.py"))["main"]
    store = [f"storage.bucket={settings.storage.bucket}", f"storage.prefix={settings.storage.prefix}"]
    return lambda *words: main(*words, *store)


def test_a_stream_and_a_refresh_run_on_a_session_that_was_there_and_leave_it(
    task: Callable[..., None],
    spark: "SparkSession",
    settings: Settings,
    drop_files: Callable[[dict[str, bytes]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    drop_files({f"{photo.label}/{photo.name}": photo.data for photo in draw_photos(12, seed=3)})
    task("refresh")
    assert "fruits stream" in capsys.readouterr().out
    task("stream", "--once")
    task("refresh")
    assert len(rows(settings, "reduced")) == 12
    task("refresh")
    assert "Nothing has changed" in capsys.readouterr().out
    stop(spark)
    assert spark.range(3).count() == 3


def test_machines_in_another_region_than_the_bucket_are_refused_before_anything_is_read(
    task: Callable[..., None], spark: "SparkSession", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regions, "on_aws", lambda _: True)
    spark.conf.set(_REGION, "us-east-1")
    try:
        with pytest.raises(SettingsError, match="machines are in us-east-1"):
            task("stream", "--once")
    finally:
        spark.conf.unset(_REGION)
