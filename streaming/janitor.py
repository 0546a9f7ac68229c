"""The thread that cleans the landing zone beside a stream, with `discovery.clean`.

It waits for the store nearly all the time, and rests as long as it worked: no micro-batch waits for it, and whatever
goes wrong with it is one warning and another try.
"""

import logging
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Self

from obstore.store import ObjectStore

from conf.errors import LeaseError
from conf.s3 import control_client
from conf.settings import Settings
from streaming.cleaning import IN_FLIGHT, Cleaner

if TYPE_CHECKING:
    from conf.lease import Lease

PASS_SECONDS = 60.0
# boto3 costs 2 ms of the driver's processor a request: half of the time is the stream's, where they share a machine.
_REST = 1.0
_GOODBYE_SECONDS = 5.0
_LOOK_SECONDS = 0.1
_log = logging.getLogger(__name__)


class Janitor:
    """Cleans now and then while a `with` lasts; does nothing where `discovery.clean` is off."""

    def __init__(self, settings: Settings, store: ObjectStore, lease: "Lease") -> None:
        self._cleaner: Cleaner | None = None
        if settings.discovery.clean != "off":
            self._client = control_client(settings.storage, IN_FLIGHT)
            self._cleaner = Cleaner(settings.storage, settings.discovery, store, self._client, lease.check)
        self._failing = False
        self._ended = Event()
        self._working = Thread(target=self._work, name="janitor", daemon=True)

    def __enter__(self) -> Self:
        if self._cleaner:
            self._working.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._cleaner is None:
            return
        self._ended.set()
        # A store that hangs keeps a thread; it must not keep the stream from ending.
        self._working.join(_GOODBYE_SECONDS)
        if not self._working.is_alive():
            self._client.close()

    def wait(self, stop: Event) -> None:
        """Wait for the end of what it does, unless or until `stop`."""
        self._ended.set()
        while self._working.is_alive() and not stop.is_set():
            self._working.join(_LOOK_SECONDS)

    def finish(self, stop: Event) -> None:
        """Make one more pass, the last, in this thread, unless or until `stop`."""
        if self._cleaner is None:
            return
        self.wait(stop)
        if not stop.is_set():
            self._clean(self._cleaner, stop, rest=0.0)

    def _work(self) -> None:
        while self._cleaner and not self._ended.wait(PASS_SECONDS):
            self._clean(self._cleaner, self._ended, rest=_REST)

    def _clean(self, cleaner: Cleaner, ended: Event, rest: float) -> None:
        try:
            cleaner.clean(ended, rest)
        except LeaseError:
            # The stream's next commit will find out as well, and is the one to say so.
            return
        except Exception as error:
            # Whatever it is, photographs to come are worth more than the order among those that came.
            if not self._failing:
                _log.warning("The landing zone is not cleaned; the stream goes on, and that is tried again: %s", error)
            self._failing = True
            return
        if self._failing:
            _log.info("The landing zone is cleaned again.")
        self._failing = False
