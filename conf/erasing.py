"""Deleting objects for good: in a bucket with versioning, every version of them and every trace of a deletion."""

from collections.abc import Callable, Container, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from conf.s3 import error_code, explain
from conf.settings import Storage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECTIONS = 16
# Of stores that know no versioning.
_UNKNOWN = {"NotImplemented", "MethodNotAllowed", "InvalidRequest", "501"}
GONE = {"NoSuchKey", "NoSuchVersion", "404", "PreconditionFailed", "412"}


@dataclass(frozen=True)
class Version:
    """One version of an object, or the mark of its deletion."""

    key: str
    etag: str
    """Without its quotes; empty where it marks a deletion."""
    id: str | None
    """None where the bucket keeps one version of each."""
    is_newest: bool
    size: int = 0
    last_modified: datetime | None = None


class Eraser:
    """Lists and deletes versions below a store's prefix.

    Parameters
    ----------
    client
        With room for `CONNECTIONS`.
    check
        Called before each round of deletions; raises where they must not be made any more.
    """

    def __init__(self, client: "S3Client", storage: Storage, check: Callable[[], None] = lambda: None) -> None:
        self._client = client
        self._storage = storage
        self._check = check
        self.versioned = self._is_versioned()
        """Whether the bucket keeps, or has kept, older versions."""

    def versions(self, prefix: str) -> Iterator[Version]:
        """Every version of every object whose key begins so.

        Raises
        ------
        StorageError
            Where the store refuses or does not answer; so does everything here.
        """
        operation = "list_object_versions" if self.versioned else "list_objects_v2"
        pages = self._client.get_paginator(operation).paginate(Bucket=self._storage.bucket, Prefix=prefix)  # type: ignore[call-overload]
        with _told(self._storage):
            for page in pages:
                for entry in page.get("Versions" if self.versioned else "Contents", ()):
                    etag, version = entry["ETag"].strip('"'), entry.get("VersionId")
                    newest = entry.get("IsLatest", True)
                    yield Version(entry["Key"], etag, version, newest, entry["Size"], entry["LastModified"])
                for entry in page.get("DeleteMarkers", ()):
                    yield Version(entry["Key"], "", entry["VersionId"], entry["IsLatest"])

    def erase(self, versions: Iterable[Version]) -> int:
        """Delete these, each only where it is still what it was; tells how many there were."""
        self._check()
        with ThreadPoolExecutor(CONNECTIONS, "erase") as pool:
            return sum(pool.map(self._erase, versions))

    def erase_keys(self, keys: Iterable[str]) -> int:
        """Delete all versions of objects of these keys; tells how many there were."""
        return self.erase([version for key in keys for version in self.versions(key) if version.key == key])

    def erase_keys_below(self, prefix: str, keys: Container[str]) -> int:
        """The same of many keys that begin alike, by one listing of all that do."""
        return self.erase([version for version in self.versions(prefix) if version.key in keys])

    def erase_older(self, prefix: str) -> int:
        """Delete what a bucket with versioning keeps below a prefix of what was overwritten or deleted."""
        if not self.versioned:
            return 0
        return self.erase([found for found in self.versions(prefix) if not found.is_newest or not found.etag])

    def _erase(self, version: Version) -> int:
        arguments: dict[str, Any] = {"VersionId": version.id} if version.id else {"IfMatch": f'"{version.etag}"'}
        with _told(self._storage, GONE):
            if not version.id and not self._is_there(version):
                return 0
            self._client.delete_object(Bucket=self._storage.bucket, Key=version.key, **arguments)
            return 1
        return 0

    def _is_there(self, version: Version) -> bool:
        """For stores that delete on no condition."""
        found = self._client.head_object(Bucket=self._storage.bucket, Key=version.key)
        return found["ETag"].strip('"') == version.etag

    def _is_versioned(self) -> bool:
        with _told(self._storage, _UNKNOWN):
            answer = self._client.get_bucket_versioning(Bucket=self._storage.bucket)
            return answer.get("Status") in ("Enabled", "Suspended")
        return False


class _told:  # noqa: N801 (a context, used like a function)
    """Requests within raise StorageError, but for answers of some codes, which end the block."""

    def __init__(self, storage: Storage, expected: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        self._storage = storage
        self._expected = expected

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        from botocore.exceptions import BotoCoreError, ClientError

        if not isinstance(error, ClientError | BotoCoreError):
            return False
        if error_code(error) in self._expected:
            return True
        raise explain(error, self._storage) from None
