"""Discovery by events, against an S3 that sends them to an SQS queue: nothing lost, whoever dies."""

import gc
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count, islice
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import obstore
import pytest
from botocore.exceptions import EndpointConnectionError
from obstore.store import HTTPStore

from conf.errors import StorageError
from conf.s3 import control_client, object_store
from conf.settings import Storage
from streaming.manifests import Landed
from streaming.queue import Queue
from streaming.sqs import queue_client
from tests.integration.aws import aws

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

_ROOT = Path(__file__).parents[2]
_NUMBERS = count()

Open = Callable[..., Queue]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with aws() as running:
        yield running


@pytest.fixture(scope="module")
def s3(endpoint: str) -> Iterator["S3Client"]:
    with closing(control_client(Storage(bucket="any", endpoint=endpoint))) as client:
        yield client


@pytest.fixture(scope="module")
def sqs(endpoint: str) -> Iterator["SQSClient"]:
    with closing(queue_client(Storage(bucket="any"), endpoint)) as client:
        yield client


@pytest.fixture
def storage(endpoint: str, s3: "S3Client") -> Storage:
    """A bucket of the test's own."""
    storage = Storage(bucket=f"photographs-{next(_NUMBERS)}", endpoint=endpoint, prefix="eu/")
    s3.create_bucket(Bucket=storage.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return storage


@pytest.fixture
def url(sqs: "SQSClient", s3: "S3Client", storage: Storage) -> str:
    """A queue that is told what comes into the bucket and what leaves it."""
    url = sqs.create_queue(QueueName=storage.bucket)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events: Any = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    s3.put_bucket_notification_configuration(
        Bucket=storage.bucket, NotificationConfiguration={"QueueConfigurations": [{"QueueArn": arn, "Events": events}]}
    )
    return url


@pytest.fixture
def open_queue(sqs: "SQSClient", url: str, storage: Storage) -> Iterator[Open]:
    opened: list[Queue] = []

    def open_one(client: "SQSClient" = sqs, **options: int) -> Queue:
        opened.append(Queue(client, url, storage, object_store(storage), **options))
        return opened[-1]

    yield open_one
    for queue in opened:
        queue.close()


@pytest.fixture
def drop(s3: "S3Client", storage: Storage) -> Callable[..., list[str]]:
    """Put photographs, by their names below the landing zone; their keys."""

    def put(*names: str) -> list[str]:
        for name in names:
            s3.put_object(Bucket=storage.bucket, Key=storage.landing + name, Body=name.encode())
        return [storage.landing + name for name in names]

    return put


@pytest.fixture
def left(sqs: "SQSClient", url: str) -> Callable[[], tuple[int, int]]:
    """How many messages anybody could receive now, and how many somebody holds."""

    def ask() -> tuple[int, int]:
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return int(found["ApproximateNumberOfMessages"]), int(found["ApproximateNumberOfMessagesNotVisible"])

    return ask


def event(storage: Storage, *keys: str, etag: str = "e1") -> str:
    """A message of several records, as the plain words of S3."""
    records = [
        {
            "eventName": "ObjectCreated:Put",
            "eventTime": "2026-05-04T10:20:30Z",
            "s3": {"bucket": {"name": storage.bucket}, "object": {"key": key, "size": 1, "eTag": etag}},
        }
        for key in keys
    ]
    return json.dumps({"Records": records})


def keys(versions: Iterator[Landed]) -> list[str]:
    return [version.key for version in versions]


def test_what_lands_is_seen_once_whole_and_however_it_came(
    s3: "S3Client", storage: Storage, open_queue: Open, drop: Callable[..., list[str]]
) -> None:
    dropped = drop("apple/a b+c%20d.jpg", "梨/é.jpg")
    s3.copy_object(
        Bucket=storage.bucket,
        Key=f"{storage.landing}copy.jpg",
        CopySource={"Bucket": storage.bucket, "Key": dropped[0]},
    )
    # This S3 sends two events for the one version.
    upload = s3.create_multipart_upload(Bucket=storage.bucket, Key=f"{storage.landing}parts.jpg")
    of: Any = {"Bucket": storage.bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
    part = s3.upload_part(**of, PartNumber=1, Body=b"photograph")
    s3.complete_multipart_upload(**of, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    drop("folder/", "_SUCCESS", ".hidden/1.jpg")
    s3.put_object(Bucket=storage.bucket, Key=f"{storage.prefix}tables/features/part.parquet", Body=b"rows")

    seen = {version.key: version for version in open_queue().look()}
    listed = s3.list_objects_v2(Bucket=storage.bucket, Prefix=storage.landing)["Contents"]
    meant = [each for each in listed if each["Key"] in seen]
    assert list(seen) == [*dropped, f"{storage.landing}copy.jpg", f"{storage.landing}parts.jpg"]
    assert [(each["Key"], each["ETag"].strip('"'), each["Size"]) for each in meant] == [
        (version.key, version.etag, version.size) for version in sorted(seen.values(), key=lambda each: each.key)
    ]


def test_messages_that_carry_nothing_for_us_are_gone_after_a_look(
    s3: "S3Client", storage: Storage, open_queue: Open, drop: Callable[..., list[str]], left: Callable[[], Any]
) -> None:
    (key,) = drop("_hidden.jpg")
    s3.delete_object(Bucket=storage.bucket, Key=key)
    # With S3's own test event.
    assert left() == (3, 0)
    assert list(open_queue().look()) == []
    assert left() == (0, 0)


def test_a_message_stays_until_everything_that_it_told_of_is_in_the_tables(
    sqs: "SQSClient", url: str, storage: Storage, open_queue: Open, left: Callable[[], Any]
) -> None:
    queue = open_queue()
    list(queue.look())
    sqs.send_message(QueueUrl=url, MessageBody=event(storage, "eu/landing/1", "eu/landing/2"))
    first, second = queue.look()
    queue.taken([first], 7)
    queue.done(7)
    assert left() == (0, 1)
    queue.taken([second], 8)
    queue.done(7)
    assert left() == (0, 1)
    queue.done(8)
    assert left() == (0, 0)


def test_what_was_shown_and_not_taken_is_shown_again_and_the_rest_is_not(
    open_queue: Open, drop: Callable[..., list[str]]
) -> None:
    dropped = drop("1", "2", "3")
    queue = open_queue()
    queue.taken(list(islice(queue.look(), 1)), 1)
    assert keys(queue.look()) == dropped[1:]


def test_a_look_reads_no_further_than_it_is_asked(
    open_queue: Open, drop: Callable[..., list[str]], left: Callable[[], Any]
) -> None:
    drop(*map(str, range(25)))
    assert len(list(islice(open_queue().look(), 5))) == 5
    waiting, _ = left()
    assert waiting >= 15


def test_duplicates_are_shown_once_and_all_their_messages_deleted(
    sqs: "SQSClient", url: str, storage: Storage, open_queue: Open, left: Callable[[], Any]
) -> None:
    queue = open_queue()
    for _ in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=event(storage, "eu/landing/1"))
    sqs.send_message(QueueUrl=url, MessageBody=event(storage, "eu/landing/1", etag="e2"))
    shown = list(queue.look())
    assert [version.etag for version in shown] == ["e1", "e2"]
    queue.taken(shown, 1)
    queue.done(1)
    assert left() == (0, 0)


def test_a_duplicate_of_what_is_long_in_the_tables_goes_without_another_batch(
    sqs: "SQSClient", url: str, storage: Storage, open_queue: Open, left: Callable[[], Any]
) -> None:
    queue = open_queue()
    queue.done(5)
    sqs.send_message(QueueUrl=url, MessageBody=event(storage, "eu/landing/1"))
    queue.taken(queue.look(), 5)
    list(queue.look())
    assert left() == (0, 0)


def test_a_look_ends_where_much_is_held_and_goes_on_once_it_is_done(
    open_queue: Open, drop: Callable[..., list[str]]
) -> None:
    dropped = drop(*map(str, range(45)))
    queue = open_queue(max_in_flight=20)
    shown: list[Landed] = []
    for manifest in range(1, 9):
        piece = list(queue.look())
        assert len(piece) < 40
        queue.taken(piece, manifest)
        assert list(queue.look()) == [] or len(piece) < 20
        queue.done(manifest)
        shown += piece
    assert sorted(version.key for version in shown) == sorted(dropped)


@pytest.mark.parametrize("body", ["banana.jpg has landed", '{"Records": [{"eventName": "banana"}]}', "\u00fc{"])
def test_poison_is_set_aside_as_it_is_and_logged_without_its_words(
    sqs: "SQSClient",
    url: str,
    storage: Storage,
    open_queue: Open,
    drop: Callable[..., list[str]],
    left: Callable[[], Any],
    caplog: pytest.LogCaptureFixture,
    body: str,
) -> None:
    name = sqs.send_message(QueueUrl=url, MessageBody=body)["MessageId"]
    dropped = drop("1")
    queue = open_queue()
    assert keys(queue.look()) == dropped
    path = f"eu/state/set-aside/{name}.json"
    assert bytes(obstore.get(object_store(storage), path).bytes()) == body.encode()
    assert queue.set_aside == 1
    assert left() == (0, 1)
    (warning,) = caplog.messages
    assert path in warning
    assert "banana" not in warning


def test_another_buckets_event_is_set_aside(
    sqs: "SQSClient", url: str, storage: Storage, open_queue: Open, caplog: pytest.LogCaptureFixture
) -> None:
    other = storage.model_copy(update={"bucket": "holiday-photos"})
    sqs.send_message(QueueUrl=url, MessageBody=event(other, "eu/landing/1"))
    queue = open_queue()
    assert list(queue.look()) == []
    assert queue.set_aside == 1
    assert "another bucket" in caplog.text


def test_poison_that_cannot_be_set_aside_stays_in_the_queue(
    sqs: "SQSClient", url: str, storage: Storage, left: Callable[[], Any]
) -> None:
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    dead = HTTPStore("http://127.0.0.1:9/", client_options={"allow_http": True}, retry_config={"max_retries": 0})
    # With S3's own test event.
    assert left() == (2, 0)
    with closing(Queue(sqs, url, storage, dead)) as queue:
        with pytest.raises(StorageError, match="set-aside"):
            list(queue.look())
        assert queue.set_aside == 0
        assert left() == (0, 2)


def test_what_is_held_is_not_delivered_again(
    open_queue: Open, drop: Callable[..., list[str]], left: Callable[[], Any]
) -> None:
    dropped = drop("1", "2")
    queue = open_queue(visibility_seconds=2)
    assert keys(queue.look()) == dropped
    for _ in range(10):
        time.sleep(0.5)
        assert left() == (0, 2)


def test_a_failure_to_keep_is_said_and_tried_again(
    storage: Storage,
    url: str,
    open_queue: Open,
    drop: Callable[..., list[str]],
    left: Callable[[], Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    fails = iter([True])

    def fail_once(**_: Any) -> None:
        if next(fails, False):
            raise EndpointConnectionError(endpoint_url="http://sqs")

    drop("1")
    with closing(queue_client(storage, url)) as client:
        client.meta.events.register("before-call.sqs.ChangeMessageVisibilityBatch", fail_once)
        queue = open_queue(client, visibility_seconds=3)
        held = list(queue.look())
        time.sleep(3.3)
        assert left() == (0, 1)
        queue.taken(held, 1)
        queue.done(1)
        queue.close()
    assert left() == (0, 0)
    (warning,) = caplog.messages
    assert "No answer from queue" in warning


def test_messages_that_are_not_ours_any_more_are_forgotten(
    sqs: "SQSClient", url: str, open_queue: Open, drop: Callable[..., list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    queue = open_queue(max_in_flight=2)
    list(queue.look())
    drop("1", "2")
    queue.taken(queue.look(), 1)
    sqs.purge_queue(QueueUrl=url)
    queue.done(1)
    assert "2 messages of the queue could not be deleted (ReceiptHandleIsInvalid)" in caplog.text
    caplog.clear()
    dropped = drop("3")
    assert keys(queue.look()) == dropped
    queue.done(1)
    assert caplog.messages == []


def test_a_deletion_that_fails_in_part_is_tried_again(
    storage: Storage, url: str, open_queue: Open, drop: Callable[..., list[str]], left: Callable[[], Any]
) -> None:
    busy = True
    spared: list[Any] = []

    def spare_all_but_one(params: dict[str, Any], **_: Any) -> Any:
        spared[:] = params["Entries"][1:] if busy else []
        return {**params, "Entries": params["Entries"][:1]} if busy else params

    def say_so(parsed: dict[str, Any], **_: Any) -> None:
        for entry in spared:
            failed = {"Id": entry["Id"], "Code": "InternalError", "SenderFault": False}
            parsed.setdefault("Failed", []).append(failed)

    with closing(queue_client(storage, url)) as client:
        queue = open_queue(client)
        list(queue.look())
        drop("1", "2", "3")
        queue.taken(queue.look(), 1)
        client.meta.events.register("provide-client-params.sqs.DeleteMessageBatch", spare_all_but_one)
        client.meta.events.register("after-call.sqs.DeleteMessageBatch", say_so)
        queue.done(1)
        assert left() == (0, 2)
        busy = False
        queue.done(1)
        assert left() == (0, 0)
        queue.close()


def test_closing_lets_the_next_one_see_it_at_once(open_queue: Open, drop: Callable[..., list[str]]) -> None:
    dropped = drop(*map(str, range(12)))
    first = open_queue()
    first.taken(islice(first.look(), 5), 1)
    first.close()
    first.close()
    assert sorted(keys(open_queue().look())) == sorted(dropped)


_HOLD = """
import sys, time
from conf.s3 import object_store
from conf.settings import Storage
from streaming.queue import Queue
from streaming.sqs import queue_client

storage = Storage.model_validate_json(sys.argv[1])
queue = Queue(queue_client(storage, sys.argv[2]), sys.argv[2], storage, object_store(storage), visibility_seconds=2)
print(len(list(queue.look())), flush=True)
time.sleep(float(sys.argv[3]))
"""


@contextmanager
def holder(storage: Storage, url: str, seconds: float) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds what it sees, and never closes its queue."""
    command = [sys.executable, "-c", _HOLD, storage.model_dump_json(), url, str(seconds)]
    with subprocess.Popen(command, cwd=_ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def test_what_a_killed_process_or_a_dropped_object_held_comes_again(
    sqs: "SQSClient", storage: Storage, url: str, open_queue: Open, drop: Callable[..., list[str]]
) -> None:
    dropped = drop("1", "2", "3")
    with holder(storage, url, 60) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "3\n"
        process.kill()
    dropped += drop("4")
    queue = Queue(sqs, url, storage, object_store(storage), visibility_seconds=2)
    assert storage.landing + "4" in keys(queue.look())
    del queue
    gc.collect()
    time.sleep(2.2)
    assert sorted(keys(open_queue().look())) == dropped


def test_a_queue_keeps_no_process_alive(storage: Storage, url: str, drop: Callable[..., list[str]]) -> None:
    drop("1")
    with holder(storage, url, 0) as process:
        assert process.communicate(timeout=15) == ("1\n", "")
        assert process.returncode == 0


@contextmanager
def answering(status: int, code: str) -> Iterator[str]:
    """A server that has one answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": "no\nway"}).encode()
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def refused(endpoint: str, storage: Storage) -> str:
    """What a look says, on one line."""
    client = queue_client(storage, endpoint)
    with (
        closing(client),
        closing(Queue(client, f"{endpoint}/1/fruits", storage, object_store(storage))) as queue,
        pytest.raises(StorageError) as raised,
    ):
        list(queue.look())
    (line,) = str(raised.value).splitlines()
    return line


def test_a_queue_that_is_not_there_is_one_message(endpoint: str, storage: Storage) -> None:
    said = refused(endpoint, storage)
    assert said.startswith(f"There is no queue {endpoint}/1/fruits.")
    assert "discovery.queue_url" in said


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("AccessDenied", "refuses these credentials (AccessDenied)"),
        ("InvalidClientTokenId", "refuses these credentials (InvalidClientTokenId)"),
        ("KmsInvalidState", "failed: An error occurred (KmsInvalidState)"),
    ],
)
def test_a_queue_that_refuses_is_one_message(storage: Storage, code: str, words: str) -> None:
    with answering(403, code) as endpoint:
        assert words in refused(endpoint, storage)


def test_a_queue_that_does_not_answer_is_one_message_soon(storage: Storage) -> None:
    begun = time.monotonic()
    assert refused("http://127.0.0.1:9", storage).startswith("No answer from queue")
    assert time.monotonic() - begun < 15


def test_nothing_is_said_where_nothing_is_wrong(
    open_queue: Open, drop: Callable[..., list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    drop("1")
    with caplog.at_level(logging.INFO, "streaming"):
        queue = open_queue()
        queue.taken(queue.look(), 1)
        queue.done(1)
        queue.close()
    assert [record for record in caplog.records if record.name.startswith("streaming")] == []
