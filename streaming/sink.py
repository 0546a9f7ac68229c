"""What a micro-batch does: featurize once, then one commit to features and, where there is any, one to rejects.

A batch that is run again after a crash repeats no commit: Delta keeps the (query, batch) of the last in each table.
Only what neither table has is done again, as the landing zone, and so what becomes of an object, may have changed. The
same holds where a cluster loses a machine in the middle of a batch, and Spark does again what that one had done.
"""

import logging
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyspark.sql.functions as F  # noqa: N812 (the name everybody knows it by)
from pyspark import StorageLevel

from conf.delta import open_table, read_columns, read_states_ahead
from conf.errors import REBUILD, SetupError, StateError
from conf.settings import Storage
from conf.spark_errors import worker_died
from conf.tables import ROW_ID, Reason, RowId, column_names
from streaming import forgotten
from streaming.checkpoint import query_id
from streaming.featurize import FEATURIZED
from streaming.state import TABLES

if TYPE_CHECKING:
    from obstore.store import ObjectStore
    from pyspark import Accumulator
    from pyspark.sql import DataFrame

    from conf.lease import Lease
    from streaming.featurize import Featurizer
    from streaming.tally import Tally


# Rows of 1,280 numbers that make a file of 16 MB. Of a batch with more, every file has more than half of that.
_ROWS_A_FILE = 3200

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BatchReport:
    """What one micro-batch did. Seconds are of wall time; in `stages` they are the workers', summed over them."""

    batch_id: int
    manifest: int
    """The last one whose object versions are all in the tables with it."""
    features: int
    rejects: dict[str, int]
    bytes: int
    decodes: int
    featurize_s: float
    commit_s: float
    committed_at: datetime
    oldest: datetime
    """When the one that had waited longest landed."""
    stages: dict[str, float] = field(default_factory=dict)

    @property
    def oldest_age_s(self) -> float:
        """Seconds from the drop to the answer of a query, for the one that had waited longest."""
        return max(0.0, (self.committed_at - self.oldest).total_seconds())

    @property
    def objects(self) -> int:
        """Object versions that it accounted for."""
        return self.features + sum(self.rejects.values())


class _DoneTwiceError(Exception):
    """What a commit reads is not what the batch's job gave, but was worked out once more."""


class Sink:
    """The function for `foreachBatch`."""

    def __init__(
        self,
        storage: Storage,
        store: "ObjectStore",
        featurizer: "Featurizer",
        tally: "Accumulator[Tally]",
        lease: "Lease",
        last_planned: int,
        on_batch: Callable[[BatchReport], None],
    ) -> None:
        self._storage = storage
        self._store = store
        self._featurizer = featurizer
        self._tally = tally
        self._lease = lease
        self._last_planned = last_planned
        self._on_batch = on_batch
        # Nothing is forgotten while a query runs.
        self._forgotten = forgotten.read(store, storage, "contents")

    @cached_property
    def _query_id(self) -> str:
        """Read at the first batch: the checkpoint has it once the query runs."""
        found = query_id(self._store, self._storage.state_key("checkpoint"))
        if found is None:
            raise StateError(
                f"{self._storage.uri('state/checkpoint/metadata')} is gone while the stream runs. Nothing is committed "
                f"without it. Restore it from a copy, or {REBUILD}."
            )
        return found

    def __call__(self, keys: "DataFrame", batch_id: int) -> None:
        # Only a batch planned before this run can have committed anything.
        done = self._done(batch_id) if batch_id <= self._last_planned else {}
        while True:
            try:
                return self._take_in(keys, batch_id, done)
            except _DoneTwiceError:
                _log.warning(
                    "Spark lost some of what it had done for micro-batch %s, and did it again in the middle of its "
                    "commits. What is in no table yet is done once more.",
                    batch_id,
                )
            done = self._done(batch_id)

    def _take_in(self, keys: "DataFrame", batch_id: int, done: dict[str, list[RowId]]) -> None:
        before = dict(self._tally.value)
        keys = _without(keys, [version for versions in done.values() for version in versions])
        start = time.perf_counter()
        featurized, rows = self._work(keys, batch_id)
        worked, tally = time.perf_counter(), self._tally.value.copy()
        try:
            known = self._known(rows)
            reasons = [reason for reason, again in zip(rows["reason"].to_pylist(), known, strict=True) if not again]
            outcomes = Counter(reasons)
            features = outcomes.pop(None, 0)
            told = featurized
            if again := rows.filter(pa.array(known, pa.bool_())).select(ROW_ID):
                self._lease.check()
                forgotten.remember_rows(self._store, self._storage, _row_ids(again))
                outcomes[Reason.FORGOTTEN] = len(again)
                told = _refused(featurized, again)
            written = told.coalesce(max(1, math.ceil(len(rows) / _ROWS_A_FILE)))
            # They are few. Held here, they cannot turn into features while these are committed.
            rejected = _rejected(told) if outcomes else None
            self._check_done_once(tally)
            if features:
                featured = features_rows(written, self._featurizer.recipe.model_id, batch_id)
                self._append(featured, "features", batch_id, again="features" in done)
                self._check_done_once(tally)
            if rejected is not None:
                self._append(rejects_rows(rejected, batch_id), "rejects", batch_id, again="rejects" in done)
            committed, committed_at = time.perf_counter(), datetime.now(UTC)
        finally:
            featurized.unpersist()
        did = {name: number - before.get(name, 0) for name, number in tally.items()}
        # Spark begins a new stream with a batch of nothing.
        if features or outcomes:
            read_states_ahead(keys.sparkSession, self._storage, *TABLES)
            self._on_batch(
                BatchReport(
                    batch_id,
                    pc.max(rows["manifest"]).as_py(),
                    features,
                    rejects=dict(outcomes),
                    bytes=int(did.get("bytes", 0)),
                    decodes=int(did.get("decodes", 0)),
                    featurize_s=worked - start,
                    commit_s=committed - worked,
                    committed_at=committed_at,
                    oldest=pc.min(rows["last_modified"]).as_py(),
                    stages={name: seconds for name, seconds in did.items() if name.endswith("_s")},
                )
            )

    def _known(self, rows: "pa.Table") -> list[bool]:
        """Which photographs were forgotten, and dropped again with the same bytes and another etag."""
        if not len(self._forgotten):
            return [False] * len(rows)
        names = zip(rows["key"].to_pylist(), rows["sha256"].to_pylist(), strict=True)
        has = self._forgotten.has
        return [bool(sha256) and (has(key, sha256) or has("", sha256)) for key, sha256 in names]

    def _work(self, keys: "DataFrame", batch_id: int) -> tuple["DataFrame", "pa.Table"]:
        """What becomes of each object, kept until it is written; should a worker die of it, once more with care."""
        try:
            return _featurized(keys, self._featurizer)
        except Exception as error:
            if not worker_died(error):
                raise
        _log.warning(
            "A Python worker died over micro-batch %s. It is done again, each photograph decoded in a process of its "
            "own that may die.",
            batch_id,
        )
        try:
            return _featurized(keys, replace(self._featurizer, isolated=True))
        except Exception as error:
            if not worker_died(error):
                raise
            raise SetupError(
                f"A Python worker died twice over micro-batch {batch_id}, the second time not of decoding. Has this "
                "machine run out of memory (its kernel's log says so)? Give it more, or fewer cores to Spark, and "
                "start again."
            ) from None

    def _append(self, rows: "DataFrame", table: str, batch_id: int, *, again: bool) -> None:
        writer = rows.write.format("delta").mode("append").option("userMetadata", self._lease.hold.signature(batch_id))
        if not again:
            writer = writer.option("txnAppId", self._query_id).option("txnVersion", str(batch_id))
        self._lease.check()
        writer.save(self._storage.table_uri(table))

    def _check_done_once(self, tally: "Tally") -> None:
        """Nobody works between a batch's job and the end of its commits: they read what the job has left."""
        if self._tally.value != tally:
            raise _DoneTwiceError

    def _done(self, batch_id: int) -> dict[str, list[RowId]]:
        """What this batch has committed already, by table."""
        done = {}
        for table in TABLES:
            opened = open_table(self._storage, table)
            committed = None if opened is None else opened.transaction_version(self._query_id)
            if opened is not None and committed is not None and committed >= batch_id:
                ours = pc.field("batch_id") == batch_id
                rows = read_columns(opened, self._storage, ROW_ID, ours)
                done[table] = _row_ids(rows)
        return done


