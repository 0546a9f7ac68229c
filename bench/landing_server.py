"""S3 and SQS whose landing zone holds as many objects as one says, and no object at all: keys are made up as it lists.

It answers ListObjectsV2 of the landing zone by itself, a page of 1,000 in a millisecond or two, so that a million keys
need no million files. All else (manifests, the ledger, the queue) goes to moto, which holds it in memory.

    PUT /-/landing?<count>    from now on the landing zone holds so many
    GET /-/requests           how many there were of each kind since one last asked, as JSON
"""

import json
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import parse_qs

from streaming.manifests import Landed

_PAGE = 1000
_SIZE = 100_000
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_AT_TOLD = f"{_AT:%Y-%m-%dT%H:%M:%S.000Z}"
_OWN = "/-/"

Respond = Callable[[str, list[tuple[str, str]]], object]


def landed(number: int, prefix: str) -> Landed:
    """Object `number` of the landing zone; the store's order is that of numbers."""
    return Landed(f"{prefix}{number // 1000:06}/{number % 1000:03}.jpg", f"{number:032x}", _SIZE, _AT)


@contextmanager
def serve_landing(prefix: str) -> Iterator[str]:
    """The endpoint, in a process of its own; any credentials will do."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(prefix, sender), daemon=True)
    process.start()
    sender.close()
    try:
        yield f"http://127.0.0.1:{receiver.recv()}"
    finally:
        process.terminate()
        process.join()


def _serve(prefix: str, sender: Connection) -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    class Quiet(MotoRequestHandler):
        def log_request(self, *_: Any) -> None: ...

    application = _Landing(prefix, DomainDispatcherApplication(create_backend_app))
    # One request at a time: moto's queue loses deletions where there are several.
    server = make_server("127.0.0.1", 0, application, threaded=False, request_handler=Quiet)
    sender.send(server.server_port)
    server.serve_forever()


class _Landing:
    """A WSGI application before moto's."""

    def __init__(self, prefix: str, behind: Callable[[dict[str, Any], Any], Iterable[bytes]]) -> None:
        self._prefix = prefix
        self._behind = behind
        self._count = 0
        self._requests: Counter[str] = Counter()

    def __call__(self, environ: dict[str, Any], respond: Respond) -> Iterable[bytes]:
        path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
        if path.startswith(_OWN):
            return self._told_or_asked(environ["REQUEST_METHOD"], query, respond)
        words = parse_qs(query)
        self._requests[_kind(environ, words)] += 1
        if words.get("list-type") == ["2"] and words.get("prefix") == [self._prefix]:
            return _answer(respond, "application/xml", self._page(words))
        return self._behind(environ, respond)

    def _told_or_asked(self, method: str, query: str, respond: Respond) -> Iterable[bytes]:
        if method == "PUT":
            self._count = int(query)
            return _answer(respond, "text/plain", "")
        counted, self._requests = self._requests, Counter()
        return _answer(respond, "application/json", json.dumps(counted))

    def _page(self, words: dict[str, list[str]]) -> str:
        first = int(words.get("continuation-token", ["0"])[0])
        end = min(first + int(words.get("max-keys", [str(_PAGE)])[0]), self._count)
        entries = "".join(_entry(landed(number, self._prefix)) for number in range(first, end))
        more = f"<NextContinuationToken>{end}</NextContinuationToken>" if end < self._count else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>{more}<KeyCount>{end - first}</KeyCount>{entries}"
            "</ListBucketResult>"
        )


def _kind(environ: dict[str, Any], words: dict[str, list[str]]) -> str:
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return str(target).rpartition(".")[2]
    return "LIST" if "list-type" in words else str(environ["REQUEST_METHOD"])


def _entry(version: Landed) -> str:
    return (
        f"<Contents><Key>{version.key}</Key><LastModified>{_AT_TOLD}</LastModified>"
        f"<ETag>&quot;{version.etag}&quot;</ETag><Size>{version.size}</Size><StorageClass>STANDARD</StorageClass>"
        "</Contents>"
    )


def _answer(respond: Respond, kind: str, text: str) -> Iterable[bytes]:
    body = text.encode()
    respond("200 OK", [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]
