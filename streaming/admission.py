"""Admission: how much the next micro-batch may take, so that it lasts about as long as it should.

A micro-batch costs a second or so whatever is in it. While little waits that is no matter, and what comes is to be seen
soon; under a backlog it is, and batches grow until they last a minute. How quick the workers are is measured, as it
differs by two orders between a laptop and a cluster.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from conf.settings import Stream

_FIRST_SECONDS = 4.0
# Nothing that was found waits longer for the rest of a look, unless the batch will last so long that it hardly matters.
_LOOK_SECONDS = 1.0
_LOOK_SHARE = 0.1
# Photographs of the first batch, by task: nothing is known yet, and a young worker is slow.
_FIRST_FILES = 64
# As long again, so many times, is each batch of a backlog as the one before.
_GROWTH = 4


class Limits(NamedTuple):
    """What a micro-batch may hold, at most; one larger object makes a batch of its own."""

    files: int
    size: int
    """Bytes."""
    seconds: float
    """How long a look for them may last, once it has found something."""


class Admission:
    """Sets limits from how long the batches before took.

    Parameters
    ----------
    stream
        Its `max_files` and `max_bytes` hold always, and `backlog_seconds` is as long as a batch should ever take.
    tasks
        Tasks that share a batch.
    clock
        Seconds that only grow.
    """

    def __init__(self, stream: Stream, tasks: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._seconds = min(_FIRST_SECONDS, stream.backlog_seconds)
        self._per_second = _FIRST_FILES * tasks / self._seconds
        self._taken = 0
        self._more = False
        self._began = 0.0

    def limits(self) -> Limits:
        """For the next batch, which is asked for when the one before has ended."""
        if not self._more:
            # Nothing waited; the source rested until its next look, and how long that batch took is not known.
            self._seconds = min(_FIRST_SECONDS, self._stream.backlog_seconds)
        elif self._tells(lasted := self._clock() - self._began):
            self._per_second = self._taken / max(lasted, 0.001)
            self._seconds = min(self._seconds * _GROWTH, self._stream.backlog_seconds)
        self._more = False
        return Limits(self._files, self._stream.max_bytes, max(_LOOK_SECONDS, self._seconds * _LOOK_SHARE))

    def admitted(self, files: int, more: bool) -> None:
        """A batch of so many photographs begins now, and more wait or none."""
        self._taken, self._more = files, more
        self._began = self._clock()

    def _tells(self, lasted: float) -> bool:
        """Whether the batch that ended shows how quick a full one is: one whose look was cut short may be tiny."""
        return self._taken >= self._files or lasted >= self._seconds / 2

    @property
    def _files(self) -> int:
        return min(max(1, round(self._per_second * self._seconds)), self._stream.max_files)
