"""Fetching: in order, each version with its own bytes or the reason why not."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import obstore
import pytest
from obstore.store import HTTPStore, MemoryStore, ObjectStore

from conf.errors import StorageError
from conf.s3 import object_store
from conf.settings import Storage
from conf.tables import Reason
from streaming.fetch import Fetcher
from streaming.manifests import Landed, Named
from streaming.refusal import Refusal
from tests.waiting import wait_until


def put(store: MemoryStore, key: str, data: bytes) -> Landed:
    etag = obstore.put(store, key, data)["e_tag"]
    assert etag is not None
    return Landed(key, etag.strip('"'), len(data), datetime.now(UTC))


def test_bytes_come_in_the_order_asked_for() -> None:
    store = MemoryStore()
    versions = [put(store, f"landing/{i}", bytes([i]) * (i + 1)) for i in range(100)]
    fetched = list(Fetcher(store, in_flight=7, max_bytes=1000).fetch(versions))
    assert fetched == [(version, bytes([i]) * (i + 1)) for i, version in enumerate(versions)]


@pytest.mark.parametrize(("megabytes", "asked_for"), [(1, 1 + 16), (30, 2)])
def test_while_one_is_worked_on_the_next_are_asked_for(megabytes: int, asked_for: int) -> None:
    asked = []

    def archived(version: Landed) -> str:
        asked.append(version)
        return "nowhere"

    versions = [Landed(f"landing/{i}", "e", megabytes * 1_000_000, datetime.now(UTC)) for i in range(100)]
    fetched = Fetcher(MemoryStore(), in_flight=16, max_bytes=10**9, archive=archived).fetch(versions)
    next(fetched)
    wait_until(lambda: len(asked) >= asked_for)
    time.sleep(0.1)
    assert len(asked) == asked_for
    assert len(list(fetched)) == 99


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"size": 0}, Reason.EMPTY),
        ({"size": 1001}, Reason.TOO_LARGE),
        ({"key": "landing/other"}, Reason.GONE),
        ({"etag": "another"}, Reason.REPLACED),
    ],
)
def test_a_version_that_cannot_be_had_is_refused_with_its_reason(change: dict[str, object], reason: Reason) -> None:
    store = MemoryStore()
    version = replace(put(store, "landing/a", b"photograph"), **change)  # type: ignore[arg-type]
    ((_, refusal),) = Fetcher(store, in_flight=2, max_bytes=1000).fetch([version])
    assert isinstance(refusal, Refusal)
    assert refusal.reason is reason
    assert refusal.detail


def test_a_dead_store_is_no_bad_object() -> None:
    dead = HTTPStore.from_url(
        "http://127.0.0.1:9/", client_options={"allow_http": True}, retry_config={"max_retries": 0}
    )
    version = Landed("landing/a", "e", 5, datetime.now(UTC))
    with pytest.raises(StorageError, match="The store failed at landing/a"):
        list(Fetcher(dead, in_flight=2, max_bytes=1000).fetch([version]))


class Refusing(BaseHTTPRequestHandler):
    """A store that answers each GET with the status and the code that its path names."""

    def do_GET(self) -> None:
        status, code = self.path.rpartition("/")[2].split("-")
        body = f"<Error><Code>{code}</Code><Message>No.</Message></Error>".encode()
        self.send_response(int(status))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield object_store(Storage(bucket="photos", endpoint=f"http://127.0.0.1:{server.server_port}"))
        server.shutdown()


@pytest.mark.parametrize("key", ["403-InvalidObjectState", "400-InvalidRequest"])
def test_an_object_that_s3_keeps_from_everybody_costs_itself_alone(refusing: ObjectStore, key: str) -> None:
    version = Landed(key, "e", 5, datetime.now(UTC))
    ((_, refusal),) = Fetcher(refusing, in_flight=2, max_bytes=1000).fetch([version])
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.UNSUPPORTED
    assert "archive storage class" in refusal.detail or "SSE-C" in refusal.detail


def test_an_archived_object_that_s3_keeps_from_everybody_costs_itself_alone(refusing: ObjectStore) -> None:
    version = Landed("404-NoSuchKey", "e", 5, datetime.now(UTC))
    ((_, refusal),) = Fetcher(refusing, 2, 1000, lambda _: "403-InvalidObjectState").fetch([version])
    assert isinstance(refusal, Refusal)
    assert "archive storage class" in refusal.detail


def test_a_role_that_may_not_read_is_no_bad_object(refusing: ObjectStore) -> None:
    version = Landed("403-AccessDenied", "e", 5, datetime.now(UTC))
    with pytest.raises(StorageError, match="may this role use it"):
        list(Fetcher(refusing, in_flight=2, max_bytes=1000).fetch([version]))


@pytest.mark.parametrize("key", ["landing/a//b.jpg", "landing/./b.jpg", "landing/a\nb.jpg"])
def test_a_key_that_no_client_can_ask_for_costs_itself_alone(key: str) -> None:
    store = MemoryStore()
    odd, good = Landed(key, "e", 5, datetime.now(UTC)), put(store, "landing/a", b"bytes")
    (_, refusal), (_, data) = Fetcher(store, in_flight=2, max_bytes=1000).fetch([odd, good])
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.UNSUPPORTED
    assert data == b"bytes"


@pytest.mark.parametrize("etag", ["gone", "replaced"])
def test_what_left_the_landing_zone_comes_from_the_archive(etag: str) -> None:
    store = MemoryStore()
    if etag == "replaced":
        put(store, "landing/a", b"a newer one")
    version = Landed("landing/a", "e1", 10, datetime.now(UTC))
    obstore.put(store, "archive/a.e1", b"photograph")
    fetcher = Fetcher(store, 2, 1000, lambda version: f"archive/a.{version.etag}")
    assert list(fetcher.fetch([version])) == [(version, b"photograph")]
    ((_, refusal),) = fetcher.fetch([replace(version, etag="e2")])
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason(etag)


def test_no_message_holds_a_key_that_the_tables_do_not_hold() -> None:
    named = Named("landing/pear/anna-meier.jpg", "e", 5, datetime.now(UTC), 1, "0123abcd")
    dead = HTTPStore.from_url(
        "http://127.0.0.1:9/", client_options={"allow_http": True}, retry_config={"max_retries": 0}
    )
    with pytest.raises(StorageError, match="The store failed at 0123abcd: GenericError") as error:
        list(Fetcher(dead, in_flight=2, max_bytes=1000).fetch([named]))
    assert "anna" not in str(error.value)
    ((_, refusal),) = Fetcher(MemoryStore(), 2, 1000).fetch([replace(named, key="landing//anna-meier.jpg")])
    assert isinstance(refusal, Refusal)
    assert "anna" not in refusal.detail
