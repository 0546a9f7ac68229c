"""What one way of shipping a model costs, and whether it predicts as Keras does."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scripts.script_broadcast_tensorflow import FEATURES, Predict
from streaming.tally import Tally, tally_on

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark import Accumulator, SparkContext
    from pyspark.sql import SparkSession

    from scripts.broadcasting.preparation import Prepared
    from scripts.script_broadcast_tensorflow import Way
    from streaming.engines import Engine

_TASKS_A_WORKER = 4
_MB = 1e6


@dataclass(frozen=True)
class Figures:
    """Of one model, shipped in one way. Megabytes are millions of bytes."""

    model: str
    way: str
    workers: int
    images: int
    shipped_mb: float
    """What Spark puts up for its executors by the end of the first query: broadcast blocks, compressed or not, or a
    file."""
    again_mb: float
    """What it puts up for each further query."""
    function_kb: float
    """The function as it is pickled for a query."""
    prepare_s: float
    """The driver's, from a Keras model to what is shipped."""
    ship_s: float
    """The driver's, to hand it to Spark."""
    first_s: float
    """A query of one image a worker, by workers that are there and have no model yet."""
    worker_mb: float | None
    """PSS that the model adds to a worker, on average: what workers share is shared out among them."""
    peak_mb: float | None
    """Largest resident size of a worker at any moment, what it shares included."""
    images_per_second: float
    """Of the faster of two queries by workers that are warm, Spark's part in it included."""
    cpu_ms: float
    """Processor time that the workers take for an image in such a query. It tells ways apart where cores are shared."""
    difference: float
    """Largest difference of a feature from that by Keras, of the largest feature."""
    tasks: int
    processes: int
    """Workers that there were."""
    builds: int
    """How many times a worker built its engine from the weights."""


def measure(
    spark: "SparkSession", model: str, name: str, way: "Way", prepared: "Prepared", images: int, workers: int
) -> Figures:
    """Run one way in a session that is new."""
    context = spark.sparkContext
    did, seen = tally_on(context), context.accumulator({}, _Latest())

    def run(function: Callable[[Any], Any], rows: int, tasks: int) -> _Run:
        begun, worked = time.perf_counter(), did.value["cpu_s"]
        table = spark.range(0, rows, 1, tasks).mapInArrow(_Watched(function, did, seen), FEATURES).toArrow()
        return _Run(table, time.perf_counter() - begun, did.value["cpu_s"] - worked)

    for _ in range(2):  # the second finds Spark's classes loaded, and workers there
        run(_nothing, workers, workers)
    before = dict(seen.value)

    weights = way.weights(prepared)
    held = _blocks(context)
    begun = time.perf_counter()
    shipped = way.ship(context, weights)
    ship_s = time.perf_counter() - begun
    predict = Predict(model, shipped, _Counted(way.build, did), way.keep)
    file_mb = weights.stat().st_size / _MB if isinstance(weights, Path) else 0.0
    del weights
    function_kb = _pickled(predict) / 1e3

    first_s = run(predict, workers, workers).seconds
    first = _blocks(context)
    tasks = _TASKS_A_WORKER * workers
    runs = [run(predict, images, tasks)]
    again = _blocks(context)
    # The second finds all compiled, and the faster counts: others that want the same cores only ever make one slower.
    runs.append(run(predict, images, tasks))
    after = seen.value
    return Figures(
        model=model,
        way=name,
        workers=workers,
        images=images,
        shipped_mb=file_mb + _new(held, first),
        again_mb=_new(first, again),
        function_kb=function_kb,
        prepare_s=prepared.seconds[way.form],
        ship_s=ship_s,
        first_s=first_s,
        worker_mb=_added(before, after),
        peak_mb=max((memory.peak for memory in after.values() if memory.peak is not None), default=None),
        images_per_second=images / min(run.seconds for run in runs),
        cpu_ms=min(run.cpu for run in runs) / images * 1000,
        difference=_difference(runs[0].table, prepared.reference),
        tasks=workers + len(runs) * tasks,
        processes=len(after),
        builds=int(did.value["builds"]),
    )


class _Run(NamedTuple):
    table: "pa.Table"
    seconds: float
    cpu: float


class Memory(NamedTuple):
    """MB of a process; None where there is no /proc."""

    pss: float | None
    peak: float | None

    @classmethod
    def now(cls) -> "Memory":
        """Of this process."""
        return cls(_kilobytes("smaps_rollup", "Pss:"), _kilobytes("status", "VmHWM:"))


@dataclass(frozen=True)
class _Watched:
    """A function for mapInArrow that tells, at the end of each task, what its worker took and holds."""

    function: Callable[[Iterable["pa.RecordBatch"]], Iterator["pa.RecordBatch"]]
    did: "Accumulator[Tally]"
    seen: "Accumulator[dict[int, Memory]]"

    def __call__(self, batches: Iterable["pa.RecordBatch"]) -> Iterator["pa.RecordBatch"]:
        begun = time.process_time()
        yield from self.function(batches)
        self.did.add(Tally(float, cpu_s=time.process_time() - begun))
        self.seen.add({os.getpid(): Memory.now()})


@dataclass(frozen=True)
class _Counted:
    """A builder of engines that counts."""

    build: Callable[[Any], "Engine"]
    did: "Accumulator[Tally]"

    def __call__(self, weights: Any) -> "Engine":
        engine = self.build(weights)
        self.did.add(Tally(float, builds=1))
        return engine


class _Latest:
    """For an accumulator: the latest that each process told."""

    def zero(self, value: dict[int, Memory]) -> dict[int, Memory]:
        return {}

    def addInPlace(self, value1: dict[int, Memory], value2: dict[int, Memory]) -> dict[int, Memory]:
        return value1 | value2


def _nothing(batches: Iterable["pa.RecordBatch"]) -> Iterator["pa.RecordBatch"]:
    for _ in batches:
        yield from ()


def _blocks(context: "SparkContext") -> dict[str, float]:
    """MB of each block of a broadcast that the driver has put up, as it is sent: serialized, and compressed if so."""
    jvm: Any = context._jvm
    found = {}
    for status in jvm.org.apache.spark.SparkEnv.get().blockManager().master().getStorageStatus():
        blocks = status.blocks().iterator()
        while blocks.hasNext():
            block = blocks.next()
            name = block._1().name()
            if name.startswith("broadcast_") and "piece" in name:
                found[name] = (block._2().memSize() + block._2().diskSize()) / _MB
    return found


def _new(before: dict[str, float], after: dict[str, float]) -> float:
    return sum(size for name, size in after.items() if name not in before)


def _pickled(function: Any) -> int:
    from pyspark.serializers import CloudPickleSerializer

    return len(CloudPickleSerializer().dumps(function))


def _added(before: dict[int, Memory], after: dict[int, Memory]) -> float | None:
    with suppress(TypeError):  # a None among them
        idle = fmean(memory.pss for memory in before.values())  # type: ignore[misc]
        return fmean(memory.pss for pid, memory in after.items()) - idle  # type: ignore[misc]
    return None


def _difference(table: "pa.Table", reference: NDArray[np.float32]) -> float:
    order = np.argsort(np.asarray(table["id"].to_numpy()))
    features = table["features"].combine_chunks().flatten().to_numpy().reshape(len(order), -1)[order]
    return float(np.abs(features - reference).max() / np.abs(reference).max())


def _kilobytes(file: str, field: str) -> float | None:
    with suppress(OSError):
        for line in (Path("/proc/self") / file).read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024 / _MB
    return None
