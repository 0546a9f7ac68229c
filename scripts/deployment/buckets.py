"""The bucket of a deployment: whether it is there, whose it is, what it holds, and its end."""

from dataclasses import dataclass

from conf.errors import CloudError
from scripts.deployment.prices import prices
from scripts.deployment.stack import TAG
from scripts.deployment.steps import Cloud

_ABSENT = {"404", "NoSuchBucket"}
_HIDDEN = {"403", "AccessDenied"}
_COUNTED = 100_000
"""So many object versions are counted for what they cost; counting more takes long."""


@dataclass(frozen=True)
class Data:
    """What a bucket holds."""

    bucket: str
    versions: int
    bytes: int
    is_all: bool
    """Whether all were counted."""

    @property
    def usd_per_month(self) -> float:
        """What S3 asks to keep that many bytes."""
        return self.bytes / 1e9 * float(prices()["s3"]["gb_month"])


def is_there(cloud: Cloud, bucket: str) -> bool:
    """Whether there is a bucket of that name, for these credentials, in this region.

    Raises
    ------
    CloudError
        Where it may be somebody else's, or is elsewhere.
    """
    try:
        region = cloud.ask("s3", "head_bucket", Bucket=bucket).get("BucketRegion", cloud.region)
    except CloudError as error:
        if error.code in _ABSENT:
            return False
        if error.code in _HIDDEN:
            raise CloudError(
                f"There is a bucket {bucket} that these credentials may not see: it may be another account's, as the "
                "names of buckets are worldwide. Look at the credentials, or choose another --name or bucket."
            ) from None
        if error.code != "301":
            raise
        region = "another region"
    if region != cloud.region:
        raise CloudError(
            f"The bucket {bucket} is in {region}, not in {cloud.region}. Choose another, or give its --region."
        )
    return True


def is_of(cloud: Cloud, bucket: str, name: str) -> bool:
    """Whether a bucket bears the tag of a deployment, as one does that its stack has left."""
    try:
        tags = cloud.ask("s3", "get_bucket_tagging", Bucket=bucket)["TagSet"]
    except CloudError as error:
        if error.code not in _ABSENT | {"NoSuchTagSet"}:
            raise
        return False
    return {"Key": TAG, "Value": name} in tags


def data_of(cloud: Cloud, bucket: str) -> Data | None:
    """What a bucket holds; None where there is none."""
    if not is_there(cloud, bucket):
        return None
    versions = size = 0
    for page in cloud.pages("s3", "list_object_versions", Bucket=bucket):
        versions += len(page.get("Versions", [])) + len(page.get("DeleteMarkers", []))
        size += sum(version["Size"] for version in page.get("Versions", []))
        if versions >= _COUNTED:
            return Data(bucket, versions, size, is_all=False)
    return Data(bucket, versions, size, is_all=True)


def delete(cloud: Cloud, bucket: str) -> None:
    """Delete all versions of all objects, what was never uploaded to its end, and the bucket."""
    gone = 0
    try:
        for page in cloud.pages("s3", "list_object_versions", Bucket=bucket):
            versions = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            named = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in versions]
            if not named:
                continue
            answer = cloud.ask("s3", "delete_objects", Bucket=bucket, Delete={"Objects": named, "Quiet": True})
            for error in answer.get("Errors", []):
                raise CloudError(f"{error['Key']} cannot be deleted: {error['Message']} ({error['Code']}).")
            gone += len(named)
            cloud.tell(f"Deleting the data: {gone:,} object versions so far")
        for upload in cloud.listed("s3", "list_multipart_uploads", "Uploads", Bucket=bucket):
            named_upload = {"Bucket": bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
            cloud.ask("s3", "abort_multipart_upload", **named_upload)
        cloud.ask("s3", "delete_bucket", Bucket=bucket)
    except CloudError as error:
        if error.code not in _ABSENT:
            raise
