"""Forgetting where the bucket keeps every version of an object: none of them tells anything either."""

from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import Mock
from uuid import uuid4

import pytest

from conf import forgetting
from conf.erasing import Eraser, Version
from conf.forgetting import Asked, Request
from conf.s3 import control_client, object_store
from conf.settings import Settings
from scripts.erasure import carry_out
from scripts.session import override
from streaming.manifests import Landed, Manifests
from tests.asking import ask_to_forget
from tests.integration.aws import aws
from tests.integration.commands import forget as command

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEY, OTHER = "landing/pear/anna.jpg", "landing/pear/anna.jpg.webp"


@pytest.fixture
def versioned(settings: Settings) -> Iterator[tuple[Settings, "S3Client"]]:
    with aws() as endpoint:
        # Its buckets last as long as the process.
        settings = override(settings, "storage", endpoint=endpoint, prefix="", bucket=f"fruits-{uuid4().hex[:8]}")
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


@pytest.mark.parametrize("comes_later", [False, True])
def test_no_version_of_any_object_is_left(versioned: tuple[Settings, "S3Client"], comes_later: bool) -> None:
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
    request = ask_to_forget(storage, Asked(keys=(KEY,)))
    # Another one of that key, which was not there when somebody said yes.
    if comes_later:
        put(KEY, b"third")

    receipt = carry_out(settings, store, request, lambda: cast(Any, Mock()))

    # The mark of a deletion tells of a key that nothing else tells of.
    assert receipt["removed"]["landing"] == (2 if comes_later else 3), "two versions, and the mark"
    assert (receipt["removed"]["archive"], receipt["removed"]["set_aside"]) == (1, 1)
    left = every(client, settings)
    assert left.pop(KEY, []) == ([b"third"] if comes_later else [])
    assert sorted(key for key in left if not key.startswith("state/")) == [OTHER]
    bodies = [body.replace(OTHER.encode(), b"") for versions in left.values() for body in versions]
    assert not any(KEY.encode() in body or b"anna.jpg" in body for body in bodies)
    assert not [key for key in left if key.startswith("state/forgetting/")]
    assert "state/set-aside/2.json" in left
    assert [version.key for version in Manifests(store, "state/manifests").read(1)] == [OTHER]


class DiedError(Exception):
    """Something ended in the middle of its work."""


def test_killed_between_any_two_deletions_the_request_goes_with_all_its_versions(
    versioned: tuple[Settings, "S3Client"], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, client = versioned
    storage, store = settings.storage, object_store(settings.storage)
    client.put_object(Bucket=storage.bucket, Key=KEY, Body=b"first")
    request = ask_to_forget(storage, Asked(keys=(KEY,)))
    erase, most = Eraser._erase, 0

    def erase_some(eraser: Eraser, version: Version) -> int:
        nonlocal most
        if most == 0:
            raise DiedError
        most -= 1
        return erase(eraser, version)

    monkeypatch.setattr(Eraser, "_erase", erase_some)
    deaths = 0
    while forgetting.requests(store, storage):
        most, found = deaths % 3, None
        with suppress(DiedError):
            found = carry_out(settings, store, request, lambda: cast(Any, Mock()))
        deaths += found is None
        # Once all is done no older version of the request, by which it is not, takes its place.
        done = forgetting.receipt_of(store, storage, request)
        assert not done or all(each.reduced for each in forgetting.requests(store, storage))
    assert found is not None, "the last of them has a receipt to show"
    assert deaths > 3
    left = every(client, settings)
    assert not [key for key in left if key == KEY or key.startswith("state/forgetting/")]
    assert not [body for versions in left.values() for body in versions if KEY.encode() in body]


def test_asked_again_it_is_the_same_request_and_what_has_come_since_one_of_its_own(
    versioned: tuple[Settings, "S3Client"], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, client = versioned
    carried: list[list[Request]] = []
    monkeypatch.setattr("scripts.forget._carry_out", lambda settings, store, requests, *_: carried.append(requests))
    for body in (b"first", b"first", b"second"):
        client.put_object(Bucket=settings.storage.bucket, Key=KEY, Body=body)
        assert command(settings, "--prefix", "pear/", "--yes").exit_code == 0
    first, again, third = ([len(request.meant) for request in requests] for requests in carried)
    assert (first, again, third) == ([1], [1], [1, 2])
    assert carried[0] == carried[1] == carried[2][:1]
