"""Discovery: which object versions in the landing zone no manifest lists yet."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Protocol

from streaming.admission import Limits
from streaming.manifests import Landed

# Of a listing beside a queue, as much at a time as delays what the queue tells by a second at most: five pages.
_RELISTED = 5000


class Arrivals(Protocol):
    """Where object versions are heard of, be they new or not."""

    def look(self) -> Iterator[Landed]:
        """What there is to see now, read not much further than it is asked for."""
        ...

    def taken(self, versions: Iterable[Landed], manifest: int) -> None:
        """A manifest lists these: this one, or one before it."""
        ...

    def done(self, manifest: int) -> None:
        """Everything that this manifest and those before it list is in the tables."""
        ...

    def close(self) -> None:
        """Let go of what was heard of; a new object hears of it again."""
        ...


class Known(Protocol):
    """What manifests list."""

    last: int

    def __contains__(self, version: Landed) -> bool: ...


class Discovery:
    """Cuts what is heard of and no manifest lists into bounded pieces.

    A look is asked for no more than one piece needs: a backlog of a million objects starts its first batch at once. Nor
    is what was found kept waiting for the end of a long look that finds little.
    """

    def __init__(self, arrivals: Arrivals, known: Known, clock: Callable[[], float] = time.monotonic) -> None:
        self._arrivals = arrivals
        self._known = known
        self._clock = clock
        self._rest: Iterator[Landed] = iter(())
        self._held_back: Landed | None = None
        self.more = False
        """Whether the last piece left anything of its look."""

    def next_piece(self, limits: Limits) -> tuple[Landed, ...]:
        """Versions that wait, within the limits or one larger one; empty where nothing waits."""
        piece = self._cut(limits)
        # The rest of a look begun earlier may be empty although something has come since it began.
        if not piece:
            self._rest = self._arrivals.look()
            piece = self._cut(limits)
        return piece

    def _next_versions(self) -> Iterator[Landed]:
        if self._held_back is not None:
            version, self._held_back = self._held_back, None
            yield version
        # Not `yield from`: a piece that is full would close the look with it.
        for version in self._rest:
            yield version

    def _cut(self, limits: Limits) -> tuple[Landed, ...]:
        piece: dict[tuple[str, str], Landed] = {}
        size = 0
        until = math.inf
        self.more = True
        for version in self._next_versions():
            if self._clock() > until:
                self._held_back = version
                break
            if version in self._known:
                self._arrivals.taken((version,), self._known.last)
                continue
            if version.name in piece:
                continue
            if piece and size + version.size > limits.size:
                self._held_back = version
                break
            if not piece:
                until = self._clock() + limits.seconds
            piece[version.key, version.etag] = version
            size += version.size
            if len(piece) == limits.files:
                break
        else:
            self.more = False
        return tuple(piece.values())


class Relisting:
    """Arrivals as events tell of them, and as a listing shows them from time to time, for what no event told of.

    The first listing is at the first look and goes to its end; later ones go on a little with each look.
    """

    def __init__(
        self, events: Arrivals, listing: Arrivals, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._events = events
        self._listing = listing
        self._seconds = seconds
        self._clock = clock
        self._due = clock()
        self._first = True
        self._rest: Iterator[Landed] | None = None

    def look(self) -> Iterator[Landed]:
        """What events tell, then some of what a listing shows where one is due."""
        yield from self._events.look()
        if self._rest is None and self._clock() >= self._due:
            self._rest = self._listing.look()
        if self._rest is not None:
            shown = 0
            for version in self._rest if self._first else islice(self._rest, _RELISTED):
                shown += 1
                yield version
            if self._first or shown < _RELISTED:
                self._first, self._rest, self._due = False, None, self._clock() + self._seconds

    def taken(self, versions: Iterable[Landed], manifest: int) -> None:
        """A manifest lists these: this one, or one before it."""
        self._events.taken(versions, manifest)

    def done(self, manifest: int) -> None:
        """Everything that this manifest and those before it list is in the tables."""
        self._events.done(manifest)

    def close(self) -> None:
        """Let go of events."""
        self._events.close()
