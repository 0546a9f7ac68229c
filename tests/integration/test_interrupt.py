"""Ctrl-C ends a command with one line, whatever Spark is in the middle of, and leaves nothing running."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.entry import GOES_ON
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60


def processes_in(folder: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:100])
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_command_with_spark_ends_in_one_line(tmp_path: Path, end: signal.Signals) -> None:
    started = subprocess.Popen(
        [sys.executable, "-m", "scripts.fruits", "refresh"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "FRUITS_PROFILE": "local"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with started:
        try:
            log = tmp_path / ".fruits" / "logs" / "spark.log"
            # Its first words: a JVM is there, and the session is not yet.
            wait_until(lambda: started.poll() is not None or (log.exists() and log.stat().st_size > 0))
            os.killpg(started.pid, end)
            _, said = started.communicate(timeout=PATIENCE_SECONDS)
        finally:
            started.kill()
    assert (said, started.returncode) == (f"{GOES_ON}\n", 128 + end)
    wait_until(lambda: not processes_in(tmp_path))
