"""The log of the leases: who has held one, and since when; and how a holder signs what it commits.

An entry is an empty object, `state/leases/<since>_<job>_<run>_<pid>_<host>`, written when a lease is taken and never
again: its name says it all, so that a listing reads the log. Commits carry the same words as Delta's `userMetadata`.
Neither costs a request while a job works. Whoever may write the bucket can forge both.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, cast

import obstore
from obstore.store import ObjectStore

from conf.s3 import store_answers
from conf.settings import Storage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Job = Literal["stream", "refresh"]
_SINCE = "%Y%m%dT%H%M%SZ"
_USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"


@dataclass(frozen=True)
class Hold:
    """A lease that somebody held."""

    since: datetime
    """When it was taken, by the store's clock, to the second."""
    job: Job
    run: str
    """Of this one holding."""
    pid: int
    host: str

    def signature(self, batch: int | None = None) -> str:
        """What a commit says of who makes it, as JSON; and for which micro-batch, where it is for one."""
        told = asdict(self) | {"since": self.since.isoformat()}
        return json.dumps(told if batch is None else told | {"batch": batch})

    @property
    def entry(self) -> str:
        """Its name in the log."""
        host = re.sub(r"[^A-Za-z0-9.-]", "-", self.host)
        return f"{self.since.astimezone(UTC):{_SINCE}}_{self.job}_{self.run}_{self.pid}_{host}"

    def __str__(self) -> str:
        return f"{self.job}, process {self.pid} on {self.host}"


@dataclass(frozen=True)
class Signature:
    """What a commit says of who made it."""

    hold: Hold
    batch: int | None = None
    """The micro-batch that it was for, if it was for one."""

    @classmethod
    def read(cls, text: str | None) -> "Signature | None":
        """Of a commit's `userMetadata`; None where that is none of ours."""
        try:
            told = json.loads(text or "")
            batch = told.pop("batch", None)
            since, job = datetime.fromisoformat(told.pop("since")).astimezone(UTC), cast(Job, str(told.pop("job")))
            hold = Hold(since, job, str(told.pop("run")), int(told.pop("pid")), str(told.pop("host")))
            return cls(hold, None if batch is None else int(batch))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            return None


@contextmanager
def signed(spark: "SparkSession", hold: Hold) -> Iterator[None]:
    """What a session commits within is signed."""
    spark.conf.set(_USER_METADATA, hold.signature())
    try:
        yield
    finally:
        # The session may have ended first.
        with suppress(Exception):
            spark.conf.unset(_USER_METADATA)


def log_key(storage: Storage, hold: Hold) -> str:
    """Key of an entry of the log."""
    return storage.state_key(f"leases/{hold.entry}")


def holds(store: ObjectStore, storage: Storage) -> list[Hold]:
    """The log, oldest first, at the cost of a listing of it.

    Raises
    ------
    StorageError
        Where the store does not answer.
    """
    prefix = storage.state_key("leases/")
    with store_answers(prefix):
        names = [meta["path"].rpartition("/")[2] for page in obstore.list(store, prefix) for meta in page]
    return sorted((hold for name in names if (hold := _parse(name))), key=lambda hold: hold.since)


def _parse(name: str) -> Hold | None:
    """An entry of its name; None of what is none."""
    try:
        since, job, run, pid, host = name.split("_", 4)
        return Hold(datetime.strptime(since, _SINCE).replace(tzinfo=UTC), cast(Job, job), run, int(pid), host)
    except ValueError:
        return None
