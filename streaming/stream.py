"""The streaming job: landing zone to features and rejects, until it is stopped or, with `once`, until all is in."""

import logging
import math
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING

from pyspark.sql.streaming import StreamingQuery

from conf.delta import ensure_table
from conf.holders import signed
from conf.lease import Lease
from conf.regions import check_region
from conf.s3 import check_bucket, object_store
from conf.settings import Settings
from conf.spark_errors import explained, worker_came_late
from conf.tables import MODEL
from conf.upkeep import upkeep_properties
from streaming.changeover import settle_model
from streaming.checkpoint import Plan
from streaming.expiry import EVERY_SECONDS
from streaming.featurize import Featurizer
from streaming.forgetting import LOOK_SECONDS, RETRY_SECONDS, Watch, settle
from streaming.janitor import Janitor
from streaming.model import load_model
from streaming.naming import settle_naming
from streaming.rebuild import sound_state
from streaming.reports import Reports
from streaming.sink import BatchReport, Sink
from streaming.source import FORMAT, KeySource
from streaming.state import check_state
from streaming.tally import tally_on
from streaming.upkeep import Upkeep

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.1
# Spark begins micro-batches at multiples of this: the next one follows the last at once, and the source itself knows
# when it is time for another look.
_TRIGGER_SECONDS = 0.1


@dataclass
class Summary:
    """What a run of the stream did."""

    model_id: str
    batches: int = 0
    features: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    decodes: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall seconds of `start`, `featurize`, `commit`; summed over workers those of `fetch`, `decode`, `predict`."""

    @property
    def objects(self) -> int:
        """Object versions accounted for."""
        return self.features + self.rejects.total()

    def add(self, batch: BatchReport) -> None:
        """Count one more micro-batch."""
        self.batches += 1
        self.features += batch.features
        self.rejects.update(batch.rejects)
        self.bytes += batch.bytes
        self.decodes += batch.decodes
        stages = {"featurize_s": batch.featurize_s, "commit_s": batch.commit_s, **batch.stages}
        for stage, seconds in stages.items():
            name = stage.removesuffix("_s")
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds


def run(
    spark: "SparkSession",
    settings: Settings,
    *,
    once: bool = False,
    rebuild_state: bool = False,
    stop: Event | None = None,
    on_start: Callable[[], None] = lambda: None,
    on_batch: Callable[[BatchReport], None] = lambda batch: None,
) -> Summary:
    """Run the stream.

    Parameters
    ----------
    once
        Return when everything that landed before the last look is in the tables; otherwise only when stopped.
    rebuild_state
        Where the state is lost, damaged or older than the tables, make it anew from these rather than refuse to run.
    stop
        Set by another thread or a signal handler, it ends the run; a micro-batch under way is taken up by the next.
    on_start
        Called when model, tables and state are ready, and the landing zone is watched from then on.
    on_batch
        Called after each micro-batch, in a thread of Spark's.

    Raises
    ------
    FruitsError
        Before anything is written, where bucket, model, tables or state are not as they should be or another stream
        works on them; later, where the store or the model fails, or the lease is lost. Everything committed stays, and
        the next run goes on from there.
    """
    begun = time.perf_counter()
    storage = settings.storage
    check_region(settings)
    check_bucket(storage)
    model = load_model(settings.model.architecture, settings.model.weights, settings.model.engine)
    store = object_store(storage)
    stop = stop or Event()
    with (
        explained(),
        Lease(storage, settings.stream.lease_seconds) as lease,
        signed(spark, lease.hold),
        Reports(settings, store, lease) as reports,
    ):
        naming = settle_naming(settings, store)
        plan = sound_state(storage, store, lease) if rebuild_state else check_state(storage, store)
        settle_model(spark, storage, store, lease, model.recipe.model_id)
        upkeep = upkeep_properties(settings.tables, by_themselves=True)
        for table, made_with in (("features", {MODEL: model.recipe.model_id}), ("rejects", {})):
            lease.check()
            ensure_table(spark, storage, table, naming.properties | made_with, upkeep)

        summary = Summary(model.recipe.model_id)

        def count(batch: BatchReport) -> None:
            summary.add(batch)
            reports.add(batch)
            on_batch(batch)
            _log.debug("Micro-batch %d: %d objects, %d features.", batch.batch_id, batch.objects, batch.features)

        tally = tally_on(spark.sparkContext)
        weights = spark.sparkContext.broadcast(model.payload)
        featurizer = Featurizer(
            storage,
            settings.images,
            settings.stream.gets_in_flight,
            settings.discovery.clean == "archive",
            model.recipe,
            weights,
            tally.add,
        )

        def query(planned: Plan) -> bool:
            """Run one from start to end; tells whether another is to follow, after what somebody asked for."""
            settled = settle(spark, settings, store, lease)
            sink = Sink(storage, store, featurizer, tally, lease, planned.batch_id, count)
            with Janitor(settings, store, lease) as janitor:
                running = _start(spark, settings, planned.manifest, sink)
                reports.watch(running)
                if "start" not in summary.seconds:
                    summary.seconds["start"] = time.perf_counter() - begun
                    _log.debug("The stream is up after %.1f s.", summary.seconds["start"])
                    on_start()
                most = math.inf if settings.privacy.rejects_days is None else EVERY_SECONDS
                watch = Watch(store, storage, LOOK_SECONDS, most if settled else RETRY_SECONDS)
                with Upkeep(spark, settings, store, lease), watch:
                    _wait(running, once, stop, lease, watch.asked)
                paused = watch.asked.is_set() and not stop.is_set()
                if once and not paused:
                    janitor.finish(stop)
            if paused:
                janitor.wait(stop)
            return paused and not stop.is_set()

        late = False
        try:
            # One query after the other: a stream pauses for what `fruits forget` asks.
            while True:
                try:
                    if not query(plan):
                        break
                except Exception as error:
                    if late or not worker_came_late(error):
                        raise
                    late = True
                    _log.warning("A Python process did not start in time: this machine is busy. Trying once more.")
                plan = check_state(storage, store)
        finally:
            weights.destroy()
    return summary


def _start(spark: "SparkSession", settings: Settings, planned: int, sink: Sink) -> StreamingQuery:
    spark.dataSource.register(KeySource)
    keys = (
        spark.readStream.format(FORMAT)
        .option("settings", settings.model_dump_json())
        .option("planned", str(planned))
        .option("partitions", str(spark.sparkContext.defaultParallelism))
        .load()
    )
    return (
        keys.writeStream.queryName("fruits")
        .option("checkpointLocation", settings.storage.uri("state/checkpoint"))
        .trigger(processingTime=f"{_TRIGGER_SECONDS} seconds")
        .foreachBatch(sink)
        .start()
    )


def _wait(query: StreamingQuery, once: bool, stop: Event, lease: Lease, asked: Event) -> None:
    """Wait in a thread of its own for the JVM, so that this one can hear of a stop, or of the loss of the lease.

    Or of something that is asked for and takes a stream without a query.
    """
    with ThreadPoolExecutor(1, "wait") as pool:
        ended = pool.submit(query.processAllAvailable if once else query.awaitTermination)
        try:
            while not ended.done() and not asked.is_set() and not stop.wait(_LOOK_SECONDS):
                if lease.lost and not ended.done():
                    raise lease.lost
        finally:
            # An interrupt, too, must not leave it running on its own.
            query.stop()
        ended.result()
