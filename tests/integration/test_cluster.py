"""The stream on a standalone Spark cluster of two workers, which know the project from its wheel alone."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_stream_keeps_its_word_on_a_cluster() -> None:
    """In a process of its own, whose one JVM is the cluster's driver. `make cluster` runs all there is to run there."""
    test = "tests/integration/test_stream.py::test_every_object_is_in_features_or_in_rejects_once"
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--cluster", test],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    assert "1 passed" in ran.stdout
