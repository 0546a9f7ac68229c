"""Taking one object version out of the landing zone, and none that came in its place.

Copy and delete are each made on condition of the etag. What remains depends on the store's DELETE with If-Match:

- AWS compares and deletes in one step. Nothing unseen can be deleted.
- The embedded S3 (s3proxy 4.1.0) compares, then deletes. An overwrite that ends in the milliseconds between is lost.
- A store that ignores If-Match deletes whatever is there. A HEAD goes before it, so an overwrite between these two
  requests is lost.

Etags are compared, never computed: that of an upload in parts is no digest of the bytes.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import NotFoundError
from obstore.store import ObjectStore

from conf.s3 import explain, store_answers
from conf.settings import Storage
from streaming.archive import archive_key
from streaming.manifests import Landed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# It is gone, or another version is there, or is just being written.
_ANOTHER = {"NoSuchKey", "404", "PreconditionFailed", "412", "ConditionalRequestConflict"}
# The times that an event, a listing and a HEAD tell of one drop differ by less: some have whole seconds.
_SAME_DROP = timedelta(seconds=2)


class Remover:
    """Removes versions from the landing zone, in as many threads as call it.

    Parameters
    ----------
    client
        For what obstore has no condition for: its copy and its delete take none.
    archive
        Whether each is copied to the archive first.
    """

    def __init__(self, storage: Storage, store: ObjectStore, client: "S3Client", *, archive: bool) -> None:
        self._storage = storage
        self._store = store
        self._client = client
        self._archive = archive

    def remove(self, version: Landed) -> bool:
        """Take this version out; tells whether it was there. Done again after any interruption, it does no harm.

        Raises
        ------
        StorageError
            Where the store refuses or does not answer.
        """
        if self._archive and not self._copy(version):
            return False
        return self._is_there(version) and self._delete(version)

    def _copy(self, version: Landed) -> bool:
        return (
            self._held(
                self._client.copy_object,
                Key=archive_key(self._storage, version),
                CopySource={"Bucket": self._storage.bucket, "Key": version.key},
                CopySourceIfMatch=f'"{version.etag}"',
            )
            is not None
        )

    def _is_there(self, version: Landed) -> bool:
        """Whether it is there, and is not the same bytes dropped again since: these stay, for people to decide."""
        with store_answers(version.key, shown=version.shown):
            try:
                found = obstore.head(self._store, version.key)
                etag, landed_at = found["e_tag"] or "", found["last_modified"]
            except (NotFoundError, FileNotFoundError):
                return False
            except ValueError:
                # S3 knows keys that obstore does not: empty segments, `.` and `..`, control characters.
                answer = self._held(self._client.head_object, Key=version.key, IfMatch=f'"{version.etag}"')
                if answer is None:
                    return False
                etag, landed_at = answer["ETag"], answer["LastModified"]
        return etag.strip('"') == version.etag and landed_at - version.last_modified < _SAME_DROP

    def _delete(self, version: Landed) -> bool:
        return self._held(self._client.delete_object, Key=version.key, IfMatch=f'"{version.etag}"') is not None

    def _held(self, request: Any, **arguments: Any) -> dict[str, Any] | None:
        """Make a request on a condition; gives its answer where that held, else None."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer: dict[str, Any] = request(Bucket=self._storage.bucket, **arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] in _ANOTHER:
                return None
            raise explain(error, self._storage) from None
        except BotoCoreError as error:
            raise explain(error, self._storage) from None
        return answer
