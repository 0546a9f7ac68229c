"""What the credentials may do with the queue. No message is lost: one that is received is there again at once."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from conf.s3 import REFUSED, error_code
from conf.settings import Storage
from scripts.checks.check import Answer, Check, failed, ok, warn
from streaming.sqs import queue_answers

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# Of a receipt that is none, after the right to use it was looked at.
_NO_RECEIPT = ("ReceiptHandleIsInvalid", "InvalidParameterValue")
_DAY = 86_400
_RECEIPTS = 3


class QueueRights:
    """Tries them, each once."""

    def __init__(self, client: "SQSClient", storage: Storage, url: str) -> None:
        self._client = client
        self._storage = storage
        self._url = url

    def checks(self) -> Iterator[tuple[str, Check]]:
        """The rights, by name."""
        yield "queue, receive", self._receive
        yield "queue, delete", self._delete
        yield "queue, keep", self._keep
        yield "queue, settings", self._settings

    def _receive(self) -> Answer:
        def ask() -> Any:
            return self._client.receive_message(
                QueueUrl=self._url, MaxNumberOfMessages=1, VisibilityTimeout=0, WaitTimeSeconds=0
            )

        return self._try("sqs:ReceiveMessage", ask)

    def _delete(self) -> Answer:
        entry: Any = {"Id": "0", "ReceiptHandle": "none"}
        return self._try(
            "sqs:DeleteMessage", lambda: self._client.delete_message_batch(QueueUrl=self._url, Entries=[entry])
        )

    def _keep(self) -> Answer:
        entry: Any = {"Id": "0", "ReceiptHandle": "none", "VisibilityTimeout": 0}
        return self._try(
            "sqs:ChangeMessageVisibility",
            lambda: self._client.change_message_visibility_batch(QueueUrl=self._url, Entries=[entry]),
        )

    def _try(self, right: str, ask: Callable[[], Any]) -> Answer:
        from botocore.exceptions import ClientError

        with queue_answers(self._url):
            try:
                ask()
            except ClientError as error:
                if (code := error_code(error)) in REFUSED:
                    return failed(f"{right} on {self._url} is refused", "Allow it: docs/operations.md, Rights.")
                if code not in _NO_RECEIPT:
                    raise
        return ok(right)

    def _settings(self) -> Answer:
        """What the queue is told to do. The stream itself sets for how long it keeps a message from others."""
        from botocore.exceptions import ClientError

        with queue_answers(self._url):
            try:
                told = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=["All"])["Attributes"]
            except ClientError as error:
                if error_code(error) in REFUSED:
                    return warn(
                        "sqs:GetQueueAttributes is refused", "No stream needs it; to have them looked at, allow it."
                    )
                raise
        return self._judged(told)

    def _judged(self, told: "dict[Any, str]") -> Answer:
        import json

        waits, kept = told.get("ApproximateNumberOfMessages", "?"), int(told.get("MessageRetentionPeriod", _DAY))
        says = f"about {waits} messages, kept for {kept / _DAY:.3g} days"
        host = urlsplit(self._url).netloc
        tries = int(json.loads(told.get("RedrivePolicy", "{}")).get("maxReceiveCount", _RECEIPTS))
        if host.startswith("sqs.") and f".{self._storage.region}." not in host:
            return warn(f"{host} is not in {self._storage.region}", "Give the queue and the bucket one region.")
        if kept < _DAY:
            return warn(
                says, "Keep them for a day or more: what it forgets, a stream that was down finds by its listing alone."
            )
        if tries < _RECEIPTS:
            return warn(
                f"{says}; after {tries} receipts a message is taken out",
                f"Set maxReceiveCount to {_RECEIPTS} or more: each restart of a stream is a receipt.",
            )
        return ok(says)
