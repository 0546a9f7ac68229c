"""How long a PCA refresh takes, against scikit-learn in memory and Spark MLlib on the same rows, in one run.

    python -m bench.pca                         40,000 rows of 1,280; MLlib takes minutes
    python -m bench.pca --rows 4000 --json
    python -m bench.pca --workers 2             on a standalone Spark cluster, in place of local mode

Ours and MLlib's read the features from a Delta table on the embedded S3; scikit-learn has them in memory already. Ours
and scikit-learn take turns five times, because a shared machine's speed drifts; the medians count. Before that come a
cold refresh, which is told by itself, and three more, which leave the JVM as warm as MLlib will find it. It runs with
its default compilers: the light ones of the local profile suit short runs, and would make MLlib half as fast.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from batch.refresh import Summary, run
from batch.snapshot import vectors
from bench.features import write_features
from bench.standalone import executor_python, on_cluster, standalone
from conf.delta import dataset, open_table
from conf.settings import Settings, load
from conf.spark import session
from scripts.embedded_s3 import serve
from scripts.session import connect, override

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_WARMING, _ROUNDS = 3, 5
_VARIANCE = 0.95


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.pca", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=40_000, help="feature vectors (default 40000)")
    parser.add_argument("--dimensions", type=int, default=1280, help="their length (default 1280)")
    parser.add_argument("--workers", type=int, help="of one core each, on a standalone Spark cluster (default: none)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--keep", action="store_true", help="keep the tables and Spark's log, and say where")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fruits-bench-"))
    try:
        figures = measure(folder, asked.rows, asked.dimensions, asked.workers)
    finally:
        if asked.keep:
            say(f"kept: {folder}")
        else:
            shutil.rmtree(folder)
    if asked.json:
        print(json.dumps(figures, indent=2))
    else:
        show(figures)


def measure(folder: Path, rows: int, dimensions: int, workers: int | None) -> dict[str, Any]:
    """Draw the rows, refresh cold, then take turns; all figures by name."""
    cores = len(os.sched_getaffinity(0))
    with serve(folder / "s3") as server:
        settings = connect(bench_settings(folder, cores), server)
        log = folder / "spark.log"
        drawing = multiprocessing.get_context("spawn").Process(
            target=write_features, args=(settings, log, rows, dimensions)
        )
        drawing.start()
        drawing.join()
        if drawing.exitcode:
            raise SystemExit(
                f"the features table could not be written: python -m bench.pca --keep, then see {log.name}"
            )
        say(f"{rows} x {dimensions} features are in the table")
        with _where(folder, settings, workers) as settings:
            start = time.perf_counter()
            spark = session(settings, log)
            seconds = {"spark_session": time.perf_counter() - start}
            try:
                told = {"cores": cores, "workers": workers, "rows": rows, "dimensions": dimensions}
                return told | _compare(spark, settings, seconds)
            finally:
                spark.stop()


@contextmanager
def _where(folder: Path, settings: Settings, workers: int | None) -> Iterator[Settings]:
    """Settings of local mode as they are, or of a cluster that is up within."""
    if workers is None:
        yield settings
        return
    os.environ["PYSPARK_PYTHON"] = str(executor_python(folder))
    with standalone(folder / "cluster", workers) as master:
        settings = on_cluster(settings, master, workers)
        # As in local mode, the JVM that does the work has its own compilers.
        options = {"spark.executor.extraJavaOptions": "", "spark.executor.memory": "1g"}
        yield override(settings, "spark", options=settings.spark.options | options)


def bench_settings(folder: Path, cores: int) -> Settings:
    """The local profile, with the JVM's own choice of compilers, and nothing outside the bench's folder."""
    settings = load("local", [f"spark.master=local[{cores}]", f"pca.variance={_VARIANCE}"])
    options = {
        "spark.driver.extraJavaOptions": "",
        "spark.local.dir": str(folder / "spark"),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }
    return override(settings, "spark", options=settings.spark.options | options)


def _compare(spark: "SparkSession", settings: Settings, seconds: dict[str, float]) -> dict[str, Any]:
    cold = refresh(spark, settings, "cold refresh")
    start = time.perf_counter()
    features = in_memory(settings)
    seconds["sklearn_load"] = time.perf_counter() - start
    for _ in range(_WARMING):
        refresh(spark, settings, "warming refresh")
    warm, double, single = [], [], []
    for _ in range(_ROUNDS):
        warm.append(refresh(spark, settings, "refresh"))
        double.append(fit_sklearn(features.astype(np.float64)))
        single.append(fit_sklearn(features))
    del features
    mllib = refresh(spark, override(settings, "pca", solver="mllib"), "MLlib refresh")
    seconds |= {
        "fit": median(map(fit_seconds, warm)),
        "fit_cold": fit_seconds(cold),
        "fit_sklearn": median(taken for taken, _ in double),
        "fit_sklearn_float32": median(taken for taken, _ in single),
        "fit_mllib": fit_seconds(mllib),
        "refresh": median(map(refresh_seconds, warm)),
        "refresh_cold": refresh_seconds(cold),
        "refresh_mllib": refresh_seconds(mllib),
    }
    return {
        "k": cold.k,
        "fit_vs_sklearn": seconds["fit"] / seconds["fit_sklearn"],
        "fit_vs_sklearn_float32": seconds["fit"] / seconds["fit_sklearn_float32"],
        "mllib_vs_fit": seconds["fit_mllib"] / seconds["fit"],
        "refresh_mllib_vs_refresh": seconds["refresh_mllib"] / seconds["refresh"],
        "explained_variance_max_difference": {
            "sklearn": _difference(cold, double[0][1]),
            "mllib": _difference(cold, mllib.explained_variance_ratio),
        },
        "seconds": seconds,
        "stages": {
            "refresh": {stage: median(summary.seconds[stage] for summary in warm) for stage in cold.seconds},
            "refresh_cold": cold.seconds,
            "refresh_mllib": mllib.seconds,
        },
    }


def refresh(spark: "SparkSession", settings: Settings, name: str) -> Summary:
    """One refresh of all rows, published and all."""
    summary = run(spark, settings, full=True)
    say(f"{name}: " + ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in summary.seconds.items()))
    return summary


def fit_seconds(summary: Summary) -> float:
    """From nothing but the table to the components: its files found, read and fitted."""
    return summary.seconds["pin"] + summary.seconds["fit"]


def refresh_seconds(summary: Summary) -> float:
    """Until every reduced vector is published."""
    return fit_seconds(summary) + summary.seconds["publish"]


def in_memory(settings: Settings) -> NDArray[np.float32]:
    """The features as one array, read by delta-rs."""
    opened = open_table(settings.storage, "features")
    if opened is None:
        raise SystemExit("there is no features table")
    batches = dataset(opened, settings.storage).to_batches(columns=["key", "features"])
    return np.concatenate([vectors(batch) for batch in batches])


def fit_sklearn(features: NDArray[np.floating[Any]]) -> tuple[float, NDArray[np.float64]]:
    """Seconds of scikit-learn's quickest exact solver on rows at hand, and the explained variance ratios."""
    start = time.perf_counter()
    pca = PCA(_VARIANCE, svd_solver="covariance_eigh").fit(features)
    seconds = time.perf_counter() - start
    say(f"scikit-learn, {features.dtype}: {seconds:.2f} s")
    return seconds, pca.explained_variance_ratio_


