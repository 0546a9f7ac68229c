"""Forgetting what was asked for, in all that is the stream's: features and rejects, landing zone, archive and state.

For the holder of the stream's lease, while no micro-batch runs: at the start of a stream, between two queries of one,
or in its place. What is to go is written down first (`streaming.traces`). Then each step may be done twice, so wherever
one dies, whoever has the lease next goes on. The order of the steps keeps each state in between one that a stream can
start from: hashes that keep the photographs from coming again, the sum of the rows that leave, the lists, the objects,
the rows, and at the end everything that older versions of the tables still tell.
"""

import logging
import math
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from obstore.store import ObjectStore

from conf import forgetting
from conf.erasing import CONNECTIONS, Eraser
from conf.errors import FruitsError, LeaseError
from conf.forgetting import Asked, Failure, Plan, Request
from conf.purge import delete_versions, purge
from conf.s3 import control_client
from conf.settings import Settings, Storage
from conf.spark_errors import from_spark
from streaming import forgotten, leaving, ledger, traces
from streaming.expiry import expire
from streaming.manifests import Manifests
from streaming.state import TABLES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from conf.lease import Lease

# A look is a listing, one of S3's dearer requests.
LOOK_SECONDS = 30.0
# Until the next attempt, where one failed.
RETRY_SECONDS = 600.0
_GOODBYE_SECONDS = 5.0
_WHY_LENGTH = 300
_log = logging.getLogger(__name__)


def settle(spark: "SparkSession", settings: Settings, store: ObjectStore, lease: "Lease") -> bool:
    """Carry out what is asked and not done, and let go of what is too old; tells whether all of it was tried.

    What goes wrong with a request is written down with it, for whoever asked. All is tried again later.

    Raises
    ------
    LeaseError
        Where the lease is lost: nothing may be changed any more.
    """
    storage = settings.storage
    try:
        asked = forgetting.requests(store, storage)
        failed = {request.id for request in asked if not _tried(spark, storage, store, request, lease)}
        expire(spark, settings, store, lease)
        # Of a request that was done and ended before this was.
        for name in leaving.read(store, storage).under_way.keys() - failed:
            leaving.end(store, storage, name)
    except LeaseError:
        raise
    except Exception as error:
        _log.warning("What is to be forgotten, or is too old, is not yet deleted, and tried again later: %s", error)
        return False
    return True


def _tried(spark: "SparkSession", storage: Storage, store: ObjectStore, request: Request, lease: "Lease") -> bool:
    """Carry one request out; tells whether that is done, or else it what went wrong."""
    try:
        carry_out(spark, storage, store, request, lease.check)
    except LeaseError:
        raise
    except Exception as error:
        told = error if isinstance(error, FruitsError) else from_spark(error)
        why = str(told) if told else f"{type(error).__name__}: {str(error).partition(chr(10))[0][:_WHY_LENGTH]}"
        _log.warning("What `fruits forget` asked for is not yet deleted, and tried again later: %s", why)
        failure = Failure(datetime.now(UTC).isoformat(timespec="seconds"), why)
        forgetting.change(store, storage, request.id, failed=failure)
        return False
    return True


def carry_out(
    spark: "SparkSession", storage: Storage, store: ObjectStore, request: Request, check: Callable[[], None]
) -> None:
    """Carry out one request, as far as it is the stream's; nothing where that is done.

    Parameters
    ----------
    check
        Called before each change; raises where it must not be made any more.

    Raises
    ------
    FruitsError
        Where the store refuses, or state or tables are damaged. It stays asked for.
    """
    now = forgetting.read(store, storage, request.id)
    if now is None:
        return
    if now.tables is None:
        check()
        plan = now.plan
        if plan is None:
            plan = traces.find(storage, store, now.asked, now.meant)
            forgetting.change(store, storage, now.id, plan=plan)
        did = _delete(spark, storage, store, now.asked, plan, now.id, check)
        # Before it is counted as done: once it was, a number of rows must not be said again.
        forgetting.change(store, storage, now.id, tables=did, failed=None)
        _log.info("What `fruits forget` asked for: photographs and rows are gone; vectors and models follow.")
    leaving.end(store, storage, now.id)


def _delete(
    spark: "SparkSession",
    storage: Storage,
    store: ObjectStore,
    asked: Asked,
    plan: Plan,
    name: str,
    check: Callable[[], None],
) -> dict[str, Any]:
    """Take everything away that a plan names; tells what that was."""
    did: dict[str, Any] = {"removed": dict(plan.found), "versions": {}}
    with closing(control_client(storage, CONNECTIONS)) as client:
        eraser = Eraser(client, storage, check)
        forgotten.remember(store, storage, plan.versions)
        forgotten.remember(store, storage, plan.contents, "contents")
        leaving.begin(store, storage, name, plan.leaving)
        _unlist(store, storage, plan, check)
        eraser.erase(traces.objects(eraser, storage, asked, plan.versions))
        eraser.erase_keys(traces.set_aside(store, storage, asked, plan.versions))
        for table in TABLES:
            if plan.found[table]:
                delete_versions(spark, storage, table, plan.rows, check)
        # What is listed was, or may have been, in a version of either.
        for table in TABLES if plan.rows else ():
            did["versions"][table] = purge(spark, storage, table, eraser, check)
            eraser.erase_older(storage.table_key(table, ""))
    return did


def _unlist(store: ObjectStore, storage: Storage, plan: Plan, check: Callable[[], None]) -> None:
    """Take versions out of the manifests, and out of what sums these up."""
    check()
    ledger.forget(store, storage, plan.rows)
    manifests, names = Manifests(store, storage.state_key("manifests")), frozenset(plan.versions)
    for number in plan.manifests:
        check()
        manifests.forget(number, names)


class Watch:
    """Looks now and then, while a `with` lasts, whether anything is asked for."""

    def __init__(self, store: ObjectStore, storage: Storage, seconds: float, most: float = math.inf) -> None:
        self._store = store
        self._storage = storage
        self._seconds = seconds
        self._until = time.monotonic() + most
        self.asked = Event()
        """Whether it is, but for what has just failed, or the watch has lasted for the most seconds that it may."""
        self._ended = Event()
        self._looking = Thread(target=self._look, name="forgetting", daemon=True)

    def __enter__(self) -> Self:
        self._looking.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._looking.join(_GOODBYE_SECONDS)

    def _look(self) -> None:
        wait = self._seconds
        while not self._ended.wait(wait):
            wait = self._seconds
            try:
                late = time.monotonic() > self._until
                if late or any(map(_is_due, forgetting.requests(self._store, self._storage))):
                    self.asked.set()
                    return
            except Exception as error:
                wait = RETRY_SECONDS
                _log.warning("Whether anything is to be forgotten is not known for now: %s", error)


def _is_due(request: Request) -> bool:
    return request.tables is None and (request.failed is None or request.failed.age > RETRY_SECONDS)
