"""The comparison of ways to ship a model runs as a program, and each of them predicts what Keras does."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.entry import INTERRUPTED
from tests.integration.test_interrupt import PATIENCE_SECONDS, processes_in
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
WORKERS = 2


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What it says of a small network, by path and from elsewhere, with no AWS credentials and no S3."""
    folder = tmp_path_factory.mktemp("elsewhere")
    script = ROOT / "scripts" / "script_broadcast_tensorflow.py"
    words = ["--model", "4mb", "--images", "16", "--workers", str(WORKERS), "--json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, str(script), *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all(line.startswith("4mb: ") for line in done.stderr.splitlines()), "Spark's own words belong in its log"
    return {figure["way"]: figure for figure in json.loads(done.stdout)}


def test_every_way_predicts_what_keras_does(ways: dict[str, dict[str, Any]]) -> None:
    """Of the largest feature: float32 sums in another order, and a float16 weight keeps eleven bits."""
    tolerance = dict.fromkeys(ways, 1e-5) | {"float16": 5e-3}

    assert len(ways) == 7
    assert {name: way["difference"] for name, way in ways.items() if way["difference"] > tolerance[name]} == {}
    assert ways["float16"]["difference"] > 1e-5, "these weights were not rounded"


def test_float16_ships_half_of_the_bytes(ways: dict[str, dict[str, Any]]) -> None:
    assert ways["float16"]["shipped_mb"] / ways["float32"]["shipped_mb"] == pytest.approx(0.5, abs=0.03)
    assert ways["float32"]["shipped_mb"] == pytest.approx(4, rel=0.1)


def test_weights_are_sent_once_and_loaded_once_a_worker(ways: dict[str, dict[str, Any]]) -> None:
    """And not with each query, as those in a closure are, nor for each task."""
    for way in ways.values():
        if way["way"] != "closure":
            assert way["builds"] <= way["processes"] < way["tasks"] / 4
            assert way["function_kb"] < 10
            assert way["again_mb"] < 0.1
    closure = ways["closure"]
    assert closure["builds"] == closure["tasks"]
    assert closure["again_mb"] == pytest.approx(closure["shipped_mb"], rel=0.05)
    assert closure["function_kb"] > 3000


def test_a_model_that_is_none_is_named_before_anything_starts() -> None:
    command = [sys.executable, "-m", "scripts.script_broadcast_tensorflow", "--model", "resnet"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "'resnet' is no model: give lite0, or a size" in done.stderr


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc")
@pytest.mark.parametrize("reached", ["fruits-broadcast-*", ".fruits/logs/spark.log"])
def test_interrupted_it_leaves_nothing(tmp_path: Path, reached: str) -> None:
    """While TensorFlow prepares the model, and while Spark starts."""
    started = subprocess.Popen(
        [sys.executable, "-m", "scripts.script_broadcast_tensorflow", "--model", "4mb"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with started:
        try:
            wait_until(lambda: started.poll() is not None or any(tmp_path.glob(reached)))
            os.killpg(started.pid, signal.SIGINT)
            _, said = started.communicate(timeout=PATIENCE_SECONDS)
        finally:
            started.kill()
    assert started.returncode == 128 + signal.SIGINT
    assert [line for line in said.splitlines() if not line.startswith("4mb: ")] == [INTERRUPTED]
    wait_until(lambda: not processes_in(tmp_path))
    assert not list(tmp_path.glob("fruits-broadcast-*"))