def _difference(ours: Summary, ratios: NDArray[np.float64] | tuple[float, ...]) -> float:
    return float(np.abs(np.subtract(ours.explained_variance_ratio, ratios)).max())


def show(figures: dict[str, Any]) -> None:
    """Print the figures for a person."""
    seconds = figures["seconds"]
    where = f", {figures['workers']} workers of a cluster" if figures["workers"] else ""
    print(f"{figures['rows']} rows of {figures['dimensions']} on {figures['cores']} cores{where}, k = {figures['k']}")
    for name, ratio, remark in (
        ("fit", None, f"from the Delta table; the first in a session {seconds['fit_cold']:.1f} s"),
        ("fit_sklearn", "fit_vs_sklearn", f"in memory, float64; loading took {seconds['sklearn_load']:.1f} s"),
        ("fit_sklearn_float32", "fit_vs_sklearn_float32", "in memory, float32"),
        ("fit_mllib", "mllib_vs_fit", "from the same table"),
        ("refresh", None, f"fit and publish; the first in a session {seconds['refresh_cold']:.1f} s"),
        ("refresh_mllib", "refresh_mllib_vs_refresh", "fit and publish"),
    ):
        told = f"{ratio} {figures[ratio]:.2f}" if ratio else ""
        print(f"{name:<20} {seconds[name]:7.2f} s  {told:<32} {remark}")
    for other, difference in figures["explained_variance_max_difference"].items():
        print(f"explained variance ratios differ from {other}'s by {difference:.1e} at most")


def say(message: str) -> None:
    """Progress, to stderr."""
    print(message, file=sys.stderr)


if __name__ == "__main__":
    main()
