"""Fetching: in order, each version with its own bytes or the reason why not."""

from dataclasses import replace
from datetime import UTC, datetime

import obstore
import pytest
from obstore.store import HTTPStore, MemoryStore

from conf.errors import StorageError
from conf.tables import Reason
from streaming.decode import Refusal
from streaming.fetch import Fetcher
from streaming.manifests import Landed


def put(store: MemoryStore, key: str, data: bytes) -> Landed:
    etag = obstore.put(store, key, data)["e_tag"]
    assert etag is not None
    return Landed(key, etag.strip('"'), len(data), datetime.now(UTC))


def test_bytes_come_in_the_order_asked_for() -> None:
    store = MemoryStore()
    versions = [put(store, f"landing/{i}", bytes([i]) * (i + 1)) for i in range(100)]
    fetched = list(Fetcher(store, in_flight=7, max_bytes=1000).fetch(versions))
    assert fetched == [(version, bytes([i]) * (i + 1)) for i, version in enumerate(versions)]


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
