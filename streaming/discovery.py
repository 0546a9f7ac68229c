"""Discovery: which object versions in the landing zone no manifest lists yet."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from conf.s3 import explain
from conf.settings import Storage
from streaming.admission import Limits
from streaming.manifests import Landed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


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


class Discovery:
    """Cuts what is heard of and no manifest lists into bounded pieces.

    A look goes as far as one piece needs and no further: a backlog of a million objects starts its first batch at once.
    """

    def __init__(self, arrivals: Arrivals, is_listed: Callable[[Landed], bool]) -> None:
        self._arrivals = arrivals
        self._is_listed = is_listed
        self._rest: Iterator[Landed] = iter(())
        self._held_back: Landed | None = None

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
        yield from self._rest

    def _cut(self, limits: Limits) -> tuple[Landed, ...]:
        piece: dict[tuple[str, str], Landed] = {}
        size = 0
        for version in self._next_versions():
            if self._is_listed(version) or (version.key, version.etag) in piece:
                continue
            if piece and size + version.size > limits.size:
                self._held_back = version
                break
            piece[version.key, version.etag] = version
            size += version.size
            if len(piece) == limits.files:
                break
        return tuple(piece.values())


class Listing:
    """Arrivals as a listing of the whole landing zone shows them."""

    def __init__(self, client: "S3Client", storage: Storage) -> None:
        self._client = client
        self._storage = storage

    def look(self) -> Iterator[Landed]:
        """List, a page at a time."""
        return list_landing(self._client, self._storage)

    def taken(self, versions: Iterable[Landed], manifest: int) -> None:
        """Nothing to do: the next listing shows them again."""

    def done(self, manifest: int) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


def list_landing(client: "S3Client", storage: Storage) -> Iterator[Landed]:
    """Every object version in the landing zone that is meant as a photograph, in the store's order.

    Raises
    ------
    StorageError
        Where the bucket is gone, refuses or does not answer.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    pages = client.get_paginator("list_objects_v2").paginate(Bucket=storage.bucket, Prefix=storage.landing)
    try:
        for page in pages:
            for entry in page.get("Contents", ()):
                if is_photograph(entry["Key"].removeprefix(storage.landing)):
                    yield Landed(entry["Key"], entry["ETag"].strip('"'), entry["Size"], entry["LastModified"])
    except (ClientError, BotoCoreError) as error:
        raise explain(error, storage) from None


def is_photograph(path: str) -> bool:
    """Whether a path below the landing zone is meant as one: no folder marker, nothing hidden by `_` or `.`."""
    return path[-1:] not in ("", "/") and not any(part.startswith(("_", ".")) for part in path.split("/"))
