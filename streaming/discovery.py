"""Discovery: which object versions in the landing zone no manifest lists yet."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeVar

from conf.s3 import explain
from conf.settings import Storage
from streaming.admission import Limits
from streaming.manifests import Landed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef


# Of a listing beside a queue, as much at a time as delays what the queue tells by a second at most: five pages.
_RELISTED = 5000
# A batch of a minute on a laptop is ten pages. Each waits in a few hundred kilobytes.
_PAGES_AHEAD = 16

T = TypeVar("T")


class Arrivals(Protocol):
    """Where object versions are heard of, be they new or not."""

    def look(self) -> Iterator[Landed]:
        """What there is to see now, read no further than it is asked for."""
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

    A look goes as far as one piece needs and no further: a backlog of a million objects starts its first batch at once.
    Nor is what was found kept waiting for the end of a long look that finds little.
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
        self.more = True
        for version in self._next_versions():
            if version in self._known:
                self._arrivals.taken((version,), self._known.last)
                continue
            if (version.key, version.etag) in piece:
                continue
            if piece and size + version.size > limits.size:
                self._held_back = version
                break
            if not piece:
                found = self._clock()
            piece[version.key, version.etag] = version
            size += version.size
            if len(piece) == limits.files or self._clock() - found > limits.seconds:
                break
        else:
            self.more = False
        return tuple(piece.values())


class Listing:
    """Arrivals as a listing of the whole landing zone shows them."""

    def __init__(self, client: "S3Client", storage: Storage) -> None:
        self._client = client
        self._storage = storage

    def look(self) -> Iterator[Landed]:
        """List, some pages ahead of what is asked for: while a batch is at work, the next one's are listed."""
        pages = _ahead(_pages(self._client, self._storage, self._storage.landing), _PAGES_AHEAD)
        return (version for page in pages for version in _photographs(page, self._storage))

    def taken(self, versions: Iterable[Landed], manifest: int) -> None:
        """Nothing to do: the next listing shows them again."""

    def done(self, manifest: int) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


class Relisting:
    """Arrivals as events tell of them, and as a listing shows them from time to time, for what no event told of.

    The first listing is at the first look and goes to its end; later ones go on a little with each look.
    """

    def __init__(
        self, events: Arrivals, listing: Listing, seconds: float, clock: Callable[[], float] = time.monotonic
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


def list_landing(client: "S3Client", storage: Storage) -> Iterator[Landed]:
    """Every object version in the landing zone that is meant as a photograph, in the store's order.

    Raises
    ------
    StorageError
        Where the bucket is gone, refuses or does not answer.
    """
    return _photographs(list_below(client, storage, storage.landing), storage)


def list_below(client: "S3Client", storage: Storage, prefix: str) -> "Iterator[ObjectTypeDef]":
    """Every object below a key prefix, as boto3 tells of it: obstore cannot say all keys that S3 allows.

    Raises
    ------
    StorageError
        As for `list_landing`.
    """
    return (entry for page in _pages(client, storage, prefix) for entry in page)


def _pages(client: "S3Client", storage: Storage, prefix: str) -> "Iterator[list[ObjectTypeDef]]":
    from botocore.exceptions import BotoCoreError, ClientError

    pages = client.get_paginator("list_objects_v2").paginate(Bucket=storage.bucket, Prefix=prefix)
    try:
        for page in pages:
            yield page.get("Contents", [])
    except (ClientError, BotoCoreError) as error:
        raise explain(error, storage) from None


def _ahead(items: Iterator[T], count: int) -> Iterator[T]:
    """The same (None is none), with so many of them read in a thread while those before are in use."""
    with ThreadPoolExecutor(1, "ahead") as reader:
        try:
            coming = deque(reader.submit(next, items, None) for _ in range(count))
            while (item := coming.popleft().result()) is not None:
                coming.append(reader.submit(next, items, None))
                yield item
        finally:
            reader.shutdown(cancel_futures=True)


def _photographs(entries: "Iterable[ObjectTypeDef]", storage: Storage) -> Iterator[Landed]:
    for entry in entries:
        if is_photograph(entry["Key"].removeprefix(storage.landing)):
            yield Landed(entry["Key"], entry["ETag"].strip('"'), entry["Size"], entry["LastModified"])


def is_photograph(path: str) -> bool:
    """Whether a path below the landing zone is meant as one: no folder marker, nothing hidden by `_` or `.`."""
    return path[-1:] not in ("", "/") and not any(part.startswith(("_", ".")) for part in path.split("/"))
