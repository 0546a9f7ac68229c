"""What the credentials may do, one right at a time, on objects of the doctor's own, which it takes away again.

They lie below `state/doctor/` and `tables/_doctor/`: where a stream's role may write, and where nobody looks.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from conf.s3 import REFUSED, error_code, explain
from conf.settings import Storage
from scripts.checks.check import Answer, Check, failed, left_out, ok

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NOT_MET = ("PreconditionFailed", "412", "ConditionalRequestConflict")
# A store that knows no such condition, and says so.
_NOT_KNOWN = ("NotImplemented", "501")
_ABSENT = ("NoSuchKey", "404", "NotFound")
# What a doctor that was killed left, and none is at work on any more.
_LEFT_OVER = timedelta(hours=1)
_MANY = 1000


def scratch(storage: Storage) -> tuple[str, str]:
    """Below which keys the doctor makes its objects."""
    return storage.state_key("doctor/"), storage.table_key("_doctor", "")


def remove(client: "S3Client", storage: Storage, prefix: str, until: datetime | None = None) -> int:
    """Delete what is below one of these keys, or what of it is older than a moment; tells how many objects."""
    if not any(prefix.startswith(own) for own in scratch(storage)):
        raise ValueError(f"{prefix} is not the doctor's")
    removed = 0
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=storage.bucket, Prefix=prefix):
        entries = [entry for entry in page.get("Contents", []) if until is None or entry["LastModified"] < until]
        # Folders last, as an S3 that keeps files wants it.
        for entry in sorted(entries, key=lambda entry: entry["Key"].endswith("/")):
            client.delete_object(Bucket=storage.bucket, Key=entry["Key"])
        removed += len(entries)
    return removed


class Rights:
    """Tries them, each once; on leaving a `with`, what it wrote is gone, whatever happened."""

    def __init__(self, client: "S3Client", storage: Storage, clean: str) -> None:
        self._client = client
        self._storage = storage
        self._clean = clean
        run = uuid.uuid4().hex
        self._state, self._tables = (f"{below}{run}/probe" for below in scratch(storage))
        self._archive = f"{storage.archive}_doctor-{run}/probe"
        self._absent = f"{storage.landing}_doctor-{run}"
        self._written: list[str] = []
        self._uploads: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        with suppress(Exception):
            for below in scratch(self._storage):
                remove(self._client, self._storage, below, datetime.now(UTC) - _LEFT_OVER)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for key, upload in self._uploads:
            with suppress(Exception):
                self._client.abort_multipart_upload(Bucket=self._storage.bucket, Key=key, UploadId=upload)
        for key in self._written:
            with suppress(Exception):
                self._client.delete_object(Bucket=self._storage.bucket, Key=key)

    def checks(self) -> Iterator[tuple[str, Check]]:
        """The rights, by name, in the order in which they can be tried."""
        yield "list landing/", self._list
        yield "read landing/", self._read_landing
        for name, key in self._places().items():
            yield f"write {name}", partial(self._put, key, name)
            yield f"read {name}", partial(self._get, key, name)
        yield "create once", self._create_once
        yield "replace if same", self._replace_if_same
        yield "multipart", self._multipart
        for name, key in self._places().items():
            yield f"delete {name}", partial(self._delete, key, name)
        if self._clean != "off":
            yield "delete landing/", self._delete_landing

    def _places(self) -> dict[str, str]:
        archive = {"archive/": self._archive} if self._clean == "archive" else {}
        return {"state/": self._state, "tables/": self._tables, **archive}

    def _list(self) -> Answer:
        def ask() -> Any:
            return self._client.list_objects_v2(Bucket=self._storage.bucket, MaxKeys=1, Prefix=self._storage.landing)

        return self._try(ask, "s3:ListBucket", "the bucket") or ok("s3:ListBucket")

    def _read_landing(self) -> Answer:
        """Read one byte of a photograph; where there is none, ask for one that is not there, which is refused alike."""
        key, there = self._absent, False
        with suppress(Exception):
            page = self._client.list_objects_v2(Bucket=self._storage.bucket, MaxKeys=20, Prefix=self._storage.landing)
            filled = [entry["Key"] for entry in page.get("Contents", []) if entry["Size"]]
            key, there = (filled[0], True) if filled else (key, False)

        def ask() -> Any:
            return self._client.get_object(Bucket=self._storage.bucket, Key=key, Range="bytes=0-0")["Body"].read()

        met = self._try(ask, "s3:GetObject", f"{self._storage.landing}*", _ABSENT)
        return met or ok("s3:GetObject" + ("" if there else ", though nothing is there"))

    def _put(self, key: str, name: str) -> Answer:
        def ask() -> Any:
            self._client.put_object(Bucket=self._storage.bucket, Key=key, Body=b"probe")
            self._written.append(key)

        return self._try(ask, "s3:PutObject", f"{self._storage.prefix}{name}*") or ok("s3:PutObject")

    def _get(self, key: str, name: str) -> Answer:
        def ask() -> Any:
            return self._client.get_object(Bucket=self._storage.bucket, Key=key)["Body"].read()

        return self._try(ask, "s3:GetObject", f"{self._storage.prefix}{name}*", _ABSENT) or ok("s3:GetObject")

    def _delete(self, key: str, name: str) -> Answer:
        if key not in self._written:
            return left_out("Nothing was written there that could be deleted.")

        def ask() -> Any:
            self._client.delete_object(Bucket=self._storage.bucket, Key=key)
            self._written.remove(key)

        met = self._try(ask, "s3:DeleteObject", f"{self._storage.prefix}{name}*")
        if met:
            return failed(met.says, f"{met.do} Then delete {key}, which stays.")
        return ok("s3:DeleteObject")

    def _delete_landing(self) -> Answer:
        """Ask to delete what is not there, on condition of an etag, so that no trace of it can be left."""

        def ask() -> Any:
            return self._client.delete_object(Bucket=self._storage.bucket, Key=self._absent, IfMatch='"none"')

        met = self._try(ask, "s3:DeleteObject", f"{self._storage.landing}*", (*_ABSENT, *_NOT_MET))
        return met or ok("s3:DeleteObject")

    def _create_once(self) -> Answer:
        """A manifest is written only where none of its number is."""
        return self._condition("IfNoneMatch", "*", "If-None-Match")

    def _replace_if_same(self) -> Answer:
        """A lease is renewed only where it is still one's own."""
        return self._condition("IfMatch", f'"{"0" * 32}"', "If-Match")

    def _condition(self, name: str, value: str, header: str) -> Answer:
        if self._state not in self._written:
            return left_out("Nothing was written on which it could be tried.")
        from botocore.exceptions import BotoCoreError, ClientError

        condition: dict[str, Any] = {name: value}
        does = "is ignored"
        try:
            self._client.put_object(Bucket=self._storage.bucket, Key=self._state, Body=b"again", **condition)
        except (ClientError, BotoCoreError) as error:
            code = error_code(error)
            if code in _NOT_MET:
                return ok(f"{header} is obeyed")
            if code not in _NOT_KNOWN:
                return self._failure(error, "s3:PutObject", f"{self._storage.prefix}state/*")
            does = f"is not known to this store ({code})"
        return failed(
            f"{header} {does}: two streams could both believe that they work alone",
            "Use S3, or a store that compares and writes in one step.",
        )

    def _multipart(self) -> Answer:
        """Large files come in parts; what was begun and is not to be is taken back."""
        bucket, key = self._storage.bucket, self._tables

        def ask() -> Any:
            upload = self._client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
            self._uploads.append((key, upload))
            part = self._client.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"probe")
            parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
            self._client.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload=parts)  # type: ignore[arg-type]
            self._uploads.remove((key, upload))
            if key not in self._written:
                self._written.append(key)

        def abort() -> Any:
            upload = self._client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
            self._uploads.append((key, upload))
            self._client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
            self._uploads.remove((key, upload))

        where = f"{self._storage.prefix}tables/*"
        met = self._try(ask, "s3:PutObject", where) or self._try(abort, "s3:AbortMultipartUpload", where)
        return met or ok("s3:PutObject in parts, s3:AbortMultipartUpload")

    def _try(self, ask: Callable[[], Any], right: str, where: str, fine: Sequence[str] = ()) -> Answer | None:
        """None where it is allowed."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            ask()
        except (ClientError, BotoCoreError) as error:
            return None if error_code(error) in fine else self._failure(error, right, where)
        return None

    def _failure(self, error: Exception, right: str, where: str) -> Answer:
        if error_code(error) in REFUSED:
            return failed(f"{right} on {where} is refused", "Allow it: docs/operations.md, Rights.")
        raise explain(error, self._storage) from None
