"""Reading the tables: what the store does to a scan is one message, and what it mends by itself is none."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from conf import delta
from conf.delta import open_table, reading
from conf.errors import StorageError
from conf.settings import Storage

_NOTHING_LISTED = b"<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>"


@contextmanager
def empty_bucket(cut: int) -> Iterator[Storage]:
    """A store where nothing lies, and whose first `cut` answers about a table's log end half way."""
    left = cut

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal left
            cut_now = left > 0 and "_delta_log" in self.path
            left -= cut_now
            self.send_response(200)
            self.send_header("Content-Length", str(len(_NOTHING_LISTED)))
            self.end_headers()
            self.wfile.write(_NOTHING_LISTED[: 20 if cut_now else None])

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield Storage(bucket="photos", endpoint=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delta, "_PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.mark.usefixtures("_hasty")
def test_an_answer_that_was_cut_short_is_asked_for_again() -> None:
    with empty_bucket(cut=3) as storage:
        assert open_table(storage, "features") is None


@pytest.mark.usefixtures("_hasty")
def test_a_store_that_cuts_every_answer_short_is_one_message() -> None:
    with (
        empty_bucket(cut=1000) as storage,
        pytest.raises(StorageError, match=r"Cannot read s3://photos/tables/features: .*body.* Try again\.$") as met,
    ):
        open_table(storage, "features")
    assert str(met.value).isprintable()


def test_a_scan_that_the_store_fails_is_one_message() -> None:
    with (
        pytest.raises(StorageError, match="'photos' at AWS eu-west-1 failed: AWS Error SLOW_DOWN"),
        reading(Storage(bucket="photos")),
    ):
        raise OSError("AWS Error SLOW_DOWN: Please reduce your request rate\nand more lines")


def test_a_value_of_a_property_stays_a_value() -> None:
    """As Spark reads a string: a backslash before a quote or another backslash makes it one of the string's letters."""
    assert delta._listed({"a": r"1', 'b' = '\ "}) == r"'a' = '1\', \'b\' = \'\\ '"
