"""What a thousand small micro-batches leave behind, and whether they take longer and longer.

    python -m bench.upkeep                      1,000 micro-batches of two photographs
    python -m bench.upkeep --batches 300 --json

Files and bytes of the features table are counted as the last micro-batch left them, and again after what upkeep does
once a day, done here at once: everything that only older versions need is deleted, however young.
"""

import argparse
import json
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore

from bench.photographs import photographs
from conf.delta import open_table, set_properties
from conf.s3 import object_store
from conf.settings import Settings, Storage, load
from conf.spark import session
from scripts.drop import drop
from scripts.embedded_s3 import serve
from scripts.session import connect, say
from streaming.sink import BatchReport
from streaming.stream import run

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_PHOTOGRAPHS = 2
# Micro-batches whose median time and whose number of files is one figure.
_PART = 100


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.upkeep", description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=1000, help="micro-batches (default 1000)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    asked = parser.parse_args()
    figures = measure(asked.batches)
    if asked.json:
        print(json.dumps(figures, indent=2))
    else:
        show(figures)


def measure(batches: int) -> dict[str, Any]:
    """Stream, count, delete, count again; all figures by name."""
    settings = load("local", [f"stream.max_files={_PHOTOGRAPHS}", "stream.trigger_seconds=0"])
    with tempfile.TemporaryDirectory(prefix="fruits-bench-") as folder, serve(Path(folder)) as server:
        settings = connect(settings, server)
        drop(settings.storage, iter(photographs(batches * _PHOTOGRAPHS)))
        spark = session(settings, Path(folder) / "spark.log")
        try:
            ends, live = _stream(spark, settings, batches)
            left = _left(settings.storage)
            _forget(spark, settings.storage)
        finally:
            spark.stop()
        kept = _left(settings.storage)
    seconds = [after - before for before, after in pairwise(ends)]
    parts = [statistics.median(seconds[start : start + _PART]) for start in range(0, len(seconds), _PART)]
    return {
        "batches": batches,
        "photographs": batches * _PHOTOGRAPHS,
        "batch_seconds_p50": parts,
        "last_vs_first": parts[-1] / parts[0],
        "longest_batch_seconds": max(seconds),
        "live_files": live,
        "left": left,
        "left_after_upkeep": kept,
    }


def _stream(spark: "SparkSession", settings: Settings, batches: int) -> tuple[list[float], list[int]]:
    """When each micro-batch ended, and how many files the features table had after each hundredth."""
    ends: list[float] = []
    live: list[int] = []

    def note(batch: BatchReport) -> None:
        ends.append(time.perf_counter())
        if len(ends) % _PART == 0:
            table = open_table(settings.storage, "features")
            live.append(0 if table is None else len(table.file_uris()))
            say(f"{len(ends)} of {batches} micro-batches")

    run(spark, settings, once=True, on_batch=note)
    return ends, live


def _left(storage: Storage) -> dict[str, int]:
    """Objects and bytes of the features table and of the state."""
    store = object_store(storage)

    def below(prefix: str) -> list[Any]:
        return [meta for meta in obstore.list(store, prefix).collect() if meta["size"]]

    table, state = f"{storage.prefix}tables/features/", storage.state_key("")
    log = below(f"{table}_delta_log/")
    data = [meta for meta in below(table) if meta["path"].endswith(".parquet") and "_delta_log" not in meta["path"]]
    return {
        "data_files": len(data),
        "data_bytes": sum(meta["size"] for meta in data),
        "log_files": len(log),
        "log_bytes": sum(meta["size"] for meta in log),
        "state_files": len(below(state)),
        "state_bytes": sum(meta["size"] for meta in below(state)),
    }


def _forget(spark: "SparkSession", storage: Storage) -> None:
    set_properties(spark, storage, "features", {"delta.deletedFileRetentionDuration": "interval 0 hours"})
    spark.sql(f"VACUUM delta.`{storage.table_uri('features')}`")


def show(figures: dict[str, Any]) -> None:
    """Print the figures for a person."""
    print(f"{figures['batches']} micro-batches of {_PHOTOGRAPHS} photographs")
    for number, seconds in enumerate(figures["batch_seconds_p50"]):
        files = figures["live_files"][number : number + 1]
        live = f", {files[0]} files in the table" if files else ""
        print(f"  {number * _PART + 1:>5} to {min((number + 1) * _PART, figures['batches']):<5} {seconds:.2f} s{live}")
    print(f"longest {figures['longest_batch_seconds']:.2f} s")
    for when, name in (("left", "left behind"), ("left_after_upkeep", "after upkeep")):
        for part in ("data", "log", "state"):
            files, size = figures[when][f"{part}_files"], figures[when][f"{part}_bytes"]
            print(f"  {name:<13} {part:<6} {files:>6} files {size / 1e6:>8.1f} MB")


if __name__ == "__main__":
    main()
