"""Listing: ahead of what is asked for, in order, and of photographs alone."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError

from conf.errors import StorageError
from conf.settings import Storage
from streaming.listing import Listing, is_photograph
from streaming.manifests import Landed
from tests.waiting import wait_until

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MOMENT = datetime(2026, 5, 4, tzinfo=UTC)


class Pages:
    """As much of an S3 client as lists: so many pages of one key, then, maybe, S3 fails."""

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self.count, self.error = count, error
        self.read = 0

    def get_paginator(self, _: str) -> "Pages":
        return self

    def paginate(self, **_: str) -> Iterator[dict[str, Any]]:
        for number in range(self.count):
            self.read += 1
            yield {"Contents": [{"Key": f"landing/{number:04}", "ETag": '"e"', "Size": 1, "LastModified": MOMENT}]}
        if self.error:
            raise self.error
        yield {}


def look(pages: Pages) -> Iterator[Landed]:
    return Listing(cast("S3Client", pages), Storage(bucket="some-bucket")).look()


def test_pages_are_listed_ahead_of_what_is_asked_for_but_not_all() -> None:
    pages = Pages(1000)
    looking = look(pages)
    assert pages.read == 0
    assert next(looking).key == "landing/0000"
    ahead = 1 + 16
    wait_until(lambda: pages.read >= ahead)
    time.sleep(0.1)
    assert pages.read == ahead
    assert [version.key for version in looking] == [f"landing/{number:04}" for number in range(1, 1000)]


def test_a_listing_that_fails_shows_what_came_before() -> None:
    looking = look(Pages(3, EndpointConnectionError(endpoint_url="http://localhost:1")))
    assert [next(looking).key for _ in range(3)] == ["landing/0000", "landing/0001", "landing/0002"]
    with pytest.raises(StorageError, match="No answer from bucket"):
        next(looking)


def test_a_look_that_nobody_goes_on_with_leaves_no_thread() -> None:
    looking = look(Pages(1000))
    next(looking)
    assert any(thread.name.startswith("ahead") for thread in threading.enumerate())
    del looking
    assert not any(thread.name.startswith("ahead") for thread in threading.enumerate())


@pytest.mark.parametrize(
    "path", ["apple/1.jpg", "1.jpg", "a b/ü+%20#.jpeg", "deep/er/apple/1.JPG", "apple/no-extension"]
)
def test_what_is_dropped_is_meant_as_a_photograph(path: str) -> None:
    assert is_photograph(path)


@pytest.mark.parametrize(
    "path", ["apple/", "", "_SUCCESS", "apple/.DS_Store", "_tmp/1.jpg", ".hidden/1.jpg", "apple/_x.jpg"]
)
def test_markers_and_hidden_files_are_not(path: str) -> None:
    # An empty path is the landing zone's own folder marker, "landing/".
    assert not is_photograph(path)
