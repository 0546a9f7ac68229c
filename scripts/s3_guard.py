"""Ends the embedded S3 server with its last user, however that user ended.

Each user holds a shared lock. This file also runs as a small process of its own beside the server: it sleeps in the
kernel until it gets that lock alone, which is when the last user has left or was killed. It needs the standard library
only, so that it costs 11 MB and no time to start.
"""

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

SERVER = "locks/server"
"""Held by the server process for as long as it lives."""
START = "locks/start"
"""Held while a server is started or stopped, and while the record is read or written."""
USERS = "locks/users"
"""Shared by the processes that use the server; taken before START, never after it."""

_STOP_LIMIT_S = 10.0


@contextmanager
def locked(root: Path, name: str, kind: int = fcntl.LOCK_EX) -> Iterator[TextIO]:
    """Wait for a lock of `root` and hold it; it is freed with the last copy of the open file."""
    with (root / name).open("a") as file:
        fcntl.flock(file, kind)
        yield file


def held(root: Path, name: str) -> bool:
    """Tell whether another open file holds the lock alone."""
    with (root / name).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def read_record(root: Path) -> dict[str, Any]:
    """Read what is known of the server on `root`: pid, port, kept; empty while there is none."""
    try:
        record: dict[str, Any] = json.loads((root / "server.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return record


def write_record(root: Path, record: dict[str, Any]) -> None:
    """Replace the record whole."""
    new = root / "server.json.new"
    new.write_text(json.dumps(record), encoding="utf-8")
    new.replace(root / "server.json")


def forget(root: Path) -> None:
    """Drop the record of a server that is gone."""
    (root / "server.json").unlink(missing_ok=True)


def stop(root: Path, pid: int | None = None) -> bool:
    """End the server, by force after 10 s; False if none runs. START must be held.

    The server's own lock says that it lives, so that a recycled pid is never signalled.
    """
    pid = pid or read_record(root).get("pid")
    if pid is None or not held(root, SERVER):
        return False
    for ending in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(pid, ending)
        deadline = time.monotonic() + _STOP_LIMIT_S
        while held(root, SERVER) and time.monotonic() < deadline:
            time.sleep(0.01)
    forget(root)
    return True


def leave(root: Path, user: TextIO) -> None:
    """Give up a user's lock, and stop the server if it was the last and the server is not to be kept."""
    try:
        fcntl.flock(user, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(user, fcntl.LOCK_SH)  # others use it: granted at once. The guard is ending it: wait for that.
        return
    with locked(root, START):
        if not read_record(root).get("kept"):
            stop(root)


def watch(root: Path, pid: int) -> None:
    """Sleep until nobody uses the server `pid`, then stop it unless it is kept or another has taken its place."""
    with locked(root, USERS), locked(root, START):
        record = read_record(root)
        if record.get("pid", pid) == pid and not record.get("kept"):
            stop(root, pid)


if __name__ == "__main__":
    watch(Path(sys.argv[1]), int(sys.argv[2]))
