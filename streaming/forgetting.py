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
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from obstore.store import ObjectStore

from conf import forgetting
from conf.erasing import CONNECTIONS, Eraser
from conf.errors import LeaseError
from conf.forgetting import Plan, Request
from conf.purge import delete_versions, purge
from conf.s3 import control_client
from conf.settings import Settings, Storage
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
_log = logging.getLogger(__name__)


def settle(spark: "SparkSession", settings: Settings, store: ObjectStore, lease: "Lease") -> bool:
    """Carry out what is asked and not done, and let go of what is too old; tells whether that is done.

    What goes wrong is a warning, and tried again later.

    Raises
    ------
    LeaseError
        Where the lease is lost: nothing may be changed any more.
    """
    try:
        for request in forgetting.requests(store, settings.storage):
            carry_out(spark, settings.storage, store, request, lease.check)
        expire(spark, settings, store, lease)
    except LeaseError:
        raise
    except Exception as error:
        _log.warning("What is to be forgotten, or is too old, is not yet deleted, and tried again later: %s", error)
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
    if forgetting.done(store, storage, request, "tables") is not None:
        return
    check()
    plan = forgetting.plan_of(store, storage, request)
    if plan is None:
        plan = traces.find(storage, store, request.asked)
        forgetting.keep_plan(store, storage, request, plan)
    did: dict[str, Any] = {"removed": dict(plan.found), "versions": {}}
    with closing(control_client(storage, CONNECTIONS)) as client:
        eraser = Eraser(client, storage, check)
        forgotten.remember(store, storage, plan.versions)
        forgotten.remember(store, storage, plan.contents, "contents")
        leaving.begin(store, storage, request.id, plan.leaving)
        _unlist(store, storage, plan, check)
        eraser.erase(traces.objects(eraser, storage, request.asked, plan.versions))
        eraser.erase_keys(traces.set_aside(store, storage, request.asked, plan.versions))
        for table in TABLES:
            if plan.found[table]:
                delete_versions(spark, storage, table, plan.rows, check)
        # What is listed was, or may have been, in a version of either.
        for table in TABLES if plan.rows else ():
            did["versions"][table] = purge(spark, storage, table, eraser, check)
            eraser.erase_older(storage.table_key(table, ""))
    leaving.end(store, storage, request.id)
    forgetting.mark(store, storage, request, "tables", did)
    _log.info("What `fruits forget` asked for is carried out, as far as it is the stream's.")


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
        """Whether it is, or the watch has lasted for the most seconds that it may: for the stream to pause."""
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
        while not self._ended.wait(self._seconds):
            try:
                if time.monotonic() > self._until or forgetting.pending(self._store, self._storage, "tables"):
                    self.asked.set()
                    return
            except Exception as error:
                _log.warning("Whether anything is to be forgotten is not known for now: %s", error)
