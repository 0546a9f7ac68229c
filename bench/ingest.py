"""How fast photographs become features, against a bare LiteRT loop on the same cores, in one run.

    python -m bench.ingest                      3,888 photographs, real ones where FRUITS_SAMPLE_DATA has them
    python -m bench.ingest --images 20000       the same ones again and again, under other names
    python -m bench.ingest --images 1000 --json
    python -m bench.ingest --get-delay-ms 100   each GET of a photograph takes so much longer: a proxy makes it wait
    python -m bench.ingest --images 300 --megapixels 12

The bare loop (bench/bare_loop.py) runs before and after the pipeline; their mean counts. It takes decoded pixels, which
for large photographs is the smaller part of the work: with --megapixels a second loop decodes as well, and counts
as `decode_loop`. `worker_pss_mb` is what the largest Python worker takes: when the first micro-batch is in, at the end,
and at most.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.bare_loop import bare_loop
from bench.photographs import large_photographs, photographs
from bench.slow_gets import slow_gets
from bench.worker_memory import watched
from conf.settings import Settings, load
from conf.spark import session
from scripts.drop import drop
from scripts.embedded_s3 import serve
from scripts.session import connect, override, say
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
    parser.add_argument("--get-delay-ms", type=float, default=0, help="each GET of a photograph takes so much longer")
    parser.add_argument("--megapixels", type=float, help="photographs of so many million pixels, real ones at 12")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    asked = parser.parse_args()
    # Steady state is what comes after the first micro-batch, so there must be a second.
    batch = min(asked.batch or asked.images, max(1, asked.images // 2))
    figures = measure(asked.images, batch, asked.get_delay_ms / 1000, asked.megapixels)
    if asked.json:
        print(json.dumps(figures, indent=2))
    else:
        show(figures)


def measure(images: int, batch: int, get_delay: float, megapixels: float | None) -> dict[str, Any]:
    """Run loop, pipeline, loop; all figures by name."""
    cores = len(os.sched_getaffinity(0))
    files = large_photographs(images, megapixels) if megapixels else photographs(images)
    settings = load("local", [f"stream.max_files={batch}", f"spark.master=local[{cores}]", "stream.trigger_seconds=0"])
    model = load_model("efficientnet_lite0", "wheel", "litert")
    before = bare_loop(model, files, cores)
    with tempfile.TemporaryDirectory(prefix="fruits-bench-") as folder, serve(Path(folder)) as server:
        settings = connect(settings, server)
        drop(settings.storage, iter(files))
        say(f"{len(files)} photographs are in the landing zone")
        with delayed(settings, get_delay) as settings, watched(os.getpid()) as memory:
            summary, clock, start, total = ingest(settings, Path(folder) / "spark.log")
    after = bare_loop(model, files, cores)
    loop = (before + after) / 2
    decoding = {}
    if megapixels:
        speed = bare_loop(model, files, cores, decoding=True)
        decoding = {"decode_loop_images_per_second": speed, "steady_vs_decode_loop": clock.steady / speed}
    seconds = summary.seconds
    wall = clock.ends[-1] - start
    return {
        "cores": cores,
        "images": len(files),
        "get_delay_ms": get_delay * 1000,
        "bytes": sum(len(data) for _, data in files),
        "bare_loop_images_per_second": loop,
        "bare_loop_before": before,
        "bare_loop_after": after,
        "images_per_second": clock.steady,
        "steady_vs_bare_loop": clock.steady / loop,
        "total_vs_bare_loop": len(files) / total / loop,
        "first_rows_seconds": total - (clock.ends[-1] - clock.ends[0]),
        "total_seconds": total,
        **decoding,
        "worker_pss_mb_start": memory.at(clock.ends[0]),
        "worker_pss_mb_end": memory.last,
        "worker_pss_mb_max": memory.largest,
        "decodes": summary.decodes,
        "batches": summary.batches,
        "batch_sizes": clock.sizes,
        "seconds": {
            "session": total - wall,
            "start": seconds["start"],
            "featurize": seconds["featurize"],
            "commit": seconds["commit"],
            "between_batches": wall - seconds["start"] - seconds["featurize"] - seconds["commit"],
        },
        "worker_seconds": {stage: seconds[stage] for stage in ("fetch", "decode", "predict")},
    }


@contextmanager
def delayed(settings: Settings, seconds: float) -> Iterator[Settings]:
    """Settings whose store keeps each GET of a photograph waiting."""
    storage = settings.storage
    if not seconds:
        yield settings
        return
    with slow_gets(str(storage.endpoint), f"{storage.bucket}/{storage.landing}", seconds) as endpoint:
        yield override(settings, "storage", endpoint=endpoint)


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
    print(f"first rows after {figures['first_rows_seconds']:6.1f} s, from nothing")
    if "decode_loop_images_per_second" in figures:
        speed, ratio = figures["decode_loop_images_per_second"], figures["steady_vs_decode_loop"]
        print(f"loop that decodes{speed:6.1f} images/s, steady state {ratio:.2f} of it")
    if figures["worker_pss_mb_max"]:
        moments = (f"{figures[f'worker_pss_mb_{when}'] or 0:.0f}" for when in ("start", "end", "max"))
        print("largest worker   {:>6} MB at first, {} at the end, {} at most".format(*moments))
    stages = figures["seconds"] | {f"workers: {stage}": s for stage, s in figures["worker_seconds"].items()}
    for name, seconds in stages.items():
        print(f"  {name:<18} {seconds:6.1f} s")


if __name__ == "__main__":
    main()
