"""Where a stream tells of its micro-batches: a file of JSON lines, a file for Prometheus, `state/progress.json`.

A thread of its own does so: no micro-batch waits for it, and whatever goes wrong with it is one warning.

Spark's part of a micro-batch, such as how long discovery took, comes from `query.lastProgress`: one call of a
millisecond or two. A StreamingQueryListener would be told the same by a callback that then fetches every figure by
itself, which takes a hundred times as long.
"""

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import obstore
from obstore.store import ObjectStore

from conf.errors import FruitsError
from conf.s3 import read_object, store_answers
from conf.settings import STDOUT, Settings, Storage
from streaming.manifests import Manifests
from streaming.metrics import Totals, as_line, describe
from streaming.outlet import Outlet, append, replace, say

if TYPE_CHECKING:
    from pyspark.sql.streaming import StreamingQuery

    from conf.lease import Lease
    from streaming.sink import BatchReport

# So often Prometheus' file is written while nothing lands: its age and the lease in it show that the stream lives.
_REFRESH_SECONDS = 10.0
# Spark knows how long a micro-batch took once it has noted its end, a moment after the sink has.
_PROGRESS_SECONDS = 2.0
_LOOK_SECONDS = 0.05
_GOODBYE_SECONDS = 5.0
_log = logging.getLogger(__name__)


class Reports:
    """Tells of micro-batches while a `with` lasts; on leaving it, tells that the stream has ended."""

    def __init__(self, settings: Settings, store: ObjectStore, lease: "Lease") -> None:
        storage, stream = settings.storage, settings.stream
        self._lease = lease
        self._backlog = Backlog(Manifests(store, storage.state_key("manifests")))
        self._totals = Totals(f"{storage.bucket}/{storage.prefix}")
        self._query: StreamingQuery | None = None
        lines, prometheus, progress = stream.metrics_file, stream.prometheus_file, storage.state_key("progress.json")
        self._append = Outlet(lines, say if lines == STDOUT else lambda data: append(Path(lines or ""), data))
        self._replace = Outlet(prometheus, lambda data: replace(Path(prometheus or ""), data))
        self._put = Outlet(progress, lambda data: _put(store, progress, data))
        self._batches: Queue[BatchReport | None] = Queue()
        self._teller = Thread(target=self._tell_all, name="reports", daemon=True)

    def __enter__(self) -> Self:
        self._teller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._batches.put(None)
        # A store or a disk that hangs keeps a thread; it must not keep the stream from ending.
        self._teller.join(_GOODBYE_SECONDS)

    def watch(self, query: "StreamingQuery") -> None:
        """Ask this query for Spark's part of the micro-batches to come."""
        self._query = query

    def add(self, batch: "BatchReport") -> None:
        """Tell of this micro-batch, soon."""
        self._batches.put(batch)

    def _tell_all(self) -> None:
        waiting: list[BatchReport | None] = []
        while None not in waiting:
            self._replace(self._totals.text(self._lease.until).encode())
            waiting = self._next()
            told = [self._tell(batch) for batch in waiting if batch]
            if told:
                self._put(as_line(told[-1]))
        self._replace(self._totals.text(None).encode())

    def _next(self) -> list["BatchReport | None"]:
        """What has come, as soon as anything does: a store that was slow to answer is told of the newest alone."""
        try:
            waiting = [self._batches.get(timeout=_REFRESH_SECONDS)]
        except Empty:
            return []
        while not self._batches.empty():
            waiting.append(self._batches.get_nowait())
        return waiting

    def _tell(self, batch: "BatchReport") -> dict[str, Any]:
        # First, before the next micro-batch is listed, which will be no backlog.
        backlog = self._backlog.after(batch.manifest)
        told = describe(batch, self._phases(batch.batch_id), backlog)
        self._totals.add(told)
        self._append(as_line(told))
        return told

    def _phases(self, batch_id: int) -> Mapping[str, int]:
        """Milliseconds by Spark's names, once it has noted the end of a micro-batch; nothing where it does not."""
        until = time.monotonic() + _PROGRESS_SECONDS
        active = self._query is not None
        try:
            while self._query is not None and active and time.monotonic() < until:
                active = self._query.isActive
                progress = self._query.lastProgress
                if progress is not None and progress.batchId >= batch_id:
                    return dict(progress.durationMs) if progress.batchId == batch_id else {}
                time.sleep(_LOOK_SECONDS)
        except Exception:
            # A JVM that has just died raises one of many things here, and the stream itself says why it ended.
            _log.debug("Spark does not tell how long micro-batch %s took.", batch_id, exc_info=True)
        return {}


class Backlog:
    """How many object versions manifests list beyond a given one. What only a listing shows is not among them."""

    def __init__(self, manifests: Manifests) -> None:
        self._manifests = manifests
        self._counts: dict[int, int] = {}

    def after(self, manifest: int) -> int | None:
        """None where the store does not tell."""
        try:
            waiting = sorted(self._manifests.numbers(after=manifest))
            self._counts = {n: self._counts.get(n) or self._manifests.count(n) for n in waiting}
        except FruitsError:
            return None
        return sum(self._counts.values())


def _put(store: ObjectStore, path: str, data: bytes) -> None:
    with store_answers(path):
        obstore.put(store, path, data)


def last_batch(store: ObjectStore, storage: Storage) -> dict[str, Any] | None:
    """The last micro-batch that any stream told of; None where none did.

    Raises
    ------
    StorageError
        Where the store does not answer.
    """
    path = storage.state_key("progress.json")
    body = read_object(store, path)
    if body is None:
        return None
    try:
        told = json.loads(body)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None
