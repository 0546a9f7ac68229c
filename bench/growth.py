"""What a PCA refresh costs as the table grows: of all rows, of one percent that is new, and where the model stands.

    python -m bench.growth                                   10,000 to 1,000,000 rows of 1,280: 6 GB of disk
    python -m bench.growth --rows 10000 40000 --json

At each size all rows are read and refitted; then one percent comes and is refitted; then another, and the model stands.
Memory is the largest that the driver's Python and any of Spark's Python workers took meanwhile. The JVM has its own
compilers, as in bench.pca.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch.refresh import Action, Summary, run
from bench.features import append_features
from bench.pca import bench_settings, fit_seconds, refresh_seconds
from bench.worker_memory import watched
from conf.settings import Settings
from conf.spark import session
from scripts.embedded_s3 import serve
from scripts.session import connect, override, say

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SIZES = [10_000, 40_000, 160_000, 1_000_000]
_NEW = 0.01


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=_SIZES, help="sizes of the table, increasing")
    parser.add_argument("--dimensions", type=int, default=1280, help="features a row (default 1280)")
    parser.add_argument("-k", type=int, default=128, help="components kept (default 128)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fruits-bench-") as folder, serve(Path(folder) / "s3") as server:
        settings = connect(bench_settings(Path(folder), len(os.sched_getaffinity(0))), server)
        settings = override(settings, "pca", k=asked.k, variance=None)
        spark = session(settings, Path(folder) / "spark.log")
        try:
            figures = measure(spark, settings, asked.rows, asked.dimensions)
        finally:
            spark.stop()
    if asked.json:
        print(json.dumps(figures, indent=2))
    else:
        show(figures)


def measure(spark: "SparkSession", settings: Settings, sizes: list[int], dimensions: int) -> list[dict[str, Any]]:
    """Grow the table, and refresh three times at each size."""
    there, figures = 0, []
    # The first in a session loads and compiles what the others find ready.
    append_features(spark, settings, range(2000), dimensions)
    run(spark, settings, full=True)
    there = 2000
    for size in sizes:
        append_features(spark, settings, range(there, size), dimensions)
        there = size
        told = {"rows": size, "dimensions": dimensions, "full": _refresh(spark, settings, full=True)}
        for name, if_drift in (("one_percent", None), ("stands", 9.0)):
            append_features(spark, settings, range(there, there + int(size * _NEW)), dimensions)
            there += int(size * _NEW)
            told[name] = _refresh(spark, settings, if_drift=if_drift)
        for part in ("fit", "refresh"):
            told[f"one_percent_{part}_of_full"] = told["one_percent"][part] / told["full"][part]
        told["stands_refresh_of_full"] = told["stands"]["refresh"] / told["full"]["refresh"]
        say(json.dumps(told))
        figures.append(told)
    return figures


def _refresh(
    spark: "SparkSession", settings: Settings, full: bool = False, if_drift: float | None = None
) -> dict[str, Any]:
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    with watched(os.getpid()) as memory:
        summary = run(spark, settings, full=full, if_drift=if_drift)
    _check(summary, full, if_drift)
    return {
        "fit": fit_seconds(summary),
        "refresh": refresh_seconds(summary),
        "stages": summary.seconds,
        "driver_mb": _peak(),
        "worker_mb": memory.largest,
    }


def _check(summary: Summary, full: bool, if_drift: float | None) -> None:
    """What is measured is what was meant."""
    expected = Action.REFIT if if_drift is None else Action.PROJECTED
    if summary.action is not expected or (summary.all_rows is not None) != full:
        raise SystemExit(f"{summary.action}, all rows read: {summary.all_rows}; not what was to be measured")


def _peak() -> float:
    """MB that this process has held at most."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def show(figures: list[dict[str, Any]]) -> None:
    """Print the figures for a person."""
    for told in figures:
        print(f"{told['rows']:,} rows of {told['dimensions']}")
        for name, ratios in (
            ("full", ()),
            ("one_percent", ("one_percent_fit_of_full", "one_percent_refresh_of_full")),
            ("stands", ("stands_refresh_of_full",)),
        ):
            one = told[name]
            shares = ", ".join(f"{ratio} {told[ratio]:.1%}" for ratio in ratios)
            print(
                f"  {name:<12} fit {one['fit']:6.2f} s  refresh {one['refresh']:6.2f} s  "
                f"driver {one['driver_mb']:4.0f} MB  worker {one['worker_mb'] or 0:4.0f} MB  {shares}"
            )


if __name__ == "__main__":
    main()
