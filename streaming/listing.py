"""Listing: what the landing zone holds, as S3 shows it, a page of a thousand keys at a time."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from conf.s3 import explain
from conf.settings import Storage
from streaming.manifests import Landed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

# A batch of a minute on a laptop is ten pages. Each waits in a few hundred kilobytes.
_PAGES_AHEAD = 16

T = TypeVar("T")


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
    """The same up to the first None, so many of them read in a thread while those before are in use."""
    reader = ThreadPoolExecutor(1, "ahead")
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
