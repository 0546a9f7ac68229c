"""The artefacts' way into the bucket: each file once, as what it holds is part of the folder's name."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from conf.errors import CloudError
from scripts.deployment.steps import Cloud

_SUM = "sha256"
_MANY = 1000
"""Objects that one request deletes, at most."""
_LARGE = 10_000_000
"""Bytes from which an upload takes long enough to say how many there are."""


def upload(cloud: Cloud, bucket: str, version: str, files: Iterable[Path]) -> None:
    """Put what is not there yet, or not whole, below `artefacts/<version>/`."""
    for file in files:
        key = f"artefacts/{version}/{file.name}"
        digest = _digest(file) if file.is_file() else "<sha256 of the file>"
        if _held(cloud, bucket, key) != digest:
            cloud.tell(f"Uploading {file.name}{_size(file)}")
            cloud.ask(
                "s3",
                "upload_file",
                Filename=str(file),
                Bucket=bucket,
                Key=key,
                # S3 holds what arrives to a sum as well.
                ExtraArgs={"Metadata": {_SUM: digest}, "ChecksumAlgorithm": "SHA256"},
            )


def remove_others(cloud: Cloud, bucket: str, version: str, in_use: Iterable[str] = ()) -> None:
    """Delete the artefacts of other versions, which nothing starts any more; each is some hundred megabytes.

    Parameters
    ----------
    cloud
    bucket
    version
    in_use
        Addresses of programs that run: the versions that they are of stay, too.
    """
    stays = tuple(f"artefacts/{one}/" for one in {version, *(path.split("/")[-2] for path in in_use)})
    there = cloud.listed("s3", "list_objects_v2", "Contents", Bucket=bucket, Prefix="artefacts/")
    old = [{"Key": one["Key"]} for one in there if not one["Key"].startswith(stays)]
    if old:
        cloud.ask("s3", "delete_objects", Bucket=bucket, Delete={"Objects": old[:_MANY], "Quiet": True})


def _held(cloud: Cloud, bucket: str, key: str) -> str:
    """The sum of what the bucket has; empty where it has nothing."""
    try:
        held: str = cloud.ask("s3", "head_object", Bucket=bucket, Key=key).get("Metadata", {}).get(_SUM, "")
    except CloudError as error:
        if error.code not in {"404", "NoSuchKey"}:
            raise
        return ""
    return held


def _size(file: Path) -> str:
    return f", {file.stat().st_size / 1e6:,.0f} MB" if file.is_file() and file.stat().st_size > _LARGE else ""


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, _SUM).hexdigest()
