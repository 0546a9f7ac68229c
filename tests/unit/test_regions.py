"""The region guard: the list, what a URL tells, and an AWS that is asked where the bucket is."""

import json
import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import botocore
import pytest
from click.testing import CliRunner

from conf import regions
from conf.errors import SettingsError, StorageError
from conf.regions import EU_REGIONS, check_region, queue_region, region_of_machines, runs_on
from conf.s3 import control_client
from conf.settings import Settings, load
from scripts.fruits import fruits
from tests.integration.aws import aws

# Those of Europe, by their names, and in no member state of the European Union.
ELSEWHERE = {"eu-west-2", "eu-central-2", "eu-isoe-west-1"}


def test_every_region_of_europe_that_botocore_knows_is_either_in_the_union_or_known_not_to_be() -> None:
    listed = json.loads((Path(botocore.__file__).parent / "data" / "partitions.json").read_text())
    known = {name for partition in listed["partitions"] for name in partition["regions"]}
    assert {name for name in known if name.startswith("eu")} == EU_REGIONS.keys() | ELSEWHERE


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-west-3.amazonaws.com/1/q", "eu-west-3"),
        ("https://sqs.eusc-de-east-1.amazonaws.eu/1/q", "eusc-de-east-1"),
        ("https://vpce-0a1-b2.sqs.eu-west-1.vpce.amazonaws.com/1/q", "eu-west-1"),
        ("https://eu-west-2.queue.amazonaws.com/1/q", "eu-west-2"),
        ("https://queue.amazonaws.com/1/q", "us-east-1"),
        ("http://127.0.0.1:5000/1/q", None),
        ("https://sqs.eu-west-1.amazonaws.com.example.com/1/q", None),
    ],
)
def test_a_queues_region_is_in_its_url(url: str, region: str | None) -> None:
    assert queue_region(url) == region


@pytest.fixture(scope="module")
def cloud() -> Iterator[None]:
    """An AWS that stands where boto3 looks for the real one."""
    with aws() as endpoint, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        for region in ("us-east-1", "eu-west-1", "eu-west-2", "eu-west-3"):
            placed: Any = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
            boto3.client("s3", region_name=region).create_bucket(Bucket=f"guarded-{region}", **placed)
        yield


def at(bucket_in: str, *more: str, region: str | None = None) -> Settings:
    return load("aws", [f"storage.bucket=guarded-{bucket_in}", f"storage.region={region or bucket_in}", *more])


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("region", ["eu-west-1", "eu-west-3"])
def test_in_the_union_nothing_is_said(region: str, caplog: pytest.LogCaptureFixture) -> None:
    check_region(at(region, f"discovery.queue_url=https://sqs.{region}.amazonaws.com/1/q"))
    assert caplog.messages == []


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("region", ["us-east-1", "eu-west-2"])
def test_outside_it_is_refused_and_with_a_reason_it_is_logged(region: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SettingsError, match=rf"leave the European Union: bucket 'guarded-{region}' is in {region}\. "):
        check_region(at(region))
    allowed = at(region, "privacy.outside_eu_because=no person is on these")
    with caplog.at_level(logging.WARNING):
        check_region(allowed)
        check_region(allowed)
    (said,) = caplog.messages
    assert f"'guarded-{region}' is in {region}" in said
    assert said.endswith("The reason given: no person is on these")


@pytest.mark.usefixtures("cloud")
def test_the_buckets_own_word_counts() -> None:
    for reason in ([], ["privacy.outside_eu_because=none needed"]):
        with pytest.raises(SettingsError, match=r"is in us-east-1, storage\.region says eu-west-1\. Set storage"):
            check_region(at("us-east-1", *reason, region="eu-west-1"))


@pytest.mark.usefixtures("cloud")
def test_a_queue_outside_is_refused() -> None:
    url = "https://sqs.eu-west-2.amazonaws.com/1/q"
    with pytest.raises(SettingsError, match=f"European Union: queue {url} is in eu-west-2"):
        check_region(at("eu-west-1", f"discovery.queue_url={url}"))


@pytest.mark.usefixtures("cloud")
def test_a_platforms_machines_are_where_the_bucket_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(regions, "_tells_region", None)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    # A laptop's setting says nothing of where photographs go.
    check_region(at("eu-west-1"))
    runs_on(region_of_machines)
    with pytest.raises(SettingsError, match=r"machines are in us-east-1, and storage\.region is eu-west-1"):
        check_region(at("eu-west-1"))
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    check_region(at("eu-west-1"))
    assert not caplog.messages
    runs_on(lambda: None)
    check_region(at("eu-west-1"))
    assert "Nothing tells in which region" in caplog.text


@pytest.mark.usefixtures("cloud")
def test_a_bucket_that_is_not_there_is_one_message() -> None:
    with pytest.raises(StorageError, match="There is no bucket 'guarded-nowhere'"):
        check_region(at("nowhere", region="eu-west-1"))


@pytest.mark.usefixtures("cloud")
def test_no_photograph_is_dropped_outside(tmp_path: Path) -> None:
    (tmp_path / "apple").mkdir()
    (tmp_path / "apple" / "1.jpg").write_bytes(b"a photograph")
    there = at("us-east-1")
    place = [f"--set=storage.bucket={there.storage.bucket}", "--set=storage.region=us-east-1"]
    said = CliRunner().invoke(fruits, ["drop", str(tmp_path), "--profile", "aws", *place])
    assert (said.exit_code, "us-east-1. Move to one of" in said.output) == (1, True), said.output
    with closing(control_client(there.storage)) as client:
        assert client.list_objects_v2(Bucket=there.storage.bucket)["KeyCount"] == 0


@pytest.mark.parametrize("endpoint", ["embedded", "http://127.0.0.1:1", "https://s3.example.com"])
def test_other_stores_are_not_asked(endpoint: str) -> None:
    check_region(load("local", [f"storage.endpoint={endpoint}", "storage.region=us-east-1"]))
