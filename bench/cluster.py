"""The same stream on a standalone cluster of one-core workers, against local mode on as many cores, in one run.

    python -m bench.cluster                     1,000 photographs, two workers
    python -m bench.cluster --images 3888 --workers 2 --json

The cluster (bench/standalone.py) is up before the clock starts, as a cluster is; its executors start with the session.
Both run in a process of their own and begin with a JVM and workers that have done nothing yet.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.bare_loop import bare_loop
from bench.ingest import ingest
from bench.photographs import photographs
from bench.standalone import executor_python, on_cluster, standalone
from conf.settings import Settings, load
from scripts.drop import drop
from scripts.embedded_s3 import serve
from scripts.session import connect, say
from streaming.model import load_model


@dataclass(frozen=True)
class Speed:
    """Of one run of the stream."""

    steady: float
    """Photographs a second after the first micro-batch, commits included."""
    seconds: float
    """From no session to the last commit."""
    batches: int


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.cluster", description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000, help="photographs to ingest, twice (default 1000)")
    parser.add_argument("--workers", type=int, default=2, help="workers of one core (default 2)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    asked = parser.parse_args()
    figures = measure(asked.images, asked.workers)
    if asked.json:
        print(json.dumps(figures, indent=2))
    else:
        show(figures)


def measure(images: int, workers: int) -> dict[str, Any]:
    """Run loop, local mode, cluster, loop; all figures by name."""
    files = photographs(images)
    model = load_model("efficientnet_lite0", "wheel", "litert")
    before = bare_loop(model, files, workers)
    with tempfile.TemporaryDirectory(prefix="fruits-bench-") as name, serve(Path(name) / "s3") as server:
        folder = Path(name)
        local = _stream(connect(_settings("local/", images, f"local[{workers}]"), server), files, folder)
        os.environ["PYSPARK_PYTHON"] = str(executor_python(folder))
        with standalone(folder / "cluster", workers) as master:
            settings = on_cluster(connect(_settings("cluster/", images, master), server), master, workers)
            cluster = _stream(settings, files, folder)
    loop = (before + bare_loop(model, files, workers)) / 2
    return {
        "workers": workers,
        "images": len(files),
        "bare_loop_images_per_second": loop,
        "local_images_per_second": local.steady,
        "cluster_images_per_second": cluster.steady,
        "cluster_vs_local": cluster.steady / local.steady,
        "cluster_steady_vs_bare_loop": cluster.steady / loop,
        "local_steady_vs_bare_loop": local.steady / loop,
        "local_total_seconds": local.seconds,
        "cluster_total_seconds": cluster.seconds,
        "cluster_total_vs_local": local.seconds / cluster.seconds,
        "local_batches": local.batches,
        "cluster_batches": cluster.batches,
    }


def _settings(prefix: str, images: int, master: str) -> Settings:
    # Steady state is what comes after the first micro-batch, so there must be a second.
    batch = max(1, images // 2)
    where = [f"storage.prefix={prefix}", f"spark.master={master}"]
    return load("local", [*where, f"stream.max_files={batch}", "stream.trigger_seconds=0"])


def _stream(settings: Settings, files: list[tuple[str, bytes]], folder: Path) -> Speed:
    """Drop the photographs and ingest them, in a process that has no JVM yet."""
    drop(settings.storage, iter(files))
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    log = folder / f"{settings.storage.prefix.strip('/')}.log"
    process = context.Process(target=_run, args=(settings, log, sender))
    process.start()
    sender.close()
    try:
        speed: Speed = receiver.recv()
    except EOFError:
        raise SystemExit(f"the stream failed on {settings.spark.master}: see above") from None
    finally:
        process.join()
    say(f"{settings.spark.master}: {speed.steady:.1f} images/s")
    return speed


def _run(settings: Settings, log: Path, sender: Connection) -> None:
    summary, clock, _, total = ingest(settings, log)
    sender.send(Speed(clock.steady, total, summary.batches))


def show(figures: dict[str, Any]) -> None:
    """Print the figures for a person."""
    print(f"{figures['images']} photographs, {figures['workers']} workers of one core")
    print(f"bare loop        {figures['bare_loop_images_per_second']:6.1f} images/s")
    for mode in ("local", "cluster"):
        speed, ratio = figures[f"{mode}_images_per_second"], figures[f"{mode}_steady_vs_bare_loop"]
        print(f"{mode:<16} {speed:6.1f} images/s, {ratio:.2f} of it; {figures[f'{mode}_total_seconds']:.1f} s in all")
    print(f"cluster against local mode: {figures['cluster_vs_local']:.2f}")


if __name__ == "__main__":
    main()
