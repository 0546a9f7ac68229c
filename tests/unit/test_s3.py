"""Clients of the object store: what an answer tells is what they say."""

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest
from botocore.awsrequest import AWSResponse

from conf.errors import StorageError
from conf.s3 import (
    arrow_filesystem,
    check_bucket,
    control_client,
    delta_options,
    explain,
    hadoop_options,
    object_store,
)
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


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        (None, "https://some-bucket.s3.eu-west-3.amazonaws.com/pear/7%2B.jpg"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000/some-bucket/pear/7%2B.jpg"),
    ],
)
def test_clients_ask_aws_itself_unless_told_otherwise(
    endpoint: str | None, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "somebody")
    storage = Storage(bucket="some-bucket", region="eu-west-3", endpoint=endpoint)
    signed = obstore.sign(object_store(storage), "GET", "pear/7+.jpg", timedelta(minutes=1))
    assert signed.partition("?")[0] == url
    assert arrow_filesystem(storage).region == "eu-west-3"
    assert ("endpoint" in delta_options(storage)) is (endpoint is not None)
    assert ("spark.hadoop.fs.s3a.endpoint" in hadoop_options(storage)) is (endpoint is not None)


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("ask", [object_store, check_bucket])
def test_without_credentials_is_one_message(ask: Callable[[Storage], object]) -> None:
    with pytest.raises(StorageError, match="No AWS credentials found for bucket 'some-bucket'"):
        ask(Storage(bucket="some-bucket"))


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("ask", [object_store, check_bucket])
def test_a_profile_that_is_not_there_is_one_message(
    ask: Callable[[Storage], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nope")
    with pytest.raises(StorageError, match=r"\(nope\) could not be found\. Set AWS_PROFILE"):
        ask(Storage(bucket="some-bucket"))


@pytest.mark.usefixtures("nobody")
def test_a_sign_in_that_is_over_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    section = "sso_start_url = https://example.org\nsso_region = eu-west-1\nsso_account_id = 1\nsso_role_name = r\n"
    (tmp_path / "config").write_text(f"[profile mine]\n{section}")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(StorageError, match=r"have expired \(\w+\)\. Log in again \(`aws sso login`"):
        check_bucket(Storage(bucket="some-bucket"))


def test_what_was_wrong_is_told_after_however_long_a_key() -> None:
    message = str(explain(OSError(f"PUT {'x' * 500}: file name too long"), Storage(bucket="some-bucket")))
    assert "file name too long" in message
    assert len(message) < 450


class Raw(io.BytesIO):
    """As much of a urllib3 answer as botocore reads."""

    def stream(self) -> list[bytes]:
        return [self.read()]
