"""Discovery by events: S3 tells an SQS queue what lands, so the cost of a look follows what came, not what is there.

A message is held from the moment it is received until the rows of all that it told of are in the tables, and only then
deleted. Dying at any point in between leaves it to SQS, which delivers it again.
"""

import logging
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

import obstore
from obstore.store import ObjectStore

from conf.errors import StorageError
from conf.s3 import store_answers
from conf.settings import Storage
from streaming.events import NotUnderstood, landed_in
from streaming.inflight import InFlight, Receipt
from streaming.manifests import Landed
from streaming.sqs import BATCH, PARALLEL, Delivery, Mailbox

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# A short poll asks some of SQS's servers; one that finds nothing may have asked the wrong ones.
_EMPTY_ANSWERS = 2
_GOODBYE_SECONDS = 5.0
# SQS gives 120,000 to one reader; each costs a kilobyte here, and a tenth of a request with each extension.
MAX_IN_FLIGHT = 20_000

_log = logging.getLogger(__name__)


class Queue:
    """Arrivals as a queue tells of them, for one thread of one process to ask; a thread of its own keeps what it holds.

    Parameters
    ----------
    client
        For SQS; who made it closes it.
    url
        Of the queue. It is this stream's alone: two readers would share the messages out between them.
    storage
        Its bucket and landing zone are what messages must tell of.
    store
        The bucket, for messages that cannot be understood.
    visibility_seconds
        For so long a message is ours, and again with each extension. After a crash it takes as long to come again.
    max_in_flight
        A look ends where so many messages are held, or versions told of and not taken.
    """

    def __init__(
        self,
        client: "SQSClient",
        url: str,
        storage: Storage,
        store: ObjectStore,
        *,
        visibility_seconds: int = 120,
        max_in_flight: int = MAX_IN_FLIGHT,
    ) -> None:
        self._mailbox = Mailbox(client, url, visibility_seconds)
        self._storage = storage
        self._store = store
        self._visibility = visibility_seconds
        self._max_in_flight = max_in_flight
        self._in_flight = InFlight()
        self._requests = ThreadPoolExecutor(PARALLEL, "queue")
        self._stop = Event()
        self.set_aside = 0
        """Messages that could not be understood, so far."""
        keep = (weakref.ref(self), self._stop, visibility_seconds / 6)
        self._keeper = Thread(target=_keep, args=keep, name="queue-keep", daemon=True)
        self._keeper.start()
        # Dropped without `close`, this object must not live on in its thread and hold its messages for ever.
        weakref.finalize(self, self._stop.set)

    def look(self) -> Iterator[Landed]:
        """What earlier looks showed and nobody took, then what waits in the queue, as far as one asks.

        Each version once, however many messages tell of it; it may be known from elsewhere.

        Raises
        ------
        StorageError
            Where the queue is gone, refuses or does not answer, or a message could not be set aside.
        """
        yield from self._in_flight.untaken()
        empty, width = 0, 1
        while empty < _EMPTY_ANSWERS and self._has_room():
            until = time.monotonic() + self._visibility
            answers = list(self._requests.map(lambda _: self._mailbox.receive(), range(width)))
            fresh = [version for answer in answers for delivery in answer for version in self._hold(delivery, until)]
            self._delete_settled()
            yield from fresh
            empty = 0 if any(answers) else empty + width
            # More at a time only while every answer is full: at a trickle, requests are what a look costs.
            width = min(2 * width, PARALLEL) if all(len(answer) == BATCH for answer in answers) else 1

    def taken(self, versions: Iterable[Landed], manifest: int) -> None:
        """This manifest lists these, or one before it does: their messages wait for it to be done."""
        self._in_flight.take(tuple(versions), manifest)

    def done(self, manifest: int) -> None:
        """Everything up to this manifest is in the tables: delete the messages that wait for no more.

        A message that SQS fails to delete is tried again by the next `done` or `look`.

        Raises
        ------
        StorageError
            Where the queue is gone, refuses or does not answer.
        """
        self._in_flight.settle(manifest)
        self._delete_settled()

    def close(self) -> None:
        """Let go of every message, so that SQS delivers it again at once rather than when its time is up."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._keeper.join(_GOODBYE_SECONDS)
        # Where SQS cannot be told, it finds out when the time is up.
        with suppress(StorageError):
            self._in_batches(self._mailbox.release, self._in_flight.all())
        self._requests.shutdown(cancel_futures=True)

    def _has_room(self) -> bool:
        if len(self._in_flight) >= self._max_in_flight:
            # Some may be settled since: duplicates of what is long in the tables are as soon as they are taken.
            self._delete_settled()
        return len(self._in_flight) < self._max_in_flight

    def _hold(self, delivery: Delivery, until: float) -> list[Landed]:
        """What it tells of, and none of its messages before; a message that tells of nothing is settled as it comes."""
        try:
            landed = landed_in(delivery.body, self._storage)
        except NotUnderstood as why:
            landed = ()
            self._put_aside(delivery, why)
        return self._in_flight.add(delivery.receipt, until, landed)

    def _put_aside(self, delivery: Delivery, why: NotUnderstood) -> None:
        path = self._storage.state_key(f"set-aside/{delivery.receipt.message}.json")
        with store_answers(path):
            obstore.put(self._store, path, delivery.body.encode("utf-8", "surrogatepass"))
        self.set_aside += 1
        _log.warning("Message %s of the queue was set aside in %s: %s.", delivery.receipt.message, path, why)

    def _delete_settled(self) -> None:
        def delete(receipts: Sequence[Receipt]) -> None:
            outcome = self._mailbox.delete(receipts)
            self._in_flight.forget(outcome.done + outcome.lost)

        self._in_batches(delete, self._in_flight.settled())

    def _keep_ending(self) -> None:
        """Extend what has less than two thirds of its time left, one request after another."""
        begun = time.monotonic()
        for receipts in _batches(self._in_flight.ending(begun + self._visibility * 2 / 3)):
            try:
                outcome = self._mailbox.keep(receipts)
            except StorageError as error:
                _log.warning("Messages of the queue are not kept, so that some may come twice. %s", error)
                return
            self._in_flight.renew(outcome.done, begun + self._visibility)
            self._in_flight.forget(outcome.lost)

    def _in_batches(self, request: Callable[[Sequence[Receipt]], object], receipts: Sequence[Receipt]) -> None:
        for _ in self._requests.map(request, _batches(receipts)):
            pass


def _keep(queue: "weakref.ref[Queue]", stop: Event, pause: float) -> None:
    """Keep a queue's messages until it is closed or dropped."""
    while not stop.wait(pause):
        held = queue()
        if held is None:
            return
        held._keep_ending()
        del held


def _batches(receipts: Sequence[Receipt]) -> list[Sequence[Receipt]]:
    return [receipts[start : start + BATCH] for start in range(0, len(receipts), BATCH)]
