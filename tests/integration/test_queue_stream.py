"""The stream in queue mode: events lead it to what lands, and messages go when rows are in."""

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event
from typing import TYPE_CHECKING

import pytest

from conf.settings import Settings
from scripts.fruit_photos import draw_photos
from scripts.session import override
from streaming.source import KeyReader
from streaming.sqs import queue_client
from streaming.stream import run
from tests.integration.aws import serve_aws
from tests.integration.tables import versions
from tests.waiting import wait_until

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from pyspark.sql import SparkSession

Drop = Callable[[dict[str, bytes]], None]
PHOTOS = {f"{photo.label}/{photo.name}": photo.data for photo in draw_photos(4, seed=8)}
(FIRST, *LATER) = PHOTOS


@pytest.fixture
def sqs(settings: Settings) -> Iterator["SQSClient"]:
    with serve_aws() as endpoint, closing(queue_client(settings.storage, endpoint)) as client:
        yield client


def tell(sqs: "SQSClient", url: str, settings: Settings, name: str) -> None:
    """What S3 says when an object has come."""
    found = {"key": settings.storage.landing + name, "size": len(PHOTOS[name])}
    found["eTag"] = hashlib.md5(PHOTOS[name], usedforsecurity=False).hexdigest()
    s3 = {"bucket": {"name": settings.storage.bucket}, "object": found}
    record = {"eventName": "ObjectCreated:Put", "eventTime": "2026-11-23T00:00:00.000Z", "s3": s3}
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"Records": [record]}))


def left(sqs: "SQSClient", url: str) -> int:
    """Messages that are not deleted, held or not."""
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(attributes[name]) for name in names)


def test_events_are_followed_and_their_messages_deleted_once_the_rows_are_in(
    spark: "SparkSession", settings: Settings, drop_files: Drop, sqs: "SQSClient"
) -> None:
    url = sqs.create_queue(QueueName="landed")["QueueUrl"]
    settings = override(settings, "discovery", queue_url=url)
    # What came before there was a queue is found by the listing at the start; the next listing is an hour away.
    drop_files({FIRST: PHOTOS[FIRST]})
    stop = Event()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, spark, settings, stop=stop)
        try:
            wait_until(lambda: running.done() or len(versions(settings, "features")) == 1)
            drop_files({name: PHOTOS[name] for name in LATER})
            for name in (*LATER, FIRST, *LATER):
                tell(sqs, url, settings, name)
            wait_until(lambda: running.done() or (len(versions(settings, "features")) == 4 and not left(sqs, url)))
        finally:
            stop.set()
    assert running.result().features == 4
    assert sorted(name for name, _ in versions(settings, "features")) == sorted(PHOTOS)
    assert versions(settings, "rejects") == []


def test_once_drains_and_leaves_no_message(
    spark: "SparkSession", settings: Settings, drop_files: Drop, sqs: "SQSClient"
) -> None:
    url = sqs.create_queue(QueueName="landed")["QueueUrl"]
    drop_files(PHOTOS)
    for name in PHOTOS:
        tell(sqs, url, settings, name)
    assert run(spark, override(settings, "discovery", queue_url=url), once=True).features == len(PHOTOS)
    assert left(sqs, url) == 0


def test_a_manifest_lists_no_more_than_can_be_held(
    settings: Settings, drop_files: Drop, sqs: "SQSClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streaming.queue.MAX_IN_FLIGHT", 3)
    url = sqs.create_queue(QueueName="landed")["QueueUrl"]
    drop_files(PHOTOS)
    reader = KeyReader(override(settings, "discovery", queue_url=url), planned=0, partitions=2)
    shares = reader.partitions({"manifest": 0}, reader.latestOffset())
    assert sum(len(keys.versions) for keys in shares) == 3
