"""The three requests that a queue is asked, each for ten messages at most, and what their answers mean."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from conf.errors import StorageError
from conf.s3 import REFUSED, error_code
from conf.settings import Storage
from streaming.inflight import Receipt

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import BatchResultErrorEntryTypeDef, DeleteMessageBatchResultTypeDef

BATCH = 10
"""Messages that one request takes or brings, at most."""
PARALLEL = 8
"""Requests worth having under way at a time: each takes some 10 ms, and thousands of messages may wait."""
_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 10

_log = logging.getLogger(__name__)


class Delivery(NamedTuple):
    """A message as it came."""

    receipt: Receipt
    body: str


class Outcome(NamedTuple):
    """What became of a request for several messages; those in neither list may be asked for again."""

    done: list[Receipt]
    lost: list[Receipt]
    """Not ours any more: deleted, or delivered to somebody again."""


def queue_client(storage: Storage, url: str) -> "SQSClient":
    """A boto3 client for the place that a queue's URL names, which gives up on a dead one in a minute."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_ANSWER_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 3},
        # One more for the thread that keeps what is in flight.
        max_pool_connections=PARALLEL + 1,
    )
    place = urlsplit(url)
    return boto3.Session().client(
        "sqs", region_name=storage.region, endpoint_url=f"{place.scheme}://{place.netloc}", config=config
    )


class Mailbox:
    """One queue. Safe to share between threads.

    Each request raises StorageError where the queue is gone, refuses or does not answer.
    """

    def __init__(self, client: "SQSClient", url: str, visibility_seconds: int) -> None:
        self._client = client
        self._url = url
        self._visibility = visibility_seconds

    def receive(self) -> list[Delivery]:
        """Some of what waits, for `visibility_seconds`, by a short poll: it may bring less than there is, even none."""
        with queue_answers(self._url):
            answer = self._client.receive_message(
                QueueUrl=self._url, MaxNumberOfMessages=BATCH, VisibilityTimeout=self._visibility, WaitTimeSeconds=0
            )
        messages = answer.get("Messages", ())
        return [Delivery(Receipt(each["MessageId"], each["ReceiptHandle"]), each["Body"]) for each in messages]

    def delete(self, receipts: Sequence[Receipt]) -> Outcome:
        """Delete for good."""
        entries = [{"Id": str(i), "ReceiptHandle": receipt.handle} for i, receipt in enumerate(receipts)]
        with queue_answers(self._url):
            answer = self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)  # type: ignore[arg-type]
        return _outcome(receipts, answer, "deleted")

    def keep(self, receipts: Sequence[Receipt]) -> Outcome:
        """Have them for `visibility_seconds` from now."""
        return self._change_visibility(receipts, self._visibility)

    def release(self, receipts: Sequence[Receipt]) -> Outcome:
        """Let anybody receive them from now."""
        return self._change_visibility(receipts, 0)

    def _change_visibility(self, receipts: Sequence[Receipt], seconds: int) -> Outcome:
        with queue_answers(self._url):
            answer = self._client.change_message_visibility_batch(
                QueueUrl=self._url,
                Entries=[
                    {"Id": str(i), "ReceiptHandle": receipt.handle, "VisibilityTimeout": seconds}
                    for i, receipt in enumerate(receipts)
                ],
            )
        return _outcome(receipts, answer, "kept")


def _outcome(receipts: Sequence[Receipt], answer: "DeleteMessageBatchResultTypeDef", wanted: str) -> Outcome:
    # SQS leaves out what would be empty.
    failed: Sequence[BatchResultErrorEntryTypeDef] = answer.get("Failed", ())
    if failed:
        codes = ", ".join(sorted({entry["Code"] for entry in failed}))
        _log.warning("%d messages of the queue could not be %s (%s); some may come twice.", len(failed), wanted, codes)
    return Outcome(
        done=[receipts[int(entry["Id"])] for entry in answer.get("Successful", ())],
        lost=[receipts[int(entry["Id"])] for entry in failed if entry["SenderFault"]],
    )


@contextmanager
def queue_answers(url: str) -> Iterator[None]:
    """Requests within raise StorageError where the queue is gone, refuses or does not answer."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise _explain(error, url) from None


def _explain(error: Exception, url: str) -> StorageError:
    """One message for whatever boto3 met, with what to do about it."""
    where = f"queue {url}"
    match code := error_code(error):
        case "NonExistentQueue" | "QueueDoesNotExist" | "InvalidAddress" | "404":
            return StorageError(
                f"There is no {where}. Create it, or set discovery.queue_url to one that is in storage.region."
            )
        case _ if code in REFUSED | {"InvalidClientTokenId", "SignatureDoesNotMatch"}:
            return StorageError(
                f"The {where} refuses these credentials ({code}). They need sqs:ReceiveMessage, sqs:DeleteMessage and "
                "sqs:ChangeMessageVisibility: check the role's rights or AWS_PROFILE."
            )
        case "NoCredentialsError" | "PartialCredentialsError":
            return StorageError(
                f"No AWS credentials found for {where}. Set AWS_PROFILE, or run where a role is attached."
            )
        case "EndpointConnectionError" | "ConnectTimeoutError" | "ConnectionClosedError" | "ReadTimeoutError":
            return StorageError(f"No answer from {where}. Is it up, and discovery.queue_url right?")
        case _:
            return StorageError(f"The {where} failed: {str(error).splitlines()[0][:300]}. Try again.")
