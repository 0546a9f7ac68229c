"""A place that is told of something, such as a file, and that may fail without harm to who tells."""

import logging
from collections.abc import Callable
from pathlib import Path

_log = logging.getLogger(__name__)


class Outlet:
    """One place, and how it is written; None is nowhere. Failing, it says so once, and once again when it works."""

    def __init__(self, place: str | None, write: Callable[[bytes], None]) -> None:
        self._place = place
        self._write = write
        self._failing = False

    def __call__(self, data: bytes) -> None:
        if self._place is None:
            return
        try:
            self._write(data)
        except Exception as error:
            # Whatever it is, photographs are worth more than figures about them.
            if not self._failing:
                _log.warning("%s is not written, and the stream goes on without it: %s", self._place, error)
            self._failing = True
            return
        if self._failing:
            _log.info("%s is written again.", self._place)
        self._failing = False


def say(line: bytes) -> None:
    """Write a line to stdout, where a platform collects it; whatever that is, as not each can be opened by a name.

    Raises
    ------
    OSError
        Where nobody reads on.
    """
    print(line.decode(), end="", flush=True)


def append(path: Path, line: bytes) -> None:
    """Add a line to a file, whole or not at all. The file is opened anew, so that it may be rotated away at any time.

    Raises
    ------
    OSError
        Where the folder is missing, or there is no room or no right to write.
    """
    with path.open("ab", buffering=0) as file:
        size = file.tell()
        try:
            if file.write(line) < len(line):
                raise OSError(f"no room for {len(line)} bytes in {path}")
        except OSError:
            file.truncate(size)
            raise


def replace(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old or the new one, whole.

    Raises
    ------
    OSError
        As for `append`.
    """
    # Beside it, so that the rename stays on one disk, and without the suffix that node_exporter looks for.
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(data)
    beside.replace(path)
