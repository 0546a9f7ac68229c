"""How long a photograph waits from its drop until a query finds its row, when a few arrive each second.

    python -m bench.latency                       4 photographs a second, for two minutes
    python -m bench.latency --rate 1 --seconds 60 --json

The clock of a photograph starts when its PUT has returned and stops when the commit that holds it has: what a query
then takes is not counted. The first micro-batches of a young JVM are dropped and waited for before any of it counts.
"""

import argparse
import json
import statistics
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice, pairwise
from pathlib import Path
from threading import Event
from typing import Any

import obstore

from bench.photographs import photographs
from conf.delta import dataset, open_table
from conf.s3 import object_store
from conf.settings import Settings, load
from conf.spark import session
from scripts.embedded_s3 import serve
from scripts.session import connect, say
from streaming.sink import BatchReport
from streaming.stream import Summary, run

# So many micro-batches, of one photograph each, warm the JVM up.
_WARM_UP = 10
_LOOK_SECONDS = 0.05


class Commits:
    """When each micro-batch could be queried, and how it spent its time."""

    def __init__(self) -> None:
        self.at: dict[int, float] = {}
        self.reports: list[BatchReport] = []

    def __call__(self, batch: BatchReport) -> None:
        self.at[batch.batch_id] = time.time()
        self.reports.append(batch)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=4.0, help="photographs a second (default 4)")
    parser.add_argument("--seconds", type=float, default=120.0, help="for so long (default 120)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    asked = parser.parse_args()
    figures = measure(asked.rate, asked.seconds)
    if asked.json:
        print(json.dumps(figures, indent=2))
    else:
        show(figures)


def measure(rate: float, seconds: float) -> dict[str, Any]:
    """Run a stream, drop at a steady rate, look up which micro-batch took what; all figures by name."""
    count = max(1, round(rate * seconds))
    files = photographs(min(3888, count))
    with tempfile.TemporaryDirectory(prefix="fruits-bench-") as folder, serve(Path(folder)) as server:
        settings = connect(load("local"), server)
        spark = session(settings, Path(folder) / "spark.log")
        commits, stop = Commits(), Event()
        try:
            with ThreadPoolExecutor(1, "stream") as pool:
                streaming = pool.submit(run, spark, settings, stop=stop, on_batch=commits)
                try:
                    warm = _warm_up(settings, files[0][1], commits, streaming)
                    say("the stream is warm")
                    dropped = _drop(settings, files, count, rate)
                    _wait(commits, len(dropped) + warm, streaming)
                finally:
                    stop.set()
                streaming.result()
        finally:
            spark.stop()
        waited = sorted(_waits(settings, dropped, commits))
    counted = commits.reports[warm:]
    return {
        "rate": rate,
        "photographs": len(waited),
        "batches": len(counted),
        "p50_seconds": statistics.median(waited),
        "p95_seconds": waited[int(0.95 * (len(waited) - 1))],
        "max_seconds": waited[-1],
        "featurize_seconds_p50": statistics.median(report.featurize_s for report in counted),
        "commit_seconds_p50": statistics.median(report.commit_s for report in counted),
        "batch_interval_seconds_p50": _interval(commits, warm),
    }


def _warm_up(settings: Settings, photograph: bytes, commits: Commits, streaming: "Future[Summary]") -> int:
    store = object_store(settings.storage)
    for number in range(_WARM_UP):
        obstore.put(store, f"{settings.storage.landing}warm/{number}.jpg", photograph + bytes(number))
        _wait(commits, number + 1, streaming)
    return _WARM_UP


def _drop(settings: Settings, files: list[tuple[str, bytes]], count: int, rate: float) -> dict[str, float]:
    """Put photographs at a steady rate; when each PUT returned, by key."""
    store = object_store(settings.storage)
    dropped = {}
    begun = time.time()
    for number in range(count):
        time.sleep(max(0.0, begun + number / rate - time.time()))
        name, data = files[number % len(files)]
        key = f"{settings.storage.landing}{number // len(files)}/{name}"
        obstore.put(store, key, data)
        dropped[key] = time.time()
    return dropped


def _wait(commits: Commits, objects: int, streaming: "Future[Summary]") -> None:
    """Until so many are in a table, or the stream has ended: then with what it ended with, if that was an error."""
    while sum(report.objects for report in commits.reports) < objects and not streaming.done():
        time.sleep(_LOOK_SECONDS)
    if streaming.done():
        streaming.result()


def _waits(settings: Settings, dropped: dict[str, float], commits: Commits) -> list[float]:
    features = open_table(settings.storage, "features")
    if features is None:
        raise SystemExit("there is no features table")
    rows = dataset(features, settings.storage).to_table(["key", "batch_id"]).to_pylist()
    return [commits.at[row["batch_id"]] - dropped[row["key"]] for row in rows if row["key"] in dropped]


def _interval(commits: Commits, warm: int) -> float:
    ends = list(islice(sorted(commits.at.values()), warm, None))
    return statistics.median(after - before for before, after in pairwise(ends))


def show(figures: dict[str, Any]) -> None:
    """Print the figures for a person."""
    print(f"{figures['photographs']} photographs at {figures['rate']:g} a second, {figures['batches']} micro-batches")
    print(f"drop to queryable  p50 {figures['p50_seconds']:.2f} s, p95 {figures['p95_seconds']:.2f} s")
    print(f"  longest          {figures['max_seconds']:.2f} s")
    print(f"  featurize        {figures['featurize_seconds_p50']:.2f} s")
    print(f"  commit           {figures['commit_seconds_p50']:.2f} s")
    print(f"  between commits  {figures['batch_interval_seconds_p50']:.2f} s")


if __name__ == "__main__":
    main()
