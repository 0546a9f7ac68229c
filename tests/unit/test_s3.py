"""Clients of the object store: what an answer tells is what they say."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from conf.s3 import control_client
from conf.settings import Storage

MOMENT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("told", "moment"),
    [
        ("2026-05-04T03:02:01.000Z", MOMENT),
        ("2026-05-04T03:02:01.125Z", MOMENT.replace(microsecond=125_000)),
        ("2026-05-04T03:02:01Z", MOMENT),
        ("2026-05-04T05:02:01+02:00", MOMENT),
        ("20260504T030201Z", MOMENT),
        ("Mon, 04 May 2026 03:02:01 GMT", MOMENT),
        ("1777863721", MOMENT),
    ],
)
def test_whatever_form_a_store_tells_the_time_in(told: str, moment: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "something")
    client = control_client(Storage(bucket="some-bucket"))

    def answer(**_: Any) -> AWSResponse:
        page = (
            f"<ListBucketResult><Contents><Key>a</Key><LastModified>{told}</LastModified></Contents></ListBucketResult>"
        )
        return AWSResponse("http://localhost", 200, {}, Raw(page.encode()))

    client.meta.events.register("before-send.s3.ListObjectsV2", answer)
    (entry,) = client.list_objects_v2(Bucket="some-bucket")["Contents"]
    assert entry["LastModified"] == moment


class Raw(io.BytesIO):
    """As much of a urllib3 answer as botocore reads."""

    def stream(self) -> list[bytes]:
        return [self.read()]
