"""What Spark's Python workers take of memory while a bench runs: PSS, which shares out what processes share."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

_SECONDS = 1.0
_PROC = Path("/proc")


@dataclass
class WorkerMemory:
    """MB of the largest worker, sampled each second; empty where there is no /proc."""

    samples: list[tuple[float, float]] = field(default_factory=list)
    """Moment (time.perf_counter) and MB."""

    @property
    def largest(self) -> float | None:
        """At any moment."""
        return max((megabytes for _, megabytes in self.samples), default=None)

    @property
    def last(self) -> float | None:
        """At the last sample."""
        return self.samples[-1][1] if self.samples else None

    def at(self, moment: float) -> float | None:
        """At the first sample from a moment on."""
        return next((megabytes for when, megabytes in self.samples if when >= moment), None)


@contextmanager
def watched(root: int) -> Iterator[WorkerMemory]:
    """Samples of the workers below process `root`, taken in a thread until the end of the block."""
    memory = WorkerMemory()
    stop = Event()

    def watch() -> None:
        while not stop.wait(_SECONDS):
            taken = [megabytes for worker in workers(root) if (megabytes := pss(worker)) is not None]
            if taken:
                memory.samples.append((time.perf_counter(), max(taken)))

    thread = Thread(target=watch, name="worker-memory", daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        stop.set()
        thread.join()


def workers(root: int) -> list[int]:
    """Pids of what pyspark's daemons below `root` have forked."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for entry in _PROC.glob("[0-9]*"):
        with suppress(OSError):
            children[int((entry / "stat").read_text().rpartition(")")[2].split()[1])].append(int(entry.name))
    below = [root]
    for pid in below:
        below += children[pid]
    return [worker for pid in below if _is_daemon(pid) for worker in children[pid]]


def pss(pid: int) -> float | None:
    """MB; None for a process that has ended."""
    with suppress(OSError):
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return None


def _is_daemon(pid: int) -> bool:
    """Whether it is a daemon: its workers, forks of it, bear the same name but have no children."""
    with suppress(OSError):
        return b"pyspark.worker" in (_PROC / str(pid) / "cmdline").read_bytes()
    return False
