"""GETs with many in flight: the network works while the processor decodes and predicts."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import GenericError, NotFoundError, PermissionDeniedError, PreconditionError
from obstore.store import ObjectStore

from conf.s3 import store_answers
from conf.tables import Reason
from streaming.manifests import Landed
from streaming.refusal import Refusal

if TYPE_CHECKING:
    from obstore import GetOptions

# Bytes that may wait in memory for their turn, so that large photographs do not multiply by the GETs in flight.
_MAX_WAITING_BYTES = 64_000_000

# S3's codes for what is wrong with one object, whatever this role may do: no other object fails for it.
_UNREADABLE = {
    "InvalidObjectState": "it is in an archive storage class: restore it, then `fruits reprocess --rejects`",
    "InvalidRequest": "it is encrypted with a key that S3 does not keep (SSE-C): drop it again without",
}

# What is refused for these may have left the landing zone for the archive.
_LEFT = (Reason.GONE, Reason.REPLACED)

V = TypeVar("V", bound=Landed)


class Fetcher:
    """Reads object versions, in order, each with one GET.

    Parameters
    ----------
    store
        The bucket.
    in_flight
        GETs under way at a time.
    max_bytes
        Objects larger than this are refused without a GET.
    archive
        Where a version is that has left the landing zone; None where there is no archive.
    """

    def __init__(
        self,
        store: ObjectStore,
        in_flight: int,
        max_bytes: int,
        archive: Callable[[Landed], str] | None = None,
    ) -> None:
        self._store = store
        self._in_flight = in_flight
        self._max_bytes = max_bytes
        self._archive = archive

    def fetch(self, versions: Iterable[V]) -> Iterator[tuple[V, bytes | Refusal]]:
        """Each version with its bytes, or with why it has none.

        Raises
        ------
        StorageError
            Where the store itself fails: that is no bad object, and nothing is to be refused for it.
        """
        under_way: deque[tuple[V, Future[bytes | Refusal]]] = deque()
        waiting_bytes = 0
        with ThreadPoolExecutor(self._in_flight, "fetch") as pool:
            try:
                for version in versions:
                    while under_way and not self._has_room(len(under_way), waiting_bytes + version.size):
                        first, future = under_way.popleft()
                        waiting_bytes -= first.size
                        yield first, future.result()
                    under_way.append((version, pool.submit(self._get, version)))
                    waiting_bytes += version.size
                for first, future in under_way:
                    yield first, future.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _has_room(self, count: int, size: int) -> bool:
        # The one that is handed out next is here already: as many GETs as there may be go on while it is worked on.
        return count <= self._in_flight and size <= _MAX_WAITING_BYTES

    def _get(self, version: Landed) -> bytes | Refusal:
        if version.size == 0:
            return Refusal(Reason.EMPTY, "0 bytes")
        if version.size > self._max_bytes:
            return Refusal(Reason.TOO_LARGE, f"{version.size} bytes, the limit is {self._max_bytes}")
        with store_answers(version.key, shown=version.shown):
            # If-Match: the bytes are of the version that was discovered, or there are none.
            body = self._read(version.key, {"if_match": f'"{version.etag}"'})
            if self._archive is None or isinstance(body, bytes) or body.reason not in _LEFT:
                return body
            # Here it is the key that names the version: a copy's own etag may differ.
            archived = self._read(self._archive(version), {})
        return body if isinstance(archived, Refusal) and archived.reason in _LEFT else archived

    def _read(self, key: str, condition: "GetOptions") -> bytes | Refusal:
        try:
            return bytes(obstore.get(self._store, key, options=condition).bytes())
        except ValueError:
            # S3 knows keys that our client does not. Its own words would hold the key.
            what = "a part of it is empty, `.` or `..`, or has a control character"
            return Refusal(Reason.UNSUPPORTED, f"this key cannot be read: {what}")
        except (NotFoundError, FileNotFoundError):
            return Refusal(Reason.GONE, "deleted between discovery and reading")
        except PreconditionError:
            return Refusal(Reason.REPLACED, "overwritten between discovery and reading; the new version counts")
        except (GenericError, PermissionDeniedError) as error:
            why = next((why for code, why in _UNREADABLE.items() if f"<Code>{code}</Code>" in str(error)), None)
            if why is None:
                raise
            return Refusal(Reason.UNSUPPORTED, why)
