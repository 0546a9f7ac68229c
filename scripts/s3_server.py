"""Starts the s3proxy process that serves a folder over S3, with its guard beside it."""

import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from conf.errors import StorageError
from conf.jars import s3proxy_jar
from conf.java import find_java
from scripts import s3_guard
from scripts.s3_guard import SERVER, held, locked

# Up in 0.8 s instead of 2, and 115 MB instead of 390 after a thousand photographs in and out. The heap may grow beyond
# what it mostly needs because a signed PUT is held whole until its hash is checked.
_JVM_OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
_JVM_HEAP = ("-Xmx512m", "-Xmn16m", "-XX:MinHeapFreeRatio=10", "-XX:MaxHeapFreeRatio=20")

_STARTED = re.compile(r"Started .*\{127\.0\.0\.1:(\d+)\}")
_START_LIMIT_S = 60.0


def start(root: Path, access_key: str, secret_key: str) -> tuple[int, int]:
    """Start a server on `root` and wait until it answers; its pid and port. START must be held.

    Raises
    ------
    StorageError
        It ended or gave no answer within a minute; the message holds the end of its log.
    SetupError
        Java or the jar is missing.
    """
    properties, log = root / "s3proxy.properties", root / "server.log"
    write_private(properties, _properties(root, access_key, secret_key))
    log.unlink(missing_ok=True)
    command = [str(find_java().binary), *_JVM_OPTIONS, *_JVM_HEAP, "-jar", str(s3proxy_jar())]
    # The lock passes to the server with the open file, and is free again when the server is gone.
    with locked(root, SERVER) as lock:
        pid = _detach([*command, "--properties", str(properties)], log, lock.fileno())
    _detach([sys.executable, "-I", "-S", s3_guard.__file__, str(root), str(pid)], log)
    try:
        return pid, _await_port(root, log)
    except BaseException:
        s3_guard.stop(root, pid)
        raise


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone can read from its first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _properties(root: Path, access_key: str, secret_key: str) -> str:
    # Absolute, since multipart uploads fail on a relative folder; JSON's escapes are those of a properties file.
    return (
        "s3proxy.endpoint=http://127.0.0.1:0\n"
        "s3proxy.authorization=aws-v2-or-v4\n"
        f"s3proxy.identity={access_key}\n"
        f"s3proxy.credential={secret_key}\n"
        "jclouds.provider=filesystem-nio2\n"
        f"jclouds.filesystem.basedir={json.dumps(str(root / 'buckets'))[1:-1]}\n"
    )


def _detach(command: Sequence[str], log: Path, *keep_open: int) -> int:
    """Run a command in a session of its own, nobody's child, so that neither Ctrl-C nor our end reaches it.

    The locale is fixed: in a C locale Java could not name files with an accent.
    """
    shell = ["/bin/sh", "-c", '"$@" </dev/null >>"$0" 2>&1 & echo $!', str(log), *command]
    done = subprocess.run(
        shell, env={"LC_ALL": "C.UTF-8"}, stdout=subprocess.PIPE, check=True, pass_fds=keep_open, start_new_session=True
    )
    return int(done.stdout)


def _await_port(root: Path, log: Path) -> int:
    """Wait until the server has chosen its port and answers there."""
    deadline = time.monotonic() + _START_LIMIT_S
    alive = True
    while alive and time.monotonic() < deadline:
        alive = held(root, SERVER)
        text = log.read_text(encoding="utf-8", errors="replace")
        if started := _STARTED.search(text):
            port = int(started[1])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_START_LIMIT_S)
            connection.request("GET", "/")  # unsigned: any answer will do, and the first is the slow one
            connection.getresponse().read()
            connection.close()
            return port
        time.sleep(0.02)
    tail = "\n".join(text.splitlines()[-8:])
    what = f"gave no answer within {_START_LIMIT_S:.0f} s" if alive else "ended at once"
    raise StorageError(f"The embedded S3 server {what}. The end of its log, {log}:\n{tail}")
