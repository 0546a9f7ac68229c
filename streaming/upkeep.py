"""Upkeep of the tables beside a stream: from time to time, what only versions nobody keeps any more need is deleted.

That is Delta's VACUUM, which commits nothing, so no micro-batch waits for it. What commits happens within the commits
of the micro-batches, as the tables' own properties say: fifty small files become one, and the log forgets old versions.
"""

import json
import logging
import time
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Self

import obstore
from obstore.store import ObjectStore

from conf.s3 import read_object
from conf.settings import Settings, Tables
from streaming.state import TABLES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from conf.lease import Lease

# Until the next attempt, where one failed.
_RETRY_SECONDS = 600.0
# A stream that ends gives a VACUUM under way this long. What it leaves, the next one deletes.
_GOODBYE_SECONDS = 10.0
_log = logging.getLogger(__name__)


def upkeep_properties(tables: Tables) -> dict[str, str]:
    """Properties of a table that the stream writes."""
    kept = f"interval {round(tables.keep_days * 24 * 60)} minutes"
    return {
        "delta.autoOptimize.autoCompact": "true",
        "delta.deletedFileRetentionDuration": kept,
        "delta.logRetentionDuration": kept,
        # A checkpoint takes as long as a few small commits; without one, a reader opens this many files of the log.
        "delta.checkpointInterval": "30",
    }


class Upkeep:
    """Does so while a `with` lasts, in a thread of its own; whatever goes wrong with it is one warning a time."""

    def __init__(self, spark: "SparkSession", settings: Settings, store: ObjectStore, lease: "Lease") -> None:
        self._spark = spark
        self._storage = settings.storage
        self._every = timedelta(hours=settings.tables.vacuum_hours)
        self._store = store
        self._lease = lease
        self._marker = settings.storage.state_key("vacuumed.json")
        self._ending = Event()
        self._keeper = Thread(target=self._keep, name="upkeep", daemon=True)

    def __enter__(self) -> Self:
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._keeper.join(_GOODBYE_SECONDS)

    def _keep(self) -> None:
        wait = 0.0
        while not self._ending.wait(wait):
            try:
                wait = self._seconds_until_due()
                if wait <= 0:
                    self._vacuum()
                    wait = self._every.total_seconds()
            except Exception as error:
                if not self._ending.is_set():
                    _log.warning("Old files of the tables are not deleted for now: %s", error)
                wait = _RETRY_SECONDS

    def _seconds_until_due(self) -> float:
        """From the marker that the last VACUUM left; a new store gets its first one a whole interval from now."""
        body = read_object(self._store, self._marker)
        if body is None:
            self._mark()
            return self._every.total_seconds()
        try:
            return float(json.loads(body)["at"] + self._every.total_seconds() - time.time())
        except (ValueError, KeyError, TypeError):
            return 0.0

    def _vacuum(self) -> None:
        self._lease.check()
        for table in TABLES:
            self._spark.sql(f"VACUUM delta.`{self._storage.table_uri(table)}`")
        self._mark()

    def _mark(self) -> None:
        now = datetime.now(UTC)
        told = {"at": now.timestamp(), "utc": now.isoformat(timespec="seconds")}
        obstore.put(self._store, self._marker, json.dumps(told).encode())
