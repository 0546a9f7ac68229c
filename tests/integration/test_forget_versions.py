"""Forgetting where the bucket keeps every version of an object: none of them tells anything either."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import Mock

import pytest

from conf import forgetting
from conf.forgetting import Asked, Request
from conf.s3 import control_client, object_store
from conf.settings import Settings
from scripts.erasure import carry_out
from scripts.session import override
from streaming.manifests import Landed, Manifests
from tests.integration.aws import aws

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEY, OTHER = "landing/pear/anna.jpg", "landing/pear/anna.jpg.webp"


@pytest.fixture
def versioned(settings: Settings) -> Iterator[tuple[Settings, "S3Client"]]:
    with aws() as endpoint:
        settings = override(settings, "storage", endpoint=endpoint, prefix="")
        with closing(control_client(settings.storage)) as client:
            place: Any = {"LocationConstraint": settings.storage.region}
            client.create_bucket(Bucket=settings.storage.bucket, CreateBucketConfiguration=place)
            client.put_bucket_versioning(Bucket=settings.storage.bucket, VersioningConfiguration={"Status": "Enabled"})
            yield settings, client


def every(client: "S3Client", settings: Settings) -> dict[str, list[bytes]]:
    """Every version of every object."""
    answer = client.list_object_versions(Bucket=settings.storage.bucket)
    found: dict[str, list[bytes]] = {marker["Key"]: [] for marker in answer.get("DeleteMarkers", ())}
    for version in answer.get("Versions", ()):
        got = client.get_object(Bucket=settings.storage.bucket, Key=version["Key"], VersionId=version["VersionId"])
        found.setdefault(version["Key"], []).append(got["Body"].read())
    return found


def test_no_version_of_any_object_is_left(versioned: tuple[Settings, "S3Client"]) -> None:
    settings, client = versioned
    storage, store = settings.storage, object_store(settings.storage)

    def put(key: str, body: bytes) -> str:
        return client.put_object(Bucket=storage.bucket, Key=key, Body=body)["ETag"].strip('"')

    etags = [put(KEY, b"first"), put(KEY, b"second")]
    put(f"archive/pear/anna.{etags[0]}.jpg", b"first")
    client.delete_object(Bucket=storage.bucket, Key=KEY)
    stays = put(OTHER, b"another")
    put("state/set-aside/1.json", b'{"key": "landing%2Fpear%2Fanna.jpg"}')
    put("state/set-aside/2.json", b'{"key": "landing/pear/berta.jpg"}')
    now = datetime.now(UTC)
    listed = [Landed(KEY, etags[0], 5, now), Landed(OTHER, stays, 7, now)]
    assert Manifests(store, "state/manifests").create(1, listed)
    request = Request.new(Asked(keys=(KEY,)))
    forgetting.ask(store, storage, request)

    receipt = carry_out(settings, store, request, lambda: cast(Any, Mock()))

    assert receipt["removed"]["landing"] == 3, "two versions and the mark of a deletion"
    assert (receipt["removed"]["archive"], receipt["removed"]["set_aside"]) == (1, 1)
    left = every(client, settings)
    assert sorted(key for key in left if not key.startswith("state/")) == [OTHER]
    bodies = [body.replace(OTHER.encode(), b"") for versions in left.values() for body in versions]
    assert not any(KEY.encode() in body or b"anna.jpg" in body for body in bodies)
    assert not [key for key in left if key.startswith("state/forgetting/")]
    assert "state/set-aside/2.json" in left
    assert [version.key for version in Manifests(store, "state/manifests").read(1)] == [OTHER]
