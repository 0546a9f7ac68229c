"""How fast photographs become features, against a bare LiteRT loop on the same cores, in one run.

    python -m bench.ingest                      3,888 photographs, real ones where FRUITS_SAMPLE_DATA has them
    python -m bench.ingest --images 20000       the same ones again and again, under other names
    python -m bench.ingest --images 1000 --json

The bare loop (bench/bare_loop.py) runs before and after the pipeline; their mean counts.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.bare_loop import bare_loop
from bench.photographs import photographs
from conf.settings import Settings, load
from conf.spark import session
from scripts.drop import drop
from scripts.embedded_s3 import serve
from scripts.session import connect, say
from streaming.model import load_model
from streaming.sink import BatchReport
from streaming.stream import Summary, run


@dataclass
class Clock:
    """When each micro-batch ended."""

    ends: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def __call__(self, batch: BatchReport) -> None:
        self.ends.append(time.perf_counter())
        self.sizes.append(batch.objects)

    @property
    def steady(self) -> float:
        """Photographs a second after the first micro-batch, commits included."""
        return sum(self.sizes[1:]) / (self.ends[-1] - self.ends[0])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ingest", description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=3888, help="photographs to ingest (default 3888)")
    parser.add_argument("--batch", type=int, help="photographs a micro-batch, at most (default: as many as it admits)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    asked = parser.parse_args()
    # Steady state is what comes after the first micro-batch, so there must be a second.
    batch = min(asked.batch or asked.images, max(1, asked.images // 2))
    figures = measure(asked.images, batch)
    if asked.json:
        print(json.dumps(figures, indent=2))
    else:
        show(figures)


def measure(images: int, batch: int) -> dict[str, Any]:
    """Run loop, pipeline, loop; all figures by name."""
    cores = len(os.sched_getaffinity(0))
    files = photographs(images)
    settings = load("local", [f"stream.max_files={batch}", f"spark.master=local[{cores}]", "stream.trigger_seconds=0"])
    model = load_model("efficientnet_lite0", "wheel", "litert")
    before = bare_loop(model, files, cores)
    with tempfile.TemporaryDirectory(prefix="fruits-bench-") as folder, serve(Path(folder)) as server:
        settings = connect(settings, server)
        drop(settings.storage, iter(files))
        say(f"{len(files)} photographs are in the landing zone")
        summary, clock, start, total = ingest(settings, Path(folder) / "spark.log")
    after = bare_loop(model, files, cores)
    loop = (before + after) / 2
    seconds = summary.seconds
    wall = clock.ends[-1] - start
    return {
        "cores": cores,
        "images": len(files),
        "bytes": sum(len(data) for _, data in files),
        "bare_loop_images_per_second": loop,
        "bare_loop_before": before,
        "bare_loop_after": after,
        "images_per_second": clock.steady,
        "steady_vs_bare_loop": clock.steady / loop,
        "total_vs_bare_loop": len(files) / total / loop,
        "total_seconds": total,
        "decodes": summary.decodes,
        "batches": summary.batches,
        "seconds": {
            "session": total - wall,
            "start": seconds["start"],
            "featurize": seconds["featurize"],
            "commit": seconds["commit"],
            "between_batches": wall - seconds["start"] - seconds["featurize"] - seconds["commit"],
        },
        "worker_seconds": {stage: seconds[stage] for stage in ("fetch", "decode", "predict")},
    }


def ingest(settings: Settings, log: Path) -> tuple[Summary, Clock, float, float]:
    """Start Spark, stream until drained; when the stream began, and all seconds from nothing to the last commit."""
    clock = Clock()
    begun = time.perf_counter()
    spark = session(settings, log)
    try:
        start = time.perf_counter()
        summary = run(spark, settings, once=True, on_batch=clock)
    finally:
        spark.stop()
    if summary.features != sum(clock.sizes):
        raise SystemExit(f"{summary.rejects} were rejected: these figures would not compare")
    return summary, clock, start, clock.ends[-1] - begun


def show(figures: dict[str, Any]) -> None:
    """Print the figures for a person."""
    print(f"{figures['images']} photographs on {figures['cores']} cores, {figures['batches']} micro-batches")
    print(f"bare loop        {figures['bare_loop_images_per_second']:6.1f} images/s")
    print(f"steady state     {figures['images_per_second']:6.1f} images/s, {figures['steady_vs_bare_loop']:.2f} of it")
    total = figures["images"] / figures["total_seconds"]
    print(f"with start-up    {total:6.1f} images/s, {figures['total_vs_bare_loop']:.2f} of it")
    stages = figures["seconds"] | {f"workers: {stage}": s for stage, s in figures["worker_seconds"].items()}
    for name, seconds in stages.items():
        print(f"  {name:<18} {seconds:6.1f} s")


if __name__ == "__main__":
    main()
