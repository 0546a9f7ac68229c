"""The driver's process and all that come of it, wherever they end up: started, killed, paused, watched."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from tests.chaos.driver import Answer, Order

Kill = Literal["machine", "driver", "jvm", "workers"]
"""All at once, as by a power cut; the Python driver alone, whose JVM goes on until it notices; the JVM alone; the
Python workers, where there are any just then.
"""

_MARK = "FRUITS_CHAOS_RUN"
_DRIVER = Path(__file__).with_name("driver.py")
_ROOT = Path(__file__).parents[2]
_LEAVING_SECONDS = 30.0


class Driver:
    """One run of the driver.

    Its processes are known by a mark in their environment, which a child keeps even where its parent has died.
    """

    def __init__(self, order: Order, folder: Path) -> None:
        self._mark = uuid.uuid4().hex
        self._errors = folder / f"driver-{self._mark[:8]}.log"
        environment = os.environ | {_MARK: self._mark, "PYTHONPATH": str(_ROOT)}
        # Compiled modules are kept from run to run, wherever this machine's are not.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment["PYTHONPYCACHEPREFIX"] = str(folder.parent / "compiled")
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, str(_DRIVER), json.dumps(asdict(order))],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    def kill(self, how: Kill) -> bool:
        """Kill -9; tells whether that was the end of any."""
        match how:
            case "machine":
                found = self.processes()
                # Stopped first, so that none sees another's end.
                self.signal(signal.SIGSTOP)
            case "driver":
                found = [self._process.pid]
            case "jvm":
                found = self.find("java")
            case "workers":
                found = self.workers()
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(found)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all of its processes."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def processes(self) -> list[int]:
        """All of its processes that live, those of its children's children too."""
        wanted = f"{_MARK}={self._mark}".encode()
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with suppress(OSError):
                    if wanted in (folder / "environ").read_bytes().split(b"\0") and _lives(folder):
                        found.append(int(folder.name))
        return found

    def find(self, what: str) -> list[int]:
        """Those of its processes whose command line has a word."""
        return [pid for pid in self.processes() if what in _command(pid)]

    def workers(self) -> list[int]:
        """Its Spark Python workers: what the daemon has forked."""
        daemons = self.find("pyspark.worker")
        return [pid for pid in daemons if _parent(pid) in daemons]

    def wait(self, seconds: float) -> Answer | None:
        """Wait for the end; None where it was killed. What it started must end with it.

        Raises
        ------
        AssertionError
            Where it does not end in time, or leaves a process behind.
        """
        try:
            said, _ = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"No end after {seconds} s:\n{self.log()}") from None
        self._see_them_leave()
        if self._process.returncode == -signal.SIGKILL:
            return None
        assert self._process.returncode == 0, f"exit {self._process.returncode}:\n{self.log()}"
        return Answer(**json.loads(said.splitlines()[-1]))

    def _see_them_leave(self) -> None:
        limit = time.monotonic() + _LEAVING_SECONDS
        while left := self.processes():
            assert time.monotonic() < limit, f"left over: {[_command(pid) for pid in left]}"
            time.sleep(0.05)

    def log(self) -> str:
        """The end of what it wrote to stderr."""
        return self._errors.read_text(errors="replace")[-4000:]

    def close(self) -> None:
        """Leave nothing behind, whatever became of the test."""
        self.signal(signal.SIGKILL)
        self._process.communicate()


@contextmanager
def started(order: Order, folder: Path) -> Iterator[Driver]:
    """A driver that is gone at the end, by itself or not."""
    driver = Driver(order, folder)
    try:
        yield driver
    finally:
        driver.close()


def _lives(folder: Path) -> bool:
    return (folder / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _parent(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0
