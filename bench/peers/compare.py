"""The frame around an engine: photographs into the embedded S3, bare loop, engine, bare loop, and the figures.

The names are those of bench.ingest. `total_seconds` run from the first call of the engine, its packages imported, to
the last row written; `process_seconds` from the start of its process. Steady state is what comes after as many
photographs as the pipeline's first micro-batch has, here predicted, there committed.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds

from bench.bare_loop import bare_loop
from bench.peers.network import Network, moments
from bench.photographs import photographs
from conf.s3 import arrow_filesystem
from conf.settings import Settings, Storage, load
from scripts.drop import drop
from scripts.embedded_s3 import serve
from scripts.session import connect, say
from streaming.model import Model, load_model

_TABLE = "peer/features"
# The pipeline's first micro-batch, which its steady state leaves out as well, has so many photographs a core.
_WARM_UP = 64


@dataclass(frozen=True)
class Job:
    """What an engine is to do: every photograph below `source` to a row (path, features) of Parquet below `target`."""

    storage: Storage
    source: str
    """Bucket and prefix, without scheme; ends in a slash."""
    target: str
    """Bucket and prefix, without scheme."""
    photographs: int
    model: Model
    cores: int
    log: Path


def main(module: str, package: str) -> None:
    """The command line of one engine.

    Parameters
    ----------
    module
        Its `run` takes a Job and does it; gives the `time.time()` at which the engine's packages were imported, and
        that at which the last row was written.
    package
        The engine's distribution.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=f"{package} on the same cores")
    parser.add_argument("--images", type=int, default=3888, help="photographs to featurize (default 3888)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    asked = parser.parse_args()
    figures = measure(asked.images, package, module)
    if asked.json:
        print(json.dumps(figures, indent=2))
    else:
        show(figures)


def measure(images: int, package: str, module: str) -> dict[str, Any]:
    """Run loop, engine, loop; all figures by name."""
    cores = len(os.sched_getaffinity(0))
    files = photographs(images)
    model = load_model("efficientnet_lite0", "wheel", "litert")
    before = bare_loop(model, files, cores)
    with tempfile.TemporaryDirectory(prefix="fruits-bench-") as folder, serve(Path(folder) / "s3") as server:
        settings = connect(load("local"), server)
        drop(settings.storage, iter(files))
        say(f"{len(files)} photographs are in the landing zone")
        job = _job(settings, len(files), model, cores, Path(folder) / "log")
        started, imported, ended = _in_a_process(module, job)
        done = moments(job.log)
        _check(job, files)
    after = bare_loop(model, files, cores)
    loop = (before + after) / 2
    warm, counted = _warm(done, _WARM_UP * cores)
    steady = (len(files) - counted) / (ended - warm)
    return {
        "engine": package,
        "version": version(package),
        "cores": cores,
        "images": len(files),
        "bytes": sum(len(data) for _, data in files),
        "bare_loop_images_per_second": loop,
        "bare_loop_before": before,
        "bare_loop_after": after,
        "images_per_second": steady,
        "steady_vs_bare_loop": steady / loop,
        "total_vs_bare_loop": len(files) / (ended - imported) / loop,
        "total_seconds": ended - imported,
        "process_seconds": ended - started,
        "seconds": {
            "process_and_imports": imported - started,
            "until_first_prediction": done[0][0] - imported,
            "from_last_prediction": ended - done[-1][0],
        },
    }


def _job(settings: Settings, photographs: int, model: Model, cores: int, log: Path) -> Job:
    log.mkdir()
    storage = settings.storage
    source, target = f"{storage.bucket}/{storage.landing}", f"{storage.bucket}/{storage.prefix}{_TABLE}"
    return Job(storage, source, target, photographs, model, cores, log)


def _in_a_process(module: str, job: Job) -> tuple[float, float, float]:
    """When its process began, when it had imported the engine, and when the last row was written."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    started = time.time()
    process = context.Process(target=_run, args=(module, job, sender))
    process.start()
    sender.close()
    try:
        imported, ended = receiver.recv()
    except EOFError:
        raise SystemExit("the engine failed: see above") from None
    finally:
        process.join()
    return started, imported, ended


def _run(module: str, job: Job, sender: Connection) -> None:
    sender.send(import_module(module).run(job))


def _check(job: Job, files: list[tuple[str, bytes]]) -> None:
    """Every photograph has its row, and a row what the network says of its photograph."""
    table = ds.dataset(job.target, filesystem=arrow_filesystem(job.storage), format="parquet").to_table()
    names = {path.partition(job.source)[2]: row for row, path in enumerate(table["path"].to_pylist())}
    if len(names) != len(files) or table.num_rows != len(files):
        raise SystemExit(f"{table.num_rows} rows were written of {len(files)}: these figures would not compare")
    name, data = files[-1]
    found = np.asarray(table["features"][names[name]].as_py(), np.float32)
    if not np.array_equal(found, Network(job.model, job.log).features([data])[0]):
        raise SystemExit(f"the features of {name} are not those of the network")


def _warm(done: list[tuple[float, int]], photographs: int) -> tuple[float, int]:
    """When the first so many photographs were done, and how many exactly they were."""
    counted = 0
    for when, count in done:
        counted += count
        if counted >= photographs:
            return when, counted
    raise SystemExit(f"{counted} photographs have no steady state: ask for more than {photographs}")


def show(figures: dict[str, Any]) -> None:
    """Print the figures for a person."""
    print(f"{figures['engine']} {figures['version']}: {figures['images']} photographs on {figures['cores']} cores")
    print(f"bare loop        {figures['bare_loop_images_per_second']:6.1f} images/s")
    print(f"steady state     {figures['images_per_second']:6.1f} images/s, {figures['steady_vs_bare_loop']:.2f} of it")
    total = figures["images"] / figures["total_seconds"]
    print(f"with start-up    {total:6.1f} images/s, {figures['total_vs_bare_loop']:.2f} of it")
    for name, seconds in {"total": figures["total_seconds"], **figures["seconds"]}.items():
        print(f"  {name:<24} {seconds:6.1f} s")