def _featurized(keys: "DataFrame", featurizer: "Featurizer") -> tuple["DataFrame", "pa.Table"]:
    featurized = keys.mapInArrow(featurizer, FEATURIZED).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        # This one job does the work, whatever the number of tables, and the rows themselves say who gets some.
        return featurized, featurized.select("reason", "last_modified", "sha256", *ROW_ID).toArrow()
    except Exception:
        featurized.unpersist()
        raise


def _refused(featurized: "DataFrame", again: "pa.Table") -> "DataFrame":
    """The same, with these rows refused: they are few."""
    spark = featurized.sparkSession
    known = spark.createDataFrame(again, "key STRING, etag STRING, manifest BIGINT").withColumn("again", F.lit(True))
    why = {"reason": F.lit(Reason.FORGOTTEN.value), "detail": F.lit("forgotten on request, and dropped again")}
    kept = {name: F.when(F.col("again"), value).otherwise(F.col(name)) for name, value in why.items()}
    return featurized.join(F.broadcast(known), list(ROW_ID), "left").withColumns(kept).select(*featurized.columns)


def _rejected(featurized: "DataFrame") -> "DataFrame":
    """What was refused, as rows that the driver holds."""
    refused = featurized.where(F.col("reason").isNotNull()).drop("features")
    return featurized.sparkSession.createDataFrame(refused.toArrow(), refused.schema).coalesce(1)


def _row_ids(rows: "pa.Table") -> list[RowId]:
    return list(zip(*(rows[name].to_pylist() for name in ROW_ID), strict=True))


def _without(keys: "DataFrame", versions: list[RowId]) -> "DataFrame":
    if not versions:
        return keys
    done = keys.sparkSession.createDataFrame(versions, "row_key STRING, etag STRING, manifest BIGINT")
    return keys.join(F.broadcast(done), done.columns, "left_anti").select(*keys.columns)


def features_rows(featurized: "DataFrame", model_id: str, batch_id: int) -> "DataFrame":
    """Rows of the features table: what was featurized, with where it came from."""
    return (
        featurized.where(F.col("reason").isNull())
        .withColumns(
            {
                "model_id": F.lit(model_id),
                "batch_id": F.lit(batch_id).cast("bigint"),
                "ingested_at": F.lit(datetime.now(UTC)),
            }
        )
        .select(*column_names("features"))
    )


def rejects_rows(rejected: "DataFrame", batch_id: int) -> "DataFrame":
    """Rows of the rejects table: what was refused, with why."""
    return rejected.withColumns(
        {"batch_id": F.lit(batch_id).cast("bigint"), "rejected_at": F.lit(datetime.now(UTC))}
    ).select(*column_names("rejects"))
