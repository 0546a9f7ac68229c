"""The tables open in every reader of Delta, without Spark as with it, and keep to their contract."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import obstore
import polars as pl
import pyarrow as pa
import pytest
from deltalake import QueryBuilder
from pyspark.sql.types import StructType

from batch.refresh import run as refresh
from conf.delta import open_table
from conf.s3 import delta_options, object_store
from conf.settings import Storage
from conf.tables import COLUMNS, NAMES, column_names
from scripts import sql
from scripts.drop import drop
from scripts.fruit_photos import draw_bad_objects, draw_photos
from scripts.session import override
from streaming.stream import run as stream

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from conf.settings import Settings


GOOD, BAD = list(draw_photos(10, seed=3)), list(draw_bad_objects(seed=3))
# Null in models from before the column was, or where there is no model before to compare with.
NULLABLE = {
    "pca_models": {
        *("noise_variance", "whiten", "scree", "scale", "near_degenerate"),
        *("compared_to", "mean_shift", "variance_change", "explained_change", "principal_angles"),
        *("rows_added", "rows_removed", "sums_error"),
    },
    "reduced": {"features_version"},
}
ROWS = {"features": len(GOOD), "rejects": len(BAD), "reduced": len(GOOD), "pca_models": 2}


@pytest.fixture(scope="module")
def storage(spark: "SparkSession", module_settings: "Settings") -> Storage:
    """A store that the whole chain has filled, in two rounds."""
    settings = module_settings
    for k, dropped in ((2, GOOD[:6]), (3, [*GOOD[6:], *BAD])):
        drop(settings.storage, ((f"{photo.label}/{photo.name}", photo.data) for photo in dropped))
        stream(spark, settings, once=True)
        refresh(spark, override(settings, "pca", k=k))
    return settings.storage


def by_delta_rs(spark: "SparkSession", storage: Storage, table: str) -> pa.Table:
    opened = open_table(storage, table)
    assert opened is not None
    return pa.table(QueryBuilder().register(table, opened).execute(f"SELECT * FROM {table}").read_all())  # noqa: S608


def by_duckdb(spark: "SparkSession", storage: Storage, table: str) -> pa.Table:
    with sql.tables(storage) as asked:
        return asked.ask(f"FROM {table}").read_all()


def by_polars(spark: "SparkSession", storage: Storage, table: str) -> pa.Table:
    scanned = pl.scan_delta(storage.table_uri(table, "s3"), storage_options=delta_options(storage))
    return scanned.collect().to_arrow()


def by_spark_sql(spark: "SparkSession", storage: Storage, table: str) -> pa.Table:
    return spark.table(f"delta.`{storage.table_uri(table)}`").toArrow()


def sorted_rows(table: pa.Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_pylist()
    return sorted(rows, key=lambda row: tuple(row.values())[:2])


@pytest.mark.parametrize("table", NAMES)
@pytest.mark.parametrize("read", [by_duckdb, by_polars, by_spark_sql])
def test_every_reader_sees_the_same_rows(
    spark: "SparkSession", storage: Storage, table: str, read: Callable[..., pa.Table]
) -> None:
    expected, found = by_delta_rs(spark, storage, table), read(spark, storage, table)
    assert found.column_names == expected.column_names == column_names(table)
    assert sorted_rows(found) == sorted_rows(expected)
    assert found.num_rows == ROWS[table]


@pytest.mark.parametrize("table", NAMES)
def test_every_table_stays_at_reader_version_1(storage: Storage, table: str) -> None:
    store = object_store(storage)
    log = obstore.list(store, f"{storage.prefix}tables/{table}/_delta_log/").collect()
    commits = [meta["path"] for meta in log if meta["path"].endswith(".json")]
    assert f"{storage.prefix}tables/{table}/_delta_log/{0:020}.json" in commits
    actions = [json.loads(line) for path in commits for line in bytes(obstore.get(store, path).bytes()).splitlines()]
    protocols = [action["protocol"] for action in actions if "protocol" in action]
    assert protocols
    for protocol in protocols:
        assert protocol["minReaderVersion"] == 1
        assert not protocol.get("readerFeatures")
    assert not [action for action in actions if action.get("add", {}).get("deletionVector")]


@pytest.mark.parametrize("table", NAMES)
def test_every_table_has_the_columns_of_its_contract(spark: "SparkSession", storage: Storage, table: str) -> None:
    opened = open_table(storage, table)
    assert opened is not None
    promised = StructType.fromDDL(COLUMNS[table]).jsonValue()["fields"]
    assert json.loads(opened.schema().to_json())["fields"] == promised
    assert {field["name"] for field in promised if field["nullable"]} == NULLABLE.get(table, set())


def test_a_process_that_read_a_table_ends_well(storage: Storage) -> None:
    """Threads that run Python while the interpreter ends abort it, each second time or so."""
    script = f"""
from conf.delta import dataset, open_table
from conf.settings import Storage
storage = Storage.model_validate_json({storage.model_dump_json()!r})
for _ in range(5):
    table = dataset(open_table(storage, "features"), storage).to_table()
"""
    for _ in range(5):
        process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
        assert (process.stderr, process.returncode) == ("", 0)
