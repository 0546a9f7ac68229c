"""An S3 server on this machine's loopback, over a plain folder: for the demo, for tests, for work without an account.

The server is s3proxy, one Java process in a session of its own. It holds a kernel lock for as long as it lives, so that
"is it running, and is it ours" has an exact answer, whoever died how; `scripts.s3_guard` ends it with its last user.

    <root>/buckets/          one folder a bucket, one file an object
    <root>/credentials.json  generated once, 0600, so that later commands open the same data
    <root>/s3proxy.properties, server.json, server.log, locks/
"""

import fcntl
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from conf.errors import StorageError
from scripts import s3_guard, s3_server
from scripts.s3_guard import SERVER, START, USERS, held, locked


@dataclass(frozen=True)
class ServerInfo:
    """How to reach a running server. Address buckets by path, not by host name."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    pid: int
    root: Path


@contextmanager
def serve(root: Path) -> Iterator[ServerInfo]:
    """Use the server on `root` for the length of a `with` block, starting it if none runs.

    Processes share one server. The last to leave stops it, by whatever end it comes (an exception, Ctrl-C, kill -9),
    unless `up` asked for it to stay.

    Raises
    ------
    StorageError
        The server did not start; the message holds the end of its log.
    SetupError
        Java or the server's jar is missing.
    """
    root = _prepare(root)
    with locked(root, USERS, fcntl.LOCK_SH) as user:
        try:
            yield _ensure(root)
        finally:
            s3_guard.leave(root, user)


def up(root: Path) -> ServerInfo:
    """Start the server on `root`, or take over the one that runs, and leave it running until `down`.

    Raises
    ------
    StorageError, SetupError
        As for `serve`.
    """
    with serve(root) as server:
        with locked(server.root, START):
            s3_guard.write_record(server.root, {**s3_guard.read_record(server.root), "kept": True})
        return server


def down(root: Path) -> bool:
    """Stop the server on `root`, whoever uses it; False if none ran."""
    root = root.resolve()
    if not (root / SERVER).exists():
        return False
    with locked(root, START):
        return s3_guard.stop(root)


def running(root: Path) -> ServerInfo | None:
    """Tell how to reach the server on `root`, or None if none runs."""
    root = root.resolve()
    if not (root / SERVER).exists():
        return None
    with locked(root, START):
        return _running(root)


def _prepare(root: Path) -> Path:
    root = root.resolve()
    for folder in (root, root / "buckets", root / "locks"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return root


def _ensure(root: Path) -> ServerInfo:
    """Return the running server or start one; only one process at a time gets past the lock."""
    with locked(root, START):
        if server := _running(root):
            return server
        if held(root, SERVER):
            raise StorageError(f"The S3 server on {root} was left half started and is being ended. Run this again.")
        s3_guard.forget(root)
        pid, port = s3_server.start(root, *_credentials(root))
        s3_guard.write_record(root, {"pid": pid, "port": port, "kept": False})
        return _info(root, pid, port)


def _running(root: Path) -> ServerInfo | None:
    record = s3_guard.read_record(root)
    return _info(root, record["pid"], record["port"]) if record and held(root, SERVER) else None


def _info(root: Path, pid: int, port: int) -> ServerInfo:
    return ServerInfo(f"http://127.0.0.1:{port}", *_credentials(root), pid=pid, root=root)


def _credentials(root: Path) -> tuple[str, str]:
    path = root / "credentials.json"
    if not path.exists():
        generated = {"access_key": f"fruits{secrets.token_hex(7)}", "secret_key": secrets.token_hex(20)}
        s3_server.write_private(path, json.dumps(generated))
    stored = json.loads(path.read_text(encoding="utf-8"))
    return stored["access_key"], stored["secret_key"]
