"""Discovery by listing: which object versions in the landing zone no manifest lists yet."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from conf.s3 import explain
from conf.settings import Storage
from streaming.manifests import Landed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Seen:
    """The object versions that manifests list already, each as a 16-byte hash of its key and etag."""

    def __init__(self, versions: Iterable[Landed] = ()) -> None:
        self._digests = {_digest(version) for version in versions}

    def __contains__(self, version: Landed) -> bool:
        return _digest(version) in self._digests

    def add(self, versions: Iterable[Landed]) -> None:
        """Remember these versions."""
        self._digests.update(map(_digest, versions))


class Discovery:
    """Cuts what a listing shows and nobody has seen into bounded pieces.

    A listing is read as far as one piece needs and no further: a backlog of a million objects starts its first batch
    after the first pages, and only a page is ever held.
    """

    def __init__(self, listing: Callable[[], Iterator[Landed]], seen: Seen, max_files: int, max_bytes: int) -> None:
        self._listing = listing
        self._seen = seen
        self._max_files = max_files
        self._max_bytes = max_bytes
        self._rest: Iterator[Landed] = iter(())
        self._held_back: Landed | None = None

    def next_piece(self) -> tuple[Landed, ...]:
        """At most `max_files` unseen versions of at most `max_bytes`, or one larger one; empty where nothing waits."""
        piece = self._cut()
        # The rest of a listing begun earlier may be empty although something has come since it began.
        if not piece:
            self._rest = self._listing()
            piece = self._cut()
        return piece

    def mark_seen(self, piece: Iterable[Landed]) -> None:
        """Remember a piece, once a manifest lists it."""
        self._seen.add(piece)

    def _next_versions(self) -> Iterator[Landed]:
        if self._held_back is not None:
            version, self._held_back = self._held_back, None
            yield version
        yield from self._rest

    def _cut(self) -> tuple[Landed, ...]:
        piece: list[Landed] = []
        size = 0
        for version in self._next_versions():
            if version in self._seen:
                continue
            if piece and size + version.size > self._max_bytes:
                self._held_back = version
                break
            piece.append(version)
            size += version.size
            if len(piece) == self._max_files:
                break
        return tuple(piece)


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


def _digest(version: Landed) -> bytes:
    return hashlib.blake2b(f"{version.key}\0{version.etag}".encode(), digest_size=16).digest()
