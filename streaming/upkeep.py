"""Upkeep of the tables beside a stream: a VACUUM from time to time, for which no micro-batch waits."""

import logging
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Self

from obstore.store import ObjectStore

from conf.settings import Settings
from conf.upkeep import Vacuum
from streaming.state import TABLES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from conf.lease import Lease

# Until the next attempt, where one failed.
_RETRY_SECONDS = 600.0
# A stream that ends gives a VACUUM under way this long. What it leaves, the next one deletes.
_GOODBYE_SECONDS = 10.0
_log = logging.getLogger(__name__)


class Upkeep:
    """Does so while a `with` lasts, in a thread of its own; whatever goes wrong with it is one warning a time."""

    def __init__(self, spark: "SparkSession", settings: Settings, store: ObjectStore, lease: "Lease") -> None:
        self._vacuum = Vacuum(spark, settings, store, TABLES, "vacuumed.json")
        self._lease = lease
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
                wait = self._vacuum.seconds_until_due()
                if wait <= 0:
                    self._lease.check()
                    self._vacuum.run()
                    wait = self._vacuum.every.total_seconds()
            except Exception as error:
                if not self._ending.is_set():
                    _log.warning("Old files of the tables are not deleted for now: %s", error)
                wait = _RETRY_SECONDS
