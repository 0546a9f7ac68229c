"""The lease: of each job, one at a time on one store: one stream, one refresh.

`state/lease.json` says which stream holds it, `state/refresh-lease.json` which refresh. It is only ever written on
condition that it is still what was last read, so of any number that start, one wins. The holder renews it, and renews
it once more before each commit: a driver that was paused, lost the lease and wakes up finds that out before it commits.
What remains is the time between that renewal and the end of the commit: a driver paused there, for longer than the
lease lasts, commits beside its successor, and may overwrite a commit of it, as the check for a free number and the
write of a commit are two requests. The rows that a stream loses by that are noticed at the next start
(`streaming.state`).

S3 compares and writes in one step. The embedded server does so for If-None-Match alone: under If-Match, two that ask
within the same milliseconds may both be told that they wrote. So whoever takes the lease renews it at once, which only
the last of them can.

Each time that it is taken, the log of the leases (`conf.holders`) gets one more entry.

Whether a lease has run out is told by the store's clock alone: its `Date` against the object's `Last-Modified`.
"""

import json
import logging
import os
import platform
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from conf.errors import ContractError, FruitsError, LeaseError
from conf.holders import Hold, Job, log_key
from conf.s3 import control_client, explain
from conf.settings import Storage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Renewals a lease's life: two may fail before somebody else may come.
_RENEWALS = 3
_WHAT_NOW: Final = {"stream": "`fruits status` shows whether another goes on.", "refresh": "Run it again."}
_KEYS: Final = {"stream": "lease.json", "refresh": "refresh-lease.json"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Holder:
    """Who holds the lease."""

    id: str
    """Of this one run."""
    host: str
    pid: int
    process: str | None
    """What tells this process from any other that ever was or is on this host; None where that is not to be had."""

    @classmethod
    def this_process(cls) -> "Holder":
        """A new holder, which is this process."""
        return cls(uuid.uuid4().hex, platform.node(), os.getpid(), _process(os.getpid()))

    def is_dead(self) -> bool:
        """Whether it is sure that this holder's process has ended: only on its own host."""
        here = _process(os.getpid())
        if self.process is None or here is None or self.host != platform.node():
            return False
        namespace = here.rpartition("/")[0]
        return self.process.startswith(f"{namespace}/") and _process(self.pid) != self.process

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@dataclass(frozen=True)
class Held:
    """What the lease's object says, as of when it was read."""

    etag: str
    holder: Holder | None
    """None where it was given back."""
    written: datetime
    """When it was taken, renewed or given back last, by the store's clock."""
    until: datetime
    """By the store's clock."""
    expired: bool
    now: datetime | None = None
    """When it was read, by the store's clock."""
    since: datetime | None = None
    """When its holder, or who gave it back, took it, by the store's clock; None where it does not tell."""

    @property
    def seconds(self) -> float:
        """How long it lasts unless renewed."""
        return (self.until - self.written).total_seconds()


class Lease:
    """Taken on entering a `with`, given back on leaving it.

    Raises
    ------
    LeaseError
        On entering, where somebody else holds it; the message names the holder and until when.
    """

    def __init__(self, storage: Storage, seconds: int, job: Job = "stream") -> None:
        self._storage = storage
        self._job = job
        self._seconds = seconds
        self._me = Holder.this_process()
        self._client = control_client(storage)
        self._etag = ""
        self._since: str | None = None
        self.until = datetime.fromtimestamp(0, UTC)
        """By this machine's clock, from before the last renewal that succeeded was asked for."""
        self.lost: LeaseError | None = None
        """What the renewal met that found it gone."""
        self._where = storage.uri("state/")
        self._lock = Lock()
        self._ended = Event()
        self._renewing = Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> Self:
        found = read(self._client, self._storage, self._job)
        if found and found.holder and not found.expired and not found.holder.is_dead():
            raise LeaseError(
                f"Another {self._job} works on {self._where}: {found.holder} has its lease until "
                f"{found.until:%Y-%m-%d %H:%M:%S} UTC, and renews it as long as it lives. Stop that one, or wait."
            )
        # Where the store let two write at once, the first to do so finds the other's with its renewal.
        first = {"IfMatch": found.etag} if found else {"IfNoneMatch": "*"}
        if not (self._hold(first) and self._hold({"IfMatch": self._etag})):
            raise LeaseError(f"Another {self._job} has just taken the lease of {self._where}. Stop it, or wait.")
        self._put(log_key(self._storage, self.hold), b"")
        self._renewing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._renewing.join()
        try:
            self._write({"IfMatch": self._etag}, None)
        except FruitsError as failed:
            _log.warning("The lease was not given back, and runs out in %s seconds: %s", self._seconds, failed)
        finally:
            self._client.close()

    @property
    def hold(self) -> Hold:
        """This holding of it, as the log has it, once it is taken."""
        return Hold(datetime.fromisoformat(self._since or ""), self._job, self._me.id, self._me.pid, self._me.host)

    def check(self) -> None:
        """Renew it now. To be called right before a commit.

        Raises
        ------
        LeaseError
            Where somebody else has taken it over: nothing may be committed any more.
        """
        with self._lock:
            if self._ended.is_set():
                raise LeaseError(f"The lease of {self._where} was given back: this {self._job} has ended.")
            if not self._hold({"IfMatch": self._etag}):
                self.lost = LeaseError(
                    f"The lease of {self._where} was lost to another {self._job}, as this one was paused or cut off "
                    f"for more than {self._seconds} seconds, or its file was deleted. This one ends before its next "
                    f"commit. {_WHAT_NOW[self._job]}"
                )
                raise self.lost

    def _keep(self) -> None:
        while not self._ended.wait(self._seconds / _RENEWALS):
            try:
                self.check()
            except LeaseError:
                # Who works under it looks at `lost`, or renews it before the next commit.
                return
            except FruitsError as failed:
                _log.warning("The lease was not renewed, and is tried again: %s", failed)

    def _hold(self, condition: dict[str, Any]) -> bool:
        """Write that it is ours; tells whether it is. A PUT whose answer was lost is tried again, and finds itself."""
        asked = datetime.now(UTC)
        if not self._write(condition, self._me):
            found = read(self._client, self._storage, self._job)
            if found is None or found.holder is None or found.holder.id != self._me.id:
                return False
            self._etag = found.etag
        self.until = asked + timedelta(seconds=self._seconds)
        return True

    def _write(self, condition: dict[str, Any], holder: Holder | None) -> bool:
        """Write on a condition; tells whether it held."""
        # No two writes are of the same bytes, and so of the same etag: a renewal must not pass for what it renewed.
        body = {
            "holder": holder and asdict(holder),
            "seconds": self._seconds,
            "since": self._since,
            "write": uuid.uuid4().hex,
        }
        answer = self._put(self._storage.state_key(_KEYS[self._job]), json.dumps(body).encode(), **condition)
        if answer is None:
            return False
        self._etag = answer["ETag"]
        # Told from the second write on, which follows the first at once.
        self._since = self._since or _date(answer).isoformat()
        return True

    def _put(self, key: str, body: bytes, **condition: Any) -> Any:
        """Write an object, on a condition where one is given; gives the answer, None where that did not hold."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return self._client.put_object(Bucket=self._storage.bucket, Key=key, Body=body, **condition)
        except ClientError as error:
            # Another etag; two writes at once; an If-Match of what is gone.
            if error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"):
                return None
            raise explain(error, self._storage) from None
        except BotoCoreError as error:
            raise explain(error, self._storage) from None


def read(client: "S3Client", storage: Storage, job: Job = "stream") -> Held | None:
    """The lease as it is; None where no such job has ever run.

    Raises
    ------
    StorageError
        Where the store does not answer.
    ContractError
        Where it cannot be understood.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = client.get_object(Bucket=storage.bucket, Key=storage.state_key(_KEYS[job]))
        text = answer["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            return None
        raise explain(error, storage) from None
    except BotoCoreError as error:
        raise explain(error, storage) from None
    now = _date(answer)
    written = answer["LastModified"]
    try:
        body = json.loads(text)
        until = written + timedelta(seconds=body["seconds"])
        holder = body["holder"] and Holder(**body["holder"])
        since = datetime.fromisoformat(body["since"]) if body.get("since") else None
    except (ValueError, KeyError, TypeError):
        raise ContractError(
            f"{storage.uri(f'state/{_KEYS[job]}')} is damaged, or of another version of Fruits! than this. See that no "
            f"{job} runs on this store, then delete it."
        ) from None
    return Held(answer["ETag"], holder, written, until, now > until, now, since)


def _date(answer: Any) -> datetime:
    """The store's time, as one of its answers tells it."""
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return parsedate_to_datetime(date) if date else datetime.now(UTC)


def _process(pid: int) -> str | None:
    """Boot, process namespace and start time of a process, on Linux."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # The command's name may hold blanks and brackets; what follows the last of these does not.
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}/{started}"
    except OSError:
        return None
