"""Every request that a stream and a refresh make of the store is one that deploy/fruits.yaml lets them make."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import enumerate as enumerate_threads
from typing import TYPE_CHECKING

import boto3
import pytest

from batch.refresh import run as refresh
from conf.forgetting import Asked
from conf.settings import Settings
from scripts.drop import drop
from scripts.fruit_photos import draw_photos
from scripts.session import override
from streaming.stream import run as stream
from tests.asking import ask_to_forget
from tests.chaos import faults
from tests.policies import Policies
from tests.stacks import BUCKET, created

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NAME = BUCKET.rpartition(":")[2]
PHOTOS = {f"{photo.label}/{photo.name}": photo.data for photo in draw_photos(6, seed=4)}
Right = tuple[str, str]


def right(request: faults.Request) -> Right:
    """The action and resource that AWS asks the role's policies about."""
    key, _, query = request.key.partition("?")
    asked = {part.partition("=")[0] for part in query.split("&")}
    resource = f"{BUCKET}/{key}" if key else BUCKET
    if not key:
        if "versioning" in asked:
            return "s3:GetBucketVersioning", resource
        assert "prefix" in asked or request.method == "HEAD", request
        return "s3:ListBucket", resource
    assert not asked & {"tagging", "acl", "versionId"}, request
    match request.method:
        case "GET" | "HEAD":
            return "s3:GetObject", resource
        case "PUT" | "POST":
            return "s3:PutObject", resource
        case "DELETE":
            return "s3:AbortMultipartUpload" if "uploadId" in asked else "s3:DeleteObject", resource
        case _:
            raise NotImplementedError(request)


@dataclass
class Store:
    """The embedded one, seen by whoever asks it."""

    settings: Settings
    asked: set[Right]

    @contextmanager
    def asking(self) -> Iterator[set[Right]]:
        """What is asked within, and by the threads that a job leaves behind to read ahead for its next commit."""
        self.asked.clear()
        yield self.asked
        for thread in enumerate_threads():
            if thread.name == "state":
                thread.join()


@pytest.fixture
def store(base_settings: Settings, spark: "SparkSession") -> Iterator[Store]:
    endpoint = base_settings.storage.endpoint or ""
    asked: set[Right] = set()

    def note(request: faults.Request, phase: faults.Phase) -> bool:
        if phase == "before":
            asked.add(right(request))
        return True

    with faults.proxy(endpoint) as between:
        storage = base_settings.storage.model_copy(update={"bucket": NAME, "endpoint": between.endpoint, "prefix": ""})
        boto3.client("s3", endpoint_url=endpoint, region_name=storage.region).create_bucket(Bucket=NAME)
        # Spark's own way to the store is of its session; to this bucket it is another. A file is deleted by itself, so
        # that the request says which.
        hadoop = spark.sparkContext._jsc.hadoopConfiguration()  # type: ignore[union-attr]
        hadoop.set(f"fs.s3a.bucket.{NAME}.endpoint", between.endpoint)
        hadoop.set(f"fs.s3a.bucket.{NAME}.multiobjectdelete.enable", "false")
        between.hook = note
        yield Store(base_settings.model_copy(update={"storage": storage}), asked)


def refused(role: Policies, asked: set[Right]) -> set[Right]:
    return {(action, resource) for action, resource in asked if not role.allow(action, resource)}


def test_each_job_gets_by_with_its_role(spark: "SparkSession", store: Store, base_settings: Settings) -> None:
    network = ("SubnetIds=subnet-1", "SecurityGroupIds=sg-1")
    careful = created(*network, "Forget=false", "Clean=archive", "ArchiveDays=365").roles
    settings = override(store.settings, "discovery", clean="archive", retention_days=0)
    names = list(PHOTOS)
    for some in (names[:4], names[4:]):
        bad = (f"apple/bad-{len(some)}.jpg", b"no photograph")
        drop(settings.storage, iter([*((name, PHOTOS[name]) for name in some), bad]))
        with store.asking() as asked:
            summary = stream(spark, settings, once=True)
        assert (summary.features, summary.objects) == (len(some), len(some) + 1)
        assert ("s3:PutObject", f"{BUCKET}/archive/") in {(action, place[: len(BUCKET) + 9]) for action, place in asked}
        assert refused(careful["stream"], asked) == set()
        with store.asking() as asked:
            assert refresh(spark, override(settings, "pca", k=2)).rows
        assert refused(careful["refresh"], asked) == set()
        # They are two: one could not do the work of the other.
        assert refused(careful["stream"], asked)

    direct = settings.storage.model_copy(update={"endpoint": base_settings.storage.endpoint})
    ask_to_forget(direct, Asked(keys=(direct.landing + names[0],)))
    with store.asking() as asked:
        stream(spark, settings, once=True)
    assert ("s3:DeleteObject", f"{BUCKET}/archive/") in {(action, place[: len(BUCKET) + 9]) for action, place in asked}
    assert refused(created(*network, "Clean=archive", "ArchiveDays=365").roles["stream"], asked) == set()
    # Where nothing is moved there any more, what lies in the archive can be forgotten all the same.
    forgetful = created(*network).roles["stream"]
    assert {place for _, place in refused(forgetful, asked)} & {
        place for action, place in asked if "Delete" in action
    } == set()
    assert refused(careful["stream"], asked)
