"""What a stream leaves behind stays bounded: files of the tables, versions, and what only those need."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import obstore
import pytest

from batch.refresh import run as refresh
from conf.delta import open_table
from conf.lease import Lease
from conf.s3 import object_store
from conf.settings import Settings
from conf.upkeep import Vacuum
from scripts.fruit_photos import draw_photos
from streaming.stream import run
from streaming.upkeep import Upkeep
from tests.integration.features import Rows, draw_vectors, write
from tests.integration.tables import versions
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Drop = Callable[[dict[str, bytes]], None]


def _one_a_batch(settings: Settings) -> Settings:
    stream = settings.stream.model_copy(update={"max_files": 1})
    return settings.model_copy(update={"stream": stream})


def _files(settings: Settings, suffix: str, table: str = "features") -> list[str]:
    store = object_store(settings.storage)
    prefix = f"{settings.storage.prefix}tables/{table}/"
    return [meta["path"] for page in obstore.list(store, prefix) for meta in page if meta["path"].endswith(suffix)]


def test_small_files_become_large_ones_and_what_they_were_is_deleted(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    photos = {f"apple/{number}.jpg": photo.data for number, photo in enumerate(draw_photos(4, seed=5))}
    drop_files(photos)
    spark.conf.set("spark.databricks.delta.autoCompact.minNumFiles", "3")
    settings = _one_a_batch(settings)

    try:
        summary = run(spark, settings, once=True)
    finally:
        spark.conf.set("spark.databricks.delta.autoCompact.minNumFiles", "50")

    assert summary.batches == 4
    opened = open_table(settings.storage, "features")
    assert opened is not None
    assert len(opened.file_uris()) < 3
    assert len(versions(settings, "features")) == len(set(versions(settings, "features"))) == 4
    assert len(_files(settings, ".parquet")) > 4, "no file that a reader may have open goes at once"

    # As a day later, to the table's own property: the settings allow no less than some hours.
    uri = settings.storage.table_uri("features")
    spark.sql(f"ALTER TABLE delta.`{uri}` SET TBLPROPERTIES (delta.deletedFileRetentionDuration = 'interval 0 hours')")
    store, marker = object_store(settings.storage), settings.storage.state_key("vacuumed.json")
    obstore.put(store, marker, b'{"at": 0}')
    with Lease(settings.storage, 30) as lease, Upkeep(spark, settings, store, lease):
        wait_until(lambda: json.loads(bytes(obstore.get(store, marker).bytes()))["at"] > 0)

    assert len(_files(settings, ".parquet")) == len(opened.file_uris())
    assert len(set(versions(settings, "features"))) == 4


def test_vectors_of_earlier_refits_are_deleted_in_time(spark: "SparkSession", settings: Settings) -> None:
    write(spark, settings, Rows(range(30), draw_vectors(30, 6, seed=1)))
    for _ in range(3):
        refresh(spark, settings)
    assert len(_files(settings, ".parquet", "reduced")) == 3

    # As a day later.
    uri = settings.storage.table_uri("reduced")
    spark.sql(f"ALTER TABLE delta.`{uri}` SET TBLPROPERTIES (delta.deletedFileRetentionDuration = 'interval 0 hours')")
    opened = open_table(settings.storage, "reduced")
    assert opened is not None
    vacuum = Vacuum(spark, settings, object_store(settings.storage), ("reduced",), "refresh-vacuumed.json")
    assert vacuum.seconds_until_due() > 86_000
    vacuum.run()
    assert len(_files(settings, ".parquet", "reduced")) == len(opened.file_uris()) == 1


def test_a_refresh_deletes_when_that_is_due_and_says_what_kept_it_from_it(
    spark: "SparkSession", settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write(spark, settings, Rows(range(30), draw_vectors(30, 6, seed=1)))
    refresh(spark, settings)
    store, marker = object_store(settings.storage), settings.storage.state_key("refresh-vacuumed.json")
    obstore.put(store, marker, b'{"at": 0}')
    with monkeypatch.context() as patch:
        patch.setattr(Vacuum, "run", lambda _: 1 / 0)
        assert refresh(spark, settings).pca_version == 2
    assert [record.getMessage() for record in caplog.records] == [
        "Old files of the tables are not deleted for now: division by zero"
    ]
    refresh(spark, settings)
    assert json.loads(bytes(obstore.get(store, marker).bytes()))["at"] > 0
    # Also where nothing comes any more.
    obstore.put(store, marker, b'{"at": 0}')
    assert refresh(spark, settings, if_changed=True) is None
    assert json.loads(bytes(obstore.get(store, marker).bytes()))["at"] > 0


def test_how_tables_are_kept_may_change_between_runs(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    run(spark, settings, once=True)
    tables = settings.tables.model_copy(update={"keep_days": 3.5})

    run(spark, settings.model_copy(update={"tables": tables}), once=True)

    for table in ("features", "rejects"):
        opened = open_table(settings.storage, table)
        assert opened is not None
        configuration = opened.metadata().configuration
        assert configuration["delta.deletedFileRetentionDuration"] == "interval 5040 minutes"
        assert configuration["delta.logRetentionDuration"] == "interval 5040 minutes"
