"""What keeps a table small: properties it has, and from time to time Delta's OPTIMIZE and VACUUM.

A VACUUM deletes what only versions need that nobody keeps any more, and commits nothing. Of small files large ones are
made within the commits of those who write, as the properties say, or by an OPTIMIZE, in a commit of its own.
"""

import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import obstore
import pyarrow as pa
from obstore.store import ObjectStore

from conf.delta import open_tables
from conf.s3 import read_object
from conf.settings import Settings, Storage, Tables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


# Fifty files smaller than the one become files as large as the other. Those of a backlog (streaming/sink.py) are larger
# than small, and never written again.
MANY_FILES = 50
SMALL_BYTES, LARGE_BYTES = 6 * 2**20, 32 * 2**20
COMPACTION = {
    "spark.databricks.delta.autoCompact.minFileSize": str(SMALL_BYTES),
    "spark.databricks.delta.autoCompact.maxFileSize": str(LARGE_BYTES),
    "spark.databricks.delta.autoCompact.minNumFiles": str(MANY_FILES),
    "spark.databricks.delta.optimize.minFileSize": str(SMALL_BYTES),
    "spark.databricks.delta.optimize.maxFileSize": str(LARGE_BYTES),
}
"""The same for a session: for what Delta does within a commit, and for `compact`."""


def upkeep_properties(tables: Tables, *, by_themselves: bool) -> dict[str, str]:
    """Properties of a table that is written again and again.

    Parameters
    ----------
    by_themselves
        Whether Delta makes large files of small ones within commits, which takes a second or two: for a table that is
        written all the time. It does so with the first commit of each session, however few they are; for whom that
        is most of the commits, there is `compact`.
    """
    kept = f"interval {round(tables.keep_days * 24 * 60)} minutes"
    return {
        "delta.autoOptimize.autoCompact": str(by_themselves).lower(),
        "delta.deletedFileRetentionDuration": kept,
        "delta.logRetentionDuration": kept,
        # A checkpoint takes as long as a few small commits; without one, a reader opens this many files of the log.
        "delta.checkpointInterval": "30",
    }


def compact(spark: "SparkSession", storage: Storage, tables: Sequence[str], check_lease: Callable[[], None]) -> None:
    """Make large files of small ones in those tables that have many, each in a commit of its own."""
    for table, opened in zip(tables, open_tables(storage, *tables), strict=True):
        sizes = [] if opened is None else pa.table(opened.get_add_actions())["size_bytes"].to_pylist()
        if sum(size < SMALL_BYTES for size in sizes) >= MANY_FILES:
            check_lease()
            spark.sql(f"OPTIMIZE delta.`{storage.table_uri(table)}`")


class Vacuum:
    """Of some tables, by whoever writes them; an object of the state says when it was last."""

    def __init__(
        self, spark: "SparkSession", settings: Settings, store: ObjectStore, tables: Sequence[str], marker: str
    ) -> None:
        self._spark = spark
        self._storage = settings.storage
        self._store = store
        self._tables = tables
        self._marker = settings.storage.state_key(marker)
        self.every = timedelta(hours=settings.tables.vacuum_hours)

    def seconds_until_due(self) -> float:
        """Below 0 where it should have been; a new store gets its first one a whole interval from now.

        Raises
        ------
        StorageError
            Where the store fails.
        """
        body = read_object(self._store, self._marker)
        if body is None:
            self._mark()
            return self.every.total_seconds()
        try:
            return float(json.loads(body)["at"] + self.every.total_seconds() - time.time())
        except (ValueError, KeyError, TypeError):
            return 0.0

    def run(self) -> None:
        """Delete. What goes wrong is Spark's or the store's to tell."""
        for table in self._tables:
            self._spark.sql(f"VACUUM delta.`{self._storage.table_uri(table)}`")
        self._mark()

    def _mark(self) -> None:
        now = datetime.now(UTC)
        told = {"at": now.timestamp(), "utc": now.isoformat(timespec="seconds")}
        obstore.put(self._store, self._marker, json.dumps(told).encode())
