"""What keeps a table small: properties it has, and from time to time Delta's VACUUM.

A VACUUM deletes what only versions need that nobody keeps any more. It commits nothing. What commits happens within the
commits of those who write, as the properties say: fifty small files become one, and the log forgets old versions.
"""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.store import ObjectStore

from conf.s3 import read_object
from conf.settings import Settings, Tables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def upkeep_properties(tables: Tables) -> dict[str, str]:
    """Properties of a table that is written again and again."""
    kept = f"interval {round(tables.keep_days * 24 * 60)} minutes"
    return {
        "delta.autoOptimize.autoCompact": "true",
        "delta.deletedFileRetentionDuration": kept,
        "delta.logRetentionDuration": kept,
        # A checkpoint takes as long as a few small commits; without one, a reader opens this many files of the log.
        "delta.checkpointInterval": "30",
    }


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
